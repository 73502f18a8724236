//! Connections come in as they close, and for a while their late segments can be told from those of a new connection: what TIME-WAIT is
//! to the endpoints (RFC 9293, 3.6.1). A ring, so that it never grows.

use super::flow::Flow;
use super::half::{Half, STARTED};
use super::key::Key;
use super::seq::{NEAR, ahead, on};
use crate::base::{Dir, Ts};
use crate::packet::{Flags, Segment};

/// The connections closed last.
#[derive(Debug, Default)]
pub(super) struct Closed {
    ring: Vec<Past>,
    cursor: usize,
}

/// A connection that was.
#[derive(Clone, Copy, Debug)]
struct Past {
    key: Key,
    halves: [Option<(u32, u32)>; 2],
    reset: Option<Dir>,
    until: Ts,
}

impl Closed {
    /// Remembers `flow`; gives its place here, and the key that is forgotten for it with the place it had.
    pub(super) fn remember(&mut self, key: Key, flow: &Flow, reset: Option<Dir>, now: Ts, limit: usize) -> Option<(u32, Option<Key>)> {
        let place = |half: &Half| half.is(STARTED).then_some((half.isn, half.next));
        let [a, b] = &flow.halves;
        let past = Past { key, halves: [place(a), place(b)], reset, until: now + TIME_WAIT };
        if self.ring.len() < limit {
            self.ring.push(past);
            return Some((u32::try_from(self.ring.len() - 1).ok()?, None));
        }
        if self.cursor >= self.ring.len() {
            self.cursor = 0;
        }
        let slot = self.ring.get_mut(self.cursor)?;
        let forgotten = std::mem::replace(slot, past).key;
        let index = u32::try_from(self.cursor).ok()?;
        self.cursor += 1;
        Some((index, Some(forgotten)))
    }

    /// Whether `seg` still belongs to the connection remembered at `index`.
    pub(super) fn is_straggler(&self, index: u32, dir: Dir, seg: &Segment<'_>, now: Ts) -> bool {
        let Some(past) = self.ring.get(index as usize) else { return false };
        if now > past.until {
            return false;
        }
        let place = past.halves.get(dir.index()).copied().flatten();
        if seg.flags.has(Flags::SYN) {
            return place.is_some_and(|(isn, _)| isn == seg.seq);
        }
        let Some((_, next)) = place else { return false };
        let distance = ahead(on(seg.seq, seg.payload.len()), next);
        if past.reset == Some(dir) && distance > 0 {
            // Who sends an RST sends nothing new after it. It was not theirs, or not taken (RFC 5961, 3.2): the connection lives.
            return false;
        }
        (-4 * NEAR..=NEAR).contains(&distance)
    }
}

/// RFC 9293 says twice the maximum segment lifetime of two minutes; kernels keep a minute.
const TIME_WAIT: i64 = 60_000_000_000;
