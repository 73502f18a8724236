//! The first bytes of a connection's side come in; whether it speaks HTTP/2 goes out.

use crate::base::{Limits, Stamp};

use super::frame::{Around, DEFAULT_MAX, Frame, HEADER, HEADERS, PADDED, PREFACE, PRIORITY_FLAG, SETTINGS};
use super::resync::Resync;

/// An answer to "is this HTTP/2?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// It is.
    Yes,
    /// It is not, or nothing shows that it is.
    No,
    /// More bytes are needed.
    More,
}

/// Whether a client's first bytes are the connection preface (RFC 9113, 3.4).
pub(crate) fn sniff_client(bytes: &[u8]) -> Probe {
    let seen = bytes.len().min(PREFACE.len());
    match (PREFACE.starts_with(bytes.get(..seen).unwrap_or_default()), seen == PREFACE.len()) {
        (false, _) => Probe::No,
        (true, true) => Probe::Yes,
        (true, false) => Probe::More,
    }
}

/// Whether a server's first bytes are a SETTINGS frame, which its preface must begin with (RFC 9113, 3.4).
pub(crate) fn sniff_server(bytes: &[u8]) -> Probe {
    let Some(frame) = Frame::parse(bytes) else {
        let begins = [Some(0), None, None, Some(SETTINGS), Some(0), Some(0), Some(0), Some(0)];
        let may_be = bytes.iter().zip(begins).all(|(byte, wanted)| wanted.is_none_or(|wanted| wanted == *byte));
        return if may_be { Probe::More } else { Probe::No };
    };
    let fits = frame.kind == SETTINGS && frame.flags == 0 && frame.stream == 0 && frame.len.is_multiple_of(6) && frame.len <= 600;
    if fits { Probe::Yes } else { Probe::No }
}

/// Whether bytes from the middle of a connection hold a chain of frames. Never [`Probe::No`]: the next bytes may.
pub(crate) fn sniff_frames(bytes: &[u8]) -> Probe {
    if chain(bytes).is_some() { Probe::Yes } else { Probe::More }
}

/// Who sent bytes from the middle of a connection: `Some(true)` for the client, `Some(false)` for the server, `None` where they do
/// not show it. It shows in the first field of a HEADERS frame: pseudo-header fields come first (RFC 9113, 8.3), and those of a
/// request have other places in HPACK's static table than a response's `:status`.
pub(crate) fn sniff_side(bytes: &[u8]) -> Option<bool> {
    let mut rest = bytes.get(chain(bytes)?..)?;
    while let Some(frame) = Frame::parse(rest) {
        let (payload, after) = rest.get(HEADER..)?.split_at_checked(frame.len as usize)?;
        rest = after;
        let skip = usize::from(frame.has(PADDED)) + if frame.has(PRIORITY_FLAG) { 5 } else { 0 };
        if frame.kind == HEADERS
            && let Some(side) = payload.get(skip..).and_then(first_field_side)
        {
            return Some(side);
        }
    }
    None
}

fn first_field_side(block: &[u8]) -> Option<bool> {
    let first = block.iter().find(|byte| **byte & 0xe0 != 0x20)?;
    let index = match *first {
        byte if byte & 0x80 != 0 => byte & 0x7f,
        byte if byte & 0x40 != 0 => byte & 0x3f,
        byte => byte & 0x0f,
    };
    match index {
        1..=7 => Some(true),
        8..=14 => Some(false),
        _ => None,
    }
}

/// Where a chain of frames begins.
fn chain(bytes: &[u8]) -> Option<usize> {
    let mut search = Resync::new();
    // As from a server: that allows what a client may not send.
    let around = Around { from_client: false, max: DEFAULT_MAX, highest: 0, open: &|_| false };
    let (used, found) = search.push(bytes, Stamp::default(), around, &Limits::default())?;
    used.checked_sub(found.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefaces_are_known_as_soon_as_they_can_be() {
        assert_eq!(sniff_client(PREFACE), Probe::Yes);
        assert_eq!(sniff_client(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04"), Probe::Yes);
        assert_eq!(sniff_client(b"P"), Probe::More);
        assert_eq!(sniff_client(b"POST / HTTP/1.1\r\n"), Probe::No);
        assert_eq!(sniff_server(&[0, 0, 6, 4, 0, 0, 0, 0, 0]), Probe::Yes);
        assert_eq!(sniff_server(&[0, 0, 6]), Probe::More);
        assert_eq!(sniff_server(b"HTTP/1.1 200 OK\r\n"), Probe::No);
        assert_eq!(sniff_server(b"HT"), Probe::No);
        assert_eq!(sniff_server(&[0, 0, 7, 4, 0, 0, 0, 0, 0]), Probe::No);
    }

    #[test]
    fn the_middle_of_a_connection_is_known_by_its_frames() {
        let ask = [0, 0, 3, 1, 4, 0, 0, 0, 9, 0x83, 0x86, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 9, b'x'];
        let answer = [0, 0, 1, 1, 4, 0, 0, 0, 9, 0x88, 0, 0, 1, 0, 1, 0, 0, 0, 9, b'x'];
        assert_eq!((sniff_frames(&ask), sniff_side(&ask)), (Probe::Yes, Some(true)));
        assert_eq!((sniff_frames(&answer), sniff_side(&answer)), (Probe::Yes, Some(false)));
        assert_eq!((sniff_frames(b"GET / HTTP/1.1\r\n\r\n"), sniff_side(b"GET / HTTP/1.1\r\n\r\n")), (Probe::More, None));
    }
}
