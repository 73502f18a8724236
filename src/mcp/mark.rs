//! JSON values come in, marks go out that are equal for equal values however they were written: white space, key order,
//! escapes and the notation of numbers do not count. Also the marks that heads and bodies must make alike.

use crate::base::{Fingerprint, Keyer};

use super::json::{Bad, Json, Read, Text, Value};
use super::words;

/// Makes a mark from members that come in any order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Members {
    sum: u64,
    any: bool,
}

impl Members {
    /// Adds a member; `value` comes from [`canonical`].
    pub(super) fn add(&mut self, keyer: &Keyer, key: Text<'_>, value: u64) {
        // A sum does not depend on the order of its terms.
        self.sum = self.sum.wrapping_add(fold(keyer.mark(&key.bytes()).0, value));
        self.any = true;
    }

    /// The mark; `None` without members.
    pub(super) fn mark(self) -> Option<Fingerprint> {
        self.any.then(|| Fingerprint(self.value()))
    }

    /// As [`canonical`] gives it for the whole object.
    pub(super) fn value(self) -> u64 {
        fold(self.sum, OBJECT)
    }
}

/// The same for an array's elements, in their order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elements(u64);

impl Elements {
    pub(super) fn new() -> Elements {
        Elements(ARRAY)
    }

    /// Adds an element; `value` comes from [`canonical`].
    pub(super) fn add(&mut self, value: u64) {
        self.0 = fold(self.0 ^ value, ARRAY);
    }

    /// As [`canonical`] gives it for the whole array.
    pub(super) fn value(self) -> u64 {
        self.0
    }
}

/// [`canonical`] of a string that was unescaped already.
pub(super) fn text(chars: &[u8], keyer: &Keyer) -> u64 {
    keyer.mark(chars).0
}

/// Reads the next value to its canonical hash.
pub(super) fn canonical(json: &mut Json<'_>, keyer: &Keyer) -> Read<u64> {
    Ok(match json.value()? {
        Value::Null => fold(1, SCALAR),
        Value::Bool(truth) => fold(2 + u64::from(truth), SCALAR),
        Value::Number(digits) => fold(number(digits)?, NUMBER),
        Value::Text(chars) => text(&chars.bytes(), keyer),
        Value::Array => {
            let mut all = Elements::new();
            json.elements(|json| canonical(json, keyer).map(|value| all.add(value)))?;
            all.value()
        }
        Value::Object => {
            let mut all = Members::default();
            json.members(|key, json| canonical(json, keyer).map(|value| all.add(keyer, key, value)))?;
            all.value()
        }
    })
}

/// Whether a value says no more than its absence: gateways write `{}` or `null` where the client wrote nothing.
pub(super) fn is_void(raw: &[u8]) -> bool {
    let mut json = Json::new(raw, 2);
    match json.value() {
        Ok(Value::Null) => true,
        Ok(Value::Object) => {
            let mut any = false;
            json.members(|_, json| {
                any = true;
                json.skip().map(drop)
            })
            .is_ok()
                && !any
        }
        _ => false,
    }
}

/// The trace id of a `traceparent` (W3C Trace Context: `00-{trace id}-{parent id}-{flags}`), as in a request's head.
pub(super) fn trace(keyer: &Keyer, traceparent: &[u8]) -> Option<Fingerprint> {
    let id = traceparent.split(|byte| *byte == b'-').nth(1).filter(|id| id.len() == 32)?;
    Some(keyer.fingerprint("trace", id))
}

/// A path without its query, as the `path_mark` of a request's head.
pub(super) fn path(keyer: &Keyer, path: &[u8]) -> Fingerprint {
    keyer.mark(path)
}

/// A query's parameters, as in a request's head: a bare word has no name, it may be a secret.
pub(super) fn query(keyer: &Keyer, query: &[u8]) -> Vec<(String, Fingerprint)> {
    let parts = query.split(|byte| *byte == b'&').filter(|part| !part.is_empty()).take(PARAMETERS);
    let mark = |value| keyer.fingerprint("query", value);
    parts
        .map(|part| match memchr::memchr(b'=', part).and_then(|at| part.split_at_checked(at)) {
            Some((name, value)) => (words::redacted(&String::from_utf8_lossy(name), NAME), mark(value.get(1..).unwrap_or_default())),
            None => (String::new(), mark(part)),
        })
        .collect()
}

/// An SSE event's id, as the `last_event_id` of a request's head.
pub(super) fn event(keyer: &Keyer, id: &[u8]) -> Fingerprint {
    keyer.fingerprint("last-event-id", id)
}

/// `1`, `1.0` and `1e0` are one number; those beyond 64 bits count as what a double makes of them.
fn number(digits: &[u8]) -> Read<u64> {
    let text = std::str::from_utf8(digits).map_err(|_| Bad)?;
    if let Ok(whole) = text.parse::<i64>() {
        return Ok(whole.cast_unsigned());
    }
    let real = text.parse::<f64>().map_err(|_| Bad)?;
    let whole = real as i64;
    Ok(if real.abs() <= EXACT && whole as f64 == real { whole.cast_unsigned() } else { real.to_bits() })
}

/// Folded multiplication: mixes every bit of both into every bit of the result. The strings' hashes under it are keyed.
fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b.rotate_left(29) ^ 0xd6e8_feb8_6659_fd93);
    (wide >> 64) as u64 ^ wide as u64
}

/// Up to here a double holds every integer.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Parameters of a query that are kept, and bytes of their names.
const PARAMETERS: usize = 64;
const NAME: usize = 64;

const SCALAR: u64 = 0xa076_1d64_78bd_642f;
const NUMBER: u64 = 0xe703_7ed1_a0b4_28db;
const ARRAY: u64 = 0x8ebc_6af0_9c88_c6e3;
const OBJECT: u64 = 0x5899_65cc_7537_4cc3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mcp::json::tests::any_json;

    fn of(text: &[u8]) -> u64 {
        canonical(&mut Json::new(text, 128), &Keyer::new([3; 32])).unwrap()
    }

    /// The same value, members turned round, every character escaped, with white space.
    fn otherwise(value: &serde_json::Value) -> String {
        let text = |text: &str| format!("\"{}\"", text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect::<String>());
        match value {
            serde_json::Value::String(inner) => text(inner),
            serde_json::Value::Array(all) => format!("[ {} ]", all.iter().map(otherwise).collect::<Vec<_>>().join(" ,\n")),
            serde_json::Value::Object(all) => {
                let members = all.iter().rev().map(|(key, value)| format!("{} :\t{}", text(key), otherwise(value)));
                format!("{{ {} }}", members.collect::<Vec<_>>().join(" , "))
            }
            other => other.to_string(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn marks_are_equal_exactly_for_equal_values(one in any_json(), two in any_json()) {
            prop_assert_eq!(of(one.to_string().as_bytes()), of(otherwise(&one).as_bytes()));
            prop_assert_eq!(of(one.to_string().as_bytes()) == of(two.to_string().as_bytes()), one == two);
        }
    }

    #[test]
    fn numbers_are_what_they_mean_and_places_matter() {
        assert_eq!(of(b"1"), of(b"1.0"));
        assert_eq!(of(b"100"), of(b"1e2"));
        assert_ne!(of(b"1"), of(b"\"1\""));
        assert_ne!(of(b"[1,2]"), of(b"[2,1]"));
        assert_ne!(of(b"{\"a\":1,\"b\":2}"), of(b"{\"a\":2,\"b\":1}"));
        assert_ne!(of(b"{}"), of(b"[]"));
        assert_ne!(of(b"[[],1]"), of(b"[[1]]"));
    }
}
