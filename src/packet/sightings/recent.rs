//! Remembers the marks of recent segments, a fixed number of them. What falls out is merely not recognised.

use super::WINDOW;
use super::mark::Mark;
use crate::base::{Addr, Ts};

/// A table of marks: each has two places where it may stand, and the newer of their holders stays.
#[derive(Debug)]
pub(super) struct Recent {
    places: Vec<[Place; 2]>,
    mask: usize,
}

/// What is known of a recent segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Sender, under the address pair that was seen first.
    pub(super) src: Addr,
    /// Receiver, likewise.
    pub(super) dst: Addr,
    /// When it was seen.
    pub(super) ts: Ts,
    /// Whether it was seen under other addresses than these.
    pub(super) aliased: bool,
}

impl Entry {
    pub(super) fn is_of(&self, src: Addr, dst: Addr) -> bool {
        self.src == src && self.dst == dst
    }
}

#[derive(Clone, Copy, Debug)]
struct Place {
    mark: Option<Mark>,
    entry: Entry,
}

impl Recent {
    /// Room for about so many segments (the power of two below).
    pub(super) fn new(segments: usize) -> Recent {
        let nobody = Addr::v6([0; 16], 0);
        let empty = Place { mark: None, entry: Entry { src: nobody, dst: nobody, ts: Ts(i64::MIN), aliased: false } };
        let pairs = 1 << (segments.max(2) / 2).ilog2();
        Recent { places: vec![[empty; 2]; pairs], mask: pairs - 1 }
    }

    /// A segment with this mark in the window: of this flow if there is one, else of another.
    #[inline]
    pub(super) fn find(&self, mark: Mark, src: Addr, dst: Addr, now: Ts) -> Option<Entry> {
        let pair = self.places.get(mark.index() & self.mask)?;
        let mut other = None;
        for place in pair {
            if place.mark == Some(mark) && now.since(place.entry.ts).abs() <= WINDOW {
                if place.entry.is_of(src, dst) {
                    return Some(place.entry);
                }
                other = other.or(Some(place.entry));
            }
        }
        other
    }

    /// Remembers a segment, in the place of the older of the two that stand where it may.
    #[inline]
    pub(super) fn insert(&mut self, mark: Mark, entry: Entry) {
        let Some([one, two]) = self.places.get_mut(mark.index() & self.mask) else { return };
        let place = if one.entry.ts <= two.entry.ts { one } else { two };
        *place = Place { mark: Some(mark), entry };
    }
}
