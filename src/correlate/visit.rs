//! The unit on the upstream side: a visit, the upstream exchanges of one logical call at one server.
//!
//! Probe, initialize, initialized, GET stream, the operation, DELETE. Gateways open a session for each client request or keep
//! one for many: so a session's further operations are visits of their own, tied to the one before.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::Leg;
use crate::base::{Addr, ConnId, ExId, Fingerprint, Stamp, Ts};
use crate::mcp::{Ask, AskKind, Asked, Conduit, Outcome};

/// A visit's name: in order of first sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct VisitId(pub u64);

/// Upstream exchanges with one parent.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub id: VisitId,
    pub server: Addr,
    pub legs: Vec<ExId>,
    pub start: Stamp,
    /// When the gateway turned to the server: a connection opened for this visit is older than its first byte.
    pub turned: Ts,
    /// The operation: what was wanted of the server, where it got that far.
    pub op: Option<ExId>,
    /// Its session, once the server has named one.
    pub session: Option<Fingerprint>,
    /// Whose it is, by its first exchange.
    pub credential: Option<Fingerprint>,
    /// The server refused before it came to an operation: nothing more belongs to it but its end.
    pub refused: bool,
    /// The visit before this one in the same session.
    pub before: Option<VisitId>,
    /// How the gateway speaks here: its probe and its sessions do not stand in for each other.
    pub voice: u64,
    /// Instead of legs: a connection without readable HTTP.
    pub conduit: Option<Arc<Conduit>>,
    /// OAuth and the like: never judged, only shown.
    pub errand: bool,
    /// What it says of the gateway's ways was learned.
    pub watched: bool,
    /// What it says of whose credential it carries was learned.
    pub taught: bool,
    /// What it says of the gateway's pace was learned.
    pub paced: bool,
}

/// All visits that have no parent yet, and where further exchanges belong.
#[derive(Debug, Default)]
pub(super) struct Visits {
    pub open: BTreeMap<VisitId, Visit>,
    of_leg: HashMap<ExId, VisitId, Hasher>,
    sessions: HashMap<(Addr, Fingerprint), VisitId, Hasher>,
    of_conn: HashMap<ConnId, VisitId, Hasher>,
    conduits: HashMap<ExId, VisitId, Hasher>,
    next: u64,
}

pub(super) type Hasher = foldhash::fast::RandomState;

impl Visits {
    /// Finds or opens the visit that an upstream exchange belongs to.
    pub(super) fn attach(&mut self, leg: &Leg) -> VisitId {
        let at = leg.peers.server;
        let session = self.session_of(leg);
        let known = session.and_then(|session| self.sessions.get(&(at, session))).copied();
        let operation = is_operation(leg);
        let id = match known {
            Some(id) if operation => match self.open.get(&id) {
                // The first operation of a session, or its list's next page: the same visit goes on.
                Some(visit) if visit.op.is_none() || next_page(leg) => id,
                _ => self.begin(leg, Some(id)),
            },
            Some(id) => id,
            None => match self.sessionless(leg, operation) {
                Some(id) => id,
                None => self.begin(leg, None),
            },
        };
        if let Some(session) = session {
            self.sessions.insert((at, session), id);
        }
        if let Some(visit) = self.open.get_mut(&id) {
            visit.legs.push(leg.id);
            if operation {
                visit.op = Some(leg.id);
            }
        }
        self.of_leg.insert(leg.id, id);
        self.of_conn.insert(leg.id.conn, id);
        self.learn(leg);
        id
    }

    /// An answer may name the session.
    pub(super) fn learn(&mut self, leg: &Leg) {
        let Some(id) = self.of_leg.get(&leg.id).copied() else { return };
        let given = leg.response.as_ref().and_then(|response| response.head.common.session);
        let endpoints = leg.answers.iter().filter_map(|answer| match &answer.outcome {
            Outcome::Endpoint { path_mark, query } => Some(query.last().map_or(*path_mark, |(_, value)| *value)),
            _ => None,
        });
        for session in given.into_iter().chain(endpoints) {
            self.sessions.entry((leg.peers.server, session)).or_insert(id);
            if let Some(visit) = self.open.get_mut(&id) {
                visit.session = Some(session);
            }
        }
        if let Some(visit) = self.open.get_mut(&id).filter(|visit| visit.op.is_none()) {
            visit.refused |= begins_visit(leg) && leg.status().is_some_and(|status| status >= 400);
        }
    }

    /// A connection without readable HTTP is a visit of its own.
    pub(super) fn conduit(&mut self, conduit: Arc<Conduit>) -> Option<VisitId> {
        if let Some(id) = self.conduits.get(&conduit.id) {
            let visit = self.open.get_mut(id)?;
            visit.conduit = Some(conduit);
            return Some(*id);
        }
        let id = self.fresh();
        self.conduits.insert(conduit.id, id);
        let visit = Visit {
            id,
            server: conduit.peers.server,
            legs: Vec::new(),
            start: conduit.start,
            turned: conduit.start.ts,
            op: None,
            session: None,
            credential: None,
            refused: false,
            before: None,
            voice: CONDUIT,
            conduit: Some(conduit),
            errand: false,
            watched: false,
            taught: false,
            paced: false,
        };
        self.open.insert(id, visit);
        Some(id)
    }

    /// The visit that an exchange belongs to, if it is still open.
    pub(super) fn of(&self, leg: ExId) -> Option<VisitId> {
        self.of_leg.get(&leg).copied()
    }

    /// Takes a visit out, once it has found its parent. What follows in its session still knows it.
    pub(super) fn take(&mut self, id: VisitId) -> Option<Visit> {
        let visit = self.open.remove(&id)?;
        if let Some(conduit) = &visit.conduit {
            self.conduits.remove(&conduit.id);
        }
        Some(visit)
    }

    /// Forgets an exchange that is over.
    pub(super) fn forget(&mut self, leg: &Leg) {
        self.of_leg.remove(&leg.id);
        if let Some(id) = self.of_conn.get(&leg.id.conn).copied()
            && !self.open.contains_key(&id)
        {
            self.of_conn.remove(&leg.id.conn);
        }
        if leg.asked == Asked::EndSession
            && let Some(session) = self.session_of(leg)
        {
            self.sessions.remove(&(leg.peers.server, session));
        }
        if self.sessions.len() > SESSIONS {
            let open = &self.open;
            self.sessions.retain(|_, id| open.contains_key(id));
        }
    }

    fn session_of(&self, leg: &Leg) -> Option<Fingerprint> {
        let head = &leg.request.as_ref()?.head;
        let at = leg.peers.server;
        // Legacy HTTP+SSE names the session in the URL that the stream announced (MCP 2024-11-05).
        let in_url = head.query.iter().map(|(_, value)| *value).chain([head.path_mark]);
        head.common.session.or_else(|| in_url.into_iter().find(|value| self.sessions.contains_key(&(at, *value))))
    }

    /// Servers without sessions: what follows on the same connection, or under the same credential, while the operation is due.
    fn sessionless(&self, leg: &Leg, operation: bool) -> Option<VisitId> {
        if begins_visit(leg) || leg.asked == Asked::Authorization {
            return None;
        }
        let own = leg.request.as_ref().and_then(|request| request.head.common.session);
        let waiting = |id: &VisitId| {
            self.open.get(id).is_some_and(|visit| {
                // What names another session belongs to that one, though its beginning was not seen; and so does what names one where
                // the server has given none yet (MCP 2025-06-18, Session Management: it comes with the answer to `initialize`).
                let apart = own.is_some() && visit.session != own || differ(visit.credential, leg.credential());
                visit.op.is_none() && visit.server == leg.peers.server && !visit.errand && !visit.refused && !apart
            })
        };
        if let Some(id) = self.of_conn.get(&leg.id.conn).filter(|id| waiting(id)) {
            return Some(*id);
        }
        if operation || matches!(leg.asked, Asked::Stream) {
            return None;
        }
        self.open.iter().rev().take(NEAR).map(|(id, _)| *id).find(waiting)
    }

    fn begin(&mut self, leg: &Leg, before: Option<VisitId>) -> VisitId {
        let id = self.fresh();
        let visit = Visit {
            id,
            server: leg.peers.server,
            legs: Vec::new(),
            start: leg.start(),
            turned: turned(leg),
            op: None,
            session: None,
            credential: leg.credential(),
            refused: false,
            before,
            voice: voice(leg),
            conduit: None,
            errand: leg.asked == Asked::Authorization,
            watched: false,
            taught: false,
            paced: false,
        };
        self.open.insert(id, visit);
        id
    }

    fn fresh(&mut self) -> VisitId {
        self.next += 1;
        VisitId(self.next)
    }
}

/// Whether an exchange is what a visit is for, and not its preparation or its end.
pub(crate) fn is_operation(leg: &Leg) -> bool {
    match &leg.asked {
        Asked::Rpc(asks) => asks.iter().any(operates),
        Asked::RestList(_) | Asked::RestCall | Asked::Unreadable(_) => true,
        _ => false,
    }
}

fn operates(ask: &Ask) -> bool {
    ask.kind == AskKind::Request && !matches!(ask.method.as_deref(), Some("initialize" | "ping" | "server/discover" | "logging/setLevel"))
}

/// When the gateway turned to a server for this: where it opened a connection for it, then.
fn turned(leg: &Leg) -> Ts {
    let (start, opened) = (leg.start().ts, leg.peers.opened.filter(|_| leg.id.n == 0));
    opened.filter(|opened| (0..HANDSHAKE).contains(&start.since(*opened))).unwrap_or(start)
}

fn differ(one: Option<Fingerprint>, other: Option<Fingerprint>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one != other)
}

fn begins_visit(leg: &Leg) -> bool {
    leg.ask().is_some_and(|ask| matches!(ask.method.as_deref(), Some("initialize" | "server/discover")))
}

fn next_page(leg: &Leg) -> bool {
    leg.ask().is_some_and(|ask| ask.cursor.is_some())
}

/// LiteLLM's probe and its sessions come from different clients: their user agents differ.
fn voice(leg: &Leg) -> u64 {
    use std::hash::BuildHasher;
    let agent = leg.request.as_ref().and_then(|request| request.head.common.user_agent.as_deref());
    FixedState::with_seed(0).hash_one(agent)
}

/// The voice of connections without readable HTTP.
const CONDUIT: u64 = 0;
/// Sessions remembered for exchanges that come after their visit has been paired.
const SESSIONS: usize = 65_536;
/// A connection that carries its first request no later than this was opened for it, nanoseconds.
const HANDSHAKE: i64 = 1_000_000_000;
/// How far back a stray notification looks for its visit.
const NEAR: usize = 64;
