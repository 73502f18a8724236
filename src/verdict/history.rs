//! What went before: which credential worked where and until when. Bounded; explains, never decides.

use std::collections::HashMap;

use crate::base::{Addr, Fingerprint, Ts};
use crate::correlate::Leg;

/// Outcomes of credentials at upstream servers.
#[derive(Debug, Default)]
pub(super) struct History {
    worked: HashMap<(Addr, Fingerprint), Ts>,
}

impl History {
    /// An upstream exchange is over.
    pub(super) fn note(&mut self, leg: &Leg) {
        let (Some(status), Some(request)) = (leg.status(), leg.request.as_ref()) else { return };
        let Some(credential) = &request.head.credential else { return };
        if status < 300 && (self.worked.len() < KEPT || self.worked.contains_key(&(leg.peers.server, credential.mark))) {
            let last = self.worked.entry((leg.peers.server, credential.mark)).or_insert(leg.last().ts);
            *last = leg.last().ts.max(*last);
        }
    }

    /// When a credential was last accepted by a server, before `at`.
    pub(super) fn last_accepted(&self, server: Addr, credential: Fingerprint, at: Ts) -> Option<Ts> {
        self.worked.get(&(server, credential)).copied().filter(|last| *last < at)
    }
}

/// Credentials remembered, times servers.
const KEPT: usize = 65_536;
