//! Frames come in, TCP segments go out: link layers, VLANs, tunnels, IP, fragments, and the same segment seen twice.
//! Knows nothing of connections.

mod checksum;
mod decode;
mod fragments;
mod ip;
mod layer;
mod link;
mod sightings;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transport;
mod tunnel;

pub use decode::{Decoded, Decoder, Frame};
pub use link::LINKS;
pub use sightings::{Sight, Sightings, Tied};

use crate::base::Addr;

/// A TCP segment as it was captured. Checksums are not judged: offload leaves them unfilled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Sender.
    pub src: Addr,
    /// Receiver.
    pub dst: Addr,
    /// Sequence number of the first payload byte (of the SYN, where there is one).
    pub seq: u32,
    /// Acknowledgement number; meaningful with `Flags::ACK`.
    pub ack: u32,
    /// Control bits.
    pub flags: Flags,
    /// Receive window as sent, unscaled.
    pub window: u16,
    /// Payload bytes that the capture holds.
    pub payload: &'a [u8],
    /// Payload bytes after `payload` that were on the wire and that the capture cut off.
    pub cut: u32,
}

/// TCP control bits (RFC 9293, 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// Sender is done.
    pub const FIN: u8 = 0x01;
    /// Sequence numbers start here.
    pub const SYN: u8 = 0x02;
    /// The connection is broken off.
    pub const RST: u8 = 0x04;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;

    /// Whether any bit of `mask` is set.
    pub fn has(self, mask: u8) -> bool {
        self.0 & mask != 0
    }
}
