//! Nine bytes come in, a frame's header goes out (RFC 9113, 4.1), and how much it looks like one. Knows nothing of streams' states.

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) len: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// 0 for the connection. The reserved bit is ignored, as RFC 9113 wants it.
    pub(super) stream: u32,
    reserved: bool,
}

/// What is known of a connection when a frame's header is weighed.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) from_client: bool,
    /// The largest payload that is believed.
    pub(super) max: u32,
    /// The highest stream id seen; 0 where none was.
    pub(super) highest: u32,
    /// Whether a stream is open.
    pub(super) open: &'a dyn Fn(u32) -> bool,
}

impl Frame {
    /// Reads a header from its nine bytes; `None` if there are fewer.
    pub(super) fn parse(bytes: &[u8]) -> Option<Frame> {
        let [a, b, c, kind, flags, s0, s1, s2, s3] = *bytes.first_chunk::<HEADER>()?;
        let stream = u32::from_be_bytes([s0, s1, s2, s3]);
        Some(Frame { len: u32::from_be_bytes([0, a, b, c]), kind, flags, stream: stream & 0x7fff_ffff, reserved: stream >> 31 != 0 })
    }

    /// Whether a flag is set.
    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// How many bits of this header are as a frame's must be, so that random bytes would show them once in 2^bits places;
    /// `None` where no sender would write it. `before` is the frame right before it, where it is known.
    pub(super) fn weigh(self, before: Option<Frame>, around: Around<'_>) -> Option<u32> {
        let of_connection = self.stream == 0;
        // A header block may not be interrupted (RFC 9113, 4.3).
        let in_block =
            before.is_some_and(|before| matches!(before.kind, HEADERS | PUSH_PROMISE | CONTINUATION) && !before.has(END_HEADERS));
        if self.reserved || self.len > around.max || (before.is_some() && in_block != (self.kind == CONTINUATION)) {
            return None;
        }
        let (known_flags, exact) = match self.kind {
            DATA => (END_STREAM | PADDED, false),
            HEADERS => (END_STREAM | END_HEADERS | PADDED | PRIORITY_FLAG, false),
            CONTINUATION => (END_HEADERS, false),
            PUSH_PROMISE if !around.from_client => (END_HEADERS | PADDED, false),
            PRIORITY if self.len == 5 => (0, true),
            RST_STREAM | WINDOW_UPDATE if self.len == 4 => (0, true),
            SETTINGS if self.len.is_multiple_of(6) && (self.flags == 0 || self.len == 0) && self.len <= 600 => (ACK, true),
            PING if self.len == 8 => (ACK, true),
            GOAWAY if self.len >= 8 => (0, false),
            _ => return None,
        };
        let wants_connection = matches!(self.kind, SETTINGS | PING | GOAWAY);
        if self.flags & !known_flags != 0 || (of_connection != wants_connection && self.kind != WINDOW_UPDATE) {
            return None;
        }
        // Clients send messages on the streams that they open, which are the odd ones (RFC 9113, 5.1.1).
        if around.from_client && self.stream.is_multiple_of(2) && matches!(self.kind, DATA | HEADERS | CONTINUATION) {
            return None;
        }
        // Even ones are pushed (RFC 9113, 8.4), which hardly anybody does, while SETTINGS are full of zeros that look like their frames.
        let pushed = !around.from_client && self.stream.is_multiple_of(2) && matches!(self.kind, DATA | HEADERS | CONTINUATION);
        if pushed && !(around.open)(self.stream) {
            return None;
        }
        if self.len == 0 && matches!(self.kind, HEADERS | PUSH_PROMISE) {
            return None;
        }
        if in_block && before.is_some_and(|before| before.stream != self.stream) {
            return None;
        }
        let length = if exact { 22 } else { self.max_bits(around.max) };
        let stream = match self.stream {
            0 => 31,
            id if before.is_some_and(|before| before.stream == id) || (around.open)(id) => 24,
            id if around.highest > 0 && id <= around.highest.saturating_add(2048) => 18,
            1..=0xffff => 14,
            0x1_0000..=0xf_ffff => 10,
            _ => 2,
        };
        Some(length + 5 + (8 - known_flags.count_ones()) + stream)
    }

    fn max_bits(self, max: u32) -> u32 {
        24 - (self.len.max(max.min(DEFAULT_MAX)) | 1).ilog2() - 1
    }
}

/// Bytes of a frame's header.
pub(super) const HEADER: usize = 9;
/// SETTINGS_MAX_FRAME_SIZE before any SETTINGS (RFC 9113, 6.5.2).
pub(super) const DEFAULT_MAX: u32 = 16_384;
/// The largest that it can be.
pub(super) const LARGEST: u32 = (1 << 24) - 1;
/// What a client's side of a connection begins with (RFC 9113, 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const ACK: u8 = 0x1;
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;
pub(super) const PRIORITY_FLAG: u8 = 0x20;
