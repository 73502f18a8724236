//! Handshake bytes come in; what the few messages that matter say goes out. Knows no records and no keys.

use tls_parser::{TlsAlertDescription, parse_tls_handshake_client_hello, parse_tls_handshake_server_hello};

use super::keylog::Random;

/// A handshake message that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Client(ClientHello),
    Server(ServerHello),
    /// ServerHello that asks for another ClientHello (RFC 8446, section 4.1.4).
    RetryRequest,
    /// EncryptedExtensions: the protocol chosen, and whether early data is accepted.
    Extensions {
        alpn: Option<String>,
        early: bool,
    },
    EndOfEarlyData,
    Finished,
    KeyUpdate,
}

/// What a ClientHello says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ClientHello {
    pub(super) random: Random,
    pub(super) server_name: Option<String>,
    /// The first protocol offered.
    pub(super) alpn: Option<String>,
    /// Early data is sent along (RFC 8446, section 4.2.10).
    pub(super) early: bool,
}

/// What a ServerHello says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ServerHello {
    pub(super) random: Random,
    pub(super) version: u16,
    pub(super) suite: u16,
    pub(super) alpn: Option<String>,
    pub(super) encrypt_then_mac: bool,
}

/// Puts handshake messages together from the records that carry them, and passes over those that do not matter.
#[derive(Default)]
pub(super) struct Messages {
    buf: Vec<u8>,
    skip: usize,
}

impl Messages {
    /// The next message that matters; the input shrinks. `None` when it is used up.
    pub(super) fn next(&mut self, input: &mut &[u8]) -> Option<Message> {
        loop {
            let passed = self.skip.min(input.len());
            self.skip = self.skip.saturating_sub(passed);
            *input = input.get(passed..).unwrap_or(&[]);
            self.fill(input, 4);
            let &[kind, high, middle, low, ..] = self.buf.as_slice() else { return None };
            let len = u32::from_be_bytes([0, high, middle, low]);
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            if !matters(kind) || len > LONGEST {
                self.skip = len;
                self.buf = Vec::new();
                continue;
            }
            self.fill(input, len.saturating_add(4));
            if self.buf.len() < len.saturating_add(4) {
                return None;
            }
            let whole = std::mem::take(&mut self.buf);
            if let Some(message) = read(kind, whole.get(4..).unwrap_or(&[])) {
                return Some(message);
            }
        }
    }

    /// Forgets a message of which a part is missing.
    pub(super) fn lose(&mut self) {
        *self = Messages::default();
    }

    fn fill(&mut self, input: &mut &[u8], until: usize) {
        let wanted = until.saturating_sub(self.buf.len()).min(input.len());
        if let Some((now, later)) = input.split_at_checked(wanted) {
            self.buf.extend_from_slice(now);
            *input = later;
        }
    }
}

/// The name of an alert as the RFCs write it.
pub(super) fn alert(code: u8) -> String {
    let known = format!("{}", TlsAlertDescription(code));
    if known.contains('(') {
        return format!("alert {code}");
    }
    let mut name = String::new();
    for letter in known.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

fn matters(kind: u8) -> bool {
    matches!(kind, CLIENT_HELLO | SERVER_HELLO | END_OF_EARLY_DATA | ENCRYPTED_EXTENSIONS | FINISHED | KEY_UPDATE)
}

fn read(kind: u8, body: &[u8]) -> Option<Message> {
    Some(match kind {
        CLIENT_HELLO => {
            let (_, hello) = parse_tls_handshake_client_hello(body).ok()?;
            let find = |kind| extensions(hello.ext.unwrap_or(&[])).find(|(is, _)| *is == kind).map(|(_, data)| data);
            Message::Client(ClientHello {
                random: hello.random.try_into().ok()?,
                server_name: find(SERVER_NAME).and_then(server_name),
                alpn: find(ALPN).and_then(protocol),
                early: find(EARLY_DATA).is_some(),
            })
        }
        SERVER_HELLO => {
            let (_, hello) = parse_tls_handshake_server_hello(body).ok()?;
            let find = |kind| extensions(hello.ext.unwrap_or(&[])).find(|(is, _)| *is == kind).map(|(_, data)| data);
            let random = Random::try_from(hello.random).ok()?;
            if random == RETRY {
                return Some(Message::RetryRequest);
            }
            // RFC 8446, section 4.2.1: the version is here, if anywhere, not in the old field.
            let chosen = find(SUPPORTED_VERSIONS).and_then(|data| data.try_into().ok()).map(u16::from_be_bytes);
            Message::Server(ServerHello {
                random,
                version: chosen.unwrap_or(hello.version.0),
                suite: hello.cipher.0,
                alpn: find(ALPN).and_then(protocol),
                encrypt_then_mac: find(ENCRYPT_THEN_MAC).is_some(),
            })
        }
        ENCRYPTED_EXTENSIONS => {
            let (_, list) = body.split_at_checked(2)?;
            let find = |kind| extensions(list).find(|(is, _)| *is == kind).map(|(_, data)| data);
            Message::Extensions { alpn: find(ALPN).and_then(protocol), early: find(EARLY_DATA).is_some() }
        }
        END_OF_EARLY_DATA => Message::EndOfEarlyData,
        FINISHED => Message::Finished,
        KEY_UPDATE => Message::KeyUpdate,
        _ => return None,
    })
}

/// Each extension's type and data. Read one by one, so that a strange one costs only itself.
fn extensions(list: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let (kind, after) = rest.split_first_chunk()?;
        let (data, after) = counted(after)?;
        rest = after;
        Some((u16::from_be_bytes(*kind), data))
    })
}

/// Bytes behind their length in two bytes, and what follows them.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

/// RFC 6066, section 3.
fn server_name(data: &[u8]) -> Option<String> {
    let (list, _) = counted(data)?;
    let (name, _) = counted(list.strip_prefix(&[0])?)?;
    shown(name)
}

/// The first protocol name of the list (RFC 7301, section 3.1).
fn protocol(data: &[u8]) -> Option<String> {
    let (list, _) = counted(data)?;
    let (len, rest) = list.split_first()?;
    shown(rest.get(..usize::from(*len))?)
}

/// Names go into records and onto screens: printable, and not longer than a DNS name.
fn shown(name: &[u8]) -> Option<String> {
    let fits = !name.is_empty() && name.len() <= 255 && name.iter().all(u8::is_ascii_graphic);
    fits.then(|| String::from_utf8_lossy(name).into_owned())
}

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const END_OF_EARLY_DATA: u8 = 5;
const ENCRYPTED_EXTENSIONS: u8 = 8;
const FINISHED: u8 = 20;
const KEY_UPDATE: u8 = 24;

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const ENCRYPT_THEN_MAC: u16 = 22;
const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;

/// The longest message that is read: a ClientHello with large key shares and tickets fits well.
const LONGEST: usize = 65_536;

/// SHA-256 of "HelloRetryRequest" (RFC 8446, section 4.1.3).
const RETRY: Random = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
    0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn a_retry_request_is_known_by_its_random() {
        assert_eq!(Sha256::digest(b"HelloRetryRequest").as_slice(), RETRY);
    }

    #[test]
    fn alerts_have_the_names_of_the_rfcs() {
        assert_eq!(
            [0, 48, 40, 116, 199].map(alert),
            ["close_notify", "unknown_ca", "handshake_failure", "certificate_required", "alert 199"]
        );
    }

    #[test]
    fn messages_that_do_not_matter_are_passed_over() {
        let mut bytes = vec![11, 0, 1, 0];
        bytes.resize(260, 0xaa);
        bytes.extend_from_slice(&[20, 0, 0, 2, 1, 1, 24, 0, 0, 1, 0]);
        for cut in 0..bytes.len() {
            let (mut messages, mut seen) = (Messages::default(), Vec::new());
            for mut part in [&bytes[..cut], &bytes[cut..]] {
                while let Some(message) = messages.next(&mut part) {
                    seen.push(message);
                }
            }
            assert_eq!(seen, [Message::Finished, Message::KeyUpdate], "{cut}");
        }
    }

    #[test]
    fn encrypted_extensions_name_the_protocol() {
        let mut input: &[u8] = &[8, 0, 0, 15, 0, 13, 0, 16, 0, 5, 0, 3, 2, b'h', b'2', 0, 42, 0, 0];
        assert_eq!(Messages::default().next(&mut input), Some(Message::Extensions { alpn: Some("h2".into()), early: true }));
    }
}
