//! A word about the plaintext of a TLS connection, with its time.

use crate::base::{Plain, Ts, Word};

/// What a process did with a connection, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// When: for what it wrote, before it reached the wire; for what it read, after.
    pub at: Ts,
    /// What.
    pub plain: Plain,
}

impl Told {
    /// Memory that it takes.
    pub fn weight(&self) -> usize {
        let bytes = if let Word::Bytes { bytes: Some(bytes), .. } = &self.plain.word { bytes.capacity() } else { 0 };
        size_of::<Told>().saturating_add(bytes)
    }
}
