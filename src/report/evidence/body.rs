//! A body comes in; what is kept of it is what a verdict rests on: the frame of JSON-RPC, names, list answers, errors. All other texts
//! are overwritten, length by length, equal ones alike.

use super::alias::Aliases;
use crate::mcp::reports_failure;

/// What the head says of a body.
pub(super) struct Body<'a> {
    /// Media type, lower case.
    pub(super) media: &'a str,
    /// 0 for a request.
    pub(super) status: u16,
}

/// Overwrites a whole body.
pub(super) fn cover(bytes: &mut [u8], said: &Body<'_>, aliases: &mut Aliases) {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace()).copied();
    if said.media.contains("event-stream") {
        events(bytes, aliases);
    } else if said.media.contains("form-urlencoded") {
        aliases.query(bytes);
    } else if matches!(first, Some(b'{' | b'[')) {
        json(bytes, aliases);
    } else if said.status >= 400 && bytes.len() <= MOST_WORDS {
        aliases.words(bytes);
    } else {
        blank(bytes);
    }
}

/// Overwrites everything but the shape of lines.
pub(super) fn blank(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| !byte.is_ascii_whitespace() && !byte.is_ascii_punctuation()).for_each(|byte| *byte = b'x');
}

/// Server-sent events (HTML, 9.2): `data` is JSON or, in the legacy transport, the endpoint's URL.
fn events(bytes: &mut [u8], aliases: &mut Aliases) {
    // The data lines of one event are one text.
    let mut text: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let end = memchr::memchr2(b'\n', b'\r', bytes.get(at..).unwrap_or_default()).map_or(bytes.len(), |end| at + end);
        let line = bytes.get(at..end).unwrap_or_default();
        if let Some(data) = line.strip_prefix(b"data:") {
            text.push((end - data.len(), end));
        } else if line.starts_with(b"id:") {
            let lead = 3 + usize::from(line.get(3) == Some(&b' '));
            if let Some(id) = bytes.get_mut(at + lead..end) {
                aliases.cover_secret("last-event-id", id);
            }
        } else if line.is_empty() {
            // CR LF is one line's end, not an empty line.
            if bytes.get(at.wrapping_sub(1)) != Some(&b'\r') || bytes.get(at) != Some(&b'\n') {
                event(bytes, &std::mem::take(&mut text), aliases);
            }
        } else if let Some(line) = bytes.get_mut(at..end) {
            aliases.words(line);
        }
        at = end + 1;
    }
    event(bytes, &text, aliases);
}

fn event(bytes: &mut [u8], lines: &[(usize, usize)], aliases: &mut Aliases) {
    let mut text: Vec<u8> = Vec::new();
    for (from, to) in lines {
        text.extend_from_slice(bytes.get(*from..*to).unwrap_or_default());
    }
    if matches!(text.trim_ascii_start().first(), Some(b'{' | b'[')) {
        json(&mut text, aliases);
    } else {
        aliases.words(&mut text);
    }
    let mut done = 0;
    for (from, to) in lines {
        if let (Some(into), Some(from)) = (bytes.get_mut(*from..*to), text.get(done..done + (to - from))) {
            into.copy_from_slice(from);
        }
        done += to - from;
    }
}

/// One open object or array.
struct Open {
    object: bool,
    /// The key under which it stands.
    key: Vec<u8>,
}

/// Overwrites the texts of a JSON value, whole or cut off. What is no JSON in it is overwritten too.
fn json(bytes: &mut [u8], aliases: &mut Aliases) {
    let failed = [b"\"isError\":true".as_slice(), b"\"isError\": true"].iter().any(|mark| memchr::memmem::find(bytes, mark).is_some());
    let mut open: Vec<Open> = Vec::new();
    let mut key: Vec<u8> = Vec::new();
    let mut naming = false; // the next text is a key
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        match byte {
            b'{' | b'[' => {
                if open.len() < MOST_DEPTH {
                    open.push(Open { object: byte == b'{', key: std::mem::take(&mut key) });
                }
                naming = byte == b'{';
            }
            b'}' | b']' => {
                open.pop();
                key.clear();
                naming = false;
            }
            b',' => {
                naming = open.last().is_some_and(|open| open.object);
                key.clear();
            }
            b':' => naming = false,
            b'"' => {
                let end = text_end(bytes, at + 1);
                let Some(text) = bytes.get_mut(at + 1..end) else { break };
                if naming {
                    aliases.words(text);
                    key = text.to_vec();
                } else {
                    let name = if key.is_empty() { open.last().map(|open| open.key.as_slice()).unwrap_or_default() } else { &key };
                    value(text, name, &open, failed, aliases);
                }
                at = end;
            }
            b if b.is_ascii_alphabetic() || b >= 0x80 => {
                let rest = bytes.get(at..).unwrap_or_default();
                let len = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte >= 0x80).count().max(1);
                if !LITERALS.contains(&rest.get(..len).unwrap_or_default())
                    && let Some(word) = bytes.get_mut(at..at + len)
                {
                    blank(word);
                }
                at += len - 1;
            }
            _ => {}
        }
        at += 1;
    }
}

fn value(text: &mut [u8], key: &[u8], open: &[Open], failed: bool, aliases: &mut Aliases) {
    let under = |names: &[&[u8]]| open.iter().any(|open| names.contains(&open.key.as_slice()));
    let readable = KEPT.contains(&key) || under(LISTS) || under(&[b"error"]) || key == b"text" && (failed || reports_failure(&plain(text)));
    if readable && !SECRET.contains(&key) {
        aliases.words(text);
    } else if SECRET.contains(&key) {
        aliases.cover_secret("token", text);
    } else {
        aliases.cover(text);
    }
}

/// Where a text's closing quote is; the end where it has none.
fn text_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// A JSON text without its escapes.
fn plain(text: &[u8]) -> Vec<u8> {
    let quoted = [b"\"".as_slice(), text, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).map_or_else(|_| text.to_vec(), String::into_bytes)
}

/// Keys whose texts frame a message or name software: words in them that look like secrets go all the same.
const KEPT: &[&[u8]] = &[
    b"jsonrpc",
    b"method",
    b"id",
    b"name",
    b"title",
    b"version",
    b"protocolVersion",
    b"io.modelcontextprotocol/protocolVersion",
    b"supportedVersions",
    b"type",
    b"mimeType",
    b"resultType",
    b"cacheScope",
    b"error",
    b"error_description",
    b"message",
    b"detail",
    b"status",
    b"code",
    b"reason",
    b"uri",
    b"token_type",
    b"grant_type",
    b"endpoint",
];
/// Keys whose texts are secret wherever they stand.
const SECRET: &[&[u8]] =
    &[b"access_token", b"refresh_token", b"id_token", b"client_secret", b"client_assertion", b"code_verifier", b"password"];
/// Lists are what the verdict is about: their entries stay.
const LISTS: &[&[u8]] = &[b"tools", b"prompts", b"resources", b"resourceTemplates", b"litellm.ai/server_outcomes", b"capabilities"];
const LITERALS: &[&[u8]] = &[b"true", b"false", b"null", b"e", b"E"];
const MOST_DEPTH: usize = 256;
const MOST_WORDS: usize = 4_096;
