//! A TLS connection with a key log of its own (the first piece): no panic, nothing after an end, and all that waited is let go.
#![no_main]

use gatewitness::base::{Counts, Limits};
use gatewitness::tcp::StreamEvent;
use gatewitness::tls::{Connection, Context, KeyLog, Workbench};
use gatewitness_fuzz::script::{self, Step, stamp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [a, b, rest @ ..] = data else { return };
    let (log, rest) = rest.split_at(usize::from(u16::from_le_bytes([*a, *b])).min(rest.len()));
    let limits = Limits { tls_pending_bytes: 4_096, tls_pending_bytes_total: 8_192, tls_secrets: 64, ..Limits::default() };
    let (mut keys, mut counts) = (KeyLog::new(&limits), Counts::default());
    keys.block(log, &mut counts);
    let mut bench = Workbench::new(&limits);
    let (mut ended, mut closed) = ([false; 2], false);
    let mut out = |event: StreamEvent<'_>| {
        assert!(!closed, "nothing after the connection's end");
        match event {
            StreamEvent::Data { dir, bytes, .. } => assert!(!bytes.is_empty() && !ended[dir.index()]),
            StreamEvent::Finished { dir, .. } => assert!(!std::mem::replace(&mut ended[dir.index()], true), "ended twice"),
            StreamEvent::Closed { .. } => closed = true,
            _ => {}
        }
    };
    let mut tls = Connection::new();
    let mut cx = Context { bench: &mut bench, keys: &keys, out: &mut out };
    for (n, step) in script::binary(rest).iter().enumerate() {
        let at = stamp(n as u64 + 1);
        match *step {
            Step::Data(dir, bytes) => tls.data(dir, bytes, at, &mut cx),
            Step::Gap(dir, gap) => tls.gap(dir, gap, at, &mut cx),
            Step::Finished(dir) => tls.finished(dir, at, &mut cx),
            Step::Closed(how) => {
                if !tls.closed(how, at, &mut cx) {
                    tls.give_up(&mut cx);
                }
            }
        }
    }
    let _ = tls.facts();
    assert_eq!(bench.held_bytes(), 0, "all that waited is let go");
    assert!(closed, "the end is said");
});
