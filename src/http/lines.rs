//! Bytes come in, the end of a head goes out, each byte looked at once however the head is cut. Also mends heads that are
//! obsolete or sloppy, so that the parser takes them.

/// Where the search for the empty line stands, in a buffer that only grows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Search {
    line: usize,
    seen: usize,
}

impl Search {
    /// The offset after the empty line (RFC 9112, 2.1), which bare LF may end as well (2.2).
    pub(super) fn end_of_head(&mut self, buf: &[u8]) -> Option<usize> {
        while let Some(found) = buf.get(self.seen..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            let feed = self.seen + found;
            let line = buf.get(self.line..feed).unwrap_or_default();
            self.seen = feed + 1;
            self.line = self.seen;
            if line.is_empty() || line == b"\r" {
                return Some(self.seen);
            }
        }
        self.seen = buf.len();
        None
    }
}

/// A head whose parse failed, made strict: folded lines become spaces (RFC 9112, 5.2: obsolete), space between name and colon goes (5.1),
/// and so does a line that is no field at all: whoever answered such a head has read past it.
pub(super) fn mend(head: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(head.len() + 2);
    for (i, line) in head.split_inclusive(|b| *b == b'\n').enumerate() {
        let text = line.trim_ascii_end();
        if i > 0 && line.starts_with(b" ") | line.starts_with(b"\t") && !text.is_empty() {
            while out.last().is_some_and(|b| matches!(b, b'\r' | b'\n')) {
                out.pop();
            }
            out.push(b' ');
            out.extend_from_slice(text.trim_ascii_start());
        } else if let Some(colon) = memchr::memchr(b':', text).filter(|_| i > 0) {
            let (name, value) = text.split_at_checked(colon).unwrap_or((text, b""));
            out.extend_from_slice(name.trim_ascii_end());
            out.extend_from_slice(value);
        } else if i == 0 || text.is_empty() {
            out.extend_from_slice(text);
        } else {
            continue;
        }
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_however_it_is_cut() {
        for (head, end) in
            [("GET / HTTP/1.1\r\nA: b\r\n\r\nbody", 24), ("GET / HTTP/1.1\nA: b\n\nbody", 21), ("a\r\n\n", 4), ("a\n\r\n", 4)]
        {
            for cut in 0..=head.len() {
                let mut search = Search::default();
                let found = search.end_of_head(&head.as_bytes()[..cut]).or_else(|| search.end_of_head(head.as_bytes()));
                assert_eq!(found, Some(end), "{head:?} cut at {cut}");
            }
        }
        assert_eq!(Search::default().end_of_head(b"GET / HTTP/1.1\r\nA: b\r\n"), None);
    }

    #[test]
    fn obsolete_folding_and_loose_colons_are_mended() {
        let mended = mend(b"GET / HTTP/1.1\r\nHost : a\nX: one\r\n\ttwo\r\n  three \r\n\r\n");
        assert_eq!(String::from_utf8(mended).unwrap(), "GET / HTTP/1.1\r\nHost: a\r\nX: one two three\r\n\r\n");
    }
}
