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
mod sides;
mod solve;
mod steer;
mod sweep;
mod unseen;
mod visit;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

pub use leg::Leg;
pub use pair::{Gateway, Link, Mark, Other, Pair, Rival};

use crate::base::{Addr, ExId, Limits, Ts};
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
        if let Some((id, at)) = unseen::lost(&seen) {
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

/// How often timers are looked at, nanoseconds of packet time.
const TICK: i64 = 20_000_000;
