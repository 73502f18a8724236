//! A hop: what requests to one server have to do with those that were open at another when they began.

use std::net::IpAddr;

use super::Leg;
use crate::base::{Addr, ExId, Fingerprint, Stamp};
use crate::mcp::{Asked, Peers};

/// A request, as far as roles need it.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub id: ExId,
    pub start: Stamp,
    pub client: IpAddr,
    pub identity: Option<Identity>,
    pub credential: Option<Fingerprint>,
    /// Requests elsewhere that were open when this one began.
    pub within: Vec<(Addr, ExId)>,
    /// A GET that opens a stream: open for so long that what happens meanwhile says nothing.
    pub stream: bool,
}

/// What stays equal when a request is only passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    asked: Asked,
    method: String,
    credential: Option<Fingerprint>,
    session: Option<Fingerprint>,
}

/// How requests to A and to B relate.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hop {
    /// Weight of requests to B that ran inside one to A.
    pub inside: f64,
    /// Who asked B, is not at A, and had asked A itself: one who asks both side by side looks just so.
    pub beside: Option<IpAddr>,
    /// Requests to B that began inside one to A and outlived all that were open then.
    pub crossed: f64,
    /// Requests to B that began outside all to A, once A was known.
    pub outside: f64,
    /// Of those inside, how many were the same request.
    pub same: f64,
    /// Of all inside, without weights.
    pub seen: f64,
    /// The same request was answered differently on both sides.
    pub differ: f64,
    /// Opened by the very address at which A listens.
    pub own: f64,
    /// Requests to B that began while one to A was open, whether they are over or not.
    pub begun: f64,
    /// One of these was opened by the very address at which A listens.
    pub opened: bool,
}

impl Open {
    /// Whether it was opened by the very address that listens at `server`.
    pub(super) fn is_from(&self, server: Addr, aliases: &[Addr]) -> bool {
        std::iter::once(&server).chain(aliases).any(|at| at.ip() == self.client)
    }
}

impl Hop {
    /// Counts a request to B that ran inside these to A, opened from A's `own` address, or at least from its host.
    pub(super) fn count(&mut self, own: bool, near: bool, inner: &Open, around: &[&Open]) {
        let token = inner.credential.is_some() && around.iter().any(|open| open.credential == inner.credential);
        if !own && !around.is_empty() && around.iter().all(|open| open.client == inner.client) {
            self.beside = Some(inner.client);
        }
        self.inside += if own || near { 1.0 } else { ELSEWHERE } + if token { 1.0 } else { 0.0 };
        self.seen += 1.0;
        self.own += if own { 1.0 } else { 0.0 };
        if inner.identity.is_some() && around.iter().any(|open| open.identity == inner.identity) {
            self.same += 1.0;
        }
    }

    /// Whether A only passes requests on to B.
    pub(super) fn is_relay(&self) -> bool {
        self.same > 0.0 && self.same >= RELAY * self.seen && self.differ == 0.0
    }
}

/// Whether the opener of a connection has the very address that listens at `server`.
pub(super) fn is_at(server: Addr, aliases: &[Addr], peers: &Peers) -> bool {
    peers.clients().any(|client| std::iter::once(&server).chain(aliases).any(|at| at.ip() == client.ip()))
}

/// Whether the opener of a connection may live on the host that listens at `server`.
pub(super) fn same_host(server: Addr, aliases: &[Addr], peers: &Peers) -> bool {
    std::iter::once(&server).chain(aliases).any(|at| {
        let ip = at.ip();
        peers.clients().any(|client| client.ip() == ip || client.ip().is_loopback() && ip.is_loopback())
    })
}

/// What tells a request from others, as far as it says anything of its own.
pub(super) fn identity(leg: &Leg) -> Option<Identity> {
    let request = leg.request.as_ref()?;
    let telling = match &leg.asked {
        // A notification is the same wherever it is sent.
        Asked::Rpc(asks) => asks.iter().any(|ask| ask.id.is_some()),
        Asked::RestList(_) | Asked::RestCall => true,
        // These carry nothing of their own: only a session tells them apart.
        Asked::Stream | Asked::EndSession => request.head.common.session.is_some(),
        Asked::Authorization | Asked::Unreadable(_) | Asked::Other => false,
    };
    let head = &request.head;
    telling.then(|| Identity {
        asked: leg.asked.clone(),
        method: head.method.clone(),
        credential: leg.credential(),
        session: head.common.session,
    })
}

/// Whether two requests are one, passed on: same words, same credential, one inside the other.
pub(super) fn same_request(outer: &Leg, inner: &Leg) -> bool {
    let same = identity(outer).is_some_and(|outer| identity(inner) == Some(outer));
    same && outer.start() <= inner.start() && outer.done.is_none_or(|done| done.last >= inner.start())
}

/// Whether both sides were told the same: status class, and error or not.
pub(super) fn same_answer(outer: &Leg, inner: &Leg) -> bool {
    outer.status().map(|status| status / 100) == inner.status().map(|status| status / 100)
}

impl Leg {
    /// The credential that counts: `Authorization`.
    pub(super) fn credential(&self) -> Option<Fingerprint> {
        self.request.as_ref()?.head.credential.as_ref().map(|credential| credential.mark)
    }
}

/// Weight of a request from a host that does not look like the gateway's own: it may have several addresses.
pub(super) const ELSEWHERE: f64 = 0.25;
/// Share of equal requests from which a hop only relays.
const RELAY: f64 = 0.8;
