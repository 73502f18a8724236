//! Which address pairs are known to mean another, which are suspected to, and which are known not to. Bounded.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::FixedState;

use crate::base::{Addr, Count, Counts, Stamp};
use crate::packet::Segment;

/// Two addresses, whoever sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flow(Addr, Addr);

impl Flow {
    pub(super) fn of(one: Addr, other: Addr) -> Flow {
        if one <= other { Flow(one, other) } else { Flow(other, one) }
    }
}

/// What is known of an address pair.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    /// It means another.
    Alias(Alias),
    /// It was taken for an alias and is not: for this connection that is settled.
    Apart { isn: Option<u32> },
}

/// An address pair that means another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alias {
    /// The side whose segment was first seen under both pairs, as it is called here.
    from: Addr,
    /// Both sides as they were called first; `.0` is the one that is `from` here.
    canonical: (Addr, Addr),
    isn: Option<u32>,
    state: State,
    /// Whether both legs had the same payload yet.
    agreed: bool,
    /// Segments with payload in a row that had no original.
    strange: u8,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// With the SYN that was held back.
    Suspected(Option<(Segment<'static>, Stamp)>),
    Tied,
}

/// What a segment on the alias leg shows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Finding {
    Nothing,
    /// That the suspicion was right.
    Tied,
    /// That this is another connection; with the SYN that was held back.
    Apart(Option<(Segment<'static>, Stamp)>),
}

impl Alias {
    pub(super) fn suspected(from: Addr, canonical: (Addr, Addr), opener: Option<(Segment<'static>, Stamp)>) -> Alias {
        let isn = opener.map(|(segment, _)| segment.seq);
        Alias { from, canonical, isn, state: State::Suspected(opener), agreed: opener.is_none(), strange: 0 }
    }

    /// Sender and receiver as they were called first, of a segment that `from` sent here.
    pub(super) fn canonical(&self, from: Addr) -> (Addr, Addr) {
        let (one, other) = self.canonical;
        if self.is_forward(from) { (one, other) } else { (other, one) }
    }

    /// Whether this side's segments pass the canonical leg first.
    fn is_forward(&self, from: Addr) -> bool {
        self.from == from
    }

    /// Takes in a segment of this leg: its sender; whether it was seen on the canonical leg before; and, if it has payload, whether
    /// that is how the canonical leg had it.
    pub(super) fn observe(&mut self, from: Addr, direct: bool, agrees: Option<bool>) -> Finding {
        let opener = if let State::Suspected(opener) = self.state { opener } else { None };
        if !self.is_forward(from) {
            return match self.state {
                State::Tied => Finding::Nothing,
                // The answer came on the canonical leg first: that is not the way back.
                State::Suspected(_) if direct => Finding::Apart(opener),
                State::Suspected(_) => self.tie(),
            };
        }
        match agrees {
            None => Finding::Nothing,
            Some(true) => {
                (self.agreed, self.strange) = (true, 0);
                if let State::Suspected(_) = self.state { self.tie() } else { Finding::Nothing }
            }
            Some(false) => {
                self.strange = self.strange.saturating_add(1);
                let allowed = if self.agreed { STRANGE } else { STRANGE_AT_FIRST };
                if self.strange > allowed { Finding::Apart(opener) } else { Finding::Nothing }
            }
        }
    }

    fn tie(&mut self) -> Finding {
        self.state = State::Tied;
        Finding::Tied
    }
}

/// The table of roles.
#[derive(Debug)]
pub(super) struct Ties {
    roles: HashMap<Flow, Held, FixedState>,
    /// In order of learning, for forgetting; may name what is no longer held.
    queue: VecDeque<(Flow, u64)>,
    learned: u64,
    max: usize,
}

#[derive(Debug)]
struct Held {
    role: Role,
    serial: u64,
    /// Since the queue last came round to it.
    used: bool,
}

impl Ties {
    pub(super) fn new(max: usize) -> Ties {
        Ties { roles: HashMap::default(), queue: VecDeque::new(), learned: 0, max: max.max(1) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.roles.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.roles.len()
    }

    pub(super) fn get(&mut self, flow: Flow) -> Option<&mut Role> {
        let held = self.roles.get_mut(&flow)?;
        held.used = true;
        Some(&mut held.role)
    }

    /// Where an address pair leads that may itself have become an alias.
    pub(super) fn resolve(&mut self, src: Addr, dst: Addr) -> (Addr, Addr) {
        let mut ends = (src, dst);
        for _ in 0..HOPS {
            let Some(Role::Alias(alias)) = self.get(Flow::of(ends.0, ends.1)) else { break };
            ends = alias.canonical(ends.0);
        }
        ends
    }

    /// A SYN: with another initial sequence number it is a new connection, of which nothing is known.
    pub(super) fn opened(&mut self, flow: Flow, isn: u32) {
        if let Some(Role::Alias(Alias { isn: known, .. }) | Role::Apart { isn: known }) = self.get(flow)
            && *known != Some(isn)
        {
            self.roles.remove(&flow);
        }
    }

    pub(super) fn set_apart(&mut self, flow: Flow) {
        if let Some(role) = self.get(flow)
            && let Role::Alias(Alias { isn, .. }) = *role
        {
            *role = Role::Apart { isn };
        }
    }

    pub(super) fn insert(&mut self, flow: Flow, role: Role, counts: &mut Counts) {
        while self.roles.len() >= self.max || self.queue.len() >= 2 * self.max {
            self.forget_one(counts);
        }
        self.learned += 1;
        self.roles.insert(flow, Held { role, serial: self.learned, used: false });
        self.queue.push_back((flow, self.learned));
    }

    /// Comes round to the next in the queue: one that was used meanwhile gets another round.
    fn forget_one(&mut self, counts: &mut Counts) {
        let Some((flow, serial)) = self.queue.pop_front() else { return };
        match self.roles.get_mut(&flow) {
            Some(held) if held.serial == serial && held.used => {
                held.used = false;
                self.queue.push_back((flow, serial));
            }
            Some(held) if held.serial == serial => {
                if let Role::Alias(_) = held.role {
                    counts.bump(Count::AliasLimit);
                }
                self.roles.remove(&flow);
            }
            _ => {}
        }
    }
}

/// How many segments with payload in a row may come on an alias leg without their originals. A merged segment that the next leg
/// cuts up makes about 45; beyond that it is another connection, whose SYN was not seen.
const STRANGE: u8 = 64;

/// The same, before the legs have ever agreed: a first request that the capture lost on one leg must not part them.
const STRANGE_AT_FIRST: u8 = 2;

/// How many address pairs may lead to one another.
const HOPS: usize = 3;
