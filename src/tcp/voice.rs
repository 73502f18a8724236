//! What a direction has to say comes in, events and counts go out. Knows nothing of why it is said.

use super::trouble::Trouble;
use super::{Close, Conn, Receiver, StreamEvent};
use crate::base::{Cause, Count, Counts, Dir, Gap, Limits, Stamp};

/// What every step of the room needs beside the connection itself.
pub(super) struct Desk<'d, R> {
    /// Upper bounds.
    pub(super) limits: &'d Limits,
    /// What was seen and lost.
    pub(super) counts: &'d mut Counts,
    /// Who wants to know.
    pub(super) out: &'d mut R,
    /// Memory held by all queues together.
    pub(super) held: &'d mut usize,
    /// One set of waiting rooms kept for the next connection that needs it for a moment.
    pub(super) spare: &'d mut Option<Box<Trouble>>,
}

/// One direction of one connection, speaking.
pub(super) struct Voice<'v, 'd, R> {
    /// Whose.
    pub(super) conn: &'v Conn,
    /// Which direction.
    pub(super) dir: Dir,
    /// Where to.
    pub(super) desk: &'v mut Desk<'d, R>,
}

impl<R: Receiver> Voice<'_, '_, R> {
    /// The next bytes.
    pub(super) fn data(&mut self, bytes: &[u8], at: Stamp) {
        self.desk.out.on_stream(self.conn, StreamEvent::Data { dir: self.dir, bytes, at });
    }

    /// Bytes that are missing.
    pub(super) fn gap(&mut self, len: Option<u32>, cause: Cause, at: Stamp) {
        if cause != Cause::Before {
            self.desk.counts.bump(Count::Gaps);
            self.desk.counts.add(Count::GapBytes, len.unwrap_or(0).into());
        }
        let gap = Gap { len: len.map(u64::from), cause };
        self.desk.out.on_stream(self.conn, StreamEvent::Gap { dir: self.dir, gap, at });
    }

    /// The end, in order.
    pub(super) fn finished(&mut self, at: Stamp) {
        self.desk.out.on_stream(self.conn, StreamEvent::Finished { dir: self.dir, at });
    }

    /// One more of `count`.
    pub(super) fn count(&mut self, count: Count) {
        self.desk.counts.bump(count);
    }
}

/// The last word on a connection.
pub(super) fn closed<R: Receiver>(conn: &Conn, how: Close, at: Stamp, desk: &mut Desk<'_, R>) {
    if matches!(how, Close::Refused | Close::Unanswered) {
        desk.counts.bump(Count::Refused);
    }
    desk.out.on_stream(conn, StreamEvent::Closed { how, at });
}
