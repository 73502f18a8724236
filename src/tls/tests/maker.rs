//! Makes TLS 1.3 connections for the tests: hellos, secrets and sealed records (AES-128-GCM).

use aes_gcm::Aes128Gcm;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};

use crate::tls::derive::expand_label;
use crate::tls::suite::Hash;

pub(super) const RANDOM: [u8; 32] = [0x5a; 32];

/// Seals one direction under one secret.
pub(super) struct Sealer {
    cipher: Aes128Gcm,
    iv: [u8; 12],
    secret: Vec<u8>,
    pub(super) seq: u64,
}

impl Sealer {
    pub(super) fn new(secret: &[u8]) -> Sealer {
        let (mut key, mut iv) = ([0; 16], [0; 12]);
        expand_label(Hash::Sha256, secret, "key", &mut key).unwrap();
        expand_label(Hash::Sha256, secret, "iv", &mut iv).unwrap();
        Sealer { cipher: Aes128Gcm::new_from_slice(&key).unwrap(), iv, secret: secret.to_vec(), seq: 0 }
    }

    pub(super) fn update(&self) -> Sealer {
        let mut next = [0; 32];
        expand_label(Hash::Sha256, &self.secret, "traffic upd", &mut next).unwrap();
        Sealer::new(&next)
    }

    pub(super) fn seal(&mut self, kind: u8, text: &[u8], padding: usize) -> Vec<u8> {
        let mut inner = text.to_vec();
        inner.push(kind);
        inner.resize(inner.len() + padding, 0);
        let len = u16::try_from(inner.len() + 16).unwrap().to_be_bytes();
        let head = [23, 3, 3, len[0], len[1]];
        let mut nonce = self.iv;
        nonce.iter_mut().skip(4).zip(self.seq.to_be_bytes()).for_each(|(to, from)| *to ^= from);
        self.seq += 1;
        let sealed = self.cipher.encrypt(&nonce.into(), Payload { msg: &inner, aad: &head }).unwrap();
        [&head[..], &sealed].concat()
    }
}

/// The key log of a made connection.
pub(super) fn key_log_text() -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let random = hex(&RANDOM);
    [
        "CLIENT_EARLY_TRAFFIC_SECRET",
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
    ]
    .iter()
    .zip(1u8..)
    .map(|(label, n)| format!("{label} {random} {}\n", hex(&[n; 32])))
    .collect()
}

/// The secrets of [`key_log_text`], in its order.
pub(super) fn sealers() -> [Sealer; 5] {
    [1, 2, 3, 4, 5].map(|n: u8| Sealer::new(&[n; 32]))
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, 3, 3, len[0], len[1]], body].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, len[1], len[2], len[3]], body].concat()
}

pub(super) fn client_hello(early: bool) -> Vec<u8> {
    let mut extensions = b"\x00\x00\x00\x12\x00\x10\x00\x00\x0dupstream.test".to_vec();
    extensions.extend_from_slice(b"\x00\x10\x00\x0e\x00\x0c\x02h2\x08http/1.1");
    extensions.extend_from_slice(b"\x00\x2b\x00\x03\x02\x03\x04");
    if early {
        extensions.extend_from_slice(b"\x00\x2a\x00\x00");
    }
    let len = u16::try_from(extensions.len()).unwrap().to_be_bytes();
    record(22, &message(1, &[&[3, 3], &RANDOM[..], b"\x00\x00\x02\x13\x01\x01\x00", &len, &extensions].concat()))
}

pub(super) fn server_hello() -> Vec<u8> {
    record(22, &message(2, &[&[3, 3], &[0xa5; 32][..], b"\x00\x13\x01\x00\x00\x06\x00\x2b\x00\x02\x03\x04"].concat()))
}

/// EncryptedExtensions that choose HTTP/1.1, and Finished.
pub(super) fn server_flight(early: bool) -> Vec<u8> {
    let mut extensions = b"\x00\x10\x00\x0b\x00\x09\x08http/1.1".to_vec();
    if early {
        extensions.extend_from_slice(b"\x00\x2a\x00\x00");
    }
    let len = u16::try_from(extensions.len()).unwrap().to_be_bytes();
    [message(8, &[&len[..], &extensions].concat()), message(11, &[7; 600]), message(20, &[9; 32])].concat()
}

pub(super) fn finished() -> Vec<u8> {
    message(20, &[8; 32])
}

pub(super) fn end_of_early_data() -> Vec<u8> {
    message(5, &[])
}

pub(super) fn key_update() -> Vec<u8> {
    message(24, &[1])
}
