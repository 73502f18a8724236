//! A client request with what it caused.

use std::sync::Arc;

use super::Leg;
use crate::base::{Addr, ExId};
use crate::mcp::Conduit;

/// One downstream exchange (one request of a batch) and the upstream exchanges it caused.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The client's request.
    pub down: Arc<Leg>,
    /// Which message of a batch this is about; 0 for everything else.
    pub element: usize,
    /// The gateway it was sent to.
    pub gateway: Addr,
    /// Upstream exchanges, in order of their start.
    pub up: Vec<Link>,
    /// OAuth discovery, token endpoint and the like that the gateway visited for it.
    pub authorization: Vec<Arc<Leg>>,
    /// Upstream connections that carried nothing readable: refused, reset, encrypted.
    pub conduits: Vec<Arc<Conduit>>,
    /// The best other parent for the groups linked here, and why it lost.
    pub rival: Option<Rival>,
    /// Other visits that it could have got instead: the verdict has to hold under all of them.
    pub others: Vec<Other>,
    /// Packets were lost while it went on: what it caused may not have been seen.
    pub lossy: bool,
    /// The capture ended before the pair was over, or with it.
    pub at_end: bool,
}

/// A visit that could belong to the pair as well.
#[derive(Clone, Debug)]
pub struct Other {
    /// How likely that is, 0 to 1.
    pub share: f64,
    /// The visit's number: equal where several pairs could have got the same one.
    pub visit: u64,
    /// Its exchanges; none where the pair would have got nothing.
    pub legs: Vec<Arc<Leg>>,
    /// Or its connection, where it carried nothing readable.
    pub conduit: Option<Arc<Conduit>>,
    /// Which of the pair's own upstream exchanges it would replace.
    pub instead: Vec<ExId>,
}

/// An upstream exchange and why it is thought to belong here.
#[derive(Clone, Debug)]
pub struct Link {
    /// The exchange.
    pub leg: Arc<Leg>,
    /// Which session group of this pair it belongs to, from 0.
    pub group: usize,
    /// The number of that session group among all that were seen.
    pub visit: u64,
    /// Probability that it belongs to this pair, 0 to 1.
    pub score: f64,
    /// Evidence, strongest first.
    pub because: Vec<Mark>,
    /// What speaks against it, strongest first.
    pub against: Vec<Mark>,
}

/// A piece of evidence: the contract's word for it, and its weight in nats (log-likelihood ratio; negative speaks against).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    /// `token`, `contained`, `only-candidate`, `names`, `server`, ...
    pub word: &'static str,
    /// Log-likelihood ratio.
    pub weight: f64,
}

impl Mark {
    /// Whether it is about when things happened.
    pub(super) fn is_time(&self) -> bool {
        matches!(self.word, "delay" | "order")
    }
}

/// The runner-up.
#[derive(Clone, Debug)]
pub struct Rival {
    /// The other client request.
    pub down: Arc<Leg>,
    /// By how many nats the chosen pairing is the better one.
    pub margin: f64,
}

/// A gateway that was found or named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Where it listens.
    pub listen: Addr,
    /// Named by the user (`--gateway`), not found.
    pub named: bool,
    /// Upstream servers it was seen to speak to, in address order.
    pub upstreams: Vec<Addr>,
    /// Upstream addresses whose traffic is encrypted and could not be read.
    pub opaque: Vec<Addr>,
    /// Relays in front of it, outermost first.
    pub relays: Vec<Addr>,
    /// Client exchanges seen.
    pub downstream: u64,
    /// Upstream exchanges seen.
    pub upstream: u64,
    /// How it was found, in one sentence.
    pub how: String,
    /// Software and version as far as its traffic tells (`Server` header, `serverInfo`, its upstream user agent).
    pub software: Option<String>,
}
