//! Raw header fields of HTTP/1.1 and HTTP/2 come in, heads without secrets go out. Framing is none of its business.

use super::credential;
use super::memo::Memo;
use super::redact::{self, text};
use super::target::{self, Target};
use super::{Head, HeaderMark, RequestHead, ResponseHead, Version, jwt};
use crate::base::Keyer;

/// A header field. `None` is a name or a value that is not known, for want of the header table's history (HPACK).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    /// In any case.
    pub(crate) name: Option<&'a [u8]>,
    /// As sent, surrounding white space and all.
    pub(crate) value: Option<&'a [u8]>,
}

/// A request's head, without a memo: for where there is no [`Memo`] at hand.
#[allow(dead_code)]
pub(crate) fn request_head(
    version: Version,
    method: Option<&[u8]>,
    target: Option<&[u8]>,
    authority: Option<&[u8]>,
    fields: &[Field<'_>],
    keyer: &Keyer,
) -> RequestHead {
    request_head_with(version, method, target, authority, fields, keyer, &mut Memo::new())
}

/// A request's head. `authority` is HTTP/2's `:authority`.
pub(crate) fn request_head_with(
    version: Version,
    method: Option<&[u8]>,
    target: Option<&[u8]>,
    authority: Option<&[u8]>,
    fields: &[Field<'_>],
    keyer: &Keyer,
    memo: &mut Memo,
) -> RequestHead {
    let parsed = Target::parse(target.unwrap_or_default());
    let path = target::path_mark(parsed.path, keyer);
    let mut head = RequestHead {
        method: memo.text(method.unwrap_or_default(), 32),
        path: memo.path(if method == Some(b"CONNECT") { target::without_userinfo(parsed.path) } else { parsed.path }, 1024),
        path_mark: path,
        query: parsed.query.map(|query| target::query_marks(query, keyer)).unwrap_or_default(),
        host: parsed.authority.or(authority).map(|host| memo.text(target::without_userinfo(host), 255)),
        credential: None,
        other_credentials: Vec::new(),
        mcp_servers: Vec::new(),
        mcp_method: None,
        mcp_name: None,
        last_event_id: None,
        trace: None,
        accepts_sse: false,
        common: common(version, method.is_none() || target.is_none()),
    };
    for field in fields {
        let mut buf = [0; LONGEST_NAME];
        let Some((name, value)) = known(field, &mut buf, &mut head.common) else { continue };
        match name {
            b"host" => first(&mut head.host, || memo.text(target::without_userinfo(value), 255)),
            b"authorization" => first(&mut head.credential, || memo.credential(value, keyer)),
            b"accept" => head.accepts_sse |= contains(value, b"text/event-stream"),
            b"x-mcp-servers" => {
                let servers = value.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|server| !server.is_empty());
                head.mcp_servers.extend(servers.take(SERVERS).map(|server| memo.text(server, 128)));
                head.mcp_servers.truncate(SERVERS);
            }
            b"mcp-method" => first(&mut head.mcp_method, || memo.text(value, 64)),
            b"mcp-name" => first(&mut head.mcp_name, || text(&sentinel(value), 256)),
            b"last-event-id" => first(&mut head.last_event_id, || keyer.fingerprint("last-event-id", value)),
            b"traceparent" => {
                if let Some(id) = value.split(|b| *b == b'-').nth(1).filter(|id| id.len() == 32) {
                    first(&mut head.trace, || keyer.fingerprint("trace", id));
                }
            }
            b"user-agent" => first(&mut head.common.user_agent, || memo.text(value, 256)),
            _ if shared(&mut head.common, name, value, keyer, memo) => {}
            _ if credential::carries(name) => {
                if head.other_credentials.len() < CREDENTIALS {
                    head.other_credentials.push((memo.text(name, 64), memo.credential(value, keyer)));
                }
            }
            _ => mark(&mut head.common, name, value, keyer),
        }
    }
    head
}

/// A response's head.
pub(crate) fn response_head(version: Version, status: u16, fields: &[Field<'_>], keyer: &Keyer, memo: &mut Memo) -> ResponseHead {
    let mut head =
        ResponseHead { status, www_authenticate: None, server: None, retry_after: None, location: None, common: common(version, false) };
    for field in fields {
        let mut buf = [0; LONGEST_NAME];
        let Some((name, value)) = known(field, &mut buf, &mut head.common) else { continue };
        match name {
            // Several challenges may come in one field or in several (RFC 9110, 11.6.1).
            b"www-authenticate" => {
                let challenge = text(value, 1024);
                match &mut head.www_authenticate {
                    Some(all) => {
                        all.push_str(", ");
                        all.push_str(&challenge);
                        redact::shorten(all, 1024);
                    }
                    none => *none = Some(challenge),
                }
            }
            b"server" => first(&mut head.server, || memo.text(value, 128)),
            b"retry-after" => first(&mut head.retry_after, || text(value, 64)),
            b"location" => first(&mut head.location, || text(value, 512)),
            b"set-cookie" | b"set-cookie2" | b"authentication-info" | b"proxy-authenticate" => {}
            _ if shared(&mut head.common, name, value, keyer, memo) => {}
            _ => mark(&mut head.common, name, value, keyer),
        }
    }
    head
}

fn common(version: Version, partial: bool) -> Head {
    Head {
        version,
        content_type: None,
        content_length: None,
        session: None,
        protocol_version: None,
        user_agent: None,
        marks: Vec::new(),
        partial,
    }
}

/// Name in lower case and value without surrounding white space; `None` (and noted) where either is not known.
fn known<'a>(field: &Field<'a>, buf: &'a mut [u8; LONGEST_NAME], head: &mut Head) -> Option<(&'a [u8], &'a [u8])> {
    let (Some(name), Some(value)) = (field.name, field.value) else {
        head.partial = true;
        return None;
    };
    let value = value.trim_ascii();
    match buf.get_mut(..name.len()) {
        Some(lower) => {
            lower.copy_from_slice(name);
            lower.make_ascii_lowercase();
            Some((lower, value))
        }
        None => Some((name, value)),
    }
}

fn shared(head: &mut Head, name: &[u8], value: &[u8], keyer: &Keyer, memo: &mut Memo) -> bool {
    match name {
        b"content-type" => first(&mut head.content_type, || {
            let end = memchr::memchr(b';', value).unwrap_or(value.len());
            let mut media = memo.text(value.get(..end).unwrap_or_default().trim_ascii(), 128);
            media.make_ascii_lowercase();
            media
        }),
        b"content-length" => head.content_length = head.content_length.or_else(|| super::framing::number(value)),
        b"mcp-session-id" => first(&mut head.session, || memo.session(value, keyer)),
        b"mcp-protocol-version" => first(&mut head.protocol_version, || memo.text(value, 32)),
        _ => return false,
    }
    true
}

fn mark(head: &mut Head, name: &[u8], value: &[u8], keyer: &Keyer) {
    if head.marks.len() < MARKS && !describes(name) {
        head.marks.push(HeaderMark { name: keyer.mark(name), value: keyer.mark(value) });
    }
}

/// Fields that frame or describe the message, or that every message of a program has alike: they tell no requests apart.
fn describes(name: &[u8]) -> bool {
    [b"content-".as_slice(), b"accept", b"access-control-", b"sec-", b"if-", b":", b"proxy-", b"x-content-type", b"cross-origin-"]
        .iter()
        .any(|start| name.starts_with(start))
        || DESCRIBING.contains(&name)
}

fn first<T>(slot: &mut Option<T>, make: impl FnOnce() -> T) {
    if slot.is_none() {
        *slot = Some(make());
    }
}

fn contains(value: &[u8], word: &[u8]) -> bool {
    value.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

/// `=?base64?...?=` holds a name that no header field could (MCP 2026-07-28).
fn sentinel(value: &[u8]) -> Vec<u8> {
    let inner = value.strip_prefix(b"=?base64?").and_then(|rest| rest.strip_suffix(b"?="));
    inner.and_then(jwt::base64).unwrap_or_else(|| value.to_vec())
}

/// Longer names are compared as they were sent.
const LONGEST_NAME: usize = 64;
/// Marks kept of one head.
const MARKS: usize = 64;
/// Credentials kept of one head, beside `Authorization`.
const CREDENTIALS: usize = 16;
/// Servers kept of `x-mcp-servers`.
const SERVERS: usize = 64;

const DESCRIBING: &[&[u8]] = &[
    b"connection",
    b"date",
    b"server",
    b"te",
    b"transfer-encoding",
    b"trailer",
    b"upgrade",
    b"keep-alive",
    b"cache-control",
    b"pragma",
    b"expect",
    b"vary",
    b"etag",
    b"age",
    b"expires",
    b"last-modified",
    b"via",
    b"range",
    b"allow",
    b"alt-svc",
    b"link",
    b"origin",
    b"dnt",
    b"priority",
    b"http2-settings",
    b"upgrade-insecure-requests",
    b"strict-transport-security",
    b"referrer-policy",
    b"permissions-policy",
    b"x-frame-options",
    b"x-xss-protection",
    b"x-accel-buffering",
    b"x-powered-by",
    b"nel",
    b"report-to",
    b"server-timing",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn field<'a>(name: &'a str, value: &'a str) -> Field<'a> {
        Field { name: Some(name.as_bytes()), value: Some(value.as_bytes()) }
    }

    #[test]
    fn a_request_keeps_words_and_loses_secrets() {
        let keyer = Keyer::new([9; 32]);
        let fields = [
            field("Host", "u:p@gw.example"),
            field("User-Agent", "curl/7.88.1"),
            field("Authorization", "Bearer eyJsecret"),
            field("X-LiteLLM-Api-Key", "Bearer sk-lab-0123"),
            field("x-mcp-servers", "weather, docs,,tickets "),
            field("Mcp-Name", "=?base64?w6k=?="),
            field("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            field("Accept", "application/json, Text/Event-Stream"),
            field("Mcp-Session-Id", "s1"),
            field("Content-Type", "Application/JSON; charset=utf-8"),
            field("X-Request-ID", "r1"),
        ];
        let head = request_head(Version::Http11, Some(b"POST"), Some(b"/mcp/weather?k=v"), None, &fields, &keyer);
        assert_eq!((head.method.as_str(), head.path.as_str(), head.host.as_deref()), ("POST", "/mcp/weather", Some("gw.example")));
        assert_eq!(head.path_mark, path_mark_of("/mcp/weather", &keyer));
        assert_eq!(head.credential.as_ref().unwrap().mark, keyer.fingerprint("token", b"eyJsecret"));
        assert_eq!(head.other_credentials[0].0, "x-litellm-api-key");
        assert_eq!(head.other_credentials[0].1.mark, keyer.fingerprint("token", b"sk-lab-0123"));
        assert_eq!(head.mcp_servers, ["weather", "docs", "tickets"]);
        assert_eq!(head.mcp_name.as_deref(), Some("é"));
        assert_eq!(head.trace, Some(keyer.fingerprint("trace", b"0af7651916cd43dd8448eb211c80319c")));
        assert_eq!(head.common.session, Some(keyer.fingerprint("session", b"s1")));
        assert_eq!(head.common.content_type.as_deref(), Some("application/json"));
        assert!(head.accepts_sse && !head.common.partial);
        assert_eq!(head.common.marks, [HeaderMark { name: keyer.mark(b"x-request-id"), value: keyer.mark(b"r1") }]);
        let shown = format!("{head:?}");
        for secret in ["eyJsecret", "sk-lab", "0af7651916", "\"s1\"", "\"v\"", "u:p"] {
            assert!(!shown.contains(secret), "{secret}");
        }
    }

    fn path_mark_of(path: &str, keyer: &Keyer) -> crate::base::Fingerprint {
        target::path_mark(path.as_bytes(), keyer)
    }

    #[test]
    fn a_response_keeps_its_challenge() {
        let keyer = Keyer::new([9; 32]);
        let fields = [
            field("WWW-Authenticate", "Bearer error=\"invalid_token\""),
            field("www-authenticate", "Basic realm=\"x\""),
            field("Location", "https://a.example/cb?code=abc&state=def"),
            field("set-cookie", "sid=abc"),
            field("content-length", "5"),
        ];
        let head = response_head(Version::Http11, 401, &fields, &keyer, &mut Memo::new());
        assert_eq!(head.www_authenticate.as_deref(), Some("Bearer error=\"invalid_token\", Basic realm=\"x\""));
        assert_eq!(head.location.as_deref(), Some("https://a.example/cb?code=~&state=~"));
        assert_eq!(head.common.content_length, Some(5));
        assert!(head.common.marks.is_empty());
    }

    #[test]
    fn what_is_unknown_makes_it_partial() {
        let keyer = Keyer::new([9; 32]);
        let unknown = [Field { name: None, value: Some(b"x") }];
        assert!(request_head(Version::Http2, Some(b"GET"), Some(b"/"), Some(b"h"), &unknown, &keyer).common.partial);
        assert!(request_head(Version::Http2, None, Some(b"/"), Some(b"h"), &[], &keyer).common.partial);
        let value = [Field { name: Some(b"x"), value: None }];
        assert!(response_head(Version::Http2, 200, &value, &keyer, &mut Memo::new()).common.partial);
        assert_eq!(request_head(Version::Http2, Some(b"GET"), Some(b"/"), Some(b"h"), &[], &keyer).host.as_deref(), Some("h"));
    }
}
