//! Slots come in as they are heard from, the one longest silent goes out: lists threaded through one table, one list for
//! each patience, so that every list is in order of time. Knows nothing of what a slot holds.

/// How long a connection may be silent before it counts as gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Opening or closing.
    Short,
    /// Open.
    Long,
}

impl Patience {
    /// Both.
    pub(super) const ALL: [Patience; 2] = [Patience::Short, Patience::Long];

    /// Nanoseconds. RFC 5382, REQ-5: 4 minutes for connections that open or close, 2 hours and 4 minutes for open ones,
    /// which is above the 2 hours of TCP keep-alive (RFC 9293, 3.8.4): a silent event stream may be alive that long.
    pub(super) fn nanos(self) -> i64 {
        match self {
            Patience::Short => 240_000_000_000,
            Patience::Long => 7_440_000_000_000,
        }
    }
}

/// Who was silent longest.
#[derive(Debug, Default)]
pub(super) struct Ages {
    links: Vec<Link>,
    lists: [List; 2],
}

impl Ages {
    /// `slot` was heard from just now.
    pub(super) fn touch(&mut self, slot: u32, patience: Patience) {
        let place = slot as usize;
        if self.lists.get(patience as usize).is_some_and(|list| list.youngest == slot) {
            return;
        }
        if place >= self.links.len() {
            self.links.resize(place + 1, Link::default());
        }
        self.remove(slot);
        let Some(list) = self.lists.get_mut(patience as usize) else { return };
        let before = std::mem::replace(&mut list.youngest, slot);
        match self.links.get_mut(before as usize) {
            Some(link) => link.younger = slot,
            None => list.oldest = slot,
        }
        if let Some(link) = self.links.get_mut(place) {
            *link = Link { older: before, younger: NONE, list: patience as u8 };
        }
    }

    /// `slot` is free.
    pub(super) fn remove(&mut self, slot: u32) {
        let Some(link) = self.links.get_mut(slot as usize) else { return };
        let Link { older, younger, list } = std::mem::take(link);
        let Some(list) = self.lists.get_mut(usize::from(list)) else { return };
        match self.links.get_mut(older as usize) {
            Some(link) => link.younger = younger,
            None => list.oldest = younger,
        }
        match self.links.get_mut(younger as usize) {
            Some(link) => link.older = older,
            None => list.youngest = older,
        }
    }

    /// The slot of this patience that was silent longest.
    pub(super) fn oldest(&self, patience: Patience) -> Option<u32> {
        self.lists.get(patience as usize).map(|list| list.oldest).filter(|slot| *slot != NONE)
    }
}

#[derive(Clone, Copy, Debug)]
struct Link {
    older: u32,
    younger: u32,
    list: u8,
}

impl Default for Link {
    fn default() -> Link {
        Link { older: NONE, younger: NONE, list: u8::MAX }
    }
}

#[derive(Clone, Copy, Debug)]
struct List {
    oldest: u32,
    youngest: u32,
}

impl Default for List {
    fn default() -> List {
        List { oldest: NONE, youngest: NONE }
    }
}

const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_agrees_with_a_plain_list(steps in prop::collection::vec((0u32..12, 0u8..3), 0..200)) {
            let mut ages = Ages::default();
            let mut plain: Vec<(u32, Patience)> = Vec::new();
            for (slot, what) in steps {
                plain.retain(|(other, _)| *other != slot);
                match what {
                    0 => ages.remove(slot),
                    n => {
                        let patience = if n == 1 { Patience::Short } else { Patience::Long };
                        ages.touch(slot, patience);
                        plain.push((slot, patience));
                    }
                }
                for patience in Patience::ALL {
                    let want = plain.iter().find(|(_, p)| *p == patience).map(|(slot, _)| *slot);
                    prop_assert_eq!(ages.oldest(patience), want);
                }
            }
        }
    }
}
