//! What was missed, and when: exchanges that show that packets were lost, and answers to requests that nobody saw.

use std::sync::Arc;

use super::Correlator;
use crate::base::{Cause, ExId, Gap, Ts};
use crate::http::End;
use crate::mcp::{Asked, Conduit, ConduitKind, Seen};

impl Correlator {
    /// An exchange shows that packets were lost, at any time since it began.
    pub(super) fn lost(&mut self, id: ExId, at: Option<Ts>) {
        let leg = self.legs.get(&id).map(|leg| (leg.start().ts, leg.peers.server));
        let (start, server) = (leg.map(|(start, _)| start), leg.map(|(_, server)| server));
        let Some(until) = at.or(start) else { return };
        let (last, _) = self.lost.entry((start.map_or(until, |start| start.min(until)), id)).or_insert((until, server));
        *last = until.max(*last);
        if self.lost.len() > BLIND {
            self.lost.pop_first();
        }
    }

    /// An answer to a request that was not seen.
    pub(super) fn blind_spot(&mut self, id: ExId) {
        let Some(leg) = self.legs.get(&id) else { return };
        let at = leg.start();
        let conduit = Conduit { peers: leg.peers.clone(), id, start: at, last: at, close: None, kind: ConduitKind::Unknown };
        let before = matches!(leg.asked, Asked::Unreadable(Gap { cause: Cause::Before, .. }));
        if before {
            // Nothing seen has caused it. But it may have caused what was seen until now.
            if !self.roles.role(leg.peers.server).upstream {
                self.lost.insert((Ts(i64::MIN), id), (at.ts, Some(leg.peers.server)));
            }
            return;
        }
        if leg.asked == Asked::Other {
            self.legs.remove(&id);
        }
        self.blind_to(Arc::new(conduit));
    }

    pub(super) fn blind_to(&mut self, conduit: Arc<Conduit>) {
        self.lost.insert((conduit.start.ts, conduit.id), (conduit.last.ts, Some(conduit.peers.server)));
        self.blind.insert((conduit.start.ts, conduit.id), conduit);
        if self.blind.len() > BLIND {
            self.blind.pop_first();
        }
    }
}

/// Whether something that was seen shows that packets of its exchange were lost, and up to when.
pub(super) fn lost(seen: &Seen) -> Option<(ExId, Option<Ts>)> {
    let is_lost = |gap: &Gap| gap.cause == Cause::Lost;
    match seen {
        Seen::Asked(exchange) => {
            let at = exchange.request.as_ref().map(|request| request.last.ts);
            matches!(&exchange.asked, Asked::Unreadable(gap) if is_lost(gap)).then_some((exchange.id, at))
        }
        Seen::Missed(id, gap) => is_lost(gap).then_some((*id, None)),
        Seen::Done(id, done) => {
            let gap = if let End::Unseen(gap) = &done.end { Some(gap) } else { done.unread.as_ref() };
            gap.is_some_and(is_lost).then_some((*id, Some(done.last.ts)))
        }
        _ => None,
    }
}

/// Answers to unseen requests remembered, and times of loss.
const BLIND: usize = 4_096;
