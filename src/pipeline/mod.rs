//! Wires the rooms, from captured packets to judged pairs: the one-thread reference.

mod summary;

pub use summary::{Loss, Summary};
