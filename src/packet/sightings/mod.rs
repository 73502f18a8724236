//! Segments come in as they were captured; each goes out once, under one pair of addresses, however often it was seen.
//! Knows no connections: only which segments were the same, and which addresses therefore mean the same.
//!
//! A capture on a host with bridges, containers or NAT holds one segment several times: on other interfaces, and with other
//! addresses and ports before and after NAT. Sequence and acknowledgement numbers, window, options and payload stay the same.
//! So two address pairs are one connection if a segment came under both within [`WINDOW`], and
//!
//! * the difference looks like NAT: each side is the same or has another IP address (another port alone is another client);
//! * the copy came before the original was answered, and **answers come the other way round**: a packet that passed leg X and
//!   then leg Y has its answer on Y first and on X next. Unrelated connections that happen to hold the same bytes, as
//!   hand-made captures with fixed sequence numbers have them, do not keep to that;
//! * what is sent under both goes on to be the same.
//!
//! Until the answer has shown it, the pair is only suspected and the copy of the SYN is held back; a suspicion that falls gives
//! it out again. A tie lasts until one of its addresses opens a new connection, or until its legs stop agreeing.

mod mark;
mod recent;
mod ties;

use super::decode::Decoded;
use super::{Flags, Segment};
use crate::base::{Addr, Count, Counts, Limits, Stamp};
use mark::Mark;
use recent::{Entry, Recent};
use ties::{Alias, Finding, Flow, Role, Ties};

/// What to do with a segment, and what was learned from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// First sight: it goes on, under the addresses that it has now.
    New,
    /// Seen before, or a copy of what was: it goes no further.
    Again,
    /// Two address pairs were found to be one connection.
    Tied {
        /// Which.
        tied: Tied,
        /// Whether the segment itself was seen before and goes no further.
        again: bool,
    },
    /// Its connection was wrongly taken for a copy: the SYN that was held back goes on first, then the segment.
    Apart {
        /// The SYN.
        opener: Segment<'static>,
        /// When that was seen.
        at: Stamp,
    },
}

/// One connection under two address pairs. Its segments go on as `a` and `b`, the pair that was seen first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tied {
    /// One side.
    pub a: Addr,
    /// The other side.
    pub b: Addr,
    /// What `a` was called on the other leg; equal to `a` if it kept its address.
    pub alias_a: Addr,
    /// What `b` was called on the other leg.
    pub alias_b: Addr,
}

/// Recognises segments seen before.
#[derive(Debug)]
pub struct Sightings {
    recent: Recent,
    ties: Ties,
}

impl Sightings {
    /// With the bounds that `limits` names.
    pub fn new(limits: &Limits) -> Sightings {
        Sightings { recent: Recent::new(limits.sightings), ties: Ties::new(limits.tied_connections) }
    }

    /// Judges a segment. One that came under alias addresses is rewritten to those seen first.
    #[inline]
    pub fn push(&mut self, decoded: &mut Decoded<'_>, at: Stamp, counts: &mut Counts) -> Sight {
        let mark = Mark::of(decoded);
        let sight = if self.ties.is_empty() { self.plain(decoded, mark, at, counts) } else { self.with_ties(decoded, mark, at, counts) };
        if matches!(sight, Sight::Again | Sight::Tied { again: true, .. }) {
            counts.bump(Count::Sightings);
        }
        sight
    }

    /// A segment of a flow that has no part in any tie.
    #[inline]
    fn plain(&mut self, decoded: &Decoded<'_>, mark: Mark, at: Stamp, counts: &mut Counts) -> Sight {
        let Segment { src, dst, .. } = decoded.segment;
        if answers(&decoded.segment) {
            self.recent.insert(Mark::answer(dst, src), Entry { src: dst, dst: src, ts: at.ts, aliased: false });
        }
        match self.recent.find(mark, src, dst, at.ts) {
            Some(entry) if entry.is_of(src, dst) => return Sight::Again,
            Some(entry) if self.suspect(decoded, entry, at, counts) => return Sight::Again,
            _ => {}
        }
        self.recent.insert(mark, Entry { src, dst, ts: at.ts, aliased: false });
        Sight::New
    }

    /// The same, where some address pairs are known to mean others.
    #[inline(never)]
    fn with_ties(&mut self, decoded: &mut Decoded<'_>, mark: Mark, at: Stamp, counts: &mut Counts) -> Sight {
        let (from, to) = (decoded.segment.src, decoded.segment.dst);
        let flow = Flow::of(from, to);
        if opens(&decoded.segment) {
            self.ties.opened(flow, decoded.segment.seq);
        }
        let Some(Role::Alias(alias)) = self.ties.get(flow) else {
            self.remember_head(decoded, at);
            return self.plain(decoded, mark, at, counts);
        };
        let (src, dst) = alias.canonical(from);
        // The pair seen first may since have become known as a copy of yet another.
        let (src, dst) = self.ties.resolve(src, dst);
        let prior = self.recent.find(mark, src, dst, at.ts).filter(|entry| entry.is_of(src, dst));
        let agrees = Mark::head(src, dst, &decoded.segment)
            .map(|head| prior.is_some() || self.recent.find(head, src, dst, at.ts).is_some_and(|entry| entry.is_of(src, dst)));
        let direct = prior.is_some_and(|entry| !entry.aliased) || answers(&decoded.segment) && self.is_answered(dst, src, at);
        let finding = match self.ties.get(flow) {
            Some(Role::Alias(alias)) => alias.observe(from, direct, agrees),
            _ => Finding::Nothing,
        };
        if let Finding::Apart(opener) = finding {
            self.ties.set_apart(flow);
            self.recent.insert(mark, Entry { src: from, dst: to, ts: at.ts, aliased: false });
            return opener.map_or(Sight::New, |(opener, at)| Sight::Apart { opener, at });
        }
        (decoded.segment.src, decoded.segment.dst) = (src, dst);
        let again = prior.is_some();
        if !again {
            self.recent.insert(mark, Entry { src, dst, ts: at.ts, aliased: true });
        }
        match finding {
            Finding::Tied => {
                counts.bump(Count::Aliases);
                Sight::Tied { tied: Tied { a: src, b: dst, alias_a: from, alias_b: to }, again }
            }
            _ if again => Sight::Again,
            _ => Sight::New,
        }
    }

    /// Whether a segment that was just seen under other addresses may be its copy; if so, that is noted.
    #[cold]
    fn suspect(&mut self, decoded: &Decoded<'_>, entry: Entry, at: Stamp, counts: &mut Counts) -> bool {
        let segment = &decoded.segment;
        let flow = Flow::of(segment.src, segment.dst);
        let apart = matches!(self.ties.get(Flow::of(entry.src, entry.dst)), Some(Role::Apart { .. }));
        if apart || self.ties.get(flow).is_some() || !is_evidence(decoded, &entry) {
            return false;
        }
        let role = if !opens(segment) {
            Role::Alias(Alias::suspected(segment.src, (entry.src, entry.dst), None))
        } else if self.is_answered(entry.src, entry.dst, at) {
            Role::Apart { isn: Some(segment.seq) }
        } else {
            Role::Alias(Alias::suspected(segment.src, (entry.src, entry.dst), Some((Segment { payload: &[], ..*segment }, at))))
        };
        self.ties.insert(flow, role, counts);
        matches!(role, Role::Alias(_))
    }

    /// Whether the answer to this flow's opener was seen under the flow's own addresses.
    #[cold]
    fn is_answered(&self, src: Addr, dst: Addr, at: Stamp) -> bool {
        self.recent.find(Mark::answer(src, dst), src, dst, at.ts).is_some()
    }

    /// Notes how the bytes at this place begin, since legs may cut the same bytes into other segments (offload).
    fn remember_head(&mut self, decoded: &Decoded<'_>, at: Stamp) {
        let Segment { src, dst, .. } = decoded.segment;
        if let Some(head) = Mark::head(src, dst, &decoded.segment) {
            self.recent.insert(head, Entry { src, dst, ts: at.ts, aliased: false });
        }
    }
}

fn opens(segment: &Segment<'_>) -> bool {
    segment.flags.has(Flags::SYN) && !segment.flags.has(Flags::ACK)
}

fn answers(segment: &Segment<'_>) -> bool {
    segment.flags.has(Flags::RST) || segment.flags.has(Flags::SYN) && segment.flags.has(Flags::ACK)
}

/// Whether equality with a recent segment says something.
///
/// With timestamps (RFC 7323) it always does: they are offset at random for each connection, as sequence numbers are. Without, a
/// SYN has 32 random bits, which is enough if one side kept its address; an open connection's segment has 64, which is enough if
/// they look random at all, as those of hand-made captures do not, and something was said.
fn is_evidence(decoded: &Decoded<'_>, entry: &Entry) -> bool {
    let segment = &decoded.segment;
    let kept = segment.src == entry.src || segment.dst == entry.dst;
    if !looks_like_nat((entry.src, entry.dst), (segment.src, segment.dst)) {
        return false;
    }
    if opens(segment) {
        // A SYN with data (RFC 7413) cannot be held back.
        return segment.payload.is_empty() && segment.cut == 0 && (kept || mark::has_timestamp(decoded.options));
    }
    let random = segment.seq.min(segment.ack) > SMALL && !segment.payload.is_empty();
    segment.flags.has(Flags::ACK) && !segment.flags.has(Flags::RST) && (kept && random || mark::has_timestamp(decoded.options))
}

/// Whether one pair of addresses may have been made from the other by NAT: each side is kept or has another IP address.
fn looks_like_nat(one: (Addr, Addr), other: (Addr, Addr)) -> bool {
    let side = |one: Addr, other: Addr| one == other || one.ip() != other.ip();
    side(one.0, other.0) && side(one.1, other.1)
}

/// One random number in 256 is smaller; the numbers that people choose all are.
const SMALL: u32 = 1 << 24;

/// How far apart two sightings of one segment may be, in packet time. On one host it is 0.1 ms; the rest is for files of
/// several capture points whose clocks were put in line.
const WINDOW: i64 = 10_000_000;

#[cfg(test)]
mod tests;
