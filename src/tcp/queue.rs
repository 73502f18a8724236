//! Segments that came early go in, the bytes that follow go out in order. Where two carry the same place, the bytes seen first
//! stay. Knows nothing of why they came early.

use std::collections::VecDeque;

use super::seq::{ahead, on};
use crate::base::{Stamp, Ts};

/// Bytes that wait for those before them.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Sequence number of the first byte.
    pub(super) seq: u32,
    /// Bytes after `bytes` that the snapshot length cut off.
    pub(super) cut: u32,
    /// The packet that carried them first.
    pub(super) from: Origin,
    /// The bytes; empty where all of them were cut off.
    pub(super) bytes: Box<[u8]>,
}

impl Chunk {
    fn end(&self) -> u32 {
        on(self.seq, self.bytes.len())
    }

    fn cost(&self) -> usize {
        self.bytes.len().saturating_add(CHUNK_COST)
    }
}

/// Where bytes come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// The packet.
    pub(super) at: Stamp,
    /// What it acknowledged: its sender had the other direction's bytes up to here.
    pub(super) ack: u32,
}

/// What an insertion met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Met {
    /// Some of the bytes were there already.
    pub(super) repeated: bool,
    /// Other bytes were there already.
    pub(super) conflict: bool,
}

/// The early segments of one direction: in order, none overlapping another.
#[derive(Debug, Default)]
pub(super) struct Queue {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    cost: usize,
    since: Option<Ts>,
}

impl Queue {
    /// Takes a segment that starts at or after `base`, the next byte expected.
    ///
    /// The bytes seen first win. Receivers differ (BSD keeps the old bytes, Linux and Windows mostly too, some keep those that start
    /// earlier), endpoints that mean well send the same bytes twice, and a witness that already handed on what it saw first cannot take
    /// it back: one rule for bytes waiting and bytes gone is the only one that gives the same answer however the capture is cut.
    pub(super) fn insert(&mut self, base: u32, seq: u32, bytes: &[u8], cut: u32, from: Origin) -> Met {
        let mut met = Met::default();
        let mut seq = seq;
        let mut rest = bytes;
        let mut i = self.chunks.partition_point(|chunk| ahead(chunk.end(), base) <= ahead(seq, base));
        if rest.is_empty() {
            if cut > 0 {
                self.put(i, Chunk { seq, cut, from, bytes: Box::default() });
            }
            return met;
        }
        while !rest.is_empty() {
            let (room, seen) = match self.chunks.get(i) {
                None => (usize::MAX, None),
                Some(next) => match ahead(next.seq, seq) {
                    room if room > 0 => (room.unsigned_abs() as usize, None),
                    back => (0, next.bytes.get(back.unsigned_abs() as usize..)),
                },
            };
            if let Some(seen) = seen {
                let n = seen.len().min(rest.len());
                let (again, further) = rest.split_at(n);
                met.repeated |= n > 0;
                met.conflict |= seen.get(..n) != Some(again);
                (seq, rest) = (on(seq, n), further);
            } else if room > 0 {
                let (new, further) = rest.split_at(room.min(rest.len()));
                let cut = if further.is_empty() { cut } else { 0 };
                self.put(i, Chunk { seq, cut, from, bytes: new.into() });
                (seq, rest) = (on(seq, new.len()), further);
            }
            i += 1;
        }
        met
    }

    /// The first bytes that wait.
    pub(super) fn front(&self) -> Option<&Chunk> {
        self.chunks.front()
    }

    /// Takes the first bytes out.
    pub(super) fn pop(&mut self) -> Option<Chunk> {
        let chunk = self.chunks.pop_front()?;
        self.bytes = self.bytes.saturating_sub(chunk.bytes.len());
        self.cost = self.cost.saturating_sub(chunk.cost());
        if self.since == Some(chunk.from.at.ts) {
            self.since = None;
        }
        if self.chunks.is_empty() {
            *self = Queue::default();
        }
        Some(chunk)
    }

    /// Where the last bytes that wait end.
    pub(super) fn end(&self) -> Option<u32> {
        self.chunks.back().map(|chunk| on(chunk.end(), chunk.cut as usize))
    }

    /// Segments that wait.
    pub(super) fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Payload bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Memory that they take.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    /// The earliest packet time of bytes that wait.
    pub(super) fn since(&mut self) -> Option<Ts> {
        if self.since.is_none() {
            self.since = self.chunks.iter().map(|chunk| chunk.from.at.ts).min();
        }
        self.since
    }

    fn put(&mut self, i: usize, chunk: Chunk) {
        self.bytes = self.bytes.saturating_add(chunk.bytes.len());
        self.cost = self.cost.saturating_add(chunk.cost());
        if self.chunks.is_empty() || self.since.is_some_and(|since| chunk.from.at.ts < since) {
            self.since = Some(chunk.from.at.ts);
        }
        self.chunks.insert(i.min(self.chunks.len()), chunk);
    }
}

/// What a chunk takes beside its bytes, counted so that a flood of one-byte segments is bounded as well.
const CHUNK_COST: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: i64) -> Origin {
        Origin { at: Stamp { ord: n.unsigned_abs(), ts: Ts(n), ..Stamp::default() }, ack: 0 }
    }

    fn drain(queue: &mut Queue) -> Vec<(u32, String, u64)> {
        std::iter::from_fn(|| queue.pop()).map(|c| (c.seq, String::from_utf8_lossy(&c.bytes).into_owned(), c.from.at.ord)).collect()
    }

    #[test]
    fn bytes_seen_first_stay_and_each_keeps_its_packet() {
        let mut queue = Queue::default();
        let base = u32::MAX - 2;
        assert_eq!(queue.insert(base, on(base, 4), b"ef", 0, at(2)), Met::default());
        assert_eq!(queue.insert(base, on(base, 8), b"ij", 0, at(1)), Met::default());
        assert_eq!(queue.since(), Some(Ts(1)));
        let met = queue.insert(base, on(base, 3), b"dEfghiJk", 0, at(3));
        assert_eq!(met, Met { repeated: true, conflict: true });
        assert_eq!((queue.len(), queue.bytes(), queue.end()), (5, 8, Some(on(base, 11))));
        let got = drain(&mut queue);
        let text: String = got.iter().map(|(_, text, _)| text.as_str()).collect();
        assert_eq!(text, "defghijk");
        assert_eq!(got.iter().map(|(_, _, ord)| *ord).collect::<Vec<_>>(), [3, 2, 3, 1, 3]);
        assert_eq!((queue.bytes(), queue.cost(), queue.since()), (0, 0, None));
    }

    #[test]
    fn the_same_bytes_again_are_no_conflict() {
        let mut queue = Queue::default();
        queue.insert(0, 10, b"abcd", 0, at(1));
        assert_eq!(queue.insert(0, 10, b"abcd", 0, at(2)), Met { repeated: true, conflict: false });
        assert_eq!(queue.insert(0, 11, b"bX", 0, at(2)), Met { repeated: true, conflict: true });
        assert_eq!(queue.len(), 1);
        queue.pop();
        assert_eq!(queue.since(), None);
    }

    #[test]
    fn wholly_cut_segments_keep_their_place() {
        let mut queue = Queue::default();
        queue.insert(0, 10, b"", 5, at(1));
        queue.insert(0, 15, b"x", 0, at(2));
        assert_eq!(queue.pop().map(|c| (c.seq, c.cut)), Some((10, 5)));
        assert_eq!(queue.since(), Some(Ts(2)));
    }
}
