//! One TLS connection: what the stream says of each direction comes in and is taken to the right place.

use crate::base::{Cause, Count, Dir, Gap, Stamp, Ts};
use crate::tcp::{Close, StreamEvent};

use super::facts::{Facts, Volume, version};
use super::handshake::Handshake;
use super::hello::Messages;
use super::keylog::KeyLog;
use super::keyring::Keyring;
use super::midway::Midway;
use super::record::{Found, Framer, HEAD, Head, Next, kind};
use super::waiting::{Item, Waiting};
use super::workbench::{Context, Workbench};

/// A TCP connection that [`super::sniff`] takes for TLS.
///
/// Give it each direction's bytes, holes and end as they come, then [`Connection::closed`]. What it says through
/// [`Context::out`] is what the stream would have said were it plain: data, holes, the end of a direction (`close_notify` or
/// FIN), the end of the connection.
#[derive(Default)]
pub struct Connection {
    pub(super) halves: [Half; 2],
    /// The direction in which the client sends.
    pub(super) client: Option<Dir>,
    pub(super) handshake: Handshake,
    pub(super) midway: Midway,
    pub(super) volume: Volume,
    pub(super) failed: Option<String>,
    pub(super) unsupported: Option<String>,
    pub(super) decrypted: bool,
    /// There were holes in the packets.
    pub(super) lossy: bool,
    counted: bool,
    /// Sealed records since the last [`Connection::sizes`].
    sizes: Vec<(Dir, u16, Ts)>,
    /// The state of the handshake for which what waits was tried.
    settled: u32,
    closed: Option<(Close, Stamp)>,
}

/// One direction.
#[derive(Default)]
pub(super) struct Half {
    framer: Framer,
    pub(super) messages: Messages,
    pub(super) ring: Keyring,
    /// The state of key log and handshake for which keys were looked up.
    pub(super) looked: Option<(u64, u32)>,
    /// Which secrets are in the ring.
    pub(super) loaded: u8,
    /// ChangeCipherSpec was sent: in TLS 1.2 all that follows is sealed.
    pub(super) ciphered: bool,
    pub(super) waiting: Waiting,
    /// A hole that was not said yet: it may have swallowed nothing but the handshake's own records.
    pub(super) hole: Option<(Cause, Stamp)>,
    /// The last thing said was a hole.
    pub(super) said: bool,
    /// Plaintext was given out.
    pub(super) flowing: bool,
    /// A hole in the packets came before the record at hand.
    pub(super) holed: bool,
    /// Its end was said.
    pub(super) ended: bool,
}

impl Connection {
    /// Of which nothing was seen yet.
    pub fn new() -> Connection {
        Connection::default()
    }

    /// The next event of its stream, from the packets. Whether nothing waits for keys that may still come: see [`Connection::closed`].
    pub fn on_stream(&mut self, event: StreamEvent<'_>, cx: &mut Context<'_>) -> bool {
        match event {
            StreamEvent::Opened => {}
            StreamEvent::Data { dir, bytes, at } => self.data(dir, bytes, at, cx),
            StreamEvent::Gap { dir, gap, at } => self.gap(dir, gap, at, cx),
            StreamEvent::Finished { dir, at } => self.finished(dir, at, cx),
            StreamEvent::Closed { how, at } => return self.closed(how, at, cx),
        }
        true
    }

    /// The next bytes of a direction.
    pub fn data(&mut self, dir: Dir, bytes: &[u8], at: Stamp, cx: &mut Context<'_>) {
        if !std::mem::replace(&mut self.counted, true) {
            cx.bench.counts.bump(Count::TlsConnections);
        }
        self.cut(dir, bytes, at, cx);
        self.settle(cx);
    }

    /// A hole in a direction.
    pub fn gap(&mut self, dir: Dir, gap: Gap, at: Stamp, cx: &mut Context<'_>) {
        self.find(dir, true, cx);
        self.half(dir).framer.hole(gap.len);
        self.hole(dir, gap.cause, at, cx);
        self.settle(cx);
    }

    /// A direction has ended in order.
    pub fn finished(&mut self, dir: Dir, at: Stamp, cx: &mut Context<'_>) {
        self.end(dir, Cause::Garbled, at, cx);
        if self.is_waiting() {
            self.hold(dir, Item::Finished(at), cx);
        } else {
            self.finish(dir, at, cx);
        }
        self.lost_hello(dir);
        self.settle(cx);
    }

    /// The connection is over. Where this is `false`, records wait for keys that may still come, and so does the end: keep the
    /// connection for as long as seems fit, tell it with [`Connection::keys_added`], and let it go with [`Connection::give_up`].
    pub fn closed(&mut self, how: Close, at: Stamp, cx: &mut Context<'_>) -> bool {
        for dir in [Dir::AtoB, Dir::BtoA] {
            self.end(dir, if how == Close::CaptureEnd { Cause::After } else { Cause::Garbled }, at, cx);
        }
        self.infer_failure(how);
        self.no_more_hello();
        self.settle(cx);
        self.closed = Some((how, at));
        self.end_if_done(cx)
    }

    /// The key log has grown: tries again what waits. `true` once a closed connection has said everything.
    pub fn keys_added(&mut self, cx: &mut Context<'_>) -> bool {
        self.retry(cx);
        self.end_if_done(cx)
    }

    /// No key will come for what waits: it becomes holes, and a closed connection says that it is over.
    pub fn give_up(&mut self, cx: &mut Context<'_>) {
        self.retry(cx);
        while let Some(dir) = self.first_waiting() {
            self.give_up_first(dir, cx);
            self.retry(cx);
        }
        self.end_if_done(cx);
    }

    /// Lets go of what waits without a word, for a decoder that ends or starts anew.
    pub fn discard(&mut self, bench: &mut Workbench) {
        for half in &mut self.halves {
            while half.waiting.pop(&mut bench.held).is_some() {}
        }
    }

    /// Whether records wait for keys.
    pub fn is_waiting(&self) -> bool {
        self.halves.iter().any(|half| !half.waiting.is_empty())
    }

    /// Whether records could be opened.
    pub fn is_decrypted(&self) -> bool {
        self.decrypted
    }

    /// When something was sealed for the first time: from then on requests may be on their way.
    pub fn sealed_since(&self) -> Option<Ts> {
        self.volume.began
    }

    /// Sealed records of application data since the last call: direction, bytes behind the head, time. Only while [`Workbench::sizing`].
    pub fn sizes(&mut self) -> Vec<(Dir, u16, Ts)> {
        std::mem::take(&mut self.sizes)
    }

    /// Whether there are holes in it, so that requests and answers may have been missed.
    pub fn is_lossy(&self) -> bool {
        self.lossy
    }

    /// The packet of the first record that waits for keys.
    pub fn waiting_since(&self) -> Option<Stamp> {
        let [a, b] = &self.halves;
        [a, b].into_iter().filter_map(|half| half.waiting.first()).min()
    }

    /// The randoms of both hellos, the client's first, as far as they were seen.
    pub fn randoms(&self) -> [Option<[u8; 32]>; 2] {
        [self.handshake.client.as_ref().map(|hello| hello.random), self.handshake.server.as_ref().map(|hello| hello.random)]
    }

    /// The direction in which the client sends, once known.
    pub fn client(&self) -> Option<Dir> {
        self.client
    }

    /// What is known by now.
    pub fn facts(&self) -> Facts {
        let (hello, server) = (&self.handshake.client, &self.handshake.server);
        let (bytes, first_answer) = self.volume.total(self.decrypted);
        let chosen = self.handshake.alpn.clone().or_else(|| server.as_ref()?.alpn.clone());
        let unseen = !self.decrypted && (hello.is_none() || server.is_none() && self.handshake.server_lost && self.failed.is_none());
        Facts {
            client: self.client,
            server_name: hello.as_ref().and_then(|hello| hello.server_name.clone()),
            alpn: chosen.or_else(|| hello.as_ref()?.alpn.clone()),
            version: server.as_ref().map(|server| version(server.version)),
            suite: server.as_ref().map(|server| super::suite::name(server.suite)),
            failed: self.failed.clone(),
            bytes,
            first_answer,
            decrypted: self.decrypted,
            unsupported: self.unsupported.clone().or_else(|| unseen.then(|| "no handshake".to_owned())),
        }
    }

    /// Cuts bytes into records.
    fn cut(&mut self, dir: Dir, bytes: &[u8], at: Stamp, cx: &mut Context<'_>) {
        let mut rest = bytes;
        while !self.half(dir).framer.is_buffered() {
            match self.half(dir).framer.next(&mut rest, &mut cx.bench.spare) {
                Next::Whole(head, body) => {
                    if self.passes_over(dir, head, cx.keys) {
                        self.opaque_record(dir, head, at, cx);
                        continue;
                    }
                    let mut scratch = std::mem::take(&mut cx.bench.scratch);
                    scratch.clear();
                    scratch.extend_from_slice(body);
                    self.record(dir, head, &mut scratch, at, cx);
                    cx.bench.scratch = scratch;
                }
                Next::Kept(head) => {
                    let mut buf = self.half(dir).framer.take();
                    self.record(dir, head, buf.get_mut(HEAD..).unwrap_or(&mut []), at, cx);
                    buf.clear();
                    cx.bench.spare = buf;
                }
                Next::Broken => {
                    let first = self.handshake.client.is_none() && self.half(dir).looked.is_none();
                    self.half(dir).framer.broken(&mut rest, at);
                    self.hole(dir, if first { Cause::Before } else { Cause::Garbled }, at, cx);
                }
                Next::Nothing => {
                    let begun = self.half(dir).framer.begun();
                    if begun.is_some_and(|head| head.kind == kind::APPLICATION_DATA) {
                        self.volume.began.get_or_insert(at.ts);
                    }
                    if begun.is_some_and(|head| self.passes_over(dir, head, cx.keys)) {
                        self.half(dir).framer.skip_rest().into_iter().for_each(|head| self.opaque_record(dir, head, at, cx));
                    }
                    return;
                }
            }
        }
        self.half(dir).framer.keep(&mut rest, at);
        self.find(dir, false, cx);
    }

    /// Tries what waits where the handshake has brought news.
    fn settle(&mut self, cx: &mut Context<'_>) {
        if self.settled != self.handshake.epoch {
            self.settled = self.handshake.epoch;
            if self.is_waiting() {
                self.retry(cx);
            }
        }
    }

    /// No more bytes will come in this direction: a record that has begun and not ended is missing.
    fn end(&mut self, dir: Dir, cause: Cause, at: Stamp, cx: &mut Context<'_>) {
        self.find(dir, true, cx);
        if std::mem::take(&mut self.half(dir).framer).is_within() {
            self.hole(dir, cause, at, cx);
        }
    }

    /// How many bytes of plaintext a hole cost nobody knows: only why is passed on.
    fn hole(&mut self, dir: Dir, cause: Cause, at: Stamp, cx: &mut Context<'_>) {
        // At once, also where the hole has to wait: a handshake that was not seen whole is not said to have failed.
        self.lossy = true;
        if self.is_waiting() {
            self.lost_hello(dir);
            self.hold(dir, Item::Gap(cause, at), cx);
        } else {
            self.lose(dir, cause, at, cx);
        }
    }

    /// A record, whole and in order.
    fn record(&mut self, dir: Dir, head: Head, body: &mut [u8], at: Stamp, cx: &mut Context<'_>) {
        if !self.is_sealed(dir, head, body) {
            return self.plain(dir, head, body, at, cx);
        }
        self.note(dir, head, at, cx.bench);
        // What can be read waits for what can't be yet, in either direction: no answer overtakes its request.
        if !self.is_waiting() {
            if let Some(found) = self.open(dir, head, body, cx.keys) {
                return self.deliver(dir, &found, body, at, cx);
            }
            if !self.may_open_later(dir, cx.keys) {
                return self.opaque(dir, at, cx);
            }
        }
        self.hold(dir, Item::Record(head, body.into(), at), cx);
    }

    /// A sealed record that is not even tried.
    fn opaque_record(&mut self, dir: Dir, head: Head, at: Stamp, cx: &mut Context<'_>) {
        self.note(dir, head, at, cx.bench);
        self.opaque(dir, at, cx);
    }

    fn passes_over(&self, dir: Dir, head: Head, keys: &KeyLog) -> bool {
        head.kind == kind::APPLICATION_DATA && self.is_hopeless(dir, keys)
    }

    fn note(&mut self, dir: Dir, head: Head, at: Stamp, bench: &Workbench) {
        if head.kind == kind::APPLICATION_DATA {
            if bench.sizing {
                self.sizes.push((dir, head.len, at.ts));
            }
            let tls13 = self.handshake.server.as_ref().is_some_and(|server| server.version == TLS13);
            self.volume.sealed(self.side(dir), tls13, head, at.ts);
        }
    }

    /// Goes through what is kept after a hole. `last`: nothing will follow it.
    fn find(&mut self, dir: Dir, last: bool, cx: &mut Context<'_>) {
        while self.half(dir).framer.is_buffered() {
            let (from, head, at, certain) = match self.half(dir).framer.find(last) {
                Found::Nothing => return,
                Found::Record(from, head, at) => (from, head, at, true),
                Found::Perhaps(from, head, at) => (from, head, at, false),
            };
            let mut buf = self.half(dir).framer.take();
            let end = from.saturating_add(head.whole());
            let body = buf.get_mut(from.saturating_add(HEAD)..end).unwrap_or(&mut []);
            if certain {
                self.record(dir, head, body, at, cx);
                self.half(dir).framer.accept(head);
            } else if !self.is_waiting()
                && let Some(found) = self.open(dir, head, body, cx.keys)
            {
                self.note(dir, head, at, cx.bench);
                self.deliver(dir, &found, body, at, cx);
                self.half(dir).framer.accept(head);
            } else {
                self.half(dir).framer.reject();
            }
            self.half(dir).framer.give_back(buf);
        }
    }

    /// Keeps something until keys come, within limits: the oldest becomes a hole.
    fn hold(&mut self, dir: Dir, item: Item, cx: &mut Context<'_>) {
        self.half(dir).waiting.push(item, &mut cx.bench.held);
        let over = |half: &Half, cx: &Context<'_>| half.waiting.bytes() > cx.bench.limit || cx.bench.held > cx.bench.limit_total;
        if over(self.half(dir), cx) {
            cx.bench.counts.bump(Count::TlsPendingLimit);
        }
        while over(self.half(dir), cx)
            && let Some(first) = self.first_waiting()
        {
            self.give_up_first(first, cx);
            self.retry(cx);
        }
    }

    fn give_up_first(&mut self, dir: Dir, cx: &mut Context<'_>) {
        match self.half(dir).waiting.pop(&mut cx.bench.held) {
            Some(Item::Record(_, _, at)) => self.opaque(dir, at, cx),
            Some(Item::Gap(cause, at)) => self.lose(dir, cause, at, cx),
            Some(Item::Finished(at)) => self.finish(dir, at, cx),
            None => {}
        }
    }

    /// Tries what waits, in the order in which it was seen, up to the first that must go on waiting.
    pub(super) fn retry(&mut self, cx: &mut Context<'_>) {
        while let Some(dir) = self.first_waiting() {
            let Some(item) = self.half(dir).waiting.pop(&mut cx.bench.held) else { return };
            let Item::Record(head, mut body, at) = item else {
                self.half(dir).waiting.put_back(item, &mut cx.bench.held);
                self.give_up_first(dir, cx);
                continue;
            };
            if let Some(found) = self.open(dir, head, &mut body, cx.keys) {
                self.deliver(dir, &found, &mut body, at, cx);
            } else if self.may_open_later(dir, cx.keys) {
                return self.half(dir).waiting.put_back(Item::Record(head, body, at), &mut cx.bench.held);
            } else {
                self.opaque(dir, at, cx);
            }
        }
    }

    /// The direction of what has waited longest.
    fn first_waiting(&self) -> Option<Dir> {
        let [a, b] = &self.halves;
        match (a.waiting.first(), b.waiting.first()) {
            (Some(a), Some(b)) => Some(if a <= b { Dir::AtoB } else { Dir::BtoA }),
            (Some(_), None) => Some(Dir::AtoB),
            (None, Some(_)) => Some(Dir::BtoA),
            (None, None) => None,
        }
    }

    fn end_if_done(&mut self, cx: &mut Context<'_>) -> bool {
        if self.is_waiting() {
            return false;
        }
        if let Some((how, at)) = self.closed.take() {
            for dir in [Dir::AtoB, Dir::BtoA] {
                self.say_hole(dir, cx);
            }
            (cx.out)(StreamEvent::Closed { how, at });
            return true;
        }
        false
    }

    /// What a connection that ends without a handshake was.
    fn infer_failure(&mut self, how: Close) {
        let over = matches!(how, Close::Finished | Close::Reset(_)) && !self.lossy;
        let Some(hello) = self.handshake.client.as_ref().filter(|_| over && self.failed.is_none()) else { return };
        let why = match &self.handshake.server {
            None => Some(DURING),
            Some(server) if server.version == TLS13 => self.volume.unfinished().filter(|_| !hello.early && !self.handshake.finished),
            // Before TLS 1.3 application data come after the handshake, whatever of it was not understood.
            Some(_) => Some(DURING).filter(|_| self.halves.iter().any(|half| !half.ciphered) && !self.volume.is_used()),
        };
        self.failed = why.map(str::to_owned);
    }

    pub(super) fn half(&mut self, dir: Dir) -> &mut Half {
        let [a, b] = &mut self.halves;
        match dir {
            Dir::AtoB => a,
            Dir::BtoA => b,
        }
    }

    /// 0 for the client's direction, 1 for the server's.
    pub(super) fn side(&self, dir: Dir) -> usize {
        dir.index() ^ self.client.unwrap_or(Dir::AtoB).index()
    }
}

pub(super) const TLS13: u16 = 0x0304;

const DURING: &str = "closed during the handshake";
