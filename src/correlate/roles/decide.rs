//! Decides from what was counted between servers which of them are gateways, upstream servers and relays.

use super::{Role, Roles};
use crate::base::Addr;
use crate::correlate::hop::{ELSEWHERE, Hop, Open};

impl Roles {
    /// Whether what happens between two servers is chance: what `b` is asked comes from the address of another server and never from
    /// that of `a`, or it is `b` that asks `a`. Servers that one gateway asks side by side contain each other's requests all the time.
    pub(super) fn is_chance(&self, a: Addr, b: Addr) -> bool {
        let opened = |a: Addr, b: Addr| self.hops.get(&(a, b)).is_some_and(|hop| hop.opened);
        !opened(a, b) && (opened(b, a) || self.servers.get(&b).is_some_and(|server| server.owned))
    }

    /// Looks whether anything can be said of servers that nothing was said of yet. What was said stays.
    pub(super) fn decide(&mut self, last: bool) -> bool {
        // What was not plain at first is looked at now and then: most is decided by the first requests.
        self.looks += 1;
        if !last && self.looks > OFTEN && !self.looks.is_multiple_of(OFTEN) {
            return false;
        }
        let mut changed = false;
        // One decision bears the next: what a gateway asks is upstream as soon as it is known to be one.
        for _ in 0..ROUNDS {
            if !self.decide_once(last) {
                break;
            }
            changed = true;
        }
        changed
    }

    fn decide_once(&mut self, last: bool) -> bool {
        let enough = if last { LEAST } else { ENOUGH };
        let mut found = Vec::new();
        for ((a, b), hop) in &self.hops {
            let (from, to) = (self.role(*a), self.role(*b));
            if (from.gateway && to.upstream) || from.relay || to.relay || self.is_chance(*a, *b) {
                continue;
            }
            let back = self.hops.get(&(*b, *a)).map_or(0.0, |hop| hop.inside);
            let named = self.is_named(*a);
            let kept = hop.seen >= hop.crossed;
            // Where the gateway is known, whatever else it asks is upstream.
            let enough = if from.gateway { KNOWN } else { enough };
            if !from.gateway && !named && !self.stands_apart(hop, last) {
                continue;
            }
            let strong = hop.inside >= enough && kept && hop.inside >= OUTSIDE * hop.outside && hop.inside > back;
            // A hop that only passes requests on makes no gateway, unless nothing lies behind it at the end.
            if !(strong || named && hop.inside > 0.0) || hop.is_relay() && !named && (!last || self.leads_on(*b)) {
                continue;
            }
            // What runs inside an upstream's request is asked by the gateway side by side, unless it comes from that very upstream's
            // address and not from the gateway's. An upstream's own errands (a database behind TLS) make it no gateway either.
            if self.is_behind(*a) && !named && !(self.plain_hop(*a, *b) && self.comes_from_behind(*a, *b)) {
                continue;
            }
            if !from.gateway && !last && !named && self.passes_on(*a) {
                continue;
            }
            found.push((*a, *b));
        }
        let mut changed = false;
        for (a, b) in found {
            changed |= self.set(a, |role| role.gateway = true);
            changed |= self.set(b, |role| role.upstream = true);
        }
        changed |= self.demote_relays();
        for at in self.servers.keys().copied().collect::<Vec<_>>() {
            if self.is_named(at) {
                changed |= self.set(at, |role| role.gateway = true);
            }
        }
        changed
    }

    /// Whether requests to `at` seem to be caused elsewhere: they begin while others are open rather than the other way round.
    fn is_behind(&self, at: Addr) -> bool {
        let begun = |a: Addr, b: Addr| self.hops.get(&(a, b)).map_or(0.0, |hop| hop.begun);
        let mut before = self.hops.iter().filter(|((a, b), hop)| *b == at && !hop.is_relay() && !self.is_relayed(*a, at));
        self.role(at).upstream || before.any(|((a, _), hop)| hop.begun > begun(at, *a) && !self.is_chance(*a, at))
    }

    /// Whether a request that is open at `a` is open at `b` too, as it is, and nothing else was seen to pass there.
    fn is_relayed(&self, a: Addr, b: Addr) -> bool {
        let (Some(outer), Some(inner)) = (self.servers.get(&a), self.servers.get(&b)) else { return false };
        let same =
            |open: &Open, inner: &Open| open.identity.is_some() && open.identity == inner.identity && inner.within.contains(&(a, open.id));
        let only = self.hops.get(&(a, b)).is_none_or(|hop| hop.seen == 0.0 || hop.is_relay());
        only && inner.open.iter().any(|inner| outer.open.iter().any(|open| same(open, inner)))
    }

    /// Whether requests to `b` come from the address of `a`, and not from that of a gateway before it.
    fn comes_from_behind(&self, a: Addr, b: Addr) -> bool {
        let own = |from: Addr| self.hops.get(&(from, b)).is_some_and(|hop| hop.own > 0.0);
        let before = self.hops.keys().filter(|(from, to)| *to == a && *from != b).map(|(from, _)| *from);
        own(a) && !before.into_iter().any(own)
    }

    /// Whether `a` is passing a request on as it is at this moment: then it is likely to be a relay.
    fn passes_on(&self, a: Addr) -> bool {
        self.servers.keys().any(|b| *b != a && self.is_relayed(a, *b))
    }

    /// Whether enough was seen of a hop to rule out that somebody only asks A and B side by side.
    fn stands_apart(&self, hop: &Hop, last: bool) -> bool {
        let Some(opener) = hop.beside.filter(|_| hop.own == 0.0) else { return true };
        // Who listens where all these requests come from is the likelier gateway, even if no request to it was seen yet.
        let claimed = self.servers.keys().any(|at| at.ip() == opener);
        let plain = hop.crossed == 0.0 && hop.outside == 0.0;
        !claimed && plain && hop.seen >= if last { TWICE } else { PATIENCE }
    }

    /// Whether `a` to `b` is a hop of readable requests that change on the way.
    fn plain_hop(&self, a: Addr, b: Addr) -> bool {
        !self.opaque_only(b) && !self.relays(a, b)
    }

    /// Whether requests go on from `b` to anywhere.
    fn leads_on(&self, b: Addr) -> bool {
        self.hops
            .iter()
            .any(|((a, to), hop)| *a == b && hop.inside >= LEAST && self.hops.get(&(*to, b)).map_or(0.0, |back| back.inside) < hop.inside)
    }

    /// Whoever passes requests on to a gateway unchanged is a relay and nothing else.
    fn demote_relays(&mut self) -> bool {
        let relays: Vec<Addr> = self
            .hops
            .iter()
            .filter(|((a, b), _)| self.relays(*a, *b) && self.role(*b).gateway && !self.is_named(*a))
            .map(|((a, _), _)| *a)
            .collect();
        let mut changed = false;
        for at in relays {
            changed |= self.set(at, |role| *role = Role { relay: true, ..Role::default() });
            // What lies behind its gateway was not reached by itself.
        }
        changed
    }
}

/// Requests after which decisions are sought less often.
const OFTEN: u64 = 256;
/// Decisions that may follow from each other at once.
const ROUNDS: usize = 16;
/// Requests that show a gateway whose clients and upstream requests come from one address that is not the gateway's.
const PATIENCE: f64 = 64.0;
/// The same at the end of a capture.
const TWICE: f64 = 2.0;
/// Weight at which a hop counts as found: two requests inside, or one with the client's own credential.
const ENOUGH: f64 = 2.0;
/// The same at the end of a capture, when no more will come.
const LEAST: f64 = 1.0;
/// Weight from which a further server of a known gateway counts: one request, even if it does not seem to come from its host.
const KNOWN: f64 = ELSEWHERE;
/// A gateway may do this much on its own account beside what clients ask.
const OUTSIDE: f64 = 0.2;
