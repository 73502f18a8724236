//! Both directions of an HTTP/1.x connection come in, its exchanges go out. Holds a response back whose request was not captured
//! yet; says when the connection leaves HTTP/1.x.

use super::lane::{Flow, Lane, Switch, Wire};
use super::pairing::Pairing;
use super::{Broken, Context, End, Part, Sink};
use crate::base::{Cause, Dir, Gap, Stamp};
use crate::tcp::Close;

/// An HTTP/1.x connection whose client is known.
pub(super) struct Http1 {
    client: Dir,
    requests: Lane,
    responses: Lane,
    pairing: Pairing,
    /// Bytes of the server's that came before the request they answer.
    held: Vec<(Stamp, Vec<u8>)>,
    /// The client's FIN.
    client_left: Option<Stamp>,
    /// The server sent more after that: the client only closed its half.
    went_on: bool,
}

/// The connection becomes something else, and these bytes of the server's are its first.
pub(super) type Left = (Switch, Vec<u8>);

impl Http1 {
    /// `client` is the direction in which requests go.
    pub(super) fn new(client: Dir) -> Http1 {
        Http1 {
            client,
            requests: Lane::new(Part::Request),
            responses: Lane::new(Part::Response),
            pairing: Pairing::default(),
            held: Vec::new(),
            client_left: None,
            went_on: false,
        }
    }

    /// The direction in which requests go.
    pub(super) fn client(&self) -> Dir {
        self.client
    }

    /// The number of the next exchange.
    pub(super) fn next(&self) -> u32 {
        self.pairing.next()
    }

    /// The next bytes of one direction.
    pub(super) fn data(&mut self, dir: Dir, bytes: &[u8], at: Stamp, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Option<Left> {
        if dir == self.client {
            self.requests.data(bytes, at, &mut Wire { pairing: &mut self.pairing, cx, sink });
            return if self.held.is_empty() { None } else { self.release(cx, sink) };
        }
        self.went_on |= self.client_left.is_some();
        if self.held.is_empty() {
            return self.respond(bytes, at, cx, sink);
        }
        self.held.push((at, bytes.to_vec()));
        let size: usize = self.held.iter().map(|(_, bytes)| bytes.len()).sum();
        if size > cx.limits.head_bytes || self.held.len() > PIECES { self.force(cx, sink) } else { None }
    }

    /// A hole in one direction.
    pub(super) fn gap(&mut self, dir: Dir, gap: Gap, at: Stamp, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Option<Left> {
        if dir == self.client {
            self.requests.gap(gap, at, &mut Wire { pairing: &mut self.pairing, cx, sink });
            return self.release(cx, sink);
        }
        let left = self.force(cx, sink);
        self.responses.gap(gap, at, &mut Wire { pairing: &mut self.pairing, cx, sink });
        left
    }

    /// FIN of one direction.
    pub(super) fn finished(&mut self, dir: Dir, at: Stamp, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Option<Left> {
        let left = self.force(cx, sink);
        if dir == self.client {
            self.requests.stop(true, End::Broken(Broken::Finished), at, &mut Wire { pairing: &mut self.pairing, cx, sink });
            self.client_left = Some(at);
            return left.or_else(|| self.force(cx, sink));
        }
        // By time, not by place in the capture: two FINs close to each other may have changed places there.
        if self.client_left.is_some_and(|client| client > at) {
            self.client_left = None;
        }
        let end = self.response_end();
        let orderly = self.client_left.is_none() || self.went_on;
        self.responses.stop(orderly, end, at, &mut Wire { pairing: &mut self.pairing, cx, sink });
        self.pairing.close(end, at, sink);
        left
    }

    /// The end of the connection.
    pub(super) fn closed(&mut self, how: Close, at: Stamp, cx: &mut Context<'_>, sink: &mut dyn Sink) {
        let _ = self.force(cx, sink);
        let (request, response) = match how {
            Close::Finished | Close::Refused | Close::Unanswered => (End::Broken(Broken::Finished), self.response_end()),
            Close::Reset(dir) if dir == self.client => (End::Broken(Broken::Reset), End::Broken(Broken::Left)),
            Close::Reset(_) if self.client_left.is_some() => (End::Broken(Broken::Left), End::Broken(Broken::Left)),
            Close::Reset(_) => (End::Broken(Broken::Left), End::Broken(Broken::Reset)),
            Close::CaptureEnd => both(Cause::After),
            Close::Evicted => both(Cause::Limit),
            Close::Reused | Close::Idle => both(Cause::Lost), // its real end was not seen
        };
        self.stop(request, response, at, cx, sink);
    }

    /// The connection carries something else from here on: what was open ends.
    pub(super) fn leave(&mut self, at: Stamp, cx: &mut Context<'_>, sink: &mut dyn Sink) {
        let (request, response) = both(Cause::Garbled);
        self.stop(request, response, at, cx, sink);
    }

    fn stop(&mut self, request: End, response: End, at: Stamp, cx: &mut Context<'_>, sink: &mut dyn Sink) {
        self.requests.stop(false, request, at, &mut Wire { pairing: &mut self.pairing, cx, sink });
        self.responses.stop(false, response, at, &mut Wire { pairing: &mut self.pairing, cx, sink });
        self.pairing.close(response, at, sink);
    }

    fn response_end(&self) -> End {
        End::Broken(if self.client_left.is_some() { Broken::Left } else { Broken::Finished })
    }

    fn respond(&mut self, bytes: &[u8], at: Stamp, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Option<Left> {
        match self.responses.data(bytes, at, &mut Wire { pairing: &mut self.pairing, cx, sink }) {
            Flow::Hold(bytes) => self.held.push((at, bytes)),
            Flow::Switch(switch, bytes) => return Some((switch, bytes)),
            Flow::Done | Flow::Again(_) => {}
        }
        None
    }

    /// Reads what was held back, as far as somebody waits for it.
    fn release(&mut self, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Option<Left> {
        let mut held = std::mem::take(&mut self.held).into_iter();
        for (at, bytes) in held.by_ref() {
            if let Some((switch, mut bytes)) = self.respond(&bytes, at, cx, sink) {
                held.for_each(|(_, more)| bytes.extend_from_slice(&more));
                return Some((switch, bytes));
            }
            if !self.held.is_empty() {
                break;
            }
        }
        self.held.extend(held);
        None
    }

    /// Reads what was held back though nobody waits for it: no request will come, or not in time.
    fn force(&mut self, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Option<Left> {
        if self.held.is_empty() {
            return None;
        }
        self.pairing.forced = true;
        let left = self.release(cx, sink);
        self.pairing.forced = false;
        left
    }
}

fn both(cause: Cause) -> (End, End) {
    let end = End::Unseen(Gap { len: None, cause });
    (end, end)
}

/// Packets of the server's held back.
const PIECES: usize = 64;
