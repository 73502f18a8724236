//! Memory follows what is open: what nobody waits for any more is let go.

use super::visit::{Visit, VisitId};
use super::{Correlator, Pair};
use crate::base::{ExId, Ts};
use crate::mcp::Asked;

impl Correlator {
    /// Memory follows what is open: where too much is, the oldest pairs are closed with what is known.
    pub(super) fn make_room(&mut self, out: &mut Vec<Pair>) {
        let spare = self.limits.open_exchanges / 8;
        let oldest: Vec<_> = self.requests.keys().copied().take(spare.max(1)).collect();
        if oldest.is_empty() {
            // Nothing is paired at all: exchanges with servers of which nothing will be known.
            for ids in std::mem::take(&mut self.undecided).into_values() {
                for id in ids.into_iter().take(spare) {
                    self.legs.remove(&id);
                }
            }
        }
        for key in oldest {
            self.close(key, true, out);
        }
        self.sweep();
    }

    /// Visits that no request can be the parent of, and that are over, are nobody's: the gateway's own errands.
    pub(super) fn sweep(&mut self) {
        let first = self.requests.keys().next().map_or(Ts::MAX, |key| key.0.ts);
        let horizon = first.min(self.held.unwrap_or(Ts::MAX)).min(self.now);
        let old: Vec<(Ts, VisitId)> = self.starts.range(..(horizon, VisitId(0))).copied().collect();
        for (start, id) in old {
            let over = self.visits.open.get(&id).is_none_or(|visit| self.is_over(visit));
            let idle = self.now.since(start) > IDLE;
            if (over && self.now.since(start) > LINGER) || idle {
                self.starts.remove(&(start, id));
                if let Some(visit) = self.take(id) {
                    self.drop_legs(&visit.legs);
                }
            }
        }
        self.blind.retain(|_, spot| spot.last.ts >= horizon - LINGER);
        // Who waited for a request that is gone has been woken, or will be by time.
        let requests = &self.requests;
        self.waiters.retain(|key, _| requests.get(key).is_some());
        self.lost.retain(|_, (last, _)| *last >= horizon - LINGER);
        let now = self.now;
        self.tunnels.retain(|_, tunnel| tunnel.close.is_none() || tunnel.last.ts >= horizon || now.since(tunnel.last.ts) < LINGER);
    }

    pub(super) fn drop_legs(&mut self, ids: &[ExId]) {
        for id in ids {
            if let Some(leg) = self.legs.get(id) {
                self.visits.forget(leg);
                let both = self.roles.role(leg.peers.server).gateway && self.requests.of_exchange(leg.start(), *id).next().is_some();
                if leg.done.is_some() && !both {
                    self.legs.remove(id);
                }
            }
        }
    }

    pub(super) fn is_over(&self, visit: &Visit) -> bool {
        visit.legs.iter().filter_map(|id| self.legs.get(id)).all(|leg| leg.done.is_some() || leg.asked == Asked::Stream)
    }
}

/// How long the gateway may go on working for a client that left, nanoseconds of packet time.
pub(super) const LINGER: i64 = 5_000_000_000;
/// After this long a visit that is not over is given up, nanoseconds of packet time.
const IDLE: i64 = 600_000_000_000;
