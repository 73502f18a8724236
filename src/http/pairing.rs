//! Requests and responses are announced as they begin; which response answers which request goes out (RFC 9112, 9.3.2: in order).
//! Where something was lost, a response is given to a request only if it can be no other's.

use std::collections::VecDeque;

use super::{Context, End, Part, Sink};
use crate::base::{Cause, Count, Gap, Stamp};

/// The requests of one connection that wait, and what is not known about them.
#[derive(Debug, Default)]
pub(super) struct Pairing {
    next: u32,
    waiting: VecDeque<Waiting>,
    /// Responses may be missing between the latest one told and the next one.
    lost: Option<Gap>,
    /// That was so after requests were lost.
    lost_since: bool,
    /// Responses told since then, or since requests were lost, without a request.
    orphans: usize,
    /// The client was seen to send a request before it had the answer to the one before.
    pipelines: bool,
    /// What is missing may hold the answer to one that waits.
    swallowed: bool,
    /// Requests before this one were told that their answer may be missing.
    told: u32,
    /// A response is being read.
    pub(super) responding: bool,
    /// Responses told before any request was seen for them.
    ahead: u32,
    /// Responses are taken even when nobody waits.
    pub(super) forced: bool,
}

#[derive(Clone, Copy, Debug)]
enum Waiting {
    /// A request that was seen.
    Asked(Asked),
    /// Requests may be missing here; `some`: at least one is.
    Lost { gap: Gap, some: bool },
}

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) n: u32,
    pub(super) method: Method,
}

/// What must be known of a method to frame the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Head,
    Connect,
    Other,
}

impl Pairing {
    /// The number after the last one given.
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    /// Whether a response may begin now: without that, what looks like one is held back, or is none.
    pub(super) fn expects(&self) -> bool {
        self.forced || !self.waiting.is_empty()
    }

    /// Whether request `n` still waits for a final response to begin.
    pub(super) fn waits(&self, n: u32) -> bool {
        self.waiting.iter().any(|waiting| matches!(waiting, Waiting::Asked(asked) if asked.n == n))
    }

    /// Whether something was answered since requests were lost, or may have been: what is missing from then on is of later ones.
    pub(super) fn moved_on(&self) -> bool {
        matches!(self.waiting.front(), Some(Waiting::Lost { .. })) || self.orphans > 0 || self.lost_since
    }

    /// A request begins: its number, and whether its answer went by before it.
    pub(super) fn ask(&mut self, method: Method, at: Stamp, cx: &mut Context<'_>, sink: &mut dyn Sink) -> (u32, bool) {
        self.settle(at, sink);
        let n = self.number();
        if let Some(ahead) = self.ahead.checked_sub(1) {
            self.ahead = ahead;
            return (n, true);
        }
        if self.waiting.len() >= cx.limits.pipelined.max(2) {
            cx.counts.bump(Count::OverLimit);
            self.drop_oldest(at, sink);
        }
        self.waiting.push_back(Waiting::Asked(Asked { n, method }));
        (n, false)
    }

    /// A response begins: its number, and the method it answers where that is known.
    pub(super) fn answer(&mut self, at: Stamp, sink: &mut dyn Sink) -> (u32, Option<Method>) {
        let asked = if self.waiting.is_empty() {
            self.ahead += 1;
            None
        } else if self.waiting.iter().any(|waiting| matches!(waiting, Waiting::Lost { .. })) {
            match self.waiting.front() {
                Some(Waiting::Asked(asked)) if self.lost.is_none() => Some(*asked), // asked before anything was lost
                _ => None,
            }
        } else if self.lost.is_none() {
            self.first()
        } else if !self.swallowed && self.waiting.len() <= self.orphans + 1 {
            // Every response since the loss answers one of these, each a later one: this can only be the last one's.
            while self.waiting.len() > 1 {
                self.abandon(at, sink);
            }
            self.known();
            self.first()
        } else {
            None
        };
        match asked {
            Some(asked) => {
                self.waiting.pop_front();
                (asked.n, Some(asked.method))
            }
            None => {
                self.orphans += 1;
                (self.number(), None)
            }
        }
    }

    /// Requests may be missing after the latest one; `some`: at least one is.
    pub(super) fn requests_lost(&mut self, gap: Gap, some: bool) {
        match self.waiting.back_mut() {
            Some(Waiting::Lost { some: known, .. }) => {
                *known |= some;
                if some {
                    self.orphans = 0; // the answers until now were to requests before this one
                    self.lost_since = false;
                }
            }
            _ => {
                self.lost_since = false;
                if self.waiting.is_empty() && self.lost.is_none() {
                    self.orphans = self.ahead as usize;
                }
                self.ahead = 0;
                self.waiting.push_back(Waiting::Lost { gap, some });
            }
        }
    }

    /// Responses may be missing after the latest one.
    pub(super) fn responses_lost(&mut self, gap: Gap, at: Stamp, sink: &mut dyn Sink) {
        self.lost.get_or_insert(gap);
        self.lost_since = true;
        // So many bytes while somebody waited: the answer may well be among them, and the next one another's.
        self.swallowed |= !self.waiting.is_empty() && gap.len.is_some();
        for waiting in self.waiting.iter().rev() {
            match waiting {
                Waiting::Asked(asked) if asked.n >= self.told => sink.missed(asked.n, Part::Response, gap, at),
                Waiting::Asked(_) => break,
                Waiting::Lost { .. } => {}
            }
        }
        self.told = self.next;
    }

    /// No more responses come: `end` says why, where nothing was lost.
    pub(super) fn close(&mut self, end: End, at: Stamp, sink: &mut dyn Sink) {
        let mut end = self.lost.map_or(end, End::Unseen);
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Asked(asked) => sink.unanswered(asked.n, end, at),
                Waiting::Lost { gap, .. } => end = End::Unseen(gap),
            }
        }
    }

    /// A new request tells what came before it. A client that has never sent one early has had all answers by now, seen or not: so they
    /// were lost if responses were, and lost requests had theirs. Where that contradicts what was seen, it does send early.
    fn settle(&mut self, at: Stamp, sink: &mut dyn Sink) {
        self.pipelines |= self.responding;
        if self.waiting.is_empty() {
            return self.known();
        }
        if self.pipelines {
            return;
        }
        let asked = self.waiting.iter().filter(|waiting| matches!(waiting, Waiting::Asked(_))).count();
        let some = self.waiting.iter().any(|waiting| matches!(waiting, Waiting::Lost { some: true, .. }));
        let answered = !some || self.orphans > 0 || self.lost_since;
        let over = answered && (asked == 0 || asked == 1 && self.lost.is_some());
        if !over {
            self.pipelines = true;
            return;
        }
        while !self.waiting.is_empty() {
            self.abandon(at, sink);
        }
        self.known();
    }

    /// The oldest one makes room: from then on nobody knows whose the next answer is.
    fn drop_oldest(&mut self, at: Stamp, sink: &mut dyn Sink) {
        let gap = Gap { len: None, cause: Cause::Limit };
        if matches!(self.waiting.front(), Some(Waiting::Lost { .. })) {
            self.waiting.pop_front();
        }
        if let Some(Waiting::Asked(asked)) = self.waiting.pop_front() {
            sink.unanswered(asked.n, End::Unseen(gap), at);
        }
        if matches!(self.waiting.front(), Some(Waiting::Lost { .. })) {
            self.waiting.pop_front();
        }
        self.waiting.push_front(Waiting::Lost { gap, some: true });
    }

    fn abandon(&mut self, at: Stamp, sink: &mut dyn Sink) {
        if let Some(Waiting::Asked(asked)) = self.waiting.pop_front() {
            let gap = self.lost.unwrap_or(Gap { len: None, cause: Cause::Lost });
            sink.unanswered(asked.n, End::Unseen(gap), at);
        }
    }

    fn first(&self) -> Option<Asked> {
        match self.waiting.front() {
            Some(Waiting::Asked(asked)) => Some(*asked),
            _ => None,
        }
    }

    fn known(&mut self) {
        self.lost = None;
        self.swallowed = false;
        self.orphans = 0;
    }

    fn number(&mut self) -> u32 {
        let n = self.next;
        self.next = self.next.wrapping_add(1);
        n
    }
}
