//! What a connection needs only while something is missing: kept apart, so that the many in which nothing is stay small.

use super::half::{FINISHED, GUESS, Half, STARTED};
use super::queue::Queue;
use super::seq::{FARTHEST_AHEAD, ahead};
use crate::base::{Dir, Stamp, Ts};

/// Both directions' waiting rooms, and the connection's alarm.
#[derive(Debug)]
pub(super) struct Trouble {
    /// One for each direction.
    pub(super) waits: [Wait; 2],
    /// An RST that waits for the bytes before it, and its direction.
    pub(super) reset: Option<(Dir, Stamp, u32)>,
    /// Packets of this connection since the trouble began.
    pub(super) packets: u32,
    /// When to look again, as filed in the table; `Ts::MAX` where nothing is filed.
    pub(super) alarm: Ts,
    /// The earliest packet time of what is held, as filed in the table; `Ts::MAX` where nothing is filed.
    pub(super) held: Ts,
}

impl Default for Trouble {
    fn default() -> Trouble {
        Trouble { waits: Default::default(), reset: None, packets: 0, alarm: Ts::MAX, held: Ts::MAX }
    }
}

impl Trouble {
    /// Whether nothing is missing any more.
    pub(super) fn is_over(&self) -> bool {
        self.reset.is_none() && self.waits.iter().all(Wait::is_idle)
    }

    /// The earliest packet time of bytes, FINs and RSTs that are held back.
    pub(super) fn since(&mut self) -> Option<Ts> {
        let reset = self.reset.map(|(_, at, _)| at.ts);
        let [a, b] = &mut self.waits;
        [reset, a.since(), b.since()].into_iter().flatten().min()
    }

    /// When patience ends.
    pub(super) fn deadline(&self, halves: &[Half; 2]) -> Option<Ts> {
        let reset = self.reset.map(|(_, at, _)| at.ts + GRACE);
        let waits = self.waits.iter().zip(halves).filter_map(|(wait, half)| wait.deadline(half));
        waits.chain(reset).min()
    }

    /// Whether an RST has waited long enough for the bytes before it.
    pub(super) fn reset_due(&self, now: Ts) -> bool {
        self.reset.is_some_and(|(_, at, packets)| now.since(at.ts) >= GRACE || self.packets.wrapping_sub(packets) >= GRACE_PACKETS)
    }
}

/// What waits in one direction.
#[derive(Debug, Default)]
pub(super) struct Wait {
    /// Bytes that came early.
    pub(super) queue: Queue,
    /// The FIN, where bytes before it are missing.
    pub(super) fin: Option<(u32, Stamp)>,
    /// The receiver has acknowledged what is missing.
    pub(super) passed: Option<Passed>,
    /// The receiver has acknowledged anything since something went missing.
    pub(super) answered: bool,
}

/// Up to where the other direction was handed on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gate {
    /// The next byte; `None` where nothing has to be waited for.
    next: Option<u32>,
}

impl Gate {
    /// Lets everything through.
    pub(super) const OPEN: Gate = Gate { next: None };

    /// As the other direction stands, with what waits there. What a snapshot length cut off is not waited for, nor what lies at a place that
    /// was only guessed.
    pub(super) fn at(other: &Half, wait: &Wait) -> Gate {
        let known = other.is(STARTED) && !other.is(FINISHED) && (!other.is(GUESS) || wait.queue.len() > 0);
        Gate { next: known.then(|| other.next.wrapping_add(other.tail())) }
    }

    /// Whether bytes have to wait that were sent by one who had everything up to `ack`. One number more may be a FIN, which nothing
    /// shows that follows it.
    pub(super) fn holds(self, ack: u32) -> bool {
        self.next.is_some_and(|next| (2..=FARTHEST_AHEAD).contains(&ahead(ack, next)))
    }
}

/// When the receiver was seen to have everything up to `ack`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    /// Up to here.
    pub(super) ack: u32,
    /// Seen at this time.
    pub(super) ts: Ts,
    /// And at this count of [`Trouble::packets`].
    pub(super) packets: u32,
}

impl Wait {
    /// Whether nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.len() == 0 && self.fin.is_none() && self.passed.is_none()
    }

    fn since(&mut self) -> Option<Ts> {
        let fin = self.fin.map(|(_, at)| at.ts);
        // A hole that nothing follows is held back too, until it is said.
        let hole = self.passed.map(|passed| passed.ts);
        self.queue.since().into_iter().chain(fin).chain(hole).min()
    }

    fn deadline(&self, half: &Half) -> Option<Ts> {
        let passed = self.passed.map(|passed| passed.ts + GRACE);
        let hole = self.behind_hole(half).map(|(_, at)| at.ts + self.patience());
        let early = self.queue.front().filter(|chunk| ahead(chunk.seq, half.next) <= 0).map(|chunk| chunk.from.at.ts + HOLD);
        passed.into_iter().chain(hole).chain(early).min()
    }

    /// Whether the next bytes are at hand, but were sent by one who had bytes of the other direction that were not handed on yet: those
    /// come first, or the word that they are lost.
    pub(super) fn is_early(&self, half: &Half, gate: Gate, now: Ts) -> bool {
        self.queue
            .front()
            .is_some_and(|chunk| ahead(chunk.seq, half.next) <= 0 && gate.holds(chunk.from.ack) && now.since(chunk.from.at.ts) < HOLD)
    }

    /// Where the first hole ends and what was seen there: the first queued bytes, else the FIN.
    pub(super) fn behind_hole(&self, half: &Half) -> Option<(u32, Stamp)> {
        let front = self.queue.front().map(|chunk| (chunk.seq, chunk.from.at));
        match (front, self.fin) {
            (Some(front), Some(fin)) if ahead(fin.0, half.next) < ahead(front.0, half.next) => Some(fin),
            (None, fin) => fin,
            (front, _) => front,
        }
    }

    /// How long a hole may last that nobody acknowledges.
    pub(super) fn patience(&self) -> i64 {
        if self.answered { HOLE_ANSWERED } else { HOLE_UNANSWERED }
    }

    /// Whether everything up to `end` was acknowledged long enough ago.
    pub(super) fn grace_over(&self, end: u32, now: Ts, packets: u32) -> bool {
        self.passed.is_some_and(|passed| {
            ahead(passed.ack, end) >= 0 && (now.since(passed.ts) >= GRACE || packets.wrapping_sub(passed.packets) >= GRACE_PACKETS)
        })
    }
}

/// A capture may hold an ACK before the bytes it acknowledges (queues of the card, CPUs, interfaces): so long it waits for them.
const GRACE: i64 = 200_000_000;

/// Or for so many packets of the connection.
const GRACE_PACKETS: u32 = 32;

/// So long bytes wait for those of the other direction that their sender had: until these are given up, at the latest.
const HOLD: i64 = 2 * GRACE;

/// A hole in a connection whose receiver is not seen at all (only one direction was captured) is given up after this: two seconds
/// leave room for the first retransmissions (RFC 6298: one second, then doubled).
const HOLE_UNANSWERED: i64 = 2_000_000_000;

/// A hole that the receiver still reports as one: retransmission is on its way. Whoever waits for the bytes behind cannot wait for ever.
const HOLE_ANSWERED: i64 = 10_000_000_000;
