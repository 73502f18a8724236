//! Software, versions and protocol revisions as the traffic names them: what a bug report to a gateway's maintainers needs. None of it is
//! secret: the rooms before have redacted it.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::Addr;
use crate::correlate::Leg;
use crate::mcp::{Asked, Outcome};
use crate::verdict::Judged;

/// Names that were seen, each kind bounded.
#[derive(Clone, Debug, Default)]
pub(in crate::report) struct Seen {
    /// `clientInfo` and `User-Agent` of clients.
    pub(in crate::report) clients: BTreeSet<String>,
    /// `Server` and `serverInfo` of the gateway's own answers.
    pub(in crate::report) gateway: BTreeSet<String>,
    /// What the gateway calls itself upstream.
    pub(in crate::report) agents: BTreeSet<String>,
    /// `Server` and `serverInfo` by upstream server, with its host name.
    pub(in crate::report) servers: BTreeMap<Addr, BTreeSet<String>>,
    /// Protocol revisions, downstream and upstream.
    pub(in crate::report) downstream: BTreeSet<String>,
    pub(in crate::report) upstream: BTreeSet<String>,
}

impl Seen {
    pub(super) fn pair(&mut self, judged: &Judged) {
        let down = &judged.pair.down;
        callers(down, &mut self.clients);
        answerers(down, &mut self.gateway);
        revisions(down, &mut self.downstream);
        for leg in judged.pair.up.iter().map(|link| &*link.leg) {
            callers(leg, &mut self.agents);
            revisions(leg, &mut self.upstream);
            let server = leg.peers.server;
            if self.servers.len() < MOST || self.servers.contains_key(&server) {
                answerers(leg, self.servers.entry(server).or_default());
            }
        }
    }
}

fn callers(leg: &Leg, into: &mut BTreeSet<String>) {
    let head = leg.request.as_ref().map(|request| &request.head.common);
    note(into, head.and_then(|head| head.user_agent.as_deref()).map(|agent| format!("User-Agent {agent}")));
    if let Asked::Rpc(asks) = &leg.asked {
        asks.iter().for_each(|ask| note(into, ask.client_info.as_deref().map(|info| format!("clientInfo {info}"))));
    }
}

fn answerers(leg: &Leg, into: &mut BTreeSet<String>) {
    let server = leg.response.as_ref().and_then(|response| response.head.server.as_deref());
    note(into, server.map(|server| format!("Server {server}")));
    for answer in &leg.answers {
        if let Outcome::Result { server_info: Some(info), .. } = &answer.outcome {
            note(into, Some(format!("serverInfo {info}")));
        }
    }
}

fn revisions(leg: &Leg, into: &mut BTreeSet<String>) {
    note(into, leg.request.as_ref().and_then(|request| request.head.common.protocol_version.clone()));
    if let Asked::Rpc(asks) = &leg.asked {
        asks.iter().for_each(|ask| note(into, ask.protocol_version.clone()));
    }
    for answer in &leg.answers {
        if let Outcome::Result { protocol_version: Some(version), .. } = &answer.outcome {
            note(into, Some(version.clone()));
        }
    }
}

fn note(into: &mut BTreeSet<String>, word: Option<String>) {
    if let Some(word) = word.filter(|word| !word.is_empty() && into.len() < MOST) {
        into.insert(word);
    }
}

/// Names of one kind that are kept.
const MOST: usize = 64;
