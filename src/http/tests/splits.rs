//! Properties: cuts change nothing, and no bytes panic.

use proptest::prelude::*;

use super::holes::{Exchange, exchanges, timeline};
use super::*;

/// What a timeline yields when each of its pieces is cut further, bodies joined.
fn run(pieces: &[(Dir, Vec<u8>)], cuts: &[usize]) -> (Vec<String>, BTreeMap<(u32, Part), Message>) {
    let mut bench = Bench::new(true);
    let mut cuts = cuts.iter().cycle();
    for (dir, bytes) in pieces {
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let n = cuts.next().map_or(rest.len(), |cut| (*cut).clamp(1, rest.len()));
            let (piece, after) = rest.split_at(n);
            bench.data(*dir, piece);
            rest = after;
        }
    }
    bench.finished(S);
    bench.finished(C);
    bench.closed(Close::Finished);
    bench.tape.check(false);
    let lines = bench.lines().into_iter().filter(|line| !line.contains(" | ")).collect();
    (lines, bench.tape.messages)
}

/// Pieces of traffic from which hostile streams are made.
const SHARDS: &[&str] = &[
    "GET /a HTTP/1.1\r\n",
    "HEAD / HTTP/1.0\r\n",
    "CONNECT x:1 HTTP/1.1\r\n",
    "POST /b HTTP/1.1\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 100 C\r\n",
    "HTTP/1.1 101 S\r\n",
    "HTTP/1.1 204 N\r\n",
    "HTTP/1.0 500 E\r\n",
    "\r\n",
    "\n",
    "\r\n\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: x\r\n",
    "Content-Encoding: gzip\r\n",
    "Content-Encoding: br, zstd\r\n",
    "Expect: 100-continue\r\n",
    "Upgrade: h2c\r\n",
    " folded\r\n",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "ffffffffffffffff\r\n",
    "hello",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\0\0\0\x04\0\0\0\0\0",
    "Authorization: Bearer a.e30.c\r\n",
    "Location: ://@?=&#\r\n",
];

#[derive(Clone, Debug)]
enum Act {
    Shard(bool, usize),
    Bytes(bool, Vec<u8>),
    Gap(bool, Option<u64>),
    Finished(bool),
    Reset(bool),
}

fn act() -> impl Strategy<Value = Act> {
    let side = any::<bool>;
    prop_oneof![
        20 => (side(), 0..SHARDS.len()).prop_map(|(side, i)| Act::Shard(side, i)),
        3 => (side(), proptest::collection::vec(any::<u8>(), 1..40)).prop_map(|(side, bytes)| Act::Bytes(side, bytes)),
        2 => (side(), proptest::option::of(0..20u64)).prop_map(|(side, len)| Act::Gap(side, len)),
        1 => side().prop_map(Act::Finished),
        1 => side().prop_map(Act::Reset),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn cuts_change_nothing(exchanges in exchanges(), cuts in proptest::collection::vec(1..40usize, 1..6)) {
        let pieces = timeline(&exchanges);
        let whole = run(&pieces, &[usize::MAX]);
        prop_assert_eq!(whole.1.len(), exchanges.len() * 2);
        for (i, Exchange { .. }) in exchanges.iter().enumerate() {
            prop_assert_eq!(&whole.1[&(i as u32, Part::Request)].name, &format!("/{i}"));
            prop_assert_eq!(&whole.1[&(i as u32, Part::Response)].name, &format!("s{i}"));
            prop_assert_eq!(whole.1[&(i as u32, Part::Response)].end, Some(End::Complete));
        }
        prop_assert_eq!(&run(&pieces, &cuts), &whole);
        prop_assert_eq!(&run(&pieces, &[1]), &whole);
    }

    #[test]
    fn nothing_panics_and_the_contract_holds(known in any::<bool>(), acts in proptest::collection::vec(act(), 1..60)) {
        let mut bench = Bench::new(known);
        let dir = |side| if side { C } else { S };
        for act in acts {
            match act {
                Act::Shard(side, i) => bench.data(dir(side), SHARDS[i].as_bytes()),
                Act::Bytes(side, bytes) => bench.data(dir(side), &bytes),
                Act::Gap(side, len) => bench.gap(dir(side), len),
                Act::Finished(side) => bench.finished(dir(side)),
                Act::Reset(side) => bench.closed(Close::Reset(dir(side))),
            }
        }
        bench.closed(Close::CaptureEnd);
        bench.tape.check(true);
    }
}
