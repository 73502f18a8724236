//! A cipher suite's number comes in; what it asks of the other files goes out. Knows no keys.

use tls_parser::{TlsCipherEnc, TlsCipherEncMode, TlsCipherKx, TlsCipherMac, TlsCipherSuite, TlsPRF};

/// What has to be known of a suite to open its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suite {
    /// How records are sealed.
    pub(super) algorithm: Algorithm,
    /// The hash of its key derivation.
    pub(super) hash: Hash,
}

/// How records are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
    /// AES-CBC with an HMAC (TLS 1.2): bytes of the AES key, hash of the HMAC.
    AesCbc(usize, Hash),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    /// Only as the HMAC of a CBC suite.
    Sha1,
    Sha256,
    Sha384,
}

impl Hash {
    /// Bytes of its output.
    pub(super) fn size(self) -> usize {
        match self {
            Hash::Sha1 => 20,
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
        }
    }
}

impl Algorithm {
    /// Bytes of the cipher's key.
    pub(super) fn key(self) -> usize {
        match self {
            Algorithm::Aes128Gcm => 16,
            Algorithm::Aes256Gcm | Algorithm::ChaCha20Poly1305 => 32,
            Algorithm::AesCbc(key, _) => key,
        }
    }
}

/// The suite with this number, if its records can be opened in this version of TLS.
pub(super) fn supported(id: u16, tls13: bool) -> Option<Suite> {
    let known = TlsCipherSuite::from_id(id)?;
    if (known.kx == TlsCipherKx::Tls13) != tls13 {
        return None;
    }
    // RFC 5246, section 5: suites that name no other hash use SHA-256.
    let hash = match known.prf {
        TlsPRF::Default | TlsPRF::Sha256 => Hash::Sha256,
        TlsPRF::Sha384 => Hash::Sha384,
        _ => return None,
    };
    let algorithm = match (known.enc, known.enc_mode, known.enc_size) {
        (TlsCipherEnc::Aes, TlsCipherEncMode::Gcm, 128) => Algorithm::Aes128Gcm,
        (TlsCipherEnc::Aes, TlsCipherEncMode::Gcm, 256) => Algorithm::Aes256Gcm,
        (TlsCipherEnc::Chacha20_Poly1305, _, _) => Algorithm::ChaCha20Poly1305,
        (TlsCipherEnc::Aes, TlsCipherEncMode::Cbc, bits @ (128 | 256)) => {
            let mac = match known.mac {
                TlsCipherMac::HmacSha1 => Hash::Sha1,
                TlsCipherMac::HmacSha256 => Hash::Sha256,
                TlsCipherMac::HmacSha384 => Hash::Sha384,
                _ => return None,
            };
            Algorithm::AesCbc(usize::from(bits / 8), mac)
        }
        _ => return None,
    };
    Some(Suite { algorithm, hash })
}

/// The suite's registered name, or its number.
pub(super) fn name(id: u16) -> String {
    TlsCipherSuite::from_id(id).map_or_else(|| format!("0x{id:04x}"), |known| known.name.to_owned())
}

/// The TLS 1.3 suites that a traffic secret of this length can belong to (its length is that of the suite's hash).
pub(super) fn by_secret(len: usize) -> &'static [Suite] {
    match len {
        32 => &[
            Suite { algorithm: Algorithm::Aes128Gcm, hash: Hash::Sha256 },
            Suite { algorithm: Algorithm::ChaCha20Poly1305, hash: Hash::Sha256 },
        ],
        48 => &[Suite { algorithm: Algorithm::Aes256Gcm, hash: Hash::Sha384 }],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_known_by_number_and_version() {
        let is = |id, tls13| supported(id, tls13).map(|suite| (suite.algorithm, suite.hash));
        assert_eq!(is(0x1301, true), Some((Algorithm::Aes128Gcm, Hash::Sha256)));
        assert_eq!(is(0x1302, true), Some((Algorithm::Aes256Gcm, Hash::Sha384)));
        assert_eq!(is(0x1303, true), Some((Algorithm::ChaCha20Poly1305, Hash::Sha256)));
        assert_eq!(is(0xc02f, false), Some((Algorithm::Aes128Gcm, Hash::Sha256)));
        assert_eq!(is(0xc030, false), Some((Algorithm::Aes256Gcm, Hash::Sha384)));
        assert_eq!(is(0xcca8, false), Some((Algorithm::ChaCha20Poly1305, Hash::Sha256)));
        assert_eq!(is(0x009f, false), Some((Algorithm::Aes256Gcm, Hash::Sha384)));
        assert_eq!(is(0xc013, false), Some((Algorithm::AesCbc(16, Hash::Sha1), Hash::Sha256)));
        assert_eq!(is(0xc028, false), Some((Algorithm::AesCbc(32, Hash::Sha384), Hash::Sha384)));
        assert_eq!(is(0x003d, false), Some((Algorithm::AesCbc(32, Hash::Sha256), Hash::Sha256)));
        assert_eq!(is(0x1301, false), None);
        assert_eq!(is(0x1304, true), None);
        assert_eq!(is(0x000a, false), None);
    }

    #[test]
    fn what_is_not_supported_has_a_name() {
        assert_eq!(name(0x1304), "TLS_AES_128_CCM_SHA256");
        assert_eq!(name(0x000a), "TLS_RSA_WITH_3DES_EDE_CBC_SHA");
        assert_eq!(name(0xfffe), "0xfffe");
    }
}
