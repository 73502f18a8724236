//! Text from the wire comes in, text that may be shown to people goes out: short, without control characters, and without
//! anything that looks like a secret. Rather hides too much than too little.

/// At most `max` bytes, the cut marked with `~`; control characters become spaces.
pub(super) fn short(text: &str, max: usize) -> String {
    if text.len() <= max && !text.bytes().any(|byte| !(b' '..0x7f).contains(&byte)) {
        return text.to_owned();
    }
    let mut out: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    if out.len() > max {
        let mut end = max.saturating_sub(1);
        while !out.is_char_boundary(end) {
            end -= 1;
        }
        out.truncate(end);
        out.push('~');
    }
    out
}

/// As [`short`], with tokens, keys, the values of queries, user names in URLs and whatever a telling word announces
/// replaced by `~`.
pub(super) fn redacted(text: &str, max: usize) -> String {
    // What comes out is hardly ever longer than what goes in, so a long text need not be read to its end.
    let mut end = text.len().min(max.saturating_mul(4));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = text.get(..end).unwrap_or_default();
    let mut out = String::with_capacity(text.len().min(max + 8));
    let mut before = Before::default();
    let mut rest = text;
    while !rest.is_empty() {
        let len = rest.find(|char| !is_wordlike(char)).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(len).unwrap_or((rest, ""));
        if !word.is_empty() {
            let hidden = before.announces(word) || looks_secret(word);
            out.push_str(if hidden { "~" } else { word });
            before.word(word, hidden);
        }
        let Some(char) = after.chars().next() else { break };
        rest = after.get(char.len_utf8()..).unwrap_or_default();
        out.push(char);
        before.separator(char, rest);
        if char == ':'
            && let Some(authority) = rest.strip_prefix("//")
        {
            // Whoever is named before the host is nobody's business (RFC 3986, 3.2.1), with a password or without.
            let len = authority.find(|char| ends_url(char) || matches!(char, '/' | '?' | '#')).unwrap_or(authority.len());
            if let Some(at) = authority.get(..len).and_then(|authority| authority.rfind('@')) {
                out.push_str("//~");
                rest = authority.get(at..).unwrap_or_default();
            }
        }
        if before.in_url && matches!(char, '?' | '#') {
            let len = rest.find(ends_url).unwrap_or(rest.len());
            if len > 0 {
                out.push('~');
            }
            rest = rest.get(len..).unwrap_or_default();
        }
    }
    if end == max.saturating_mul(4) {
        // The last word may be the beginning of a longer one.
        let keep = out.trim_end_matches(is_wordlike).len();
        out.truncate(keep);
        out.push('~');
    }
    short(&out, max)
}

/// What the last word and the separators since say of the next word.
#[derive(Default)]
struct Before {
    telling: bool,
    scheme: bool,
    equals: bool,
    colon: bool,
    in_url: bool,
}

impl Before {
    /// Whether the next word is a secret because of what comes before it.
    fn announces(&self, word: &str) -> bool {
        // "token=abc" always; "token: abc1" only where it is no plain word of a sentence.
        self.telling && self.equals
            || self.telling && self.colon && !is_plain(word)
            || self.scheme && !is_plain(word)
            || self.scheme && word.len() > 16
    }

    fn word(&mut self, word: &str, hidden: bool) {
        if hidden {
            return;
        }
        let lower = word.to_ascii_lowercase();
        self.telling = TELLING.iter().any(|telling| lower.contains(telling));
        self.scheme = matches!(lower.as_str(), "bearer" | "basic" | "digest" | "apikey" | "token" | "key");
        (self.equals, self.colon) = (false, false);
    }

    fn separator(&mut self, char: char, rest: &str) {
        match char {
            '=' => self.equals = true,
            ':' => {
                self.colon = true;
                self.in_url |= rest.starts_with("//");
            }
            ' ' | '"' | '\'' | '\\' => {}
            _ => (self.telling, self.scheme) = (false, false),
        }
        self.in_url &= !ends_url(char);
    }
}

fn is_wordlike(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '+' | '~' | '%')
}

fn ends_url(char: char) -> bool {
    char.is_whitespace() || matches!(char, '"' | '\'' | '<' | '>' | '`')
}

/// A word of plain language: letters, capital at most the first.
fn is_plain(word: &str) -> bool {
    word.len() <= 16
        && word.bytes().skip(1).all(|byte| byte.is_ascii_lowercase())
        && word.starts_with(|char: char| char.is_ascii_alphabetic())
}

fn looks_secret(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let upper = word.bytes().filter(u8::is_ascii_uppercase).count();
    let lower = word.bytes().filter(u8::is_ascii_lowercase).count();
    let hex = word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    PREFIXES.iter().any(|prefix| word.starts_with(prefix) && word.len() > prefix.len() + 4)
        || word.len() >= 12 && hex && digits > 0
        || word.len() >= 16 && digits > 1 && upper > 0 && lower > 0
        || word.len() >= 20 && digits > 0 && upper + lower > 0
        || word.len() >= 24 && upper > 2 && lower > 2 && !word.contains(['_', '-'])
        || word.len() >= 48
}

/// A word with one of these in it announces a secret.
const TELLING: &[&str] = &[
    "token",
    "secret",
    "passw",
    "pwd",
    "apikey",
    "api_key",
    "api-key",
    "authorization",
    "session",
    "cookie",
    "credential",
    "signature",
    "key",
];

/// Well-known beginnings of keys and tokens.
const PREFIXES: &[&str] = &[
    "eyJ",
    "sk-",
    "pk-",
    "rk-",
    "sk_",
    "pk_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xapp-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29",
    "tvly-",
    "hf_",
    "npm_",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sentences_stay_and_secrets_go() {
        for (text, shown) in [
            ("Every MCP server in scope failed to list tools", "Every MCP server in scope failed to list tools"),
            ("The access token expired", "The access token expired"),
            ("Session not found", "Session not found"),
            ("invalid_token: The access token expired", "invalid_token: The access token expired"),
            ("bad key sk-lab-0123456789", "bad key ~"),
            ("Bearer abc-1 refused", "Bearer ~ refused"),
            ("token=abc&x", "token=~&x"),
            ("session_id: 9f8e7d", "session_id: ~"),
            ("jwt eyJhbGciOi.eyJzdWIi0.c2lnbmF0dXJl", "jwt ~.~.c2lnbmF0dXJl"),
            ("for url 'http://u:p@127.0.0.11:9001/mcp?api_key=x&y=z' (401)", "for url 'http://~@127.0.0.11:9001/mcp?~' (401)"),
            ("lab://weather/readme", "lab://weather/readme"),
            ("db://h/550e8400-e29b-41d4-a716-446655440000/x", "db://h/~/x"),
        ] {
            assert_eq!(redacted(text, 200), shown);
        }
        assert_eq!(short("a\nb\u{1b}[0m", 9), "a b [0m");
        assert_eq!(short("äöü", 4), "ä~");
        assert_eq!(redacted(&"x y ".repeat(400), 20).len(), 20);
    }

    proptest! {
        #[test]
        fn long_tokens_never_show(token in "[A-Za-z][0-9][A-Za-z0-9]{24,600}", left in ".{0,40}", right in ".{0,400}", max in 1usize..300) {
            let shown = redacted(&format!("{left} {token} {right}"), max);
            prop_assert!(!shown.contains(&token[..12]) && !shown.contains(&token[token.len() - 12..]), "{}", shown);
            prop_assert!(shown.len() <= max.max(1));
        }
    }
}
