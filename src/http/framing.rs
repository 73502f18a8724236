//! Header fields come in, how long the body is goes out (RFC 9112, 6.3).

use super::Field;

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// There is none.
    Empty,
    /// So many bytes.
    Bytes(u64),
    /// Where its last chunk says so.
    Chunked,
    /// Where the connection ends.
    Close,
    /// It cannot be known: the sender contradicts itself.
    Unknown,
}

/// What the fields say of framing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Framing {
    length: Declared,
    coded: Transfer,
    /// `Upgrade` names HTTP/2 without TLS (RFC 7540, 3.2).
    pub(super) h2c: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub(super) expects: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Declared {
    #[default]
    None,
    Bytes(u64),
    Wrong,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Transfer {
    #[default]
    None,
    /// The last coding is chunked.
    Chunked,
    /// It is another one.
    Other,
}

impl Framing {
    /// Reads the few fields that count.
    pub(super) fn read(fields: &[Field<'_>]) -> Framing {
        let mut framing = Framing::default();
        for field in fields {
            let (Some(name), Some(value)) = (field.name, field.value) else { continue };
            let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
            match name.len() {
                14 if is("content-length") => framing.content_length(value),
                17 if is("transfer-encoding") => {
                    // Fields of one name are one list (RFC 9110, 5.3): the last coding of the last field counts.
                    let last = value.rsplit(|b| *b == b',').map(<[u8]>::trim_ascii).find(|coding| !coding.is_empty());
                    if let Some(last) = last {
                        framing.coded = if last.eq_ignore_ascii_case(b"chunked") { Transfer::Chunked } else { Transfer::Other };
                    }
                }
                7 if is("upgrade") => framing.h2c |= list(value).any(|protocol| protocol.eq_ignore_ascii_case(b"h2c")),
                6 if is("expect") => framing.expects |= list(value).any(|what| what.eq_ignore_ascii_case(b"100-continue")),
                _ => {}
            }
        }
        framing
    }

    /// Of a request's body.
    pub(super) fn of_request(&self) -> Length {
        match (self.coded, self.length) {
            (Transfer::Chunked, _) => Length::Chunked, // overrides Content-Length (RFC 9112, 6.3, rule 3)
            (Transfer::Other, _) | (_, Declared::Wrong) => Length::Unknown,
            (_, Declared::Bytes(0) | Declared::None) => Length::Empty,
            (_, Declared::Bytes(n)) => Length::Bytes(n),
        }
    }

    /// Of a final response's body. `head`: the request was HEAD.
    pub(super) fn of_response(&self, status: u16, head: bool) -> Length {
        match (self.coded, self.length) {
            _ if head || status < 200 || status == 204 || status == 304 => Length::Empty,
            (Transfer::Chunked, _) => Length::Chunked,
            (Transfer::Other, _) | (_, Declared::None) => Length::Close,
            (_, Declared::Wrong) => Length::Unknown,
            (_, Declared::Bytes(0)) => Length::Empty,
            (_, Declared::Bytes(n)) => Length::Bytes(n),
        }
    }

    /// `5, 5` and the same field twice are one number; anything else that is not one number is wrong (RFC 9112, 6.3, rule 5).
    fn content_length(&mut self, value: &[u8]) {
        for one in value.split(|b| *b == b',') {
            self.length = match (self.length, number(one.trim_ascii())) {
                (Declared::None, Some(n)) => Declared::Bytes(n),
                (Declared::Bytes(before), Some(n)) if before == n => self.length,
                _ => Declared::Wrong,
            };
        }
    }
}

/// `1*DIGIT`, nothing else.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 {
        return None;
    }
    value.iter().try_fold(0u64, |n, b| b.is_ascii_digit().then(|| n * 10 + u64::from(b - b'0')))
}

fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b',').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(fields: &[(&str, &str)]) -> Framing {
        let fields: Vec<_> = fields.iter().map(|(n, v)| Field { name: Some(n.as_bytes()), value: Some(v.as_bytes()) }).collect();
        Framing::read(&fields)
    }

    #[test]
    fn the_rules_of_rfc_9112_6_3() {
        assert_eq!(framing(&[]).of_request(), Length::Empty);
        assert_eq!(framing(&[]).of_response(200, false), Length::Close);
        let five = framing(&[("Content-Length", " 5 ")]);
        assert_eq!(five.of_request(), Length::Bytes(5));
        assert_eq!(five.of_response(200, true), Length::Empty);
        for status in [100, 204, 304] {
            assert_eq!(five.of_response(status, false), Length::Empty);
        }
        let both = framing(&[("content-length", "5"), ("Transfer-Encoding", "gzip, Chunked")]);
        assert_eq!((both.of_request(), both.of_response(200, false)), (Length::Chunked, Length::Chunked));
        let not_last = framing(&[("transfer-encoding", "chunked"), ("transfer-encoding", "gzip")]);
        assert_eq!((not_last.of_request(), not_last.of_response(200, false)), (Length::Unknown, Length::Close));
    }

    #[test]
    fn lengths_that_contradict_each_other_are_no_lengths() {
        assert_eq!(framing(&[("content-length", "5, 5"), ("content-length", "5")]).of_request(), Length::Bytes(5));
        for wrong in ["5, 6", "-1", "+5", "5 5", "", "0x5", "99999999999999999999", "5,"] {
            assert_eq!(framing(&[("content-length", wrong)]).of_request(), Length::Unknown, "{wrong}");
            assert_eq!(framing(&[("content-length", wrong)]).of_response(200, false), Length::Unknown, "{wrong}");
        }
        assert_eq!(framing(&[("content-length", "1000000000000000000")]).of_request(), Length::Bytes(1_000_000_000_000_000_000));
    }

    #[test]
    fn upgrades_and_expectations() {
        assert!(framing(&[("Upgrade", "websocket, h2c")]).h2c);
        assert!(!framing(&[("Upgrade", "websocket")]).h2c);
        assert!(framing(&[("Expect", "100-Continue")]).expects);
    }
}
