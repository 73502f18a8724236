//! What a run saw, lost and found, as a whole.

use std::collections::BTreeMap;

use super::front::Names;
use crate::base::{Addr, Counts, Ts};
use crate::correlate::Gateway;
use crate::verdict::{Reason, Verdict};

/// Told at the end of a run, and at any moment of a live one.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Captures read, as named by the user.
    pub captures: Vec<String>,
    /// Time of the first packet.
    pub first: Option<Ts>,
    /// Time of the last packet.
    pub last: Option<Ts>,
    /// Everything counted.
    pub counts: Counts,
    /// HTTP exchanges of any kind, on any port.
    pub exchanges: u64,
    /// Gateways, in order of their address.
    pub gateways: Vec<Gateway>,
    /// What the capturing machine called the addresses.
    pub names: Names,
    /// Pairs.
    pub pairs: u64,
    /// Pairs by verdict; verdicts without a pair are absent.
    pub verdicts: BTreeMap<Verdict, u64>,
    /// Unresolved pairs by reason.
    pub unresolved: BTreeMap<Reason, u64>,
    /// Findings.
    pub findings: u64,
    /// What was lost or could not be read, each worth telling.
    pub losses: Vec<Loss>,
}

impl Summary {
    /// An address for people: with its name behind it, where the capture has one.
    pub fn called(&self, addr: Addr) -> String {
        let from = (addr.ip(), String::new());
        match self.names.range(from..).next() {
            Some((ip, name)) if *ip == addr.ip() => format!("{addr} ({name})"),
            _ => addr.to_string(),
        }
    }
}

/// A loss, a gap, a decode problem: what the witness could not see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// A short word (`truncated`, `damaged`, `kernel-drops`, `lost-bytes`, ...).
    pub kind: String,
    /// Where: a file and an offset, a connection; empty where it is about the whole run.
    pub place: String,
    /// What it means, in one sentence.
    pub detail: String,
    /// When, where that is known.
    pub at: Option<Ts>,
}
