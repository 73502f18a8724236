//! The value of a field that authenticates comes in; scheme, fingerprint and JWT claims go out, and the value dies.

use super::{Credential, jwt};
use crate::base::Keyer;

/// Whether a request field of this lower-case name carries a credential, beside `Authorization` itself.
pub(super) fn carries(name: &[u8]) -> bool {
    let has = |word: &[u8]| name.windows(word.len()).any(|part| part == word);
    let ends = |word: &[u8]| name.ends_with(word);
    match name {
        b"cookie" | b"cookie2" | b"proxy-authorization" | b"x-mcp-auth" | b"x-api-key" | b"api-key" | b"x-litellm-api-key" => true,
        b"traceparent" | b"tracestate" | b"www-authenticate" => false,
        _ => {
            ends(b"authorization")
                || ends(b"-auth")
                || ends(b"-jwt")
                || has(b"token")
                || has(b"secret")
                || has(b"api-key")
                || has(b"apikey")
                || has(b"api_key")
                || has(b"access-key")
                || has(b"-subscription-key")
                || has(b"password")
                || has(b"credential")
                || has(b"signature")
                || has(b"cookie")
        }
    }
}

/// The fingerprint is of the value without its scheme, so that the same token compares under `Authorization: Bearer` and `x-api-key`.
pub(super) fn read(value: &[u8], keyer: &Keyer) -> Credential {
    let (scheme, token) = split_scheme(value);
    let scheme = String::from_utf8_lossy(scheme).to_ascii_lowercase();
    let jwt = if scheme.is_empty() || scheme == "bearer" || scheme == "dpop" { jwt::claims(token, keyer) } else { None };
    Credential { mark: keyer.fingerprint("token", token), scheme, jwt }
}

/// `auth-scheme 1*SP token68` (RFC 9110, 11.4): a first word of letters, digits and dashes, if more follows. A cookie's first word has `=` or `;`.
fn split_scheme(value: &[u8]) -> (&[u8], &[u8]) {
    let value = value.trim_ascii();
    let Some(space) = memchr::memchr(b' ', value) else { return (b"", value) };
    let (scheme, token) = value.split_at_checked(space).unwrap_or((b"", value));
    let named = !scheme.is_empty() && scheme.len() <= 24 && scheme.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
    if named { (scheme, token.trim_ascii()) } else { (b"", value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_no_part_of_the_fingerprint() {
        let keyer = Keyer::new([5; 32]);
        for value in ["Bearer abc", "bearer  abc", "abc", " Token abc "] {
            assert_eq!(read(value.as_bytes(), &keyer).mark, keyer.fingerprint("token", b"abc"), "{value}");
        }
        assert_eq!(read(b"Bearer abc", &keyer).scheme, "bearer");
        assert_eq!(read(b"abc", &keyer).scheme, "");
        assert_eq!(read(b"sid=a; b=c", &keyer).scheme, "");
    }

    #[test]
    fn names_that_carry_credentials_are_known() {
        for name in [
            "x-litellm-api-key",
            "x-mcp-github-authorization",
            "x-mcp-auth",
            "cookie",
            "x-auth-token",
            "x-vault-token",
            "x-amz-security-token",
        ] {
            assert!(carries(name.as_bytes()), "{name}");
        }
        for name in ["x-request-id", "user-agent", "x-lab-request-id", "traceparent", "x-mcp-servers", "author", "x-forwarded-for"] {
            assert!(!carries(name.as_bytes()), "{name}");
        }
    }
}
