//! From candidate links to pairs: finds what hangs together, solves it once nothing can change it, and says how sure it is.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use super::assign::{assign, margin};
use super::evidence::{Crowd, Lie, Pace, legs_of};
use super::request::Request;
use super::visit::{Visit, VisitId, is_operation};
use super::{Correlator, LINGER, Leg, Link, Mark, Other, Pair, Rival};
use crate::base::{Addr, ExId, Fingerprint, Stamp, Ts};
use crate::mcp::{Asked, ConduitKind};

/// A request's name here: when it began, which exchange, which message of it.
pub(super) type Key = (Stamp, ExId, usize);

/// Requests and visits that have to be decided together.
#[derive(Debug, Default)]
struct Component {
    requests: BTreeSet<Key>,
    visits: BTreeSet<VisitId>,
}

/// Visits of one server in one voice, with the evidence for each request.
struct Kind {
    visits: Vec<VisitId>,
    evidence: Vec<Vec<Cell>>,
    weights: Vec<Vec<Option<f64>>>,
    /// Visits that are their request's first, by row.
    first: BTreeMap<usize, usize>,
}

/// Evidence for one visit and one request; `None` where it is impossible.
type Cell = Option<(Vec<Mark>, Lie)>;

/// A visit's place in the solution.
#[derive(Clone, Debug)]
struct Placed {
    visit: VisitId,
    score: f64,
    marks: Vec<Mark>,
    rival: Option<(Key, f64)>,
}

impl Correlator {
    /// Closes every pair that is due and that nothing later can change.
    pub(super) fn settle(&mut self, out: &mut Vec<Pair>) {
        let due: Vec<Key> = self.due.iter().copied().collect();
        let mut looked = BTreeSet::new();
        for key in due {
            if self.due.contains(&key) && !looked.contains(&key) {
                self.close(key, self.last, &mut looked, out);
            }
        }
        self.sweep();
    }

    /// Closes the pair of one request if it is ready or `force`d: with all that hangs together with it where all of that is over, else
    /// alone, as soon as nobody still waits for what it may have caused. Puts the requests that can't be closed now into `looked`.
    pub(super) fn close(&mut self, key: Key, force: bool, looked: &mut BTreeSet<Key>, out: &mut Vec<Pair>) {
        self.candidates.borrow_mut().clear();
        match self.component(key, force) {
            Ok(component) => self.solve(&component, None, out),
            Err(seen) => {
                match self.neighbourhood(key, force) {
                    Some(component) => self.solve(&component, Some(key), out),
                    // All that was met on the way waits for the same.
                    None => looked.extend(seen),
                }
            }
        }
    }

    /// Everything connected with a request through possible links. While something of it is still open, or if it is too much: what was
    /// looked at.
    fn component(&self, first: Key, force: bool) -> Result<Component, BTreeSet<Key>> {
        let mut component = Component::default();
        let mut queue = vec![first];
        while let Some(key) = queue.pop() {
            let Some(request) = self.requests.get(&key) else { continue };
            if !component.requests.insert(key) {
                continue;
            }
            let most = if force { CROWD } else { FEW };
            if component.requests.len() > most || !force && !self.ready(request) {
                return Err(component.requests);
            }
            for id in self.visits_of(request) {
                if component.visits.contains(&id) {
                    continue;
                }
                let Some(visit) = self.visits.open.get(&id) else { continue };
                let parents = self.candidates(visit);
                if parents.is_empty() {
                    continue;
                }
                component.visits.insert(id);
                // Someone still waits for this visit's outcome: it may change hands.
                let waiting = parents.iter().filter_map(|key| self.requests.get(key)).any(|request| !self.ready(request));
                if !force && waiting {
                    return Err(component.requests);
                }
                queue.extend(parents.iter().copied().filter(|key| !component.requests.contains(key)));
            }
        }
        Ok(component)
    }

    /// A request with the visits that it may have caused, and whoever else may have caused those: enough to decide on this one, if all of
    /// them are over.
    fn neighbourhood(&self, key: Key, force: bool) -> Option<Component> {
        let request = self.requests.get(&key)?;
        if !force && !self.ready(request) {
            return None;
        }
        let mut component = Component::default();
        component.requests.insert(key);
        for id in self.visits_of(request) {
            let Some(visit) = self.visits.open.get(&id) else { continue };
            let parents = self.candidates(visit);
            if parents.is_empty() {
                continue;
            }
            let waiting = parents.iter().filter_map(|key| self.requests.get(key)).any(|request| !self.ready(request));
            if !force && waiting {
                return None;
            }
            component.visits.insert(id);
            component.requests.extend(parents.iter().copied());
        }
        // The others' own visits keep them from taking this one's.
        let mut visits = component.visits.clone();
        for key in component.requests.iter().take(CROWD) {
            if let Some(request) = self.requests.get(key) {
                visits.extend(self.visits_of(request).into_iter().take(CROWD));
            }
        }
        visits.retain(|id| self.visits.open.get(id).is_some_and(|visit| !self.candidates(visit).is_empty()));
        component.visits = visits;
        Some(component)
    }

    /// Whether all that this request caused has been seen, or would have been.
    fn ready(&self, request: &Request) -> bool {
        let Some(end) = request.end else { return false };
        let seen = self.held.is_none_or(|held| held > end.ts);
        seen && (!request.left || self.now.since(end.ts) > LINGER)
    }

    /// Visits that began while a request was open and lead on from its gateway.
    fn visits_of(&self, request: &Request) -> Vec<VisitId> {
        let from = (request.start.ts, VisitId(0));
        let until = match request.end {
            Some(end) if request.left => end.ts + LINGER,
            Some(end) => end.ts,
            None => Ts::MAX,
        };
        // A clock may step back: an answer may seem to come before its request.
        let until = until.max(request.start.ts);
        self.starts.range(from..=(until, VisitId(u64::MAX))).map(|(_, id)| *id).filter(|id| self.feasible(request, *id)).collect()
    }

    fn feasible(&self, request: &Request, id: VisitId) -> bool {
        let Some(visit) = self.visits.open.get(&id) else { return false };
        request.may_cause(visit.start.ts, LINGER) && (visit.errand || self.roles.leads(request.gateway, visit.server))
    }

    /// As [`Correlator::parents`], remembered while one pair is being closed.
    fn candidates(&self, visit: &Visit) -> Rc<[Key]> {
        if let Some(known) = self.candidates.borrow().get(&visit.id) {
            return known.clone();
        }
        let found: Rc<[Key]> = self.parents(visit).into();
        self.candidates.borrow_mut().insert(visit.id, found.clone());
        found
    }

    /// Requests that may have caused a visit: where the client's credential is on it, only those that sent it.
    fn parents(&self, visit: &Visit) -> Vec<Key> {
        let window = self.requests.range(..(after(visit.start), ExId::default(), 0));
        let open = window.filter(|(_, request)| {
            request.may_cause(visit.start.ts, LINGER) && (visit.errand || self.roles.leads(request.gateway, visit.server))
        });
        let open: Vec<Key> = open.map(|(key, _)| *key).collect();
        let given = visit.legs.iter().filter_map(|id| self.legs.get(id)).find_map(Leg::credential);
        if let Some(given) = given {
            let sent = |key: &&Key| self.legs.get(&key.1).is_some_and(|leg| super::evidence::all_credentials(leg).any(|own| own == given));
            let own: Vec<Key> = open.iter().filter(sent).copied().collect();
            if !own.is_empty() {
                return own;
            }
        }
        open
    }

    /// Solves a component, and closes the pairs of all its requests, or of `only` one.
    fn solve(&mut self, component: &Component, only: Option<Key>, out: &mut Vec<Pair>) {
        let mut placed: BTreeMap<Key, Vec<Placed>> = BTreeMap::new();
        let mut others: BTreeMap<Key, Vec<Other>> = BTreeMap::new();
        let mut kinds: BTreeMap<(Addr, u64), Vec<VisitId>> = BTreeMap::new();
        for id in &component.visits {
            if let Some(visit) = self.visits.open.get(id) {
                kinds.entry((visit.server, visit.voice)).or_default().push(*id);
            }
        }
        let forwarded = self.watch(component);
        let requests: Vec<Key> = component.requests.iter().copied().collect();
        let mut kinds: Vec<Kind> = kinds.into_values().map(|visits| self.weigh_kind(&requests, visits, &forwarded)).collect();
        self.first_visits(&requests, &mut kinds);
        for kind in &mut kinds {
            self.solve_kind(&requests, kind, &mut placed, &mut others);
        }
        for key in requests {
            let Some(request) = self.requests.get(&key).cloned() else { continue };
            if only.is_some_and(|only| only != key) {
                continue;
            }
            let links = placed.remove(&key).unwrap_or_default();
            let others = others.remove(&key).unwrap_or_default();
            if let Some(pair) = self.pair(&request, links, others) {
                out.push(pair);
            }
        }
    }

    /// Learns how the gateway treats credentials; gives those that it sends upstream here.
    fn watch(&mut self, component: &Component) -> Vec<Fingerprint> {
        let visits = || component.visits.iter().filter_map(|id| self.visits.open.get(id));
        let sent = visits().filter_map(|visit| legs_of(visit, &self.legs).iter().find_map(|leg| leg.credential()));
        let sent: Vec<Fingerprint> = sent.collect();
        let requests = component.requests.iter().filter_map(|key| Some((self.requests.get(key)?, self.legs.get(&key.1)?))).collect();
        let crowd = Crowd::new(requests, std::iter::empty());
        for visit in visits() {
            self.learned.watch(&legs_of(visit, &self.legs), &crowd);
        }
        self.teach(component);
        sent
    }

    /// Visits that can only be one request's teach where its route leads, before the others are weighed.
    fn teach(&mut self, component: &Component) {
        for id in &component.visits {
            let Some(visit) = self.visits.open.get(id) else { continue };
            if let [key] = &*self.candidates(visit)
                && let (Some(request), Some(down)) = (self.requests.get(key), self.legs.get(&key.1))
            {
                self.learned.confirm(request, down, &legs_of(visit, &self.legs));
            }
        }
    }

    /// What speaks for and against each visit of a kind being each request's.
    fn weigh_kind(&self, requests: &[Key], visits: Vec<VisitId>, forwarded: &[Fingerprint]) -> Kind {
        let known = requests.iter().filter_map(|key| Some((self.requests.get(key)?, self.legs.get(&key.1)?))).collect();
        let crowd = Crowd::new(known, forwarded.iter().copied());
        let each = |id: VisitId| -> Vec<Cell> {
            let Some(visit) = self.visits.open.get(&id) else { return Vec::new() };
            let legs = legs_of(visit, &self.legs);
            let evidence = |key: &Key| {
                let (request, down) = (self.requests.get(key)?, self.legs.get(&key.1)?);
                let marks = || self.learned.weigh(request, down, visit, &legs, &crowd);
                self.feasible(request, id).then(|| (marks(), Lie::of(request, visit, &legs)))
            };
            requests.iter().map(evidence).collect()
        };
        let mut evidence: Vec<Vec<Cell>> = visits.iter().map(|id| each(*id)).collect();
        let lies: Vec<Vec<Option<Lie>>> =
            evidence.iter().map(|row| row.iter().map(|cell| cell.as_ref().map(|(_, lie)| *lie)).collect()).collect();
        let pace = Pace::of(lies.iter().map(Vec::as_slice));
        for (marks, lie) in evidence.iter_mut().flatten().flatten() {
            marks.extend(pace.marks(*lie));
        }
        let weights = evidence.iter().map(|row| relative(row)).collect();
        Kind { visits, evidence, weights, first: BTreeMap::new() }
    }

    /// Nearly every request causes something: before any request gets a second visit, each gets one, whatever its kind.
    fn first_visits(&self, requests: &[Key], kinds: &mut [Kind]) {
        let wants: Vec<bool> = requests.iter().map(|key| self.legs.get(&key.1).is_some_and(|leg| !is_background(leg, key.2))).collect();
        let rows: Vec<(usize, usize)> =
            kinds.iter().enumerate().flat_map(|(n, kind)| (0..kind.visits.len()).map(move |row| (n, row))).collect();
        let weight = |(n, row): &(usize, usize)| -> Vec<Option<f64>> {
            let weights = kinds.get(*n).and_then(|kind| kind.weights.get(*row)).map(Vec::as_slice).unwrap_or_default();
            weights.iter().zip(&wants).map(|(weight, wants)| weight.filter(|_| *wants).map(|weight| weight + LONELY)).collect()
        };
        let weights: Vec<Vec<Option<f64>>> = rows.iter().map(weight).collect();
        // To be left over for the second round costs nothing.
        let given = assign(&weights, requests.len(), 0.0);
        for ((n, row), column) in rows.into_iter().zip(given) {
            if let (Some(kind), Some(column)) = (kinds.get_mut(n), column) {
                kind.first.insert(row, column);
            }
        }
    }

    /// Visits of one server in one voice: each request has at most one of them, but for retries.
    fn solve_kind(
        &self,
        requests: &[Key],
        kind: &mut Kind,
        placed: &mut BTreeMap<Key, Vec<Placed>>,
        others: &mut BTreeMap<Key, Vec<Other>>,
    ) {
        let Kind { visits, evidence, weights, first } = kind;
        let taken: BTreeSet<usize> = first.values().copied().collect();
        let rest: Vec<Vec<Option<f64>>> = (0..visits.len())
            .map(|row| {
                let own = weights.get(row).map(Vec::as_slice).unwrap_or_default();
                if first.contains_key(&row) {
                    return vec![None; own.len()];
                }
                own.iter().enumerate().map(|(column, weight)| weight.filter(|_| !taken.contains(&column))).collect()
            })
            .collect();
        let mut given = assign(&rest, requests.len(), ALONE);
        for (row, column) in first.iter() {
            if let Some(slot) = given.get_mut(*row) {
                *slot = Some(*column);
            }
        }
        self.retries(visits, weights, &mut given);
        for (row, id) in visits.iter().enumerate() {
            let Some(key) = given.get(row).copied().flatten().and_then(|column| requests.get(column)) else { continue };
            let (lost, rival) = margin(weights, &given, ALONE, row);
            let rival = rival.and_then(|column| requests.get(column)).map(|rival| (*rival, lost));
            let score = 1.0 / (1.0 + (-lost).exp());
            let cell = given.get(row).copied().flatten().and_then(|column| evidence.get_mut(row)?.get_mut(column)?.take());
            let marks = cell.map(|(marks, _)| marks).unwrap_or_default();
            placed.entry(*key).or_default().push(Placed { visit: *id, score, marks, rival });
        }
        self.exchanges(requests, visits, weights, &given, others);
    }

    /// A visit that found no request of its own may be a further try for one that has another already.
    fn retries(&self, visits: &[VisitId], weights: &[Vec<Option<f64>>], given: &mut [Option<usize>]) {
        for row in 0..visits.len() {
            if given.get(row).copied().flatten().is_some() {
                continue;
            }
            let Some(row_weights) = weights.get(row) else { continue };
            let before = visits.get(row).and_then(|id| self.visits.open.get(id)).and_then(|visit| visit.before);
            let parent =
                before.and_then(|before| visits.iter().position(|id| *id == before)).and_then(|row| given.get(row).copied().flatten());
            let affinity = |column: usize| if Some(column) == parent { SESSION } else { 0.0 };
            let best = row_weights.iter().enumerate().filter_map(|(column, weight)| Some((column, (*weight)? + affinity(column))));
            let best = best.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
            if let (Some((column, weight)), Some(slot)) = (best, given.get_mut(row))
                && weight + AGAIN > ALONE
            {
                *slot = Some(column);
            }
        }
    }

    /// What else each request could have got, at what cost: the verdict has to hold under all of it.
    fn exchanges(
        &self,
        requests: &[Key],
        visits: &[VisitId],
        weights: &[Vec<Option<f64>>],
        given: &[Option<usize>],
        others: &mut BTreeMap<Key, Vec<Other>>,
    ) {
        for (column, key) in requests.iter().enumerate() {
            let own: Vec<usize> = (0..visits.len()).filter(|row| given.get(*row).copied().flatten() == Some(column)).collect();
            let held = own.first().copied();
            for (row, id) in visits.iter().enumerate() {
                let Some(Some(weight)) = weights.get(row).and_then(|weights| weights.get(column)).copied() else { continue };
                let holder = given.get(row).copied().flatten();
                if own.contains(&row) {
                    continue;
                }
                // This request takes `row`'s visit; its holder takes what this one had, or nothing.
                let theirs = holder.and_then(|holder| weights.get(row)?.get(holder).copied().flatten()).unwrap_or(ALONE);
                let (mine, swapped) = match held {
                    Some(held) => {
                        let mine = weights.get(held).and_then(|weights| weights.get(column)).copied().flatten().unwrap_or(ALONE);
                        let back = holder.and_then(|holder| weights.get(held)?.get(holder).copied().flatten()).unwrap_or(ALONE);
                        (mine, back.max(ALONE))
                    }
                    // The holder would be left with nothing, and nearly every request causes something.
                    None => (0.0, if holder.is_some() { -LONELY } else { 0.0 }),
                };
                let cost = theirs + mine - weight - swapped;
                if cost < NEAR {
                    let instead = held.and_then(|held| visits.get(held)).and_then(|id| self.visits.open.get(id));
                    let legs = self
                        .visits
                        .open
                        .get(id)
                        .map(|visit| visit.legs.iter().filter_map(|id| self.legs.get(id)).cloned().map(Arc::new).collect());
                    others.entry(*key).or_default().push(Other {
                        cost,
                        legs: legs.unwrap_or_default(),
                        conduit: self.visits.open.get(id).and_then(|visit| visit.conduit.clone()),
                        instead: instead.map(|visit| visit.legs.clone()).unwrap_or_default(),
                    });
                }
            }
        }
    }

    fn pair(&mut self, request: &Request, links: Vec<Placed>, others: Vec<Other>) -> Option<Pair> {
        let key = (request.start, request.id, request.element);
        self.requests.remove(&key);
        self.due.remove(&key);
        let down = Arc::new(self.legs.get(&request.id)?.clone());
        let (mut up, mut authorization, mut conduits) = (Vec::new(), Vec::new(), Vec::new());
        let (mut confidence, mut rival): (f64, Option<Rival>) = (1.0, None);
        let mut groups: Vec<(Stamp, Placed)> =
            links.into_iter().filter_map(|placed| Some((self.visits.open.get(&placed.visit)?.start, placed))).collect();
        groups.sort_by_key(|(start, placed)| (*start, placed.visit));
        for (group, (_, placed)) in groups.into_iter().enumerate() {
            let certain = placed.rival.is_none();
            if let Some((other, lost)) = placed.rival
                && rival.as_ref().is_none_or(|rival| lost < rival.margin)
                && let Some(leg) = self.legs.get(&other.1)
            {
                rival = Some(Rival { down: Arc::new(leg.clone()), margin: lost });
            }
            let Some(visit) = self.visits.take(placed.visit) else { continue };
            self.starts.remove(&(visit.start.ts, visit.id));
            let legs = legs_of(&visit, &self.legs);
            if !certain && placed.score > SURE {
                self.learned.confirm(request, &down, &legs);
            }
            if visit.errand {
                authorization.extend(legs.into_iter().cloned().map(Arc::new));
            } else {
                confidence = confidence.min(placed.score);
                let mut because: Vec<Mark> = placed.marks.iter().filter(|mark| mark.weight > 0.0).copied().collect();
                because.push(Mark { word: "contained", weight: 0.0 });
                if certain {
                    because.push(Mark { word: "only-candidate", weight: 0.0 });
                }
                for leg in legs {
                    up.push(Link { leg: Arc::new(leg.clone()), group, score: placed.score, because: because.clone() });
                }
                conduits.extend(visit.conduit.clone());
            }
            self.drop_legs(&visit.legs);
        }
        up.sort_by_key(|link| (link.leg.start(), link.leg.id));
        let (from, until) = (request.start.ts, request.end.map_or(Ts::MAX, |end| end.ts));
        let tunnels = self.tunnels.values().filter(|tunnel| {
            let during = tunnel.start.ts <= until && (tunnel.close.is_none() || tunnel.last.ts >= from);
            during
                && !matches!(tunnel.kind, ConduitKind::NoData)
                && self.roles.leads(request.gateway, tunnel.peers.server)
                && self.roles.of_host(request.gateway, &tunnel.peers)
        });
        conduits.extend(tunnels.cloned());
        // Where the operation was seen, another request that was missed can hardly have been the pair's too.
        let visited: BTreeSet<Addr> =
            up.iter().filter(|link: &&Link| is_operation(&link.leg)).map(|link| link.leg.peers.server).collect();
        let blind = self.blind.range(..(until + 1, ExId::default())).map(|(_, spot)| spot).filter(|spot| spot.last.ts >= from);
        conduits.extend(
            blind
                .filter(|conduit| {
                    let server = conduit.peers.server;
                    !visited.contains(&server)
                        && self.roles.leads(request.gateway, server)
                        && self.learned.reaches(request.gateway, &down, server)
                })
                .cloned(),
        );
        let last_element = self.requests.range((request.start, request.id, 0)..).next().is_none_or(|(key, _)| key.1 != request.id);
        if last_element && down.done.is_some() && self.visits.of(request.id).is_none() {
            self.legs.remove(&request.id);
        }
        Some(Pair {
            down,
            element: request.element,
            gateway: request.gateway,
            up,
            authorization,
            conduits,
            rival,
            others,
            confidence,
            at_end: self.last,
        })
    }
}

/// Whether an exchange is judged at all (streams and session ends are not).
pub(crate) fn is_background(leg: &Leg, element: usize) -> bool {
    match &leg.asked {
        Asked::Rpc(asks) => {
            asks.get(element).is_none_or(|ask| ask.kind != crate::mcp::AskKind::Request || ask.method.as_deref() == Some("ping"))
        }
        Asked::Stream | Asked::EndSession | Asked::Authorization | Asked::Other => true,
        Asked::RestList(_) | Asked::RestCall | Asked::Unreadable(_) => false,
    }
}

/// Sums of evidence for one visit's candidates. Time tells candidates apart but says little of there being a parent at all: the one
/// that fits best by time pays nothing for it.
fn relative(row: &[Cell]) -> Vec<Option<f64>> {
    let time = |marks: &[Mark]| marks.iter().filter(|mark| mark.is_time()).map(|mark| mark.weight).sum::<f64>();
    let best = row.iter().flatten().map(|(marks, _)| time(marks)).fold(f64::NEG_INFINITY, f64::max);
    row.iter().map(|cell| cell.as_ref().map(|(marks, _)| marks.iter().map(|mark| mark.weight).sum::<f64>() - best)).collect()
}

/// The first stamp after all that share a packet time.
fn after(stamp: Stamp) -> Stamp {
    Stamp { ord: stamp.ord + 1, ..stamp }
}

/// Weight of having no parent: the gateway's own errand.
const ALONE: f64 = -4.0;
/// Weight of a second visit of the same kind for one request.
const AGAIN: f64 = -1.5;
/// Weight of coming after another visit in the same session.
const SESSION: f64 = 5.0;
/// Weight of a request that caused nothing upstream.
const LONELY: f64 = 5.0;
/// Other pairings that cost less than this are thinkable.
const NEAR: f64 = 6.0;
/// Links surer than this teach.
const SURE: f64 = 0.98;
/// Requests that are looked at before a pair is closed on its own.
const FEW: usize = 16;
/// Requests solved together at most; more are cut into parts.
const CROWD: usize = 64;
