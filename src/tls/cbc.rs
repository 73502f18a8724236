//! AES-CBC suites of TLS 1.2: a record comes in, its plaintext goes out in the same buffer, MAC before or after encryption.
//! Knows no order of records.

use std::ops::Range;

use aes::{Aes128, Aes256};
use cbc::Decryptor;
use cbc::cipher::{Array, BlockModeDecrypt, InnerIvInit};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha384};

use super::record::Head;
use super::suite::Hash;

/// The key of one direction.
pub(super) struct Cbc {
    cipher: Cipher,
    mac: Hasher,
    mac_len: usize,
    encrypt_then_mac: bool,
}

enum Cipher {
    Aes128(Box<Aes128>),
    Aes256(Box<Aes256>),
}

enum Hasher {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
}

impl Cbc {
    pub(super) fn new(key: &[u8], mac_key: &[u8], hash: Hash, encrypt_then_mac: bool) -> Option<Cbc> {
        let cipher = match key.len() {
            16 => Cipher::Aes128(Box::new(Aes128::new_from_slice(key).ok()?)),
            _ => Cipher::Aes256(Box::new(Aes256::new_from_slice(key).ok()?)),
        };
        let mac = match hash {
            Hash::Sha1 => Hasher::Sha1(KeyInit::new_from_slice(mac_key).ok()?),
            Hash::Sha256 => Hasher::Sha256(KeyInit::new_from_slice(mac_key).ok()?),
            Hash::Sha384 => Hasher::Sha384(KeyInit::new_from_slice(mac_key).ok()?),
        };
        Some(Cbc { cipher, mac, mac_len: hash.size(), encrypt_then_mac })
    }

    /// Where in the body the plaintext is. The body is left as it is where the record does not open under this number.
    pub(super) fn open(&self, seq: u64, head: Head, body: &mut [u8]) -> Option<Range<usize>> {
        let sealed = if self.encrypt_then_mac { body.len().checked_sub(self.mac_len)? } else { body.len() };
        if self.encrypt_then_mac {
            // RFC 7366, section 3.
            let (text, tag) = body.split_at_checked(sealed)?;
            self.check(&head.with_seq(seq, u16::try_from(sealed).ok()?), text, tag)?;
        }
        // The MAC may be inside, so that it is only known afterwards whether the record opens: a copy, on these suites alone.
        let mut plain = body.get(BLOCK..sealed)?.to_vec();
        self.decrypt(body.get(..BLOCK)?, &mut plain)?;
        // RFC 5246, section 6.2.3.2: the last byte says how many bytes of the same value are before it.
        let padding = usize::from(*plain.last()?).checked_add(1)?;
        let text = plain.len().checked_sub(padding)?;
        if plain.get(text..)?.iter().any(|byte| usize::from(*byte) + 1 != padding) {
            return None;
        }
        let len = if self.encrypt_then_mac { text } else { text.checked_sub(self.mac_len)? };
        if !self.encrypt_then_mac {
            let (content, tag) = plain.get(..text)?.split_at_checked(len)?;
            self.check(&head.with_seq(seq, u16::try_from(len).ok()?), content, tag)?;
        }
        body.iter_mut().skip(BLOCK).zip(&plain).for_each(|(to, from)| *to = *from);
        Some(BLOCK..BLOCK.checked_add(len)?)
    }

    fn decrypt(&self, iv: &[u8], text: &mut [u8]) -> Option<()> {
        let iv = Array::try_from(iv).ok()?;
        let (blocks, []) = Array::slice_as_chunks_mut(text) else { return None };
        match &self.cipher {
            Cipher::Aes128(aes) => Decryptor::<&Aes128>::inner_iv_init(aes, &iv).decrypt_blocks(blocks),
            Cipher::Aes256(aes) => Decryptor::<&Aes256>::inner_iv_init(aes, &iv).decrypt_blocks(blocks),
        }
        Some(())
    }

    fn check(&self, prefix: &[u8], text: &[u8], tag: &[u8]) -> Option<()> {
        match &self.mac {
            Hasher::Sha1(mac) => mac.clone().chain_update(prefix).chain_update(text).verify_slice(tag).ok(),
            Hasher::Sha256(mac) => mac.clone().chain_update(prefix).chain_update(text).verify_slice(tag).ok(),
            Hasher::Sha384(mac) => mac.clone().chain_update(prefix).chain_update(text).verify_slice(tag).ok(),
        }
    }
}

const BLOCK: usize = 16;
