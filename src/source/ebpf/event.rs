//! What the kernel's side puts into the ring, as words. Mirrors `struct head` of `ssl.bpf.c`.

use crate::base::PlainId;

/// One call, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Whose.
    pub key: PlainId,
    /// When the call began, nanoseconds of the monotonic clock.
    pub began: i64,
    /// When it returned.
    pub returned: i64,
    /// Whether the connection was seen from its beginning.
    pub born: bool,
    /// What happened.
    pub what: What<'a>,
}

/// What happened on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<'a> {
    /// Plaintext.
    Data {
        /// Whether the process wrote it, or read it.
        written: bool,
        /// Place of its first byte in that direction, since the connection is watched.
        off: u64,
        /// How many bytes.
        len: u32,
        /// The bytes; `None` where they could not be read.
        bytes: Option<&'a [u8]>,
    },
    /// The server name that it asks for.
    Name(&'a [u8]),
    /// Random bytes drawn within a call: one of them is that of its hello.
    Random([u8; 32]),
    /// The handshake is over.
    Handshake,
    /// The socket it was given.
    Socket(u32),
    /// It is given up. Bytes of both directions until then.
    Freed {
        /// Written by the process.
        written: u64,
        /// Read by it.
        read: u64,
    },
}

impl Event<'_> {
    /// From the ring. `None`: not one of ours.
    pub(super) fn read(raw: &[u8]) -> Option<Event<'_>> {
        let (head, rest) = raw.split_at_checked(HEAD)?;
        let u64_at = |at: usize| head.get(at..at + 8)?.try_into().ok().map(u64::from_ne_bytes);
        let u32_at = |at: usize| head.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes);
        let time = |at: usize| u64_at(at).map(|ns| i64::try_from(ns).unwrap_or(i64::MAX));
        let (off, extra, len) = (u64_at(32)?, u64_at(40)?, u32_at(56)?);
        let [kind, dir, born, unread] = head.get(60..64)?.try_into().ok()?;
        let bytes = usize::try_from(len).ok().and_then(|len| rest.get(..len))?;
        let read = unread == 0;
        let what = match kind {
            1 => What::Data { written: dir == 0, off, len, bytes: read.then_some(bytes) },
            2 => What::Name(bytes),
            3 => What::Random(bytes.try_into().ok().filter(|_| read)?),
            4 => What::Handshake,
            5 => What::Socket(u32::try_from(extra).ok()?),
            6 => What::Freed { written: off, read: extra },
            _ => return None,
        };
        let key = PlainId { pid: u32_at(48)?, ssl: u64_at(16)?, generation: u64_at(24)? };
        Some(Event { key, began: time(8)?, returned: time(0)?, born: born != 0, what })
    }
}

/// Bytes of `struct head`.
const HEAD: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(kind: u8, dir: u8, unread: u8, data: &[u8]) -> Vec<u8> {
        let mut raw = Vec::new();
        for word in [7u64, 5, 0x1000, 3, 99, 11] {
            raw.extend(word.to_ne_bytes());
        }
        for word in [42u32, 43, u32::try_from(data.len()).unwrap()] {
            raw.extend(word.to_ne_bytes());
        }
        raw.extend([kind, dir, 1, unread]);
        raw.extend(data);
        // The ring's slots are as large as their class.
        raw.extend([0; 100]);
        raw
    }

    #[test]
    fn events_are_read_as_the_kernel_wrote_them() {
        let data = raw(1, 0, 0, b"GET / HTTP/1.1");
        let event = Event::read(&data).unwrap();
        assert_eq!((event.key, event.began, event.returned, event.born), (PlainId { pid: 42, ssl: 0x1000, generation: 3 }, 5, 7, true));
        assert_eq!(event.what, What::Data { written: true, off: 99, len: 14, bytes: Some(b"GET / HTTP/1.1") });
        assert_eq!(Event::read(&raw(6, 2, 0, b"")).unwrap().what, What::Freed { written: 99, read: 11 });
        assert_eq!(Event::read(&raw(1, 1, 1, b"xy")).unwrap().what, What::Data { written: false, off: 99, len: 2, bytes: None });
    }

    #[test]
    fn what_is_cut_or_unknown_is_none() {
        assert_eq!(Event::read(&raw(9, 0, 0, b"")), None);
        assert_eq!(Event::read(&raw(3, 0, 0, &[1; 31])), None);
        let data = raw(1, 0, 0, b"GET");
        assert!((0..66).all(|n| Event::read(&data[..n]).is_none()));
    }
}
