//! What has to be decided together, and when: a pair is closed as soon as nothing that is still to come can change it.

use std::collections::BTreeSet;

use super::Correlator;
use super::Pair;
use super::edges::best;
use super::request::Request;
use super::requests::Key;
use super::sweep::LINGER;
use super::visit::VisitId;
use crate::base::Ts;

/// Requests and visits that have to be decided together.
#[derive(Debug, Default)]
pub(super) struct Component {
    pub requests: BTreeSet<Key>,
    pub visits: BTreeSet<VisitId>,
}

/// Why something can't be decided now.
enum Hung {
    /// This request may still turn out to have caused what is looked at.
    On(Key),
    /// Too much hangs together.
    Crowd,
}

impl Correlator {
    /// Closes every pair that is due and that nothing later can change.
    pub(super) fn settle(&mut self, out: &mut Vec<Pair>) {
        let due: Vec<Key> = self.due.iter().copied().collect();
        for key in due {
            let request = self.requests.get(&key);
            let idle = request.is_some_and(|request| self.now < request.look_at)
                || request.and_then(|request| self.requests.get(&request.waits_for?)).is_some_and(|other| !self.ready(other));
            if self.due.contains(&key) && (self.last || !idle) {
                self.close(key, self.last, out);
            }
        }
        self.sweep();
    }

    /// An exchange is over: with it its own pair may be ready, or those that wait for its outcome.
    pub(super) fn settle_one(&mut self, keys: Vec<Key>, out: &mut Vec<Pair>) {
        let mut queue = keys;
        while let Some(key) = queue.pop() {
            if self.due.contains(&key) {
                self.close(key, false, out);
            }
            let ready = self.requests.get(&key).is_none_or(|request| self.ready(request));
            if ready && let Some(waiters) = self.waiters.remove(&key) {
                queue.extend(waiters.into_iter().rev());
            }
        }
    }

    /// Closes the pair of one request if it is ready or `force`d: with all that hangs together with it where all of that is over, else
    /// alone, as soon as nobody still waits for what it may have caused.
    pub(super) fn close(&mut self, key: Key, force: bool, out: &mut Vec<Pair>) {
        self.refresh();
        let solved = match self.component(key, force) {
            Ok(component) => self.solve(&component, None, force, out),
            Err(_) => match self.neighbourhood(key, force) {
                Ok(component) => self.solve(&component, Some(key), force, out),
                Err(Hung::On(other)) => {
                    self.wait(key, other);
                    return;
                }
                Err(Hung::Crowd) => return,
            },
        };
        if !solved && let Some(request) = self.requests.get_mut(&key) {
            // The longer it waits, the less often.
            let waited = request.end.map_or(0, |end| self.now.since(end.ts));
            request.look_at = self.now + AGAIN.max(waited);
        }
    }

    fn wait(&mut self, key: Key, other: Key) {
        if let Some(request) = self.requests.get_mut(&key)
            && request.waits_for.replace(other) != Some(other)
        {
            self.waiters.entry(other).or_default().insert(key);
        }
    }

    /// Everything connected with a request through thinkable links, if all of it is over and it is not too much.
    fn component(&self, first: Key, force: bool) -> Result<Component, Hung> {
        let mut component = Component::default();
        let mut queue = vec![first];
        let most = if force { CROWD } else { FEW };
        while let Some(key) = queue.pop() {
            let Some(request) = self.requests.get(&key) else { continue };
            if !component.requests.insert(key) {
                continue;
            }
            if !force && !self.ready(request) {
                return Err(Hung::On(key));
            }
            if component.requests.len() > most {
                return Err(Hung::Crowd);
            }
            for id in self.visits_of(&key) {
                if component.visits.insert(id) {
                    queue.extend(self.edges(id).iter().map(|edge| edge.key).filter(|key| !component.requests.contains(key)));
                }
            }
        }
        Ok(component)
    }

    /// A request with the visits that it may have caused, and whoever else may have caused those: enough to decide on this one, if all of
    /// them are over.
    fn neighbourhood(&self, key: Key, force: bool) -> Result<Component, Hung> {
        let request = self.requests.get(&key).ok_or(Hung::Crowd)?;
        if !force && !self.ready(request) {
            return Err(Hung::On(key));
        }
        let mut component = Component::default();
        component.requests.insert(key);
        for id in self.visits_of(&key) {
            for edge in self.edges(id).iter() {
                // Someone still waits for this visit's outcome: it may change hands.
                if !force && self.requests.get(&edge.key).is_some_and(|request| !self.ready(request)) {
                    return Err(Hung::On(edge.key));
                }
                component.requests.insert(edge.key);
            }
            component.visits.insert(id);
        }
        // The others' own visits keep them from taking this one's.
        for other in component.requests.iter().take(CROWD) {
            component.visits.extend(self.visits_of(other).into_iter().filter(|id| self.fits(other, *id)).take(OWN));
        }
        Ok(component)
    }

    /// Whether a request is among the likeliest to have caused a visit.
    fn fits(&self, key: &Key, id: VisitId) -> bool {
        let edges = self.edges(id);
        edges.iter().any(|edge| edge.key == *key && edge.weight > best(&edges) - CLOSE)
    }

    /// Whether all that this request caused has been seen, or would have been.
    fn ready(&self, request: &Request) -> bool {
        let Some(end) = request.end else { return false };
        let seen = self.held.is_none_or(|held| held > end.ts);
        seen && (!request.left || self.now.since(end.ts) > LINGER)
    }
}

/// When a request is looked at again whose pairing may become plainer, nanoseconds of packet time.
const AGAIN: i64 = 100_000_000;
/// Visits of a neighbour's that are looked at.
const OWN: usize = 8;
/// How much worse than the best a neighbour may fit a visit that keeps it from others, nats.
const CLOSE: f64 = 3.0;
/// Requests that are looked at before a pair is closed on its own.
const FEW: usize = 16;
/// Requests solved together at most; more are cut into parts.
const CROWD: usize = 64;

/// Never: before all packet time.
pub(super) const ANYTIME: Ts = Ts(i64::MIN);
