//! From a solved request to its pair, and to what is forgotten with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::evidence::legs_of;
use super::request::{Request, names_to};
use super::requests::Key;
use super::solve::{Placed, asks_on};
use super::visit::{Visit, VisitId, is_operation};
use super::{Correlator, Leg, Link, Mark, Other, Pair, Rival, lists};
use crate::base::{Addr, ExId, Stamp, Ts};
use crate::mcp::{Conduit, ConduitKind};

/// A visit that went to another request, by its server and voice.
pub(super) type MissedOut = ((Addr, u64), Other);

impl Correlator {
    /// Closes the pair of a request with what it got.
    pub(super) fn pair(&mut self, key: Key, links: Vec<Placed>, mut others: Vec<Other>) -> Option<Pair> {
        let down = Arc::new(self.legs.get(&key.1)?.clone());
        let request = self.requests.get(&key)?.clone();
        for visit in self.requests.visits(&key) {
            self.weighed.borrow_mut().remove(&visit);
        }
        self.requests.remove(&key, &down);
        self.due.remove(&key);
        let rival = self.rival(&links);
        self.remember(&links);
        others.extend(self.remembered(&key, &links));
        let lossy = self.lost_meanwhile(&down).next().is_some();
        if self.lost_meanwhile(&down).any(|server| server.is_none_or(|server| !self.roles.role(server).upstream)) {
            let listed = names_to(&down, request.element).is_some_and(|names| !names.is_empty());
            let share = self.stray_share(&key, &down, &request);
            let strays: Vec<Other> = links.iter().filter_map(|placed| self.strays(placed, listed, &down, share)).collect();
            // Any of them may be another's, and so may all: then none of the others' outcomes stands in for one that is taken away.
            if let (Some(first), true) = (strays.first(), strays.len() > 1) {
                others.push(Other { instead: strays.iter().flat_map(|stray| stray.instead.clone()).collect(), ..first.clone() });
            }
            others.extend(strays);
        }
        let mut groups: Vec<(Stamp, Placed)> =
            links.into_iter().filter_map(|placed| Some((self.visits.open.get(&placed.visit)?.start, placed))).collect();
        groups.sort_by_key(|(start, placed)| (*start, placed.visit));
        self.learn_gaps(request.gateway, &groups);
        let (mut up, mut authorization, mut conduits) = (Vec::new(), Vec::new(), Vec::new());
        for (group, (_, placed)) in groups.into_iter().enumerate() {
            let Some(visit) = self.take(placed.visit) else { continue };
            let legs = legs_of(&visit, &self.legs);
            if let Some(op) = visit.op.and_then(|op| self.legs.get(&op))
                && placed.score > SURE
            {
                self.learned.called(&request, &down, op);
            }
            if visit.errand {
                authorization.extend(legs.into_iter().cloned().map(Arc::new));
            } else {
                let because = because(&placed);
                let against: Vec<Mark> = placed.marks.iter().filter(|mark| mark.weight < 0.0).copied().collect();
                up.extend(legs.into_iter().map(|leg| Link {
                    leg: Arc::new(leg.clone()),
                    group,
                    visit: visit.id.0,
                    score: placed.score,
                    because: because.clone(),
                    against: against.clone(),
                }));
                conduits.extend(visit.conduit.clone());
            }
            self.drop_legs(&visit.legs);
        }
        up.sort_by_key(|link: &Link| (link.leg.start(), link.leg.id));
        if !up.is_empty() && up.iter().all(|link| link.score > SURE) {
            let servers = up.iter().map(|link| link.leg.peers.server).collect();
            self.learned.led(&request, &down, &servers);
        }
        conduits.extend(self.unread(&down, request.gateway, &up));
        if up.is_empty() && conduits.is_empty() {
            conduits.extend(self.unplaced(&down, request.gateway).take(1).map(unknown));
        }
        let last_element = self.requests.of_exchange(request.start, request.id).next().is_none();
        if last_element && down.done.is_some() && self.visits.of(request.id).is_none() {
            self.legs.remove(&request.id);
        }
        let element = request.element;
        if asks_on(&down, element) {
            self.learned.closed(request.gateway, up.is_empty());
        }
        Some(Pair { down, element, gateway: request.gateway, up, authorization, conduits, rival, others, lossy, at_end: self.last })
    }

    /// How far apart a request's visits to different servers begin.
    fn learn_gaps(&mut self, gateway: Addr, groups: &[(Stamp, Placed)]) {
        let likely =
            groups.iter().filter(|(_, placed)| placed.score > LIKELY).filter_map(|(_, placed)| self.visits.open.get(&placed.visit));
        let visits: Vec<(Addr, u64, Ts)> = likely.map(|visit| (visit.server, visit.voice, visit.turned)).collect();
        for (server, voice, turned) in &visits {
            let others = visits.iter().filter(|(other, own, _)| other != server && own == voice);
            if let Some(gap) = others.map(|(_, _, other)| turned.since(*other).abs()).min() {
                self.learned.paces.apart(gateway, *voice, gap as f64);
            }
        }
    }

    /// Where packets were lost while a request went on: which servers' connections lack some.
    fn lost_meanwhile(&self, down: &Leg) -> impl Iterator<Item = Option<Addr>> {
        let (from, until) = span(down);
        self.lost.range(..=(until, ExId::LAST)).filter(move |(_, (last, _))| *last >= from).map(|(_, (_, server))| *server)
    }

    /// Where packets of clients were lost, a visit that nothing in it ties to its request may be that of a request nobody saw.
    /// A list that has names, though not this visit's, may be whole without it: then its client's credential alone does not tie it.
    fn strays(&self, placed: &Placed, listed: bool, down: &Leg, share: f64) -> Option<Other> {
        let learned = |mark: &Mark| mark.word == "token-exchanged" && mark.weight >= LEARNED;
        let gone = listed && placed.marks.iter().any(|mark| mark.word == "names-differ");
        let tied = |mark: &Mark| mark.weight > 0.0 && TIES.contains(&mark.word) && !(gone && mark.word == "token") || learned(mark);
        let proved = |mark: &Mark| mark.weight > 0.0 && mark.word == PROOF;
        let doubted = |mark: &Mark| mark.weight < -1.0 && !mark.is_time();
        let marks = || placed.marks.iter();
        let stray = !marks().any(tied) || marks().any(doubted) && !marks().any(proved);
        let visit = self.visits.open.get(&placed.visit).filter(|_| stray)?;
        Some(Other {
            share: share * self.room(visit, down),
            visit: visit.id.0,
            legs: Vec::new(),
            conduit: None,
            instead: visit.legs.clone(),
        })
    }

    /// How likely it is that a visit without a tie is that of a request nobody saw. Then this request caused nothing, which gateways
    /// seldom do, or nothing of what it caused was seen: its own packets were lost as well.
    fn stray_share(&self, key: &Key, down: &Leg, request: &Request) -> f64 {
        let (from, until) = span(down);
        let unseen = || self.lost.range(..=(until, ExId::LAST)).filter(move |(_, (last, _))| *last >= from);
        let before = unseen().any(|((start, _), _)| *start == Ts(i64::MIN));
        if before || !asks_on(down, key.2) {
            return STRAY;
        }
        let requests = unseen().filter(|(_, (_, server))| server.is_none_or(|server| !self.roles.role(server).upstream)).count() as f64;
        let holes = unseen().count() as f64;
        let seen = self.requests.keys().take_while(|key| key.0.ts <= until).count()
            + self.starts.range((from, VisitId(0))..=(until, VisitId(u64::MAX))).count();
        let lost = holes / (holes + seen as f64);
        (requests * (lost * lost + self.learned.idleness(request.gateway))).min(STRAY)
    }

    /// In how much of a request's time the visit could have begun without outliving it: a stranger's seldom fits to a hair.
    fn room(&self, visit: &Visit, down: &Leg) -> f64 {
        let (from, until) = span(down);
        let end = visit.op.and_then(|op| self.legs.get(&op)).or_else(|| legs_of(visit, &self.legs).pop()).map(Leg::last);
        match (end, until) {
            (Some(end), until) if until != Ts::MAX && until > from => {
                let whole = until.since(from) as f64;
                ((whole - end.ts.since(visit.start.ts) as f64) / whole).clamp(0.0, 1.0)
            }
            _ => 1.0,
        }
    }

    /// What goes to one request and may have been another's: the other's pair has to be judged with that in mind.
    fn remember(&mut self, links: &[Placed]) {
        for placed in links {
            let Some(visit) = self.visits.open.get(&placed.visit) else { continue };
            let open = placed.elsewhere.iter().filter(|(key, _)| self.requests.get(key).is_some());
            for (key, share) in open {
                let other = self.other(visit, *share, Vec::new());
                let known = self.missed_out.entry(*key).or_default();
                if known.len() < REMEMBERED {
                    known.push(((visit.server, visit.voice), other));
                }
            }
        }
    }

    /// A visit that a request could have got, instead of these exchanges.
    pub(super) fn other(&self, visit: &Visit, share: f64, instead: Vec<ExId>) -> Other {
        let legs = legs_of(visit, &self.legs).into_iter().cloned().map(Arc::new).collect();
        Other { share, visit: visit.id.0, legs, conduit: visit.conduit.clone(), instead }
    }

    /// What went to others and may have been this one's, instead of what it got of that kind.
    fn remembered(&mut self, key: &Key, links: &[Placed]) -> Vec<Other> {
        let known = self.missed_out.remove(key).unwrap_or_default();
        let instead = |kind: (Addr, u64)| {
            let own = links.iter().filter_map(|placed| self.visits.open.get(&placed.visit));
            own.filter(|visit| (visit.server, visit.voice) == kind).flat_map(|visit| visit.legs.iter().copied()).collect()
        };
        known.into_iter().map(|(kind, other)| Other { instead: instead(kind), ..other }).collect()
    }

    /// The runner-up of the link that is the least sure.
    fn rival(&self, links: &[Placed]) -> Option<Rival> {
        let rivals = links.iter().filter_map(|placed| placed.rival);
        let (other, margin) = rivals.min_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(Rival { down: Arc::new(self.legs.get(&other.1)?.clone()), margin })
    }

    /// Connections and answers that could not be read, and that may be what the request caused.
    fn unread(&self, down: &Leg, gateway: Addr, up: &[Link]) -> Vec<Arc<Conduit>> {
        let (from, until) = span(down);
        let tunnels = self.tunnels.values().filter(|tunnel| {
            let during = tunnel.start.ts <= until && (tunnel.close.is_none() || tunnel.last.ts >= from);
            during
                && !matches!(tunnel.kind, ConduitKind::NoData)
                && self.roles.leads(gateway, tunnel.peers.server)
                && self.roles.of_host(gateway, &tunnel.peers)
        });
        // Where the operation was seen, or surely was refused on the way, a request that was missed can hardly have been the pair's too.
        let refused = |link: &Link| link.score > SURE && link.leg.status().is_some_and(|status| status >= 400);
        let decided = || up.iter().filter(|link| is_operation(&link.leg) || refused(link));
        let visited: BTreeSet<Addr> = decided().map(|link| link.leg.peers.server).collect();
        // A list may be gathered from many servers. Anything else is asked of one, and nothing more where that one has answered.
        let alone = lists(down, 0).is_none() && decided().any(|link| link.leg.status().is_some());
        let began = self.blind.range(..=(until, ExId::LAST)).map(|(_, conduit)| conduit);
        let blind = began.filter(|conduit| !alone && conduit.last.ts >= from).filter(|conduit| {
            let server = conduit.peers.server;
            !visited.contains(&server) && self.roles.leads(gateway, server) && self.learned.reaches(gateway, down, server)
        });
        tunnels.chain(blind).cloned().collect()
    }

    /// What the gateway's host asked of servers whose role is not known, while a request was open.
    pub(super) fn unplaced<'a>(&'a self, down: &Leg, gateway: Addr) -> impl Iterator<Item = &'a Leg> {
        let (from, until) = span(down);
        let legs = self.undecided.values().flatten().filter_map(|id| self.legs.get(id));
        legs.filter(move |leg| (from..=until).contains(&leg.start().ts) && self.roles.of_host(gateway, &leg.peers))
    }

    /// Takes a visit out, with all that points to it.
    pub(super) fn take(&mut self, id: VisitId) -> Option<Visit> {
        let visit = self.visits.take(id)?;
        self.starts.remove(&(visit.start.ts, id));
        self.stale.remove(&id);
        self.weighed.borrow_mut().remove(&id);
        for key in self.parents_of.remove(&id).unwrap_or_default() {
            self.requests.unlink(&key, id);
        }
        Some(visit)
    }
}

/// An exchange that may be anybody's, seen from a request that may have caused it.
fn unknown(leg: &Leg) -> Arc<Conduit> {
    let (start, last) = (leg.start(), leg.last());
    Arc::new(Conduit { peers: leg.peers.clone(), id: leg.id, start, last, close: None, kind: ConduitKind::Unknown })
}

/// From a request's first byte to its answer's last.
fn span(down: &Leg) -> (Ts, Ts) {
    (down.start().ts, down.done.map_or(Ts::MAX, |done| done.last.ts))
}

/// What speaks for a link.
fn because(placed: &Placed) -> Vec<Mark> {
    let mut because: Vec<Mark> = placed.marks.iter().filter(|mark| mark.weight > 0.0).copied().collect();
    because.push(Mark { word: "contained", weight: 0.0 });
    if placed.only {
        because.push(Mark { word: "only-candidate", weight: 0.0 });
    }
    because
}

/// Marks by which a visit is its request's whatever else was lost.
const TIES: [&str; 5] = ["names", "content", "arguments", "trace", "token"];
/// What was learned of the credentials that the gateway uses for a caller ties as well from this weight on, nats.
const LEARNED: f64 = 2.0;
/// That of them which nothing speaks against: the very answer went back.
const PROOF: &str = "content";
/// How likely it is at most that a visit without them is another's where packets were lost: enough to be in doubt.
const STRAY: f64 = 0.5;
/// Links likelier than this tell how a request's visits lie to each other.
const LIKELY: f64 = 0.5;
/// Links surer than this teach.
const SURE: f64 = 0.95;
/// Visits of others' that one request's pair is judged with in mind.
const REMEMBERED: usize = 8;
