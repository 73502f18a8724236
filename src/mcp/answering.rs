//! The answer of an open exchange: its head, body and end come in, what it says goes out, event by event. Never claims what a
//! hole, a limit or a sender that stopped may have taken away.

use crate::base::{Cause, Count, Gap, Stamp};
use crate::http::{End, ResponseHead, Want};

use super::open::{GARBLED, Open, Reads, Voice};
use super::reading::{Body, Events, Reading};
use super::route::{self, Route, Sure};
use super::sse::{Event, Sse};
use super::{Answer, Outcome, Response, Resumable, RpcId, Seen, jsonrpc, mark, outcome, rest};

impl Open {
    /// The response's head is read.
    pub(super) fn response(&mut self, head: ResponseHead, at: Stamp, voice: &mut Voice<'_>) -> Want {
        self.status = Some(head.status);
        self.partial = head.common.partial;
        self.session = self.session.or(head.common.session);
        let media = head.common.content_type.as_deref();
        let (sse, json) = (media == Some("text/event-stream"), route::is_json(media));
        let reads = match (self.reads, self.route) {
            (Reads::Undecided, Route::Rpc(Sure::Maybe)) if matches!(self.body, Body::Dropped) => Reads::Nothing,
            (Reads::Undecided, Route::Rpc(Sure::Maybe) | Route::Stream(Sure::Maybe)) => Reads::Peek,
            (Reads::Undecided, Route::Rpc(_)) => Reads::Messages,
            (Reads::Undecided, Route::Stream(_)) => Reads::Stream,
            (Reads::Undecided, Route::Rest(route)) => Reads::Rest(route),
            (Reads::Undecided, Route::EndSession | Route::Authorization) => Reads::Reason,
            (Reads::Undecided, Route::Other) => Reads::Nothing,
            (reads, _) => reads,
        };
        let failed = head.status >= 400;
        let bodyless = matches!(head.status, 202 | 204 | 205 | 300..=399) || head.common.content_length == Some(0);
        self.reading = match reads {
            _ if bodyless => Reading::Nothing,
            Reads::Messages | Reads::Stream if sse => Reading::Events(Box::default()),
            Reads::Peek if self.headless && self.session.is_some() && !failed && (sse || json) => {
                // MCP by its header: there is nothing to wait for.
                if let Some(exchange) = self.exchange.take() {
                    self.introduce(exchange, voice);
                }
                self.reads = Reads::Messages;
                if sse { Reading::Events(Box::default()) } else { Reading::Json { body: Body::new(false, None), sniff: false } }
            }
            Reads::Peek if sse && !failed => Reading::Events(Box::new(Events { sse: Sse::default(), peek: true })),
            Reads::Peek if json && !failed => Reading::Json { body: Body::new(true, head.common.content_length), sniff: false },
            Reads::Messages | Reads::Rest(_) if json || media.is_none() => {
                Reading::Json { body: Body::new(false, head.common.content_length), sniff: !json }
            }
            Reads::Stream | Reads::Reason if failed && (json || media.is_none()) => {
                Reading::Json { body: Body::new(false, head.common.content_length), sniff: !json }
            }
            _ => Reading::Nothing,
        };
        let due = matches!(reads, Reads::Messages | Reads::Rest(_) | Reads::Stream);
        self.foreign = due && !bodyless && media.is_some() && !sse && !json;
        self.say(Seen::Answering(self.id, Box::new(Response { start: at, head })), voice);
        if matches!(self.reading, Reading::Nothing) { Want::Nothing } else { Want::Body }
    }

    /// More of the response's body.
    pub(super) fn response_body(&mut self, bytes: &[u8], at: Stamp, voice: &mut Voice<'_>) {
        match std::mem::take(&mut self.reading) {
            Reading::Nothing => {}
            Reading::Json { mut body, sniff } => {
                if body.take(bytes, voice.means.limits.body_bytes) {
                    voice.counts.bump(Count::OverLimit);
                    self.missed(Gap { len: None, cause: Cause::Limit }, voice);
                }
                if body.is_sniffing() {
                    match jsonrpc::may_be(body.bytes()) {
                        Some(true) => body = body.decided(),
                        Some(false) => return,
                        None => {}
                    }
                }
                // Not further than that: this is asked for each piece.
                let first = body.bytes().iter().take(jsonrpc::LONG_ENOUGH).find(|byte| !byte.is_ascii_whitespace());
                if sniff && first.is_some_and(|first| !matches!(first, b'{' | b'[' | 0xef)) {
                    match self.partial {
                        // Its media type may be among what was not seen of its head.
                        true => self.missed(Gap { len: None, cause: Cause::Lost }, voice),
                        false => self.foreign = self.status.is_some_and(|status| status < 400),
                    }
                    return;
                }
                self.reading = Reading::Json { body, sniff };
            }
            Reading::Events(mut events) => {
                let limit = voice.means.limits.sse_event_bytes;
                let mut ignore = false;
                let mut peek = events.peek;
                events.sse.feed(bytes, limit, |event| {
                    if !ignore {
                        (peek, ignore) = self.event(event, peek, at, voice);
                    }
                });
                events.peek = peek;
                if !ignore {
                    self.reading = Reading::Events(events);
                }
            }
        }
    }

    /// Bytes of the response's body are missing.
    pub(super) fn response_hole(&mut self, gap: Gap, voice: &mut Voice<'_>) {
        match &mut self.reading {
            Reading::Nothing => return,
            Reading::Json { body, .. } => body.hole(gap),
            Reading::Events(events) => {
                events.sse.hole();
                if events.peek {
                    return;
                }
            }
        }
        self.missed(gap, voice);
    }

    /// The response is over.
    pub(super) fn response_end(&mut self, end: End, at: Stamp, voice: &mut Voice<'_>) {
        match std::mem::take(&mut self.reading) {
            Reading::Nothing => {}
            Reading::Json { body, .. } => self.finish_json(&body, end, at, voice),
            Reading::Events(events) => self.finish_events(&events, end, voice),
        }
        if self.unread.is_none() && self.is_lost_legacy() {
            self.unread = Some(Gap { len: None, cause: Cause::Before });
        }
        self.finish(true, end, at, voice);
    }

    /// Reads an event; whether the first one is still awaited, and whether the rest of the stream is none of MCP's.
    fn event(&mut self, event: Event<'_>, peek: bool, at: Stamp, voice: &mut Voice<'_>) -> (bool, bool) {
        match event {
            Event::Missed(_) if peek => (peek, false),
            Event::Missed(cause) => {
                voice.counts.bump(Count::OverLimit);
                self.missed(Gap { len: None, cause }, voice);
                (peek, false)
            }
            Event::Data { name: b"endpoint", data } if matches!(self.reads, Reads::Stream | Reads::Peek) => {
                let outcome = self.endpoint(data, voice);
                self.recognised(voice);
                self.answered(None, outcome, at, voice);
                (false, false)
            }
            // "If the event type is omitted, it is message"; clients hear no other.
            Event::Data { name: b"" | b"message", data } => {
                let told = self.messages(data, peek, true, at, voice);
                (peek && !told.rpc, peek && !told.rpc)
            }
            Event::Data { .. } => (peek, false),
        }
    }

    /// A response whose request was not seen is MCP's.
    fn recognised(&mut self, voice: &mut Voice<'_>) {
        if self.headless
            && let Some(exchange) = self.exchange.take()
        {
            self.introduce(exchange, voice);
        }
    }

    /// Reads a JSON text of the answer. With `peek` it counts only where it is JSON-RPC; `sent`: this is all there was of it.
    fn messages(&mut self, bytes: &[u8], peek: bool, sent: bool, at: Stamp, voice: &mut Voice<'_>) -> outcome::Told {
        let mut all = Vec::new();
        let told = outcome::read(bytes, voice.means, |id| self.expect(id), |id, outcome| all.push((id, outcome)));
        if peek && !told.rpc {
            return told;
        }
        self.recognised(voice);
        for (id, outcome) in all {
            self.answered(id, outcome, at, voice);
        }
        if told.more {
            voice.counts.bump(Count::OverLimit);
            self.missed(Gap { len: None, cause: Cause::Limit }, voice);
        }
        if !told.whole && sent && !peek {
            self.garbled(bytes, at, voice);
        }
        told
    }

    fn garbled(&mut self, bytes: &[u8], at: Stamp, voice: &mut Voice<'_>) {
        let failed = self.status.is_some_and(|status| status >= 400);
        if !failed && !bytes.trim_ascii().is_empty() {
            self.unread = self.unread.or(Some(GARBLED));
            self.answered(None, Outcome::Nonsense, at, voice);
        }
    }

    fn answered(&mut self, mut id: Option<RpcId>, outcome: Outcome, at: Stamp, voice: &mut Voice<'_>) {
        let failed = self.status.is_some_and(|status| status >= 400);
        if failed && matches!(outcome, Outcome::Nonsense) {
            return;
        }
        let asked = id.is_none() || self.due.iter().any(|due| due.id == id);
        if !asked && matches!(outcome, Outcome::Error { .. }) && (failed || id == Some(RpcId::Other)) {
            id = None;
        }
        if matches!(outcome, Outcome::Result { .. } | Outcome::Error { .. } | Outcome::Refusal { .. } | Outcome::Nonsense) {
            self.mark_answered(id.as_ref());
        }
        self.say(Seen::Answered(self.id, Box::new(Answer { id, at, outcome })), voice);
    }

    fn endpoint(&self, data: &[u8], voice: &Voice<'_>) -> Outcome {
        let url = data.trim_ascii();
        let url = url.split(|byte| *byte == b'#').next().unwrap_or_default();
        let at = memchr::memchr(b'?', url).unwrap_or(url.len());
        let (path, query) = url.split_at_checked(at).unwrap_or((url, &[]));
        let path = match memchr::memmem::find(path, b"://").and_then(|at| path.get(at + 3..)) {
            Some(rest) => memchr::memchr(b'/', rest).and_then(|at| rest.get(at..)).unwrap_or(b"/"),
            None => path,
        };
        // RFC 3986, 5.2: relative to the stream's own path, unless that holds a segment that is not shown.
        let path_mark = match self.base.as_deref() {
            Some((_, base)) if path.is_empty() => *base,
            Some((base, _)) if !path.starts_with(b"/") => {
                let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
                let path = path.strip_prefix(b"./").unwrap_or(path);
                mark::path(voice.means.keyer, &[folder.as_bytes(), b"/", path].concat())
            }
            _ => mark::path(voice.means.keyer, path),
        };
        Outcome::Endpoint { path_mark, query: mark::query(voice.means.keyer, query.strip_prefix(b"?").unwrap_or(query)) }
    }

    fn finish_json(&mut self, body: &Body, end: End, at: Stamp, voice: &mut Voice<'_>) {
        let whole = match self.reads {
            Reads::Rest(route) if self.status.is_none_or(|status| status < 400) => {
                let outcome = rest::read(body.bytes(), route, voice.means);
                let whole = outcome.is_some();
                if let Some(outcome) = outcome {
                    self.answered(None, outcome, at, voice);
                } else if end == End::Complete && body.gap().is_none() {
                    self.garbled(body.bytes(), at, voice);
                }
                whole
            }
            reads => {
                // Only what was sent whole may be called garbled.
                let sent = end == End::Complete && body.gap().is_none();
                self.messages(body.bytes(), reads == Reads::Peek, sent, at, voice).whole
            }
        };
        if whole || self.reads == Reads::Peek {
            // What was missed came after the text's end; or it is nothing of ours.
            return;
        }
        if let Some(gap) = body.gap().or(if let End::Unseen(gap) = end { Some(gap) } else { None }) {
            self.unread = self.unread.or(Some(gap));
        }
    }

    fn finish_events(&mut self, events: &Events, end: End, voice: &mut Voice<'_>) {
        if events.peek {
            return;
        }
        let awaited = self.due.is_empty() || self.due.iter().any(|due| !due.answered);
        if let End::Unseen(gap) = end
            && (awaited || events.sse.is_amid())
        {
            self.unread = self.unread.or(Some(gap));
        }
        if let (true, Some(last), false) = (awaited, events.sse.last_id(), matches!(end, End::Unseen(_))) {
            let open = self.due.iter().filter(|due| !due.answered).map(|due| (due.id.clone(), due.method.clone())).collect();
            let resumable = Resumable {
                id: self.id,
                servers: voice.peers.servers().collect(),
                session: self.session,
                last_event: mark::event(voice.means.keyer, last),
                open,
            };
            self.say(Seen::Resumable(Box::new(resumable)), voice);
        }
    }

    /// A POST of the legacy transport whose answer will come on a stream: without that stream nobody can read it.
    fn is_lost_legacy(&self) -> bool {
        self.status == Some(202) && self.due.iter().any(|due| !due.answered)
    }

    fn missed(&mut self, gap: Gap, voice: &mut Voice<'_>) {
        self.unread = self.unread.or(Some(gap));
        self.say(Seen::Missed(self.id, gap), voice);
    }
}
