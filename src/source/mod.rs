//! The outside comes in (files, directories, standard input), ordered inputs go out: packets with their stamps, secrets, names, drops,
//! damage. Knows nothing of what the packets mean, and is the only room, with `live`, that may touch the operating system.

mod clock;
mod codec;
mod drops;
mod file;
#[cfg(feature = "live")]
pub mod host;
mod input;
pub mod live;
mod merge;
mod plan;
mod sample;
mod sort;

pub use clock::ClockOffset;
pub use file::Progress;
pub use input::{Input, Packet};
pub use merge::Inputs;
pub use plan::{Error, FileInfo, Ignored, plan};

#[cfg(test)]
mod tests;
