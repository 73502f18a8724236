//! One exchange while it is open, and its request: head, body and end come in, what it asks goes out. Reads what is needed and
//! drops the rest at once; its answer is read in [`super::answering`].

use crate::base::{Cause, Count, Counts, ExId, Fingerprint, Gap, Stamp};
use crate::http::{End, Want};

use super::jsonrpc::{self, Asks, Means};
use super::outcome::{self, Expect};
use super::reading::{Body, Reading};
use super::route::{Route, Sure};
use super::{Answered, Ask, AskKind, Asked, Exchange, Peers, RpcId, Seen, rest, words};

/// An open exchange.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) id: ExId,
    /// The request, until it is said.
    pub(super) exchange: Option<Box<Exchange>>,
    /// What is known before the request is said.
    held: Vec<Seen>,
    pub(super) route: Route,
    pub(super) body: Body,
    pub(super) due: Vec<Due>,
    pub(super) reads: Reads,
    pub(super) reading: Reading,
    pub(super) status: Option<u16>,
    pub(super) session: Option<Fingerprint>,
    pub(super) unread: Option<Gap>,
    pub(super) foreign: bool,
    /// Fields of the response's head may be missing.
    pub(super) partial: bool,
    done: bool,
    /// The request was not seen.
    pub(super) headless: bool,
    /// Path of a request for a stream, which its `endpoint` may be relative to.
    pub(super) base: Option<Box<(String, Fingerprint)>>,
}

/// An answer that is due.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) id: Option<RpcId>,
    pub(super) method: Option<String>,
    pub(super) answered: bool,
}

/// What is read of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    /// The request is not understood yet.
    Undecided,
    Messages,
    Rest(rest::Route),
    /// Events of a GET stream.
    Stream,
    /// The first message decides.
    Peek,
    /// Why it failed, if it fails.
    Reason,
    Nothing,
}

/// What an exchange needs to speak.
pub(super) struct Voice<'a> {
    pub(super) means: Means<'a>,
    pub(super) peers: &'a Peers,
    pub(super) counts: &'a mut Counts,
    pub(super) out: &'a mut Vec<Seen>,
}

impl Open {
    /// With a request.
    pub(super) fn new(id: ExId, exchange: Box<Exchange>) -> Open {
        let head = exchange.request.as_ref().map(|request| &request.head);
        let route = head.map_or(Route::Other, Route::of);
        let body = match (route, head) {
            (Route::Rpc(sure), Some(head)) => Body::new(sure < Sure::Certain, head.common.content_length),
            _ => Body::Dropped,
        };
        let session = head.and_then(|head| head.common.session);
        let base = head.filter(|_| matches!(route, Route::Stream(_))).map(|head| Box::new((head.path.clone(), head.path_mark)));
        Open {
            id,
            exchange: Some(exchange),
            held: Vec::new(),
            route,
            body,
            due: Vec::new(),
            reads: Reads::Undecided,
            reading: Reading::Nothing,
            status: None,
            session,
            unread: None,
            foreign: false,
            partial: false,
            done: false,
            headless: false,
            base,
        }
    }

    /// With a response whose request was not seen: `gap`. It is said as soon as the answer shows whether it is MCP's.
    pub(super) fn headless(id: ExId, mut exchange: Box<Exchange>, gap: Gap) -> Open {
        exchange.asked = Asked::Unreadable(gap);
        Open { reads: Reads::Peek, headless: true, ..Open::new(id, exchange) }
    }

    /// Whether the request's body is to be read.
    pub(super) fn wants(&self) -> Want {
        if matches!(self.body, Body::Dropped) { Want::Nothing } else { Want::Body }
    }

    /// Whether all of it was said.
    pub(super) fn is_over(&self) -> bool {
        self.done && self.exchange.is_none()
    }

    /// More of the request's body.
    pub(super) fn request_body(&mut self, bytes: &[u8], voice: &mut Voice<'_>) {
        if self.body.take(bytes, voice.means.limits.body_bytes) {
            voice.counts.bump(Count::OverLimit);
        }
        if self.body.is_sniffing()
            && let Some(may_be) = jsonrpc::may_be(self.body.bytes())
        {
            self.body = if may_be { std::mem::take(&mut self.body).decided() } else { Body::Dropped };
        }
    }

    /// Bytes of the request's body are missing.
    pub(super) fn request_hole(&mut self, gap: Gap) {
        self.body.hole(gap);
    }

    /// The request is over: says what it asks.
    pub(super) fn request_end(&mut self, end: End, at: Stamp, voice: &mut Voice<'_>) {
        let Some(mut exchange) = self.exchange.take() else { return };
        let body = std::mem::take(&mut self.body);
        exchange.asked = self.asked(&exchange, &body, end, voice);
        if let Some(request) = &mut exchange.request {
            (request.end, request.last) = (end, at);
        }
        self.reads = match &exchange.asked {
            Asked::Rpc(asks) => {
                let requests = asks.iter().filter(|ask| ask.kind == AskKind::Request);
                self.due = requests.map(|ask| Due { id: ask.id.clone(), method: ask.method.clone(), answered: false }).collect();
                if self.due.is_empty() { Reads::Reason } else { Reads::Messages }
            }
            Asked::RestList(kind) => Reads::Rest(rest::Route::List(*kind)),
            Asked::RestCall => Reads::Rest(rest::Route::Call),
            Asked::Stream => Reads::Stream,
            Asked::EndSession | Asked::Authorization => Reads::Reason,
            Asked::Unreadable(_) => Reads::Messages,
            Asked::Other if matches!(self.route, Route::Stream(_)) => Reads::Peek,
            Asked::Other => {
                self.reading = Reading::Nothing;
                Reads::Nothing
            }
        };
        self.introduce(exchange, voice);
    }

    /// There will be no response, or no more of it that is HTTP.
    pub(super) fn finish(&mut self, any: bool, end: End, last: Stamp, voice: &mut Voice<'_>) {
        if !std::mem::replace(&mut self.done, true) {
            self.reading = Reading::Nothing;
            if self.headless
                && let Some(mut exchange) = self.exchange.take()
            {
                exchange.asked = Asked::Other;
                self.introduce(exchange, voice);
            }
            self.say(Seen::Done(self.id, Answered { any, end, last, unread: self.unread, foreign: self.foreign }), voice);
        }
    }

    /// The connection has left HTTP.
    pub(super) fn upgraded(&mut self, at: Stamp, voice: &mut Voice<'_>) {
        if matches!(self.reads, Reads::Messages | Reads::Stream) {
            self.unread = self.unread.or(Some(GARBLED));
        }
        self.request_end(End::Complete, at, voice);
        self.finish(self.status.is_some(), End::Complete, at, voice);
    }

    /// Says the request, and what waited for that.
    pub(super) fn introduce(&mut self, exchange: Box<Exchange>, voice: &mut Voice<'_>) {
        voice.out.push(Seen::Asked(exchange));
        for mut seen in std::mem::take(&mut self.held) {
            if let Seen::Answered(_, answer) = &mut seen {
                let expect = self.expect(answer.id.as_ref());
                outcome::fit(&mut answer.outcome, expect);
                self.mark_answered(answer.id.as_ref());
            }
            voice.out.push(seen);
        }
    }

    fn asked(&mut self, exchange: &Exchange, body: &Body, end: End, voice: &mut Voice<'_>) -> Asked {
        let sure = match self.route {
            Route::Rpc(sure) => sure,
            Route::Rest(rest::Route::List(kind)) => return Asked::RestList(kind),
            Route::Rest(rest::Route::Call) => return Asked::RestCall,
            Route::Stream(Sure::Maybe) | Route::Other => return Asked::Other,
            Route::Stream(_) => return Asked::Stream,
            Route::EndSession => return Asked::EndSession,
            Route::Authorization => return Asked::Authorization,
        };
        if matches!(body, Body::Dropped) {
            return Asked::Other;
        }
        let found = jsonrpc::asks(body.bytes(), voice.means);
        let missing = match end {
            _ if found.whole => None,
            End::Unseen(gap) => Some(body.gap().unwrap_or(gap)),
            End::Broken(_) => Some(body.gap().unwrap_or(GARBLED)),
            End::Complete => body.gap(),
        };
        if is_mcp(&found, sure) && (found.whole || missing.is_some()) {
            if found.more {
                voice.counts.bump(Count::OverLimit);
                self.unread = Some(Gap { len: None, cause: Cause::Limit });
            } else if body.bytes().trim_ascii_start().first() == Some(&b'[') {
                // What the rest of a batch asked is not known, nor then what its answers are.
                self.unread = missing;
            }
            return Asked::Rpc(found.asks);
        }
        let head = exchange.request.as_ref().map(|request| &request.head);
        match missing {
            Some(gap) => match head.and_then(|head| head.mcp_method.as_deref().map(|method| (method, head.mcp_name.as_deref()))) {
                // MCP 2026-07-28 has servers refuse requests whose headers and body disagree.
                Some((method, name)) => Asked::Rpc(vec![from_headers(method, name)]),
                None if sure > Sure::Maybe => Asked::Unreadable(gap),
                None => Asked::Other,
            },
            None if sure == Sure::Certain => Asked::Unreadable(GARBLED),
            None => Asked::Other,
        }
    }

    pub(super) fn say(&mut self, seen: Seen, voice: &mut Voice<'_>) {
        if self.exchange.is_some() { self.held.push(seen) } else { voice.out.push(seen) }
    }

    /// What kind of result an id announces.
    pub(super) fn expect(&self, id: Option<&RpcId>) -> Expect {
        let due = match (&*self.due, id) {
            ([only], None) => Some(only),
            (due, id) => due.iter().find(|due| due.id.is_none() || due.id.as_ref() == id),
        };
        due.map_or(Expect::Unknown, |due| Expect::of(due.method.as_deref()))
    }

    pub(super) fn mark_answered(&mut self, id: Option<&RpcId>) {
        for due in self.due.iter_mut().filter(|due| id.is_none() || due.id.is_none() || due.id.as_ref() == id) {
            due.answered = true;
        }
    }
}

fn is_mcp(found: &Asks, sure: Sure) -> bool {
    let own = |ask: &Ask| ask.method.as_deref().is_some_and(jsonrpc::is_mcp);
    !found.asks.is_empty() && (sure == Sure::Certain || found.rpc && found.asks.iter().any(own))
}

fn from_headers(method: &str, name: Option<&str>) -> Ask {
    Ask {
        kind: if method.starts_with("notifications/") { AskKind::Notification } else { AskKind::Request },
        method: Some(words::short(method, jsonrpc::METHOD)),
        id: None,
        lists: jsonrpc::lists(method),
        name: name.map(|name| words::redacted(name, jsonrpc::NAME)),
        arguments: None,
        cursor: None,
        protocol_version: None,
        client_info: None,
        trace: None,
        cancels: None,
        about: None,
    }
}

/// Bytes that are not what was due there.
pub(super) const GARBLED: Gap = Gap { len: None, cause: Cause::Garbled };
