//! Secrets come in, stand-ins of the same length and shape go out: equal for equal values, and nothing of the value in them.

use std::collections::{BTreeSet, HashMap};

use aho_corasick::AhoCorasick;

use crate::base::{Fingerprint, Keyer};
use crate::http::safe_text;

/// Stand-ins of one run.
pub(super) struct Aliases {
    keyer: Keyer,
    /// Values that were replaced as a whole, to find them wherever else they stand.
    secrets: BTreeSet<Vec<u8>>,
    /// Stand-ins by the fingerprints under which the rooms before know the values.
    marks: HashMap<Fingerprint, String>,
    /// Bytes replaced.
    pub(super) replaced: u64,
}

impl Aliases {
    pub(super) fn new(keyer: Keyer) -> Aliases {
        Aliases { keyer, secrets: BTreeSet::new(), marks: HashMap::new(), replaced: 0 }
    }

    /// Overwrites a value.
    pub(super) fn cover(&mut self, value: &mut [u8]) {
        self.replaced += value.len() as u64;
        let hex = value.len() >= 8 && value.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
        let mut state = self.keyer.fingerprint("evidence", value).0;
        for byte in value {
            // splitmix64: the fingerprint is keyed, what follows only spreads it.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = ((mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33) as usize;
            let pick = |from: &[u8]| from.get(mixed % from.len().max(1)).copied().unwrap_or(b'x');
            *byte = match *byte {
                b if hex && b.is_ascii_hexdigit() => pick(b"0123456789abcdef"),
                b if b.is_ascii_digit() => pick(b"0123456789"),
                b if b.is_ascii_uppercase() => pick(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
                b if b.is_ascii_lowercase() => pick(b"abcdefghijklmnopqrstuvwxyz"),
                b @ (b'-' | b'.' | b'_' | b'~' | b' ' | b'/' | b'+' | b'=' | b':' | b';' | b',') => b,
                _ => b'x',
            };
        }
    }

    /// Overwrites a value that is secret wherever it stands. `kind`: as fingerprints tell kinds apart.
    pub(super) fn cover_secret(&mut self, kind: &str, value: &mut [u8]) {
        if value.is_empty() {
            return;
        }
        let mark = self.keyer.fingerprint(kind, value);
        if value.len() >= WORTH && self.secrets.len() < MOST {
            self.secrets.insert(value.to_vec());
        }
        self.cover(value);
        if self.marks.len() < MOST {
            self.marks.insert(mark, String::from_utf8_lossy(value).into_owned());
        }
    }

    /// What stands for a value that only its fingerprint is left of.
    pub(super) fn of(&self, mark: Fingerprint) -> String {
        self.marks.get(&mark).cloned().unwrap_or_else(|| format!("hidden{mark}"))
    }

    /// Overwrites what looks like a secret in a text that is to stay readable, and the values in the queries of its URLs.
    pub(super) fn words(&mut self, text: &mut [u8]) {
        let delimiter = |byte: &u8| byte.is_ascii_whitespace() || b"\"'<>()[]{},;|\\`".contains(byte);
        for word in text.split_mut(delimiter).filter(|word| word.len() >= 4) {
            if safe(word) {
                continue;
            }
            if !word.iter().any(|byte| b"/?&=#:@".contains(byte)) {
                self.cover_secret("token", word);
                continue;
            }
            let query = word.iter().position(|byte| *byte == b'?').unwrap_or(word.len());
            let (path, query) = word.split_at_mut(query);
            for piece in path.split_mut(|byte| b"/#:@=".contains(byte)).filter(|piece| !safe(piece)) {
                self.cover_secret("token", piece);
            }
            self.query(query.get_mut(1..).unwrap_or_default());
        }
    }

    /// Overwrites the values of a query or of a form.
    pub(super) fn query(&mut self, query: &mut [u8]) {
        for part in query.split_mut(|byte| *byte == b'&' || *byte == b'#') {
            let at = part.iter().position(|byte| *byte == b'=').map_or(0, |at| at + 1);
            if let Some(value) = part.get_mut(at..) {
                self.cover_secret("query", value);
            }
        }
    }

    /// Overwrites every secret that still stands anywhere: an upstream may repeat a token in its answer.
    pub(super) fn sweep(&mut self, texts: &mut [&mut [u8]]) {
        if self.secrets.is_empty() {
            return;
        }
        let Ok(finder) = AhoCorasick::new(&self.secrets) else { return };
        for text in texts {
            let found: Vec<_> = finder.find_overlapping_iter(&**text).map(|one| one.range()).collect();
            for range in found {
                if let Some(value) = text.get_mut(range) {
                    self.cover(value);
                }
            }
        }
    }
}

/// Whether a word may be shown as it is.
fn safe(word: &[u8]) -> bool {
    word.is_ascii() && safe_text(word, MOST_WORD).as_bytes() == word
}

/// Shorter values are everywhere by chance.
const WORTH: usize = 8;
const MOST: usize = 16_384;
const MOST_WORD: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(text: &str) -> String {
        let mut aliases = Aliases::new(Keyer::new([1; 32]));
        let mut bytes = text.as_bytes().to_vec();
        aliases.words(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn readable_text_stays_and_secrets_go_without_a_change_of_length() {
        let plain = "Bearer error=\"invalid_token\", error_description=\"The access token expired\"";
        assert_eq!(covered(plain), plain);
        for (text, secret) in [
            ("the token sk-lab-0123456789abcdef is not valid", "sk-lab-0123456789abcdef"),
            ("see https://up.example/cb?code=s3cr3tvalue&x=1", "s3cr3tvalue"),
            ("/messages/?session_id=0af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319c"),
        ] {
            let out = covered(text);
            assert!(out.len() == text.len() && !out.contains(secret), "{out}");
        }
    }

    #[test]
    fn equal_values_have_equal_stand_ins_of_their_shape() {
        let mut aliases = Aliases::new(Keyer::new([1; 32]));
        let mut one = b"550e8400-e29b-41d4-a716-446655440000".to_vec();
        let mut two = one.clone();
        let before = one.clone();
        aliases.cover_secret("session", &mut one);
        aliases.cover_secret("session", &mut two);
        assert!(one == two && one != before && one.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-'));
        let mut echo = [b"<p>".as_slice(), &before, b"</p>"].concat();
        aliases.sweep(&mut [&mut echo]);
        assert_eq!(echo, [b"<p>".as_slice(), &one, b"</p>"].concat());
    }
}
