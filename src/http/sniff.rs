//! The first bytes of a stretch come in, what they begin goes out: a request, a response, HTTP/2, or none of these.

/// What bytes begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An HTTP/1.x request line.
    Request,
    /// An HTTP/1.x status line.
    Response,
    /// HTTP/2: the sender is the client.
    H2Client,
    /// HTTP/2: the sender is the server.
    H2Server,
    /// Too few bytes to tell.
    More,
    /// None of these.
    No,
}

/// At the beginning of a stream, where empty lines may come first (RFC 9112, 2.2).
pub(super) fn beginning(bytes: &[u8]) -> Kind {
    let empty = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let bytes = bytes.get(empty..).unwrap_or_default();
    match settings(bytes) {
        Kind::No => start(bytes),
        kind => kind,
    }
}

/// Where a message may begin, in a stream whose beginning was not seen.
pub(super) fn anywhere(bytes: &[u8]) -> Kind {
    match start(bytes) {
        Kind::Request => request_anywhere(bytes),
        kind => kind,
    }
}

fn start(bytes: &[u8]) -> Kind {
    let preface = bytes.len().min(PREFACE.len());
    if bytes.get(..preface) == PREFACE.get(..preface) && bytes.starts_with(b"PRI") {
        return if preface == PREFACE.len() { Kind::H2Client } else { Kind::More };
    }
    match response(bytes) {
        Kind::No => request(bytes),
        kind => kind,
    }
}

/// A status line (RFC 9112, 4): `HTTP/1.x`, space, three digits, space or end of line.
pub(super) fn response(bytes: &[u8]) -> Kind {
    for (i, b) in bytes.iter().take(13).enumerate() {
        let right = match i {
            7 => matches!(b, b'0' | b'1'),
            9 => matches!(b, b'1'..=b'9'),
            10 | 11 => b.is_ascii_digit(),
            12 => matches!(b, b' ' | b'\r' | b'\n'),
            _ => b"HTTP/1.1 ".get(i) == Some(b),
        };
        if !right {
            return Kind::No;
        }
    }
    if bytes.len() >= 13 { Kind::Response } else { Kind::More }
}

/// A request line (RFC 9112, 3): token, space, target without spaces, space, `HTTP/1.x`, end of line. Told only by the whole line.
pub(super) fn request(bytes: &[u8]) -> Kind {
    let method = bytes.iter().take(METHOD + 1).take_while(|b| is_token(**b)).count();
    if method > METHOD || bytes.get(method).is_some_and(|b| *b != b' ') || (method == 0 && !bytes.is_empty()) {
        return Kind::No;
    }
    let Some(target) = bytes.get(method + 1..) else { return Kind::More };
    match target.first() {
        Some(b) if !(b.is_ascii_alphanumeric() || matches!(b, b'/' | b'*' | b'[')) => return Kind::No,
        _ => {}
    }
    let Some(feed) = memchr::memchr(b'\n', target) else { return Kind::More };
    let line = target.get(..feed).unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let version = line.strip_suffix(b" HTTP/1.1").or_else(|| line.strip_suffix(b" HTTP/1.0"));
    match version {
        Some(target) if !target.is_empty() && target.iter().all(|b| *b > b' ' && *b != 0x7f) => Kind::Request,
        _ => Kind::No,
    }
}

/// A request line behind a hole, which may have swallowed the beginning of its method: only methods of which none ends another are believed.
pub(super) fn request_anywhere(bytes: &[u8]) -> Kind {
    let known = memchr::memchr(b' ', bytes.get(..METHOD).unwrap_or(bytes)).and_then(|end| bytes.get(..end));
    if known.is_some_and(|method| METHODS.contains(&method)) { request(bytes) } else { Kind::No }
}

/// A request line where a body is as likely: only methods that are known are believed.
pub(super) fn request_by_name(bytes: &[u8]) -> Kind {
    let named = |method: &&[u8]| match bytes.split_at_checked(method.len()) {
        Some((start, rest)) => start == *method && rest.first().is_none_or(|next| *next == b' '),
        None => method.starts_with(bytes),
    };
    if METHODS.iter().any(named) { request(bytes) } else { Kind::No }
}

/// HTTP/2 frames whose connection's beginning was not seen (RFC 9113, 4.1): told only by a HEADERS frame whose first field is a
/// pseudo-header that the static table names, since nothing else says which side is the client.
pub(super) fn frames(bytes: &[u8]) -> Kind {
    let mut rest = bytes;
    for _ in 0..FRAMES {
        let Some((head, tail)) = rest.split_at_checked(9) else { return Kind::No };
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = head else { return Kind::No };
        let len = usize::from(*l0) << 16 | usize::from(*l1) << 8 | usize::from(*l2);
        let stream = u32::from_be_bytes([*s0, *s1, *s2, *s3]);
        let fits = match kind {
            0 | 1 | 5 | 9 => stream != 0,
            2 => stream != 0 && len == 5,
            3 => stream != 0 && len == 4,
            4 => stream == 0 && len % 6 == 0,
            6 => stream == 0 && len == 8,
            7 => stream == 0 && len >= 8,
            8 => len == 4,
            _ => false,
        };
        if !fits || len > 16_384 || stream >> 31 != 0 {
            return Kind::No;
        }
        if *kind == 1 && *flags & 0xd2 == 0 {
            let skip = usize::from(*flags & 0x08 != 0) + if *flags & 0x20 != 0 { 5 } else { 0 };
            return match tail.get(skip) {
                // :authority, :method, :path, :scheme; indexed, or literal with such a name
                Some(0x81..=0x87 | 0x41..=0x47 | 0x01..=0x07 | 0x11..=0x17) => Kind::H2Client,
                Some(0x88..=0x8e | 0x48..=0x4e | 0x08..=0x0e | 0x18..=0x1e) => Kind::H2Server,
                _ => Kind::No,
            };
        }
        match tail.get(len..) {
            Some(next) => rest = next,
            None => return Kind::No,
        }
    }
    Kind::No
}

/// A server's connection preface is a SETTINGS frame (RFC 9113, 3.4).
fn settings(bytes: &[u8]) -> Kind {
    for (i, b) in bytes.iter().take(9).enumerate() {
        let right = match i {
            2 => b % 6 == 0 && *b <= 96,
            3 => *b == 4,
            _ => *b == 0,
        };
        if !right {
            return Kind::No;
        }
    }
    if bytes.len() >= 9 { Kind::H2Server } else { Kind::More }
}

/// `tchar` (RFC 9110, 5.6.2).
pub(super) fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// Longer methods are none.
const METHOD: usize = 32;
/// RFC 9110, 9.3; RFC 5789; the QUERY method.
const METHODS: &[&[u8]] = &[b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"QUERY"];
/// Frames looked at before giving up.
const FRAMES: usize = 16;
/// RFC 9113, 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_are_told_apart_and_never_before_time() {
        for (text, kind) in [
            ("POST /mcp HTTP/1.1\r\n", Kind::Request),
            ("CONNECT up:443 HTTP/1.1\n", Kind::Request),
            ("\r\n\nGET / HTTP/1.1\r\n", Kind::Request),
            ("OPTIONS * HTTP/1.0\r\n", Kind::Request),
            ("HTTP/1.1 200 ", Kind::Response),
            ("HTTP/1.0 404\r", Kind::Response),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Kind::H2Client),
            ("\0\0\x12\x04\0\0\0\0\0", Kind::H2Server),
        ] {
            assert_eq!(beginning(text.as_bytes()), kind, "{text:?}");
            for cut in 0..text.len() {
                assert_eq!(beginning(&text.as_bytes()[..cut]), Kind::More, "{text:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn other_things_are_refused() {
        for text in [
            "SSH-2.0-OpenSSH\r\n",
            "220 mail ESMTP\r\n",
            "\x16\x03\x01",
            "GET /\r\n",
            "GET  / HTTP/1.1\r\n",
            "GET / HTTP/1.2\r\n",
            "HTTP/1.1 99 X",
            "HTTP/2 200 \r\n",
            "{\"a\":1}",
            "data: x\n\n",
            "GET /a b HTTP/1.1\r\n",
            "ICY 200 OK\r\n",
        ] {
            assert_eq!(beginning(text.as_bytes()), Kind::No, "{text:?}");
        }
    }

    #[test]
    fn frames_in_mid_connection_name_their_sender() {
        let frame = |kind, flags, stream, payload: &[u8]| {
            let mut out = vec![0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream];
            out.extend_from_slice(payload);
            out
        };
        assert_eq!(frames(&frame(1, 4, 5, &[0x83, 0x86])), Kind::H2Client);
        assert_eq!(frames(&frame(1, 4, 5, &[0x88])), Kind::H2Server);
        let both = [frame(8, 0, 0, &[0, 0, 1, 0]), frame(1, 0x24, 5, &[0, 0, 0, 0, 9, 0x41])].concat();
        assert_eq!(frames(&both), Kind::H2Client);
        assert_eq!(frames(&frame(1, 4, 5, &[0xbe])), Kind::No);
        assert_eq!(frames(b"POST / HTTP/1.1\r\n"), Kind::No);
    }
}
