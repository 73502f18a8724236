//! Payloads of frames that are read as a whole come in: header blocks, settings, resets, GOAWAY. What they say goes out.

use crate::base::{Cause, Count, Gap, Limits, Stamp};
use crate::http::Part;

use super::super::frame::*;
use super::super::hpack::Bad;
use super::super::message::Head;
use super::super::stream::Out;
use super::{Block, Direction, GARBLED, Shared};

impl Direction {
    /// A frame whose payload is gathered, or as much of it as there is where `torn`.
    pub(super) fn read_frame(
        &mut self,
        frame: Frame,
        payload: &[u8],
        torn: Option<Gap>,
        peer: &mut Direction,
        shared: &mut Shared,
        out: &mut Out<'_, '_>,
    ) {
        // However the bytes were cut into packets, no more is read than would have been gathered.
        let payload = payload.get(..longest(frame, out.cx.limits)).unwrap_or(payload);
        match frame.kind {
            HEADERS | PUSH_PROMISE => {
                let fragment = fragment(frame, payload);
                let torn = torn.or_else(|| unread(frame, payload)).or(if fragment.is_none() { Some(GARBLED) } else { None });
                let fragment = fragment.unwrap_or_default();
                if frame.has(END_HEADERS) {
                    return self.read_block(frame, self.began, fragment, torn, shared, out);
                }
                self.block = Some(Block { frame, began: self.began, bytes: Vec::new(), torn });
                self.extend_block(fragment, None, out);
            }
            CONTINUATION => {
                // Without its HEADERS frame it says nothing that could be read, yet it changed the table.
                if self.block.is_none() {
                    return self.hpack.forget();
                }
                self.extend_block(payload, torn.or_else(|| unread(frame, payload)), out);
                if frame.has(END_HEADERS) {
                    self.finish_block(None, shared, out);
                }
            }
            RST_STREAM => shared.streams.reset(frame.stream, self.part, out),
            GOAWAY if self.part == Part::Response => {
                if let Some([l0, l1, l2, l3, e0, e1, e2, e3]) = payload.first_chunk() {
                    let last = u32::from_be_bytes([*l0, *l1, *l2, *l3]) & 0x7fff_ffff;
                    shared.streams.goaway(last, u32::from_be_bytes([*e0, *e1, *e2, *e3]), out);
                }
            }
            SETTINGS if frame.has(ACK) => self.acknowledge(),
            SETTINGS => peer.obey(payload, torn.is_none() && payload.len() == frame.len as usize, self.whole),
            _ => {}
        }
    }

    fn extend_block(&mut self, fragment: &[u8], torn: Option<Gap>, out: &mut Out<'_, '_>) {
        let Some(block) = &mut self.block else { return };
        if block.torn.is_some() {
            return;
        }
        let room = longest(block.frame, out.cx.limits).saturating_sub(block.bytes.len());
        block.bytes.extend_from_slice(fragment.get(..room).unwrap_or(fragment));
        block.torn = torn.or(if fragment.len() > room { Some(Gap { len: None, cause: Cause::Limit }) } else { None });
    }

    /// The block in CONTINUATION frames is over, or will never be.
    pub(super) fn finish_block(&mut self, torn: Option<Gap>, shared: &mut Shared, out: &mut Out<'_, '_>) {
        if let Some(block) = self.block.take() {
            self.read_block(block.frame, block.began, &block.bytes, block.torn.or(torn), shared, out);
        }
    }

    fn read_block(&mut self, frame: Frame, began: Stamp, block: &[u8], torn: Option<Gap>, shared: &mut Shared, out: &mut Out<'_, '_>) {
        let fields = &mut shared.fields;
        let read = self.hpack.decode(block, out.cx.limits, fields);
        if torn.is_some() {
            self.hpack.forget();
        }
        let limit = fields.over || read == Err(Bad::TooMuch);
        let bad = match read {
            _ if limit => Some(Gap { len: None, cause: Cause::Limit }),
            Err(_) => Some(GARBLED),
            Ok(()) => None,
        };
        let torn = torn.or(bad);
        if torn.is_some_and(|gap| gap.cause == Cause::Limit) {
            out.cx.counts.bump(Count::OverLimit);
        } else if torn.is_some_and(|gap| gap.cause == Cause::Garbled) {
            out.cx.counts.bump(Count::GarbledStreams);
        }
        out.cx.counts.add(Count::H2Unknown, fields.unknown);
        if frame.kind == HEADERS {
            let head = Head::new(fields, began, frame.has(END_STREAM), torn);
            shared.streams.head(frame.stream, self.part, &head, out);
        }
    }

    /// The other side's SETTINGS: what this side may send. `whole` if none of them was missed.
    fn obey(&mut self, settings: &[u8], complete: bool, whole: bool) {
        let value = |id| {
            settings.chunks_exact(6).filter_map(move |one| match *one {
                [0, it, a, b, c, d] if it == id => Some(u32::from_be_bytes([a, b, c, d])),
                _ => None,
            })
        };
        let largest = value(SETTINGS_MAX_FRAME_SIZE).max().unwrap_or(DEFAULT_MAX);
        self.max_frame = (whole && complete).then(|| largest.max(self.max_frame.unwrap_or(DEFAULT_MAX)));
        self.settings_known &= complete && self.unacknowledged.len() < UNACKNOWLEDGED;
        if self.settings_known {
            // Of several, the smallest counts too: the encoder must have evicted down to it (RFC 7541, 4.2).
            self.unacknowledged.push_back(value(SETTINGS_HEADER_TABLE_SIZE).min());
        } else {
            self.unacknowledged.clear();
        }
    }

    fn acknowledge(&mut self) {
        if self.settings_known
            && let Some(Some(size)) = self.unacknowledged.pop_front()
        {
            self.hpack.acknowledged(size);
        }
    }
}

/// The header block's part in a HEADERS or PUSH_PROMISE frame of which `payload` is there; `None` where the padding is longer than the
/// frame (RFC 9113, 6.2: a PROTOCOL_ERROR).
fn fragment(frame: Frame, payload: &[u8]) -> Option<&[u8]> {
    let padded = frame.has(PADDED);
    let pad = if padded { payload.first().copied().map_or(0, usize::from) } else { 0 };
    let priority = if frame.kind == HEADERS && frame.has(PRIORITY_FLAG) { 5 } else { 0 };
    let promised = if frame.kind == PUSH_PROMISE { 4 } else { 0 };
    let from = usize::from(padded) + priority + promised;
    let to = (frame.len as usize).checked_sub(pad).filter(|to| *to >= from)?;
    Some(payload.get(from..to.min(payload.len())).unwrap_or_default())
}

/// Bytes of a frame's payload that are gathered at most.
pub(super) fn longest(frame: Frame, limits: &Limits) -> usize {
    match frame.kind {
        HEADERS | PUSH_PROMISE | CONTINUATION => limits.head_bytes.saturating_add(260),
        SETTINGS => 600,
        _ => 8,
    }
}

/// Of a payload that is longer than [`longest`], the rest was not kept.
fn unread(frame: Frame, payload: &[u8]) -> Option<Gap> {
    (payload.len() < frame.len as usize).then_some(Gap { len: None, cause: Cause::Limit })
}

const SETTINGS_HEADER_TABLE_SIZE: u8 = 1;
const SETTINGS_MAX_FRAME_SIZE: u8 = 5;
/// SETTINGS frames that may wait for their acknowledgement.
const UNACKNOWLEDGED: usize = 32;
