//! Text from heads comes in, text that is safe to show goes out: no control characters, bounded, and without anything that
//! looks like a secret. Knows nothing of which field it was.

/// Text for people: control and direction characters removed, URLs and words that look like secrets redacted with `~`, at most `max` bytes.
pub fn text(bytes: &[u8], max: usize) -> String {
    match innocent(bytes, is_delimiter) {
        Some(text) if text.len() <= max => text.trim().to_owned(),
        _ => any_text(bytes, max),
    }
}

/// The same for text of any kind.
fn any_text(bytes: &[u8], max: usize) -> String {
    let clean: String =
        String::from_utf8_lossy(bytes.get(..max.saturating_mul(4)).unwrap_or(bytes)).chars().filter(|c| !hidden(*c)).collect();
    let mut out = String::with_capacity(clean.len().min(max));
    let mut quoted_secret = false; // inside the quotes of a parameter whose value is secret by its name
    let mut last_name_secret = false;
    let mut rest = clean.trim();
    while !rest.is_empty() {
        let cut = rest.find(is_delimiter).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(cut).unwrap_or((rest, ""));
        if quoted_secret || (last_name_secret && !word.is_empty()) {
            if !word.is_empty() && !out.ends_with('~') {
                out.push('~');
            }
            last_name_secret = false;
        } else if !word.is_empty() {
            last_name_secret = word.strip_suffix('=').is_some_and(secret_name);
            push_word(&mut out, word);
        }
        let mut chars = after.chars();
        if let Some(delimiter) = chars.next() {
            if delimiter == '"' {
                quoted_secret = !quoted_secret && last_name_secret;
                last_name_secret = false;
            } else if !quoted_secret && !delimiter.is_whitespace() {
                last_name_secret = false;
            }
            if !quoted_secret || delimiter == '"' {
                out.push(delimiter);
            }
        }
        rest = chars.as_str();
        if out.len() > max {
            break;
        }
    }
    shorten(&mut out, max);
    out
}

/// A path, segment by segment: those that look like secrets become `~`.
pub(super) fn path(bytes: &[u8], max: usize) -> String {
    match innocent(bytes, |c| c == '/') {
        Some(path) if path.len() <= max => path.to_owned(),
        _ => any_path(bytes, max),
    }
}

/// The same for a path of any kind.
fn any_path(bytes: &[u8], max: usize) -> String {
    let clean: String =
        String::from_utf8_lossy(bytes.get(..max.saturating_mul(2)).unwrap_or(bytes)).chars().filter(|c| !hidden(*c)).collect();
    let mut out = String::with_capacity(clean.len().min(max));
    push_path(&mut out, &clean);
    shorten(&mut out, max);
    out
}

/// Text in which nothing is to be hidden, as most is: printable ASCII without the signs that names of secrets and URLs are known by, whose
/// words all may be shown. A word ends where `ends` says.
fn innocent(bytes: &[u8], ends: impl Fn(char) -> bool) -> Option<&str> {
    if !bytes.iter().all(|b| PLAIN[usize::from(*b)]) || memchr::memmem::find(bytes, b"://").is_some() {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let mut words = text.split(ends);
    // A word that begins with a slash is a path in text: that takes a closer look. In paths no word holds one.
    (!words.any(|word| word.starts_with('/') || secret(word))).then_some(text)
}

/// Whether a word looks like a token, a key or an identifier that nobody chose to be read.
pub(super) fn secret(word: &str) -> bool {
    if word.len() < 10 {
        return false;
    }
    let bytes = word.as_bytes();
    if bytes.first().is_some_and(|first| BEGINNINGS[usize::from(*first)])
        && PREFIXES.iter().any(|prefix| bytes.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes())))
    {
        return true;
    }
    if bytes.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-') && bytes.iter().filter(|b| **b != b'-').count() >= 20 {
        return true; // a hash, a UUID, a session id
    }
    let odd: usize = word.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !ordinary(part)).map(str::len).sum();
    odd >= 12
}

/// Whether a parameter of this name holds a secret, whatever it looks like.
pub(super) fn secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["token", "secret", "passw", "nonce", "opaque", "signature", "assertion", "credential", "session", "apikey", "api_key", "api-key"]
        .iter()
        .any(|word| name.contains(word))
        || matches!(name.as_str(), "code" | "state" | "sig" | "key" | "auth" | "jwt" | "cookie" | "sid")
}

fn push_word(out: &mut String, word: &str) {
    if let Some((scheme, rest)) = word.split_once("://") {
        if let Some((before, scheme)) = scheme.rsplit_once('=') {
            out.push_str(before);
            out.push('=');
            out.push_str(scheme);
        } else {
            out.push_str(scheme);
        }
        out.push_str("://");
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        push_plain(out, host);
        push_tail(out, tail);
    } else if word.starts_with('/') {
        push_tail(out, word);
    } else if let Some((name, value)) = word.split_once('=').filter(|(name, value)| !value.is_empty() && !name.is_empty()) {
        push_plain(out, name);
        out.push('=');
        if secret_name(name) {
            out.push('~');
        } else if value.starts_with('/') || value.contains('?') {
            push_tail(out, value);
        } else {
            push_plain(out, value);
        }
    } else if word.contains('?') {
        push_tail(out, word);
    } else if let Some((user, host)) = word.rsplit_once('@').filter(|(user, _)| user.contains(':')) {
        let _ = user;
        push_plain(out, host);
    } else {
        push_plain(out, word);
    }
}

/// The part of a URL after its authority: path, then names of the query without their values; the fragment goes.
fn push_tail(out: &mut String, tail: &str) {
    let (tail, fragment) = tail.split_once('#').map_or((tail, false), |(tail, _)| (tail, true));
    match tail.split_once('?') {
        None => push_path(out, tail),
        Some((path, query)) => {
            push_path(out, path);
            out.push('?');
            for (i, pair) in query.split('&').enumerate() {
                if i > 0 {
                    out.push('&');
                }
                match pair.split_once('=') {
                    Some((name, _)) => {
                        push_plain(out, name);
                        out.push_str("=~");
                    }
                    None if pair.is_empty() => {}
                    None => out.push('~'),
                }
            }
        }
    }
    if fragment {
        out.push_str("#~");
    }
}

fn push_path(out: &mut String, path: &str) {
    for (i, segment) in path.split('/').enumerate() {
        if i > 0 {
            out.push('/');
        }
        match segment.split_once('=') {
            Some((name, value)) if !value.is_empty() => {
                push_plain(out, name);
                out.push_str("=~");
            }
            _ => push_plain(out, segment),
        }
    }
}

fn push_plain(out: &mut String, word: &str) {
    out.push_str(if secret(word) { "~" } else { word });
}

/// A run of letters and digits as people write them: a word, camelCase, a short number, a word with a number at its end.
fn ordinary(part: &str) -> bool {
    let letters = part.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = part.len() - letters.len();
    if letters.is_empty() {
        return digits <= 8;
    }
    if digits > 4 || letters.bytes().any(|b| b.is_ascii_digit()) {
        return part.len() <= 4;
    }
    readable(letters)
}

/// Letters that could be words: not too long, vowels among them, no long run of consonants, capitals only at starts of words.
fn readable(letters: &str) -> bool {
    let (mut vowels, mut consonants, mut longest, mut humps) = (0usize, 0usize, 0usize, 0usize);
    let mut lower_before = false;
    for b in letters.bytes() {
        if matches!(b.to_ascii_lowercase(), b'a' | b'e' | b'i' | b'o' | b'u' | b'y') {
            vowels += 1;
            consonants = 0;
        } else {
            consonants += 1;
            longest = longest.max(consonants);
        }
        humps += usize::from(lower_before && b.is_ascii_uppercase());
        lower_before = b.is_ascii_lowercase();
    }
    letters.len() < 8 || (letters.len() <= 32 && longest <= 5 && vowels * 5 >= letters.len() && humps * 4 <= letters.len())
}

/// Characters that could lie to a reader or to a terminal: controls, and marks that turn the direction of text.
fn hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn is_delimiter(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '\\' | '`')
}

/// Cuts at a character's end.
pub(super) fn shorten(text: &mut String, max: usize) {
    if text.len() > max {
        let cut = (0..=max).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(cut);
    }
}

/// Printable ASCII without the signs of parameters and URLs.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = b' ' as usize;
    while at < 0x7f {
        table[at] = !matches!(at as u8, b'=' | b'?' | b'#' | b'@' | b'&' | b'%');
        at += 1;
    }
    table
};

/// First letters of [`PREFIXES`], in either case.
const BEGINNINGS: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < PREFIXES.len() {
        let first = PREFIXES[at].as_bytes()[0];
        table[first.to_ascii_lowercase() as usize] = true;
        table[first.to_ascii_uppercase() as usize] = true;
        at += 1;
    }
    table
};

/// Beginnings of well-known kinds of token; `eyJ` begins every JWT.
const PREFIXES: &[&str] = &[
    "sk-",
    "sk_",
    "pk-",
    "pk_",
    "rk_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xox",
    "eyJ",
    "AKIA",
    "ASIA",
    "ya29.",
    "AIza",
    "hf_",
    "npm_",
    "pypi-",
    "dop_v1_",
    "SG.",
    "shpat_",
    "whsec_",
    "sess-",
    "tok_",
    "lin_api_",
    "ntn_",
    "secret_",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_quick_way_says_what_the_long_one_says(
            bytes in prop_oneof![
                "[ -~]{0,40}",
                "[a-zA-Z0-9 ./_:,;()\"+-]{0,60}",
                "((sk-|eyJ|/|http://|a=|mcp|application/json|python-httpx/0\\.27\\.0|[0-9a-f]{32}|[A-Za-z0-9]{14})[ /;,\"]?){0,5}",
            ],
            max in 0usize..64,
        ) {
            prop_assert_eq!(text(bytes.as_bytes(), max), any_text(bytes.as_bytes(), max));
            prop_assert_eq!(path(bytes.as_bytes(), max), any_path(bytes.as_bytes(), max));
        }
    }

    #[test]
    fn route_names_stay_and_secrets_go() {
        for word in [
            "weather_server-2",
            "tools",
            "list",
            "mcp-rest",
            "resources-templates-list",
            "getWeatherForecast",
            "oauth-protected-resource",
            "oauth2",
            "v1beta2",
            "2025-11-25",
            "litellm",
            "my-internal-documentation-server",
            "io.modelcontextprotocol",
            "python-httpx2",
        ] {
            assert!(!secret(word), "{word}");
        }
        for word in [
            "sk-lab-0123456789abcdef",
            "ghp_abcdefghijkl",
            "eyJhbGciOiJIUzI1NiJ9",
            "550e8400-e29b-41d4-a716-446655440000",
            "d41d8cd98f00b204e9800998ecf8427e",
            "xoxb-1234567890",
            "aB3xK9qLmZ77pQ2w",
            "AbCdEfGhIjKlMnOpQrSt",
            "k2j4h5g6f7d8s9a0",
            "qwrtzpsdfghjklxcvbnm",
            "123456789012345678901234",
        ] {
            assert!(secret(word), "{word}");
        }
        assert_eq!(path(b"/mcp/d41d8cd98f00b204e9800998ecf8427e/tools;jsessionid=x", 200), "/mcp/~/tools;jsessionid=~");
    }

    #[test]
    fn a_challenge_stays_readable() {
        let challenge = b"Bearer error=\"invalid_token\", error_description=\"The access token expired\", resource_metadata=\"https://user:pw@up.example/.well-known/oauth-protected-resource?tenant=secret&x\"";
        assert_eq!(
            text(challenge, 1024),
            "Bearer error=\"invalid_token\", error_description=\"The access token expired\", resource_metadata=\"https://up.example/.well-known/oauth-protected-resource?tenant=~&~\""
        );
        assert_eq!(text(b"Digest nonce=\"a b c\", realm=\"x\"", 200), "Digest nonce=\"~\", realm=\"x\"");
        assert_eq!(text(b"token=abc, x=1", 200), "token=~, x=1");
        assert_eq!(
            text(b"Bearer authorization_uri=http://127.0.0.1:4000/.well-known/oauth-authorization-server/weather", 1024),
            "Bearer authorization_uri=http://127.0.0.1:4000/.well-known/oauth-authorization-server/weather"
        );
    }

    #[test]
    fn controls_go_and_length_is_bounded() {
        assert_eq!(text(b"a\x1b[31mred\x00\r\n\xe2\x80\xaeb", 100), "a[31mredb");
        assert_eq!(text("ééééé".as_bytes(), 5), "éé");
        assert_eq!(text(b"https://a.example/cb#access_token=abc", 100), "https://a.example/cb#~");
        assert_eq!(text(b"see /cb?code=abc now", 100), "see /cb?code=~ now");
    }
}
