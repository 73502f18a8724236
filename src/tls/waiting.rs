//! What one direction keeps until a key comes: sealed records, and the holes and the end that come after them.

use std::collections::VecDeque;

use crate::base::{Cause, Stamp};

use super::record::Head;

/// In the order of the stream.
#[derive(Default)]
pub(super) struct Waiting {
    items: VecDeque<Item>,
    bytes: usize,
}

/// Something that waits.
pub(super) enum Item {
    Record(Head, Box<[u8]>, Stamp),
    Gap(Cause, Stamp),
    Finished(Stamp),
}

impl Item {
    fn cost(&self) -> usize {
        let body = if let Item::Record(_, body, _) = self { body.len() } else { 0 };
        body.saturating_add(size_of::<Item>())
    }

    fn at(&self) -> Stamp {
        match self {
            Item::Record(_, _, at) | Item::Gap(_, at) | Item::Finished(at) => *at,
        }
    }
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Bytes it costs.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The packet of its first item.
    pub(super) fn first(&self) -> Option<Stamp> {
        self.items.front().map(Item::at)
    }

    pub(super) fn push(&mut self, item: Item, total: &mut usize) {
        self.count(item.cost(), total, usize::saturating_add);
        self.items.push_back(item);
    }

    pub(super) fn put_back(&mut self, item: Item, total: &mut usize) {
        self.count(item.cost(), total, usize::saturating_add);
        self.items.push_front(item);
    }

    pub(super) fn pop(&mut self, total: &mut usize) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.count(item.cost(), total, usize::saturating_sub);
        if self.items.is_empty() {
            self.items = VecDeque::new();
        }
        Some(item)
    }

    fn count(&mut self, cost: usize, total: &mut usize, how: fn(usize, usize) -> usize) {
        self.bytes = how(self.bytes, cost);
        *total = how(*total, cost);
    }
}
