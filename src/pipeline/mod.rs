//! Wires the rooms, from captured packets to judged pairs: three stretches of the road, which call each other (the one-thread reference)
//! or leave each other word.

mod back;
mod batch;
mod engine;
mod exchanges;
mod front;
mod middle;
mod order;
mod output;
mod sizes;
mod stream;
mod streams;
mod summary;
mod taps;

pub use back::Back;
pub use batch::{Batch, Words};
pub use engine::{Engine, Options, stretches};
pub use front::{Front, Names, Onward, Walked};
pub use middle::{Foresight, Hear, Middle};
pub use output::Output;
pub use summary::{Loss, Summary};
