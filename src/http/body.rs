//! One message's body on its way: framed bytes come in, decoded bytes, holes and exactly one end go out. Both HTTP versions use it.

use super::coding::{Decoder, Stop};
use super::{Context, End, Field, Part, Sink, Want};
use crate::base::{Cause, Count, Gap, Stamp};

/// A message whose head was told and whose end was not.
pub(crate) struct Body {
    n: u32,
    part: Part,
    /// Somebody reads it, and it can still be read.
    read: bool,
    decoder: Option<Box<Decoder>>,
    missing: Option<Gap>,
}

impl Body {
    /// After the head; `fields` name its codings.
    pub(crate) fn new(n: u32, part: Part, want: Want, fields: &[Field<'_>], cx: &mut Context<'_>) -> Body {
        let mut body = Body { n, part, read: want == Want::Body, decoder: None, missing: None };
        if body.read {
            match Decoder::new(codings(fields), cx.limits) {
                Ok(decoder) => body.decoder = decoder.map(Box::new),
                Err(stop) => body.give_up(stop, cx),
            }
        }
        body
    }

    /// The exchange it belongs to.
    pub(crate) fn n(&self) -> u32 {
        self.n
    }

    /// Its next bytes, without framing.
    pub(crate) fn data(&mut self, bytes: &[u8], at: Stamp, cx: &mut Context<'_>, sink: &mut dyn Sink) {
        if !self.read || bytes.is_empty() {
            return;
        }
        let (n, part) = (self.n, self.part);
        match &mut self.decoder {
            None => sink.body(n, part, bytes, at),
            Some(decoder) => {
                if let Err(stop) = decoder.push(bytes, &mut |made| sink.body(n, part, made, at)) {
                    self.give_up(stop, cx);
                }
            }
        }
    }

    /// Bytes of it are missing here, and what comes next is known to be of it.
    pub(crate) fn hole(&mut self, gap: Gap, at: Stamp, cx: &mut Context<'_>, sink: &mut dyn Sink) {
        self.missing = Some(match self.missing {
            Some(before) => Gap { len: before.len.zip(gap.len).map(|(a, b)| a.saturating_add(b)), cause: before.cause },
            None => gap,
        });
        if self.decoder.take().is_some() {
            cx.counts.bump(Count::Undecoded); // no coding can be picked up behind a hole
            self.read = false;
        } else if self.read {
            sink.hole(self.n, self.part, gap, at);
        }
    }

    /// Its framing ended, or the connection did.
    pub(crate) fn end(mut self, end: End, at: Stamp, cx: &mut Context<'_>, sink: &mut dyn Sink) {
        if end == End::Complete
            && let Some(mut decoder) = self.decoder.take()
            && let Err(stop) = decoder.finish()
        {
            self.give_up(stop, cx);
        }
        let end = self.missing.map_or(end, End::Unseen);
        if end != End::Complete {
            cx.counts.bump(Count::Incomplete);
        }
        sink.end(self.n, self.part, end, at);
    }

    fn give_up(&mut self, stop: Stop, cx: &mut Context<'_>) {
        cx.counts.bump(Count::Undecoded);
        let cause = match stop {
            Stop::Damaged => Cause::Garbled,
            Stop::Limit => {
                cx.counts.bump(Count::OverLimit);
                Cause::Limit
            }
        };
        self.decoder = None;
        self.read = false;
        self.missing.get_or_insert(Gap { len: None, cause });
    }
}

/// Content codings in the order in which they were applied, then transfer codings (RFC 9112, 7).
fn codings<'a>(fields: &'a [Field<'a>]) -> impl Iterator<Item = &'a [u8]> {
    let named = |name: &'static [u8]| {
        let of_name = move |field: &&Field<'_>| field.name.is_some_and(|n| n.eq_ignore_ascii_case(name));
        fields.iter().filter(of_name).filter_map(|field| field.value)
    };
    named(b"content-encoding").chain(named(b"transfer-encoding"))
}
