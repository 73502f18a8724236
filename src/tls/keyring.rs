//! The keys of one direction, in the order in which they come into use: a record comes in, the key and sequence number that
//! open it are found by trial. Knows nothing of what the records say.

use super::cipher::{Opened, Opener};
use super::derive::expand_label;
use super::keylog::Secret;
use super::record::Head;
use super::suite::Suite;

/// Keys of one direction. Trial takes the place of a handshake's state machine: a tag either fits or it does not.
pub(super) struct Keyring {
    /// The one in use, then those that may come into use. More than one of a stage: it is not known which suite was agreed.
    keys: Vec<Key>,
    /// The number of the next record under the first key.
    seq: u64,
    /// The first key has opened a record.
    started: bool,
    /// The key that would follow the first by a KeyUpdate.
    next: Option<Box<Key>>,
    /// What may still be spent on searching, in bytes of cipher work.
    budget: u64,
}

/// A key and what it is for.
pub(super) struct Key {
    pub(super) stage: Stage,
    suite: Suite,
    /// Of TLS 1.3: the next key is made of it.
    secret: Option<Secret>,
    opener: Opener,
}

/// What a key protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Early,
    Handshake,
    /// All that follows the handshake; in TLS 1.2 the handshake's end as well.
    Application,
}

/// A record that a key opened.
pub(super) struct Found {
    pub(super) stage: Stage,
    pub(super) opened: Opened,
    /// Records of this stage that should have come before it and did not; `None`: not known how many.
    pub(super) missed: Option<u64>,
    /// The first under this key.
    pub(super) first: bool,
    /// The key took the place of another of its stage (TLS 1.2, renegotiated): what was sent under that one last is not known.
    pub(super) replaces: bool,
}

impl Key {
    pub(super) fn tls13(stage: Stage, suite: Suite, secret: Secret) -> Option<Key> {
        let opener = Opener::tls13(suite, &secret)?;
        Some(Key { stage, suite, secret: Some(secret), opener })
    }

    pub(super) fn tls12(suite: Suite, opener: Opener) -> Key {
        Key { stage: Stage::Application, suite, secret: None, opener }
    }

    pub(super) fn suite(&self) -> Suite {
        self.suite
    }

    pub(super) fn opener(&self) -> &Opener {
        &self.opener
    }

    /// RFC 8446, section 7.2.
    fn update(&self) -> Option<Key> {
        let secret = self.secret.as_ref().filter(|_| self.stage == Stage::Application)?;
        let mut next = zeroize::Zeroizing::new(vec![0; secret.bytes().len()]);
        expand_label(self.suite.hash, secret.bytes(), "traffic upd", &mut next)?;
        Key::tls13(self.stage, self.suite, Secret::new(&next)?)
    }
}

impl Default for Keyring {
    fn default() -> Keyring {
        Keyring { keys: Vec::new(), seq: 0, started: false, next: None, budget: BUDGET }
    }
}

impl Keyring {
    /// Whether there is no key.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether there is a key for what follows the handshake: then nothing more is needed.
    pub(super) fn is_complete(&self) -> bool {
        self.keys.last().is_some_and(|key| key.stage == Stage::Application)
    }

    /// Adds a key that comes into use after the others.
    pub(super) fn add(&mut self, key: Key) {
        if self.stage().is_none_or(|stage| key.stage >= stage) {
            self.keys.push(key);
            self.keys.sort_by_key(|key| key.stage);
        }
    }

    /// The stage of the key in use.
    pub(super) fn stage(&self) -> Option<Stage> {
        self.keys.first().filter(|_| self.started).map(|key| key.stage)
    }

    /// Starts with this key in mid-connection: `seq` is the number of the next record.
    pub(super) fn start(&mut self, key: Key, seq: u64) {
        *self = Keyring { keys: vec![key], seq, started: true, next: None, budget: self.budget };
    }

    /// The sender said that its next record comes under the next key.
    pub(super) fn key_update(&mut self) {
        let next = self.next.take().map(|next| *next).or_else(|| self.keys.first().filter(|_| self.started)?.update());
        if let (Some(next), Some(first)) = (next, self.keys.first_mut()) {
            *first = next;
            self.seq = 0;
        }
    }

    /// Opens a record with whatever key and number fit.
    pub(super) fn open(&mut self, head: Head, body: &mut [u8]) -> Option<Found> {
        let found = self.expected(head, body).or_else(|| self.searched(head, body));
        if found.is_some() {
            let earned = u64::try_from(body.len()).unwrap_or(0).saturating_mul(EARNED);
            self.budget = self.budget.saturating_add(earned).min(BUDGET);
        }
        found
    }

    /// With the number that is due: the next one of the key in use, the first one of those that may follow.
    fn expected(&mut self, head: Head, body: &mut [u8]) -> Option<Found> {
        for at in 0..self.keys.len() {
            let seq = self.due(at);
            if let Some(opened) = self.keys.get(at).and_then(|key| key.opener.open(seq, head, body)) {
                return self.found(at, seq, opened);
            }
        }
        if self.next.is_none() {
            self.next = self.keys.first().filter(|_| self.started).and_then(Key::update).map(Box::new);
        }
        let opened = self.next.as_ref()?.opener.open(0, head, body)?;
        self.updated(0, opened)
    }

    /// Records may be missing: with the numbers that follow.
    fn searched(&mut self, head: Head, body: &mut [u8]) -> Option<Found> {
        for at in 0..self.keys.len() {
            let from = self.due(at).saturating_add(1);
            let key = self.keys.get(at)?;
            // A connection that was open before may have come far.
            let window = if at == 0 && self.started { WINDOW } else { WINDOW_BEFORE };
            if let Some((seq, opened)) = key.opener.search(from..from.saturating_add(window), head, body, &mut self.budget) {
                return self.found(at, seq, opened);
            }
        }
        let next = self.next.as_ref()?;
        let (seq, opened) = next.opener.search(1..WINDOW, head, body, &mut self.budget)?;
        self.updated(seq, opened)
    }

    fn due(&self, at: usize) -> u64 {
        if at == 0 && self.started { self.seq } else { 0 }
    }

    fn found(&mut self, at: usize, seq: u64, opened: Opened) -> Option<Found> {
        let missed = seq.saturating_sub(self.due(at));
        let first = at > 0 || !self.started;
        let replaces = at > 0 && self.stage() == Some(Stage::Application);
        let (stage, suite) = self.keys.get(at).map(|key| (key.stage, key.suite))?;
        if first {
            // What was before is over, and so is any doubt about the suite.
            self.keys.drain(..at);
            let mut place = 0usize;
            self.keys.retain(|key| {
                place = place.saturating_add(1);
                place == 1 || key.stage > stage && key.suite == suite || key.stage == stage && key.secret.is_none()
            });
            self.next = None;
        }
        self.started = true;
        self.seq = seq.saturating_add(1);
        Some(Found { stage, opened, missed: Some(missed), first, replaces })
    }

    /// A record under the next key, though nobody was heard to announce it: at least the announcement is missing.
    fn updated(&mut self, seq: u64, opened: Opened) -> Option<Found> {
        *self.keys.first_mut()? = *self.next.take()?;
        self.seq = seq.saturating_add(1);
        Some(Found { stage: Stage::Application, opened, missed: None, first: false, replaces: false })
    }
}

/// How many records may be missing in one hole, and before the first record that is seen.
const WINDOW: u64 = 2_048;
pub(super) const WINDOW_BEFORE: u64 = 4_096;

/// Bytes of cipher work that one direction may spend on searching, and how many it earns back with each byte opened.
const BUDGET: u64 = 32 << 20;
const EARNED: u64 = 16;
