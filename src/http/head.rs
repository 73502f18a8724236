//! What is kept of a message's head: nothing that could be a secret, save as a fingerprint.

use crate::base::Fingerprint;

#[allow(unused_imports)] // for HTTP/2
pub(crate) use super::fields::{Field, request_head, response_head};

/// Protocol version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

impl Version {
    /// As records show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Version::Http10 => "1.0",
            Version::Http11 => "1.1",
            Version::Http2 => "2",
        }
    }
}

/// A request's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// Method token, at most 32 bytes.
    pub method: String,
    /// Path of the target, safe to show: no query, and segments that look like secrets replaced by `~`.
    pub path: String,
    /// Fingerprint of the path as sent (without the query), so that routes with a hidden segment still compare.
    pub path_mark: Fingerprint,
    /// Names of the query's parameters, with fingerprints of their values, in order of appearance.
    pub query: Vec<(String, Fingerprint)>,
    /// `Host` or `:authority`.
    pub host: Option<String>,
    /// `Authorization`, if sent.
    pub credential: Option<Credential>,
    /// Other header fields that carry credentials (`x-api-key`, `x-litellm-api-key`, `x-mcp-auth`, `x-mcp-{alias}-authorization`, cookies, ...): lower-case
    /// name and credential. The value of a `Bearer` scheme is fingerprinted without the scheme, as in `credential`, so that they compare.
    pub other_credentials: Vec<(String, Credential)>,
    /// `x-mcp-servers`, split at commas and trimmed.
    pub mcp_servers: Vec<String>,
    /// `Mcp-Method` (MCP 2026-07-28).
    pub mcp_method: Option<String>,
    /// `Mcp-Name` (MCP 2026-07-28), its Base64 sentinel decoded.
    pub mcp_name: Option<String>,
    /// `Last-Event-ID`.
    pub last_event_id: Option<Fingerprint>,
    /// Trace id of `traceparent` (W3C Trace Context).
    pub trace: Option<Fingerprint>,
    /// `Accept` asks for `text/event-stream`.
    pub accepts_sse: bool,
    /// What requests and responses share.
    pub common: Head,
}

/// A response's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// Status code, 200 to 999.
    pub status: u16,
    /// `WWW-Authenticate` (RFC 9110, 11.6.1), with query values in its URLs replaced by `~`; at most 1 KiB.
    pub www_authenticate: Option<String>,
    /// `Server`.
    pub server: Option<String>,
    /// `Retry-After`.
    pub retry_after: Option<String>,
    /// `Location`, query values replaced by `~`.
    pub location: Option<String>,
    /// What requests and responses share.
    pub common: Head,
}

/// What both kinds of head carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Protocol version.
    pub version: Version,
    /// Media type without parameters, lower case.
    pub content_type: Option<String>,
    /// `Content-Length`, where it is one valid number.
    pub content_length: Option<u64>,
    /// `Mcp-Session-Id`.
    pub session: Option<Fingerprint>,
    /// `MCP-Protocol-Version`.
    pub protocol_version: Option<String>,
    /// `User-Agent` of a request; empty for a response.
    pub user_agent: Option<String>,
    /// Every other field whose value could tell requests apart, as marks; not those that frame or describe the message.
    pub marks: Vec<HeaderMark>,
    /// A field's name or value may be missing here because the header table's history was not seen (HPACK). Absence proves nothing then.
    pub partial: bool,
}

/// A header field as a pair of fingerprints: name and value can be compared with others', nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HeaderMark {
    /// Of the lower-case name.
    pub name: Fingerprint,
    /// Of the value, trimmed.
    pub value: Fingerprint,
}

/// A credential, as far as it may be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Of the value without its scheme.
    pub mark: Fingerprint,
    /// Authentication scheme, lower case (`bearer`, `basic`); empty where there is none.
    pub scheme: String,
    /// Claims of a JWT (RFC 7519) that say when and for whom it holds; `None` for an opaque token.
    pub jwt: Option<Jwt>,
}

/// The claims of a JWT that explain a refusal. Read, never shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jwt {
    /// `exp`, seconds since the Unix epoch.
    pub expires: Option<i64>,
    /// `nbf`, seconds since the Unix epoch.
    pub not_before: Option<i64>,
    /// `iat`, seconds since the Unix epoch.
    pub issued: Option<i64>,
    /// `aud`, each of them.
    pub audience: Vec<Fingerprint>,
    /// `iss`.
    pub issuer: Option<Fingerprint>,
    /// `scope` or `scp` is present.
    pub scoped: bool,
}
