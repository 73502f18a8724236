//! What a capture file says, one block at a time.

use std::fmt;
use std::net::IpAddr;

use super::comment::Comments;
use crate::base::Ts;

/// One thing that a capture file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block<'a> {
    /// A captured packet.
    Packet(Packet<'a>),
    /// The text of an NSS key log, from a Decryption Secrets Block.
    Secrets(&'a [u8]),
    /// Addresses and their names, from a Name Resolution Block.
    Names(&'a [(IpAddr, String)]),
    /// What the capturing machine counted on one interface.
    Stats(Stats),
    /// A comment on the section, an interface or another block that is no packet. UTF-8 if its writer kept to the rules.
    Comment(&'a [u8]),
    /// Bytes that could not be read; the blocks after it were found again behind them.
    Damage(&'a Damage),
}

/// A captured packet, borrowed from the read buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Its time. Simple Packet Blocks have none and get that of the packet before them.
    pub ts: Ts,
    /// The LINKTYPE value of the interface it was captured on.
    pub link: u16,
    /// Number of the interface, from 0 over the whole file (a pcapng section starts its own numbers again, this does not).
    pub iface: u32,
    /// The bytes that were kept.
    pub data: &'a [u8],
    /// How long it was on the wire.
    pub orig_len: u32,
    /// Comments on it.
    pub comments: Comments<'a>,
    /// Packets that the capturing machine lost on this interface between the one before and this one (`epb_dropcount`).
    pub dropped: u64,
}

/// An Interface Statistics Block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Number of the interface, as in [`Packet::iface`].
    pub iface: u32,
    /// When the count was taken.
    pub ts: Ts,
    /// When counting began (`isb_starttime`). Files of one `dumpcap -b` run share it.
    pub since: Option<Ts>,
    /// Packets lost since then: by the interface (`isb_ifdrop`) and by the system (`isb_osdrop`).
    pub dropped: u64,
}

/// A place where the file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Byte offset where it begins, in the uncompressed file.
    pub offset: u64,
    /// What is wrong there.
    pub what: Flaw,
    /// Bytes that were passed over to the next block that makes sense, or to the end.
    pub skipped: u64,
}

/// What can be wrong with a capture file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The file ends in the middle of a header, a record or a block.
    Truncated,
    /// A length that no writer can have meant.
    Length(u32),
    /// A record or block whose fields contradict each other.
    Malformed,
    /// A packet on an interface that was never described.
    Interface(u32),
    /// More interfaces than are kept.
    Interfaces,
    /// The bytes themselves could not be had: the disk, or the compressed stream around them.
    Unreadable(String),
    /// So many places are damaged that the rest was not tried.
    GivenUp,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Truncated => write!(f, "cut short in the middle of a block"),
            Flaw::Length(len) => write!(f, "a block that claims {len} bytes"),
            Flaw::Malformed => write!(f, "a block that contradicts itself"),
            Flaw::Interface(id) => write!(f, "a packet of interface {id}, which is not described"),
            Flaw::Interfaces => write!(f, "more interfaces than are kept"),
            Flaw::Unreadable(why) => write!(f, "cannot be read: {why}"),
            Flaw::GivenUp => write!(f, "too many damaged places, the rest was not tried"),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.offset)?;
        if self.skipped > 0 {
            write!(f, " ({} bytes passed over)", self.skipped)?;
        }
        Ok(())
    }
}
