//! Secrets become fingerprints where they are parsed; nothing after that can hold one.

use std::fmt;
use std::hash::BuildHasher;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A keyed fingerprint: equal within one run for equal values, useless to whoever reads it.
///
/// The first eight bytes of HMAC-SHA-256 (RFC 2104) under the run's key. Nothing may be ordered by it: two runs have two keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u64);

/// Sixteen hexadecimal digits, without the `tok:` that records put before a credential's.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Makes fingerprints under one key.
#[derive(Clone)]
pub struct Keyer {
    /// The key taken in already, which is half of the work for a short value.
    keyed: Option<Hmac<Sha256>>,
    marks: foldhash::quality::FixedState,
}

impl Keyer {
    /// With a key of the run's own or the user's choice (`--fingerprint-key`).
    pub fn new(key: [u8; 32]) -> Keyer {
        let key = Zeroizing::new(key);
        let seed = key.iter().fold(0u64, |sum, byte| sum.rotate_left(8) ^ u64::from(*byte));
        Keyer { keyed: Hmac::new_from_slice(&*key).ok(), marks: foldhash::quality::FixedState::with_seed(seed) }
    }

    /// A quick keyed hash to compare values within one run. Never shown: for that, [`Keyer::fingerprint`].
    pub fn mark(&self, value: &[u8]) -> Fingerprint {
        Fingerprint(self.marks.hash_one(value))
    }

    /// The fingerprint of a value; `kind` keeps equal values of different kinds apart ("token", "session", "query", ...).
    pub fn fingerprint(&self, kind: &str, value: &[u8]) -> Fingerprint {
        let Some(mut mac) = self.keyed.clone() else { return Fingerprint(0) };
        mac.update(kind.as_bytes());
        mac.update(&[0]);
        mac.update(value);
        let digest = mac.finalize().into_bytes();
        Fingerprint(digest.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_equal_only_for_equal_key_kind_and_value() {
        let keyer = Keyer::new([7; 32]);
        assert_eq!(keyer.fingerprint("token", b"a"), keyer.fingerprint("token", b"a"));
        assert_ne!(keyer.fingerprint("token", b"a"), keyer.fingerprint("token", b"b"));
        assert_ne!(keyer.fingerprint("token", b"a"), keyer.fingerprint("session", b"a"));
        assert_ne!(keyer.fingerprint("token", b"a"), Keyer::new([8; 32]).fingerprint("token", b"a"));
        assert_eq!(keyer.fingerprint("token", b"a").to_string().len(), 16);
    }
}
