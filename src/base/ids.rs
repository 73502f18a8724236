//! Names for connections and exchanges that do not depend on threads or tables.

/// A connection: the `ord` of the packet that opened it (one packet opens at most one connection).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// An exchange: its connection, and its place there (request number from 0; HTTP/2: order of the streams' HEADERS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExId {
    /// The connection it runs on.
    pub conn: ConnId,
    /// 0 for the connection's first request.
    pub n: u32,
}

impl ExId {
    /// None comes after it.
    pub const LAST: ExId = ExId { conn: ConnId(u64::MAX), n: u32::MAX };
}

/// One direction of a connection, named by its sides: `a` opened it where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dir {
    /// From side a to side b.
    AtoB,
    /// From side b to side a.
    BtoA,
}

impl Dir {
    /// The other direction.
    pub fn flip(self) -> Dir {
        match self {
            Dir::AtoB => Dir::BtoA,
            Dir::BtoA => Dir::AtoB,
        }
    }

    /// 0 or 1, to index a pair of things, one for each direction.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// How the plaintext was come by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    /// It was plain in the packets.
    #[default]
    Packets,
    /// Decrypted with a key log or a capture's decryption secrets.
    TlsKeylog,
    /// Read at OpenSSL's own calls.
    TlsEbpf,
}

impl Via {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Via::Packets => "packets",
            Via::TlsKeylog => "tls-keylog",
            Via::TlsEbpf => "tls-ebpf",
        }
    }
}
