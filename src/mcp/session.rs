//! What was seen on every connection comes in, in order; it goes out with the answers that came on another connection moved to
//! the requests that they answer. Two transports do that: HTTP+SSE (MCP 2024-11-05), whose POSTs are answered on a GET stream, and
//! streams that are taken up again with `Last-Event-ID` (Streamable HTTP, MCP 2025-03-26 and later).
//!
//! A request's `Done` is held back until all its answers were seen, or until it is certain that none will come: the stream that
//! would bring them ended, the session was ended, or there was no room ([`Limits::elsewhere`] requests wait at most, [`Limits::pipelined`]
//! of them for one stream; as many streams are remembered). Everything else passes through untouched and is not remembered.

use std::collections::BTreeMap;

use crate::base::{Addr, Count, Counts, ExId, Fingerprint, Gap, Limits};
use crate::http::End;

use super::cancel::Cancellations;
use super::outcome::{self, Expect};
use super::{Answer, Answered, AskKind, Asked, Exchange, Outcome, Resumable, RpcId, Seen};

/// Gives requests their answers from other connections.
#[derive(Debug, Default)]
pub struct Joiner {
    /// GET streams that are open.
    streams: BTreeMap<ExId, Stream>,
    /// Where the legacy streams want their POSTs.
    endpoints: BTreeMap<Endpoint, ExId>,
    /// Requests that wait for an answer from elsewhere.
    waiting: BTreeMap<ExId, Waiting>,
    /// Those of them whose stream ended and may be taken up again.
    ended: BTreeMap<ExId, Resumable>,
    room: usize,
    cancellations: Cancellations,
    /// Requests that may wait for one stream.
    most: usize,
}

/// A server's address, and the marks of the query's values and of the path: the order of tables only, nothing is shown by it.
type Endpoint = (Addr, Vec<u64>, u64);

#[derive(Debug)]
struct Stream {
    servers: Vec<Addr>,
    endpoints: Vec<Endpoint>,
    /// Who waits for it, in order.
    posts: Vec<ExId>,
    /// It was refused for now: the client may come again.
    refused: bool,
}

#[derive(Debug)]
struct Waiting {
    /// What is due.
    open: Vec<(Option<RpcId>, Option<String>)>,
    /// The stream that will bring it; `None` until a client takes up the old one.
    stream: Option<ExId>,
    /// Its response's head was seen: answers that came before it wait here.
    answering: bool,
    early: Vec<Answer>,
    /// How its own response ended.
    done: Option<Answered>,
    /// Where its last answer ended; where the stream did, once that is over.
    last: Option<Answered>,
    /// The stream ended first.
    over: bool,
}

impl Joiner {
    /// With room for as many as the limits say.
    pub fn new(limits: &Limits) -> Joiner {
        let cancellations = Cancellations::new(limits);
        Joiner { room: limits.elsewhere.max(1), most: limits.pipelined.max(1), cancellations, ..Joiner::default() }
    }

    /// Takes what was seen next.
    pub fn push(&mut self, seen: Seen, counts: &mut Counts, out: &mut Vec<Seen>) {
        let from = out.len();
        self.join(seen, counts, out);
        for seen in out.get_mut(from..).unwrap_or_default() {
            self.cancellations.watch(seen);
        }
    }

    fn join(&mut self, seen: Seen, counts: &mut Counts, out: &mut Vec<Seen>) {
        match seen {
            Seen::Asked(exchange) => self.asked(exchange, counts, out),
            Seen::Answering(id, response) => {
                let status = response.head.status;
                out.push(Seen::Answering(id, response));
                if let Some(stream) = self.streams.get_mut(&id) {
                    stream.refused = status >= 400 && status != 404;
                }
                self.answering(id, status, out);
            }
            Seen::Answered(id, answer) => self.answered(id, answer, out),
            Seen::Missed(id, gap) => self.missed(id, gap, out),
            Seen::Resumable(resumable) => self.resumable(*resumable, counts, out),
            Seen::Done(id, done) => self.done(id, done, out),
            conduit @ (Seen::Conduit(_) | Seen::Unseen(_)) => out.push(conduit),
        }
    }

    /// Nothing more will come.
    pub fn finish(&mut self, out: &mut Vec<Seen>) {
        let from = out.len();
        while let Some((&id, _)) = self.waiting.first_key_value() {
            self.release(id, None, out);
        }
        for seen in out.get_mut(from..).unwrap_or_default() {
            self.cancellations.watch(seen);
        }
        let cancellations = std::mem::take(&mut self.cancellations);
        *self = Joiner { room: self.room, most: self.most, cancellations, ..Joiner::default() };
    }

    fn asked(&mut self, exchange: Box<Exchange>, counts: &mut Counts, out: &mut Vec<Seen>) {
        let id = exchange.id;
        let Some(request) = &exchange.request else {
            out.push(Seen::Asked(exchange));
            return;
        };
        let (head, peers) = (&request.head, &exchange.peers);
        match &exchange.asked {
            Asked::Rpc(asks) if !self.endpoints.is_empty() => {
                let open: Vec<_> =
                    asks.iter().filter(|ask| ask.kind == AskKind::Request).map(|ask| (ask.id.clone(), ask.method.clone())).collect();
                let stream = peers.servers().find_map(|server| self.endpoint(endpoint(server, &head.query, head.path_mark)));
                if let (Some(stream), false) = (stream, open.is_empty()) {
                    out.push(Seen::Asked(exchange));
                    self.wait(id, Waiting { stream: Some(stream), ..Waiting::new(open) }, counts, out);
                    let oldest = self.streams.get_mut(&stream).and_then(|stream| {
                        stream.posts.push(id);
                        (stream.posts.len() > self.most).then(|| stream.posts.first().copied()).flatten()
                    });
                    if let Some(oldest) = oldest {
                        counts.bump(Count::OverLimit);
                        self.release(oldest, None, out);
                    }
                    return;
                }
            }
            Asked::Stream | Asked::Other if head.method == "GET" && (head.accepts_sse || exchange.asked == Asked::Stream) => {
                let servers: Vec<_> = peers.servers().collect();
                let posts = self.taken_up(&servers, head.last_event_id, head.common.session);
                for post in &posts {
                    if let Some(waiting) = self.waiting.get_mut(post) {
                        waiting.stream = Some(id);
                    }
                }
                self.make_room(counts, out);
                self.streams.insert(id, Stream { servers, endpoints: Vec::new(), posts, refused: false });
            }
            Asked::EndSession => {
                let ended = |resumable: &&Resumable| resumable.session.is_some() && resumable.session == head.common.session;
                let over: Vec<_> = self.ended.values().filter(ended).map(|resumable| resumable.id).collect();
                for id in over {
                    self.release(id, None, out);
                }
            }
            _ => {}
        }
        out.push(Seen::Asked(exchange));
    }

    fn answering(&mut self, id: ExId, status: u16, out: &mut Vec<Seen>) {
        let Some(waiting) = self.waiting.get_mut(&id) else { return };
        waiting.answering = true;
        let early = std::mem::take(&mut waiting.early);
        out.extend(early.into_iter().map(|answer| Seen::Answered(id, Box::new(answer))));
        if status >= 300 {
            // Refused: nothing will come, and its own body says why.
            self.forget(id);
        }
    }

    fn answered(&mut self, id: ExId, mut answer: Box<Answer>, out: &mut Vec<Seen>) {
        if let Some(waiting) = self.waiting.get_mut(&id) {
            // A server may answer in place after all.
            waiting.close(answer.id.as_ref());
        } else if let Some(stream) = self.streams.get_mut(&id) {
            if let Outcome::Endpoint { path_mark, query } = &answer.outcome {
                for old in stream.endpoints.drain(..) {
                    self.endpoints.remove(&old);
                }
                for server in &stream.servers {
                    let endpoint = endpoint(*server, query, *path_mark);
                    stream.endpoints.push(endpoint.clone());
                    self.endpoints.insert(endpoint, id);
                }
            } else if answer.id.is_some()
                && let Some(post) =
                    stream.posts.iter().find(|post| self.waiting.get(post).is_some_and(|waiting| waiting.awaits(answer.id.as_ref())))
            {
                let post = *post;
                self.fit(post, &mut answer);
                self.deliver(post, answer, out);
                return;
            }
        }
        out.push(Seen::Answered(id, answer));
    }

    /// Fits an answer to the request that it belongs to.
    fn fit(&mut self, post: ExId, answer: &mut Answer) {
        let Some(waiting) = self.waiting.get_mut(&post) else { return };
        let method = waiting.close(answer.id.as_ref());
        outcome::fit(&mut answer.outcome, Expect::of(method.as_deref()));
        waiting.last = Some(Answered { any: true, end: End::Complete, last: answer.at, unread: None, foreign: false });
    }

    fn deliver(&mut self, post: ExId, answer: Box<Answer>, out: &mut Vec<Seen>) {
        let Some(waiting) = self.waiting.get_mut(&post) else { return };
        if waiting.answering {
            out.push(Seen::Answered(post, answer));
        } else {
            waiting.early.push(*answer);
        }
        if waiting.open.is_empty() && waiting.done.is_some() {
            self.release(post, None, out);
        }
    }

    fn missed(&mut self, id: ExId, gap: Gap, out: &mut Vec<Seen>) {
        out.push(Seen::Missed(id, gap));
        if let Some(stream) = self.streams.get(&id) {
            out.extend(stream.posts.iter().map(|post| Seen::Missed(*post, gap)));
        }
    }

    fn resumable(&mut self, resumable: Resumable, counts: &mut Counts, out: &mut Vec<Seen>) {
        let id = resumable.id;
        if let Some(stream) = self.streams.get_mut(&id) {
            // A stream that was taken up ends again: who waited for it waits for the next.
            for post in std::mem::take(&mut stream.posts) {
                if let (Some(waiting), Some(ended)) = (self.waiting.get_mut(&post), self.ended.get_mut(&post)) {
                    waiting.stream = None;
                    ended.last_event = resumable.last_event;
                } else {
                    stream.posts.push(post);
                }
            }
        } else if !resumable.open.is_empty() && !self.waiting.contains_key(&id) {
            self.wait(id, Waiting { answering: true, ..Waiting::new(resumable.open.clone()) }, counts, out);
            self.ended.insert(id, resumable);
        }
    }

    fn done(&mut self, id: ExId, done: Answered, out: &mut Vec<Seen>) {
        if let Some(waiting) = self.waiting.get_mut(&id) {
            waiting.done = Some(done);
            if waiting.open.is_empty() || waiting.over || !done.any {
                self.release(id, None, out);
            }
            return;
        }
        if let Some(stream) = self.streams.remove(&id) {
            for endpoint in &stream.endpoints {
                if self.endpoints.get(endpoint) == Some(&id) {
                    self.endpoints.remove(endpoint);
                }
            }
            for post in stream.posts {
                match self.waiting.get_mut(&post) {
                    Some(waiting) if (stream.refused || !done.any) && self.ended.contains_key(&post) => waiting.stream = None,
                    _ => self.release(post, Some(done), out),
                }
            }
        }
        out.push(Seen::Done(id, done));
    }

    /// Requests whose stream a GET takes up: that of its event, else all that still wait in its session.
    fn taken_up(&self, servers: &[Addr], event: Option<Fingerprint>, session: Option<Fingerprint>) -> Vec<ExId> {
        if event.is_none() || self.ended.is_empty() {
            return Vec::new();
        }
        let waits = |ended: &&Resumable| {
            self.waiting.get(&ended.id).is_some_and(|waiting| waiting.stream.is_none())
                && ended.servers.iter().any(|server| servers.contains(server))
        };
        let with = |same: &dyn Fn(&Resumable) -> bool| -> Vec<ExId> {
            self.ended.values().filter(waits).filter(|ended| same(ended)).map(|ended| ended.id).collect()
        };
        let exact =
            with(&|ended| Some(ended.last_event) == event && (session.is_none() || ended.session.is_none() || ended.session == session));
        if exact.is_empty() { with(&|ended| session.is_some() && ended.session == session) } else { exact }
    }

    /// The stream that brings the answers of a POST to here: by query and path, else by a query that no other stream has (a
    /// proxy may have changed the path).
    fn endpoint(&self, wanted: Endpoint) -> Option<ExId> {
        if let Some(stream) = self.endpoints.get(&wanted) {
            return Some(*stream);
        }
        let (server, query, _) = wanted;
        if query.is_empty() {
            return None;
        }
        let mut same = self.endpoints.range((server, query.clone(), 0)..=(server, query, u64::MAX));
        same.next().filter(|_| same.next().is_none()).map(|(_, stream)| *stream)
    }

    fn wait(&mut self, id: ExId, waiting: Waiting, counts: &mut Counts, out: &mut Vec<Seen>) {
        self.make_room(counts, out);
        self.waiting.insert(id, waiting);
    }

    fn make_room(&mut self, counts: &mut Counts, out: &mut Vec<Seen>) {
        while self.waiting.len() >= self.room
            && let Some((&oldest, _)) = self.waiting.first_key_value()
        {
            counts.bump(Count::OverLimit);
            self.release(oldest, None, out);
        }
        while self.streams.len() >= self.room
            && let Some((&oldest, stream)) = self.streams.first_key_value()
        {
            counts.bump(Count::OverLimit);
            let posts = stream.posts.clone();
            for post in posts {
                self.release(post, None, out);
            }
            if let Some(stream) = self.streams.remove(&oldest) {
                for endpoint in stream.endpoints {
                    self.endpoints.remove(&endpoint);
                }
            }
        }
    }

    /// A request waits no longer. `stream`: how the stream ended that should have brought the rest.
    fn release(&mut self, id: ExId, stream: Option<Answered>, out: &mut Vec<Seen>) {
        let Some(mut waiting) = self.forget(id) else { return };
        let early = std::mem::take(&mut waiting.early);
        out.extend(early.into_iter().map(|answer| Seen::Answered(id, Box::new(answer))));
        let Some(own) = waiting.done else {
            // Its own response is still on its way.
            if stream.is_some() {
                self.waiting.insert(id, Waiting { stream: None, last: stream, over: true, ..waiting });
            }
            return;
        };
        let elsewhere = if waiting.open.is_empty() || waiting.over { waiting.last } else { stream };
        let done = match elsewhere {
            Some(elsewhere) if own.any => Answered { any: true, last: elsewhere.last.max(own.last), foreign: false, ..elsewhere },
            _ => own,
        };
        out.push(Seen::Done(id, done));
    }

    fn forget(&mut self, id: ExId) -> Option<Waiting> {
        self.ended.remove(&id);
        let waiting = self.waiting.remove(&id)?;
        if let Some(stream) = waiting.stream.and_then(|stream| self.streams.get_mut(&stream)) {
            stream.posts.retain(|post| *post != id);
        }
        Some(waiting)
    }
}

impl Waiting {
    fn new(open: Vec<(Option<RpcId>, Option<String>)>) -> Waiting {
        Waiting { open, stream: None, answering: false, early: Vec::new(), done: None, last: None, over: false }
    }

    fn awaits(&self, id: Option<&RpcId>) -> bool {
        self.open.iter().any(|(open, _)| open.as_ref() == id)
    }

    /// One answer less is due: its method.
    fn close(&mut self, id: Option<&RpcId>) -> Option<String> {
        let at = self.open.iter().position(|(open, _)| open.as_ref() == id)?;
        self.open.remove(at).1
    }
}

fn endpoint(server: Addr, query: &[(String, Fingerprint)], path_mark: Fingerprint) -> Endpoint {
    (server, query.iter().map(|(_, value)| value.0).collect(), path_mark.0)
}

#[cfg(test)]
mod tests {
    use super::super::trial::{Told, Trial, answer_head, event_mark, head, told};
    use super::*;
    use crate::base::Cause;
    use crate::http::Broken;

    const SSE: &str = "text/event-stream";

    /// Joins what several connections say, in the order given.
    fn join(limits: &Limits, parts: Vec<Vec<Seen>>) -> (Joiner, Vec<Seen>) {
        let (mut joiner, mut out) = (Joiner::new(limits), Vec::new());
        for seen in parts.into_iter().flatten() {
            joiner.push(seen, &mut Counts::default(), &mut out);
        }
        (joiner, out)
    }

    fn tell(parts: Vec<Vec<Seen>>) -> Told {
        told(join(&Limits::default(), parts).1)
    }

    fn taken(trial: &mut Trial) -> Vec<Seen> {
        std::mem::take(&mut trial.out)
    }

    fn stream(conn: u64) -> Trial {
        let mut get = Trial::new(conn);
        get.ask(0, head("GET", "/sse", "", true), b"");
        get.begin(0, answer_head(200, SSE), &[b"event: endpoint\r\ndata: /messages/?session_id=0123456789abcdef0123456789abcdef\r\n\r\n"]);
        get
    }

    const POST: &str = "/messages/?session_id=0123456789abcdef0123456789abcdef";

    fn body(get: &mut Trial, bytes: &[u8]) {
        get.sink(|sink, at| sink.body(0, crate::http::Part::Response, bytes, at));
    }

    fn end(get: &mut Trial, end: End) {
        get.sink(|sink, at| sink.end(0, crate::http::Part::Response, end, at));
    }

    #[test]
    fn a_legacy_post_is_answered_on_its_stream() {
        let (mut get, mut post) = (stream(1), Trial::new(2));
        let opened = taken(&mut get);
        post.post(0, POST, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
        let asked = taken(&mut post);
        post.answer(0, answer_head(202, ""), &[], End::Complete);
        let accepted = taken(&mut post);
        body(&mut get, b"event: message\r\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\r\n\r\n");
        let answered = taken(&mut get);
        // The answer may overtake the 202.
        for parts in [
            vec![opened.clone(), asked.clone(), accepted.clone(), answered.clone()],
            vec![opened.clone(), asked.clone(), answered.clone(), accepted.clone()],
        ] {
            let told = tell(parts);
            assert_eq!(told.order, "qhaqhad");
            let (id, answer) = &told.answers[1];
            assert_eq!((id.conn.0, &answer.id), (2, &Some(RpcId::Number(1))));
            // The stream does not know what was asked; the POST does: a list that is absent is null.
            assert!(matches!(&answer.outcome, Outcome::Result { list: Some(list), .. } if list.null));
            let (id, done) = told.done[0];
            assert_eq!((id.conn.0, done.end, done.unread), (2, End::Complete, None));
            assert!(done.last >= answer.at);
        }
        // Held back until then.
        assert_eq!(tell(vec![opened.clone(), asked.clone(), accepted.clone()]).order, "qhaqh");
        // Without the stream nobody knows.
        let alone = tell(vec![asked, accepted]);
        assert_eq!(alone.done[0].1.unread.map(|gap| gap.cause), Some(Cause::Before));
    }

    #[test]
    fn a_stream_that_ends_takes_its_posts_with_it() {
        let (mut get, mut post) = (stream(1), Trial::new(2));
        post.post(0, POST, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).answer(0, answer_head(202, ""), &[], End::Complete);
        post.post(1, POST, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).answer(1, answer_head(202, ""), &[], End::Complete);
        let opened = taken(&mut get);
        end(&mut get, End::Broken(Broken::Left));
        let told = tell(vec![opened, taken(&mut post), taken(&mut get)]);
        assert_eq!(
            told.done.iter().map(|(id, done)| (id.conn.0, id.n, done.end)).collect::<Vec<_>>(),
            [(2, 1, End::Complete), (2, 0, End::Broken(Broken::Left)), (1, 0, End::Broken(Broken::Left))]
        );
        assert_eq!(told.done[1].1.unread, None);
    }

    #[test]
    fn what_a_stream_missed_its_posts_missed() {
        let gap = Gap { len: Some(9), cause: Cause::Lost };
        let (mut get, mut post) = (stream(1), Trial::new(2));
        let opened = taken(&mut get);
        post.post(0, POST, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).answer(0, answer_head(202, ""), &[], End::Complete);
        get.hole(0, crate::http::Part::Response, gap);
        end(&mut get, End::Complete);
        let told = tell(vec![opened, taken(&mut post), taken(&mut get)]);
        assert_eq!(told.missed.iter().map(|id| id.conn.0).collect::<Vec<_>>(), [1, 2]);
        assert!(told.done.iter().all(|(_, done)| done.unread == Some(gap)));
    }

    #[test]
    fn a_refused_post_waits_for_nothing() {
        let (mut get, mut post) = (stream(1), Trial::new(2));
        post.post(0, POST, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
        post.answer(0, answer_head(401, "application/json"), &[br#"{"error":"invalid_token"}"#], End::Complete);
        let told = tell(vec![taken(&mut get), taken(&mut post)]);
        assert_eq!(told.order, "qhaqhad");
        assert_eq!(told.done[0].1.unread, None);
    }

    /// A POST whose stream was primed and closed.
    fn primed() -> Trial {
        let mut post = Trial::new(1);
        let mut head = head("POST", "/mcp", "application/json", true);
        head.common.session = Some(event_mark("session"));
        post.ask(0, head, br#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#);
        post.answer(0, answer_head(200, SSE), &[b"id: e1\nretry: 500\ndata:\n\n"], End::Complete);
        post
    }

    fn resume(conn: u64, event: &str, session: &str, pieces: &[&[u8]]) -> Trial {
        let mut get = Trial::new(conn);
        let mut head = head("GET", "/mcp", "", true);
        (head.last_event_id, head.common.session) = (Some(event_mark(event)), Some(event_mark(session)));
        get.ask(0, head, b"").answer(0, answer_head(200, SSE), pieces, End::Complete);
        get
    }

    const LIST: &[u8] = b"id: e3\ndata: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"tools\":[]}}\n\n";

    #[test]
    fn an_answer_split_over_resumed_streams_is_one_answer() {
        let once = vec![taken(&mut primed()), taken(&mut resume(2, "e1", "session", &[LIST]))];
        let twice = vec![
            taken(&mut primed()),
            taken(&mut resume(2, "e1", "session", &[b"id: e2\ndata:\n\n"])),
            taken(&mut resume(3, "e2", "session", &[LIST])),
        ];
        for parts in [once, twice] {
            let told = tell(parts);
            assert_eq!(told.answers.len(), 1);
            assert_eq!(told.answers[0].0.conn.0, 1);
            let first = told.done.iter().find(|(id, _)| id.conn.0 == 1).unwrap().1;
            assert_eq!((first.end, first.unread, first.last), (End::Complete, None, told.answers[0].1.at));
        }
    }

    #[test]
    fn a_stream_nobody_takes_up_is_told_as_it_ended() {
        let (mut joiner, mut out) = join(&Limits::default(), vec![taken(&mut primed()), taken(&mut resume(2, "x", "other", &[LIST]))]);
        assert!(!told(out.clone()).done.iter().any(|(id, _)| id.conn.0 == 1));
        joiner.finish(&mut out);
        assert_eq!(told(out).done.last().map(|(id, done)| (id.conn.0, done.end)), Some((1, End::Complete)));
        // Not without an event id: nothing could be taken up.
        let mut plain = Trial::new(1);
        plain.post(0, "/mcp", r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#).answer(
            0,
            answer_head(200, SSE),
            &[b": ping\n\n"],
            End::Complete,
        );
        assert_eq!(tell(vec![taken(&mut plain)]).order, "qhd");
    }

    #[test]
    fn room_is_bounded_and_everyone_is_told_once() {
        let limits = Limits { elsewhere: 4, ..Limits::default() };
        let mut parts = Vec::new();
        for conn in 0..10 {
            let mut get = stream(conn * 2);
            parts.push(taken(&mut get));
            let mut post = Trial::new(conn * 2 + 1);
            post.post(0, POST, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).answer(0, answer_head(202, ""), &[], End::Complete);
            parts.push(taken(&mut post));
        }
        let (mut joiner, mut out) = join(&limits, parts);
        assert!(joiner.waiting.len() <= 4 && joiner.streams.len() <= 4 && joiner.endpoints.len() <= 4);
        joiner.finish(&mut out);
        assert_eq!(told(out).done.len(), 10);
    }
}
