//! Values of heads come in, what they were read to be goes out, the second time without reading them: the same few come again and again, and
//! hashing and redacting them costs more than all the rest of a head. Holds no secret.

use super::{Credential, credential, redact};
use crate::base::{Fingerprint, Keyer};

/// What was read lately; one for all connections of a thread. A fixed number of places; a newcomer takes the place of whoever has it.
#[derive(Default)]
pub struct Memo {
    /// By the marks of their values.
    credentials: Vec<Option<(Fingerprint, Credential)>>,
    /// Fingerprints of session ids, by the ids' marks.
    sessions: Vec<Option<(Fingerprint, Fingerprint)>>,
    /// Texts and paths that are shown as they were sent.
    texts: Vec<String>,
    paths: Vec<String>,
}

impl Memo {
    /// An empty one.
    pub fn new() -> Memo {
        Memo::default()
    }

    /// Reads a credential.
    pub(super) fn credential(&mut self, value: &[u8], keyer: &Keyer) -> Credential {
        recall(&mut self.credentials, keyer.mark(value), || credential::read(value, keyer))
    }

    /// The fingerprint of a session id.
    pub(super) fn session(&mut self, value: &[u8], keyer: &Keyer) -> Fingerprint {
        recall(&mut self.sessions, keyer.mark(value), || keyer.fingerprint("session", value))
    }

    /// As [`redact::text`].
    pub(super) fn text(&mut self, bytes: &[u8], max: usize) -> String {
        shown(&mut self.texts, bytes, max, redact::text)
    }

    /// As [`redact::path`].
    pub(super) fn path(&mut self, bytes: &[u8], max: usize) -> String {
        shown(&mut self.paths, bytes, max, redact::path)
    }
}

fn recall<T: Clone>(places: &mut Vec<Option<(Fingerprint, T)>>, mark: Fingerprint, read: impl FnOnce() -> T) -> T {
    if places.is_empty() {
        places.resize_with(PLACES, || None);
    }
    match places.get_mut(mark.0 as usize % PLACES) {
        Some(Some((known, value))) if *known == mark => value.clone(),
        Some(place) => place.insert((mark, read())).1.clone(),
        None => read(),
    }
}

/// Only what has nothing to hide is kept, and found again by what it is: no hash is trusted.
fn shown(places: &mut Vec<String>, bytes: &[u8], max: usize, read: impl FnOnce(&[u8], usize) -> String) -> String {
    if places.is_empty() {
        places.resize(TEXTS, String::new());
    }
    let Some(place) = places.get_mut(place(bytes) % TEXTS) else { return read(bytes, max) };
    if place.as_bytes() == bytes && bytes.len() <= max {
        return place.clone();
    }
    let text = read(bytes, max);
    if text.as_bytes() == bytes {
        place.clone_from(&text);
    }
    text
}

/// A place by length, beginning and end: values of one field mostly differ in these.
fn place(bytes: &[u8]) -> usize {
    let word = |chunk: Option<&[u8; 8]>| chunk.map_or(0, |word| u64::from_le_bytes(*word));
    let short = if bytes.len() < 8 { bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)) } else { 0 };
    let all = word(bytes.first_chunk()) ^ word(bytes.last_chunk()).rotate_left(23) ^ short ^ bytes.len() as u64;
    (all.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize
}

/// Credentials remembered, and sessions.
const PLACES: usize = 1024;
/// Texts remembered, and paths: none is longer than the longest that a head keeps.
const TEXTS: usize = 512;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_says_what_reading_says(
            values in prop::collection::vec("(mcp|/mcp/weather|sk-[a-z0-9]{12}|Bearer [a-z]{3}|application/json|[ -~]{0,12}|a=b&c)", 1..40),
            most in prop::collection::vec(0usize..24, 1..4),
        ) {
            let (mut memo, keyer) = (Memo::new(), Keyer::new([5; 32]));
            for (value, max) in values.iter().zip(most.iter().cycle()).chain(values.iter().zip(most.iter().cycle().skip(1))) {
                let bytes = value.as_bytes();
                prop_assert_eq!(memo.text(bytes, *max), redact::text(bytes, *max));
                prop_assert_eq!(memo.path(bytes, *max), redact::path(bytes, *max));
                prop_assert_eq!(memo.session(bytes, &keyer), keyer.fingerprint("session", bytes));
                prop_assert_eq!(memo.credential(bytes, &keyer), credential::read(bytes, &keyer));
            }
            let kept = memo.texts.iter().chain(&memo.paths);
            prop_assert!(kept.into_iter().all(|text| !text.contains("sk-")));
        }
    }
}
