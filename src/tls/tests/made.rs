//! Connections made for one rule each.

use proptest::prelude::*;

use super::maker::{RANDOM, client_hello, end_of_early_data, finished, key_log_text, key_update, sealers, server_flight, server_hello};
use super::*;
use crate::base::{Cause, Count, Counts, Ts};
use crate::tls::Probe;

const UP: Dir = Dir::AtoB;
const DOWN: Dir = Dir::BtoA;
const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;
const DATA: u8 = 23;

fn stamp(n: u64) -> Stamp {
    Stamp { ord: n, ts: Ts(i64::try_from(n).unwrap_or(0)), frame: n, file: 0 }
}

fn keys() -> KeyLog {
    capture::key_log(key_log_text().as_bytes())
}

fn no_keys(complete: bool) -> KeyLog {
    let mut keys = KeyLog::new(&Limits::default());
    if complete {
        keys.complete();
    }
    keys
}

/// The packets of a plain exchange: the handshake, a request, an answer in three records, and both ends.
fn exchange() -> Vec<(Dir, Vec<u8>)> {
    let [_, mut client_hs, mut server_hs, mut client, mut server] = sealers();
    vec![
        (UP, client_hello(false)),
        (DOWN, [server_hello(), b"\x14\x03\x03\x00\x01\x01".to_vec(), server_hs.seal(HANDSHAKE, &server_flight(false), 0)].concat()),
        (UP, [b"\x14\x03\x03\x00\x01\x01".to_vec(), client_hs.seal(HANDSHAKE, &finished(), 0)].concat()),
        (UP, client.seal(DATA, b"GET / HTTP/1.1\r\n\r\n", 30)),
        (DOWN, server.seal(HANDSHAKE, &[&[4, 0, 0, 20][..], &[1; 20]].concat(), 0)),
        (DOWN, server.seal(DATA, b"HTTP/1.1 401 Unauthorized\r\n", 0)),
        (DOWN, [server.seal(DATA, b"Content-Length: 0\r\n", 5), server.seal(DATA, b"\r\n", 0)].concat()),
        (DOWN, server.seal(ALERT, &[1, 0], 0)),
        (UP, client.seal(ALERT, &[1, 0], 0)),
    ]
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";

fn feed(rig: &mut Rig, keys: &KeyLog, packets: &[(Dir, Vec<u8>)]) {
    for ((dir, bytes), n) in packets.iter().zip(1..) {
        rig.data(keys, *dir, bytes, stamp(n));
    }
}

fn run(packets: &[(Dir, Vec<u8>)], keys: &KeyLog) -> Rig {
    let mut rig = Rig::new();
    feed(&mut rig, keys, packets);
    rig.closed(keys, Close::Finished, stamp(99));
    rig
}

#[test]
fn an_exchange_reads_as_if_it_were_plain() {
    let rig = run(&exchange(), &keys());
    let expected = [
        Said::Data(UP, REQUEST.to_vec(), stamp(4)),
        Said::Data(DOWN, ANSWER.to_vec(), stamp(7)),
        Said::Finished(DOWN),
        Said::Finished(UP),
        Said::Closed(Close::Finished),
    ];
    assert_eq!(rig.said, expected);
    let facts = rig.facts();
    let expected = Facts {
        client: Some(UP),
        server_name: Some("upstream.test".into()),
        alpn: Some("http/1.1".into()),
        version: Some("TLS 1.3"),
        suite: Some("TLS_AES_128_GCM_SHA256".into()),
        failed: None,
        bytes: [REQUEST.len() as u64, ANSWER.len() as u64],
        first_answer: Some(Ts(6)),
        decrypted: true,
        unsupported: None,
    };
    assert_eq!(facts, expected);
    let counts = &rig.bench.counts;
    assert_eq!([Count::TlsConnections, Count::TlsDecrypted, Count::TlsOpaqueRecords].map(|count| counts.get(count)), [1, 1, 0]);
}

#[test]
fn without_keys_the_outside_is_told() {
    let rig = run(&exchange(), &no_keys(true));
    let gap = Gap { len: None, cause: Cause::Encrypted };
    assert_eq!(rig.said, [Said::Gap(UP, gap), Said::Gap(DOWN, gap), Said::Closed(Close::Finished)]);
    let facts = rig.facts();
    assert!(!facts.decrypted && facts.failed.is_none() && facts.unsupported.is_none());
    assert_eq!((facts.server_name.as_deref(), facts.alpn.as_deref()), (Some("upstream.test"), Some("h2")));
    assert_eq!(facts.first_answer, Some(Ts(5)));
    assert!(facts.bytes[0] > 18 && facts.bytes[1] > 40, "{facts:?}");
    assert!(rig.bench.counts.get(Count::TlsOpaqueRecords) > 5 && rig.bench.held_bytes() == 0);
}

#[test]
fn what_waits_is_read_once_the_keys_come_and_no_answer_overtakes_its_request() {
    let (mut rig, none) = (Rig::new(), no_keys(false));
    feed(&mut rig, &none, &exchange());
    assert!(!rig.closed(&none, Close::Finished, stamp(99)) && rig.said.is_empty() && rig.bench.held_bytes() > 0);
    assert!(rig.call(&keys(), Connection::keys_added));
    assert_eq!(rig.said, run(&exchange(), &keys()).said);
    assert_eq!(rig.bench.held_bytes(), 0);
}

#[test]
fn keys_that_come_line_by_line_are_used_as_they_come() {
    let (mut rig, mut log, mut tail) = (Rig::new(), no_keys(false), crate::tls::Tail::default());
    let text = key_log_text();
    let mut lines = text.as_bytes().chunks(97);
    for ((dir, bytes), n) in exchange().iter().zip(1..) {
        rig.data(&log, *dir, bytes, stamp(n));
        log.feed(&mut tail, lines.next().unwrap_or(&[]), &mut Counts::default());
        rig.call(&log, Connection::keys_added);
    }
    log.complete();
    rig.closed(&log, Close::Finished, stamp(99));
    assert_eq!((rig.whole(UP), rig.whole(DOWN)), (REQUEST.to_vec(), ANSWER.to_vec()));
}

#[test]
fn without_end_nothing_waits_beyond_the_limit() {
    let limits = Limits { tls_pending_bytes: 10_000, tls_pending_bytes_total: 15_000, ..Limits::default() };
    let (mut rig, none) = (Rig::with(&limits), no_keys(false));
    let packets = exchange();
    feed(&mut rig, &none, &packets[..3]);
    let [.., mut client, mut server] = sealers();
    for n in 0..100 {
        rig.data(&none, UP, &client.seal(DATA, &[b'q'; 900], 0), stamp(10 + n));
        rig.data(&none, DOWN, &server.seal(DATA, &[b'a'; 900], 0), stamp(10 + n));
        assert!(rig.bench.held_bytes() <= 15_000);
    }
    rig.call(&keys(), Connection::keys_added);
    rig.closed(&keys(), Close::Finished, stamp(999));
    // What is left of each is its end, after a hole.
    for dir in [UP, DOWN] {
        let pieces = rig.pieces(dir);
        assert!(pieces.len() == 2 && pieces[0].is_empty() && pieces[1].len() % 900 == 0 && !pieces[1].is_empty(), "{:?}", rig.said);
    }
    assert!(rig.bench.counts.get(Count::TlsPendingLimit) > 100);
}

#[test]
fn a_hole_costs_the_records_it_touches() {
    let mut packets = exchange();
    let lost = packets.remove(5);
    let mut rig = Rig::new();
    feed(&mut rig, &keys(), &packets[..5]);
    rig.gap(&keys(), DOWN, Gap { len: Some(lost.1.len() as u64), cause: Cause::Lost }, stamp(6));
    rig.data(&keys(), DOWN, &packets[5].1, stamp(7));
    // A record that ends what is there is opened without waiting for another one.
    assert_eq!(rig.pieces(DOWN), [&b""[..], b"Content-Length: 0\r\n\r\n"]);
    assert_eq!(rig.said[1], Said::Gap(DOWN, Gap { len: None, cause: Cause::Lost }));
}

#[test]
fn a_hole_in_the_handshake_costs_no_plaintext() {
    let mut packets = exchange();
    let cut = packets[1].1.len() - 300;
    packets[1].1.truncate(cut);
    let mut rig = Rig::new();
    feed(&mut rig, &keys(), &packets[..2]);
    rig.gap(&keys(), DOWN, Gap { len: Some(300), cause: Cause::Lost }, stamp(2));
    feed(&mut rig, &keys(), &packets[2..]);
    assert_eq!((rig.whole(UP), rig.whole(DOWN)), (REQUEST.to_vec(), ANSWER.to_vec()));
}

#[test]
fn a_lost_server_hello_is_made_up_for() {
    let packets = exchange();
    let mut rig = Rig::new();
    rig.data(&keys(), UP, &packets[0].1, stamp(1));
    rig.gap(&keys(), DOWN, Gap { len: Some(packets[1].1.len() as u64), cause: Cause::Lost }, stamp(2));
    feed(&mut rig, &keys(), &packets[2..]);
    assert_eq!((rig.whole(UP), rig.whole(DOWN)), (REQUEST.to_vec(), ANSWER.to_vec()));
}

#[test]
fn key_updates_are_followed_and_lost_ones_found() {
    for lose in [false, true] {
        let [.., mut server] = sealers();
        let mut packets = exchange();
        packets.truncate(4);
        packets.push((DOWN, server.seal(DATA, b"one", 0)));
        packets.push((DOWN, server.seal(HANDSHAKE, &key_update(), 0)));
        let mut next = server.update();
        packets.push((DOWN, [next.seal(DATA, b"two", 0), next.seal(HANDSHAKE, &key_update(), 0)].concat()));
        packets.push((DOWN, next.update().seal(DATA, b"three", 0)));
        let mut rig = Rig::new();
        if lose {
            packets.remove(5);
            feed(&mut rig, &keys(), &packets[..5]);
            rig.gap(&keys(), DOWN, Gap { len: None, cause: Cause::Lost }, stamp(50));
            feed(&mut rig, &keys(), &packets[5..]);
            rig.closed(&keys(), Close::Finished, stamp(99));
            assert_eq!(rig.pieces(DOWN), [&b"one"[..], b"twothree"]);
        } else {
            feed(&mut rig, &keys(), &packets);
            assert_eq!(rig.whole(DOWN), b"onetwothree");
        }
    }
}

/// Early data, then the rest of a handshake in which the server takes it or does not.
fn early(accepted: bool) -> Vec<(Dir, Vec<u8>)> {
    let [mut early, mut client_hs, mut server_hs, mut client, mut server] = sealers();
    let mut packets = vec![
        (UP, [client_hello(true), early.seal(DATA, REQUEST, 0)].concat()),
        (DOWN, [server_hello(), server_hs.seal(HANDSHAKE, &server_flight(accepted), 0)].concat()),
        (DOWN, server.seal(DATA, b"HTTP/1.1 200 OK\r\n\r\n", 0)),
    ];
    if accepted {
        packets.push((UP, early.seal(HANDSHAKE, &end_of_early_data(), 0)));
    }
    packets.push((UP, [client_hs.seal(HANDSHAKE, &finished(), 0), client.seal(DATA, b"again", 0)].concat()));
    packets
}

#[test]
fn early_data_counts_when_it_is_accepted_and_comes_before_its_answer() {
    let rig = run(&early(true), &keys());
    assert_eq!(rig.said[0], Said::Data(UP, REQUEST.to_vec(), stamp(1)));
    assert!(matches!(rig.said[1], Said::Data(DOWN, ..)));
    assert_eq!(rig.whole(UP), [REQUEST, b"again"].concat());
    let rig = run(&early(false), &keys());
    assert_eq!(rig.whole(UP), b"again");
}

#[test]
fn early_data_that_cannot_be_read_is_a_hole_only_when_it_is_accepted() {
    let text = key_log_text();
    let without = capture::key_log(text.split_once('\n').unwrap().1.as_bytes());
    assert_eq!(run(&early(true), &without).pieces(UP), [&b""[..], b"again"]);
    assert_eq!(run(&early(false), &without).whole(UP), b"again");
}

#[test]
fn a_connection_open_before_the_capture_is_recovered() {
    let [.., mut client, mut server] = sealers();
    (client.seq, server.seq) = (3000, 1700);
    let mut log = no_keys(false);
    log.block(key_log_text().as_bytes(), &mut Counts::default());
    for n in 0..20u8 {
        let line = format!("SERVER_TRAFFIC_SECRET_0 {} {}\n", format!("{n:02x}").repeat(32), "77".repeat(if n % 2 == 0 { 32 } else { 48 }));
        log.block(line.as_bytes(), &mut Counts::default());
    }
    log.complete();
    let tail = &server.seal(DATA, &[b'-'; 400], 0)[100..];
    let mut rig = Rig::new();
    rig.data(&log, DOWN, tail, stamp(1));
    rig.data(&log, DOWN, &[server.seal(DATA, b"end of an answer", 0), server.seal(DATA, b", really", 0)].concat(), stamp(2));
    rig.data(&log, UP, &client.seal(DATA, REQUEST, 0), stamp(3));
    rig.data(&log, DOWN, &server.seal(DATA, ANSWER, 0), stamp(4));
    rig.closed(&log, Close::CaptureEnd, stamp(9));
    assert_eq!(rig.pieces(UP), [&b""[..], REQUEST]);
    assert_eq!(rig.pieces(DOWN), [&b""[..], &[b"end of an answer, really", ANSWER].concat()]);
    assert_eq!(rig.said[0], Said::Gap(DOWN, Gap { len: None, cause: Cause::Before }));
    assert_eq!((rig.facts().client, rig.facts().unsupported), (Some(UP), None));
}

#[test]
fn wrong_keys_give_nothing_and_cost_little() {
    let wrong = capture::key_log(key_log_text().replace("04040404", "ffffffff").replace("05050505", "eeeeeeee").as_bytes());
    let mut packets = exchange();
    let [.., mut client, mut server] = sealers();
    for _ in 0..200 {
        packets.push((UP, client.seal(DATA, &[b'x'; 300], 0)));
        packets.push((DOWN, server.seal(DATA, &[b'y'; 300], 0)));
    }
    let rig = run(&packets, &wrong);
    assert!(!rig.said.iter().any(|said| matches!(said, Said::Data(..))), "{:?}", rig.said);
    assert!(rig.bench.counts.get(Count::TlsOpaqueRecords) >= 400);
}

#[test]
fn a_client_that_leaves_with_an_encrypted_alert_has_failed() {
    let [_, mut client_hs, ..] = sealers();
    let mut packets = exchange();
    packets.truncate(2);
    let closed = run(&packets, &no_keys(true));
    assert_eq!(closed.facts().failed.as_deref(), Some("closed during the handshake"));
    packets.push((UP, client_hs.seal(ALERT, &[2, 48], 0)));
    assert_eq!(run(&packets, &no_keys(true)).facts().failed.as_deref(), Some("encrypted alert during the handshake"));
    assert_eq!(run(&packets, &keys()).facts().failed.as_deref(), Some("unknown_ca"));
    assert_eq!(run(&exchange(), &no_keys(true)).facts().failed, None);
}

#[test]
fn before_tls_1_3_a_connection_that_carries_data_did_not_fail_in_its_handshake() {
    let hello = [&[3, 3][..], &[7; 32], &[0, 0xc0, 0x2f, 0]].concat();
    let length = u8::try_from(hello.len()).unwrap();
    let mut packets = vec![
        (UP, client_hello(false)),
        (DOWN, [&[HANDSHAKE, 3, 3, 0, length + 4, 2, 0, 0, length][..], &hello, b"\x14\x03\x03\x00\x01\x01"].concat()),
    ];
    assert_eq!(run(&packets, &no_keys(true)).facts().failed.as_deref(), Some("closed during the handshake"));
    packets.push((UP, [&[DATA, 3, 3, 0, 32][..], &[9; 32]].concat()));
    assert_eq!(run(&packets, &no_keys(true)).facts().failed, None);
}

#[test]
fn lengths_and_types_beyond_the_rules_are_passed_over() {
    for junk in [
        &b"\x17\x03\x03\xff\xff"[..],
        b"\x17\x09\x03\x00\x05hello",
        b"\x16\x03\x03\x00\x00",
        b"\x17\x03\x03\x00\x03abc",
        b"\x63\x03\x03\x00\x01a",
    ] {
        let mut packets = exchange();
        let front = packets[5].1.clone();
        packets[5].1 = [junk, &front].concat();
        packets[6].1.extend_from_slice(junk);
        let rig = run(&packets, &keys());
        assert_eq!(rig.pieces(DOWN).concat(), ANSWER, "{junk:?} {:?}", rig.said);
    }
}

#[test]
fn many_strange_secrets_do_not_slow_a_connection_down() {
    let mut log = KeyLog::new(&Limits::default());
    for n in 0..20_000u32 {
        let line = format!("CLIENT_TRAFFIC_SECRET_0 {n:064x} {n:064x}\n");
        log.block(line.as_bytes(), &mut Counts::default());
    }
    log.block(key_log_text().as_bytes(), &mut Counts::default());
    assert_eq!(run(&exchange(), &log).whole(UP), REQUEST);
}

#[test]
fn made_connections_are_sniffed() {
    let packets = exchange();
    assert_eq!([0, 1, 3].map(|n: usize| crate::tls::sniff(&packets[n].1)), [Probe::Hello, Probe::Hello, Probe::Records]);
    assert_eq!(RANDOM.len(), 32);
}

/// What a test does to a stream: packets cut anew, and some of them lost.
fn mangled(packets: &[(Dir, Vec<u8>)], cuts: &[usize], lost: &[bool]) -> Vec<(Dir, Vec<u8>, Stamp, bool)> {
    let mut out = Vec::new();
    let mut cuts = cuts.iter().cycle();
    for (((dir, bytes), n), lost) in packets.iter().zip(1..).zip(lost.iter().chain(std::iter::repeat(&false))) {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            out.push((*dir, now.to_vec(), stamp(n), *lost));
            rest = later;
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn cuts_change_nothing(cuts in prop::collection::vec(1usize..400, 1..20), lost in prop::collection::vec(prop::bool::weighted(0.2), 0..12)) {
        let keys = keys();
        let mut all = Vec::new();
        for cuts in [&cuts[..], &[100_000]] {
            let mut rig = Rig::new();
            let mut hole: [u64; 2] = [0; 2];
            for (dir, bytes, at, lost) in mangled(&exchange(), cuts, &lost) {
                let missing = &mut hole[dir.index()];
                if lost {
                    *missing += bytes.len() as u64;
                    continue;
                }
                if *missing > 0 {
                    rig.gap(&keys, dir, Gap { len: Some(std::mem::take(missing)), cause: Cause::Lost }, at);
                }
                rig.data(&keys, dir, &bytes, at);
            }
            rig.closed(&keys, Close::CaptureEnd, stamp(99));
            prop_assert_eq!(rig.bench.held_bytes(), 0);
            let [up, down] = [rig.pieces(UP), rig.pieces(DOWN)];
            // Never a wrong byte: the pieces are parts of the truth, in order.
            for (pieces, truth) in [(&up, REQUEST), (&down, ANSWER)] {
                let mut from = 0;
                for piece in pieces {
                    let found = truth[from..].windows(piece.len().max(1)).position(|part| part == &piece[..]);
                    prop_assert!(piece.is_empty() || found.is_some(), "{:?}", rig.said);
                    from += found.unwrap_or(0) + piece.len();
                }
            }
            all.push((up, down, rig.facts()));
        }
        prop_assert_eq!(&all[0], &all[1]);
    }

    #[test]
    fn nothing_panics(packets in prop::collection::vec((any::<bool>(), 0u8..6, prop::collection::vec(any::<u8>(), 0..120)), 0..40), with in any::<bool>()) {
        let log = if with { keys() } else { no_keys(false) };
        let (mut rig, mut real) = (Rig::new(), exchange().into_iter());
        for ((up, what, bytes), n) in packets.into_iter().zip(1..) {
            let dir = if up { UP } else { DOWN };
            match what {
                0 => rig.gap(&log, dir, Gap { len: bytes.first().map(|len| u64::from(*len)), cause: Cause::Lost }, stamp(n)),
                1 => rig.data(&log, dir, &bytes, stamp(n)),
                2 => {
                    let kind = 20 + bytes.first().copied().unwrap_or(0) % 5;
                    let len = u8::try_from(bytes.len()).unwrap();
                    rig.data(&log, dir, &[&[kind, 3, 3, 0, len][..], &bytes].concat(), stamp(n));
                }
                3 if n % 7 == 0 => rig.finished(&log, dir, stamp(n)),
                _ => {
                    let Some((dir, mut whole)) = real.next() else { continue };
                    if let Some((place, byte)) = bytes.first().zip(bytes.get(1)).filter(|(place, _)| **place < 60) {
                        let place = usize::from(*place) % whole.len();
                        whole[place] ^= byte;
                    }
                    rig.data(&log, dir, &whole, stamp(n));
                }
            }
        }
        rig.closed(&log, Close::Finished, stamp(999));
        rig.call(&log, Connection::give_up);
        prop_assert_eq!(rig.bench.held_bytes(), 0);
        prop_assert!(matches!(rig.said.last(), Some(Said::Closed(_))));
    }

    #[test]
    fn arbitrary_bytes_are_sniffed_and_read(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        crate::tls::sniff(&bytes);
        let mut rig = Rig::new();
        rig.data(&keys(), UP, &bytes, stamp(1));
        rig.closed(&keys(), Close::Finished, stamp(2));
        prop_assert!(!rig.said.iter().any(|said| matches!(said, Said::Data(..))));
    }
}
