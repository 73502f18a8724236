//! Heads and bodies for as long as this folder is built alone: stands in for the room's common reader of header fields (`Field`,
//! `request_head`, `response_head`) and its common `Body`, which undoes content codings. To swap: delete this file and import those.

use crate::base::{Count, Counts, Fingerprint, Gap, Keyer, Limits, Stamp};
use crate::http::{End, Head, Part, RequestHead, ResponseHead, Sink, Version, Want};

/// What every call needs of the run.
pub(crate) struct Cx<'a> {
    /// Makes fingerprints.
    pub(crate) keyer: &'a Keyer,
    /// Bounds on every buffer.
    pub(crate) limits: &'a Limits,
    /// Counters.
    pub(crate) counts: &'a mut Counts,
}

/// One message's body on its way to the next room. Undoes no content coding.
pub(super) struct Body {
    n: u32,
    part: Part,
    read: bool,
    missing: Option<Gap>,
}

impl Body {
    pub(super) fn new(n: u32, part: Part, want: Want, _fields: &[Field<'_>], _cx: &mut Cx<'_>) -> Body {
        Body { n, part, read: want == Want::Body, missing: None }
    }

    pub(super) fn data(&mut self, bytes: &[u8], at: Stamp, _cx: &mut Cx<'_>, sink: &mut dyn Sink) {
        if self.read && !bytes.is_empty() {
            sink.body(self.n, self.part, bytes, at);
        }
    }

    pub(super) fn hole(&mut self, gap: Gap, at: Stamp, _cx: &mut Cx<'_>, sink: &mut dyn Sink) {
        self.missing.get_or_insert(gap);
        if self.read {
            sink.hole(self.n, self.part, gap, at);
        }
    }

    pub(super) fn end(self, end: End, at: Stamp, cx: &mut Cx<'_>, sink: &mut dyn Sink) {
        let end = self.missing.map_or(end, End::Unseen);
        if end != End::Complete {
            cx.counts.bump(Count::Incomplete);
        }
        sink.end(self.n, self.part, end, at);
    }
}

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
