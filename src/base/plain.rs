//! Plaintext that was read where a process handed it to its TLS library: what travels from the source to the engine.

use super::Addr;

/// A connection of a process: the library's pointer, and which use of that pointer (pointers are used again at once).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlainId {
    /// The process.
    pub pid: u32,
    /// The pointer.
    pub ssl: u64,
    /// Which use of it.
    pub generation: u64,
}

/// Something that a process did with a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Which connection.
    pub id: PlainId,
    /// Whether it was seen from its beginning.
    pub born: bool,
    /// What was done.
    pub word: Word,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Plaintext, or a stretch of it that could not be read.
    Bytes {
        /// Written by the process, or read by it.
        written: bool,
        /// Place of its first byte in its direction.
        off: u64,
        /// How many bytes.
        len: u64,
        /// The bytes, unless they could not be read.
        bytes: Option<Vec<u8>>,
    },
    /// The server name that it asks for.
    Name(String),
    /// Random bytes that it drew: one such draw is the random of its hello, which the packets show.
    Random([u8; 32]),
    /// The socket's ends: its own, the other.
    Ends(Addr, Addr),
    /// It is given up; bytes of both directions until then.
    Freed {
        /// Written by the process.
        written: u64,
        /// Read by it.
        read: u64,
    },
    /// Its process is gone.
    Gone,
}
