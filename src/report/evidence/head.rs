//! The bytes of one direction of a plain HTTP/1 connection come in; everything in them that is not known to be harmless is overwritten,
//! length by length. What is not understood is overwritten as well.

use super::alias::Aliases;
use super::body::{self, Body};

/// A body is coded: overwriting in place would destroy it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Coded;

/// What one head says of the body that follows.
#[derive(Default)]
struct Said {
    length: Option<usize>,
    chunked: bool,
    coded: bool,
    media: String,
    status: u16,
}

/// Overwrites one contiguous stretch.
pub(super) fn cover(run: &mut [u8], aliases: &mut Aliases) -> Result<(), Coded> {
    let mut at = 0;
    while at < run.len() {
        let rest = run.get_mut(at..).unwrap_or_default();
        if !starts(rest) {
            let next = next_start(rest).unwrap_or(rest.len());
            if let Some(unknown) = rest.get_mut(..next) {
                body::blank(unknown);
            }
            at += next.max(1);
            continue;
        }
        let (len, said) = head(rest, aliases);
        let rest = rest.get_mut(len..).unwrap_or_default();
        at += len + after(rest, &said, aliases)?;
    }
    Ok(())
}

/// Overwrites a head; gives its length.
fn head(run: &mut [u8], aliases: &mut Aliases) -> (usize, Said) {
    let mut said = Said::default();
    let mut at = 0;
    let mut first = true;
    while at < run.len() {
        let line_end = memchr::memchr(b'\n', run.get(at..).unwrap_or_default()).map_or(run.len(), |end| at + end + 1);
        let line = run.get_mut(at..line_end).unwrap_or_default();
        at = line_end;
        let content = line.trim_ascii_end().len();
        let line = line.get_mut(..content).unwrap_or_default();
        if first {
            start_line(line, &mut said, aliases);
            first = false;
        } else if line.is_empty() {
            break;
        } else {
            field(line, &mut said, aliases);
        }
    }
    (at, said)
}

fn start_line(line: &mut [u8], said: &mut Said, aliases: &mut Aliases) {
    if line.starts_with(b"HTTP/1.") {
        let status = line.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
        said.status = status.and_then(|digits| digits.parse().ok()).unwrap_or(0);
        return;
    }
    let mut parts = line.split_mut(|byte| *byte == b' ');
    if let Some(target) = parts.nth(1) {
        let query = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
        let (path, query) = target.split_at_mut(query);
        path.split_mut(|byte| *byte == b'/').for_each(|segment| aliases.words(segment));
        aliases.query(query.get_mut(1..).unwrap_or_default());
    }
}

fn field(line: &mut [u8], said: &mut Said, aliases: &mut Aliases) {
    let Some(colon) = memchr::memchr(b':', line) else { return body::blank(line) };
    let (name, value) = line.split_at_mut(colon);
    let name = name.trim_ascii().to_ascii_lowercase();
    let value = value.get_mut(1..).unwrap_or_default();
    let lead = value.len() - value.trim_ascii_start().len();
    let value = value.get_mut(lead..).unwrap_or_default();
    let text = String::from_utf8_lossy(value).trim().to_ascii_lowercase();
    match name.as_slice() {
        b"content-length" => said.length = text.parse().ok(),
        b"transfer-encoding" => said.chunked |= text.contains("chunked"),
        b"content-encoding" => said.coded |= !matches!(text.as_str(), "" | "identity"),
        b"content-type" => said.media.clone_from(&text),
        _ => {}
    }
    let name = name.as_slice();
    if PLAIN.contains(&name) {
        return aliases.words(value);
    }
    match name {
        b"mcp-session-id" => aliases.cover_secret("session", value),
        b"last-event-id" => aliases.cover_secret("last-event-id", value),
        b"traceparent" => {
            if let Some(id) = value.split_mut(|byte| *byte == b'-').nth(1) {
                aliases.cover_secret("trace", id);
            }
            value.split_mut(|byte| *byte == b'-').skip(2).for_each(|part| aliases.cover(part));
        }
        // `auth-scheme 1*SP token68` (RFC 9110, 11.4): the scheme says how, not who.
        _ => match value.iter().position(|byte| *byte == b' ').filter(|end| value.get(..*end).is_some_and(is_scheme)) {
            Some(end) => {
                let token = value.get_mut(end..).unwrap_or_default();
                let lead = token.len() - token.trim_ascii_start().len();
                aliases.cover_secret("token", token.get_mut(lead..).unwrap_or_default());
            }
            None => aliases.cover_secret("token", value),
        },
    }
}

fn is_scheme(word: &[u8]) -> bool {
    SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// Overwrites what follows a head, and gives its length (RFC 9112, 6.3).
fn after(run: &mut [u8], said: &Said, aliases: &mut Aliases) -> Result<usize, Coded> {
    let request = said.status == 0;
    if matches!(said.status, 100..=199 | 204 | 304) || request && !said.chunked && said.length.is_none() {
        return Ok(0);
    }
    // The answer to a HEAD says how long a body would be, and has none.
    if !request && starts(run) {
        return Ok(0);
    }
    let (pieces, len) = if said.chunked {
        chunks(run)
    } else {
        let len = said.length.unwrap_or(run.len()).min(run.len());
        (vec![(0, len)], len)
    };
    if said.coded && pieces.iter().any(|(from, to)| from < to) {
        return Err(Coded);
    }
    let mut bytes: Vec<u8> = Vec::new();
    for (from, to) in &pieces {
        bytes.extend_from_slice(run.get(*from..*to).unwrap_or_default());
    }
    body::cover(&mut bytes, &Body { media: &said.media, status: said.status }, aliases);
    let mut done = 0;
    for (from, to) in pieces {
        if let (Some(into), Some(from)) = (run.get_mut(from..to), bytes.get(done..done + (to - from))) {
            into.copy_from_slice(from);
        }
        done += to - from;
    }
    Ok(len)
}

/// Where the chunks' data lies, and how long all of it is with its framing (RFC 9112, 7.1). Trailers are overwritten by whoever comes next.
fn chunks(run: &[u8]) -> (Vec<(usize, usize)>, usize) {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(end) = memchr::memchr(b'\n', run.get(at..).unwrap_or_default()) {
        let line = run.get(at..at + end).unwrap_or_default();
        let size = std::str::from_utf8(line).ok().and_then(|line| usize::from_str_radix(line.split(';').next()?.trim(), 16).ok());
        let Some(size) = size else { return (pieces, at) };
        at += end + 1;
        if size == 0 {
            let blank = run.get(at..).unwrap_or_default();
            return (pieces, at + if blank.starts_with(b"\r\n") { 2 } else { usize::from(blank.starts_with(b"\n")) });
        }
        let to = at.saturating_add(size).min(run.len());
        pieces.push((at, to));
        at = to;
        let rest = run.get(at..).unwrap_or_default();
        at += if rest.starts_with(b"\r\n") { 2 } else { usize::from(rest.starts_with(b"\n")) };
    }
    let whole = run.len();
    (pieces, if at < whole { at } else { whole })
}

/// A request line or a status line stands here.
fn starts(run: &[u8]) -> bool {
    let line = run.get(..run.len().min(MOST_LINE)).unwrap_or_default();
    if line.starts_with(b"HTTP/1.") {
        return true;
    }
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let method = line.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    (3..=10).contains(&method)
        && line.get(method) == Some(&b' ')
        && (memchr::memmem::find(line, b" HTTP/1.").is_some() || line.len() == run.len())
}

fn next_start(run: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', run).map(|at| at + 1).find(|at| run.get(*at..).is_some_and(|rest| !rest.is_empty() && starts(rest)))
}

const MOST_LINE: usize = 16_384;
const SCHEMES: &[&[u8]] = &[b"bearer", b"basic", b"digest", b"dpop", b"token", b"apikey", b"negotiate"];

/// Fields that say how a message is to be read and who made it; words in them that look like secrets go all the same.
const PLAIN: &[&[u8]] = &[
    b"host",
    b"content-type",
    b"content-length",
    b"content-encoding",
    b"content-language",
    b"transfer-encoding",
    b"connection",
    b"keep-alive",
    b"upgrade",
    b"te",
    b"trailer",
    b"expect",
    b"accept",
    b"accept-encoding",
    b"accept-language",
    b"user-agent",
    b"server",
    b"via",
    b"date",
    b"expires",
    b"age",
    b"pragma",
    b"vary",
    b"allow",
    b"cache-control",
    b"retry-after",
    b"www-authenticate",
    b"location",
    b"mcp-protocol-version",
    b"mcp-method",
    b"mcp-name",
    b"x-mcp-servers",
    b"x-accel-buffering",
    b"access-control-allow-origin",
    b"access-control-allow-methods",
    b"access-control-allow-headers",
];
