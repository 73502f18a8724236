//! Which client requests may have caused a visit: hard constraints first, then whatever is not hopeless beside the best.

use std::collections::HashMap;
use std::rc::Rc;

use super::evidence::{all_credentials, caller, legs_of};
use super::pace::Lie;
use super::request::Request;
use super::requests::{Key, arguments};
use super::sweep::LINGER;
use super::visit::{Hasher, Visit, VisitId};
use super::{Correlator, Leg, Mark};
use crate::base::{Addr, ExId, Fingerprint, Stamp};

/// One thinkable parent of a visit.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub key: Key,
    /// What speaks for and against it, time left out.
    pub marks: Vec<Mark>,
    pub lie: Lie,
    pub gateway: Addr,
    /// Sum of evidence, with what was known of the gateway's pace.
    pub weight: f64,
    /// Of that, what the gateway's pace weighed.
    pub pace: f64,
}

/// Edges by visit, for as long as no more is known of either side.
pub(super) type Weighed = HashMap<VisitId, Rc<[Edge]>, Hasher>;

impl Correlator {
    /// Finds the candidates of all visits that are new or of which more is known now.
    pub(super) fn refresh(&mut self) {
        if std::mem::replace(&mut self.epoch, self.roles.epoch()) != self.roles.epoch() {
            self.stale.extend(self.visits.open.keys().copied());
        }
        while let Some(id) = self.stale.pop_first() {
            let Some(visit) = self.visits.open.get(&id) else { continue };
            let found = self.parents(visit);
            self.weighed.borrow_mut().remove(&id);
            let before = self.parents_of.remove(&id).unwrap_or_default();
            for key in before {
                self.requests.unlink(&key, id);
            }
            for key in &found {
                self.requests.link(*key, id);
            }
            self.watch(id, &found);
            self.parents_of.insert(id, found);
        }
    }

    /// More is known of an exchange: what it weighs has to be looked at again.
    pub(super) fn changed(&mut self, id: ExId) {
        let mut weighed = self.weighed.borrow_mut();
        if let Some(visit) = self.visits.of(id) {
            weighed.remove(&visit);
        }
        let Some(leg) = self.legs.get(&id) else { return };
        for key in self.requests.of_exchange(leg.start(), id) {
            self.requests.visits(&key).for_each(|visit| {
                weighed.remove(&visit);
            });
        }
    }

    /// Learns once from each visit how the gateway treats credentials and where its routes lead.
    fn watch(&mut self, id: VisitId, parents: &[Key]) {
        let Some(visit) = self.visits.open.get(&id) else { return };
        let legs = legs_of(visit, &self.legs);
        if visit.watched || legs.is_empty() || visit.errand {
            return;
        }
        let candidates: Vec<(&Request, &Leg)> =
            parents.iter().filter_map(|key| Some((self.requests.get(key)?, self.legs.get(&key.1)?))).collect();
        if candidates.is_empty() {
            return;
        }
        self.learned.watch(&legs, &candidates);
        if let Some(visit) = self.visits.open.get_mut(&id) {
            visit.watched = true;
        }
    }

    /// Requests that may have caused a visit: where a client's credential is on it, only those that sent it.
    fn parents(&self, visit: &Visit) -> Vec<Key> {
        let legs = legs_of(visit, &self.legs);
        let given = legs.iter().find_map(|leg| leg.credential());
        if let Some(given) = given {
            let own: Vec<Key> = self.requests.with_credential(given).filter(|key| self.may(key, visit)).collect();
            if !own.is_empty() {
                return self.fewest(own, visit, &legs);
            }
        }
        let window = self.requests.range(..(after(visit.start), ExId::default(), 0)).rev().map(|(key, _)| *key);
        let mut near: Vec<Key> = window.filter(|key| self.may(key, visit)).take(NEAREST + 1).collect();
        if near.len() > NEAREST {
            // Too many to weigh them all: the latest, and whoever is told by content or by whose credential it seems to be.
            let arguments = visit.op.and_then(|op| self.legs.get(&op)).and_then(|op| arguments(op, 0));
            let told = arguments.into_iter().flat_map(|arguments| self.requests.with_arguments(arguments));
            let likely = given.into_iter().flat_map(|given| self.learned.exchanged.likely(given));
            let owned = likely.flat_map(|owner| self.requests.with_credential(owner).rev().take(OWNED));
            let more: Vec<Key> = told.chain(owned).filter(|key| self.may(key, visit)).collect();
            near.extend(more);
        }
        near.sort();
        near.dedup();
        self.fewest(near, visit, &legs)
    }

    /// Leaves those out that are hopeless beside the best.
    fn fewest(&self, keys: Vec<Key>, visit: &Visit, legs: &[&Leg]) -> Vec<Key> {
        if keys.len() <= FEW {
            return keys;
        }
        let mut edges: Vec<Edge> = keys.iter().filter_map(|key| self.edge(key, visit, legs)).collect();
        keep(&mut edges);
        let mut keys: Vec<Key> = edges.into_iter().map(|edge| edge.key).collect();
        keys.sort();
        keys
    }

    fn may(&self, key: &Key, visit: &Visit) -> bool {
        self.requests.get(key).is_some_and(|request| request.may_cause(visit.start.ts, LINGER) && self.leads(request, visit))
    }

    /// Whether a request's gateway may have made a visit.
    fn leads(&self, request: &Request, visit: &Visit) -> bool {
        if !visit.errand {
            return self.roles.leads(request.gateway, visit.server);
        }
        // Clients sign in too: an errand is the gateway's only where its host runs it.
        let first = visit.legs.first().and_then(|id| self.legs.get(id));
        visit.server != request.gateway && first.is_some_and(|leg| self.roles.of_host(request.gateway, &leg.peers))
    }

    fn edge(&self, key: &Key, visit: &Visit, legs: &[&Leg]) -> Option<Edge> {
        let (request, down) = (self.requests.get(key)?, self.legs.get(&key.1)?);
        let marks = self.learned.weigh(request, down, visit, legs, &self.requests);
        let lie = Lie::of(request, down, visit, legs);
        let pace = self.learned.paces.weight(request.gateway, visit.voice, lie);
        let weight = marks.iter().map(|mark| mark.weight).sum::<f64>() + pace;
        Some(Edge { key: *key, marks, lie, gateway: request.gateway, weight, pace })
    }

    /// The thinkable parents of a visit with all that is known now, in order of the requests.
    pub(super) fn edges(&self, id: VisitId) -> Rc<[Edge]> {
        if let Some(known) = self.weighed.borrow().get(&id) {
            return known.clone();
        }
        let found: Rc<[Edge]> = self.weigh(id).into();
        self.weighed.borrow_mut().insert(id, found.clone());
        found
    }

    fn weigh(&self, id: VisitId) -> Vec<Edge> {
        let (Some(visit), Some(parents)) = (self.visits.open.get(&id), self.parents_of.get(&id)) else { return Vec::new() };
        let legs = legs_of(visit, &self.legs);
        let mut edges: Vec<Edge> =
            parents.iter().filter(|key| self.may(key, visit)).filter_map(|key| self.edge(key, visit, &legs)).collect();
        keep(&mut edges);
        edges.sort_by_key(|edge| edge.key);
        edges
    }

    /// Visits that a request may have caused, as far as they are thinkable.
    pub(super) fn visits_of(&self, key: &Key) -> Vec<VisitId> {
        self.requests.visits(key).filter(|id| self.edges(*id).iter().any(|edge| edge.key == *key)).collect()
    }

    /// Who may have caused a visit under a credential of the gateway's choosing, by caller, with their probabilities.
    pub(super) fn shares(&self, edges: &[Edge], voice: u64) -> Vec<(Fingerprint, f64)> {
        let best = edges.iter().map(|edge| self.timed(edge, voice)).fold(f64::NEG_INFINITY, f64::max);
        let mut shares: Vec<(Fingerprint, f64)> = Vec::new();
        let mut sum = 0.0;
        for edge in edges {
            let exchanged = edge.marks.iter().filter(|mark| mark.word == "token-exchanged").map(|mark| mark.weight).sum::<f64>();
            let share = (self.timed(edge, voice) - exchanged - best).exp();
            sum += share;
            let Some(caller) = self.legs.get(&edge.key.1).and_then(caller) else { continue };
            match shares.iter_mut().find(|(own, _)| *own == caller) {
                Some((_, own)) => *own += share,
                None => shares.push((caller, share)),
            }
        }
        shares.iter_mut().for_each(|(_, share)| *share /= sum);
        shares
    }

    /// What an edge of a visit in this voice weighs with what is known of the gateway's pace by now.
    pub(super) fn timed(&self, edge: &Edge, voice: u64) -> f64 {
        edge.weight - edge.pace + self.learned.paces.weight(edge.gateway, voice, edge.lie)
    }

    /// The credential of a visit, where no client was seen to send it.
    pub(super) fn exchanged(&self, visit: &Visit) -> Option<Fingerprint> {
        let given = legs_of(visit, &self.legs).iter().find_map(|leg| leg.credential())?;
        (!self.learned.exchanged.is_caller(given)).then_some(given)
    }

    /// Callers are met when their requests begin.
    pub(super) fn meet(&mut self, id: ExId) {
        let Some(leg) = self.legs.get(&id) else { return };
        let credentials: Vec<Fingerprint> = all_credentials(leg).collect();
        for credential in credentials {
            self.learned.exchanged.meet(credential);
        }
    }
}

/// The weight of what fits best.
pub(super) fn best(edges: &[Edge]) -> f64 {
    edges.iter().map(|edge| edge.weight).fold(f64::NEG_INFINITY, f64::max)
}

/// Keeps what is not hopeless beside the best, and no more than can be weighed.
fn keep(edges: &mut Vec<Edge>) {
    let best = best(edges);
    edges.retain(|edge| edge.weight >= best - HOPELESS);
    if edges.len() > MOST {
        edges.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(b.key.cmp(&a.key)));
        edges.truncate(MOST);
    }
}

/// The first stamp after all that share a packet time.
fn after(stamp: Stamp) -> Stamp {
    Stamp { ord: stamp.ord + 1, ..stamp }
}

/// What is worse than the best by this much is not thought of, nats.
const HOPELESS: f64 = 14.0;
/// Candidates of one visit that are kept.
const MOST: usize = 64;
/// As many are not worth the weighing.
const FEW: usize = 4;
/// Requests looked at for one visit before it began.
const NEAREST: usize = 256;
/// Open requests of one likely owner that are looked at.
const OWNED: usize = 16;
