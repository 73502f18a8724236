//! One direction: segments in, its next bytes out, with what is missing between them. Knows nothing of how connections begin and end.

use super::Receiver;
use super::queue::{Met, Origin};
use super::seq::{ahead, near, on, plausible};
use super::trouble::{Gate, Passed, Wait};
use super::voice::Voice;
use crate::base::{Cause, Count, Stamp};

/// Where one direction stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Half {
    /// Sequence number of the next byte.
    pub(super) next: u32,
    /// How far the other side has acknowledged, or an RST has vouched for.
    pub(super) acked: u32,
    /// Sequence number of its SYN, or of the place where the SYN must have been.
    pub(super) isn: u32,
    /// Bytes from `next` on that were on the wire and that the snapshot length cut off.
    tail: u32,
    bits: u8,
    strays: u8,
}

/// The parts of a segment that one direction is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    /// Sequence number of the first byte.
    pub(super) seq: u32,
    /// Bytes at hand.
    pub(super) bytes: &'a [u8],
    /// Bytes after them that were cut off.
    pub(super) cut: u32,
    /// Whether a FIN follows.
    pub(super) fin: bool,
    /// The packet.
    pub(super) at: Stamp,
    /// What it acknowledged.
    pub(super) ack: u32,
    /// Nanoseconds for which the connection was silent before.
    pub(super) silence: i64,
}

impl Piece<'_> {
    fn len(&self) -> u32 {
        on(self.cut, self.bytes.len())
    }

    fn end(&self) -> u32 {
        self.seq.wrapping_add(self.len())
    }
}

/// How a hole is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// With patience: so many packets have passed.
    Patient(u32),
    /// Nothing more will come; a hole that nobody acknowledged has this cause.
    Last(Cause),
}

impl Half {
    /// Whether `bit` is set.
    pub(super) fn is(&self, bit: u8) -> bool {
        self.bits & bit != 0
    }

    /// Sets `bit`.
    pub(super) fn set(&mut self, bit: u8) {
        self.bits |= bit;
    }

    /// Bytes that were on the wire and that the snapshot length cut off, from the next one on.
    pub(super) fn tail(&self) -> u32 {
        self.tail
    }

    /// Whether the next segment can only be judged by its sequence number.
    pub(super) fn is_plain(&self) -> bool {
        self.bits & (STARTED | ACKED | UNSEEN | FINISHED) == STARTED | ACKED && self.tail == 0
    }

    /// `len` bytes were handed on in order.
    pub(super) fn advance(&mut self, len: usize) {
        self.next = on(self.next, len);
        self.bits = self.bits & !AFTER_GAP | SPOKEN;
        self.strays = 0;
    }

    /// The first byte is known to be this one.
    pub(super) fn start(&mut self, next: u32) {
        self.bits = self.bits & !(UNSEEN | GUESS) | STARTED;
        (self.next, self.isn) = (next, next.wrapping_sub(1));
    }

    /// The capture began in the middle: what comes next is about here, what came before was not seen.
    pub(super) fn guess(&mut self, next: u32) {
        self.bits |= STARTED | UNSEEN | GUESS;
        (self.next, self.isn) = (next, next.wrapping_sub(1));
    }

    /// The other side has everything up to `ack`.
    pub(super) fn acknowledge<R: Receiver>(&mut self, ack: u32, wait: &mut Wait, voice: &mut Voice<'_, '_, R>) {
        if !plausible(ahead(ack, self.next)) {
            return voice.count(Count::OutOfWindow);
        }
        if !self.is(ACKED) || ahead(ack, self.acked) > 0 {
            self.acked = ack;
            self.bits |= ACKED;
        }
        wait.answered = true;
    }

    /// Takes a segment's bytes; those that come early wait, also for the other direction (`gate`). False where so many segments in a row
    /// do not fit that this must be another connection.
    pub(super) fn take<R: Receiver>(&mut self, piece: Piece<'_>, gate: Gate, wait: &mut Wait, voice: &mut Voice<'_, '_, R>) -> bool {
        let mut piece = piece;
        if piece.len() == 0 && !piece.fin {
            return true;
        }
        self.correct_guess(&piece);
        if !plausible(ahead(piece.seq, self.next)) {
            voice.count(Count::OutOfWindow);
            self.strays = self.strays.saturating_add(1);
            return self.strays < STRAYS;
        }
        self.strays = 0;
        if self.is_probe(&piece) {
            return true;
        }
        if self.is(FINISHED) {
            if piece.len() > 0 {
                voice.count(if ahead(piece.seq, self.next) < 0 { Count::Retransmissions } else { Count::OutOfWindow });
            }
            return true;
        }
        let fin = piece.fin.then(|| piece.end());
        if let Some((end, _)) = wait.fin
            && ahead(piece.end(), end) > 0
        {
            // RFC 9293, 3.6: nothing follows a FIN.
            voice.count(Count::OutOfWindow);
            let room = usize::try_from(ahead(end, piece.seq)).unwrap_or(0);
            (piece.bytes, piece.cut) = (piece.bytes.get(..room).unwrap_or(piece.bytes), 0);
        }
        self.take_bytes(piece, gate, wait, voice);
        if let Some(end) = fin {
            self.take_fin(end, piece.at, wait, voice);
        }
        true
    }

    /// A position that was only inferred gives way to the first bytes seen, in both directions within reason: nothing was handed on yet.
    fn correct_guess(&mut self, piece: &Piece<'_>) {
        let distance = ahead(piece.seq, self.next);
        if !self.is(STARTED) || self.is(GUESS) && (!near(distance) || distance < 0 && piece.len() > 1) {
            // A single byte may be a keep-alive probe's, which is no byte of the stream (RFC 9293, 3.8.4). The hole said before it covers it.
            let probe = piece.len() == 1 && !piece.fin;
            if !near(distance) {
                self.bits &= !ACKED;
            }
            self.guess(if probe { piece.end() } else { piece.seq });
        }
    }

    /// Keep-alive: a byte before the next one, or one that was acknowledged long ago. It may be made up (RFC 9293, 3.8.4).
    fn is_probe(&self, piece: &Piece<'_>) -> bool {
        let distance = ahead(piece.seq, self.next);
        let old = distance >= 0 && self.is(ACKED) && self.acked == piece.end() && piece.silence >= KEEP_ALIVE;
        piece.len() == 1 && !piece.fin && (distance == -1 || old)
    }

    fn take_bytes<R: Receiver>(&mut self, piece: Piece<'_>, gate: Gate, wait: &mut Wait, voice: &mut Voice<'_, '_, R>) {
        let mut piece = piece;
        if piece.len() == 0 {
            return;
        }
        let distance = ahead(piece.seq, self.next);
        if distance < 0 {
            voice.count(Count::Retransmissions);
            if ahead(piece.end(), self.next) <= 0 {
                return;
            }
            let old = distance.unsigned_abs();
            match piece.bytes.get(old as usize..) {
                Some(new) => piece.bytes = new,
                None => (piece.cut, piece.bytes) = (piece.end().wrapping_sub(self.next), &[]),
            }
            piece.seq = self.next;
        } else if distance > 0 && distance.unsigned_abs() <= self.tail && wait.queue.len() == 0 {
            // The bytes between were on the wire and are cut off here; the sender has gone on.
            self.skip(distance.unsigned_abs(), Some(distance.unsigned_abs()), Cause::Cut, piece.at, voice);
        }
        let free = wait.queue.front().is_none_or(|front| ahead(front.seq, on(piece.seq, piece.bytes.len())) >= 0);
        if piece.seq == self.next && free && !gate.holds(piece.ack) {
            self.hand_on(piece.bytes, piece.cut, piece.at, voice);
            return;
        }
        if distance > 0 {
            voice.count(Count::OutOfOrder);
        }
        let before = wait.queue.cost();
        let from = Origin { at: piece.at, ack: piece.ack };
        let Met { repeated, conflict } = wait.queue.insert(self.next, piece.seq, piece.bytes, piece.cut, from);
        *voice.desk.held = voice.desk.held.saturating_add(wait.queue.cost().saturating_sub(before));
        if repeated && distance >= 0 {
            voice.count(Count::Retransmissions);
        }
        if conflict {
            voice.count(Count::OverlapConflicts);
        }
    }

    fn take_fin<R: Receiver>(&mut self, end: u32, at: Stamp, wait: &mut Wait, voice: &mut Voice<'_, '_, R>) {
        let distance = ahead(end, self.next);
        if wait.fin.is_some() {
        } else if distance == -1 && self.is(AFTER_GAP) {
            // The hole before this was counted in sequence numbers, and the last of them was the FIN's.
            self.finish(at, wait, voice);
        } else if distance < 0 || wait.queue.end().is_some_and(|last| ahead(last, end) > 0) {
            voice.count(Count::OutOfWindow);
        } else {
            wait.fin = Some((end, at));
        }
    }

    /// Hands on what can be handed on, and gives up what is due to be given up. Returns whether that was anything.
    pub(super) fn settle<R: Receiver>(&mut self, wait: &mut Wait, mode: Mode, gate: Gate, at: Stamp, voice: &mut Voice<'_, '_, R>) -> bool {
        let before = (self.next, self.bits);
        self.give(wait, mode, gate, at, voice);
        before != (self.next, self.bits)
    }

    fn give<R: Receiver>(&mut self, wait: &mut Wait, mode: Mode, gate: Gate, at: Stamp, voice: &mut Voice<'_, '_, R>) {
        loop {
            self.drain(wait, gate, at, voice);
            if wait.is_early(self, gate, at.ts) {
                if !Self::over_limit(wait, voice) {
                    wait.passed = None;
                    return;
                }
                voice.count(Count::ReorderLimit);
                self.drain(wait, Gate::OPEN, at, voice);
            }
            let behind = wait.behind_hole(self).map(|(end, seen)| (ahead(end, self.next).max(0).unsigned_abs(), seen));
            let acked = if self.is(ACKED) { ahead(self.acked, self.next).max(0).unsigned_abs() } else { 0 };
            if self.tail > 0 && (behind.is_some() || acked >= self.tail || matches!(mode, Mode::Last(_))) {
                let n = behind.map_or(self.tail, |(room, _)| self.tail.min(room));
                if n > 0 {
                    self.skip(n, Some(n), Cause::Cut, at, voice);
                    continue;
                }
            }
            if let (Some((0, _)), Some((_, seen))) = (behind, wait.fin) {
                return self.finish(seen, wait, voice);
            }
            let len = behind.map_or(acked, |(room, _)| room);
            let end = self.next.wrapping_add(len);
            // A number that was acknowledged and that nothing follows may be a byte or a FIN: not known which until something follows.
            let riddle = behind.is_none() && len == 1;
            if len == 0 || riddle || self.tail > 0 && behind.is_none() {
                if riddle && matches!(mode, Mode::Last(_)) {
                    self.skip(1, None, Cause::Lost, at, voice);
                }
                (wait.passed, wait.answered) = (None, false);
                return;
            }
            self.note_passed(end, acked >= len, wait, mode, at);
            let over = Self::over_limit(wait, voice);
            let late = behind.is_some_and(|(_, seen)| at.ts.since(seen.ts) >= wait.patience());
            let cause = match mode {
                Mode::Last(cause) if acked < len => cause,
                Mode::Last(_) => Cause::Lost,
                Mode::Patient(packets) if over || late || wait.grace_over(end, at.ts, packets) => Cause::Lost,
                Mode::Patient(_) => return,
            };
            if over {
                voice.count(Count::ReorderLimit);
            }
            self.skip(len, Some(len), cause, at, voice);
            wait.answered = false;
        }
    }

    fn note_passed(&self, end: u32, is_acked: bool, wait: &mut Wait, mode: Mode, at: Stamp) {
        if wait.passed.is_some_and(|passed| ahead(passed.ack, end) < 0) {
            wait.passed = None;
        }
        if let (None, true, Mode::Patient(packets)) = (wait.passed, is_acked, mode) {
            wait.passed = Some(Passed { ack: self.acked, ts: at.ts, packets });
        }
    }

    fn over_limit<R>(wait: &Wait, voice: &Voice<'_, '_, R>) -> bool {
        let limits = voice.desk.limits;
        let queue = &wait.queue;
        queue.len() > limits.reorder_segments
            || queue.bytes() > limits.reorder_bytes
            || queue.len() > 0 && *voice.desk.held > limits.reorder_bytes_total
    }

    fn drain<R: Receiver>(&mut self, wait: &mut Wait, gate: Gate, at: Stamp, voice: &mut Voice<'_, '_, R>) {
        while wait.queue.front().is_some_and(|front| ahead(front.seq, self.next) <= 0) && !wait.is_early(self, gate, at.ts) {
            let before = wait.queue.cost();
            let Some(chunk) = wait.queue.pop() else { return };
            *voice.desk.held = voice.desk.held.saturating_sub(before.saturating_sub(wait.queue.cost()));
            let old = self.next.wrapping_sub(chunk.seq) as usize;
            if let Some(new) = chunk.bytes.get(old..) {
                self.hand_on(new, chunk.cut, chunk.from.at, voice);
            }
        }
    }

    fn hand_on<R: Receiver>(&mut self, bytes: &[u8], cut: u32, at: Stamp, voice: &mut Voice<'_, '_, R>) {
        self.say_unseen(at, voice);
        if !bytes.is_empty() {
            voice.data(bytes, at);
            self.advance(bytes.len());
        }
        self.tail = self.tail.saturating_sub(bytes.len() as u32).max(cut);
    }

    fn skip<R: Receiver>(&mut self, n: u32, len: Option<u32>, cause: Cause, at: Stamp, voice: &mut Voice<'_, '_, R>) {
        self.say_unseen(at, voice);
        voice.gap(len, cause, at);
        self.next = self.next.wrapping_add(n);
        self.tail = self.tail.saturating_sub(n);
        self.bits |= AFTER_GAP | SPOKEN;
    }

    fn finish<R: Receiver>(&mut self, at: Stamp, wait: &mut Wait, voice: &mut Voice<'_, '_, R>) {
        // A FIN at the very place that the other side had acknowledged from the first: nothing was sent since, so nothing is missing that
        // could be an answer to what was seen.
        if !self.is(GUESS) {
            self.say_unseen(at, voice);
        }
        voice.finished(at);
        if wait.fin.is_some() {
            self.next = self.next.wrapping_add(1);
        }
        self.bits |= FINISHED | SPOKEN;
        self.tail = 0;
        *voice.desk.held = voice.desk.held.saturating_sub(wait.queue.cost());
        *wait = Wait::default();
    }

    /// The first thing said of a direction whose beginning was not seen is that.
    fn say_unseen<R: Receiver>(&mut self, at: Stamp, voice: &mut Voice<'_, '_, R>) {
        if self.is(UNSEEN) {
            let cause = if voice.conn.opener_known { Cause::Lost } else { Cause::Before };
            voice.gap(None, cause, at);
        }
        self.bits = self.bits & !(UNSEEN | GUESS) | SPOKEN;
    }
}

/// `next` means something.
pub(super) const STARTED: u8 = 1;
/// Its SYN was seen.
pub(super) const SYN_SEEN: u8 = 2;
/// Bytes before the first one were not seen, and that was not said yet.
pub(super) const UNSEEN: u8 = 4;
/// `next` was inferred from the other side's ACK.
pub(super) const GUESS: u8 = 8;
/// Something was said of this direction.
pub(super) const SPOKEN: u8 = 16;
/// The FIN was reached in order.
pub(super) const FINISHED: u8 = 32;
/// `acked` means something.
pub(super) const ACKED: u8 = 64;
/// The last thing said was a hole.
const AFTER_GAP: u8 = 128;

/// So many segments in a row that cannot belong to a connection are of another one.
const STRAYS: u8 = 4;

/// Keep-alive probes come after silence; retransmissions come sooner.
const KEEP_ALIVE: i64 = 1_000_000_000;
