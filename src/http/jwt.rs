//! A bearer token comes in; where it is a JWT (RFC 7519), the claims that explain a refusal go out. Signatures are not checked.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Jwt;
use crate::base::Keyer;

/// The claims of `token`, or nothing where it is not three dot-separated parts with a JSON object in the second.
pub(super) fn claims(token: &[u8], keyer: &Keyer) -> Option<Jwt> {
    if token.len() >= LONGEST {
        return None;
    }
    let mut parts = token.split(|b| *b == b'.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let claims: Claims = serde_json::from_slice(&base64(payload)?).ok()?;
    let audience = match claims.aud {
        Some(OneOrMany::One(one)) => vec![keyer.fingerprint("audience", one.as_bytes())],
        Some(OneOrMany::Many(many)) => many.iter().take(AUDIENCES).map(|one| keyer.fingerprint("audience", one.as_bytes())).collect(),
        _ => Vec::new(),
    };
    let issuer = match claims.iss {
        Some(OneOrMany::One(iss)) => Some(keyer.fingerprint("issuer", iss.as_bytes())),
        _ => None,
    };
    Some(Jwt {
        expires: claims.exp.and_then(Number::seconds),
        not_before: claims.nbf.and_then(Number::seconds),
        issued: claims.iat.and_then(Number::seconds),
        audience,
        issuer,
        scoped: claims.scope.is_some() || claims.scp.is_some(),
    })
}

/// Base64 in either alphabet, padded or not (RFC 4648); `None` where there is anything else in it.
pub(super) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut held) = (0u32, 0u32);
    for b in text {
        let value = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    (held < 6).then_some(out)
}

#[derive(Deserialize)]
struct Claims {
    exp: Option<Number>,
    nbf: Option<Number>,
    iat: Option<Number>,
    aud: Option<OneOrMany>,
    iss: Option<OneOrMany>,
    scope: Option<IgnoredAny>,
    scp: Option<IgnoredAny>,
}

/// NumericDate may have a fraction (RFC 7519, 2).
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Whole(i64),
    Fraction(f64),
    Other(IgnoredAny),
}

impl Number {
    fn seconds(self) -> Option<i64> {
        match self {
            Number::Whole(n) => Some(n),
            Number::Fraction(n) => Some(n.floor() as i64),
            Number::Other(_) => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
    Other(IgnoredAny),
}

/// Longer tokens are not read.
const LONGEST: usize = 16 * 1024;
/// Audiences kept of one token.
const AUDIENCES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn encode(bytes: &[u8]) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut out = String::new();
        for chunk in bytes.chunks(3) {
            let n = chunk.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
            for i in 0..=chunk.len() {
                out.push(char::from(ALPHABET[(n >> (18 - 6 * i) & 63) as usize]));
            }
        }
        out
    }

    #[test]
    fn claims_are_read_and_not_kept_as_text() {
        let keyer = Keyer::new([3; 32]);
        let payload = br#"{"exp":1795386639,"nbf":12.9,"iat":"soon","aud":["a","b"],"iss":"https://i","scope":"x","deep":{"a":[1]}}"#;
        let token = format!("eyJhbGciOiJub25lIn0.{}.c2ln", encode(payload));
        let jwt = claims(token.as_bytes(), &keyer).unwrap();
        assert_eq!((jwt.expires, jwt.not_before, jwt.issued, jwt.scoped), (Some(1_795_386_639), Some(12), None, true));
        assert_eq!(jwt.audience, [keyer.fingerprint("audience", b"a"), keyer.fingerprint("audience", b"b")]);
        assert_eq!(jwt.issuer, Some(keyer.fingerprint("issuer", b"https://i")));
    }

    #[test]
    fn other_tokens_are_opaque() {
        let keyer = Keyer::new([3; 32]);
        for token in ["", "a.b.c", "abc", "a.b", "a.e30.c.d", "sk-lab-0123456789"] {
            assert_eq!(claims(token.as_bytes(), &keyer), None, "{token}");
        }
        assert_eq!(claims(b"a.e30.c", &keyer), Some(Jwt::default()));
        assert_eq!(claims(format!("a.e30.{}", "c".repeat(LONGEST)).as_bytes(), &keyer), None);
    }

    #[test]
    fn base64_goes_there_and_back() {
        for n in 0..40u8 {
            let bytes: Vec<u8> = (0..n).map(|i| i.wrapping_mul(37)).collect();
            assert_eq!(base64(encode(&bytes).as_bytes()), Some(bytes));
        }
        assert_eq!(base64(b"aGk="), Some(b"hi".to_vec()));
        assert_eq!(base64(b"a b"), None);
        assert_eq!(base64(b"a"), None);
    }
}
