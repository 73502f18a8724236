//! Wires the rooms, from captured packets to judged pairs: the one-thread reference.

mod output;
mod summary;

pub use output::Output;
pub use summary::{Loss, Summary};
