//! Sequences of segments. Each payload byte is its own sequence number's lowest byte, so every stretch that comes out must count on
//! from the one before it, over holes whose length is said.
#![no_main]

use std::collections::BTreeMap;

use gatewitness::base::{Addr, ConnId, Counts, Limits};
use gatewitness::packet::{Flags, Segment};
use gatewitness::tcp::{Conn, Receiver, StreamEvent, Table};
use gatewitness_fuzz::script::stamp;
use libfuzzer_sys::fuzz_target;

#[derive(Default)]
struct Witness {
    open: BTreeMap<ConnId, [Half; 2]>,
}

#[derive(Default)]
struct Half {
    next: Option<u8>,
    finished: bool,
}

impl Receiver for Witness {
    fn on_stream(&mut self, conn: &Conn, event: StreamEvent<'_>) {
        if event == StreamEvent::Opened {
            assert!(self.open.insert(conn.id, Default::default()).is_none(), "opened twice");
            return;
        }
        let halves = self.open.get_mut(&conn.id).expect("opened before anything else");
        match event {
            StreamEvent::Opened => {}
            StreamEvent::Data { dir, bytes, .. } => {
                let half = &mut halves[dir.index()];
                assert!(!bytes.is_empty() && !half.finished);
                for byte in bytes {
                    assert!(half.next.is_none_or(|next| next == *byte), "a byte that does not follow");
                    half.next = Some(byte.wrapping_add(1));
                }
            }
            StreamEvent::Gap { dir, gap, .. } => {
                let half = &mut halves[dir.index()];
                assert!(!half.finished);
                half.next = gap.len.and_then(|len| Some(half.next?.wrapping_add(len as u8)));
            }
            StreamEvent::Finished { dir, .. } => {
                let half = &mut halves[dir.index()];
                assert!(!half.finished, "ended twice");
                half.finished = true;
            }
            StreamEvent::Closed { .. } => {
                self.open.remove(&conn.id);
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let limits = Limits {
        connections: 4,
        closed_connections: 4,
        reorder_segments: 8,
        reorder_bytes: 512,
        reorder_bytes_total: 1_024,
        ..Limits::default()
    };
    let (mut table, mut counts, mut witness) = (Table::new(7), Counts::default(), Witness::default());
    let bytes: Vec<u8> = (0..=255u8).cycle().take(1024).collect();
    let mut ord = 0u64;
    let mut now = 0u64;
    for op in data.chunks_exact(8) {
        let [who, flags, a, b, c, d, len, time] = *op else { break };
        ord += 1;
        now += match time {
            0..=199 => u64::from(time),
            200..=254 => u64::from(time) * 10,
            255 => 120_000,
        };
        let mut at = stamp(now);
        (at.ord, at.frame) = (ord, ord);
        let side = |n: u8| Addr::v4([10, 0, 0, n & 1], 1000 + u16::from(who >> 1) % 6 * u16::from(n & 1));
        let (src, dst) = if who & 1 == 0 { (side(1), side(0)) } else { (side(0), side(1)) };
        // Sequence numbers near the wrap, and sometimes far away.
        let place = |n: u16| match n {
            0xfff0.. => u32::from(n) << 16,
            n => 0xffff_ff00u32.wrapping_add(u32::from(n)),
        };
        let (seq, ack) = (place(u16::from_le_bytes([a, b])), place(u16::from_le_bytes([c, d])));
        let flags = Flags(flags & 0x1f);
        // A SYN takes a sequence number before the first byte of its payload.
        let first = seq.wrapping_add(u32::from(flags.has(Flags::SYN))) as u8;
        let payload = bytes.get(usize::from(first)..usize::from(first) + usize::from(len >> 1)).unwrap_or_default();
        let cut = if len & 1 == 1 && time & 7 == 0 { 5 } else { 0 };
        let segment = Segment { src, dst, seq, ack, flags, window: 512, payload, cut };
        table.push(&segment, at, &limits, &mut counts, &mut witness);
        if time & 0x30 == 0x30 {
            table.tick(at.ts, &limits, &mut counts, &mut witness);
        }
        assert!(table.held_bytes() <= limits.reorder_bytes_total + 128, "more held than the limit");
        assert!(witness.open.len() <= limits.connections && table.open() == witness.open.len());
    }
    table.finish(stamp(now), &limits, &mut counts, &mut witness);
    assert!(witness.open.is_empty() && table.held_bytes() == 0, "everything is over at the end");
});
