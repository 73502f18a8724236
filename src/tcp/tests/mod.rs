//! A laboratory: segments are made in one line each, and what is said of them is read as one line of text.

mod captures;
mod close;
mod limits;
mod loss;
mod open;
mod order;
mod random;

use super::{Close, Conn, Receiver, StreamEvent, Table};
use crate::base::{Addr, Cause, ConnId, Count, Counts, Dir, Limits, Stamp, Ts};
use crate::packet::{Flags, Segment};

/// What was said, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Opened,
    Data(Dir, Vec<u8>, Stamp),
    Gap(Dir, Option<u64>, Cause, Stamp),
    Finished(Dir),
    Closed(Close, Stamp),
}

#[derive(Debug, Default)]
struct Log {
    lines: Vec<(ConnId, Said)>,
    conns: Vec<Conn>,
}

impl Receiver for Log {
    fn on_stream(&mut self, conn: &Conn, event: StreamEvent<'_>) {
        let said = match event {
            StreamEvent::Opened => Said::Opened,
            StreamEvent::Data { dir, bytes, at } => Said::Data(dir, bytes.to_vec(), at),
            StreamEvent::Gap { dir, gap, at } => Said::Gap(dir, gap.len, gap.cause, at),
            StreamEvent::Finished { dir, .. } => Said::Finished(dir),
            StreamEvent::Closed { how, at } => Said::Closed(how, at),
        };
        if matches!(said, Said::Opened | Said::Closed(..)) {
            self.conns.push(conn.clone());
        }
        self.lines.push((conn.id, said));
    }
}

/// A table with a client and a server; sequence numbers count from the first byte of each.
struct Lab {
    table: Table,
    limits: Limits,
    counts: Counts,
    log: Log,
    ord: u64,
    now: i64,
    client: Addr,
    server: Addr,
    /// First byte of the client, of the server.
    zero: [u32; 2],
}

const MS: i64 = 1_000_000;
const ACK: u8 = Flags::ACK;
const SYN: u8 = Flags::SYN;
const FIN: u8 = Flags::FIN | Flags::ACK;
const RST: u8 = Flags::RST;

impl Lab {
    /// Nothing was seen yet.
    fn new() -> Lab {
        Lab {
            table: Table::new(7),
            limits: Limits::default(),
            counts: Counts::default(),
            log: Log::default(),
            ord: 0,
            now: 0,
            client: Addr::v4([10, 0, 0, 7], 40_000),
            server: Addr::v4([10, 0, 0, 1], 4000),
            zero: [1001, 5001],
        }
    }

    /// After the handshake; [`Lab::said`] begins there.
    fn open() -> Lab {
        Lab::open_at(1001, 5001)
    }

    fn open_at(client: u32, server: u32) -> Lab {
        let mut lab = Lab { zero: [client, server], ..Lab::new() };
        lab.handshake();
        assert_eq!(lab.said(), "open");
        lab
    }

    fn handshake(&mut self) {
        self.send(0, SYN, -1, 0, b"");
        self.send(1, SYN | ACK, -1, 0, b"");
        self.send(0, ACK, 0, 0, b"");
    }

    /// The client's next segment.
    fn a(&mut self, seq: i64, ack: i64, bytes: &[u8]) {
        self.send(0, ACK, seq, ack, bytes);
    }

    /// The server's.
    fn b(&mut self, seq: i64, ack: i64, bytes: &[u8]) {
        self.send(1, ACK, seq, ack, bytes);
    }

    fn send(&mut self, side: usize, flags: u8, seq: i64, ack: i64, bytes: &[u8]) {
        self.send_cut(side, flags, seq, ack, bytes, 0);
    }

    fn send_cut(&mut self, side: usize, flags: u8, seq: i64, ack: i64, bytes: &[u8], cut: u32) {
        let (src, dst) = if side == 0 { (self.client, self.server) } else { (self.server, self.client) };
        let seq = self.zero[side].wrapping_add(seq as u32);
        let ack = if flags & ACK == 0 { 0 } else { self.zero[1 - side].wrapping_add(ack as u32) };
        self.push(&Segment { src, dst, seq, ack, flags: Flags(flags), window: 500, payload: bytes, cut });
    }

    fn push(&mut self, seg: &Segment<'_>) {
        self.ord += 1;
        self.now += MS;
        let at = self.stamp();
        self.table.push(seg, at, &self.limits, &mut self.counts, &mut self.log);
    }

    fn stamp(&self) -> Stamp {
        Stamp { ord: self.ord, ts: Ts(self.now), frame: self.ord, file: 0 }
    }

    /// So many milliseconds pass without a packet.
    fn pass(&mut self, ms: i64) {
        self.now += ms * MS;
        self.table.tick(Ts(self.now), &self.limits, &mut self.counts, &mut self.log);
    }

    fn finish(&mut self) {
        let at = self.stamp();
        self.table.finish(at, &self.limits, &mut self.counts, &mut self.log);
    }

    fn count(&self, count: Count) -> u64 {
        self.counts.get(count)
    }

    /// What was said since the last call: `open`, `a:bytes`, `b?5 lost` for holes, `a.` for an end, `closed ...`.
    fn said(&mut self) -> String {
        let side = |dir: Dir| if dir == Dir::AtoB { 'a' } else { 'b' };
        let lines = self.log.lines.drain(..).map(|(_, said)| match said {
            Said::Opened => "open".to_owned(),
            Said::Data(dir, bytes, _) => format!("{}:{}", side(dir), String::from_utf8_lossy(&bytes)),
            Said::Gap(dir, len, cause, _) => {
                format!("{}?{} {}", side(dir), len.map_or("some".to_owned(), |len| len.to_string()), cause.as_str())
            }
            Said::Finished(dir) => format!("{}.", side(dir)),
            Said::Closed(how, _) => format!("closed {how:?}"),
        });
        lines.collect::<Vec<_>>().join(" | ")
    }
}
