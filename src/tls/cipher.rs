//! One key of one direction: a sealed record comes in, its plaintext goes out in the same buffer. Knows no order of records.

use std::ops::Range;

use aes::cipher::{BlockCipherEncrypt, KeyIvInit, StreamCipher, StreamCipherSeek};
use aes::{Aes128, Aes256};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20::ChaCha20;
use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::{AeadInOut, KeyInit, Nonce, Tag};
use zeroize::Zeroizing;

use super::cbc::Cbc;
use super::derive::{expand_label, prf};
use super::keylog::{Random, Secret};
use super::record::Head;
use super::suite::{Algorithm, Suite};

/// Opens records of one direction under one key.
pub(super) struct Opener {
    cipher: Cipher,
    /// TLS 1.3 and ChaCha20: the nonce's mask. TLS 1.2 GCM: its first four bytes.
    iv: Zeroizing<[u8; 12]>,
    tls13: bool,
    key: Zeroizing<Vec<u8>>,
}

enum Cipher {
    Aes128Gcm(Box<Aes128Gcm>),
    Aes256Gcm(Box<Aes256Gcm>),
    ChaCha20Poly1305(Box<ChaCha20Poly1305>),
    AesCbc(Box<Cbc>),
}

/// An opened record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opened {
    /// Its content type, the inner one in TLS 1.3.
    pub(super) kind: u8,
    /// Where in the body its plaintext is.
    pub(super) plain: Range<usize>,
}

impl Opener {
    /// For a traffic secret of TLS 1.3 (RFC 8446, section 7.3).
    pub(super) fn tls13(suite: Suite, secret: &Secret) -> Option<Opener> {
        let mut key = Zeroizing::new(vec![0; suite.algorithm.key()]);
        let mut iv = Zeroizing::new([0; 12]);
        expand_label(suite.hash, secret.bytes(), "key", &mut key)?;
        expand_label(suite.hash, secret.bytes(), "iv", iv.as_mut_slice())?;
        let cipher = aead(suite.algorithm, &key)?;
        Some(Opener { cipher, iv, tls13: true, key })
    }

    /// For a master secret of TLS 1.2, client's and server's (RFC 5246, section 6.3).
    pub(super) fn tls12(suite: Suite, master: &Secret, client: &Random, server: &Random, encrypt_then_mac: bool) -> Option<[Opener; 2]> {
        let key_len = suite.algorithm.key();
        let (mac_len, iv_len) = match suite.algorithm {
            Algorithm::AesCbc(_, mac) => (mac.size(), 0),
            Algorithm::ChaCha20Poly1305 => (0, 12),
            Algorithm::Aes128Gcm | Algorithm::Aes256Gcm => (0, 4),
        };
        let mut block = Zeroizing::new(vec![0; 2 * (mac_len + key_len + iv_len)]);
        prf(suite.hash, master.bytes(), "key expansion", [server, client], &mut block)?;
        let (macs, rest) = block.split_at_checked(2 * mac_len)?;
        let (keys, ivs) = rest.split_at_checked(2 * key_len)?;
        let side = |at: usize| {
            let part = |of: &[u8], len: usize| of.get(at * len..(at + 1) * len).map(<[u8]>::to_vec).map(Zeroizing::new);
            let (mac, key, from) = (part(macs, mac_len)?, part(keys, key_len)?, part(ivs, iv_len)?);
            let mut iv = Zeroizing::new([0; 12]);
            iv.iter_mut().zip(from.iter()).for_each(|(to, from)| *to = *from);
            let cipher = match suite.algorithm {
                Algorithm::AesCbc(_, hash) => Cipher::AesCbc(Box::new(Cbc::new(&key, &mac, hash, encrypt_then_mac)?)),
                algorithm => aead(algorithm, &key)?,
            };
            Some(Opener { cipher, iv, tls13: false, key })
        };
        Some([side(0)?, side(1)?])
    }

    /// Opens a record as the one with this sequence number. The body is left as it is where that fails.
    pub(super) fn open(&self, seq: u64, head: Head, body: &mut [u8]) -> Option<Opened> {
        match &self.cipher {
            Cipher::Aes128Gcm(cipher) => self.open_aead(&**cipher, 8, seq, head, body),
            Cipher::Aes256Gcm(cipher) => self.open_aead(&**cipher, 8, seq, head, body),
            Cipher::ChaCha20Poly1305(cipher) => self.open_aead(&**cipher, 0, seq, head, body),
            Cipher::AesCbc(cipher) => Some(Opened { kind: head.kind, plain: cipher.open(seq, head, body)? }),
        }
    }

    /// Opens a record under the first of these sequence numbers that fits. `budget` is what may be spent, in bytes of cipher work,
    /// and shrinks.
    pub(super) fn search(&self, seqs: Range<u64>, head: Head, body: &mut [u8], budget: &mut u64) -> Option<(u64, Opened)> {
        let sieve = self.sieve();
        let whole = u64::try_from(body.len()).unwrap_or(u64::MAX).saturating_add(64);
        for seq in seqs {
            if *budget == 0 {
                break;
            }
            if let Some(sieve) = &sieve {
                *budget = budget.saturating_sub(sieve.cost());
                if !sieve.may_fit(&self.nonce13(seq), body) {
                    continue;
                }
            }
            *budget = budget.saturating_sub(whole);
            if let Some(opened) = self.open(seq, head, body) {
                return Some((seq, opened));
            }
        }
        None
    }

    fn open_aead<C: AeadInOut>(&self, cipher: &C, explicit: usize, seq: u64, head: Head, body: &mut [u8]) -> Option<Opened> {
        let explicit = if self.tls13 { 0 } else { explicit };
        let tag_at = body.len().checked_sub(TAG)?;
        let (text, tag) = body.split_at_mut_checked(tag_at)?;
        let (front, text) = text.split_at_mut_checked(explicit)?;
        let mut nonce = self.nonce13(seq);
        if explicit == 8 {
            // RFC 5288, section 3: four bytes of salt, eight sent with the record.
            nonce = *self.iv;
            nonce.iter_mut().skip(4).zip(front.iter()).for_each(|(to, from)| *to = *from);
        }
        let len = if self.tls13 { head.len } else { u16::try_from(text.len()).ok()? };
        let (record, whole) = (Head { len, ..head }.bytes(), head.with_seq(seq, len));
        let aad: &[u8] = if self.tls13 { &record } else { &whole };
        let (nonce, tag) = (Nonce::<C>::try_from(&nonce[..]).ok()?, Tag::<C>::try_from(&*tag).ok()?);
        cipher.decrypt_inout_detached(&nonce, aad, (&mut *text).into(), &tag).ok()?;
        if !self.tls13 {
            return Some(Opened { kind: head.kind, plain: explicit..tag_at });
        }
        // RFC 8446, section 5.4: zeros pad the text after its content type.
        let at = text.iter().rposition(|byte| *byte != 0).unwrap_or(0);
        Some(Opened { kind: text.get(at).copied().unwrap_or(0), plain: 0..at })
    }

    /// RFC 8446, section 5.3; RFC 7905, section 2.
    fn nonce13(&self, seq: u64) -> [u8; 12] {
        let mut nonce = *self.iv;
        nonce.iter_mut().skip(4).zip(seq.to_be_bytes()).for_each(|(to, from)| *to ^= from);
        nonce
    }

    fn sieve(&self) -> Option<Sieve> {
        match self.cipher {
            Cipher::Aes128Gcm(_) if self.tls13 => Some(Sieve::Aes128(Box::new(Aes128::new_from_slice(&self.key).ok()?))),
            Cipher::Aes256Gcm(_) if self.tls13 => Some(Sieve::Aes256(Box::new(Aes256::new_from_slice(&self.key).ok()?))),
            Cipher::ChaCha20Poly1305(_) if self.tls13 => Some(Sieve::ChaCha20(Zeroizing::new(self.key.as_slice().try_into().ok()?))),
            _ => None,
        }
    }
}

fn aead(algorithm: Algorithm, key: &[u8]) -> Option<Cipher> {
    Some(match algorithm {
        Algorithm::Aes128Gcm => Cipher::Aes128Gcm(Box::new(Aes128Gcm::new_from_slice(key).ok()?)),
        Algorithm::Aes256Gcm => Cipher::Aes256Gcm(Box::new(Aes256Gcm::new_from_slice(key).ok()?)),
        Algorithm::ChaCha20Poly1305 => Cipher::ChaCha20Poly1305(Box::new(ChaCha20Poly1305::new_from_slice(key).ok()?)),
        Algorithm::AesCbc(..) => return None,
    })
}

/// Tells most wrong sequence numbers of TLS 1.3 apart for the price of one block: the last byte of the text must be a content
/// type or padding. It makes the search some fifty times cheaper than checking the tag of each.
enum Sieve {
    Aes128(Box<Aes128>),
    Aes256(Box<Aes256>),
    ChaCha20(Zeroizing<[u8; 32]>),
}

impl Sieve {
    /// What one try costs, in bytes of cipher work.
    fn cost(&self) -> u64 {
        if matches!(self, Sieve::ChaCha20(_)) { 64 } else { 16 }
    }

    fn may_fit(&self, nonce: &[u8; 12], body: &[u8]) -> bool {
        let Some(last) = body.len().checked_sub(TAG + 1) else { return false };
        let Some(sealed) = body.get(last) else { return false };
        // NIST SP 800-38D, section 7.1: the text starts with counter 2.
        let counter = u32::try_from(last / 16).unwrap_or(u32::MAX).wrapping_add(2).to_be_bytes();
        let mut block = [0; 16];
        block.iter_mut().zip(nonce.iter().chain(&counter)).for_each(|(to, from)| *to = *from);
        let mut block = block.into();
        match self {
            Sieve::Aes128(aes) => aes.encrypt_block(&mut block),
            Sieve::Aes256(aes) => aes.encrypt_block(&mut block),
            Sieve::ChaCha20(key) => {
                // RFC 8439, section 2.8: the text starts with counter 1.
                let mut stream = ChaCha20::new(&(**key).into(), &(*nonce).into());
                let mut byte = [*sealed];
                let place = u64::try_from(last).unwrap_or(u64::MAX).saturating_add(64);
                return stream.try_seek(place).is_ok() && {
                    stream.apply_keystream(&mut byte);
                    matches!(byte, [0 | 21..=23])
                };
            }
        }
        let stream = block.get(last % 16).copied().unwrap_or(0);
        matches!(sealed ^ stream, 0 | 21..=23)
    }
}

/// All supported AEADs have tags of 16 bytes.
const TAG: usize = 16;
