//! One connection: its segments in, in any order; its beginning, both directions and its end out. Knows nothing of other connections.

use super::ages::Patience;
use super::half::{ACKED, FINISHED, GUESS, Half, Mode, Piece, SPOKEN, STARTED, SYN_SEEN};
use super::seq::{ahead, near, on};
use super::trouble::{Gate, Trouble, Wait};
use super::voice::{Desk, Voice, closed};
use super::{Close, Conn, Receiver, StreamEvent};
use crate::base::{Cause, ConnId, Count, Dir, Stamp, Ts};
use crate::packet::{Flags, Segment};

/// A connection and where its two directions stand.
#[derive(Debug)]
pub(super) struct Flow {
    /// As the next rooms know it.
    pub(super) conn: Conn,
    /// From a to b, from b to a.
    pub(super) halves: [Half; 2],
    /// There while something is missing.
    pub(super) trouble: Option<Box<Trouble>>,
    /// The last packet.
    pub(super) last: Stamp,
    /// How long it may be silent.
    pub(super) patience: Patience,
    /// Whether only SYNs of one side were seen.
    only_syn: bool,
}

/// What becomes of a connection after a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It goes on.
    Go,
    /// It is over.
    Over(Close),
    /// It is over, and the segment at hand begins another one.
    Again,
}

impl Flow {
    /// A connection whose first segment is `seg`, which is still to be given to it.
    pub(super) fn open<R: Receiver>(seg: &Segment<'_>, at: Stamp, slot: usize, desk: &mut Desk<'_, R>) -> Flow {
        let syn = seg.flags.has(Flags::SYN);
        let (a, b) = if syn && seg.flags.has(Flags::ACK) { (seg.dst, seg.src) } else { (seg.src, seg.dst) };
        let conn =
            Conn { id: ConnId(at.ord), slot, a, b, opener_known: syn, opened: at, aliases: Default::default(), processes: Vec::new() };
        desk.counts.bump(Count::Connections);
        if !syn {
            desk.counts.bump(Count::MidConnections);
        }
        desk.out.on_stream(&conn, StreamEvent::Opened);
        Flow { conn, halves: Default::default(), trouble: None, last: at, patience: Patience::Short, only_syn: true }
    }

    /// The next segment, if it is the one expected: nothing missing, nothing begun or ended. Most are. False where it takes
    /// [`Flow::segment`] to judge it.
    pub(super) fn in_order<R: Receiver>(&mut self, dir: Dir, seg: &Segment<'_>, at: Stamp, out: &mut R) -> bool {
        let (me, peer) = both(&mut self.halves, dir);
        let expected = seg.flags.0 & (Flags::SYN | Flags::FIN | Flags::RST | Flags::ACK) == Flags::ACK
            && seg.seq == me.next
            && seg.cut == 0
            && self.trouble.is_none()
            && me.is_plain()
            && peer.is_plain()
            && ahead(seg.ack, peer.next) <= 0
            && ahead(me.acked, me.next) <= 0
            && !self.only_syn;
        if !expected {
            return false;
        }
        if ahead(seg.ack, peer.acked) > 0 {
            peer.acked = seg.ack;
        }
        self.last = at;
        if !seg.payload.is_empty() {
            me.advance(seg.payload.len());
            out.on_stream(&self.conn, StreamEvent::Data { dir, bytes: seg.payload, at });
        }
        true
    }

    /// The next segment, whatever it is.
    pub(super) fn segment<R: Receiver>(&mut self, dir: Dir, seg: &Segment<'_>, at: Stamp, desk: &mut Desk<'_, R>) -> Next {
        if seg.flags.has(Flags::SYN) && !self.syn(dir, seg, at, desk) {
            return Next::Again;
        }
        let silence = at.ts.since(self.last.ts);
        self.last = at;
        let mut trouble = self.lend(desk);
        let next = self.step(dir, seg, at, silence, &mut trouble, desk);
        self.put_back(trouble, desk);
        next
    }

    /// Packet time has come to [`Flow::due`] or beyond.
    pub(super) fn wake<R: Receiver>(&mut self, now: Ts, desk: &mut Desk<'_, R>) -> Next {
        while let Some(mut trouble) = self.trouble.take_if(|trouble| trouble.alarm <= now) {
            // As if it were the moment itself, so that nothing depends on which packet of which connection told the time.
            let at = Stamp { ts: trouble.alarm, ..self.last };
            let next = self.settle(&mut trouble, at, desk);
            trouble.alarm = trouble.deadline(&self.halves).map_or(Ts::MAX, |alarm| alarm.max(at.ts + 1));
            self.put_back(trouble, desk);
            if next != Next::Go {
                return next;
            }
        }
        if now >= self.silent_until() {
            return Next::Over(if self.only_syn { Close::Unanswered } else { Close::Idle });
        }
        Next::Go
    }

    /// When to call [`Flow::wake`].
    pub(super) fn due(&self) -> Ts {
        self.trouble.as_ref().map_or(Ts::MAX, |trouble| trouble.alarm).min(self.silent_until())
    }

    /// When silence has lasted too long.
    pub(super) fn silent_until(&self) -> Ts {
        self.last.ts + self.patience.nanos()
    }

    /// The alarm and the earliest packet time held, as the table filed them last.
    pub(super) fn filed(&self) -> (Ts, Ts) {
        self.trouble.as_ref().map_or((Ts::MAX, Ts::MAX), |trouble| (trouble.alarm, trouble.held))
    }

    /// The same, as they are now.
    pub(super) fn refile(&mut self) -> (Ts, Ts) {
        if let Some(trouble) = &mut self.trouble {
            trouble.alarm = trouble.deadline(&self.halves).unwrap_or(Ts::MAX);
            trouble.held = trouble.since().unwrap_or(Ts::MAX);
        }
        self.filed()
    }

    /// The end: hands on what is held, says what is missing, and closes.
    pub(super) fn end<R: Receiver>(&mut self, how: Close, at: Stamp, desk: &mut Desk<'_, R>) -> Close {
        let mut trouble = self.lend(desk);
        let (how, at) = match trouble.reset {
            Some((dir, at, _)) => (Close::Reset(dir), at),
            None => (self.judge(how, at), at),
        };
        let cause = match how {
            Close::CaptureEnd => Cause::After,
            Close::Evicted => Cause::Limit,
            _ => Cause::Lost,
        };
        self.give(&mut trouble, Mode::Last(cause), at, desk);
        closed(&self.conn, how, at, desk);
        *trouble = Trouble::default();
        *desk.spare = Some(trouble);
        how
    }

    /// A SYN that the capture's end left no time to answer is not unanswered.
    fn judge(&self, how: Close, at: Stamp) -> Close {
        let waited = at.ts.since(self.conn.opened.ts) >= FIRST_TIMEOUT;
        if how == Close::CaptureEnd && self.only_syn && waited { Close::Unanswered } else { how }
    }

    fn step<R: Receiver>(
        &mut self,
        dir: Dir,
        seg: &Segment<'_>,
        at: Stamp,
        silence: i64,
        trouble: &mut Trouble,
        desk: &mut Desk<'_, R>,
    ) -> Next {
        trouble.packets = trouble.packets.wrapping_add(1);
        if seg.flags.has(Flags::RST) {
            if let Some(over) = self.reset(dir, seg, at, trouble, desk) {
                return over;
            }
            return self.settle(trouble, at, desk);
        }
        let syn = seg.flags.has(Flags::SYN);
        self.only_syn &= syn && dir == Dir::AtoB;
        let (me, peer) = both(&mut self.halves, dir);
        let (mine, theirs) = both(&mut trouble.waits, dir);
        if seg.flags.has(Flags::ACK) {
            if !peer.is(STARTED) {
                // The first segment after a SYN acknowledges the other SYN and nothing else: an exact beginning, though it was not seen.
                let exact = syn || me.is(SYN_SEEN) && seg.seq == me.isn.wrapping_add(1);
                if exact { peer.start(seg.ack) } else { peer.guess(seg.ack) }
            }
            let voice = &mut Voice { conn: &self.conn, dir: dir.flip(), desk };
            peer.acknowledge(seg.ack, theirs, voice);
            // What the ACK gives up comes before the bytes that came with it: a request's hole before its answer.
            if !peer.is(FINISHED) {
                peer.settle(theirs, Mode::Patient(trouble.packets), Gate::at(me, mine), at, voice);
            }
        }
        let gate = Gate::at(peer, theirs);
        let ack = if seg.flags.has(Flags::ACK) { seg.ack } else { peer.next };
        let piece =
            Piece { seq: on(seg.seq, syn.into()), bytes: seg.payload, cut: seg.cut, fin: seg.flags.has(Flags::FIN), at, ack, silence };
        if !me.take(piece, gate, mine, &mut Voice { conn: &self.conn, dir, desk }) {
            return Next::Again;
        }
        self.settle(trouble, at, desk)
    }

    fn settle<R: Receiver>(&mut self, trouble: &mut Trouble, at: Stamp, desk: &mut Desk<'_, R>) -> Next {
        self.give(trouble, Mode::Patient(trouble.packets), at, desk);
        let [a, b] = &self.halves;
        let closing = a.is(FINISHED) || b.is(FINISHED) || trouble.reset.is_some();
        self.patience = if self.only_syn || closing { Patience::Short } else { Patience::Long };
        if let Some((dir, _, _)) = trouble.reset
            && (trouble.waits.iter().all(Wait::is_idle) || trouble.reset_due(at.ts))
        {
            return Next::Over(Close::Reset(dir));
        }
        // Both FINs, and every byte before them: what else may come is a repetition.
        if a.is(FINISHED) && b.is(FINISHED) { Next::Over(Close::Finished) } else { Next::Go }
    }

    /// Hands on what is ready, in the order of cause and effect: what one side sent comes after what it had received by then, as its ACKs
    /// tell, even where that is only known to be lost.
    fn give<R: Receiver>(&mut self, trouble: &mut Trouble, mode: Mode, at: Stamp, desk: &mut Desk<'_, R>) {
        let mut open = false;
        loop {
            let mut moved = false;
            for dir in DIRS {
                let (half, peer) = both(&mut self.halves, dir);
                let (wait, others) = both(&mut trouble.waits, dir);
                if half.is(STARTED) && !half.is(FINISHED) {
                    let gate = if open { Gate::OPEN } else { Gate::at(peer, others) };
                    moved |= half.settle(wait, mode, gate, at, &mut Voice { conn: &self.conn, dir, desk });
                }
            }
            // At the end nothing is left to wait for.
            let stuck = matches!(mode, Mode::Last(_)) && !open;
            if !moved && !stuck {
                return;
            }
            open |= !moved;
        }
    }

    /// A SYN. False where it begins another connection on the same addresses and ports.
    fn syn<R: Receiver>(&mut self, dir: Dir, seg: &Segment<'_>, at: Stamp, desk: &mut Desk<'_, R>) -> bool {
        let answer = seg.flags.has(Flags::ACK);
        let young = at.ts.since(self.conn.opened.ts) < FIRST_TIMEOUT;
        let (me, peer) = both(&mut self.halves, dir);
        let fits = !answer || !peer.is(STARTED) || acknowledges_syn(peer, seg.ack);
        let first = on(seg.seq, 1);
        if !me.is(STARTED) {
            if !fits {
                return false;
            }
            me.start(first);
        } else if me.isn == seg.seq {
            if me.is(SYN_SEEN) {
                desk.counts.bump(Count::Retransmissions);
            }
            // Also where its place had only been guessed, rightly.
            if !me.is(SPOKEN) {
                me.start(first);
            }
        } else if !me.is(SYN_SEEN) && ahead(me.isn, seg.seq) > 0 && near(ahead(me.isn, seg.seq)) && young {
            // Captured late: bytes that followed it came first.
            if !me.is(SPOKEN) {
                me.start(first);
            } else {
                me.isn = seg.seq;
            }
        } else if answer && fits && !me.is(SPOKEN) {
            // A SYN cookie's sequence number may change from one SYN-ACK to the next (RFC 4987, 3.6).
            me.start(first);
        } else {
            return false;
        }
        me.set(SYN_SEEN);
        // A SYN that comes after the first bytes still tells who opened the connection, if it was the side taken for it.
        self.conn.opener_known |= answer == (dir == Dir::BtoA);
        true
    }

    /// An RST: something to do at once, or nothing yet.
    fn reset<R: Receiver>(
        &mut self,
        dir: Dir,
        seg: &Segment<'_>,
        at: Stamp,
        trouble: &mut Trouble,
        desk: &mut Desk<'_, R>,
    ) -> Option<Next> {
        let (me, peer) = both(&mut self.halves, dir);
        let answers = seg.flags.has(Flags::ACK) && peer.is(STARTED);
        if self.only_syn && dir == Dir::BtoA {
            // RFC 9293, 3.10.7.3: an RST is acceptable in SYN-SENT if it acknowledges the SYN.
            let refused = answers && acknowledges_syn(peer, seg.ack);
            return Some(if refused { Next::Over(Close::Refused) } else { ignore(desk) });
        }
        // RFC 5961, 3: an RST counts if it is where its receiver is. A witness does not know the window's scale, nor always where the receiver
        // is, so anything near counts: noise falls there once in two thousand times.
        let sane = if me.is(STARTED) && !me.is(GUESS) {
            near(ahead(seg.seq, me.next)) || me.is(ACKED) && near(ahead(seg.seq, me.acked))
        } else {
            !answers || near(ahead(seg.ack, peer.next))
        };
        if !sane {
            return Some(ignore(desk));
        }
        if me.is(STARTED) && !me.is(GUESS | FINISHED) && ahead(seg.seq, me.next) > 0 && !(me.is(ACKED) && ahead(me.acked, seg.seq) >= 0) {
            // What lies before the RST was sent: its place is the sender's next, or what the receiver acknowledged.
            me.acked = seg.seq;
            me.set(ACKED);
        }
        if trouble.reset.is_none() {
            trouble.reset = Some((dir, at, trouble.packets));
        }
        None
    }

    fn lend<R>(&mut self, desk: &mut Desk<'_, R>) -> Box<Trouble> {
        self.trouble.take().or_else(|| desk.spare.take()).unwrap_or_default()
    }

    fn put_back<R>(&mut self, mut trouble: Box<Trouble>, desk: &mut Desk<'_, R>) {
        if trouble.is_over() {
            // Nothing of this connection goes with it to the next one.
            *trouble = Trouble::default();
            *desk.spare = Some(trouble);
        } else {
            self.trouble = Some(trouble);
        }
    }
}

/// Whether `ack` covers the SYN, and no more than what followed it.
fn acknowledges_syn(half: &Half, ack: u32) -> bool {
    ahead(ack, half.isn) > 0 && ahead(ack, half.next) <= 0
}

fn ignore<R>(desk: &mut Desk<'_, R>) -> Next {
    desk.counts.bump(Count::OutOfWindow);
    Next::Go
}

/// What belongs to `dir`, and what to the other direction.
fn both<T>([a, b]: &mut [T; 2], dir: Dir) -> (&mut T, &mut T) {
    match dir {
        Dir::AtoB => (a, b),
        Dir::BtoA => (b, a),
    }
}

const DIRS: [Dir; 2] = [Dir::AtoB, Dir::BtoA];

/// RFC 6298, 2.1: the first retransmission comes after a second.
const FIRST_TIMEOUT: i64 = 1_000_000_000;
