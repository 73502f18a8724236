//! Bytes that come twice, early, late, or across the end of the sequence numbers.

use super::*;

#[test]
fn early_segments_wait_and_keep_their_own_packet() {
    let mut lab = Lab::open();
    lab.a(3, 0, b"def");
    lab.a(6, 0, b"ghi");
    assert_eq!(lab.table.held_since(), Some(Ts(4 * MS)));
    lab.a(0, 0, b"abc");
    assert_eq!(lab.table.held_since(), None);
    let data: Vec<_> = lab.log.lines.iter().map(|(_, said)| said.clone()).collect();
    let at = |ord: u64| Stamp { ord, ts: Ts(ord as i64 * MS), frame: ord, file: 0 };
    let want = [(b"abc", 6), (b"def", 4), (b"ghi", 5)].map(|(bytes, ord)| Said::Data(Dir::AtoB, bytes.to_vec(), at(ord)));
    assert_eq!(data, want);
    assert_eq!((lab.count(Count::OutOfOrder), lab.table.held_bytes()), (2, 0));
}

#[test]
fn sequence_numbers_wrap() {
    let mut lab = Lab::open_at(u32::MAX - 2, u32::MAX);
    lab.a(0, 0, b"abc");
    lab.a(5, 0, b"fgh");
    lab.a(3, 0, b"de");
    lab.b(0, 8, b"x");
    lab.b(1, 8, b"y");
    lab.send(0, FIN, 8, 2, b"");
    lab.send(1, FIN, 2, 9, b"");
    assert_eq!(lab.said(), "a:abc | a:de | a:fgh | b:x | b:y | a. | b. | closed Finished");
}

#[test]
fn bytes_seen_first_win() {
    let mut lab = Lab::open();
    lab.a(0, 0, b"abc");
    lab.a(0, 0, b"abc");
    lab.a(1, 0, b"XXdef");
    assert_eq!(lab.said(), "a:abc | a:def");
    assert_eq!((lab.count(Count::Retransmissions), lab.count(Count::OverlapConflicts)), (2, 0));
    lab.a(8, 0, b"ijk");
    lab.a(6, 0, b"ghIJKl");
    assert_eq!(lab.said(), "a:gh | a:ijk | a:l");
    assert_eq!((lab.count(Count::Retransmissions), lab.count(Count::OverlapConflicts)), (3, 1));
}

#[test]
fn keep_alive_probes_are_no_bytes() {
    let mut lab = Lab::open();
    lab.a(0, 0, b"ask");
    lab.b(0, 3, b"");
    for _ in 0..3 {
        lab.pass(60_000);
        lab.a(2, 0, b"\0");
        lab.b(0, 3, b"");
        lab.a(2, 0, b"");
        lab.b(0, 3, b"");
    }
    lab.a(3, 0, b"more");
    assert_eq!(lab.said(), "a:ask | a:more");
    assert_eq!(lab.count(Count::Retransmissions), 0);
}

#[test]
fn a_probe_does_not_fill_a_hole_with_a_made_up_byte() {
    let mut lab = Lab::open();
    lab.b(0, 3, b"");
    lab.pass(60_000);
    assert_eq!(lab.said(), "a?3 lost");
    lab.a(2, 0, b"\0");
    lab.a(3, 0, b"x");
    lab.b(0, 5, b"");
    lab.pass(60_000);
    lab.a(4, 0, b"\0");
    lab.a(5, 0, b"y");
    lab.b(0, 6, b"");
    lab.pass(60_000);
    assert_eq!(lab.said(), "a:x | a?1 lost | a:y");
}

#[test]
fn a_zero_window_probe_carries_a_true_byte() {
    let mut lab = Lab::open();
    lab.a(0, 0, b"full");
    lab.b(0, 4, b"");
    lab.a(4, 0, b"m");
    lab.b(0, 4, b"");
    lab.pass(5000);
    lab.a(4, 0, b"m");
    lab.b(0, 4, b"");
    lab.a(4, 0, b"more");
    lab.b(0, 8, b"");
    assert_eq!(lab.said(), "a:full | a:m | a:ore");
}

#[test]
fn noise_far_away_is_ignored() {
    let mut lab = Lab::open();
    lab.a(0, 0, b"a");
    lab.a(1 << 31, 0, b"noise");
    lab.b(0, 5 + (1 << 30), b"");
    lab.a(1, 0, b"b");
    lab.pass(60_000);
    assert_eq!(lab.said(), "a:a | a:b");
    assert_eq!(lab.count(Count::OutOfWindow), 2);
}

#[test]
fn two_connections_do_not_mix() {
    let mut lab = Lab::open();
    let first = lab.client;
    lab.client = Addr::v4([10, 0, 0, 8], 40_000);
    lab.handshake();
    for n in 0..3 {
        lab.client = first;
        lab.a(n, 0, b"1");
        lab.client = Addr::v4([10, 0, 0, 8], 40_000);
        lab.a(n, 0, b"2");
    }
    let of = |id| lab.log.lines.iter().filter(|(conn, said)| conn.0 == id && matches!(said, Said::Data(..))).count();
    assert_eq!((of(1), of(4)), (3, 3));
}
