//! Header fields come in, what is kept of a head goes out. Stands in for `http::head`, which reads the fields of HTTP/1 and HTTP/2
//! alike: to swap, delete this file and import `Field`, `request_head` and `response_head` from `crate::http::head` instead.

use crate::base::{Fingerprint, Keyer};
use crate::http::{Head, RequestHead, ResponseHead, Version};

/// A header field; `None` where HPACK's table history was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) name: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
}

pub(super) fn request_head(
    version: Version,
    method: Option<&[u8]>,
    target: Option<&[u8]>,
    authority: Option<&[u8]>,
    fields: &[Field<'_>],
    keyer: &Keyer,
) -> RequestHead {
    let path = target.unwrap_or_default().split(|byte| *byte == b'?').next().unwrap_or_default();
    let mut common = common(version, fields);
    common.partial |= method.is_none() || target.is_none();
    RequestHead {
        method: text(method.unwrap_or_default()),
        path: text(path),
        path_mark: if target.is_some() { keyer.fingerprint("path", path) } else { Fingerprint(0) },
        query: Vec::new(),
        host: authority.map(text),
        credential: None,
        other_credentials: Vec::new(),
        mcp_servers: Vec::new(),
        mcp_method: None,
        mcp_name: None,
        last_event_id: None,
        trace: None,
        accepts_sse: false,
        common,
    }
}

pub(super) fn response_head(version: Version, status: u16, fields: &[Field<'_>], _keyer: &Keyer) -> ResponseHead {
    ResponseHead { status, www_authenticate: None, server: None, retry_after: None, location: None, common: common(version, fields) }
}

fn common(version: Version, fields: &[Field<'_>]) -> Head {
    let find = |wanted: &[u8]| fields.iter().find(|field| field.name == Some(wanted)).and_then(|field| field.value);
    Head {
        version,
        content_type: find(b"content-type").map(text),
        content_length: find(b"content-length").and_then(|value| text(value).parse().ok()),
        session: None,
        protocol_version: None,
        user_agent: find(b"user-agent").map(text),
        marks: Vec::new(),
        partial: fields.iter().any(|field| field.name.is_none() || field.value.is_none()),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
