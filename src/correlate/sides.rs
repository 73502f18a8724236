//! Gives each exchange its side, once it is known what its server is: a client's request, a part of a visit, or another name of one of them.

use std::sync::Arc;

use super::{Correlator, hop};
use crate::base::{Addr, ExId};
use crate::mcp::Asked;

impl Correlator {
    /// Gives exchanges their side, once it is known what their server is.
    pub(super) fn flush(&mut self) {
        let known: Vec<Addr> = self.undecided.keys().copied().filter(|at| self.roles.role(*at).known()).collect();
        let mut ready: Vec<ExId> = known.iter().filter_map(|at| self.undecided.remove(at)).flatten().collect();
        ready.sort_by_key(|id| self.legs.get(id).map(|leg| (leg.start(), leg.id)));
        for id in ready {
            self.route(id);
        }
        let conduits = std::mem::take(&mut self.undecided_conduits);
        for conduit in conduits {
            self.conduit(conduit);
        }
    }

    pub(super) fn route(&mut self, id: ExId) {
        let Some(leg) = self.legs.get(&id) else { return };
        let (role, authorization) = (self.roles.role(leg.peers.server), leg.asked == Asked::Authorization);
        if role.relay {
            self.outer.insert(id);
            return;
        }
        if role.upstream && self.passed_on(id) {
            return;
        }
        if role.gateway && !authorization {
            self.alias(id);
            self.begin_request(id);
        }
        let Some(leg) = self.legs.get(&id) else { return };
        if role.upstream || authorization && !role.gateway {
            let visit = self.visits.attach(leg);
            self.learned.asked(leg);
            if let Some(visit) = self.visits.open.get(&visit) {
                self.starts.insert((visit.start.ts, visit.id));
                self.stale.insert(visit.id);
            }
            for names in leg.names.iter().flatten() {
                self.learned.list(leg.peers.server, names);
            }
        }
    }

    /// A relay on the far side passes the gateway's own request on: its leg is another name of the gateway's.
    fn passed_on(&mut self, id: ExId) -> bool {
        let Some(leg) = self.legs.get(&id) else { return false };
        let server = leg.peers.server;
        let first = self.legs.values().filter(|own| {
            own.id != id
                && self.roles.stands_before(own.peers.server, server)
                && self.roles.role(own.peers.server).upstream
                && hop::same_request(own, leg)
        });
        let Some(own) = first.map(|own| (own.start(), own.id)).max() else { return false };
        self.inner.insert(id, own.1);
        true
    }

    /// Outer legs of a request give it further names.
    fn alias(&mut self, id: ExId) {
        let Some(leg) = self.legs.get(&id) else { return };
        let server = leg.peers.server;
        let outer = self.outer.iter().filter_map(|outer| self.legs.get(outer)).filter(|outer| {
            !self.inner.contains_key(&outer.id) && self.roles.relays(outer.peers.server, server) && hop::same_request(outer, leg)
        });
        // The latest that fits: a pooled connection serves many clients one after the other.
        let Some(outer) = outer.map(|outer| (outer.start(), outer.id)).min() else { return };
        let Some(outer) = self.legs.get(&outer.1).cloned() else { return };
        self.inner.insert(outer.id, id);
        if let Some(leg) = self.legs.get_mut(&id) {
            let peers = outer.peers.clone();
            leg.outer = Some(Arc::new(outer));
            leg.peers.client_aliases.push(peers.client);
            leg.peers.client_aliases.extend(peers.client_aliases);
            leg.peers.server_aliases.push(peers.server);
            leg.peers.server_aliases.extend(peers.server_aliases);
        }
    }
}
