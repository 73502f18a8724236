//! What was seen comes in, in order; it goes on with requests that their client took back marked as such: "receivers of cancellation
//! notifications SHOULD ... not send a response for the cancelled request" (MCP 2025-06-18, Cancellation), so a stream that ends without
//! an answer then is no broken promise. Knows requests under way only, and takes no doubtful one for cancelled.

use std::collections::BTreeMap;

use crate::base::{Addr, ExId, Fingerprint, Limits};
use crate::http::{Broken, End};

use super::{AskKind, Asked, Exchange, RpcId, Seen};

/// Requests under way, and which of them were taken back.
#[derive(Debug, Default)]
pub(super) struct Cancellations {
    open: BTreeMap<ExId, Open>,
    room: usize,
}

#[derive(Debug)]
struct Open {
    servers: Vec<Addr>,
    session: Option<Fingerprint>,
    credential: Option<Fingerprint>,
    client: std::net::IpAddr,
    /// Ids without an answer yet.
    due: Vec<RpcId>,
    cancelled: bool,
}

impl Cancellations {
    /// With room for as many requests as may wait for an answer.
    pub(super) fn new(limits: &Limits) -> Cancellations {
        Cancellations { open: BTreeMap::new(), room: limits.elsewhere.max(1) }
    }

    /// Takes note of what was seen, and says so in its end where the client did not want the answer any more.
    pub(super) fn watch(&mut self, seen: &mut Seen) {
        match seen {
            Seen::Asked(exchange) => self.asked(exchange),
            Seen::Answered(id, answer) => {
                if let (Some(open), Some(answered)) = (self.open.get_mut(id), &answer.id) {
                    open.due.retain(|due| due != answered);
                }
            }
            Seen::Done(id, done) => {
                let Some(open) = self.open.remove(id) else { return };
                if open.cancelled && !open.due.is_empty() && done.unread.is_none() && done.end == End::Complete {
                    done.end = End::Broken(Broken::Left);
                }
            }
            _ => {}
        }
    }

    fn asked(&mut self, exchange: &Exchange) {
        let (Some(request), Asked::Rpc(asks)) = (&exchange.request, &exchange.asked) else { return };
        let due: Vec<_> = asks.iter().filter(|ask| ask.kind == AskKind::Request).filter_map(|ask| ask.id.clone()).collect();
        let taken_back: Vec<_> = asks.iter().filter_map(|ask| ask.cancels.as_ref()).collect();
        if due.is_empty() && taken_back.is_empty() {
            return;
        }
        let open = Open {
            servers: exchange.peers.servers().collect(),
            session: request.head.common.session,
            credential: request.head.credential.as_ref().map(|credential| credential.mark),
            client: exchange.peers.client.ip(),
            due,
            cancelled: false,
        };
        for id in taken_back {
            let mut meant = self.open.values_mut().filter(|other| other.due.contains(id) && other.same_client(&open));
            // Ids are numbers from zero in most clients: without a session two requests may fit, and neither is certain.
            if let (Some(one), None) = (meant.next(), meant.next()) {
                one.cancelled = true;
            }
        }
        if !open.due.is_empty() {
            if self.open.len() >= self.room {
                self.open.pop_first();
            }
            self.open.insert(exchange.id, open);
        }
    }
}

impl Open {
    fn same_client(&self, other: &Open) -> bool {
        self.session == other.session
            && self.credential == other.credential
            && self.client == other.client
            && self.servers.iter().any(|server| other.servers.contains(server))
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{Trial, answer_head};
    use super::*;
    use crate::mcp::Joiner;

    /// How a call ended, and how others of the same id did, where this was said of it.
    fn ends(cancel: &str, calls: u64) -> Vec<End> {
        let (mut joiner, mut counts, mut out) = (Joiner::new(&Limits::default()), crate::base::Counts::default(), Vec::new());
        let mut push = |trial: &mut Trial| {
            for seen in std::mem::take(&mut trial.out) {
                joiner.push(seen, &mut counts, &mut out);
            }
        };
        let mut trials: Vec<Trial> = (0..calls).map(Trial::new).collect();
        for trial in &mut trials {
            trial.post(0, "/mcp", r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x"}}"#);
            push(trial);
        }
        let mut other = Trial::new(9);
        other.post(0, "/mcp", cancel).answer(0, answer_head(202, ""), &[], End::Complete);
        push(&mut other);
        for trial in &mut trials {
            trial.answer(0, answer_head(200, "text/event-stream"), &[b": ping\n\n"], End::Complete);
            push(trial);
        }
        let done = out.into_iter().filter_map(|seen| match seen {
            Seen::Done(id, done) if id.conn.0 != 9 => Some(done.end),
            _ => None,
        });
        done.collect()
    }

    #[test]
    fn an_answer_that_was_taken_back_is_not_missing() {
        let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
        assert_eq!(ends(cancel, 1), [End::Broken(Broken::Left)]);
        assert_eq!(ends(&cancel.replace('7', "8"), 1), [End::Complete]);
        assert_eq!(ends(&cancel.replace("cancelled", "progress"), 1), [End::Complete]);
        assert_eq!(ends(cancel, 2), [End::Complete, End::Complete], "which of the two is not certain");
    }
}
