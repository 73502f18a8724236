//! One direction's bytes come in; what its frames say of streams goes out. Knows nothing of what messages mean.

mod payload;

use std::collections::VecDeque;

use crate::base::{Cause, Count, Gap, Limits, Stamp};
use crate::http::Part;

use super::frame::*;
use super::hpack::{Decoder, Fields};
use super::resync::{Found, Resync};
use super::stream::Out;
use super::streams::Streams;
use payload::longest;

/// One direction of a connection.
pub(super) struct Direction {
    part: Part,
    state: State,
    /// The packet with the first byte of the frame at hand.
    began: Stamp,
    /// The last packet that was read to its end.
    last: Stamp,
    /// The payload of the frame at hand, where it does not lie in one piece.
    payload: Vec<u8>,
    block: Option<Block>,
    hpack: Decoder,
    /// No frame was seen yet: the first must be SETTINGS (RFC 9113, 3.4).
    first: bool,
    /// Bytes are said to be missing before the first: true only if it does not begin as a connection does.
    late: Option<Gap>,
    /// Every frame so far was read.
    whole: bool,
    /// The largest frame that the other side allows; `None` where its SETTINGS were not seen, or not all of them.
    max_frame: Option<u32>,
    /// SETTINGS_HEADER_TABLE_SIZE of each SETTINGS frame of the other side that this side has not acknowledged.
    unacknowledged: VecDeque<Option<u32>>,
    /// No SETTINGS frame and no acknowledgement was missed.
    settings_known: bool,
}

/// What both directions use.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) streams: Streams,
    pub(super) fields: Fields,
}

enum State {
    /// Bytes of the preface seen so far.
    Preface(usize),
    /// Bytes of a frame's header seen so far.
    Header(usize, [u8; HEADER]),
    /// In a DATA frame: bytes of it still to come, and how many of those are padding; `None` before that is known.
    Data { frame: Frame, left: u32, pad: Option<u32> },
    /// In a frame whose payload is read as a whole: bytes still to come, and whether one is missing.
    Gather { frame: Frame, left: u32, torn: Option<Gap> },
    /// In a frame that says nothing to us: bytes still to come.
    Skip(u32),
    /// Between a loss and the next chain of frames.
    Lost(Box<Resync>),
}

/// A header block that goes on in CONTINUATION frames.
struct Block {
    frame: Frame,
    began: Stamp,
    bytes: Vec<u8>,
    torn: Option<Gap>,
}

const BETWEEN: State = State::Header(0, [0; HEADER]);

impl Direction {
    pub(super) fn new(part: Part, preface: bool, limits: &Limits) -> Direction {
        Direction {
            part,
            state: if preface { State::Preface(0) } else { BETWEEN },
            began: Stamp::default(),
            last: Stamp::default(),
            payload: Vec::new(),
            block: None,
            hpack: Decoder::new(limits),
            first: true,
            late: None,
            whole: true,
            max_frame: None,
            unacknowledged: VecDeque::new(),
            settings_known: true,
        }
    }

    /// The next bytes. `peer` is the other direction, whose sender obeys this one's SETTINGS.
    pub(super) fn data(&mut self, bytes: &[u8], peer: &mut Direction, shared: &mut Shared, out: &mut Out<'_, '_>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if let State::Lost(search) = &mut self.state {
                let streams = &shared.streams;
                let around = Around {
                    from_client: self.part == Part::Request,
                    max: self.max_frame.unwrap_or(BELIEVED),
                    highest: streams.highest(),
                    open: &|id| streams.is_open(id),
                };
                let Some((used, found)) = search.push(rest, out.at, around, out.cx.limits) else {
                    return self.tell(Gap { len: None, cause: Cause::Lost }, shared, out);
                };
                self.resume(&found, peer, shared, out);
                rest = rest.get(used..).unwrap_or_default();
                continue;
            }
            rest = self.step(rest, peer, shared, out);
        }
        self.last = out.at;
    }

    /// Says at once what may be missing of messages that others wait for.
    fn tell(&self, gap: Gap, shared: &mut Shared, out: &mut Out<'_, '_>) {
        match self.part {
            Part::Request if gap.cause != Cause::Before => out.sink.unseen(gap, self.last, out.at),
            Part::Request => {}
            Part::Response => shared.streams.tell_lost(out),
        }
    }

    /// Bytes are missing.
    pub(super) fn gap(&mut self, gap: Gap, peer: &mut Direction, shared: &mut Shared, out: &mut Out<'_, '_>) {
        // Within a frame whose length is known, a hole of known length leaves no doubt where the next frame begins.
        let inside = match (gap.len.map(u32::try_from), &self.state) {
            (Some(Ok(len)), State::Data { left, .. } | State::Gather { left, .. } | State::Skip(left)) if len <= *left => Some(len),
            _ => None,
        };
        if self.first && gap.cause == Cause::Before && matches!(self.state, State::Preface(0) | State::Header(0, _)) {
            return self.begin_late(gap, shared);
        }
        let Some(len) = inside else { return self.lose(gap, peer, shared, out) };
        match &mut self.state {
            State::Data { frame, left, pad } => {
                // Without the padding's length nobody knows where the data ends: none of the rest is read.
                let data = pad.map(|pad| *left - pad.min(*left));
                let missing = data.map(|data| data.min(len));
                pad.get_or_insert(*left);
                *left -= len;
                let id = frame.stream;
                if missing != Some(0) {
                    shared.streams.hole(id, self.part, Gap { len: missing.map(u64::from), ..gap }, out);
                }
            }
            State::Gather { left, torn, .. } => {
                *left -= len;
                torn.get_or_insert(gap);
            }
            State::Skip(left) => *left -= len,
            _ => {}
        }
        self.finish_frame(&[], peer, shared, out);
    }

    /// Perhaps something is missing before the first byte.
    pub(super) fn begin_late(&mut self, gap: Gap, shared: &mut Shared) {
        self.late = Some(gap);
        shared.streams.lose(self.part, gap);
    }

    /// It began as a connection does: nothing is missing before.
    fn begun(&mut self, shared: &mut Shared) {
        if self.late.take().is_some() {
            shared.streams.whole(self.part);
        }
    }

    /// The direction has ended: what it still holds counts.
    pub(super) fn flush(&mut self, peer: &mut Direction, shared: &mut Shared, out: &mut Out<'_, '_>) {
        if let State::Lost(search) = &mut self.state
            && let Some(found) = search.finish()
        {
            self.resume(&found, peer, shared, out);
        }
    }

    /// Nothing is known of this direction before now.
    pub(super) fn lose(&mut self, gap: Gap, peer: &mut Direction, shared: &mut Shared, out: &mut Out<'_, '_>) {
        match std::mem::replace(&mut self.state, State::Lost(Box::new(Resync::new()))) {
            State::Data { frame, .. } if frame.has(END_STREAM) => {
                // The message ended among what is missing.
                shared.streams.hole(frame.stream, self.part, gap, out);
                shared.streams.end_stream(frame.stream, self.part, out);
            }
            State::Gather { frame, .. } => {
                let payload = std::mem::take(&mut self.payload);
                self.read_frame(frame, &payload, Some(gap), peer, shared, out);
            }
            _ => {}
        }
        self.finish_block(Some(gap), shared, out);
        self.payload = Vec::new();
        (self.first, self.whole, self.late) = (false, false, None);
        self.hpack.forget();
        self.settings_known = false;
        peer.settings_known = false;
        peer.max_frame = None;
        shared.streams.lose(self.part, gap);
        self.tell(gap, shared, out);
    }

    /// Reads a chain of frames that was found. Nothing in it can be a reason to search again, save for garbage behind it.
    fn resume(&mut self, found: &Found, peer: &mut Direction, shared: &mut Shared, out: &mut Out<'_, '_>) {
        self.state = BETWEEN;
        shared.streams.found(self.part);
        let now = out.at;
        for (piece, at) in found.pieces() {
            out.at = at;
            let mut rest = piece;
            while !rest.is_empty() && !matches!(self.state, State::Lost(_)) {
                rest = self.step(rest, peer, shared, out);
            }
        }
        out.at = now;
    }

    /// Reads up to the end of the preface, a frame's header or payload; returns the bytes behind it. Never called while lost.
    fn step<'b>(&mut self, bytes: &'b [u8], peer: &mut Direction, shared: &mut Shared, out: &mut Out<'_, '_>) -> &'b [u8] {
        match &mut self.state {
            State::Preface(seen) => {
                let wanted = PREFACE.get(*seen..).unwrap_or_default();
                let same = wanted.iter().zip(bytes).take_while(|(one, two)| one == two).count();
                *seen += same;
                if *seen == PREFACE.len() {
                    self.state = BETWEEN;
                    self.begun(shared);
                } else if same < bytes.len() {
                    self.garbled(&[], peer, shared, out);
                }
                bytes.get(same..).unwrap_or_default()
            }
            State::Header(seen, header) => {
                if *seen == 0 {
                    self.began = out.at;
                }
                let (mine, rest) = bytes.split_at_checked(HEADER - *seen).unwrap_or((bytes, &[]));
                for (place, byte) in header.iter_mut().skip(*seen).zip(mine) {
                    *place = *byte;
                }
                *seen += mine.len();
                if *seen == HEADER
                    && let header = *header
                    && let Some(frame) = Frame::parse(&header)
                {
                    self.begin_frame(frame, &header, peer, shared, out);
                }
                rest
            }
            State::Data { frame, left, pad } => {
                let (mut mine, rest) = bytes.split_at_checked(*left as usize).unwrap_or((bytes, &[]));
                if pad.is_none()
                    && let Some((first, after)) = mine.split_first()
                {
                    *left -= 1;
                    *pad = Some(u32::from(*first).min(*left));
                    mine = after;
                }
                let data = left.saturating_sub(pad.unwrap_or(0)) as usize;
                *left -= mine.len() as u32;
                let id = frame.stream;
                let data = mine.get(..data).unwrap_or(mine);
                if !data.is_empty() {
                    shared.streams.data(id, self.part, data, out);
                }
                self.finish_frame(&[], peer, shared, out);
                rest
            }
            State::Gather { frame, left, torn } => {
                let (mine, rest) = bytes.split_at_checked(*left as usize).unwrap_or((bytes, &[]));
                *left -= mine.len() as u32;
                let in_one_piece = *left == 0 && mine.len() == frame.len as usize;
                if !in_one_piece && torn.is_none() {
                    let room = longest(*frame, out.cx.limits).saturating_sub(self.payload.len());
                    self.payload.extend_from_slice(mine.get(..room).unwrap_or(mine));
                }
                self.finish_frame(if in_one_piece { mine } else { &[] }, peer, shared, out);
                rest
            }
            State::Skip(left) => {
                let (mine, rest) = bytes.split_at_checked(*left as usize).unwrap_or((bytes, &[]));
                *left -= mine.len() as u32;
                self.finish_frame(&[], peer, shared, out);
                rest
            }
            State::Lost(_) => &[],
        }
    }

    fn begin_frame(&mut self, frame: Frame, header: &[u8], peer: &mut Direction, shared: &mut Shared, out: &mut Out<'_, '_>) {
        // Whatever begins otherwise was joined late; and beyond the agreed length (RFC 9113, 4.2: a FRAME_SIZE_ERROR) none is to be believed.
        let beginning = frame.kind == SETTINGS && frame.flags == 0 && frame.stream == 0 && frame.len <= DEFAULT_MAX;
        let mut expected = true;
        if std::mem::take(&mut self.first) {
            // Settings can change at any time: they begin a server's side only if the client's began as well.
            expected = beginning && (self.late.is_none() || (peer.whole && peer.late.is_none()));
            if expected {
                self.begun(shared);
            }
        }
        if !expected || frame.len > self.max_frame.unwrap_or(LARGEST) {
            return self.garbled(header, peer, shared, out);
        }
        let continues = self.block.as_ref().is_some_and(|block| frame.kind == CONTINUATION && block.frame.stream == frame.stream);
        if self.block.is_some() && !continues {
            self.finish_block(Some(Gap { len: None, cause: Cause::Garbled }), shared, out);
        }
        let left = frame.len;
        self.state = match frame.kind {
            DATA => State::Data { frame, left, pad: if frame.has(PADDED) { None } else { Some(0) } },
            HEADERS | PUSH_PROMISE | CONTINUATION | RST_STREAM | SETTINGS | GOAWAY => State::Gather { frame, left, torn: None },
            _ => State::Skip(left),
        };
        self.finish_frame(&[], peer, shared, out);
    }

    /// Goes on to the next frame if this one is complete. `payload` is a gathered frame's where it lies in one piece.
    fn finish_frame(&mut self, payload: &[u8], peer: &mut Direction, shared: &mut Shared, out: &mut Out<'_, '_>) {
        match self.state {
            State::Data { frame, left: 0, .. } => {
                self.state = BETWEEN;
                if frame.has(END_STREAM) {
                    shared.streams.end_stream(frame.stream, self.part, out);
                }
            }
            State::Gather { frame, left: 0, torn } => {
                self.state = BETWEEN;
                if payload.is_empty() {
                    let mut gathered = std::mem::take(&mut self.payload);
                    self.read_frame(frame, &gathered, torn, peer, shared, out);
                    gathered.clear();
                    gathered.shrink_to(KEEP);
                    self.payload = gathered;
                } else {
                    self.read_frame(frame, payload, torn, peer, shared, out);
                }
            }
            State::Skip(0) => self.state = BETWEEN,
            _ => {}
        }
    }

    /// These are no frames, or not where they were expected: a search begins with these bytes, less than two headers.
    fn garbled(&mut self, bytes: &[u8], peer: &mut Direction, shared: &mut Shared, out: &mut Out<'_, '_>) {
        let gap = self.late.take().unwrap_or(GARBLED);
        if gap == GARBLED {
            out.cx.counts.bump(Count::GarbledStreams);
        }
        self.lose(gap, peer, shared, out);
        if let State::Lost(search) = &mut self.state {
            let around = Around { from_client: self.part == Part::Request, max: BELIEVED, highest: 0, open: &|_| false };
            search.push(bytes, out.at, around, out.cx.limits);
        }
    }
}

const GARBLED: Gap = Gap { len: None, cause: Cause::Garbled };
/// The largest frame that a search believes in where the other side's SETTINGS are not known.
const BELIEVED: u32 = 1 << 20;
/// Bytes of a buffer kept from one frame to the next.
const KEEP: usize = 4096;
