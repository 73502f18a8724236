//! One exchange, with everything that has become known of it so far.

use std::sync::Arc;

use super::names::Names;
use crate::base::{ExId, Gap, Stamp};
use crate::mcp::{Answer, Answered, Ask, Asked, Exchange, Peers, Request, Response};

/// An exchange on either side of a gateway.
#[derive(Clone, Debug)]
pub struct Leg {
    /// Its name.
    pub id: ExId,
    /// Its connection's ends.
    pub peers: Peers,
    /// The same request as it came to a relay on this side, whose addresses are among the aliases: as it was seen until now.
    pub outer: Option<Arc<Leg>>,
    /// The request, where it was seen.
    pub request: Option<Request>,
    /// What it asks.
    pub asked: Asked,
    /// The response's head, once seen.
    pub response: Option<Response>,
    /// Messages of the answer, in the order in which they came.
    pub answers: Vec<Answer>,
    /// Names in the lists among them, at the same places.
    pub(super) names: Vec<Option<Arc<Names>>>,
    /// How the response ended; `None` while it is open.
    pub done: Option<Answered>,
    /// Something of its answer was missed: until it is over, silence proves nothing.
    pub missed: Option<Gap>,
}

impl Leg {
    /// From the request's side.
    pub fn new(exchange: Exchange) -> Leg {
        let Exchange { id, peers, request, asked } = exchange;
        Leg { id, peers, outer: None, request, asked, response: None, answers: Vec::new(), names: Vec::new(), done: None, missed: None }
    }

    /// A message of its answer was read.
    pub fn answer(&mut self, answer: Answer) {
        self.names.push(Names::listed(&answer.outcome).map(Arc::new));
        self.answers.push(answer);
    }

    /// First byte of the request; of the response where no request was seen.
    pub fn start(&self) -> Stamp {
        let response = || self.response.as_ref().map(|response| response.start);
        self.request.as_ref().map(|request| request.start).or_else(response).unwrap_or_default()
    }

    /// Last byte seen of it so far.
    pub fn last(&self) -> Stamp {
        let request = self.request.as_ref().map(|request| request.last);
        let answer = self.answers.last().map(|answer| answer.at);
        let response = self.response.as_ref().map(|response| response.start);
        self.done.map(|done| done.last).into_iter().chain(answer).chain(response).chain(request).max().unwrap_or_default()
    }

    /// The response's status, once seen. 0 never stands here: an unknown HTTP/2 status is `None`.
    pub fn status(&self) -> Option<u16> {
        self.response.as_ref().map(|response| response.head.status).filter(|status| *status != 0)
    }

    /// The request's path, safe to show.
    pub fn path(&self) -> &str {
        self.request.as_ref().map_or("", |request| request.head.path.as_str())
    }

    /// The first (mostly the only) JSON-RPC message of the request.
    pub fn ask(&self) -> Option<&Ask> {
        match &self.asked {
            Asked::Rpc(asks) => asks.first(),
            _ => None,
        }
    }
}
