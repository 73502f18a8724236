//! One HTTP exchange by itself: what pairing works from.

use serde::Serialize;

use super::Shown;
use super::leg::{Files, HttpRecord, McpRecord, ProcessRecord, processes};
use super::{complete, frames};
use crate::base::{Addr, Ts};
use crate::correlate::Leg;
use crate::mcp::Asked;

#[derive(Debug, Serialize)]
pub(in crate::report) struct ExchangeRecord<'a> {
    record: &'static str,
    client: Shown<Addr>,
    server: Shown<Addr>,
    start: Shown<Ts>,
    end: Option<Shown<Ts>>,
    frames: Option<[u64; 2]>,
    #[serde(flatten)]
    files: Files<'a>,
    via: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    processes: Vec<ProcessRecord<'a>>,
    http: HttpRecord<'a>,
    complete: bool,
    /// Only where the exchange speaks MCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    mcp: Option<McpRecord<'a>>,
}

impl<'a> ExchangeRecord<'a> {
    pub(in crate::report) fn new(leg: &'a Leg, files: &'a [String]) -> ExchangeRecord<'a> {
        let version = leg.request.as_ref().map(|request| request.head.common.version);
        let version = version.or_else(|| leg.response.as_ref().map(|response| response.head.common.version));
        let speaks_mcp = !matches!(leg.asked, Asked::Other | Asked::Authorization | Asked::Unreadable(_));
        ExchangeRecord {
            record: "exchange",
            client: Shown(leg.peers.client),
            server: Shown(leg.peers.server),
            start: Shown(leg.start().ts),
            end: leg.done.filter(|done| done.any).map(|_| Shown(leg.last().ts)),
            frames: frames(leg),
            files: Files::new(leg, files),
            via: leg.peers.via.as_str(),
            processes: processes(leg),
            http: HttpRecord::new(leg).versioned(version),
            complete: complete(leg),
            mcp: speaks_mcp.then(|| McpRecord::new(leg, 0)),
        }
    }
}
