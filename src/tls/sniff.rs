//! First bytes of a connection's direction come in; whether they are TLS goes out.

use super::record::{HEAD, Head, LONGEST, kind};

/// What bytes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The beginning of a handshake.
    Hello,
    /// Records of a connection that was open before; the first of them may begin later than the bytes.
    Records,
    /// More bytes are needed.
    Unsure,
    /// Not TLS.
    No,
}

/// Looks at the first bytes of a direction. With 40 KiB of them the answer is never [`Probe::Unsure`].
pub fn sniff(bytes: &[u8]) -> Probe {
    let Some(head) = Head::of(bytes) else {
        let begins = bytes.first().is_none_or(|kind| (20..=23).contains(kind)) && bytes.get(1).is_none_or(|major| *major == 3);
        return if begins || !is_text(bytes) { Probe::Unsure } else { Probe::No };
    };
    // RFC 8446, section 5.1: a handshake record is not empty; its first message is a ClientHello or a ServerHello.
    if head.is_legal() && head.kind == kind::HANDSHAKE && head.len >= 4 {
        return match bytes.get(HEAD) {
            None => Probe::Unsure,
            Some(1 | 2) => Probe::Hello,
            Some(_) => Probe::Records,
        };
    }
    if head.is_likely() || head.is_legal() && head.kind == kind::ALERT && head.len == 2 {
        return Probe::Records;
    }
    if is_text(bytes) {
        return Probe::No;
    }
    let chained = |from: usize| {
        let rest = bytes.get(from..).unwrap_or(&[]);
        let next = Head::of(rest).filter(|head| head.is_likely()).and_then(|head| Head::of(rest.get(head.whole()..)?));
        next.is_some_and(Head::is_likely)
    };
    if (1..bytes.len().min(LONGEST.saturating_add(HEAD))).any(chained) {
        return Probe::Records;
    }
    if bytes.len() > 2 * (LONGEST + HEAD) { Probe::No } else { Probe::Unsure }
}

/// Whether it begins as no sealed bytes do: sixteen bytes of text.
fn is_text(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().take(16).all(|byte| matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_are_told_apart() {
        assert_eq!(sniff(b"\x16\x03\x01\x02\x00\x01\x00"), Probe::Hello);
        assert_eq!(sniff(b"\x16\x03\x03\x00\x7a\x02"), Probe::Hello);
        assert_eq!(sniff(b"\x16\x03"), Probe::Unsure);
        assert_eq!(sniff(b"\x17\x03\x03\x00\x7aabc"), Probe::Records);
        assert_eq!(sniff(b"\x15\x03\x01\x00\x02\x02\x28"), Probe::Records);
        assert_eq!(sniff(b"GET / HTTP/1.1\r\n"), Probe::No);
        assert_eq!(sniff(b"PRI * HTTP/2.0\r\n"), Probe::No);
        assert_eq!(sniff(b"GE"), Probe::No);
        assert_eq!(sniff(b""), Probe::Unsure);
    }

    #[test]
    fn a_chain_of_records_is_found_behind_the_rest_of_one() {
        let mut bytes = vec![0xa5; 3000];
        bytes.extend_from_slice(&[23, 3, 3, 0, 100]);
        assert_eq!(sniff(&bytes), Probe::Unsure);
        bytes.resize(3105, 7);
        bytes.extend_from_slice(&[23, 3, 3, 0, 100]);
        assert_eq!(sniff(&bytes), Probe::Records);
        assert_eq!(sniff(&[0xa5; 40_000]), Probe::No);
    }
}
