//! What was asked and answered on either side of a gateway comes in; pairs go out: each client request with the upstream
//! exchanges it caused. Knows nothing of what a pair means.
//!
//! Roles are found from traffic (`roles`); upstream exchanges are gathered into visits (`visit`); client requests and visits
//! that could belong together form components; each component is solved as a whole (`solve`) once nothing that comes later
//! can change it.

mod assign;
mod belief;
mod close;
mod component;
mod edges;
mod evidence;
mod exchanged;
mod hop;
mod leg;
mod names;
mod pace;
mod pair;
mod request;
mod requests;
mod roles;
mod solve;
mod steer;
mod visit;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

pub use leg::Leg;
pub use pair::{Gateway, Link, Mark, Other, Pair, Rival};

use crate::base::{Addr, Cause, ExId, Gap, Limits, Ts};
use crate::http::End;
use crate::mcp::{AskKind, Asked, Conduit, ConduitKind, Exchange, Seen};
use evidence::Learned;
use request::{Request, left};
use requests::{Key, Requests};
use roles::Roles;
use visit::{Hasher, VisitId, Visits};

pub(crate) use evidence::route_mark;
pub(crate) use names::endings;
pub(crate) use request::{answer_to, ask_of, lists};
pub(crate) use solve::is_background;
pub(crate) use visit::is_operation;

/// Pairs what is seen on both sides of the gateways.
pub struct Correlator {
    roles: Roles,
    legs: HashMap<ExId, Leg, Hasher>,
    /// Exchanges with servers of which nothing is known yet.
    undecided: BTreeMap<Addr, Vec<ExId>>,
    undecided_conduits: Vec<Arc<Conduit>>,
    /// Exchanges with relays in front of a gateway, until their inner leg is found.
    outer: BTreeSet<ExId>,
    /// Which downstream leg an outer leg became another name of, and which legs an alias stands for.
    inner: HashMap<ExId, ExId, Hasher>,
    requests: Requests,
    visits: Visits,
    starts: BTreeSet<(Ts, VisitId)>,
    /// Connections that carry something the witness cannot read.
    tunnels: BTreeMap<ExId, Arc<Conduit>>,
    /// Exchanges upstream of which so much was lost that nobody can say what they were, by the time of what was seen.
    blind: BTreeMap<(Ts, ExId), Arc<Conduit>>,
    /// When packets were lost: from when the exchange that shows it was last whole, until that showed; and whose answers it would have got.
    lost: BTreeMap<(Ts, ExId), (Ts, Option<Addr>)>,
    learned: Learned,
    /// Requests that ended and whose pair is due.
    due: BTreeSet<Key>,
    /// Requests that wait for the end of another before their pairs can be told.
    waiters: BTreeMap<Key, BTreeSet<Key>>,
    /// What went to other requests and may have been each one's.
    missed_out: BTreeMap<Key, Vec<close::MissedOut>>,
    /// Visits that are new, or of which more is known than when their candidates were sought.
    stale: BTreeSet<VisitId>,
    /// Requests that may have caused each visit.
    parents_of: BTreeMap<VisitId, Vec<Key>>,
    /// The state of what is known of roles when candidates were last sought.
    epoch: u64,
    /// What speaks for them, for as long as no more is known.
    weighed: RefCell<edges::Weighed>,
    limits: Limits,
    now: Ts,
    /// When timers were looked at last.
    ticked: Ts,
    held: Option<Ts>,
    /// Exchanges were given their side since pairs were last looked at.
    flushed: bool,
    last: bool,
}

impl Correlator {
    /// With the gateways that the user named (any port where none is given).
    pub fn new(named: Vec<(IpAddr, Option<u16>)>, limits: Limits) -> Correlator {
        Correlator {
            roles: Roles::new(named),
            legs: HashMap::default(),
            undecided: BTreeMap::new(),
            undecided_conduits: Vec::new(),
            outer: BTreeSet::new(),
            inner: HashMap::default(),
            requests: Requests::default(),
            visits: Visits::default(),
            starts: BTreeSet::new(),
            tunnels: BTreeMap::new(),
            blind: BTreeMap::new(),
            lost: BTreeMap::new(),
            learned: Learned::default(),
            due: BTreeSet::new(),
            waiters: BTreeMap::new(),
            missed_out: BTreeMap::new(),
            stale: BTreeSet::new(),
            parents_of: BTreeMap::new(),
            epoch: 0,
            weighed: RefCell::default(),
            limits,
            now: Ts(i64::MIN),
            ticked: Ts(i64::MIN),
            held: None,
            flushed: false,
            last: false,
        }
    }

    /// Something was seen. Pairs that are now beyond change go to `out`.
    pub fn push(&mut self, seen: Seen, out: &mut Vec<Pair>) {
        if let Some((id, at)) = lost(&seen) {
            self.lost(id, at);
        }
        match seen {
            Seen::Asked(exchange) => self.asked(*exchange),
            Seen::Answering(id, response) => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.response = Some(*response);
                    self.visits.learn(leg);
                    if leg.request.is_none() {
                        self.blind_spot(id);
                    }
                    self.changed(id);
                }
            }
            Seen::Answered(id, answer) => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.answer(*answer);
                    if let Some(Some(names)) = leg.names.last()
                        && self.roles.role(leg.peers.server).upstream
                    {
                        self.learned.list(leg.peers.server, names);
                    }
                    self.visits.learn(leg);
                    self.changed(id);
                }
            }
            Seen::Done(id, answered) => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.done = Some(answered);
                    self.changed(id);
                    let ended = self.done(id);
                    self.settle_one(ended, out);
                    self.settle_flushed(out);
                }
            }
            Seen::Missed(id, gap) => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.missed.get_or_insert(gap);
                }
            }
            Seen::Unseen(conduit) => self.blind_to(Arc::new(*conduit)),
            // A word between the streams and the joiner.
            Seen::Resumable(_) => {}
            Seen::Conduit(conduit) => {
                self.conduit(Arc::new(*conduit));
                self.settle_flushed(out);
            }
        }
        if self.legs.len() > self.limits.open_exchanges {
            self.make_room(out);
        }
    }

    /// A role was found: pairs that only waited for that are ready at once, whenever the next timer is due.
    fn settle_flushed(&mut self, out: &mut Vec<Pair>) {
        if std::mem::take(&mut self.flushed) {
            self.settle(out);
        }
    }

    /// Packet time has passed. `held` is the time of the earliest byte that is held back behind a hole.
    pub fn tick(&mut self, now: Ts, held: Option<Ts>, out: &mut Vec<Pair>) {
        let released = held != self.held;
        // Not since `now`, which requests move too: on a busy gateway they come more often than timers.
        let due = now.since(self.ticked) >= TICK;
        self.held = held;
        if due || released && !self.due.is_empty() {
            self.ticked = now;
            self.now = self.now.max(now);
            self.settle(out);
        }
    }

    /// Nothing more will come.
    pub fn finish(&mut self, out: &mut Vec<Pair>) {
        self.last = true;
        self.held = None;
        if self.roles.finish(self.legs.values().filter(|leg| leg.done.is_none())) {
            self.flush();
        }
        self.due = self.requests.keys().copied().collect();
        self.settle(out);
    }

    /// The gateways found so far, in address order.
    pub fn gateways(&self) -> Vec<Gateway> {
        self.roles.gateways()
    }

    /// Exchanges and connections held.
    pub fn open(&self) -> usize {
        self.legs.len()
    }

    fn asked(&mut self, exchange: Exchange) {
        let leg = Leg::new(exchange);
        if leg.asked == Asked::Other && leg.request.is_some() {
            return;
        }
        self.now = self.now.max(leg.last().ts);
        let (id, server) = (leg.id, leg.peers.server);
        let readable = leg.asked != Asked::Other;
        if readable {
            self.roles.asked(&leg);
        }
        self.legs.insert(id, leg);
        if !readable {
            return;
        }
        if self.legs.get(&id).is_some_and(|leg| leg.asked == Asked::Authorization) {
            // An authorization server is nobody's upstream: its role need not be found.
            self.route(id);
            return;
        }
        self.undecided.entry(server).or_default().push(id);
        if self.roles.role(server).known() {
            self.flush();
        }
    }

    /// An exchange shows that packets were lost, at any time since it began.
    fn lost(&mut self, id: ExId, at: Option<Ts>) {
        let leg = self.legs.get(&id).map(|leg| (leg.start().ts, leg.peers.server));
        let (start, server) = (leg.map(|(start, _)| start), leg.map(|(_, server)| server));
        let Some(until) = at.or(start) else { return };
        let (last, _) = self.lost.entry((start.map_or(until, |start| start.min(until)), id)).or_insert((until, server));
        *last = until.max(*last);
        if self.lost.len() > BLIND {
            self.lost.pop_first();
        }
    }

    /// An answer to a request that was not seen.
    fn blind_spot(&mut self, id: ExId) {
        let Some(leg) = self.legs.get(&id) else { return };
        let at = leg.start();
        let conduit = Conduit { peers: leg.peers.clone(), id, start: at, last: at, close: None, kind: ConduitKind::Unknown };
        let before = matches!(leg.asked, Asked::Unreadable(Gap { cause: Cause::Before, .. }));
        if before {
            // Nothing seen has caused it. But it may have caused what was seen until now.
            if !self.roles.role(leg.peers.server).upstream {
                self.lost.insert((Ts(i64::MIN), id), (at.ts, Some(leg.peers.server)));
            }
            return;
        }
        if leg.asked == Asked::Other {
            self.legs.remove(&id);
        }
        self.blind_to(Arc::new(conduit));
    }

    fn blind_to(&mut self, conduit: Arc<Conduit>) {
        self.lost.insert((conduit.start.ts, conduit.id), (conduit.last.ts, Some(conduit.peers.server)));
        self.blind.insert((conduit.start.ts, conduit.id), conduit);
        if self.blind.len() > BLIND {
            self.blind.pop_first();
        }
    }

    /// Gives exchanges their side, once it is known what their server is.
    fn flush(&mut self) {
        let known: Vec<Addr> = self.undecided.keys().copied().filter(|at| self.roles.role(*at).known()).collect();
        let mut ready: Vec<ExId> = known.iter().filter_map(|at| self.undecided.remove(at)).flatten().collect();
        ready.sort_by_key(|id| self.legs.get(id).map(|leg| (leg.start(), leg.id)));
        for id in ready {
            self.route(id);
        }
        let conduits = std::mem::take(&mut self.undecided_conduits);
        for conduit in conduits {
            self.conduit(conduit);
        }
    }

    fn route(&mut self, id: ExId) {
        let Some(leg) = self.legs.get(&id) else { return };
        let (role, authorization) = (self.roles.role(leg.peers.server), leg.asked == Asked::Authorization);
        if role.relay {
            self.outer.insert(id);
            return;
        }
        if role.upstream && self.passed_on(id) {
            return;
        }
        if role.gateway && !authorization {
            self.alias(id);
            self.begin_request(id);
        }
        let Some(leg) = self.legs.get(&id) else { return };
        if role.upstream || authorization && !role.gateway {
            let visit = self.visits.attach(leg);
            self.learned.asked(leg);
            if let Some(visit) = self.visits.open.get(&visit) {
                self.starts.insert((visit.start.ts, visit.id));
                self.stale.insert(visit.id);
            }
            for names in leg.names.iter().flatten() {
                self.learned.list(leg.peers.server, names);
            }
        }
    }

    /// A relay on the far side passes the gateway's own request on: its leg is another name of the gateway's.
    fn passed_on(&mut self, id: ExId) -> bool {
        let Some(leg) = self.legs.get(&id) else { return false };
        let server = leg.peers.server;
        let first = self.legs.values().filter(|own| {
            own.id != id
                && self.roles.stands_before(own.peers.server, server)
                && self.roles.role(own.peers.server).upstream
                && hop::same_request(own, leg)
        });
        let Some(own) = first.map(|own| (own.start(), own.id)).max() else { return false };
        self.inner.insert(id, own.1);
        true
    }

    /// Outer legs of a request give it further names.
    fn alias(&mut self, id: ExId) {
        let Some(leg) = self.legs.get(&id) else { return };
        let server = leg.peers.server;
        let outer = self.outer.iter().filter_map(|outer| self.legs.get(outer)).filter(|outer| {
            !self.inner.contains_key(&outer.id) && self.roles.relays(outer.peers.server, server) && hop::same_request(outer, leg)
        });
        // The latest that fits: a pooled connection serves many clients one after the other.
        let Some(outer) = outer.map(|outer| (outer.start(), outer.id)).min() else { return };
        let Some(outer) = self.legs.get(&outer.1).cloned() else { return };
        self.inner.insert(outer.id, id);
        if let Some(leg) = self.legs.get_mut(&id) {
            let peers = outer.peers.clone();
            leg.outer = Some(Arc::new(outer));
            leg.peers.client_aliases.push(peers.client);
            leg.peers.client_aliases.extend(peers.client_aliases);
            leg.peers.server_aliases.push(peers.server);
            leg.peers.server_aliases.extend(peers.server_aliases);
        }
    }

    fn begin_request(&mut self, id: ExId) {
        let Some(leg) = self.legs.get(&id) else { return };
        let elements = match &leg.asked {
            // A batch is one request on the wire and as many as it has requests for the one who waits (MCP 2025-03-26).
            Asked::Rpc(asks) if asks.len() > 1 => {
                let requests: Vec<usize> =
                    (0..asks.len()).filter(|n| asks.get(*n).is_some_and(|ask| ask.kind == AskKind::Request)).collect();
                if requests.is_empty() { vec![0] } else { requests }
            }
            _ => vec![0],
        };
        let (start, gateway) = (leg.start(), leg.peers.server);
        let (end, left, unseen) = (leg.done.map(|done| done.last), left(leg), leg.request.is_none());
        for element in elements {
            let key = (start, id, element);
            let request = Request { id, element, gateway, start, end, left, unseen, waits_for: None, look_at: component::ANYTIME };
            if let Some(leg) = self.legs.get(&id) {
                self.requests.insert(key, request, leg);
            }
            if end.is_some() {
                self.due.insert(key);
            }
        }
        self.meet(id);
        // What was seen of a request behind a hole may come after what it caused.
        let later = self.starts.range((start.ts, VisitId(0))..).map(|(_, visit)| *visit);
        self.stale.extend(later);
    }

    /// An exchange is over. Returns the requests that are over with it.
    fn done(&mut self, id: ExId) -> Vec<Key> {
        let Some(leg) = self.legs.get(&id) else { return Vec::new() };
        if leg.asked == Asked::Other {
            self.legs.remove(&id);
            return Vec::new();
        }
        self.now = self.now.max(leg.last().ts);
        if self.roles.done(leg) {
            self.flushed = true;
            self.flush();
        }
        let Some(leg) = self.legs.get(&id) else { return Vec::new() };
        if let Some(inner) = self.inner.get(&id).and_then(|inner| self.legs.get(inner))
            && inner.done.is_some()
            && !hop::same_answer(leg, inner)
            && self.outer.contains(&id)
        {
            // Passed on alike, answered otherwise: this hop changes what matters, it is the gateway.
            self.roles.differs(leg.peers.server, inner.peers.server);
        }
        let (start, end, left) = (leg.start(), leg.done.map(|done| done.last), left(leg));
        let keys: Vec<Key> = self.requests.of_exchange(start, id).collect();
        for key in &keys {
            if let Some(request) = self.requests.get_mut(key) {
                request.end = end;
                request.left = left;
                self.due.insert(*key);
            }
        }
        let inner = self.inner.remove(&id);
        if self.outer.remove(&id) || inner.is_some() {
            let outer = self.legs.remove(&id);
            let inner = inner.and_then(|inner| self.legs.get_mut(&inner));
            if let Some(known) = inner.and_then(|inner| inner.outer.as_mut()).filter(|known| known.id == id) {
                *known = outer.map_or_else(|| Arc::clone(known), Arc::new);
            }
        }
        keys
    }

    fn conduit(&mut self, conduit: Arc<Conduit>) {
        let at = conduit.peers.server;
        // A connection whose beginning was seen and that never spoke, or failed to: it has a verdict of its own.
        let failed = match &conduit.kind {
            ConduitKind::NoData => conduit.close.is_some_and(failure),
            ConduitKind::Tls { failed, .. } => failed.is_some(),
            ConduitKind::Unknown => false,
        };
        self.now = self.now.max(conduit.last.ts);
        if self.tunnels.remove(&conduit.id).is_none() && self.roles.conduit(&conduit.peers) {
            self.flushed = true;
            self.flush();
        }
        if failed {
            if let Some(id) = self.visits.conduit(conduit.clone()) {
                self.starts.insert((conduit.start.ts, id));
                self.stale.insert(id);
            }
        } else if !matches!(conduit.kind, ConduitKind::NoData) && !self.roles.role(at).gateway {
            self.tunnels.insert(conduit.id, conduit);
        }
    }

    /// Memory follows what is open: where too much is, the oldest pairs are closed with what is known.
    fn make_room(&mut self, out: &mut Vec<Pair>) {
        let spare = self.limits.open_exchanges / 8;
        let oldest: Vec<_> = self.requests.keys().copied().take(spare.max(1)).collect();
        if oldest.is_empty() {
            // Nothing is paired at all: exchanges with servers of which nothing will be known.
            for ids in std::mem::take(&mut self.undecided).into_values() {
                for id in ids.into_iter().take(spare) {
                    self.legs.remove(&id);
                }
            }
        }
        for key in oldest {
            self.close(key, true, out);
        }
        self.sweep();
    }

    /// Visits that no request can be the parent of, and that are over, are nobody's: the gateway's own errands.
    fn sweep(&mut self) {
        let first = self.requests.keys().next().map_or(Ts::MAX, |key| key.0.ts);
        let horizon = first.min(self.held.unwrap_or(Ts::MAX)).min(self.now);
        let old: Vec<(Ts, VisitId)> = self.starts.range(..(horizon, VisitId(0))).copied().collect();
        for (start, id) in old {
            let over = self.visits.open.get(&id).is_none_or(|visit| self.is_over(visit));
            let idle = self.now.since(start) > IDLE;
            if (over && self.now.since(start) > LINGER) || idle {
                self.starts.remove(&(start, id));
                if let Some(visit) = self.take(id) {
                    self.drop_legs(&visit.legs);
                }
            }
        }
        self.blind.retain(|_, spot| spot.last.ts >= horizon - LINGER);
        // Who waited for a request that is gone has been woken, or will be by time.
        let requests = &self.requests;
        self.waiters.retain(|key, _| requests.get(key).is_some());
        self.lost.retain(|_, (last, _)| *last >= horizon - LINGER);
        let now = self.now;
        self.tunnels.retain(|_, tunnel| tunnel.close.is_none() || tunnel.last.ts >= horizon || now.since(tunnel.last.ts) < LINGER);
    }

    fn drop_legs(&mut self, ids: &[ExId]) {
        for id in ids {
            if let Some(leg) = self.legs.get(id) {
                self.visits.forget(leg);
                let both = self.roles.role(leg.peers.server).gateway && self.requests.of_exchange(leg.start(), *id).next().is_some();
                if leg.done.is_some() && !both {
                    self.legs.remove(id);
                }
            }
        }
    }

    fn is_over(&self, visit: &visit::Visit) -> bool {
        visit.legs.iter().filter_map(|id| self.legs.get(id)).all(|leg| leg.done.is_some() || leg.asked == Asked::Stream)
    }
}

/// Whether a connection that carried nothing failed, rather than was given up by its opener.
fn failure(close: crate::tcp::Close) -> bool {
    use crate::tcp::Close;
    match close {
        Close::Refused | Close::Unanswered => true,
        Close::Reset(dir) => dir == crate::base::Dir::BtoA,
        Close::Finished | Close::Reused | Close::Idle | Close::Evicted | Close::CaptureEnd => false,
    }
}

/// Whether something that was seen shows that packets of its exchange were lost, and up to when.
fn lost(seen: &Seen) -> Option<(ExId, Option<Ts>)> {
    let is_lost = |gap: &Gap| gap.cause == Cause::Lost;
    match seen {
        Seen::Asked(exchange) => {
            let at = exchange.request.as_ref().map(|request| request.last.ts);
            matches!(&exchange.asked, Asked::Unreadable(gap) if is_lost(gap)).then_some((exchange.id, at))
        }
        Seen::Missed(id, gap) => is_lost(gap).then_some((*id, None)),
        Seen::Done(id, done) => {
            let gap = if let End::Unseen(gap) = &done.end { Some(gap) } else { done.unread.as_ref() };
            gap.is_some_and(is_lost).then_some((*id, Some(done.last.ts)))
        }
        _ => None,
    }
}

/// Answers to unseen requests remembered, and times of loss.
const BLIND: usize = 4_096;
/// How often timers are looked at, nanoseconds of packet time.
const TICK: i64 = 20_000_000;
/// How long the gateway may go on working for a client that left, nanoseconds of packet time.
const LINGER: i64 = 5_000_000_000;
/// After this long a visit that is not over is given up, nanoseconds of packet time.
const IDLE: i64 = 600_000_000_000;
