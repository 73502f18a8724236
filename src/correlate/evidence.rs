//! What speaks for and against a visit being a request's: log-likelihood ratios, weighed by how rare agreement is in the window.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::request::{Request, answer_to, ask_of, endings, lists, names, texts};
use super::visit::{Hasher, Visit};
use super::{Leg, Mark};
use crate::base::{Addr, ExId, Fingerprint};
use crate::mcp::{Answer, Asked, Outcome};

/// What pairs that were certain have taught.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// Whether the client's credential goes on to a server from a kind of route.
    forwarding: BTreeMap<(Addr, Addr, bool), Forwarding>,
    /// How often a route led to a server.
    routes: HashMap<(Addr, Fingerprint), BTreeMap<Addr, u32>, Hasher>,
    /// Names that a server's lists had.
    names: BTreeMap<Addr, HashSet<String>>,
    /// Which upstream credential goes with which downstream one.
    exchanged: HashMap<(Fingerprint, Fingerprint), u32, Hasher>,
    /// How often a downstream credential was seen in certain pairs.
    known: HashMap<Fingerprint, u32, Hasher>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Forwarding {
    equal: f64,
    absent: f64,
    differ: f64,
}

/// The requests among which a visit's parent is sought.
pub(super) struct Crowd<'a> {
    pub requests: Vec<(&'a Request, &'a Leg)>,
    marks: HashMap<(Fingerprint, Fingerprint), u32, Hasher>,
    credentials: HashMap<Fingerprint, u32, Hasher>,
    /// Credentials that the gateway was seen to send upstream.
    forwarded: HashSet<Fingerprint>,
}

impl<'a> Crowd<'a> {
    pub(super) fn new(requests: Vec<(&'a Request, &'a Leg)>, upstream: impl Iterator<Item = Fingerprint>) -> Crowd<'a> {
        let mut marks: HashMap<_, u32, Hasher> = HashMap::default();
        let mut credentials: HashMap<_, u32, Hasher> = HashMap::default();
        for (_, leg) in &requests {
            for mark in header_marks(leg) {
                *marks.entry(mark).or_default() += 1;
            }
            for credential in all_credentials(leg) {
                *credentials.entry(credential).or_default() += 1;
            }
        }
        Crowd { requests, marks, credentials, forwarded: upstream.collect() }
    }

    /// Weight of agreement on something that `of` of the crowd share: nothing where all do, much where one does.
    fn rarity(&self, of: u32) -> f64 {
        let all = self.requests.len() as f64;
        ((all + 1.0) / f64::from(of.max(1))).ln()
    }
}

impl Learned {
    /// Counts how the credential of a visit relates to those of the requests it may come from.
    pub(super) fn watch(&mut self, visit: &[&Leg], crowd: &Crowd<'_>) {
        let Some(first) = visit.first() else { return };
        let Some((request, leg)) = crowd.requests.first() else { return };
        let key = (request.gateway, first.peers.server, is_rest(leg));
        let entry = self.forwarding.entry(key).or_default();
        let given = visit.iter().find_map(|leg| leg.credential());
        let sent = crowd.requests.iter().any(|(_, leg)| all_credentials(leg).next().is_some());
        match given {
            Some(given) if crowd.credentials.contains_key(&given) => entry.equal += 1.0,
            Some(_) if sent => entry.differ += 1.0,
            None if sent => entry.absent += 1.0,
            _ => {}
        }
    }

    /// Learns from a link that is beyond doubt.
    pub(super) fn confirm(&mut self, request: &Request, down: &Leg, visit: &[&Leg]) {
        let Some(first) = visit.first() else { return };
        let server = first.peers.server;
        if let Some(mark) = route_mark(down)
            && self.routes.len() < LEARNED
        {
            *self.routes.entry((request.gateway, mark)).or_default().entry(server).or_default() += 1;
        }
        if let (Some(from), Some(to)) = (caller(down), first.credential())
            && self.exchanged.len() < LEARNED
        {
            *self.exchanged.entry((from, to)).or_default() += 1;
            *self.known.entry(from).or_default() += 1;
        }
    }

    /// A server's list teaches its names, whoever asked for it.
    pub(super) fn list(&mut self, server: Addr, answer: &Answer) {
        if let Some(found) = names(Some(&answer.outcome))
            && !found.is_empty()
        {
            let known = self.names.entry(server).or_default();
            if known.len() < NAMES {
                known.extend(found.iter().cloned());
            }
        }
    }

    /// Whether a route may lead to a server, as far as is known of the route.
    pub(super) fn reaches(&self, gateway: Addr, down: &Leg, server: Addr) -> bool {
        let servers = route_mark(down).and_then(|mark| self.routes.get(&(gateway, mark)));
        servers.is_none_or(|servers| servers.contains_key(&server))
    }

    /// Evidence for `visit` being caused by `request`, strongest first. Containment and reachability are given.
    pub(super) fn weigh(&self, request: &Request, down: &Leg, visit: &Visit, legs: &[&Leg], crowd: &Crowd<'_>) -> Vec<Mark> {
        let mut marks = Vec::with_capacity(8);
        let mut add = |word: &'static str, weight: f64| {
            if weight != 0.0 {
                marks.push(Mark { word, weight });
            }
        };
        let rest = is_rest(down);
        self.credential(request, down, visit, legs, crowd, rest, &mut add);
        let op = visit.op.and_then(|op| legs.iter().copied().find(|leg| leg.id == op));
        same_method(request, down, op, &mut add);
        self.content(request, down, visit, legs, op, &mut add);
        self.route(request, down, visit, &mut add);
        headers(down, legs, crowd, &mut add);
        marks.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()));
        marks
    }

    #[allow(clippy::too_many_arguments)]
    fn credential(
        &self,
        request: &Request,
        down: &Leg,
        visit: &Visit,
        legs: &[&Leg],
        crowd: &Crowd<'_>,
        rest: bool,
        add: &mut impl FnMut(&'static str, f64),
    ) {
        let seen = self.forwarding.get(&(request.gateway, visit.server, rest)).copied().unwrap_or_default();
        let all = seen.equal + seen.absent + seen.differ;
        let sends = all_credentials(down).next().is_some();
        // How likely this gateway is to do otherwise than to pass the client's own credential on.
        let otherwise = |count: f64| ((count + 0.3) / (all + 1.0)).ln().max(-FORBIDDING);
        match legs.iter().find_map(|leg| leg.credential()) {
            Some(given) if all_credentials(down).any(|own| own == given) => {
                add("token", 1.0 + crowd.rarity(crowd.credentials.get(&given).copied().unwrap_or(1)));
            }
            Some(given) => {
                // Another's own credential can't be this one's; a credential of the gateway's can be anybody's.
                // Nor does a gateway that passes this one's on use another for it.
                if crowd.credentials.contains_key(&given) || all_credentials(down).any(|own| crowd.forwarded.contains(&own)) {
                    add("token-differs", -FORBIDDING);
                } else if sends {
                    add("token-differs", otherwise(seen.differ));
                }
                if let Some(own) = caller(down) {
                    let together = f64::from(self.exchanged.get(&(own, given)).copied().unwrap_or(0));
                    let apart = f64::from(self.known.get(&own).copied().unwrap_or(0)) - together;
                    add("token-exchanged", ((together + 0.5) / (together + apart + 1.0) / 0.5).ln().clamp(-4.0, 3.0));
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
        if let (Some(got), Some(gave)) = (names(answer), names(upstream)) {
            let have = endings(got);
            let shared = gave.iter().filter(|name| have.contains(name.as_str())).count();
            if gave.is_empty() {
                // Says nothing in itself; but names of that server in the answer came from somewhere else.
                add("names-differ", if self.holds_names_of(visit.server, got) { -6.0 } else { 0.5 });
            } else if shared * 2 >= gave.len() {
                add("names", 4.0);
            } else {
                add("names-differ", -6.0);
            }
        } else if let Some(got) = names(answer)
            && failed(visit, legs, op)
        {
            add("names-differ", if self.holds_names_of(visit.server, got) { -8.0 } else { 1.0 });
        }
        let shared = texts(upstream).iter().any(|text| texts(answer).contains(text));
        if shared {
            add("content", 4.0);
        }
        if let (Some(Outcome::Error { .. } | Outcome::Refusal { .. }), true) = (answer, failed(visit, legs, op)) {
            add("failed-both", 1.5);
        }
    }

    fn holds_names_of(&self, server: Addr, got: &[String]) -> bool {
        let Some(known) = self.names.get(&server) else { return false };
        let have = endings(got);
        have.iter().any(|name| known.contains(*name))
    }

    fn route(&self, request: &Request, down: &Leg, visit: &Visit, add: &mut impl FnMut(&'static str, f64)) {
        let Some(mark) = route_mark(down) else { return };
        let Some(servers) = self.routes.get(&(request.gateway, mark)) else { return };
        let all: u32 = servers.values().sum();
        let here = servers.get(&visit.server).copied().unwrap_or(0);
        let weight = ((f64::from(here) + 0.1) / (f64::from(all) + 0.2)).ln() + 0.7;
        add("server", weight.clamp(-8.0, 1.0));
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
        let prefixed = endings(std::slice::from_ref(down_name)).contains(up_name.as_str());
        add("name", if prefixed { 1.5 } else { -6.0 });
    }
    if let (Some(a), Some(b)) = (down_ask.arguments, up_ask.arguments) {
        add("arguments", if a == b { 4.0 } else { -4.0 });
    }
    if let (Some(a), Some(b)) = (down_ask.trace, up_ask.trace) {
        add("trace", if a == b { 9.0 } else { -1.0 });
    }
}

/// Any equal header value, weighed by how many requests have it.
fn headers(down: &Leg, legs: &[&Leg], crowd: &Crowd<'_>, add: &mut impl FnMut(&'static str, f64)) {
    let upstream: HashSet<(Fingerprint, Fingerprint)> = legs.iter().flat_map(|leg| header_marks(leg)).collect();
    let rarest =
        header_marks(down).filter(|mark| upstream.contains(mark)).map(|mark| crowd.rarity(crowd.marks.get(&mark).copied().unwrap_or(1)));
    let best = rarest.fold(0.0, f64::max);
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

/// How a visit lies in a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lie {
    /// From the request's first byte to the visit's, nanoseconds.
    pub delay: f64,
    /// From the visit's last byte to the answer's; `None` where either is open. Negative where the visit ended later.
    pub lag: Option<f64>,
    /// The client left early: the visit may outlive it.
    left: bool,
}

impl Lie {
    pub(super) fn of(request: &Request, visit: &Visit, legs: &[&Leg]) -> Lie {
        let ended = legs.iter().filter(|leg| leg.asked != Asked::Stream && leg.asked != Asked::EndSession).filter_map(|leg| leg.done);
        let last = ended.map(|done| done.last.ts).max();
        let lag = request.end.zip(last).map(|(end, last)| end.ts.since(last) as f64);
        Lie { delay: visit.start.ts.since(request.start.ts).max(0) as f64, lag, left: request.left }
    }
}

/// How long things take among a set of visits: what is usual there tells what is unusual.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    delay: f64,
    lag: f64,
}

impl Pace {
    /// From the shortest that each visit has, over its candidates.
    pub(super) fn of<'a>(visits: impl Iterator<Item = &'a [Option<Lie>]>) -> Pace {
        let (mut delays, mut lags) = (Vec::new(), Vec::new());
        for lies in visits {
            let lies = || lies.iter().flatten();
            delays.extend(lies().map(|lie| lie.delay).min_by(f64::total_cmp));
            lags.extend(lies().filter_map(|lie| lie.lag).filter(|lag| *lag >= 0.0).min_by(f64::total_cmp));
        }
        Pace { delay: (2.0 * median(delays)).max(DELAY), lag: (2.0 * median(lags)).max(LAG) }
    }

    /// Begin and end. One event loop serves all: completions queue, so their order is kept better than any gap. Costs are convex, so
    /// that of two crossing and two nested pairings the one that keeps order is the cheaper.
    pub(super) fn marks(self, lie: Lie) -> [Mark; 2] {
        let convex = |ratio: f64| ratio.powf(1.5).min(MOST);
        let delay = Mark { word: "delay", weight: -0.3 * convex(lie.delay / self.delay) };
        let order = match lie.lag {
            Some(lag) if lag >= 0.0 => Mark { word: "order", weight: -convex(lag / self.lag) },
            Some(_) if !lie.left => Mark { word: "ends-after", weight: -9.0 },
            _ => Mark { word: "order", weight: 0.0 },
        };
        [delay, order]
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
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
fn caller(leg: &Leg) -> Option<Fingerprint> {
    all_credentials(leg).next()
}

fn header_marks(leg: &Leg) -> impl Iterator<Item = (Fingerprint, Fingerprint)> + '_ {
    leg.request.iter().flat_map(|request| request.head.common.marks.iter().map(|mark| (mark.name, mark.value)))
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
/// Least scale of the time from a request to its first upstream byte, nanoseconds.
const DELAY: f64 = 50e6;
/// Least scale of the time from the last upstream byte to the answer's last, nanoseconds.
const LAG: f64 = 20e6;
/// Most that time can weigh: less than a credential of one's own.
const MOST: f64 = 8.0;
/// Entries kept of each learned map.
const LEARNED: usize = 65_536;
/// Names kept of one server.
const NAMES: usize = 8_192;
