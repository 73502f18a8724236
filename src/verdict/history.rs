//! What went before: which credential worked where and until when, what failed on which route, what its lists held. Bounded;
//! explains and notes, and tells a replayed failure from an empty list without a past.

use std::collections::{HashMap, HashSet};

use super::Failure;
use crate::base::{Addr, Fingerprint, Ts};
use crate::correlate::{Leg, Pair, is_operation, lists, route_mark};
use crate::mcp::{List, ListKind};

/// Outcomes of credentials, of routes and of lists.
#[derive(Debug, Default)]
pub(super) struct History {
    credentials: HashMap<(Addr, Fingerprint), Record>,
    audiences: HashMap<Addr, HashSet<Fingerprint>>,
    failed: HashMap<Route, Earlier>,
    listed: HashMap<(Route, Option<Fingerprint>), usize>,
    names: HashMap<String, Addr>,
}

/// What became of a credential at a server.
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    accepted: Option<Ts>,
    refused: u64,
}

/// A failure on the same route, before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Earlier {
    /// Number of its pair.
    pub pair: u64,
    /// When its request began.
    pub at: Ts,
    /// What failed.
    pub failure: Failure,
    /// Where.
    pub server: Addr,
}

/// A gateway's route, with the servers that the request selects, and what is listed.
type Route = (Addr, Fingerprint, ListKind);

impl History {
    /// An upstream exchange is over.
    pub(super) fn note(&mut self, leg: &Leg) {
        let (Some(status), Some(request)) = (leg.status(), leg.request.as_ref()) else { return };
        let Some(credential) = &request.head.credential else { return };
        let key = (leg.peers.server, credential.mark);
        if self.credentials.len() >= KEPT && !self.credentials.contains_key(&key) {
            return;
        }
        let record = self.credentials.entry(key).or_default();
        match status {
            // A server may welcome anybody at the door and ask for the credential when something is wanted.
            ..300 if is_operation(leg) => {
                record.accepted = record.accepted.max(Some(leg.last().ts));
                let known = self.audiences.entry(leg.peers.server).or_default();
                for audience in credential.jwt.iter().flat_map(|jwt| &jwt.audience) {
                    if known.len() < AUDIENCES {
                        known.insert(*audience);
                    }
                }
            }
            401 | 403 => record.refused += 1,
            _ => {}
        }
    }

    /// When a credential was last accepted by a server, before `at`.
    pub(super) fn last_accepted(&self, server: Addr, credential: Fingerprint, at: Ts) -> Option<Ts> {
        self.credentials.get(&(server, credential))?.accepted.filter(|last| *last < at)
    }

    /// How often a credential was refused by a server that never accepted it.
    pub(super) fn never_accepted(&self, server: Addr, credential: Fingerprint) -> Option<u64> {
        self.credentials
            .get(&(server, credential))
            .filter(|record| record.accepted.is_none() && record.refused > 0)
            .map(|record| record.refused)
    }

    /// Whether a server accepts tokens, and only such as are for others than these.
    pub(super) fn is_for_others(&self, server: Addr, audience: &[Fingerprint]) -> bool {
        let Some(accepted) = self.audiences.get(&server).filter(|accepted| !accepted.is_empty()) else { return false };
        !audience.is_empty() && !audience.iter().any(|one| accepted.contains(one))
    }

    /// A pair was judged to have failed upstream.
    pub(super) fn failed(&mut self, pair: &Pair, earlier: Earlier) {
        let Some(route) = route(pair) else { return };
        if self.failed.len() < KEPT || self.failed.contains_key(&route) {
            self.failed.insert(route, earlier);
        }
    }

    /// A pair was judged to be well.
    pub(super) fn mended(&mut self, pair: &Pair) {
        if let Some(route) = route(pair) {
            self.failed.remove(&route);
        }
    }

    /// The failure that a pair's route last had, if nothing good has come since.
    pub(super) fn earlier(&self, pair: &Pair) -> Option<Earlier> {
        self.failed.get(&route(pair)?).copied().filter(|earlier| earlier.at < pair.down.start().ts)
    }

    /// A client was shown a list: how many entries the same caller was shown on the same route before.
    pub(super) fn shown(&mut self, pair: &Pair, items: usize) -> Option<usize> {
        let key = (route(pair)?, caller(pair));
        if self.listed.len() >= KEPT && !self.listed.contains_key(&key) {
            return None;
        }
        self.listed.insert(key, items)
    }

    /// How many entries the same caller was last shown on the same route.
    pub(super) fn was_shown(&self, pair: &Pair) -> Option<usize> {
        self.listed.get(&(route(pair)?, caller(pair))).copied()
    }

    /// A server listed these.
    pub(super) fn named(&mut self, server: Addr, list: &List) {
        for name in &list.names {
            if self.names.len() < KEPT {
                self.names.entry(name.clone()).or_insert(server);
            }
        }
    }

    /// The server that was the first to list something of this name.
    pub(super) fn whose(&self, name: &str) -> Option<Addr> {
        self.names.get(name).copied()
    }
}

fn route(pair: &Pair) -> Option<Route> {
    Some((pair.gateway, route_mark(&pair.down)?, lists(&pair.down, pair.element)?))
}

/// Whose request it was, as far as its credential tells.
pub(super) fn caller(pair: &Pair) -> Option<Fingerprint> {
    let head = &pair.down.request.as_ref()?.head;
    let credential = head.credential.as_ref().or_else(|| head.other_credentials.first().map(|(_, credential)| credential))?;
    Some(credential.mark)
}

/// Audiences remembered of one server's tokens.
const AUDIENCES: usize = 64;
/// Entries kept of each table.
const KEPT: usize = 65_536;
