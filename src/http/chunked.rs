//! Bytes of a chunked body come in, its data goes out (RFC 9112, 7.1). Extensions and trailers are passed over.

/// Where in the framing the next byte belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunked {
    at: At,
    /// Bytes of chunk extensions and trailers passed over since the last data: bounded.
    idle: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In the digits of a size, with so many of them.
    Size { digits: u8, value: u64 },
    /// After the size, up to the line's end. `extension`: a `;` was seen.
    Line { value: u64, extension: bool },
    /// In a chunk's data.
    Data(u64),
    /// After it, where CRLF is due. `true`: CR was seen.
    AfterData(bool),
    /// In the trailer section; whether the line so far is empty.
    Trailer { empty: bool },
}

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// Data.
    Data(&'a [u8]),
    /// All bytes are used up.
    More,
    /// The body is over; the bytes after it are left.
    Done,
    /// This is no chunked body.
    Wrong,
}

impl Chunked {
    /// Before the first chunk.
    pub(super) fn new() -> Chunked {
        Chunked { at: SIZE, idle: 0 }
    }

    /// The next stretch of `bytes`, which moves on. Framing that is no data may not be longer than `limit` at a time.
    pub(super) fn step<'a>(&mut self, bytes: &mut &'a [u8], limit: usize) -> Step<'a> {
        loop {
            if let At::Data(left) = self.at {
                self.idle = 0;
                let n = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let Some((data, rest)) = bytes.split_at_checked(n) else { return Step::More };
                *bytes = rest;
                let left = left.saturating_sub(n as u64);
                self.at = if left == 0 { At::AfterData(false) } else { At::Data(left) };
                return if data.is_empty() { Step::More } else { Step::Data(data) };
            }
            let Some((byte, rest)) = bytes.split_first() else { return Step::More };
            *bytes = rest;
            self.idle += 1;
            if self.idle as usize > limit {
                return Step::Wrong;
            }
            self.at = match (self.at, byte) {
                (At::Size { digits, value }, b) if b.is_ascii_hexdigit() => {
                    if digits >= 16 {
                        return Step::Wrong;
                    }
                    let digit = char::from(*b).to_digit(16).unwrap_or(0);
                    At::Size { digits: digits + 1, value: value << 4 | u64::from(digit) }
                }
                (At::Size { digits: 0, .. }, _) => return Step::Wrong,
                (At::Size { value, .. } | At::Line { value, .. }, b'\n') => match value {
                    0 => At::Trailer { empty: true },
                    _ => At::Data(value),
                },
                (At::Size { value, .. }, b' ' | b'\t' | b'\r') => At::Line { value, extension: false },
                (At::Size { value, .. } | At::Line { value, .. }, b';') => At::Line { value, extension: true },
                (At::Line { value, extension: false }, b' ' | b'\t' | b'\r') => At::Line { value, extension: false },
                (At::Line { value, extension: true }, _) => At::Line { value, extension: true },
                (At::AfterData(false), b'\r') => At::AfterData(true),
                (At::AfterData(_), b'\n') => SIZE,
                (At::Trailer { empty: true }, b'\n') => return Step::Done,
                (At::Trailer { .. }, b'\n') => At::Trailer { empty: true },
                (At::Trailer { empty }, b'\r') => At::Trailer { empty },
                (At::Trailer { .. }, _) => At::Trailer { empty: false },
                _ => return Step::Wrong,
            };
        }
    }

    /// Whether a hole of `len` bytes lies wholly within the current chunk's data; then it is passed over.
    pub(super) fn skip(&mut self, len: u64) -> bool {
        match self.at {
            At::Data(left) if len <= left => {
                self.at = if len == left { At::AfterData(false) } else { At::Data(left - len) };
                true
            }
            _ => false,
        }
    }
}

const SIZE: At = At::Size { digits: 0, value: 0 };

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The data, the end (if any) and the number of bytes left over.
    fn read(body: &[u8], cuts: &[usize]) -> (Vec<u8>, Option<bool>, usize) {
        let (mut chunked, mut data, mut from) = (Chunked::new(), Vec::new(), 0);
        for cut in cuts.iter().copied().chain([body.len()]) {
            let cut = cut.clamp(from, body.len());
            let mut bytes = &body[from..cut];
            from = cut;
            loop {
                match chunked.step(&mut bytes, 1000) {
                    Step::Data(part) => data.extend_from_slice(part),
                    Step::More => break,
                    Step::Done => return (data, Some(true), bytes.len() + body.len() - from),
                    Step::Wrong => return (data, Some(false), 0),
                }
            }
        }
        (data, None, 0)
    }

    const HARD: &[u8] = b"5;name=\"a;b\"\r\nhello\r\n1 \t;x\r\n \r\nA\n0123456789\n000\r\nTrailer: x\r\n\r\nNEXT";

    #[test]
    fn extensions_trailers_and_bare_line_feeds() {
        assert_eq!(read(HARD, &[]), (b"hello 0123456789".to_vec(), Some(true), 4));
        assert_eq!(read(b"0\r\n\r\n", &[]), (vec![], Some(true), 0));
        assert_eq!(read(b"5\r\nhel", &[]), (b"hel".to_vec(), None, 0));
    }

    #[test]
    fn what_is_no_size_is_wrong() {
        for wrong in ["\r\n", "x\r\n", "-1\r\n", "5 5\r\n", "11111111111111111\r\n", "5\r\nhelloX", "0x5\r\n", ";a\r\n"] {
            assert_eq!(read(wrong.as_bytes(), &[]).1, Some(false), "{wrong:?}");
        }
        assert_eq!(read(format!("5;{}", "x".repeat(1000)).as_bytes(), &[]).1, Some(false));
    }

    #[test]
    fn a_hole_is_passed_over_only_within_data() {
        let mut chunked = Chunked::new();
        assert!(!chunked.skip(1));
        let mut bytes: &[u8] = b"a\r\n01";
        assert_eq!(chunked.step(&mut bytes, 100), Step::Data(b"01"));
        assert!(!chunked.skip(9));
        assert!(chunked.skip(3));
        assert!(chunked.skip(5));
        assert!(!chunked.skip(1));
        let mut rest: &[u8] = b"\r\n0\r\n\r\n";
        assert_eq!(chunked.step(&mut rest, 100), Step::Done);
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(mut cuts in proptest::collection::vec(0..HARD.len(), 0..8)) {
            cuts.sort_unstable();
            prop_assert_eq!(read(HARD, &cuts), read(HARD, &[]));
        }

        #[test]
        fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            read(&body, &[]);
        }
    }
}
