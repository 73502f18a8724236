//! The outside comes in (files, directories, standard input), ordered inputs go out: packets with their stamps, secrets, names, drops,
//! damage. Knows nothing of what the packets mean, and is the only room, with `live`, that may touch the operating system.

mod ahead;
mod clock;
mod codec;
mod drops;
#[cfg(all(feature = "ebpf", target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub mod ebpf;
mod file;
#[cfg(feature = "live")]
pub mod host;
mod input;
pub mod live;
mod merge;
mod plan;
#[cfg(feature = "live")]
mod reach;
mod sample;
mod sort;

pub use ahead::Ahead;
pub use clock::ClockOffset;
pub use file::Progress;
pub use input::{Input, Packet};
pub use merge::Inputs;
pub use plan::{Error, FileInfo, Ignored, plan};

#[cfg(test)]
mod tests;
