//! One segment in many places: a recording of NAT on a container host, with and without loss, and hand-made look-alikes.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::base::Ts;
use crate::packet::testing::recording;
use crate::packet::{Decoder, Frame};

const CLIENT: &str = "10.0.0.7:40000";
const HOST: &str = "10.0.0.1:4000";
const INSIDE: &str = "172.17.0.2:8000";

/// What came out: bytes per directed flow by sequence number (a byte's value is how often it was handed on), and ties.
#[derive(Debug, Default)]
struct Out {
    bytes: BTreeMap<(Addr, Addr), BTreeMap<u32, usize>>,
    ties: Vec<Tied>,
    counts: Counts,
    passed: usize,
}

impl Out {
    fn take(&mut self, segment: &Segment<'_>) {
        self.passed += 1;
        let flow = self.bytes.entry((segment.src, segment.dst)).or_default();
        for i in 0..segment.payload.len() as u32 {
            *flow.entry(segment.seq.wrapping_add(i)).or_default() += 1;
        }
    }
}

fn road(name: &str, keep: impl Fn(u64) -> bool) -> Out {
    let limits = Limits::default();
    let (mut decoder, mut sightings, mut out) = (Decoder::new(&limits), Sightings::new(&limits), Out::default());
    for owned in recording(name).iter().filter(|owned| keep(owned.at.ord)) {
        let Some(mut decoded) = decoder.decode(Frame { ..owned.frame() }, &mut out.counts) else { continue };
        match sightings.push(&mut decoded, owned.at, &mut out.counts.clone()) {
            Sight::New => out.take(&decoded.segment),
            Sight::Again => out.counts.bump(Count::Sightings),
            Sight::Tied { tied, again } => {
                out.ties.push(tied);
                if !again {
                    out.take(&decoded.segment);
                }
            }
            Sight::Apart { opener, .. } => {
                out.take(&opener);
                out.take(&decoded.segment);
            }
        }
    }
    out
}

#[test]
fn nat_on_a_container_host_leaves_each_byte_once_and_both_addresses_known() {
    let out = road("p80-dnat-container", |_| true);
    assert!(out.bytes.values().flat_map(BTreeMap::values).all(|times| *times == 1));
    let servers: BTreeSet<String> = out.bytes.keys().filter(|(src, _)| src.port() > 10_000).map(|(_, dst)| dst.to_string()).collect();
    assert_eq!(servers.into_iter().collect::<Vec<_>>(), ["10.88.1.1:4000", "10.88.2.2:9001", "10.88.2.2:9002", "10.88.2.2:9003"]);
    // Every connection was tied, once, and the ties say what the recording's truth says.
    assert_eq!(out.ties.len() * 2, out.bytes.len());
    for tied in &out.ties {
        let (a, b, other_a, other_b) = (tied.a.to_string(), tied.b.to_string(), tied.alias_a.to_string(), tied.alias_b.to_string());
        let inbound = b == "10.88.1.1:4000" && other_b == "172.30.0.10:4000" && a == other_a
            || a == "10.88.1.1:4000" && other_a == "172.30.0.10:4000" && b == other_b;
        let outbound = |one: &str, other: &str| one.starts_with("172.30.0.10:") && other.starts_with("10.88.2.1:");
        assert!(inbound || outbound(&a, &other_a) && b == other_b || outbound(&b, &other_b) && a == other_a, "{tied:?}");
    }
    assert_eq!((out.passed, out.passed as u64 + out.counts.get(Count::Sightings)), (571, 1713));
}

#[test]
fn under_loss_no_byte_comes_under_two_names() {
    for seed in 0..20u64 {
        let out = road("p80-dnat-container", |ord| (ord ^ seed << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & 0xff > 5);
        // Sequence numbers are random, so that a number under two names is a byte under two names.
        let mut once = BTreeSet::new();
        let twice = out.bytes.values().flat_map(BTreeMap::keys).filter(|seq| !once.insert(**seq)).count();
        assert_eq!(twice, 0, "{seed} {:?}", out.bytes.keys());
    }
}

#[test]
fn captures_without_copies_pass_untouched() {
    for name in ["litellm-swallowed-401", "p50-netns-upstream-iface", "p51-ipv6", "p72-vlan"] {
        let out = road(name, |_| true);
        assert_eq!((out.ties.len(), out.counts.get(Count::Sightings)), (0, 0), "{name}");
    }
}

/// A bench of hand-made segments, one each 10 microseconds.
struct Bench {
    sightings: Sightings,
    counts: Counts,
    now: i64,
    options: [u8; 12],
}

impl Bench {
    fn new() -> Bench {
        Bench { sightings: Sightings::new(&Limits::default()), counts: Counts::default(), now: 0, options: [0; 12] }
    }

    fn stamped() -> Bench {
        Bench { options: [1, 1, 8, 10, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0], ..Bench::new() }
    }

    fn see(&mut self, from: &str, to: &str, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> (Sight, String) {
        self.now += 10_000;
        let segment =
            Segment { src: from.parse().unwrap(), dst: to.parse().unwrap(), seq, ack, flags: Flags(flags), window: 500, payload, cut: 0 };
        let options = self.options;
        let mut decoded = Decoded { segment, options: if options[0] == 0 { &[] } else { &options } };
        let sight = self.sightings.push(&mut decoded, Stamp { ts: Ts(self.now), ..Stamp::default() }, &mut self.counts);
        (sight, format!("{}>{}", decoded.segment.src, decoded.segment.dst))
    }

    /// A handshake through DNAT, each segment on both legs.
    fn dnat_handshake(&mut self, isn: u32) -> [Sight; 6] {
        [
            self.see(CLIENT, HOST, SYN, isn, 0, b"").0,
            self.see(CLIENT, INSIDE, SYN, isn, 0, b"").0,
            self.see(INSIDE, CLIENT, SYN | ACK, isn + 77, isn + 1, b"").0,
            self.see(HOST, CLIENT, SYN | ACK, isn + 77, isn + 1, b"").0,
            self.see(CLIENT, HOST, ACK, isn + 1, isn + 78, b"").0,
            self.see(CLIENT, INSIDE, ACK, isn + 1, isn + 78, b"").0,
        ]
    }
}

const SYN: u8 = Flags::SYN;
const ACK: u8 = Flags::ACK;

#[test]
fn an_answer_that_comes_back_the_other_way_round_ties_two_legs() {
    for mut bench in [Bench::new(), Bench::stamped()] {
        let [a, b, c, d, e, f] = bench.dnat_handshake(0x5000_0000);
        let tied = Tied {
            a: HOST.parse().unwrap(),
            b: CLIENT.parse().unwrap(),
            alias_a: INSIDE.parse().unwrap(),
            alias_b: CLIENT.parse().unwrap(),
        };
        assert_eq!(
            [a, b, c, d, e, f],
            [Sight::New, Sight::Again, Sight::Tied { tied, again: false }, Sight::Again, Sight::New, Sight::Again]
        );
        // A copy stands in for an original that was lost; a retransmission with other bytes is not hidden.
        assert_eq!(bench.see(CLIENT, INSIDE, ACK, 0x5000_0001, 9, b"GET /"), (Sight::New, format!("{CLIENT}>{HOST}")));
        assert_eq!(bench.see(CLIENT, HOST, ACK, 0x5000_0001, 9, b"GET /").0, Sight::Again);
        assert_eq!(bench.see(CLIENT, HOST, ACK, 0x5000_0001, 9, b"PUT /").0, Sight::New);
        assert_eq!(bench.counts.get(Count::Aliases), 1);
        // Port reuse unlearns, and learns anew.
        assert_eq!(bench.see(CLIENT, INSIDE, SYN, 0x7000_0000, 0, b""), (Sight::New, format!("{CLIENT}>{INSIDE}")));
        bench.now += 20_000_000;
        assert!(matches!(bench.dnat_handshake(0x6000_0000), [Sight::New, Sight::Again, Sight::Tied { .. }, ..]));
    }
}

#[test]
fn a_tie_can_be_made_in_mid_connection() {
    let mut bench = Bench::stamped();
    assert_eq!(bench.see(CLIENT, HOST, ACK, 5, 9, b"GET /").0, Sight::New);
    assert_eq!(bench.see(CLIENT, INSIDE, ACK, 5, 9, b"GET /").0, Sight::Again);
    assert!(
        matches!(bench.see(INSIDE, CLIENT, ACK, 9, 10, b"HTTP/1.1"), (Sight::Tied { again: false, .. }, name) if name == format!("{HOST}>{CLIENT}"))
    );
    assert_eq!(bench.see(HOST, CLIENT, ACK, 9, 10, b"HTTP/1.1").0, Sight::Again);
}

#[test]
fn legs_that_cut_the_same_bytes_otherwise_stay_tied() {
    let mut bench = Bench::stamped();
    bench.dnat_handshake(0x5000_0000);
    let big = [7; 3000];
    for round in 0..40 {
        let seq = 0x5000_0001 + round * 3000;
        assert_eq!(bench.see(CLIENT, HOST, ACK, seq, 9, &big).0, Sight::New);
        for (i, part) in big.chunks(1000).enumerate() {
            assert_eq!(bench.see(CLIENT, INSIDE, ACK, seq + 1000 * i as u32, 9, part).1, format!("{CLIENT}>{HOST}"));
        }
    }
}

#[test]
fn look_alikes_are_left_alone() {
    // Hand-made connections with the same sequence numbers and the same words: other ports of one client, or other clients, one
    // after the other or side by side. Each must come out whole.
    let clients = ["10.0.0.7:40000", "10.0.0.7:40001", "10.0.0.8:40000", "10.0.0.9:40002"];
    let script: &[(bool, u8, u32, u32, &[u8])] = &[
        (true, SYN, 1000, 0, b""),
        (false, SYN | ACK, 5000, 1001, b""),
        (true, ACK, 1001, 5001, b""),
        (true, ACK, 1001, 5001, b"GET /"),
        (false, ACK, 5001, 1006, b"200"),
    ];
    for side_by_side in [false, true] {
        let mut order: Vec<(usize, usize)> = (0..clients.len()).flat_map(|c| (0..script.len()).map(move |s| (c, s))).collect();
        if side_by_side {
            order.sort_by_key(|(c, s)| (*s, *c));
        }
        for mut bench in [Bench::new(), Bench::stamped()] {
            let mut seen: BTreeMap<&str, Vec<(u8, u32)>> = BTreeMap::new();
            for (c, s) in &order {
                let (client, (out, flags, seq, ack, payload)) = (clients[*c], script[*s]);
                let (from, to) = if out { (client, HOST) } else { (HOST, client) };
                let (sight, name) = bench.see(from, to, flags, seq, ack, payload);
                assert_eq!(name, format!("{from}>{to}"), "{side_by_side}");
                if let Sight::Apart { opener, .. } = sight {
                    seen.entry(client).or_default().push((opener.flags.0, opener.seq));
                } else {
                    assert_eq!(sight == Sight::Again, flags == SYN && side_by_side && *c > 1, "{client} {s} {sight:?}");
                }
                if sight != Sight::Again {
                    seen.entry(client).or_default().push((flags, seq));
                }
            }
            let whole: Vec<_> = script.iter().map(|(_, flags, seq, ..)| (*flags, *seq)).collect();
            assert!(seen.len() == clients.len() && seen.values().all(|segments| *segments == whole), "{side_by_side} {seen:?}");
        }
    }
}

#[test]
fn repeats_outside_the_window_pass() {
    let mut bench = Bench::new();
    assert_eq!(bench.see(CLIENT, HOST, ACK, 5, 9, b"GET /").0, Sight::New);
    assert_eq!(bench.see(CLIENT, HOST, ACK, 5, 9, b"GET /").0, Sight::Again);
    bench.now += WINDOW;
    assert_eq!(bench.see(CLIENT, HOST, ACK, 5, 9, b"GET /").0, Sight::New);
}

#[test]
fn a_flood_of_ties_stays_within_its_bounds() {
    let limits = Limits { sightings: 64, tied_connections: 8, ..Limits::default() };
    let mut bench = Bench { sightings: Sightings::new(&limits), ..Bench::stamped() };
    for i in 0..500u32 {
        let client = format!("10.1.{}.{}:4000", i >> 8, i & 255);
        assert_eq!(bench.see(&client, HOST, SYN, i << 20 | 3, 0, b"").0, Sight::New);
        assert_eq!(bench.see(&client, INSIDE, SYN, i << 20 | 3, 0, b"").0, Sight::Again);
        assert!(bench.sightings.ties.len() <= 8);
    }
    assert_eq!(bench.counts.get(Count::AliasLimit), 492);
}

proptest::proptest! {
    #[test]
    fn whatever_comes_is_handed_on_or_was_seen(steps in proptest::collection::vec((0usize..4, 0usize..4, 0u8..32, 0u32..4, 0u32..3, 0usize..3), 0..80)) {
        // Few values, so that marks, ties and reuse all happen; nothing may panic, and what is kept back must have a reason.
        let names = [CLIENT, HOST, INSIDE, "10.0.0.8:40000"];
        let mut bench = Bench::stamped();
        let mut first = BTreeSet::new();
        for (from, to, flags, seq, ack, len) in steps {
            let fresh = first.insert((flags, seq, ack, len));
            let (sight, _) = bench.see(names[from], names[to], flags, seq, ack, &b"ab"[..len]);
            if fresh {
                let kept_back = matches!(sight, Sight::Again | Sight::Tied { again: true, .. });
                proptest::prop_assert!(!kept_back);
            }
        }
    }
}
