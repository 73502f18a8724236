//! What was seen comes in as it becomes readable, which may be late; it goes out in the order of the packets.
//!
//! Which side is which, and what could have caused what, is told by what was open when: whoever pairs must hear of everything in its
//! order, also of what had to wait for a key.

use std::collections::BTreeMap;

use crate::base::Stamp;
use crate::mcp::Seen;

/// What waits until all before it is known.
#[derive(Default)]
pub(super) struct Order {
    waiting: BTreeMap<(Stamp, u64), Seen>,
    next: u64,
}

impl Order {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes what is in `seen` from `from` on. `marks`: up to which length it was seen with which packet; the rest with `last`.
    pub(super) fn take(&mut self, seen: &mut Vec<Seen>, from: usize, marks: &[(usize, Stamp)], last: Stamp) {
        let mut marks = marks.iter().peekable();
        for (n, seen) in seen.drain(from.min(seen.len())..).enumerate() {
            while marks.next_if(|(until, _)| *until <= from.saturating_add(n)).is_some() {}
            let at = marks.peek().map_or(last, |(_, at)| *at);
            self.waiting.insert((at, self.next), seen);
            self.next += 1;
        }
    }

    /// Gives out what comes before `until`, all of it where there is none.
    pub(super) fn release(&mut self, until: Option<Stamp>, out: &mut Vec<Seen>) {
        let rest = until.map(|until| self.waiting.split_off(&(until, 0))).unwrap_or_default();
        out.extend(std::mem::replace(&mut self.waiting, rest).into_values());
    }
}
