//! A request's target comes in (RFC 9112, 3.2); a path that is safe to show and marks of path and query go out.

use super::redact;
use crate::base::{Fingerprint, Keyer};

/// A target, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// Of absolute-form, where it overrides `Host` (RFC 9112, 3.2.2), without userinfo.
    pub(super) authority: Option<&'a [u8]>,
    /// Without query and fragment; for CONNECT the authority-form, for `*` the asterisk.
    pub(super) path: &'a [u8],
    /// What follows the `?`.
    pub(super) query: Option<&'a [u8]>,
}

impl<'a> Target<'a> {
    /// Never fails: what has no form that is known is all path.
    pub(super) fn parse(target: &'a [u8]) -> Target<'a> {
        let (authority, rest) = match memchr::memmem::find(target, b"://") {
            Some(colon) if !target.starts_with(b"/") && target.iter().take(colon).all(u8::is_ascii_alphanumeric) => {
                let after = target.get(colon + 3..).unwrap_or_default();
                let end = after.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(after.len());
                let (authority, rest) = after.split_at_checked(end).unwrap_or((after, b""));
                (Some(without_userinfo(authority)), rest)
            }
            _ => (None, target),
        };
        let rest = split_once(rest, b'#').0;
        let (path, query) = split_once(rest, b'?');
        let path = if path.is_empty() && authority.is_some() { b"/" } else { path };
        Target { authority, path, query }
    }
}

/// The mark of a path as sent, without its query: what [`super::RequestHead::path_mark`] holds.
pub fn path_mark(path: &[u8], keyer: &Keyer) -> Fingerprint {
    keyer.mark(path)
}

/// Names of a query's parameters, safe to show, with fingerprints of their values: what [`super::RequestHead::query`] holds.
pub fn query_marks(query: &[u8], keyer: &Keyer) -> Vec<(String, Fingerprint)> {
    let pairs = query.split(|b| *b == b'&').filter(|pair| !pair.is_empty()).take(PARAMETERS);
    pairs
        .map(|pair| match split_once(pair, b'=') {
            (name, Some(value)) => (redact::text(name, NAME), keyer.fingerprint("query", value)),
            (value, None) => (String::new(), keyer.fingerprint("query", value)), // a bare word may be a secret: it has no name
        })
        .collect()
}

/// `user:password@host` as `host`.
pub(super) fn without_userinfo(authority: &[u8]) -> &[u8] {
    memchr::memrchr(b'@', authority).and_then(|at| authority.get(at + 1..)).unwrap_or(authority)
}

fn split_once(bytes: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(at, bytes) {
        Some(i) => (bytes.get(..i).unwrap_or_default(), bytes.get(i + 1..)),
        None => (bytes, None),
    }
}

/// Parameters kept of one query.
const PARAMETERS: usize = 64;
/// Bytes kept of a parameter's name.
const NAME: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(target: &str) -> (Option<&str>, &str, Option<&str>) {
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        let target = Target::parse(target.as_bytes());
        (target.authority.map(text), text(target.path), target.query.map(text))
    }

    #[test]
    fn every_form_of_target_is_taken_apart() {
        assert_eq!(parts("/mcp/?a=1&b#f"), (None, "/mcp/", Some("a=1&b")));
        assert_eq!(parts("http://u:p@h.example:80/x?y"), (Some("h.example:80"), "/x", Some("y")));
        assert_eq!(parts("http://h.example"), (Some("h.example"), "/", None));
        assert_eq!(parts("up.example:443"), (None, "up.example:443", None));
        assert_eq!(parts("*"), (None, "*", None));
        assert_eq!(parts("/r?to=http://x/y"), (None, "/r", Some("to=http://x/y")));
    }

    #[test]
    fn query_values_are_never_kept() {
        let keyer = Keyer::new([1; 32]);
        let query = query_marks(b"session_id=abc&&sk-0123456789&x=", &keyer);
        assert_eq!(query[0], ("session_id".to_string(), keyer.fingerprint("query", b"abc")));
        assert_eq!(query[1], (String::new(), keyer.fingerprint("query", b"sk-0123456789")));
        assert_eq!(query[2], ("x".to_string(), keyer.fingerprint("query", b"")));
        assert_eq!(query.len(), 3);
    }
}
