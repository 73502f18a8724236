//! What a source hands to the road, one thing at a time.

use std::net::IpAddr;

use crate::base::{Stamp, Ts};
use crate::capfile::{Comments, Damage};

/// One thing that was captured, borrowed from its source until the next is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A packet.
    Packet(Packet<'a>),
    /// The text of an NSS key log. [`crate::source::Ahead::is_news`] knows whether it was read ahead.
    Secrets {
        /// Index into the list of files.
        file: u16,
        /// The text.
        text: &'a [u8],
    },
    /// Addresses and names that the capturing machine knew.
    Names(&'a [(IpAddr, String)]),
    /// A comment on a file, not on a packet.
    Comment {
        /// Index into the list of files.
        file: u16,
        /// UTF-8, if its writer kept to the rules.
        text: &'a [u8],
    },
    /// The capturing machine lost packets that nobody had told of yet.
    Drops {
        /// Index into the list of files.
        file: u16,
        /// The interface, as in [`Packet::iface`].
        iface: u32,
        /// When that was known; a dropped-packets count on a packet bears that packet's time.
        ts: Ts,
        /// How many.
        lost: u64,
    },
    /// A file could not be read at some place, and is read on behind it where that makes sense.
    Damage {
        /// Index into the list of files.
        file: u16,
        /// Where and what.
        damage: &'a Damage,
    },
}

/// A captured packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Its place in the input, its time (by the first file's clock), its frame number and file.
    pub stamp: Stamp,
    /// The LINKTYPE value.
    pub link: u16,
    /// The interface: its number in the file, and in the upper sixteen bits which capture point the file is of.
    pub iface: u32,
    /// The bytes that were kept.
    pub data: &'a [u8],
    /// How long it was on the wire.
    pub orig_len: u32,
    /// Comments on it.
    pub comments: Comments<'a>,
}
