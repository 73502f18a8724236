//! Two addresses come in, in the order of a packet; the connection's key goes out, the same for both orders.

use std::hash::{Hash, Hasher};

use crate::base::Addr;

/// The 4-tuple, smaller address first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    low: Addr,
    high: Addr,
}

impl Key {
    /// The key, and whether `src` is its smaller address.
    pub(super) fn new(src: Addr, dst: Addr) -> (Key, bool) {
        if src <= dst { (Key { low: src, high: dst }, true) } else { (Key { low: dst, high: src }, false) }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.low.hash(state);
        self.high.hash(state);
    }
}
