//! What is known of a TLS connection, with keys or without.

use crate::base::{Dir, Ts};

use super::record::Head;

/// What is known of a connection. Pairs are client's and server's, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The direction in which the client sends: that of the ClientHello, or of a record that a client's secret opened.
    pub client: Option<Dir>,
    /// Server name (SNI) that the client asked for.
    pub server_name: Option<String>,
    /// ALPN protocol that the server chose, else the first that the client offered.
    pub alpn: Option<String>,
    /// `TLS 1.3` and so on, once the server has chosen.
    pub version: Option<&'static str>,
    /// The cipher suite's registered name.
    pub suite: Option<String>,
    /// The handshake or the connection failed: the alert's name, or what else shows it.
    pub failed: Option<String>,
    /// Bytes of application data. Without keys an estimate: TLS 1.3 hides which records are the handshake's, so those of the
    /// server before the client's first request do not count, while session tickets after it do.
    pub bytes: [u64; 2],
    /// When the server's first application data was seen, with the same reserve.
    pub first_answer: Option<Ts>,
    /// Records could be opened.
    pub decrypted: bool,
    /// Why no key can help: the suite or version that is not supported, or `no handshake` where its beginning was not seen.
    pub unsupported: Option<String>,
}

/// Volumes, as far as they show from outside and from inside.
#[derive(Default)]
pub(super) struct Volume {
    records: [u64; 2],
    /// Length of the client's first sealed record.
    first: u16,
    /// When something was sealed for the first time.
    pub(super) began: Option<Ts>,
    outside: Seen,
    inside: Seen,
}

#[derive(Default)]
struct Seen {
    bytes: [u64; 2],
    first_answer: Option<Ts>,
}

impl Seen {
    fn add(&mut self, side: usize, bytes: u64, ts: Ts) {
        if let Some(sum) = self.bytes.get_mut(side) {
            *sum = sum.saturating_add(bytes);
        }
        if side == SERVER && bytes > 0 {
            self.first_answer.get_or_insert(ts);
        }
    }
}

impl Volume {
    /// A sealed record of application data, so it says.
    pub(super) fn sealed(&mut self, side: usize, tls13: bool, head: Head, ts: Ts) {
        self.began.get_or_insert(ts);
        if let Some(records) = self.records.get_mut(side) {
            *records = records.saturating_add(1);
        }
        let [client, _] = self.records;
        if side != SERVER && client == 1 {
            self.first = head.len;
        }
        // In TLS 1.3 the client's first record is its Finished, and what the server sends until the client's second is its handshake.
        if !tls13 || client > 1 {
            self.outside.add(side, u64::from(head.len.saturating_sub(if tls13 { 17 } else { 24 })), ts);
        }
    }

    /// Application data, opened.
    pub(super) fn opened(&mut self, side: usize, bytes: usize, ts: Ts) {
        self.inside.add(side, u64::try_from(bytes).unwrap_or(u64::MAX), ts);
    }

    /// What the client's sealed records of TLS 1.3 show of a handshake that broke off: nothing was sealed, or only an alert
    /// (2 bytes, its type and a tag) where a Finished (36 bytes or more) was due.
    pub(super) fn unfinished(&self) -> Option<&'static str> {
        match self.records {
            [0, _] => Some("closed during the handshake"),
            [1, _] if self.first < 37 => Some("encrypted alert during the handshake"),
            _ => None,
        }
    }

    /// Whether records of application data were seen at all.
    pub(super) fn is_used(&self) -> bool {
        self.records != [0, 0]
    }

    /// Bytes of both sides, and the time of the first answer.
    pub(super) fn total(&self, decrypted: bool) -> ([u64; 2], Option<Ts>) {
        let seen = if decrypted { &self.inside } else { &self.outside };
        (seen.bytes, seen.first_answer)
    }
}

/// How people call a version.
pub(super) fn version(number: u16) -> &'static str {
    match number {
        0x0304 => "TLS 1.3",
        0x0303 => "TLS 1.2",
        0x0302 => "TLS 1.1",
        0x0301 => "TLS 1.0",
        0x0300 => "SSL 3.0",
        _ => "unknown version",
    }
}

const SERVER: usize = 1;
