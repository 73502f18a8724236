//! What speaks for and against a visit being a request's: log-likelihood ratios, weighed by how rare agreement is in the window.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::exchanged::Exchanged;
use super::names::{Names, is_prefixed, prefixes};
use super::pace::Paces;
use super::request::{Request, answer_to, ask_of, lists, names_to, texts};
use super::requests::{Requests, header_marks};
use super::visit::{Hasher, Visit, is_operation};
use super::{Leg, Mark};
use crate::base::{Addr, ExId, Fingerprint};
use crate::mcp::{Asked, Outcome};

/// What traffic has taught.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// Whether the client's credential goes on to a server from a kind of route.
    forwarding: BTreeMap<(Addr, Addr, bool), Forwarding>,
    /// Where a route led.
    routes: HashMap<(Addr, Fingerprint), Route, Hasher>,
    /// What gateways call their servers, with how often it was seen.
    aliases: HashMap<String, BTreeMap<Addr, u32>, Hasher>,
    /// Requests that a gateway has to ask somebody for, and those of them that caused nothing.
    idle: BTreeMap<Addr, (f64, f64)>,
    /// Names that a server's lists had.
    names: BTreeMap<Addr, HashSet<u64, Hasher>>,
    /// Credentials that a server was sent.
    sent: HashSet<(Addr, Fingerprint), Hasher>,
    /// Whose calls a credential is used for.
    pub exchanged: Exchanged,
    /// How long things take.
    pub paces: Paces,
}

#[derive(Clone, Copy, Debug, Default)]
struct Forwarding {
    equal: f64,
    absent: f64,
    differ: f64,
}

/// Requests of a route, and how many of them led to which server.
#[derive(Debug, Default)]
struct Route {
    requests: f64,
    servers: BTreeMap<Addr, f64>,
}

impl Learned {
    /// A server was asked.
    pub(super) fn asked(&mut self, leg: &Leg) {
        if let Some(credential) = leg.credential()
            && self.sent.len() < LEARNED
        {
            self.sent.insert((leg.peers.server, credential));
        }
    }

    /// Counts how the credential of a visit relates to those of the requests it may come from.
    pub(super) fn watch(&mut self, visit: &[&Leg], candidates: &[(&Request, &Leg)]) {
        let Some(first) = visit.first() else { return };
        let Some((request, leg)) = candidates.first() else { return };
        let key = (request.gateway, first.peers.server, is_rest(leg));
        let entry = self.forwarding.entry(key).or_default();
        let given = visit.iter().find_map(|leg| leg.credential());
        let sent = candidates.iter().any(|(_, leg)| all_credentials(leg).next().is_some());
        let equal = |given| candidates.iter().any(|(_, leg)| all_credentials(leg).any(|own| own == given));
        match given {
            Some(given) if equal(given) => entry.equal += 1.0,
            Some(_) if sent => entry.differ += 1.0,
            None if sent => entry.absent += 1.0,
            _ => {}
        }
    }

    /// A request is known to have led to these servers and no others.
    pub(super) fn led(&mut self, request: &Request, down: &Leg, servers: &BTreeSet<Addr>) {
        let Some(mark) = route_mark(down) else { return };
        if self.routes.len() >= LEARNED && !self.routes.contains_key(&(request.gateway, mark)) {
            return;
        }
        let route = self.routes.entry((request.gateway, mark)).or_default();
        route.requests += 1.0;
        for server in servers {
            *route.servers.entry(*server).or_default() += 1.0;
        }
    }

    /// A request that a gateway has to ask somebody for was paired.
    pub(super) fn closed(&mut self, gateway: Addr, idle: bool) {
        let (all, nothing) = self.idle.entry(gateway).or_default();
        *all += 1.0;
        *nothing += if idle { 1.0 } else { 0.0 };
    }

    /// How likely such a request is to cause nothing: the gateway answers from memory, or by itself.
    pub(super) fn idleness(&self, gateway: Addr) -> f64 {
        let (all, nothing) = self.idle.get(&gateway).copied().unwrap_or_default();
        (nothing + PRIOR) / (all + 1.0)
    }

    /// The names that a client got show what the gateway calls the server that gave them.
    pub(super) fn called(&mut self, request: &Request, down: &Leg, op: &Leg) {
        let list = |outcome: Option<&Outcome>| match outcome {
            Some(Outcome::Result { list: Some(list), .. }) => list.names.clone(),
            _ => Vec::new(),
        };
        let (got, gave) = (list(answer_to(down, request.element)), list(answer_to(op, 0)));
        for alias in prefixes(&got, &gave) {
            if self.aliases.len() < ALIASES || self.aliases.contains_key(alias) {
                *self.aliases.entry(alias.to_owned()).or_default().entry(op.peers.server).or_default() += 1;
            }
        }
    }

    /// Servers that a request names, in its path or its header, as far as their names are known.
    fn named(&self, down: &Leg) -> Vec<&BTreeMap<Addr, u32>> {
        let Some(request) = &down.request else { return Vec::new() };
        let head = &request.head;
        if !head.mcp_servers.is_empty() {
            // While one of them is unknown, any server may be it.
            let known: Option<Vec<_>> = head.mcp_servers.iter().map(|word| self.aliases.get(word)).collect();
            return known.unwrap_or_default();
        }
        head.path.split('/').filter_map(|word| self.aliases.get(word)).collect()
    }

    /// A server's list teaches its names, whoever asked for it.
    pub(super) fn list(&mut self, server: Addr, found: &Names) {
        if !found.is_empty() {
            let known = self.names.entry(server).or_default();
            if known.len() < NAMES {
                known.extend(found.whole());
            }
        }
    }

    /// Whether a route may lead to a server, as far as is known of the route.
    pub(super) fn reaches(&self, gateway: Addr, down: &Leg, server: Addr) -> bool {
        let route = route_mark(down).and_then(|mark| self.routes.get(&(gateway, mark)));
        route.is_none_or(|route| route.servers.contains_key(&server))
    }

    /// Whether it is known where a request's route leads.
    pub(super) fn knows(&self, request: &Request, down: &Leg) -> bool {
        let route = route_mark(down).and_then(|mark| self.routes.get(&(request.gateway, mark)));
        route.is_some_and(|route| route.requests >= SEVERAL) || !self.named(down).is_empty()
    }

    /// Evidence for `visit` being caused by `request`, strongest first. Containment and reachability are given.
    pub(super) fn weigh(&self, request: &Request, down: &Leg, visit: &Visit, legs: &[&Leg], crowd: &Requests) -> Vec<Mark> {
        let mut marks = Vec::with_capacity(8);
        let mut add = |word: &'static str, weight: f64| {
            if weight != 0.0 {
                marks.push(Mark { word, weight });
            }
        };
        self.credential(request, down, visit, legs, crowd, &mut add);
        let op = visit.op.and_then(|op| legs.iter().copied().find(|leg| leg.id == op));
        same_method(request, down, op, &mut add);
        self.content(request, down, visit, legs, op, &mut add);
        self.route(request, down, visit, &mut add);
        self.tool(request, down, visit, &mut add);
        headers(down, legs, crowd, &mut add);
        marks.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()));
        marks
    }

    fn credential(
        &self,
        request: &Request,
        down: &Leg,
        visit: &Visit,
        legs: &[&Leg],
        crowd: &Requests,
        add: &mut impl FnMut(&'static str, f64),
    ) {
        let seen = self.forwarding.get(&(request.gateway, visit.server, is_rest(down))).copied().unwrap_or_default();
        let all = seen.equal + seen.absent + seen.differ;
        let sends = all_credentials(down).next().is_some();
        // How likely this gateway is to do otherwise than to pass the client's own credential on.
        let otherwise = |count: f64| ((count + 0.3) / (all + 1.0)).ln().max(-FORBIDDING);
        match legs.iter().find_map(|leg| leg.credential()) {
            Some(given) if all_credentials(down).any(|own| own == given) => {
                add("token", 1.0 + crowd.rarity_of_credential(given));
            }
            Some(given) => {
                // Another client's credential can't be this one's. Nor does a gateway that passes this one's own on to a server use
                // another for it there.
                if self.exchanged.is_caller(given) || all_credentials(down).any(|own| self.sent.contains(&(visit.server, own))) {
                    add("token-differs", -FORBIDDING);
                } else if sends {
                    add("token-differs", otherwise(seen.differ));
                }
                if let Some(own) = caller(down) {
                    add("token-exchanged", self.exchanged.weight(given, own));
                }
            }
            None if sends && !legs.is_empty() => add("token-absent", otherwise(seen.absent)),
            None => {}
        }
    }

    fn content(
        &self,
        request: &Request,
        down: &Leg,
        visit: &Visit,
        legs: &[&Leg],
        op: Option<&Leg>,
        add: &mut impl FnMut(&'static str, f64),
    ) {
        let answer = answer_to(down, request.element);
        let upstream = op.and_then(|op| answer_to(op, 0));
        let listed = names_to(down, request.element);
        // A list may have come in pages: all of them together are what the visit gave, whatever became of the last.
        let pages: Vec<&Names> = legs.iter().filter(|leg| is_operation(leg)).filter_map(|leg| names_to(leg, 0)).collect();
        let gave: usize = pages.iter().map(|page| page.len()).sum();
        if let (Some(got), false) = (listed, pages.is_empty()) {
            if gave == 0 {
                // Says nothing in itself; but names of that server in the answer came from somewhere else.
                add("names-differ", if self.holds_names_of(visit.server, got) { -6.0 } else { 0.5 });
            } else if pages.iter().map(|page| got.shared(page)).sum::<usize>() * 2 >= gave {
                add("names", 4.0);
            } else {
                add("names-differ", -6.0);
            }
        } else if let Some(got) = listed
            && failed(visit, legs, op)
        {
            add("names-differ", if self.holds_names_of(visit.server, got) { -8.0 } else { 1.0 });
        }
        let (gave, got) = (texts(upstream), texts(answer));
        if gave.iter().any(|text| got.contains(text)) {
            add("content", 4.0);
        } else if !gave.is_empty() && matches!(answer, Some(Outcome::Result { .. })) {
            // A call's result is passed on or lost, not made up.
            add("content-differs", if got.is_empty() { -3.0 } else { -5.0 });
        } else if !got.is_empty() && failed(visit, legs, op) && !says_error(answer) {
            add("content-differs", -5.0);
        }
        if let (Some(Outcome::Error { .. } | Outcome::Refusal { .. }), true) = (answer, failed(visit, legs, op)) {
            add("failed-both", 1.5);
        }
    }

    fn holds_names_of(&self, server: Addr, got: &Names) -> bool {
        self.names.get(&server).is_some_and(|known| got.endings().iter().any(|name| known.contains(name)))
    }

    fn route(&self, request: &Request, down: &Leg, visit: &Visit, add: &mut impl FnMut(&'static str, f64)) {
        let named = self.named(down);
        if !named.is_empty() {
            let here = named.iter().any(|servers| servers.contains_key(&visit.server));
            add("server", if here { 1.0 } else { -6.0 });
            return;
        }
        let Some(mark) = route_mark(down) else { return };
        let Some(route) = self.routes.get(&(request.gateway, mark)) else { return };
        let here = route.servers.get(&visit.server).copied().unwrap_or(0.0);
        // The odds that a request of this route goes there at all.
        let odds = (here + PRIOR) / (route.requests - here + PRIOR);
        add("server", odds.ln().clamp(-8.0, 3.0));
    }

    /// A tool belongs to the servers that list it.
    fn tool(&self, request: &Request, down: &Leg, visit: &Visit, add: &mut impl FnMut(&'static str, f64)) {
        let Some(name) = ask_of(down, request.element).filter(|ask| ask.lists.is_none()).and_then(|ask| ask.name.as_ref()) else { return };
        let own = &Names::of(std::iter::once(name.as_str()));
        if self.holds_names_of(visit.server, own) {
            add("server", 1.0);
        } else if self.names.keys().any(|server| *server != visit.server && self.holds_names_of(*server, own)) {
            add("server", -4.0);
        }
    }
}

/// Whether an answer calls itself an error, in whatever form.
fn says_error(answer: Option<&Outcome>) -> bool {
    match answer {
        Some(Outcome::Result { is_error, hides, declares_failure, .. }) => *is_error == Some(true) || hides.is_some() || *declares_failure,
        _ => true,
    }
}

/// Method, name and arguments on both legs.
fn same_method(request: &Request, down: &Leg, op: Option<&Leg>, add: &mut impl FnMut(&'static str, f64)) {
    // What could not be read says nothing.
    let Some(op) = op.filter(|op| !matches!(op.asked, Asked::Unreadable(_))) else { return };
    let (wanted, done) = (lists(down, request.element), lists(op, 0));
    if wanted.is_some() || done.is_some() {
        add("method", if wanted == done { 1.0 } else { -4.0 });
        return;
    }
    let (Some(down_ask), Some(up_ask)) = (ask_of(down, request.element), op.ask()) else { return };
    if down_ask.method != up_ask.method {
        add("method", -4.0);
        return;
    }
    add("method", 1.0);
    if let (Some(down_name), Some(up_name)) = (&down_ask.name, &up_ask.name) {
        add("name", if is_prefixed(down_name, up_name) { 1.5 } else { -6.0 });
    }
    if let (Some(a), Some(b)) = (down_ask.arguments, up_ask.arguments) {
        add("arguments", if a == b { 5.0 } else { -5.0 });
    }
    if let (Some(a), Some(b)) = (down_ask.trace, up_ask.trace) {
        add("trace", if a == b { 9.0 } else { -1.0 });
    }
}

/// Any equal header value, weighed by how many requests have it.
fn headers(down: &Leg, legs: &[&Leg], crowd: &Requests, add: &mut impl FnMut(&'static str, f64)) {
    let upstream: HashSet<(Fingerprint, Fingerprint)> = legs.iter().flat_map(|leg| header_marks(leg)).collect();
    let shared = header_marks(down).filter(|mark| upstream.contains(mark));
    let best = shared.map(|mark| crowd.rarity_of_header(mark)).fold(0.0, f64::max);
    if best > 0.2 {
        add("headers", best + 1.0);
    }
    let trace = |leg: &Leg| leg.request.as_ref().and_then(|request| request.head.trace);
    if let Some(own) = trace(down) {
        let theirs: Vec<_> = legs.iter().filter_map(|leg| trace(leg)).collect();
        if !theirs.is_empty() {
            add("trace", if theirs.contains(&own) { 9.0 } else { -1.0 });
        }
    }
}

/// Whether a visit came to nothing, as far as its exchanges tell.
pub(super) fn failed(visit: &Visit, legs: &[&Leg], op: Option<&Leg>) -> bool {
    if visit.conduit.is_some() {
        return true;
    }
    let telling = op.or_else(|| legs.iter().copied().rfind(|leg| leg.asked != Asked::EndSession));
    telling.is_some_and(|leg| leg.status().is_none_or(|status| status >= 400) || matches!(answer_to(leg, 0), Some(Outcome::Error { .. })))
}

/// Every credential of a request.
pub(super) fn all_credentials(leg: &Leg) -> impl Iterator<Item = Fingerprint> + '_ {
    leg.request.iter().flat_map(|request| {
        let head = &request.head;
        head.credential.iter().chain(head.other_credentials.iter().map(|(_, credential)| credential)).map(|credential| credential.mark)
    })
}

/// Who calls: the first credential there is.
pub(super) fn caller(leg: &Leg) -> Option<Fingerprint> {
    all_credentials(leg).next()
}

/// The gateway's own list routes are served by other code than its MCP routes: they may treat credentials differently.
pub(super) fn is_rest(leg: &Leg) -> bool {
    matches!(leg.asked, Asked::RestList(_) | Asked::RestCall)
}

/// What tells which servers a request is for: its path, the servers it names, its server query.
pub(crate) fn route_mark(leg: &Leg) -> Option<Fingerprint> {
    use std::hash::BuildHasher;
    let head = &leg.request.as_ref()?.head;
    let query: Vec<u64> = head.query.iter().filter(|(name, _)| name.contains("server")).map(|(_, value)| value.0).collect();
    Some(Fingerprint(foldhash::fast::FixedState::with_seed(1).hash_one((head.path_mark.0, &head.mcp_servers, query))))
}

/// Legs of a visit, by id.
pub(super) fn legs_of<'a>(visit: &Visit, legs: &'a HashMap<ExId, Leg, Hasher>) -> Vec<&'a Leg> {
    visit.legs.iter().filter_map(|id| legs.get(id)).collect()
}

/// Weight that no other evidence outweighs: what a gateway never does.
const FORBIDDING: f64 = 12.0;
/// Requests that a route is thought to have sent to a server, and as many elsewhere, before any was seen.
const PRIOR: f64 = 0.3;
/// Requests that show where a route leads.
const SEVERAL: f64 = 3.0;
/// Entries kept of each learned map.
const LEARNED: usize = 65_536;
/// Names of servers kept.
const ALIASES: usize = 1_024;
/// Names kept of one server.
const NAMES: usize = 8_192;
