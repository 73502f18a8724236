//! A sealed record of a connection whose handshake was not seen comes in; the secret of the key log that opens it goes out,
//! found by trial within fixed bounds. TLS 1.3 only: TLS 1.2 needs both randoms of the handshake.

use super::cipher::Opened;
use super::keylog::{KeyLog, Label, Random};
use super::keyring::{Key, Stage, WINDOW_BEFORE};
use super::record::Head;
use super::suite::{self, Algorithm, Suite};

/// The search on one connection, and what it may still cost.
///
/// Bounds: the newest 256 traffic secrets, sequence numbers below 4,096, the first 4 records of the connection for each state of
/// the key log, and 64 MiB of cipher work in all, which is some tenths of a second. Keys changed by a KeyUpdate are not found.
pub(super) struct Midway {
    budget: u64,
    tries: u32,
    version: Option<u64>,
}

/// The secret that opens a record, and how.
pub(super) struct Hit {
    pub(super) random: Random,
    pub(super) label: Label,
    pub(super) key: Key,
    pub(super) seq: u64,
    pub(super) opened: Opened,
}

impl Default for Midway {
    fn default() -> Midway {
        Midway { budget: BUDGET, tries: 0, version: None }
    }
}

impl Midway {
    /// Whether there is no point in trying before the key log grows.
    pub(super) fn is_over(&self, keys: &KeyLog) -> bool {
        self.budget == 0 || self.version == Some(keys.version()) && self.tries >= TRIES
    }

    /// Tries the secrets on a record.
    pub(super) fn search(&mut self, keys: &KeyLog, known: Option<Suite>, head: Head, body: &mut [u8]) -> Option<Hit> {
        if self.version != Some(keys.version()) {
            (self.version, self.tries) = (Some(keys.version()), 0);
        }
        if self.is_over(keys) {
            return None;
        }
        self.tries = self.tries.saturating_add(1);
        // ChaCha20 is the dearer to try and the rarer.
        self.pass(keys, known, head, body, false).or_else(|| self.pass(keys, known, head, body, true))
    }

    fn pass(&mut self, keys: &KeyLog, known: Option<Suite>, head: Head, body: &mut [u8], chacha: bool) -> Option<Hit> {
        for (random, label, secret) in keys.traffic().take(SECRETS) {
            for suite in suite::by_secret(secret.bytes().len()) {
                if known.is_some_and(|known| known != *suite) || (suite.algorithm == Algorithm::ChaCha20Poly1305) != chacha {
                    continue;
                }
                if self.budget == 0 {
                    return None;
                }
                self.budget = self.budget.saturating_sub(DERIVE);
                let Some(key) = Key::tls13(Stage::Application, *suite, secret.clone()) else { continue };
                if let Some((seq, opened)) = key.opener().search(0..WINDOW_BEFORE, head, body, &mut self.budget) {
                    return Some(Hit { random: *random, label, key, seq, opened });
                }
            }
        }
        None
    }
}

const SECRETS: usize = 256;
const TRIES: u32 = 4;
const BUDGET: u64 = 64 << 20;

/// What deriving a key costs, compared with a byte of cipher work.
const DERIVE: u64 = 4_096;
