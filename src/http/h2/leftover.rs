//! Streams that the server has answered in full and then reset come in; those whose request nobody will finish go out.
//!
//! "A server can send a complete response prior to the client sending an entire request", then ask it to stop by RST_STREAM (RFC 9113,
//! 8.1). Proxies do so whenever the head alone decides, a 401 most of all. What the client had sent by then is still on its way, and on
//! one host nearly always the whole request: it is read for a while longer.

use std::collections::VecDeque;

use crate::base::Stamp;

/// Streams reset behind their whole answer, oldest first.
#[derive(Default)]
pub(super) struct Leftovers {
    waiting: VecDeque<(u32, Stamp)>,
}

impl Leftovers {
    /// The stream was reset now; gives one back that must be ended to make room.
    pub(super) fn push(&mut self, id: u32, at: Stamp) -> Option<u32> {
        let oldest = if self.waiting.len() >= MOST { self.waiting.pop_front() } else { None };
        self.waiting.push_back((id, at));
        oldest.map(|(id, _)| id)
    }

    /// The next one that has waited long enough.
    pub(super) fn due(&mut self, now: Stamp) -> Option<u32> {
        let late = self.waiting.front().is_some_and(|(_, since)| now.ts.since(since.ts) >= PATIENCE);
        if late { self.waiting.pop_front().map(|(id, _)| id) } else { None }
    }

    /// All of them, in order.
    pub(super) fn rest(&mut self) -> impl Iterator<Item = u32> + use<> {
        std::mem::take(&mut self.waiting).into_iter().map(|(id, _)| id)
    }
}

/// Nanoseconds of packet time for what was on its way: longer than any sane round trip.
const PATIENCE: i64 = 1_000_000_000;
/// Streams that wait at a time.
const MOST: usize = 64;
