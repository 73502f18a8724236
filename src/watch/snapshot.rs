//! What the screen draws: a run at one moment, shared with whoever goes on with it, and changed by nobody.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::row::Row;
use crate::base::{Addr, Fingerprint, Ts};
use crate::pipeline::Summary;
use crate::verdict::{Failure, Finding, Verdict};

/// A run at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Seen, lost and found so far.
    pub summary: Summary,
    /// Where the run stands.
    pub run: Run,
    /// Open connections.
    pub connections: usize,
    /// Exchanges that wait for their pair.
    pub unpaired: usize,
    /// Findings, in order of their first pair.
    pub findings: Arc<Vec<Finding>>,
    /// Upstream servers: those whose failures are hidden first, then those that fail, then in address order.
    pub servers: Vec<ServerRow>,
    /// Clients with flagged pairs, those with the most first; [`Snapshot::clients`] counts all of them.
    pub touched: Vec<ClientRow>,
    /// Pairs by time.
    pub history: History,
    /// Pairs that are listed.
    pub rows: Rows,
    /// Pairs that are listed no longer.
    pub forgotten: u64,
    /// Distinct clients with a flagged pair.
    pub clients: usize,
}

/// Where a run stands.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Packets come from this host and not from files.
    pub live: bool,
    /// What is read or listened to, in a few words.
    pub source: String,
    /// `10x`, `max`; empty for live runs.
    pub speed: String,
    /// Bytes read.
    pub read: u64,
    /// Bytes in all, where that is known.
    pub total: Option<u64>,
    /// Nothing more comes.
    pub ended: bool,
    /// What the witness may and can: privileges, probes, interfaces; one a line.
    pub notes: Vec<String>,
}

/// One upstream server.
#[derive(Clone, Debug)]
pub struct ServerRow {
    /// Its address; `None` for those beyond the limit, counted together.
    pub addr: Option<Addr>,
    /// How it is called, where that was seen.
    pub host: Option<String>,
    /// Visits of pairs that are judged.
    pub visits: u64,
    /// Those that failed, by kind.
    pub failures: BTreeMap<Failure, u64>,
    /// Flagged pairs in which it failed, by verdict.
    pub flagged: BTreeMap<Verdict, u64>,
    /// The first and the last of them.
    pub since: Option<(Ts, Ts)>,
    /// When a visit went well for the last time.
    pub well: Option<Ts>,
    /// Clients touched by them.
    pub clients: usize,
}

impl ServerRow {
    /// Failed visits of any kind.
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Flagged pairs of any verdict.
    pub fn hidden(&self) -> u64 {
        self.flagged.values().sum()
    }
}

/// One client from which something was hidden.
#[derive(Clone, Debug)]
pub struct ClientRow {
    /// Its address.
    pub ip: IpAddr,
    /// The credential of its latest flagged pair.
    pub token: Option<Fingerprint>,
    /// Flagged pairs.
    pub hidden: u64,
    /// The first and the last of them.
    pub since: (Ts, Ts),
    /// When a pair of its own went well for the last time.
    pub well: Option<Ts>,
    /// What it asked for in the latest flagged pair.
    pub route: String,
}

/// Pairs by time: stretches of equal length, without holes.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// When the first stretch begins.
    pub start: Ts,
    /// Nanoseconds in one.
    pub width: i64,
    /// All pairs, and flagged ones.
    pub stretches: Vec<(u64, u64)>,
}

/// Pairs in order of their number. Full blocks are shared with the run, so that a snapshot costs little.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Full blocks.
    pub blocks: Vec<Arc<[Arc<Row>]>>,
    /// The block that is being filled.
    pub open: Vec<Arc<Row>>,
}

impl Rows {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Row>> {
        self.blocks.iter().flat_map(|block| block.iter()).chain(&self.open)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.blocks.iter().map(|block| block.len()).sum::<usize>() + self.open.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
