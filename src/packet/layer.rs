//! What may stand in a frame, and how far the frame has been peeled. Each layer's own file says what comes next.

use crate::base::{Addr, Count};

/// A layer that can be peeled, named by what its first byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    Ethernet,
    /// The two bytes that say what follows were already read.
    EtherType(u16),
    Null,
    Sll,
    Sll2,
    Ppp,
    PppSerial,
    Pppoe,
    Mpls,
    /// IPv4 or IPv6, as the first four bits say.
    Ip,
    /// What an IP header announced by number.
    IpNumber(u8),
    Gre,
    Vxlan,
    Geneve,
}

/// What is left of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest<'a> {
    /// The bytes that the capture holds.
    pub(super) bytes: &'a [u8],
    /// How many more followed them on the wire.
    pub(super) missing: usize,
}

impl<'a> Rest<'a> {
    /// Takes a header of `N` bytes off. A header that is not whole is [`Count::BadPacket`].
    #[inline(always)]
    pub(super) fn take<const N: usize>(self) -> Result<(&'a [u8; N], Rest<'a>), Count> {
        let (head, bytes) = self.bytes.split_first_chunk().ok_or(Count::BadPacket)?;
        Ok((head, Rest { bytes, ..self }))
    }

    /// Passes over `n` bytes.
    #[inline(always)]
    pub(super) fn skip(self, n: usize) -> Result<Rest<'a>, Count> {
        Ok(Rest { bytes: self.bytes.get(n..).ok_or(Count::BadPacket)?, ..self })
    }

    /// What a header says about the length of all that follows: padding goes, a cut becomes known.
    #[inline(always)]
    pub(super) fn limit(self, len: usize) -> Rest<'a> {
        match self.bytes.get(..len) {
            Some(bytes) => Rest { bytes, missing: 0 },
            None => Rest { bytes: self.bytes, missing: len.saturating_sub(self.bytes.len()) },
        }
    }
}

/// The addresses of the innermost IP header so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Ends {
    #[default]
    Unknown,
    V4([u8; 4], [u8; 4]),
    V6([u8; 16], [u8; 16]),
}

impl Ends {
    /// Sender and receiver, once the ports are known.
    #[inline(always)]
    pub(super) fn with_ports(&self, from: u16, to: u16) -> Option<(Addr, Addr)> {
        match *self {
            Ends::Unknown => None,
            Ends::V4(src, dst) => Some((Addr::v4(src, from), Addr::v4(dst, to))),
            Ends::V6(src, dst) => Some((Addr::v6(src, from), Addr::v6(dst, to))),
        }
    }
}
