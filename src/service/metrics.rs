//! What a live run counts, as Prometheus reads it. Labels hold the contract's words and addresses of servers, of which at most
//! `metrics_servers` are told apart: never a route, a client, a tool or anything of a credential. `docs/metrics.md` explains each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::Usage;
use crate::base::{Addr, Count, Counts, Limits};
use crate::live::Tally;
use crate::verdict::{Failure, Judged, Reason, Verdict};

type Words<const N: usize> = Family<[(&'static str, String); N], Counter>;

/// Every metric of a run; what is told here is what the next scrape gets.
pub struct Metrics {
    registries: Arc<Registries>,
    pairs: Words<1>,
    flagged: Words<3>,
    findings: Family<[(&'static str, String); 2], Gauge>,
    unresolved: Words<1>,
    received: Counter,
    dropped: Words<1>,
    seen: Words<1>,
    losses: Words<1>,
    connections: Gauge,
    exchanges: Gauge,
    gateways: Gauge,
    last_packet: Gauge<f64, AtomicU64>,
    delay: Histogram,
    reloads: Words<1>,
    over_limit: Counter,
    relieved: Counter,
    resident: Gauge,
    cpu: Counter<f64, AtomicU64>,
    descriptors: Gauge,
    kinds: BTreeSet<Kind>,
    servers: BTreeSet<Addr>,
    most_servers: usize,
    most_findings: usize,
}

/// What makes two flagged pairs one finding, as far as metrics tell it.
type Kind = (Verdict, &'static str, Option<Failure>, String, Option<Addr>);

impl Metrics {
    /// All at zero. `budget`: bytes of memory that the run may take, if that is bounded.
    pub fn new(limits: &Limits, budget: Option<u64>) -> Metrics {
        let mut registry = Registry::with_prefix("gatewitness");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program that runs", build);
        let pairs = counted(&mut registry, "pairs", "Pairs of a client request with its upstream requests, by verdict");
        let flagged = counted(&mut registry, "flagged_pairs", "Pairs whose upstream failure was hidden, by verdict, failure and upstream");
        let findings: Family<_, Gauge> = Family::default();
        registry.register("findings", "Kinds of hidden failure found since the start, by failure and upstream", findings.clone());
        let unresolved = counted(&mut registry, "unresolved_pairs", "Pairs of which too little was seen to judge them, by reason");
        let received = one(&mut registry, "packets_received", "Packets captured, those that we dropped among them");
        let dropped = counted(&mut registry, "packets_dropped", "Packets lost, by who dropped them: kernel, interface, own");
        let seen = counted(&mut registry, "seen", "What the engine counted, by the word in records; limits that were reached among it");
        let losses = counted(&mut registry, "losses", "What could not be seen or kept any more, by kind");
        let connections = gauge(&mut registry, "open_connections", "TCP connections that are open now");
        let exchanges = gauge(&mut registry, "open_exchanges", "HTTP exchanges that wait for their pair now");
        let gateways = gauge(&mut registry, "gateways", "Gateways known now, named or found");
        let last_packet = Gauge::default();
        let help = "Time of the latest packet that was judged, since the Unix epoch";
        registry.register_with_unit("last_packet_timestamp", help, Unit::Seconds, last_packet.clone());
        let delay = Histogram::new(DELAYS.iter().copied());
        let help = "From a packet's time stamp to when it has been judged, the latest of each turn of the engine";
        registry.register_with_unit("engine_delay", help, Unit::Seconds, delay.clone());
        let reloads = counted(&mut registry, "reloads", "Readings of the gateway list after SIGHUP, by result: applied, refused");
        let over_limit = one(&mut registry, "servers_over_limit", "Flagged pairs of upstreams beyond metrics_servers, counted as other");
        let relieved = one(&mut registry, "memory_relieved", "Times that the oldest open work was given up to stay within --max-memory");
        if let Some(budget) = budget {
            let most = gauge(&mut registry, "memory_budget_bytes", "Memory that the run may take (--max-memory)");
            most.set(budget as i64);
        }
        // The process's own, under the names that every Prometheus client gives them.
        let mut process = Registry::with_prefix("process");
        let resident = Gauge::default();
        process.register_with_unit("resident_memory", "Memory of this process that is in RAM", Unit::Bytes, resident.clone());
        let cpu = Counter::default();
        process.register_with_unit("cpu", "CPU time of this process, user and system", Unit::Seconds, cpu.clone());
        let descriptors = gauge(&mut process, "open_fds", "File descriptors that are open");
        let metrics = Metrics {
            registries: Arc::new([registry, process]),
            pairs,
            flagged,
            findings,
            unresolved,
            received,
            dropped,
            seen,
            losses,
            connections,
            exchanges,
            gateways,
            last_packet,
            delay,
            reloads,
            over_limit,
            relieved,
            resident,
            cpu,
            descriptors,
            kinds: BTreeSet::new(),
            servers: BTreeSet::new(),
            most_servers: limits.metrics_servers,
            most_findings: limits.findings,
        };
        metrics.begin();
        metrics
    }

    /// What may be counted stands at zero from the start, so that a first one is an increase.
    fn begin(&self) {
        let verdicts = Verdict::ALL.iter().map(|verdict| (&self.pairs, "verdict", verdict.as_str()));
        let reasons = Reason::ALL.iter().map(|reason| (&self.unresolved, "reason", reason.as_str()));
        let drops = [KERNEL, INTERFACE, OWN].map(|by| (&self.dropped, "by", by));
        let reloads = [APPLIED, REFUSED].map(|result| (&self.reloads, "result", result));
        let losses = ["config", "interface", "memory", "record"].map(|kind| (&self.losses, "kind", kind));
        for (family, label, word) in verdicts.chain(reasons).chain(drops).chain(reloads).chain(losses) {
            raise(&family.get_or_create(&[(label, word.to_owned())]), 0);
        }
    }

    /// For whoever answers scrapes.
    pub fn registries(&self) -> Arc<Registries> {
        Arc::clone(&self.registries)
    }

    /// A pair was judged.
    pub fn pair(&mut self, judged: &Judged) {
        self.pairs.get_or_create(&[("verdict", judged.verdict.to_string())]).inc();
        if let Some(reason) = judged.because.filter(|_| judged.verdict == Verdict::Unresolved) {
            self.unresolved.get_or_create(&[("reason", reason.to_string())]).inc();
        }
        if !judged.verdict.flagged() {
            return;
        }
        let failure = judged.failure.map_or_else(|| NONE.to_owned(), |failure| failure.to_string());
        let server = self.server(judged.server);
        let kind = (judged.verdict, judged.rule, judged.failure, judged.pair.down.path().to_owned(), judged.server);
        if self.kinds.len() < self.most_findings && self.kinds.insert(kind) {
            self.findings.get_or_create(&[("failure", failure.clone()), ("server", server.clone())]).inc();
        }
        self.flagged.get_or_create(&[("verdict", judged.verdict.to_string()), ("failure", failure), ("server", server)]).inc();
    }

    /// An upstream's label: its address, as long as there are not too many.
    fn server(&mut self, server: Option<Addr>) -> String {
        let Some(server) = server else { return NONE.to_owned() };
        if self.servers.len() < self.most_servers {
            self.servers.insert(server);
        }
        if self.servers.contains(&server) {
            return server.to_string();
        }
        self.over_limit.inc();
        OTHER.to_owned()
    }

    /// Something could not be seen or kept. Kinds are words of ours.
    pub fn loss(&self, kind: &str) {
        self.losses.get_or_create(&[("kind", kind.to_owned())]).inc();
    }

    /// The latest packet of a turn was judged so many nanoseconds after its time stamp.
    pub fn delay(&self, nanos: i64) {
        self.delay.observe(nanos.max(0) as f64 / 1e9);
    }

    /// The gateway list was read again.
    pub fn reload(&self, applied: bool) {
        self.reloads.get_or_create(&[("result", if applied { APPLIED } else { REFUSED }.to_owned())]).inc();
    }

    /// Work was given up for want of memory, so many times.
    pub fn relief(&self, times: u64) {
        self.relieved.inc_by(times);
    }

    /// How the run stands.
    pub fn state(&self, state: &State<'_>) {
        let State { tally, counts, open, gateways, usage } = state;
        raise(&self.received, tally.received);
        for (by, packets) in [(KERNEL, tally.kernel.saturating_sub(tally.interface)), (INTERFACE, tally.interface), (OWN, tally.own)] {
            raise(&self.dropped.get_or_create(&[("by", by.to_owned())]), packets);
        }
        for count in Count::ALL {
            raise(&self.seen.get_or_create(&[("what", count.as_str().to_owned())]), counts.get(*count));
        }
        self.connections.set(open.0 as i64);
        self.exchanges.set(open.1 as i64);
        self.gateways.set(*gateways as i64);
        if let Some(last) = tally.last {
            self.last_packet.set(last.seconds());
        }
        self.resident.set(usage.resident as i64);
        self.cpu.inc_by((usage.cpu - self.cpu.get()).max(0.0));
        self.descriptors.set(usage.descriptors as i64);
    }
}

/// Ours and the process's own.
pub type Registries = [Registry; 2];

/// How a run stands at a moment.
pub struct State<'a> {
    /// Packets.
    pub tally: &'a Tally,
    /// What the engine counted.
    pub counts: &'a Counts,
    /// Connections and exchanges that are open.
    pub open: (usize, usize),
    /// Gateways known.
    pub gateways: usize,
    /// The process.
    pub usage: &'a Usage,
}

fn counted<const N: usize>(registry: &mut Registry, name: &str, help: &str) -> Words<N> {
    let family = Words::default();
    registry.register(name, help, family.clone());
    family
}

fn one(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter: Counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge: Gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}

/// Brings a counter up to what was counted elsewhere.
fn raise(counter: &Counter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}

/// Seconds: from a block of the kernel's ring (10 ms) to a run that is far behind.
const DELAYS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const KERNEL: &str = "kernel";
const INTERFACE: &str = "interface";
const OWN: &str = "own";
const APPLIED: &str = "applied";
const REFUSED: &str = "refused";
const OTHER: &str = "other";
const NONE: &str = "none";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_beyond_the_limit_are_counted_together() {
        let mut metrics = Metrics::new(&Limits { metrics_servers: 2, ..Limits::default() }, None);
        let labels = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.1:1"].map(|at| metrics.server(at.parse().ok()));
        assert_eq!(labels, ["10.0.0.1:1", "10.0.0.2:1", "other", "10.0.0.1:1"]);
        assert_eq!((metrics.server(None).as_str(), metrics.over_limit.get()), ("none", 1));
    }
}
