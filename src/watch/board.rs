//! Judged pairs come in on the engine's side, snapshots for the screen go out. Everything here has a bound with a name.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use super::history::Timeline;
use super::row::Row;
use super::snapshot::{ClientRow, Rows, Run, ServerRow, Snapshot};
use crate::base::{Addr, Count, Counts, Limits};
use crate::correlate::Leg;
use crate::pipeline::{Loss, Output, Summary};
use crate::verdict::{Failure, Finding, Findings, Judged, Verdict};

/// What the dashboard remembers of a run.
#[derive(Debug)]
pub struct Board {
    limits: Limits,
    rows: Shelf,
    flagged: Shelf,
    details: VecDeque<Arc<Judged>>,
    flagged_details: VecDeque<Arc<Judged>>,
    servers: BTreeMap<Option<Addr>, Server>,
    clients: BTreeMap<IpAddr, ClientRow>,
    timeline: Timeline,
    gathered: Findings,
    findings: Arc<Vec<Finding>>,
    stale: bool,
    ended: bool,
    forgotten: u64,
    counts: Counts,
}

#[derive(Debug)]
struct Server {
    row: ServerRow,
    clients: HashSet<IpAddr>,
}

impl Board {
    /// Empty.
    pub fn new(limits: &Limits) -> Board {
        // The pairs of a finding are looked for by what they have in common: their numbers need not be kept twice.
        let slim = Limits { finding_pairs: 0, ..limits.clone() };
        Board {
            rows: Shelf::default(),
            flagged: Shelf::default(),
            details: VecDeque::new(),
            flagged_details: VecDeque::new(),
            servers: BTreeMap::new(),
            clients: BTreeMap::new(),
            timeline: Timeline::new(limits.watch_history),
            gathered: Findings::new(&slim),
            findings: Arc::default(),
            stale: false,
            ended: false,
            forgotten: 0,
            counts: Counts::default(),
            limits: limits.clone(),
        }
    }

    /// The run as it stands. `summary` is the engine's word on it.
    pub fn snapshot(&mut self, mut summary: Summary, run: Run, open: (usize, usize)) -> Snapshot {
        if std::mem::take(&mut self.stale) && !self.ended {
            self.findings = Arc::new(self.gathered.all());
        }
        let untold = summary.losses.len().saturating_sub(self.limits.watch_losses);
        summary.losses.truncate(self.limits.watch_losses);
        summary.counts.merge(&self.counts);
        summary.counts.add(Count::WatchLimit, untold as u64);
        summary.findings = self.findings.len() as u64;
        let mut rows = self.flagged.rows();
        let mut recent = self.rows.rows();
        if !rows.open.is_empty() {
            rows.blocks.push(rows.open.drain(..).collect());
        }
        rows.blocks.append(&mut recent.blocks);
        rows.open = recent.open;
        Snapshot {
            summary,
            run,
            connections: open.0,
            unpaired: open.1,
            findings: Arc::clone(&self.findings),
            servers: self.servers(),
            touched: self.touched(),
            history: self.timeline.history(),
            rows,
            forgotten: self.forgotten,
            clients: self.clients.len(),
        }
    }

    fn servers(&self) -> Vec<ServerRow> {
        let row = |server: &Server| ServerRow { clients: server.clients.len(), ..server.row.clone() };
        let mut rows: Vec<ServerRow> = self.servers.values().map(row).collect();
        rows.sort_by_key(|row| (row.hidden() == 0, row.failed() == 0));
        rows
    }

    fn touched(&self) -> Vec<ClientRow> {
        let mut rows: Vec<&ClientRow> = self.clients.values().collect();
        rows.sort_by_key(|row| (std::cmp::Reverse(row.hidden), row.ip));
        rows.into_iter().take(TOUCHED).cloned().collect()
    }

    fn note_client(&mut self, row: &Row) {
        let ip = row.client.ip();
        if row.verdict == Verdict::Healthy {
            if let Some(known) = self.clients.get_mut(&ip) {
                known.well = known.well.max(Some(row.start));
            }
        } else if row.verdict.flagged() {
            if !self.clients.contains_key(&ip) && self.clients.len() >= self.limits.watch_clients {
                return self.counts.bump(Count::WatchLimit);
            }
            let new = || ClientRow { ip, token: None, hidden: 0, since: (row.start, row.start), well: None, route: String::new() };
            let known = self.clients.entry(ip).or_insert_with(new);
            known.hidden += 1;
            known.since = (known.since.0.min(row.start), known.since.1.max(row.start));
            (known.token, known.route) = (row.token, row.route.clone());
        }
    }

    fn keep(&mut self, mut judged: Judged) -> Weak<Judged> {
        // What else could have been is the largest part, and is told by the runner-up.
        judged.pair.others = Vec::new();
        let flagged = judged.verdict.flagged();
        let judged = Arc::new(judged);
        let weak = Arc::downgrade(&judged);
        let kept = if flagged { &mut self.flagged_details } else { &mut self.details };
        kept.push_back(judged);
        if kept.len() > self.limits.watch_details {
            kept.pop_front();
        }
        weak
    }

    fn list(&mut self, row: Arc<Row>) {
        self.rows.push(row);
        if self.rows.len > self.limits.watch_pairs {
            let (mut kept, mut gone) = (0, 0);
            for row in self.rows.shed().iter() {
                if row.verdict.flagged() {
                    self.flagged.push(Arc::clone(row));
                    kept += 1;
                } else {
                    gone += 1;
                }
            }
            if kept > 0 && self.flagged.len > self.limits.watch_flagged {
                gone += self.flagged.shed().len() as u64;
            }
            self.forgotten += gone;
            self.counts.add(Count::WatchLimit, gone);
        }
    }

    fn count(&mut self, row: &Row) {
        self.timeline.add(row.start, row.verdict.flagged());
        let client = row.client.ip();
        self.note_client(row);
        for visit in &row.up {
            let known = self.servers.contains_key(&Some(visit.server)) || self.servers.len() < self.limits.watch_servers;
            if !known {
                self.counts.bump(Count::WatchLimit);
            }
            let server =
                self.servers.entry(Some(visit.server).filter(|_| known)).or_insert_with(|| Server::new(known.then_some(visit.server)));
            server.row.visits += 1;
            if server.row.host.is_none() {
                server.row.host.clone_from(&visit.host);
            }
            if !visit.failed {
                server.row.well = server.row.well.max(visit.said.eq("ok").then_some(row.start));
                continue;
            }
            let own = row.failure.filter(|_| row.server == Some(visit.server));
            if let Some(failure) = own.or_else(|| kind(&visit.said)) {
                *server.row.failures.entry(failure).or_default() += 1;
            }
            if row.verdict.flagged() {
                *server.row.flagged.entry(row.verdict).or_default() += 1;
                let (first, last) = server.row.since.unwrap_or((row.start, row.start));
                server.row.since = Some((first.min(row.start), last.max(row.start)));
                if server.clients.len() < self.limits.watch_clients {
                    server.clients.insert(client);
                } else {
                    self.counts.bump(Count::WatchLimit);
                }
            }
        }
    }
}

impl Server {
    fn new(addr: Option<Addr>) -> Server {
        let row = ServerRow {
            addr,
            host: None,
            visits: 0,
            failures: BTreeMap::new(),
            flagged: BTreeMap::new(),
            since: None,
            well: None,
            clients: 0,
        };
        Server { row, clients: HashSet::new() }
    }
}

impl Output for Board {
    fn pair(&mut self, judged: Judged) {
        self.gathered.add(&judged);
        self.stale = true;
        let row = Row::new(&judged, Weak::new());
        self.count(&row);
        let detail = self.keep(judged);
        self.list(Arc::new(Row { detail, ..row }));
    }

    /// The engine's summary has them.
    fn loss(&mut self, _: Loss) {}

    /// The last word on what was gathered until then.
    fn finding(&mut self, finding: Finding) {
        if !std::mem::replace(&mut self.ended, true) {
            self.findings = Arc::default();
        }
        Arc::make_mut(&mut self.findings).push(finding);
    }

    fn exchange(&mut self, _: Leg) {}
}

/// A failure's kind by the word for what a visit came to.
fn kind(said: &str) -> Option<Failure> {
    Some(match said {
        "401" => Failure::Unauthorized,
        "403" => Failure::Forbidden,
        "404" | "405" => Failure::NotFound,
        "429" => Failure::RateLimited,
        "t/o" => Failure::Timeout,
        "refused" => Failure::Refused,
        "rst" => Failure::Reset,
        "tls" => Failure::Tls,
        "rpc-err" => Failure::RpcError,
        "isError" => Failure::ToolError,
        _ if said.len() == 3 && said.starts_with('5') => Failure::ServerError,
        _ if said.len() == 3 && said.starts_with('4') => Failure::ClientError,
        _ => Failure::Malformed,
    })
}

/// Rows in blocks, so that most of them are shared with snapshots as they are.
#[derive(Debug, Default)]
struct Shelf {
    blocks: VecDeque<Arc<[Arc<Row>]>>,
    open: Vec<Arc<Row>>,
    len: usize,
}

impl Shelf {
    fn push(&mut self, row: Arc<Row>) {
        self.open.push(row);
        self.len += 1;
        if self.open.len() >= BLOCK {
            self.blocks.push_back(self.open.drain(..).collect());
        }
    }

    /// Takes the oldest block off; the open one only where there is no other.
    fn shed(&mut self) -> Arc<[Arc<Row>]> {
        let block = self.blocks.pop_front().unwrap_or_else(|| self.open.drain(..).collect());
        self.len -= block.len();
        block
    }

    fn rows(&self) -> Rows {
        Rows { blocks: self.blocks.iter().cloned().collect(), open: self.open.clone() }
    }
}

/// Clients in a snapshot.
const TOUCHED: usize = 200;
/// Rows in a block.
const BLOCK: usize = 256;
