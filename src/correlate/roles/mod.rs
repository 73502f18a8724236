//! Which side is which: the listening address at which client requests change into upstream requests is a gateway.
//!
//! Nothing is asked of the user. For every pair of servers (A, B) this counts how often a request to B ran from beginning to end
//! within one to A, opened by a host that could be A's own. Requests that pass A unchanged make it a relay, not a gateway.
//! Servers that one gateway asks side by side contain each other by chance: what a gateway before both explains is no hop.

mod decide;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use super::hop::{Hop, Open, identity, is_at, same_host};
use super::{Gateway, Leg};
use crate::base::{Addr, Cause, ExId, Gap, Stamp};
use crate::mcp::{Asked, Peers};

/// What an address was found to be. An address may be gateway and upstream at once (a chain of gateways).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Role {
    /// Client requests change here.
    pub gateway: bool,
    /// A gateway sends requests here.
    pub upstream: bool,
    /// Passes requests on to a gateway unchanged.
    pub relay: bool,
}

impl Role {
    /// Whether anything is known of it.
    pub(super) fn known(self) -> bool {
        self.gateway || self.upstream || self.relay
    }
}

/// Learns roles from traffic.
#[derive(Debug, Default)]
pub(super) struct Roles {
    servers: BTreeMap<Addr, Server>,
    hops: BTreeMap<(Addr, Addr), Hop>,
    named: Vec<(IpAddr, Option<u16>)>,
    /// Requests that are over, the latest last: one that began before them may be told of only now.
    over: VecDeque<(Peers, Open)>,
    /// Times that a decision was sought.
    looks: u64,
    /// Times that a role or where a gateway leads was found out.
    epoch: u64,
}

/// A server's open requests, as far as roles need them.
#[derive(Debug, Default)]
struct Server {
    open: Vec<Open>,
    aliases: Vec<Addr>,
    requests: u64,
    opaque: bool,
    /// Requests to it were opened by the very address of a server that was being asked.
    owned: bool,
    role: Role,
    software: Option<String>,
}

impl Roles {
    /// With the gateways that the user named.
    pub(super) fn new(named: Vec<(IpAddr, Option<u16>)>) -> Roles {
        Roles { named, ..Roles::default() }
    }

    /// The user names other gateways. What is named no longer has to show again what it is.
    pub(super) fn name(&mut self, named: Vec<(IpAddr, Option<u16>)>) {
        let before: Vec<Addr> = self.servers.keys().copied().filter(|at| self.is_named(*at)).collect();
        self.named = named;
        for at in before.into_iter().filter(|at| !self.is_named(*at)).collect::<Vec<_>>() {
            self.set(at, |role| role.gateway = false);
        }
        self.epoch += 1;
    }

    /// A request to a server began.
    pub(super) fn asked(&mut self, leg: &Leg) {
        let within = self.around(leg.peers.server);
        let (mut owned, mut asked) = (false, false);
        for a in within.iter().map(|(a, _)| *a).collect::<std::collections::BTreeSet<_>>() {
            let own = self.servers.get(&a).is_some_and(|server| is_at(a, &server.aliases, &leg.peers));
            let hop = self.hops.entry((a, leg.peers.server)).or_default();
            hop.begun += 1.0;
            hop.opened |= own;
            owned |= own;
            // Where the gateway is known by an address of its own, whatever it asks is upstream from the first request on.
            asked |= own && !a.ip().is_loopback() && self.role(a).gateway;
        }
        let open = Open {
            id: leg.id,
            start: leg.start(),
            client: leg.peers.client.ip(),
            identity: identity(leg),
            credential: leg.credential(),
            within,
            stream: leg.asked == Asked::Stream,
        };
        let server = self.servers.entry(leg.peers.server).or_default();
        server.requests += 1;
        self.epoch += u64::from(owned && !server.owned);
        server.owned |= owned;
        if asked && server.role == Role::default() {
            server.role.upstream = true;
            self.epoch += 1;
        }
        for alias in &leg.peers.server_aliases {
            if !server.aliases.contains(alias) {
                server.aliases.push(*alias);
            }
        }
        if !matches!(leg.asked, Asked::Authorization | Asked::Other) {
            // Of a request that was lost nobody knows since when it was open; one from before the capture was open all the time.
            if leg.request.is_some() || matches!(leg.asked, Asked::Unreadable(Gap { cause: Cause::Before, .. })) {
                self.told_late(leg.peers.server, &open);
            }
            let server = self.servers.entry(leg.peers.server).or_default();
            server.open.push(open);
            if server.open.len() > OPEN {
                server.open.remove(0);
            }
        }
    }

    /// A request is told of when its body is whole. A gateway may act on the head alone, and be done before the rest comes: what it asked
    /// meanwhile is inside this request as well.
    fn told_late(&mut self, a: Addr, outer: &Open) {
        if outer.stream {
            return;
        }
        let Some(aliases) = self.servers.get(&a).map(|server| server.aliases.clone()) else { return };
        for (b, server) in self.servers.iter_mut().filter(|(b, _)| **b != a) {
            for inner in server.open.iter_mut().rev().take(AROUND).filter(|inner| inner.start > outer.start) {
                inner.within.push((a, outer.id));
                let hop = self.hops.entry((a, *b)).or_default();
                hop.begun += 1.0;
                hop.opened |= inner.is_from(a, &aliases);
                server.owned |= hop.opened;
            }
        }
        let inside = |(peers, inner): &&(Peers, Open)| {
            peers.server != a && inner.start > outer.start && !inner.within.iter().any(|(at, _)| *at == a)
        };
        for (peers, inner) in self.over.iter().filter(inside) {
            let hop = self.hops.entry((a, peers.server)).or_default();
            let own = is_at(a, &aliases, peers);
            if let Some(server) = self.servers.get_mut(&peers.server) {
                server.owned |= own;
            }
            hop.outside = (hop.outside - 1.0).max(0.0);
            hop.begun += 1.0;
            hop.opened |= own;
            hop.count(own, same_host(a, &aliases, peers), inner, &[outer]);
            self.epoch += 1;
        }
    }

    /// Requests open at all other servers.
    fn around(&self, at: Addr) -> Vec<(Addr, ExId)> {
        let others = self.servers.iter().filter(|(other, _)| **other != at);
        others
            .flat_map(|(other, server)| server.open.iter().rev().filter(|open| !open.stream).take(AROUND).map(|open| (*other, open.id)))
            .collect()
    }

    /// A connection without readable HTTP was made to a server.
    pub(super) fn conduit(&mut self, peers: &Peers) -> bool {
        let within = self.around(peers.server);
        let (id, start, client) = (ExId::default(), Stamp::default(), peers.client.ip());
        self.weigh(peers, &Open { id, start, client, identity: None, credential: None, within, stream: false }, true);
        self.servers.entry(peers.server).or_default().opaque = true;
        self.decide(false)
    }

    /// A request is over. Returns whether a role changed.
    pub(super) fn done(&mut self, leg: &Leg) -> bool {
        let Some(server) = self.servers.get_mut(&leg.peers.server) else { return false };
        if server.software.is_none() {
            server.software = leg.response.as_ref().and_then(|response| response.head.server.clone());
        }
        let Some(at) = server.open.iter().position(|open| open.id == leg.id) else { return false };
        let open = server.open.remove(at);
        // A stream that was refused is a request like any other: with the legacy transport (MCP 2024-11-05) it is the first.
        if !open.stream || leg.status().is_some_and(|status| status >= 400) {
            self.weigh(&leg.peers, &open, false);
            self.over.push_back((leg.peers.clone(), open));
            if self.over.len() > AROUND {
                self.over.pop_front();
            }
        }
        self.decide(false)
    }

    /// A request that was passed on unchanged came back otherwise: the hop is no mere relay.
    pub(super) fn differs(&mut self, a: Addr, b: Addr) {
        if let Some(hop) = self.hops.get_mut(&(a, b)) {
            hop.differ += 1.0;
            self.epoch += 1;
        }
    }

    /// Nothing more will come: `open` requests never ended. Decides on what there is.
    pub(super) fn finish<'a>(&mut self, open: impl Iterator<Item = &'a Leg>) -> bool {
        let mut open: Vec<&Leg> = open.collect();
        open.sort_by_key(|leg| (leg.start(), leg.id));
        for leg in open {
            let Some(server) = self.servers.get(&leg.peers.server) else { continue };
            if let Some(open) = server.open.iter().find(|open| open.id == leg.id).cloned() {
                self.weigh(&leg.peers, &open, true);
            }
        }
        self.decide(true)
    }

    /// Whether `b` stands behind the upstream server `a` and only gets what `a` was asked. Servers that are asked side by side get much that
    /// is equal: it takes more than one request to tell.
    pub(super) fn stands_before(&self, a: Addr, b: Addr) -> bool {
        self.hops.get(&(a, b)).is_some_and(|hop| hop.is_relay() && hop.seen >= SEVERAL && hop.crossed == 0.0) && !self.is_chance(a, b)
    }

    /// Changes whenever there is more to know of roles or of where a gateway leads.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What an address is.
    pub(super) fn role(&self, at: Addr) -> Role {
        self.servers.get(&at).map(|server| server.role).unwrap_or_default()
    }

    /// Whether requests to `b` can be caused by requests to gateway `a`.
    pub(super) fn leads(&self, a: Addr, b: Addr) -> bool {
        a != b && self.hops.get(&(a, b)).is_some_and(|hop| hop.inside > 0.0 || hop.opened) && !self.relays(a, b) && !self.is_chance(a, b)
    }

    /// Whether `a` only passes requests on to `b`.
    pub(super) fn relays(&self, a: Addr, b: Addr) -> bool {
        // What the user calls a gateway is one, even where it passes the client's words on as they are.
        !self.is_named(a) && self.hops.get(&(a, b)).is_some_and(Hop::is_relay) && !self.is_chance(a, b)
    }

    /// Whether a connection with these ends may have been opened by the host of `gateway`.
    pub(super) fn of_host(&self, gateway: Addr, peers: &Peers) -> bool {
        let aliases = self.servers.get(&gateway).map(|server| server.aliases.as_slice()).unwrap_or_default();
        same_host(gateway, aliases, peers)
    }

    /// The gateways, in address order.
    pub(super) fn gateways(&self) -> Vec<Gateway> {
        let found = self.servers.iter().filter(|(_, server)| server.role.gateway);
        found.map(|(at, server)| self.describe(*at, server)).collect()
    }

    fn describe(&self, at: Addr, server: &Server) -> Gateway {
        let onward = |opaque: bool| {
            let to = self.hops.range((at, Addr::MIN)..).take_while(|((a, _), _)| *a == at);
            let to = to.filter(|((_, b), hop)| {
                hop.inside > 0.0 && !self.is_chance(at, *b) && !self.role(*b).gateway && self.opaque_only(*b) == opaque
            });
            to.filter(|((_, b), _)| opaque || self.role(*b).upstream).map(|((_, b), _)| *b).collect::<Vec<_>>()
        };
        let relays = self.hops.keys().filter(|(a, b)| *b == at && self.role(*a).relay).map(|(a, _)| *a).collect();
        let upstreams = onward(false);
        let opaque = onward(true);
        let inside: f64 = self.hops.iter().filter(|((a, _), _)| *a == at).map(|(_, hop)| hop.seen).sum();
        let how = if self.is_named(at) {
            "named with --gateway".to_owned()
        } else {
            let plural = |n: u64| if n == 1 { "request" } else { "requests" };
            let made = inside as u64;
            let requests = server.requests;
            format!("{requests} {} to it; while open, {made} {} from its host to other servers", plural(requests), plural(made))
        };
        Gateway {
            listen: at,
            named: self.is_named(at),
            upstreams,
            opaque,
            relays,
            downstream: server.requests,
            upstream: inside as u64,
            how,
            software: server.software.clone(),
        }
    }

    fn opaque_only(&self, at: Addr) -> bool {
        self.servers.get(&at).is_some_and(|server| server.opaque && server.requests == 0)
    }

    fn is_named(&self, at: Addr) -> bool {
        self.named.iter().any(|(ip, port)| *ip == at.ip() && port.is_none_or(|port| port == at.port()))
    }

    /// Counts one request (or connection) to a server against everything that was open elsewhere when it began. One that was never
    /// seen to end (`endless`) can't have outlived what was around it.
    fn weigh(&mut self, peers: &Peers, inner: &Open, endless: bool) {
        let to = peers.server;
        for (a, server) in &self.servers {
            if *a == to || server.requests == 0 {
                continue;
            }
            let begun = inner.within.iter().filter(|(at, _)| at == a).map(|(_, id)| *id);
            let begun: Vec<ExId> = begun.collect();
            let hop = self.hops.entry((*a, to)).or_default();
            if begun.is_empty() {
                hop.outside += if endless { 0.0 } else { 1.0 };
                continue;
            }
            let still: Vec<&Open> = server.open.iter().filter(|open| begun.contains(&open.id)).collect();
            if still.is_empty() && !endless {
                hop.crossed += 1.0;
                continue;
            }
            let before = (hop.inside > 0.0, hop.is_relay());
            hop.count(is_at(*a, &server.aliases, peers), same_host(*a, &server.aliases, peers), inner, &still);
            self.epoch += u64::from(before != (hop.inside > 0.0, hop.is_relay()));
        }
    }

    fn set(&mut self, at: Addr, change: impl FnOnce(&mut Role)) -> bool {
        let Some(server) = self.servers.get_mut(&at) else { return false };
        let before = server.role;
        change(&mut server.role);
        let changed = server.role != before;
        self.epoch += u64::from(changed);
        changed
    }
}

/// Open requests remembered for one server.
const OPEN: usize = 4_096;
/// Open requests of one server that a request elsewhere is counted against.
const AROUND: usize = 64;
/// Requests that show a relay on the far side.
const SEVERAL: f64 = 4.0;
