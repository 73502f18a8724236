//! Gateways that are known by their processes before they are asked anything. Packets tell of a gateway only once it has asked somebody;
//! a process that is gateway software by its own name is one from its first packet on.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::base::Addr;
use crate::pipeline::Summary;
use crate::source::host::{Server, servers};

/// Addresses of such processes, and who listens there.
#[derive(Debug, Default)]
pub(super) struct Known {
    found: BTreeMap<SocketAddr, String>,
}

impl Known {
    /// Looks at the processes whose packets are seen from network namespace `seen_from`. Who has connections on both sides and no name that
    /// is known may be any proxy: that is left to the packets.
    pub(super) fn look(seen_from: Option<u64>) -> Known {
        let (mut servers, _) = servers();
        // Networks that do not meet may use an address twice: the one at hand is that of this namespace.
        servers.sort_by_key(|server| server.namespace == seen_from);
        Known { found: servers.iter().filter_map(|server| known(server, seen_from)).flatten().collect() }
    }

    /// As the engine takes gateways.
    pub(super) fn addresses(&self) -> Vec<(IpAddr, Option<u16>)> {
        self.found.keys().map(|at| (at.ip(), Some(at.port()))).collect()
    }

    /// Who it is, for people.
    pub(super) fn said(&self) -> Option<String> {
        let mut all: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        self.found.iter().for_each(|(at, who)| all.entry(who).or_default().push(at.to_string()));
        let all: Vec<String> = all.into_iter().map(|(who, at)| format!("{who} at {}", at.join(", "))).collect();
        (!all.is_empty()).then(|| format!("known as a gateway: {}", all.join("; ")))
    }

    /// The run's summary says how a gateway was found: these by their process, and not by the user.
    pub(super) fn tell(&self, summary: &mut Summary) {
        for gateway in &mut summary.gateways {
            let found = self.found.iter().find(|(at, _)| Addr::new(at.ip(), at.port()) == gateway.listen);
            if let Some((_, who)) = found {
                gateway.named = false;
                gateway.how = format!("{who} listens there");
            }
        }
    }
}

fn known(server: &Server, seen_from: Option<u64>) -> Option<Vec<(SocketAddr, String)>> {
    let software = server.software.as_ref()?;
    // What is loopback elsewhere is another's here.
    let ours = server.namespace == seen_from;
    let seen = server.reached.iter().filter(|at| ours || !at.ip().is_loopback());
    Some(seen.map(|at| (*at, format!("{software} (process {})", server.pid))).collect())
}
