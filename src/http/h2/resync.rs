//! Bytes of which nobody knows where a frame begins come in; the place of a chain of frame headers that cannot be chance goes
//! out, with the bytes from there on. Decides byte by byte, so that it does not matter how the bytes were cut into packets.

use crate::base::{Limits, Stamp};

use super::frame::{Around, Frame, HEADER};

/// The search in one direction.
pub(super) struct Resync {
    buf: Vec<u8>,
    /// Place of `buf`'s first byte, counted from the beginning of the search.
    base: u64,
    /// The next place at which a header may begin.
    next: u64,
    tries: Vec<Try>,
    stamps: Vec<(u64, Stamp)>,
}

/// Bytes that begin with a frame's header, in the pieces in which they came.
pub(super) struct Found {
    bytes: Vec<u8>,
    /// Where in `bytes` another packet's begin.
    pieces: Vec<(usize, Stamp)>,
}

/// A place where a frame may have begun.
#[derive(Clone, Copy, Debug)]
struct Try {
    from: u64,
    /// Where the frame after `last` must begin.
    due: u64,
    frames: u32,
    bits: u32,
    last: Frame,
}

impl Resync {
    pub(super) fn new() -> Resync {
        Resync { buf: Vec::new(), base: 0, next: 0, tries: Vec::new(), stamps: Vec::new() }
    }

    /// Reads on. Where a chain is found: how many of `bytes` were used, and what lies between the chain's beginning and there.
    pub(super) fn push(&mut self, bytes: &[u8], at: Stamp, around: Around<'_>, limits: &Limits) -> Option<(usize, Found)> {
        let had = self.end();
        self.buf.extend_from_slice(bytes);
        let full = self.stamps.len() >= STAMPS;
        match self.stamps.last_mut() {
            Some((from, stamp)) if *from == had => *stamp = at,
            // A flood of tiny packets: the last stamp stands for the rest.
            _ if full => {}
            _ => self.stamps.push((had, at)),
        }
        let limit = limits.h2_resync_bytes.max(HEADER) as u64;
        while self.next + HEADER as u64 <= self.end() {
            let place = self.next;
            self.next += 1;
            while self.tries.first().is_some_and(|oldest| place - oldest.from >= limit) {
                self.tries.remove(0);
            }
            let expected = self.tries.iter().any(|one| one.due == place);
            let Some(frame) = self.header(place, around.max, expected) else { continue };
            if let Some(from) = self.weigh(frame, place, expected, around) {
                let used = (place + HEADER as u64).saturating_sub(had) as usize;
                return Some((used, self.take(from, place + HEADER as u64)));
            }
        }
        self.trim();
        None
    }

    /// The stream ended. A single frame that ends exactly there is believed too.
    pub(super) fn finish(&mut self) -> Option<Found> {
        let end = self.end();
        let from = self.tries.iter().filter(|one| one.due == end && one.bits >= ENOUGH_AT_END).map(|one| one.from).min()?;
        Some(self.take(from, end))
    }

    /// Weighs the header at `place` for each chain that waits for it, and as the first of a new one. The chain that suffices, if any.
    fn weigh(&mut self, frame: Option<Frame>, place: u64, expected: bool, around: Around<'_>) -> Option<u64> {
        let mut found = None;
        let due = |frame: Frame| place + HEADER as u64 + u64::from(frame.len);
        if expected {
            self.tries.retain_mut(|one| {
                if one.due != place || found.is_some() {
                    return true;
                }
                let Some((frame, bits)) = frame.and_then(|frame| Some((frame, frame.weigh(Some(one.last), around)?))) else { return false };
                *one = Try { due: due(frame), frames: one.frames + 1, bits: one.bits + bits, last: frame, ..*one };
                if one.frames >= 2 && one.bits >= ENOUGH {
                    found = Some(one.from);
                }
                true
            });
        }
        let first = frame.and_then(|frame| Some((frame, frame.weigh(None, around)?)));
        if let (None, Some((frame, bits))) = (found, first)
            && self.tries.len() < TRIES
        {
            self.tries.push(Try { from: place, due: due(frame), frames: 1, bits, last: frame });
        }
        found
    }

    /// The header at a place: `None` where there is nothing to weigh, `Some(None)` where one is due and cannot be.
    #[inline]
    fn header(&self, place: u64, max: u32, expected: bool) -> Option<Option<Frame>> {
        let bytes = self.buf.get(usize::try_from(place - self.base).ok()?..)?;
        let likely = bytes.first().is_some_and(|high| u32::from(*high) <= max >> 16);
        (likely || expected).then(|| Frame::parse(bytes))
    }

    fn end(&self) -> u64 {
        self.base + self.buf.len() as u64
    }

    /// Drops what no chain needs.
    fn trim(&mut self) {
        let keep = self.tries.iter().map(|one| one.from).min().unwrap_or(self.next).min(self.next);
        let gone = usize::try_from(keep - self.base).unwrap_or(0).min(self.buf.len());
        if gone > 0 {
            self.buf.drain(..gone);
            self.base += gone as u64;
            let old = self.stamps.iter().skip(1).take_while(|(from, _)| *from <= keep).count();
            self.stamps.drain(..old);
        }
        self.buf.shrink_to(self.buf.len().max(256) * 4);
    }

    fn take(&mut self, from: u64, to: u64) -> Found {
        let start = usize::try_from(from.saturating_sub(self.base)).unwrap_or(0);
        let end = usize::try_from(to.saturating_sub(self.base)).unwrap_or(0);
        let bytes = self.buf.get(start..end).unwrap_or_default().to_vec();
        let pieces = self.stamps.iter().map(|(place, stamp)| (place.saturating_sub(from) as usize, *stamp)).collect();
        Found { bytes, pieces }
    }
}

impl Found {
    /// The bytes again, each piece with its packet.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (&[u8], Stamp)> {
        self.pieces.iter().enumerate().filter_map(|(place, (from, stamp))| {
            let to = self.pieces.get(place + 1).map_or(self.bytes.len(), |(next, _)| (*next).min(self.bytes.len()));
            self.bytes.get(*from..to).filter(|piece| !piece.is_empty()).map(|piece| (piece, *stamp))
        })
    }
}

/// Bits of evidence that make a chain of two or more frames: random bytes would show them once in 2^56 places.
const ENOUGH: u32 = 56;
/// Bits that suffice for a frame which ends where the stream does: that end is worth as many as a length has, fourteen and more.
const ENOUGH_AT_END: u32 = 32;
/// Chains followed at a time.
const TRIES: usize = 64;
/// Packets told apart while searching.
const STAMPS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn around(from_client: bool) -> Around<'static> {
        Around { from_client, max: 16_384, highest: 0, open: &|_| false }
    }

    fn search(bytes: &[u8], cut: usize) -> Option<Vec<u8>> {
        let mut search = Resync::new();
        let limits = Limits { h2_resync_bytes: 40_000, ..Limits::default() };
        for piece in bytes.chunks(cut) {
            if let Some((_, found)) = search.push(piece, Stamp::default(), around(false), &limits) {
                return Some(found.bytes);
            }
            assert!(search.buf.len() <= 40_000 + cut && search.tries.len() <= TRIES);
        }
        search.finish().map(|found| found.bytes)
    }

    #[test]
    fn a_chain_is_found_behind_text_whatever_the_cuts() {
        let mut bytes = b"the end of an answer whose beginning nobody saw\0\0\0 \"}".to_vec();
        let start = bytes.len();
        bytes.extend([0, 0, 2, 1, 4, 0, 0, 0, 9, 0x88, 0x5c]);
        bytes.extend([0, 0, 1, 0, 1, 0, 0, 0, 9, b'x']);
        for cut in 1..bytes.len() {
            assert_eq!(search(&bytes, cut).as_deref(), bytes.get(start..bytes.len() - 1), "cut every {cut}");
        }
    }

    #[test]
    fn one_frame_suffices_where_it_ends_with_the_stream() {
        let mut bytes = b"tail".to_vec();
        bytes.extend([0, 0, 1, 0, 1, 0, 0, 0, 9, b'x']);
        assert_eq!(search(&bytes, 3).as_deref(), bytes.get(4..));
        bytes.push(b'y');
        assert_eq!(search(&bytes, 3), None);
    }

    #[test]
    fn noise_is_not_taken_for_frames_and_memory_stays_bounded() {
        let mut state = 1u32;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        let noise: Vec<u8> = noise.take(200_000).collect();
        assert_eq!(search(&noise, 1000), None);
        assert_eq!(search(&[0; 200_000], 1000), None);
        // Every ninth byte begins a frame that no other follows in time.
        let teasing: Vec<u8> = [0, 0x3f, 0xff, 0, 0, 0, 0, 0, 1].into_iter().cycle().take(200_000).collect();
        search(&teasing, 1000);
    }
}
