//! The first events of a connection come in, what it speaks and which side asks goes out. Holds them until then.

use super::Context;
use super::sniff::{self, Kind};
use crate::base::{Cause, Count, Dir, Gap, Stamp};
use crate::tcp::{Conn, StreamEvent};

/// What a connection speaks, with the direction in which the client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// HTTP/1.x
    Http1(Dir),
    /// HTTP/2
    Http2(Dir),
    /// Something else.
    Other,
}

/// Looks at both directions until one of them tells.
#[derive(Default)]
pub(super) struct Probe {
    sides: [Side; 2],
    seen: bool,
}

#[derive(Default)]
struct Side {
    /// Bytes that are too few to tell, or that wait for the other side's.
    buf: Vec<u8>,
    pieces: Vec<(Stamp, usize)>,
    /// Bytes before those were missed, or made no sense in the middle of a connection; where that was last so.
    missed: Option<(Gap, Stamp)>,
    finished: Option<Stamp>,
}

impl Probe {
    /// The next event; what it tells.
    pub(super) fn on_stream(&mut self, conn: &Conn, event: &StreamEvent<'_>, cx: &mut Context<'_>) -> Option<Found> {
        match *event {
            StreamEvent::Opened => None,
            StreamEvent::Closed { .. } => {
                if self.seen {
                    cx.counts.bump(Count::GarbledStreams);
                }
                *self = Probe::default();
                None
            }
            StreamEvent::Gap { dir, gap, at } => {
                if let Some(side) = self.sides.get_mut(dir.index()).filter(|_| gap.len != Some(0)) {
                    side.miss(gap, at);
                }
                None
            }
            StreamEvent::Finished { dir, at } => {
                if let Some(side) = self.sides.get_mut(dir.index()) {
                    side.finished = Some(at);
                }
                None
            }
            StreamEvent::Data { dir, bytes, at } => {
                self.seen = true;
                let side = self.sides.get_mut(dir.index())?;
                let kind = side.kind(bytes, conn.opener_known);
                let found = match kind {
                    Kind::Request => Found::Http1(dir),
                    Kind::Response => Found::Http1(dir.flip()),
                    Kind::H2Client => Found::Http2(dir),
                    Kind::H2Server => Found::Http2(dir.flip()),
                    Kind::More if side.missed.is_none() && side.buf.len() + bytes.len() <= cx.limits.head_bytes => {
                        side.hold(bytes, at);
                        return None;
                    }
                    // In the middle of a connection a message may begin with any later packet.
                    _ if side.missed.is_some() || !conn.opener_known => {
                        side.miss(BEFORE, at);
                        return None;
                    }
                    _ => return Some(Found::Other),
                };
                if !conn.opener_known {
                    self.sides.iter_mut().for_each(|side| _ = side.missed.get_or_insert((BEFORE, Stamp::default())));
                }
                Some(found)
            }
        }
    }

    /// What was held back, and at last the event that told: all in the order in which it came.
    pub(super) fn replay<'a>(&'a mut self, event: &StreamEvent<'a>) -> Vec<StreamEvent<'a>> {
        let mut last = Some(*event);
        if let StreamEvent::Data { dir, bytes, at } = *event
            && let Some(side) = self.sides.get_mut(dir.index()).filter(|side| !side.buf.is_empty())
        {
            side.hold(bytes, at);
            last = None;
        }
        let mut events = Vec::new();
        for (dir, side) in [Dir::AtoB, Dir::BtoA].into_iter().zip(&self.sides) {
            // A side's bytes keep their order: those that came early bear the time of a packet before that of the bytes before them.
            let mut latest = Stamp::default();
            let mut push = |at: Stamp, event| {
                latest = latest.max(at);
                events.push((latest, event));
            };
            if let Some((gap, at)) = side.missed {
                push(at, StreamEvent::Gap { dir, gap, at });
            }
            let mut rest = side.buf.as_slice();
            for (at, len) in &side.pieces {
                // Behind a hole only a whole start line is believed: it must not be cut again.
                let len = if side.missed.is_some() { rest.len() } else { *len };
                let Some((bytes, after)) = rest.split_at_checked(len).filter(|(bytes, _)| !bytes.is_empty()) else { break };
                rest = after;
                push(*at, StreamEvent::Data { dir, bytes, at: *at });
            }
            if let Some(at) = side.finished {
                push(at, StreamEvent::Finished { dir, at });
            }
        }
        events.sort_by_key(|(at, _)| *at);
        events.into_iter().map(|(_, event)| event).chain(last).collect()
    }
}

impl Side {
    fn kind(&self, bytes: &[u8], opener_known: bool) -> Kind {
        if self.missed.is_some() {
            return match sniff::anywhere(bytes) {
                Kind::No | Kind::More => sniff::frames(bytes),
                kind => kind,
            };
        }
        let joined;
        let all = if self.buf.is_empty() {
            bytes
        } else {
            joined = [&self.buf, bytes].concat();
            &joined
        };
        match sniff::beginning(all) {
            Kind::More | Kind::Request if !opener_known && !all.first().is_some_and(|b| b.is_ascii_uppercase() || *b == 0) => Kind::No,
            Kind::No if !opener_known => sniff::frames(bytes),
            kind => kind,
        }
    }

    fn miss(&mut self, gap: Gap, at: Stamp) {
        self.missed = Some((self.missed.map_or(gap, |(first, _)| Gap { len: None, ..first }), at));
        self.buf = Vec::new();
        self.pieces = Vec::new();
    }

    fn hold(&mut self, bytes: &[u8], at: Stamp) {
        self.buf.extend_from_slice(bytes);
        self.pieces.push((at, bytes.len()));
    }
}

const BEFORE: Gap = Gap { len: None, cause: Cause::Before };
