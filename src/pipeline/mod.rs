//! Wires the rooms, from captured packets to judged pairs: the one-thread reference.

mod engine;
mod exchanges;
mod order;
mod output;
mod stream;
mod streams;
mod summary;
mod taps;

pub use engine::{Engine, Options};
pub use output::Output;
pub use summary::{Loss, Summary};
