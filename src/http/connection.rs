//! The events of one TCP connection come in (or of the plaintext in it); what it speaks is found out, and its exchanges go out.

use super::http1::{Http1, Left};
use super::lane::Switch;
use super::probe::{Found, Probe};
use super::{Context, Sink, h2};
use crate::base::{Count, Dir, Stamp};
use crate::tcp::{Conn, StreamEvent};

/// One connection. Small while nothing is known of it, and after it turned out to be no HTTP.
pub struct Connection {
    state: State,
}

enum State {
    Sniffing(Box<Probe>),
    Http1(Box<Http1>),
    Http2 {
        client: Dir,
        inner: Box<h2::Connection>,
    },
    /// It left HTTP for something that is not read.
    Tunnel {
        client: Dir,
    },
    /// It never was HTTP.
    Other,
}

impl Connection {
    /// Before its first event.
    pub fn new() -> Connection {
        Connection { state: State::Sniffing(Box::default()) }
    }

    /// The direction in which requests go, once that is known.
    pub fn client_dir(&self) -> Option<Dir> {
        match &self.state {
            State::Http1(inner) => Some(inner.client()),
            State::Http2 { client, .. } | State::Tunnel { client } => Some(*client),
            State::Sniffing(_) | State::Other => None,
        }
    }

    /// The next event of connection `conn`, in order.
    pub fn on_stream(&mut self, conn: &Conn, event: StreamEvent<'_>, cx: &mut Context<'_>, sink: &mut dyn Sink) {
        match &mut self.state {
            State::Sniffing(probe) => {
                if let Some(found) = probe.on_stream(conn, &event, cx) {
                    self.found(found, conn, event, cx, sink);
                }
            }
            State::Http1(inner) => {
                let left = match event {
                    StreamEvent::Opened => None,
                    StreamEvent::Data { dir, bytes, at } => inner.data(dir, bytes, at, cx, sink).map(|left| (left, at)),
                    StreamEvent::Gap { dir, gap, at } => inner.gap(dir, gap, at, cx, sink).map(|left| (left, at)),
                    StreamEvent::Finished { dir, at } => inner.finished(dir, at, cx, sink).map(|left| (left, at)),
                    StreamEvent::Closed { how, at } => {
                        inner.closed(how, at, cx, sink);
                        self.state = State::Other;
                        None
                    }
                };
                if let Some((left, at)) = left {
                    self.leave(left, at, cx, sink);
                }
            }
            State::Http2 { client, inner } => match event {
                StreamEvent::Opened => {}
                StreamEvent::Data { dir, bytes, at } => inner.data(dir == *client, bytes, at, cx, sink),
                StreamEvent::Gap { dir, gap, at } => inner.gap(dir == *client, gap, at, cx, sink),
                StreamEvent::Finished { dir, at } => inner.finished(dir == *client, at, cx, sink),
                StreamEvent::Closed { how, at } => {
                    inner.closed(how, *client, at, cx, sink);
                    self.state = State::Other;
                }
            },
            State::Tunnel { .. } | State::Other => {}
        }
    }

    /// What was held back while sniffing is read by whoever reads it now, then the event that told.
    fn found(&mut self, found: Found, conn: &Conn, event: StreamEvent<'_>, cx: &mut Context<'_>, sink: &mut dyn Sink) {
        let State::Sniffing(mut probe) = std::mem::replace(&mut self.state, State::Other) else { return };
        self.state = match found {
            Found::Http1(client) => State::Http1(Box::new(Http1::new(client))),
            Found::Http2(client) => State::Http2 { client, inner: Box::new(h2::Connection::prior_knowledge(cx.limits)) },
            Found::Other => {
                cx.counts.bump(Count::GarbledStreams);
                return;
            }
        };
        for early in probe.replay(&event) {
            self.on_stream(conn, early, cx, sink);
        }
    }

    fn leave(&mut self, (switch, bytes): Left, at: Stamp, cx: &mut Context<'_>, sink: &mut dyn Sink) {
        let State::Http1(mut before) = std::mem::replace(&mut self.state, State::Other) else { return };
        let client = before.client();
        before.leave(at, cx, sink);
        match switch {
            Switch::Tunnel(n) => {
                cx.counts.bump(Count::Upgraded);
                sink.upgraded(n, at);
                self.state = State::Tunnel { client };
            }
            Switch::H2c { n, head } => {
                let mut inner = Box::new(h2::Connection::upgraded(n, head, before.next(), cx.limits));
                if !bytes.is_empty() {
                    inner.data(false, &bytes, at, cx, sink);
                }
                self.state = State::Http2 { client, inner };
            }
        }
    }
}

impl Default for Connection {
    fn default() -> Connection {
        Connection::new()
    }
}
