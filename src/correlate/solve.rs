//! From thinkable links to pairs: which visit belongs to which request, and how sure that is.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::assign::{Row, assign, margin};
use super::belief::marginals;
use super::component::Component;
use super::edges::Edge;
use super::pace::Pace;
use super::request::ask_of;
use super::requests::Key;
use super::visit::{Hasher, VisitId};
use super::{Correlator, Leg, Mark, Other, Pair};
use crate::base::{Addr, Fingerprint, Ts};
use crate::mcp::Asked;

/// Visits of one server in one voice, with the evidence for each request.
struct Kind {
    visits: Vec<VisitId>,
    edges: Vec<Vec<Edge>>,
    /// What they weigh, by the request's place in the component.
    rows: Vec<Row>,
    /// What each got.
    given: Vec<Option<usize>>,
}

/// A visit's place in the solution.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub visit: VisitId,
    /// Probability that it belongs there.
    pub score: f64,
    pub marks: Vec<Mark>,
    /// Nobody else came into question.
    pub only: bool,
    /// The next best, and by how much the whole would be worse.
    pub rival: Option<(Key, f64)>,
    /// Who else may have caused it, and how likely that is.
    pub elsewhere: Vec<(Key, f64)>,
}

/// What each request got, and what it could have got.
#[derive(Default)]
struct Solution {
    placed: BTreeMap<Key, Vec<Placed>>,
    others: BTreeMap<Key, Vec<Other>>,
}

impl Correlator {
    /// Solves a component, and closes the pairs of all its requests, or of `only` one. Returns whether it did: what later requests may
    /// still make plain waits for them a little, unless `force`d.
    pub(super) fn solve(&mut self, component: &Component, only: Option<Key>, force: bool, out: &mut Vec<Pair>) -> bool {
        self.teach(component);
        let requests: Vec<Key> = component.requests.iter().copied().collect();
        let mut groups: BTreeMap<(Addr, u64), Vec<VisitId>> = BTreeMap::new();
        for id in &component.visits {
            if let Some(visit) = self.visits.open.get(id) {
                groups.entry((visit.server, visit.voice)).or_default().push(*id);
            }
        }
        let mut kinds: Vec<Kind> = groups.into_values().map(|visits| self.kind(&requests, visits)).collect();
        self.gather(&requests, &mut kinds);
        self.console(&requests, &mut kinds);
        let mut solution = Solution::default();
        let mut had = vec![0; requests.len()];
        for column in kinds.iter().flat_map(|kind| kind.given.iter().flatten()) {
            if let Some(had) = had.get_mut(*column) {
                *had += 1;
            }
        }
        for kind in kinds {
            self.solve_kind(&requests, kind, &had, &mut solution);
        }
        if !force && self.may_become_plain(component, only, &solution) {
            return false;
        }
        for key in requests {
            if only.is_some_and(|only| only != key) {
                continue;
            }
            let links = solution.placed.remove(&key).unwrap_or_default();
            let others = solution.others.remove(&key).unwrap_or_default();
            out.extend(self.pair(key, links, others));
        }
        true
    }

    /// Learns from each visit once what the gateway's pace is, and whose calls it uses its credentials for.
    fn teach(&mut self, component: &Component) {
        self.teach_pace(component);
        let mut taught: HashSet<Fingerprint, Hasher> = HashSet::default();
        for id in &component.visits {
            let Some(visit) = self.visits.open.get(id).filter(|visit| !visit.taught) else { continue };
            let Some(credential) = self.exchanged(visit) else { continue };
            let shares = self.shares(&self.edges(*id), visit.voice);
            if shares.is_empty() {
                continue;
            }
            self.learned.exchanged.learn(credential, &shares);
            if let Some(visit) = self.visits.open.get_mut(id) {
                visit.taught = true;
            }
            taught.insert(credential);
        }
        let stale = component.visits.iter().filter(|id| {
            let credential = self.visits.open.get(id).and_then(|visit| self.exchanged(visit));
            credential.is_some_and(|credential| taught.contains(&credential))
        });
        let mut weighed = self.weighed.borrow_mut();
        stale.for_each(|id| {
            weighed.remove(id);
        });
    }

    fn teach_pace(&mut self, component: &Component) {
        for id in &component.visits {
            let fresh = self.visits.open.get(id).is_some_and(|visit| !visit.paced);
            let edges = if fresh { self.edges(*id) } else { continue };
            if let (true, Some(first), Some(visit)) =
                (edges.iter().all(|edge| edge.lie.lag.is_some()), edges.first(), self.visits.open.get_mut(id))
            {
                let lies: Vec<_> = edges.iter().map(|edge| (edge.lie, edge.weight - edge.pace)).collect();
                self.learned.paces.learn(first.gateway, visit.voice, visit.start.ts, &lies);
                visit.paced = true;
            }
        }
    }

    /// Whether a pairing that is not plain hangs on what further requests may show: whose calls a credential is used for, where a route
    /// leads, what a server is that was asked meanwhile.
    fn may_become_plain(&self, component: &Component, only: Option<Key>, solution: &Solution) -> bool {
        let keys = only.as_slice().iter().chain(component.requests.iter().filter(|_| only.is_none()));
        let waited = |key: &Key| self.requests.get(key).and_then(|request| request.end).is_none_or(|end| self.now.since(end.ts) > PATIENCE);
        let open = |placed: &Placed| {
            let visit = self.visits.open.get(&placed.visit);
            let credential = visit.and_then(|visit| self.exchanged(visit));
            credential.is_some_and(|credential| self.learned.exchanged.is_open(credential))
        };
        let hangs = |key: &Key| {
            let placed = || solution.placed.get(key).into_iter().flatten();
            let plain = placed().all(|placed| placed.score >= PLAIN) && (placed().next().is_some() || !solution.others.contains_key(key));
            let request = self.requests.get(key).zip(self.legs.get(&key.1));
            let idle =
                placed().next().is_none() && request.is_some_and(|(request, down)| self.unplaced(down, request.gateway).next().is_some());
            let hasty = |placed: &Placed| {
                let voice = self.visits.open.get(&placed.visit).map(|visit| visit.voice);
                request.zip(voice).is_some_and(|((request, _), voice)| self.learned.paces.is_open(request.gateway, voice))
            };
            let unknown = || request.is_some_and(|(request, down)| !self.learned.knows(request, down));
            idle || !plain && (placed().any(open) || placed().any(hasty) || unknown())
        };
        keys.into_iter().any(|key| !waited(key) && hangs(key))
    }

    /// What speaks for and against each visit of a kind being each request's.
    fn kind(&self, requests: &[Key], visits: Vec<VisitId>) -> Kind {
        let known = |edge: &Edge| requests.binary_search(&edge.key).is_ok();
        let timed = |edge: &Edge, voice| Edge { weight: self.timed(edge, voice), ..edge.clone() };
        let edges = |id: &VisitId| -> Vec<Edge> {
            let voice = self.visits.open.get(id).map_or(0, |visit| visit.voice);
            self.edges(*id).iter().filter(|edge| known(edge)).map(|edge| timed(edge, voice)).collect()
        };
        let mut edges: Vec<Vec<Edge>> = visits.iter().map(edges).collect();
        let pace = Pace::of(edges.iter().map(|edges| edges.iter().map(|edge| &edge.lie)));
        let rows: Vec<Row> = edges.iter_mut().map(|edges| weigh(edges, pace, requests)).collect();
        let given = assign(&rows, requests.len(), ALONE);
        Kind { visits, edges, rows, given }
    }

    /// Visits of one request to different servers tell of each other by when they begin: each kind is given again with the others as they are.
    fn gather(&self, requests: &[Key], kinds: &mut [Kind]) {
        let plain: Vec<Vec<Row>> = kinds.iter().map(|kind| kind.rows.clone()).collect();
        for _ in 0..TURNS {
            for (n, plain) in plain.iter().enumerate() {
                let mut begun: HashMap<(usize, u64), Vec<Ts>> = HashMap::new();
                for kind in kinds.iter().enumerate().filter(|(other, _)| *other != n).map(|(_, kind)| kind) {
                    for (id, column) in kind.visits.iter().zip(&kind.given) {
                        if let (Some(column), Some(visit)) = (column, self.visits.open.get(id)) {
                            begun.entry((*column, visit.voice)).or_default().push(visit.turned);
                        }
                    }
                }
                let Some(kind) = kinds.get_mut(n).filter(|kind| kind.rows.iter().any(|row| row.len() > 1)) else { continue };
                for ((row, plain), (id, edges)) in kind.rows.iter_mut().zip(plain).zip(kind.visits.iter().zip(&kind.edges)) {
                    let (Some(visit), Some(first)) = (self.visits.open.get(id), edges.first()) else { continue };
                    let beside = |column: usize| {
                        let begun = begun.get(&(column, visit.voice))?;
                        let gap = begun.iter().map(|other| visit.turned.since(*other).abs()).min()?;
                        Some(self.learned.paces.together(first.gateway, visit.voice, gap as f64))
                    };
                    row.clone_from(plain);
                    row.iter_mut().for_each(|(column, weight)| *weight += beside(*column).unwrap_or(0.0));
                }
                kind.given = assign(&kind.rows, requests.len(), ALONE);
            }
        }
    }

    /// Nearly every request causes something: one that got nothing takes a visit of another's, where that costs little and leaves nobody
    /// else with nothing.
    fn console(&self, requests: &[Key], kinds: &mut [Kind]) {
        let wants = |column: usize| {
            let leg = requests.get(column).and_then(|key| Some((self.legs.get(&key.1)?, key.2)));
            leg.is_some_and(|(leg, element)| asks_on(leg, element))
        };
        let idle = |kinds: &[Kind]| -> Vec<usize> {
            let busy: BTreeSet<usize> = kinds.iter().flat_map(|kind| kind.given.iter().flatten().copied()).collect();
            (0..requests.len()).filter(|column| wants(*column) && !busy.contains(column)).collect()
        };
        let mut lonely = idle(kinds);
        for column in lonely.clone().into_iter().take(CONSOLED) {
            if !lonely.contains(&column) {
                continue;
            }
            let mut best: Option<(f64, usize, Vec<Option<usize>>)> = None;
            for n in 0..kinds.len() {
                let Some(kind) = kinds.get_mut(n) else { continue };
                if !kind.rows.iter().flatten().any(|(own, _)| *own == column) {
                    continue;
                }
                let favour = |(own, weight): &(usize, f64)| (*own, if *own == column { weight + LONELY } else { *weight });
                let rows: Vec<Row> = kind.rows.iter().map(|row| row.iter().map(favour).collect()).collect();
                let given = assign(&rows, requests.len(), ALONE);
                let loss = worth(&kind.rows, &kind.given) - worth(&kind.rows, &given);
                if !given.contains(&Some(column)) || best.as_ref().is_some_and(|(least, ..)| *least <= loss) {
                    continue;
                }
                let before = std::mem::replace(&mut kind.given, given);
                let fewer = idle(kinds).len() < lonely.len();
                let Some(kind) = kinds.get_mut(n) else { continue };
                let given = std::mem::replace(&mut kind.given, before);
                if fewer {
                    best = Some((loss, n, given));
                }
            }
            if let Some((_, n, given)) = best
                && let Some(kind) = kinds.get_mut(n)
            {
                kind.given = given;
                lonely = idle(kinds);
            }
        }
    }

    /// Visits of one server in one voice: each request has at most one of them, but for retries. `had` counts what each request got of
    /// all kinds.
    fn solve_kind(&self, requests: &[Key], kind: Kind, had: &[usize], solution: &mut Solution) {
        let Kind { visits, mut edges, rows, mut given } = kind;
        let empty = self.empty(requests, &given, had);
        let again = self.retries(&visits, &rows, &mut given);
        let shares = shares_of(&rows, &given, &again, &empty);
        for (row, id) in visits.iter().enumerate() {
            let Some(column) = given.get(row).copied().flatten() else { continue };
            let Some(key) = requests.get(column) else { continue };
            let (lost, rival) = margin(&rows, &given, ALONE, row);
            let rival = rival.and_then(|column| requests.get(column)).map(|rival| (*rival, lost));
            let place = rows.get(row).and_then(|row| row.iter().position(|(own, _)| *own == column));
            let score = place.and_then(|place| shares.get(row)?.get(place).copied()).unwrap_or(0.0);
            let marks = place.and_then(|place| Some(std::mem::take(&mut edges.get_mut(row)?.get_mut(place)?.marks))).unwrap_or_default();
            let only = rows.get(row).is_some_and(|row| row.len() == 1);
            let all = rows.get(row).into_iter().flatten().zip(shares.get(row).into_iter().flatten());
            let others = all.filter(|((other, _), share)| *other != column && **share >= THINKABLE);
            let elsewhere = others.filter_map(|((other, _), share)| Some((*requests.get(*other)?, *share))).collect();
            solution.placed.entry(*key).or_default().push(Placed { visit: *id, score, marks, only, rival, elsewhere });
        }
        for (column, key) in requests.iter().enumerate() {
            let others = self.others(column, &visits, &rows, &shares, &given);
            if !others.is_empty() {
                solution.others.entry(*key).or_default().extend(others);
            }
        }
    }

    /// What it weighs for each request to get none of a kind: much where it would be left with nothing.
    fn empty(&self, requests: &[Key], given: &[Option<usize>], had: &[usize]) -> Vec<f64> {
        let weight = |(column, key): (usize, &Key)| {
            let own = given.iter().filter(|given| **given == Some(column)).count();
            let nothing = had.get(column).is_none_or(|had| *had <= own);
            let wants = self.legs.get(&key.1).is_some_and(|leg| asks_on(leg, key.2));
            if nothing && wants { -LONELY } else { 0.0 }
        };
        requests.iter().enumerate().map(weight).collect()
    }

    /// A visit that found no request of its own may be a further try for one that has another already. Returns their rows.
    fn retries(&self, visits: &[VisitId], rows: &[Row], given: &mut [Option<usize>]) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        for (n, row) in rows.iter().enumerate() {
            if given.get(n).copied().flatten().is_some() {
                continue;
            }
            let before = visits.get(n).and_then(|id| self.visits.open.get(id)).and_then(|visit| visit.before);
            let parent =
                before.and_then(|before| visits.iter().position(|id| *id == before)).and_then(|at| given.get(at).copied().flatten());
            let affinity = |column: usize| if Some(column) == parent { SESSION } else { 0.0 };
            let best = row.iter().map(|(column, weight)| (*column, *weight + affinity(*column)));
            let best = best.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
            if let (Some((column, weight)), Some(slot)) = (best, given.get_mut(n))
                && weight + AGAIN > ALONE
            {
                *slot = Some(column);
                found.insert(n);
            }
        }
        found
    }

    /// What else a request could have got, and how likely that is: the verdict has to hold under all of it.
    fn others(&self, column: usize, visits: &[VisitId], rows: &[Row], shares: &[Vec<f64>], given: &[Option<usize>]) -> Vec<Other> {
        let held = given.iter().position(|given| *given == Some(column)).and_then(|row| visits.get(row)).copied();
        let instead = held.and_then(|id| self.visits.open.get(&id));
        let instead = || instead.map(|visit| visit.legs.clone()).unwrap_or_default();
        let mut others = Vec::new();
        let mut sum = 0.0;
        for ((row, shares), id) in rows.iter().zip(shares).zip(visits) {
            let Some(place) = row.iter().position(|(own, _)| *own == column) else { continue };
            let share = shares.get(place).copied().unwrap_or(0.0);
            sum += share;
            let Some(visit) = self.visits.open.get(id).filter(|_| share >= THINKABLE) else { continue };
            if given.iter().zip(visits).any(|(given, own)| own == id && *given == Some(column)) {
                continue;
            }
            others.push(self.other(visit, share, instead()));
        }
        let none = 1.0 - sum;
        if let Some(held) = held
            && none >= THINKABLE
        {
            others.push(Other { share: none, visit: held.0, legs: Vec::new(), conduit: None, instead: instead() });
        }
        others
    }
}

/// How likely each edge is. Retries come on top of what their requests have, whatever the others do.
fn shares_of(rows: &[Row], given: &[Option<usize>], again: &BTreeSet<usize>, empty: &[f64]) -> Vec<Vec<f64>> {
    let once: Vec<Row> = rows.iter().enumerate().map(|(n, row)| if again.contains(&n) { Row::new() } else { row.clone() }).collect();
    let mut shares = marginals(&once, ALONE, empty);
    swaps(&once, given, empty, &mut shares);
    for row in again {
        let Some(weights) = rows.get(*row) else { continue };
        let best = weights.iter().map(|(_, weight)| *weight).fold(f64::NEG_INFINITY, f64::max);
        let held = given.get(*row).copied().flatten();
        // What the choice of a parent went by stands: the others count by how much they fit worse.
        let weight = |(column, weight): &(usize, f64)| if Some(*column) == held { best.max(*weight) } else { *weight };
        let sum: f64 = weights.iter().map(|edge| (weight(edge) - best).exp()).sum();
        if let Some(slot) = shares.get_mut(*row) {
            *slot = weights.iter().map(|edge| (weight(edge) - best).exp() / sum).collect();
        }
    }
    shares
}

/// Belief is too sure of two that could as well be the other way round (the Bethe approximation of two by two is the better of both): no
/// link is surer than what each single exchange leaves of it.
fn swaps(rows: &[Row], given: &[Option<usize>], empty: &[f64], shares: &mut [Vec<f64>]) {
    let weight = |row: usize, column: usize| rows.get(row)?.iter().find(|(own, _)| *own == column).map(|(_, weight)| *weight);
    let nobody = |column: usize| empty.get(column).copied().unwrap_or(0.0);
    let holders: HashMap<usize, usize> = given.iter().enumerate().filter_map(|(row, column)| Some(((*column)?, row))).collect();
    for (at, (row, shares)) in rows.iter().zip(shares).enumerate() {
        let Some(own) = given.get(at).copied().flatten() else { continue };
        let Some(have) = weight(at, own) else { continue };
        let loss = |column: usize, other: f64| match holders.get(&column) {
            None => have + nobody(column) - other - nobody(own),
            Some(holder) => {
                let alone = ALONE + nobody(own);
                have + weight(*holder, column).unwrap_or(ALONE) - other - weight(*holder, own).map_or(alone, |weight| weight.max(alone))
            }
        };
        let odds = |(column, other): &(usize, f64)| if *column == own { 1.0 } else { (-loss(*column, *other)).exp().min(MOST) };
        let all: f64 = row.iter().map(odds).sum::<f64>() + (ALONE + nobody(own) - have).exp().min(MOST);
        for (edge, share) in row.iter().zip(shares) {
            let single = odds(edge) / all;
            *share = if edge.0 == own { share.min(single) } else { share.max(single) };
        }
    }
}

/// The sum of weights of an assignment.
fn worth(rows: &[Row], given: &[Option<usize>]) -> f64 {
    let weight = |(row, given): (&Row, &Option<usize>)| {
        given.and_then(|column| row.iter().find(|(own, _)| *own == column)).map_or(ALONE, |(_, weight)| *weight)
    };
    rows.iter().zip(given).map(weight).sum()
}

/// Sums of evidence for one visit's candidates. Time tells candidates apart but says little of there being a parent at all: the one
/// that fits best by time pays nothing for it.
fn weigh(edges: &mut [Edge], pace: Pace, requests: &[Key]) -> Row {
    let sum = |edge: &Edge| edge.marks.iter().map(|mark| mark.weight).sum::<f64>();
    let mut times = Vec::with_capacity(edges.len());
    for edge in edges.iter_mut() {
        let learned = edge.weight - sum(edge);
        let marks = pace.marks(edge.lie);
        times.push(learned + marks.iter().filter(|mark| mark.is_time()).map(|mark| mark.weight).sum::<f64>());
        edge.marks.extend(marks);
    }
    let best = times.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let content = |edge: &Edge| edge.marks.iter().filter(|mark| !mark.is_time()).map(|mark| mark.weight).sum::<f64>();
    let row = edges.iter().zip(times).filter_map(|(edge, time)| {
        let column = requests.binary_search(&edge.key).ok()?;
        Some((column, content(edge) + (time - best)))
    });
    row.collect()
}

/// Whether a gateway has to ask somebody to answer this: not so where a session begins, which many begin by themselves.
pub(super) fn asks_on(leg: &Leg, element: usize) -> bool {
    let begins = ask_of(leg, element).is_some_and(|ask| matches!(ask.method.as_deref(), Some("initialize" | "server/discover")));
    !begins && !is_background(leg, element)
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

/// Times that each kind is given again in the light of the others.
const TURNS: usize = 2;
/// Odds of an exchange that are counted at most.
const MOST: f64 = 100.0;
/// Weight of having no parent: the gateway's own errand.
const ALONE: f64 = -4.0;
/// Weight of a second visit of the same kind for one request.
const AGAIN: f64 = -1.5;
/// Weight of coming after another visit in the same session.
const SESSION: f64 = 5.0;
/// Weight of a request that caused nothing upstream.
const LONELY: f64 = 8.0;
/// Requests without anything that are looked after in one component.
const CONSOLED: usize = 16;
/// Pairings less likely than this are not thought of.
const THINKABLE: f64 = 0.003;
/// A link this likely is plain.
const PLAIN: f64 = 0.95;
/// How long a pairing that is not plain waits for what further requests may teach, nanoseconds of packet time.
const PATIENCE: i64 = 1_000_000_000;
