//! Bytes of a JSON text come in, the few members somebody asks for go out, the rest is stepped over. Builds no tree, copies
//! nothing that has no escapes, and knows nothing of JSON-RPC.
//!
//! Values that nobody reads are skipped by their brackets and quotes alone, so a text may pass here that a strict parser
//! refuses inside such a value; every text that a strict parser accepts is read as it reads it. Of members that come twice
//! the last one counts, as in JSON.parse, Python's json and Go's encoding/json: callers assign, they never keep the first.

use std::borrow::Cow;

use memchr::memchr2;

/// Not JSON, cut off, or nested deeper than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bad;

/// What every reading step returns.
pub(super) type Read<T> = Result<T, Bad>;

/// A place in a JSON text.
#[derive(Clone)]
pub(super) struct Json<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

/// A value: scalars whole, of containers only that they begin here (nothing is consumed of them).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(&'a [u8]),
    Text(Text<'a>),
    Object,
    Array,
}

/// A string between its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text<'a> {
    raw: &'a [u8],
    escapes: bool,
}

impl<'a> Json<'a> {
    /// At the beginning of a text; a byte order mark is passed over (RFC 8259, 8.1 lets a parser do so).
    pub(super) fn new(bytes: &'a [u8], depth: usize) -> Json<'a> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        Json { bytes, at: 0, depth: depth.min(DEEPEST) }
    }

    /// The first byte of the next token.
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Whether nothing but white space is left.
    pub(super) fn end(&mut self) -> Read<()> {
        if self.peek().is_none() { Ok(()) } else { Err(Bad) }
    }

    /// The next value; a container is left where it is, for [`Json::members`], [`Json::elements`] or [`Json::skip`].
    pub(super) fn value(&mut self) -> Read<Value<'a>> {
        match self.peek().ok_or(Bad)? {
            b'{' => Ok(Value::Object),
            b'[' => Ok(Value::Array),
            b'"' => self.string().map(Value::Text),
            b'-' | b'0'..=b'9' => Ok(Value::Number(self.word())),
            _ => match self.word() {
                b"null" => Ok(Value::Null),
                b"true" => Ok(Value::Bool(true)),
                b"false" => Ok(Value::Bool(false)),
                _ => Err(Bad),
            },
        }
    }

    /// The next value if it is a string; anything else is stepped over.
    pub(super) fn text(&mut self) -> Read<Option<Text<'a>>> {
        match self.value()? {
            Value::Text(text) => Ok(Some(text)),
            Value::Object | Value::Array => self.skip().map(|_| None),
            _ => Ok(None),
        }
    }

    /// Calls `each` for every member of the next value, which must consume the member's value. False where it is no object:
    /// then it is stepped over.
    pub(super) fn members(&mut self, mut each: impl FnMut(Text<'a>, &mut Json<'a>) -> Read<()>) -> Read<bool> {
        if self.peek().ok_or(Bad)? != b'{' {
            return self.skip().map(|_| false);
        }
        self.inside(b'}', |json| {
            if json.peek() != Some(b'"') {
                return Err(Bad);
            }
            let key = json.string()?;
            if json.peek() != Some(b':') {
                return Err(Bad);
            }
            json.at += 1;
            each(key, json)
        })
    }

    /// Calls `each` for every element of the next value, which must consume it. False where it is no array: then it is
    /// stepped over.
    pub(super) fn elements(&mut self, each: impl FnMut(&mut Json<'a>) -> Read<()>) -> Read<bool> {
        if self.peek().ok_or(Bad)? != b'[' {
            return self.skip().map(|_| false);
        }
        self.inside(b']', each)
    }

    /// Steps over the next value; its bytes.
    pub(super) fn skip(&mut self) -> Read<&'a [u8]> {
        let first = self.peek().ok_or(Bad)?;
        let from = self.at;
        if matches!(first, b'{' | b'[') {
            self.skip_container()?;
        } else {
            self.value()?;
        }
        self.bytes.get(from..self.at).ok_or(Bad)
    }

    /// Where the next token begins, for [`Json::since`].
    pub(super) fn place(&mut self) -> usize {
        self.peek();
        self.at
    }

    /// Bytes that are not read yet.
    pub(super) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// What was read since then.
    pub(super) fn since(&self, place: usize) -> &'a [u8] {
        self.bytes.get(place..self.at).unwrap_or_default()
    }

    /// The same reader on another text, with the depth that is left here.
    pub(super) fn on(&self, bytes: &'a [u8]) -> Json<'a> {
        Json { bytes, at: 0, depth: self.depth }
    }

    fn inside(&mut self, close: u8, mut each: impl FnMut(&mut Json<'a>) -> Read<()>) -> Read<bool> {
        self.at += 1;
        self.depth = self.depth.checked_sub(1).ok_or(Bad)?;
        if self.peek() == Some(close) {
            self.at += 1;
        } else {
            loop {
                each(self)?;
                let next = self.peek().ok_or(Bad)?;
                self.at += 1;
                if next == close {
                    break;
                }
                if next != b',' {
                    return Err(Bad);
                }
            }
        }
        self.depth += 1;
        Ok(true)
    }

    /// A number or a literal: everything up to the next delimiter.
    fn word(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|byte| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r')).unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }

    /// A string, from its opening quote on.
    fn string(&mut self) -> Read<Text<'a>> {
        let body = self.bytes.get(self.at + 1..).ok_or(Bad)?;
        let (len, escapes) = string_len(body).ok_or(Bad)?;
        self.at += len + 2;
        Ok(Text { raw: body.get(..len).ok_or(Bad)?, escapes })
    }

    /// An object or array, by its brackets and strings alone.
    fn skip_container(&mut self) -> Read<()> {
        let (mut depth, mut objects) = (0, 0u128);
        let mut at = self.at;
        loop {
            // The quick way over everything between brackets and quotes.
            let byte = loop {
                let byte = *self.bytes.get(at).ok_or(Bad)?;
                at += 1;
                if STRUCTURE[usize::from(byte)] {
                    break byte;
                }
            };
            match byte {
                b'"' => at += string_len(self.bytes.get(at..).ok_or(Bad)?).ok_or(Bad)?.0 + 1,
                b'{' | b'[' => {
                    depth += 1;
                    if depth > self.depth {
                        return Err(Bad);
                    }
                    objects = objects << 1 | u128::from(byte == b'{');
                }
                _ => {
                    if (byte == b'}') != (objects & 1 == 1) {
                        return Err(Bad);
                    }
                    objects >>= 1;
                    depth -= 1;
                    if depth == 0 {
                        self.at = at;
                        return Ok(());
                    }
                }
            }
        }
    }
}

impl<'a> Text<'a> {
    /// Its characters, escapes resolved. A lone surrogate becomes U+FFFD.
    pub(super) fn bytes(self) -> Cow<'a, [u8]> {
        if self.escapes { Cow::Owned(unescape(self.raw)) } else { Cow::Borrowed(self.raw) }
    }

    /// The same as text; bytes that are not UTF-8 become U+FFFD.
    pub(super) fn chars(self) -> Cow<'a, str> {
        match self.bytes() {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// Whether it has no characters.
    pub(super) fn is_empty(self) -> bool {
        self.raw.is_empty()
    }

    /// Its length as written.
    pub(super) fn len(self) -> usize {
        self.raw.len()
    }
}

/// Length of a string up to its closing quote, and whether a backslash is in it.
#[inline]
fn string_len(body: &[u8]) -> Option<(usize, bool)> {
    // Most keys and names are short: a few words of eight bytes beat the set-up of a vector search.
    let mut at = 0;
    while at < SHORT
        && let Some(word) = body.get(at..).and_then(<[u8]>::first_chunk::<8>)
    {
        let word = u64::from_le_bytes(*word);
        let found = zero_byte(word ^ QUOTES) | zero_byte(word ^ SLASHES);
        if found != 0 {
            at += found.trailing_zeros() as usize / 8;
            return if body.get(at) == Some(&b'"') { Some((at, false)) } else { escaped_len(body, at) };
        }
        at += 8;
    }
    at += memchr2(b'"', b'\\', body.get(at..)?)?;
    if body.get(at) == Some(&b'"') { Some((at, false)) } else { escaped_len(body, at) }
}

/// The high bit of each zero byte; those above the first may be wrong.
fn zero_byte(word: u64) -> u64 {
    word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080
}

fn escaped_len(body: &[u8], mut at: usize) -> Option<(usize, bool)> {
    loop {
        at += 2;
        at += memchr2(b'"', b'\\', body.get(at..)?)?;
        if body.get(at) == Some(&b'"') {
            return Some((at, true));
        }
    }
}

fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        rest = escape.get(2..).unwrap_or_default();
        match escape.get(1) {
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'r') => out.push(b'\r'),
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(b'u') => {
                let mut unit = hex4(rest);
                rest = rest.get(4..).unwrap_or_default();
                // RFC 8259, 7: characters beyond the basic plane are a pair of surrogates.
                if let Some(high @ 0xd800..=0xdbff) = unit
                    && let Some(after) = rest.strip_prefix(b"\\u")
                    && let Some(low @ 0xdc00..=0xdfff) = hex4(after)
                {
                    unit = Some(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
                    rest = after.get(4..).unwrap_or_default();
                }
                let char = unit.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Some(other) => out.push(*other),
            None => {}
        }
    }
    out.extend_from_slice(rest);
    out
}

fn hex4(bytes: &[u8]) -> Option<u32> {
    bytes.get(..4)?.iter().try_fold(0, |sum, byte| Some(sum << 4 | (*byte as char).to_digit(16)?))
}

/// Nesting that the bit stack of [`Json::skip_container`] can hold.
const DEEPEST: usize = 128;

/// Strings up to this length are searched word by word.
const SHORT: usize = 32;

const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);
const SLASHES: u64 = u64::from_le_bytes([b'\\'; 8]);

const STRUCTURE: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < 5 {
        table[b"\"{}[]"[at] as usize] = true;
        at += 1;
    }
    table
};

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads everything through this reader into a tree, to hold against serde_json's.
    fn tree(json: &mut Json<'_>) -> Read<serde_json::Value> {
        Ok(match json.value()? {
            Value::Null => serde_json::Value::Null,
            Value::Bool(truth) => truth.into(),
            Value::Number(digits) => serde_json::from_slice(digits).map_err(|_| Bad)?,
            Value::Text(text) => text.chars().into(),
            Value::Array => {
                let mut all = Vec::new();
                json.elements(|json| tree(json).map(|value| all.push(value)))?;
                all.into()
            }
            Value::Object => {
                let mut all = serde_json::Map::new();
                json.members(|key, json| tree(json).map(|value| drop(all.insert(key.chars().into_owned(), value))))?;
                all.into()
            }
        })
    }

    pub(in crate::mcp) fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            (-1e9..1e9f64).prop_map(Into::into),
            ".{0,40}".prop_map(Into::into),
            "[a-z\"\\\\/\n\u{1f600}{}\\[\\],:]{0,24}".prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 60, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::vec((".{0,12}", inner), 0..6).prop_map(|all| all.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn it_reads_what_serde_json_reads(value in any_json(), pretty: bool) {
            let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
            let mut json = Json::new(&text, 128);
            prop_assert_eq!(tree(&mut json).unwrap(), serde_json::from_slice::<serde_json::Value>(&text).unwrap());
            json.end().unwrap();
            let mut json = Json::new(&text, 128);
            prop_assert_eq!(json.skip().unwrap(), &text[..]);
            for cut in 0..text.len() {
                // A container that is cut off is never taken for whole.
                let closed = matches!(text[0], b'{' | b'[' | b'"');
                prop_assert!(!closed || Json::new(&text[..cut], 128).skip().is_err());
            }
        }

        #[test]
        fn what_serde_json_accepts_passes_and_nothing_panics(bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60), "[\\[\\]{}:,\"\\\\u0-9a-fntrse .-]{0,40}".prop_map(String::into_bytes),
        ]) {
            let read = tree(&mut Json::new(&bytes, 128));
            let mut skipped = Json::new(&bytes, 128);
            let skipped = skipped.skip().is_ok() && skipped.end().is_ok();
            if let Ok(value) = serde_json::from_slice::<serde_json::Value>(&bytes) {
                prop_assert_eq!(read, Ok(value));
                prop_assert!(skipped);
            }
        }
    }

    #[test]
    fn depth_is_bounded_everywhere() {
        let deep = |levels: usize| [b"[".repeat(levels), b"]".repeat(levels)].concat();
        for (levels, fits) in [(5, true), (6, false)] {
            assert_eq!(Json::new(&deep(levels), 5).skip().is_ok(), fits);
            assert_eq!(tree(&mut Json::new(&deep(levels), 5)).is_ok(), fits);
        }
        assert!(Json::new(&deep(100_000), usize::MAX).skip().is_err());
        assert!(Json::new(b"[{]}", 9).skip().is_err());
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_and_escapes_are_resolved() {
        let mut json = Json::new(b"\xef\xbb\xbf \"tools\\/l\\u0069st\\ud83d\\ude00\\ud83d\"", 9);
        assert_eq!(json.text().unwrap().unwrap().chars(), "tools/list\u{1f600}\u{fffd}");
    }
}
