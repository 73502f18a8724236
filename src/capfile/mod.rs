//! The bytes of a capture file come in, its blocks go out: packets, secrets, names, statistics, comments, damage; pcap and pcapng.
//! Opens no file and knows nothing of what the packets hold; [`Writer`] makes the same bytes again for evidence.

mod block;
mod classic;
mod comment;
mod names;
mod ng;
mod reader;
mod scan;
mod ticks;
mod window;
mod writer;

pub use block::{Block, Damage, Flaw, Packet, Stats};
pub use comment::Comments;
pub use reader::{NotCapture, Reader, is_capture};
pub use window::BUFFER;
pub use writer::Writer;

#[cfg(test)]
mod tests;
