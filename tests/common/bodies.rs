//! A capture comes in, the bodies of its HTTP exchanges go out as digests: the road up to `http`, without the rooms that forget them.

use std::collections::BTreeMap;

use gatewitness::base::{Counts, Keyer, Limits, Stamp, Ts};
use gatewitness::http::{self, End, Memo, Part, RequestHead, ResponseHead, Sink, Want};
use gatewitness::packet::{Decoder, Frame};
use gatewitness::tcp::{Conn, Receiver, StreamEvent, Table};
use gatewitness::tls::{self, KeyLog, Workbench};
use sha2::{Digest, Sha256};

/// One exchange: its server's port, its method and path, and both bodies.
#[derive(Default)]
pub struct Read {
    pub server: u16,
    pub method: String,
    pub path: String,
    /// Of the request and the response: SHA-256 of the decoded body, and whether it is whole.
    pub bodies: [(String, bool); 2],
}

/// Every exchange of a classic capture.
pub fn read(capture: &[u8], keys: Option<&[u8]>) -> Vec<Read> {
    let limits = Limits::default();
    let link = u16::from_le_bytes(capture[20..22].try_into().expect("a header"));
    let mut log = KeyLog::new(&limits);
    log.block(keys.unwrap_or_default(), &mut Counts::default());
    log.complete();
    let mut road = Road { limits: limits.clone(), log, bench: Workbench::new(&limits), open: BTreeMap::new(), done: Vec::new() };
    let (mut decoder, mut table, mut counts) = (Decoder::new(&limits), Table::new(1), Counts::default());
    let (mut at, mut stamp) = (24, Stamp::default());
    while let Some(head) = capture.get(at..at + 16) {
        let number = |from: usize| u32::from_le_bytes(head[from..from + 4].try_into().expect("four bytes"));
        let ts = Ts(i64::from(number(0)) * 1_000_000_000 + i64::from(number(4)) * 1000);
        stamp = Stamp { ord: stamp.ord + 1, ts, frame: stamp.ord + 1, file: 0 };
        let data = &capture[at + 16..at + 16 + number(8) as usize];
        if let Some(decoded) = decoder.decode(Frame { link, data, orig_len: number(12), iface: 0, at: stamp }, &mut counts) {
            table.push(&decoded.segment, stamp, &limits, &mut counts, &mut road);
        }
        at += 16 + data.len();
    }
    table.finish(stamp, &limits, &mut counts, &mut road);
    road.done
}

struct Road {
    limits: Limits,
    log: KeyLog,
    bench: Workbench,
    open: BTreeMap<usize, Carried>,
    done: Vec<Read>,
}

struct Carried {
    tls: Option<tls::Connection>,
    http: http::Connection,
    notes: Notes,
}

impl Receiver for Road {
    fn on_stream(&mut self, conn: &Conn, event: StreamEvent<'_>) {
        let carried = self.open.entry(conn.slot).or_insert_with(|| Carried {
            tls: None,
            http: http::Connection::new(),
            notes: Notes { server: conn.b.port(), ..Notes::default() },
        });
        let Carried { tls, http, notes } = carried;
        if let StreamEvent::Data { bytes, .. } = event
            && notes.first.replace(()).is_none()
            && matches!(tls::sniff(bytes), tls::Probe::Hello)
        {
            *tls = Some(tls::Connection::new());
        }
        let (keyer, limits) = (Keyer::new([1; 32]), &self.limits);
        let (mut counts, mut memo) = (Counts::default(), Memo::new());
        let mut plain = |event: StreamEvent<'_>| {
            let mut cx = http::Context { keyer: &keyer, limits, counts: &mut counts, memo: &mut memo };
            http.on_stream(conn, event, &mut cx, notes);
        };
        match tls {
            None => plain(event),
            Some(tls) => {
                let mut cx = tls::Context { bench: &mut self.bench, keys: &self.log, out: &mut plain };
                if !tls.on_stream(event, &mut cx) {
                    tls.give_up(&mut cx);
                }
            }
        }
        if matches!(event, StreamEvent::Closed { .. })
            && let Some(carried) = self.open.remove(&conn.slot)
        {
            self.done.extend(carried.notes.all.into_values().map(|(read, hashes)| {
                let [one, two] = hashes.map(|hash| format!("{:x}", Hex(&hash.finalize())));
                let [(_, whole), (_, answered)] = read.bodies;
                Read { bodies: [(one, whole), (two, answered)], ..read }
            }));
        }
    }
}

/// Bytes as hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl std::fmt::LowerHex for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[derive(Default)]
struct Notes {
    server: u16,
    first: Option<()>,
    all: BTreeMap<u32, (Read, [Sha256; 2])>,
}

impl Sink for Notes {
    fn request(&mut self, n: u32, head: RequestHead, _at: Stamp) -> Want {
        let read = &mut self.all.entry(n).or_default().0;
        (read.server, read.method, read.path) = (self.server, head.method, head.path);
        Want::Body
    }

    fn response(&mut self, n: u32, _head: ResponseHead, _at: Stamp) -> Want {
        self.all.entry(n).or_default();
        Want::Body
    }

    fn body(&mut self, n: u32, part: Part, bytes: &[u8], _at: Stamp) {
        self.all.entry(n).or_default().1[part as usize].update(bytes);
    }

    fn hole(&mut self, _n: u32, _part: Part, _gap: gatewitness::base::Gap, _at: Stamp) {}

    fn end(&mut self, n: u32, part: Part, end: End, _at: Stamp) {
        self.all.entry(n).or_default().0.bodies[part as usize].1 = end == End::Complete;
    }

    fn unanswered(&mut self, _n: u32, _end: End, _at: Stamp) {}

    fn upgraded(&mut self, _n: u32, _at: Stamp) {}
}
