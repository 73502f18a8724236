//! Heads and connections for tests: what the HTTP room would say, without the HTTP room.

use crate::base::{ConnId, Counts, ExId, Fingerprint, Gap, Keyer, Limits, Stamp, Ts, Via};
use crate::http::{End, Head, Part, RequestHead, ResponseHead, Sink, Version, Want};

use super::{Answer, Answered, Asked, Exchange, Observer, Outcome, Peers, Seen, mark};

pub(super) const KEY: [u8; 32] = [5; 32];

pub(super) fn common(content_type: &str) -> Head {
    Head {
        version: Version::Http11,
        content_type: (!content_type.is_empty()).then(|| content_type.into()),
        content_length: None,
        session: None,
        protocol_version: None,
        user_agent: None,
        marks: Vec::new(),
        partial: false,
    }
}

pub(super) fn head(method: &str, target: &str, content_type: &str, accepts_sse: bool) -> RequestHead {
    let keyer = Keyer::new(KEY);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    RequestHead {
        method: method.into(),
        path: path.into(),
        path_mark: mark::path(&keyer, path.as_bytes()),
        query: mark::query(&keyer, query.as_bytes()),
        host: None,
        credential: None,
        other_credentials: Vec::new(),
        mcp_servers: Vec::new(),
        mcp_method: None,
        mcp_name: None,
        last_event_id: None,
        trace: None,
        accepts_sse,
        common: common(content_type),
    }
}

pub(super) fn answer_head(status: u16, content_type: &str) -> ResponseHead {
    ResponseHead { status, www_authenticate: None, server: None, retry_after: None, location: None, common: common(content_type) }
}

pub(super) fn stamp(ord: u64) -> Stamp {
    Stamp { ord, ts: Ts(ord.cast_signed() * 1000), frame: ord, file: 0 }
}

/// A connection whose messages the test makes.
pub(super) struct Trial {
    pub(super) observer: Observer,
    pub(super) keyer: Keyer,
    pub(super) limits: Limits,
    pub(super) counts: Counts,
    pub(super) out: Vec<Seen>,
    pub(super) ord: u64,
}

impl Trial {
    pub(super) fn new(conn: u64) -> Trial {
        let peers = Peers {
            client: format!("10.0.0.1:{}", 40_000 + conn).parse().unwrap(),
            server: "10.0.0.2:4000".parse().unwrap(),
            client_aliases: Vec::new(),
            server_aliases: Vec::new(),
            processes: Vec::new(),
            via: Via::Packets,
            opened: None,
        };
        Trial {
            observer: Observer::new(ConnId(conn), peers),
            keyer: Keyer::new(KEY),
            limits: Limits::default(),
            counts: Counts::default(),
            out: Vec::new(),
            ord: conn * 1000,
        }
    }

    /// One call of the sink, in a packet of its own.
    pub(super) fn sink<T>(&mut self, call: impl FnOnce(&mut dyn Sink, Stamp) -> T) -> T {
        self.ord += 1;
        let at = stamp(self.ord);
        call(&mut self.observer.listen(&self.keyer, &self.limits, &mut self.counts, &mut self.out), at)
    }

    pub(super) fn ask(&mut self, n: u32, head: RequestHead, body: &[u8]) -> &mut Trial {
        if self.sink(|sink, at| sink.request(n, head, at)) == Want::Body && !body.is_empty() {
            self.sink(|sink, at| sink.body(n, Part::Request, body, at));
        }
        self.sink(|sink, at| sink.end(n, Part::Request, End::Complete, at));
        self
    }

    pub(super) fn post(&mut self, n: u32, target: &str, body: &str) -> &mut Trial {
        self.ask(n, head("POST", target, "application/json", true), body.as_bytes())
    }

    pub(super) fn answer(&mut self, n: u32, head: ResponseHead, pieces: &[&[u8]], end: End) -> &mut Trial {
        self.begin(n, head, pieces);
        self.sink(|sink, at| sink.end(n, Part::Response, end, at));
        self
    }

    pub(super) fn begin(&mut self, n: u32, head: ResponseHead, pieces: &[&[u8]]) -> &mut Trial {
        if self.sink(|sink, at| sink.response(n, head, at)) == Want::Body {
            for piece in pieces {
                self.sink(|sink, at| sink.body(n, Part::Response, piece, at));
            }
        }
        self
    }

    pub(super) fn hole(&mut self, n: u32, part: Part, gap: Gap) -> &mut Trial {
        self.sink(|sink, at| sink.hole(n, part, gap, at));
        self
    }

    pub(super) fn take(&mut self) -> Told {
        told(std::mem::take(&mut self.out))
    }
}

/// What was seen, sorted for tests.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) asked: Vec<Exchange>,
    pub(super) answers: Vec<(ExId, Answer)>,
    pub(super) done: Vec<(ExId, Answered)>,
    pub(super) missed: Vec<ExId>,
    pub(super) order: String,
}

pub(super) fn told(all: Vec<Seen>) -> Told {
    let mut told = Told::default();
    for seen in all {
        told.order.push(match seen {
            Seen::Asked(exchange) => {
                told.asked.push(*exchange);
                'q'
            }
            Seen::Answering(..) => 'h',
            Seen::Answered(id, answer) => {
                told.answers.push((id, *answer));
                'a'
            }
            Seen::Done(id, done) => {
                told.done.push((id, done));
                'd'
            }
            Seen::Missed(id, _) => {
                told.missed.push(id);
                'm'
            }
            Seen::Resumable(_) => 'r',
            Seen::Conduit(_) => 'c',
            Seen::Unseen(_) => 'u',
        });
    }
    told
}

impl Told {
    pub(super) fn one_asked(&self) -> &Asked {
        assert_eq!(self.asked.len(), 1);
        &self.asked[0].asked
    }

    pub(super) fn outcomes(&self) -> Vec<&Outcome> {
        self.answers.iter().map(|(_, answer)| &answer.outcome).collect()
    }
}

pub(super) fn event_mark(id: &str) -> Fingerprint {
    mark::event(&Keyer::new(KEY), id.as_bytes())
}
