//! Every HTTP exchange, whoever spoke to whom: counted always, gathered where it is wanted.

use std::collections::BTreeMap;

use crate::base::ExId;
use crate::correlate::Leg;
use crate::mcp::Seen;

/// Exchanges that are not over yet.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    open: BTreeMap<ExId, Leg>,
    /// How many were seen.
    pub(super) count: u64,
}

impl Exchanges {
    /// Something was seen. Gives the exchange that is over with it, if they are `wanted`.
    pub(super) fn watch(&mut self, seen: &Seen, wanted: bool) -> Option<Leg> {
        self.count += u64::from(matches!(seen, Seen::Asked(_)));
        if !wanted {
            return None;
        }
        match seen {
            Seen::Asked(exchange) => {
                self.open.insert(exchange.id, Leg::new((**exchange).clone()));
            }
            Seen::Answering(id, response) => {
                if let Some(leg) = self.open.get_mut(id) {
                    leg.response = Some((**response).clone());
                }
            }
            Seen::Done(id, done) => {
                let mut leg = self.open.remove(id)?;
                leg.done = Some(*done);
                return Some(leg);
            }
            Seen::Answered(id, answer) => {
                if let Some(leg) = self.open.get_mut(id)
                    && leg.answers.len() < ANSWERS
                {
                    leg.answers.push((**answer).clone());
                }
            }
            Seen::Missed(id, gap) => {
                if let Some(leg) = self.open.get_mut(id) {
                    leg.missed.get_or_insert(*gap);
                }
            }
            Seen::Resumable(_) | Seen::Conduit(_) | Seen::Unseen(_) => {}
        }
        None
    }

    /// Those that never ended, in order.
    pub(super) fn rest(&mut self) -> Vec<Leg> {
        std::mem::take(&mut self.open).into_values().collect()
    }
}

/// Messages kept of one answer: a stream may bring them for hours, and the first tell what it is.
const ANSWERS: usize = 256;
