//! The fields of a header block come in, a request's or response's head goes out. Knows the pseudo-header fields of HTTP/2
//! (RFC 9113, 8.3) and leaves every other field to the room's common reader of heads.

use crate::base::{Gap, Stamp};
use crate::http::{RequestHead, ResponseHead, Version};

use super::hpack::Fields;
use super::{Cx, Field, request_head_with, response_head};

/// A decoded header block that has come to its stream.
pub(super) struct Head<'a> {
    /// The first byte of its HEADERS frame.
    pub(super) began: Stamp,
    pub(super) end_stream: bool,
    /// Fields are missing, since bytes of the block are or since it is beyond the limits.
    pub(super) torn: Option<Gap>,
    /// `:status`, where it is known and a number of three digits.
    pub(super) status: Option<u16>,
    method: Option<&'a [u8]>,
    path: Option<&'a [u8]>,
    authority: Option<&'a [u8]>,
    pseudo: bool,
    nameless: bool,
    /// The fields that are no pseudo-header fields.
    pub(super) fields: Vec<Field<'a>>,
}

impl<'a> Head<'a> {
    pub(super) fn new(fields: &'a Fields, began: Stamp, end_stream: bool, torn: Option<Gap>) -> Head<'a> {
        let mut head = Head {
            began,
            end_stream,
            torn,
            status: None,
            method: None,
            path: None,
            authority: None,
            pseudo: false,
            nameless: false,
            fields: Vec::with_capacity(fields.len()),
        };
        for field in fields.iter() {
            let place = match field.name {
                Some(b":method") => &mut head.method,
                Some(b":path") => &mut head.path,
                Some(b":authority") => &mut head.authority,
                Some(b":status") => {
                    head.status = field.value.and_then(status);
                    head.pseudo = true;
                    continue;
                }
                Some([b':', ..]) => {
                    head.pseudo = true;
                    continue;
                }
                name => {
                    head.nameless |= name.is_none();
                    head.fields.push(field);
                    continue;
                }
            };
            head.pseudo = true;
            *place = place.or(field.value);
        }
        head
    }

    /// Certainly no head of a message: trailers have no pseudo-header fields (RFC 9113, 8.1).
    pub(super) fn is_trailers(&self) -> bool {
        !self.pseudo && !self.nameless && self.torn.is_none()
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == Some(b"HEAD")
    }

    pub(super) fn is_connect(&self) -> bool {
        self.method == Some(b"CONNECT")
    }

    /// As a request's. An unknown method or path is empty, and the head partial.
    pub(super) fn request(&self, cx: &mut Cx<'_>) -> RequestHead {
        // A CONNECT has no `:path` but names its target in `:authority` (RFC 9113, 8.5), as HTTP/1.1 does in the request line.
        let target = if self.is_connect() { self.path.or(self.authority) } else { self.path };
        let mut head = request_head_with(Version::Http2, self.method, target, self.authority, &self.fields, cx.keyer, cx.memo);
        head.common.partial |= self.torn.is_some() || self.method.is_none() || target.is_none();
        head
    }

    /// As a response's. An unknown status is 0, and the head partial.
    pub(super) fn response(&self, cx: &mut Cx<'_>) -> ResponseHead {
        let mut head = response_head(Version::Http2, self.status.unwrap_or(0), &self.fields, cx.keyer, cx.memo);
        head.common.partial |= self.torn.is_some() || self.status.is_none();
        head
    }
}

/// The head of a request of which nothing was seen but that it was made.
pub(super) fn empty_request(cx: &mut Cx<'_>) -> RequestHead {
    let mut head = request_head_with(Version::Http2, None, None, None, &[], cx.keyer, cx.memo);
    head.common.partial = true;
    head
}

/// The head of a response of which nothing was seen but that it was made.
pub(super) fn empty_response(cx: &mut Cx<'_>) -> ResponseHead {
    let mut head = response_head(Version::Http2, 0, &[], cx.keyer, cx.memo);
    head.common.partial = true;
    head
}

fn status(value: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.len() == 3)?;
    text.parse().ok().filter(|status| (100..=999).contains(status))
}
