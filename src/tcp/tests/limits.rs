//! A flood for each limit.

use super::*;

#[test]
fn reordered_bytes_of_one_direction_are_bounded() {
    let mut lab = Lab { limits: Limits { reorder_bytes: 100, ..Limits::default() }, ..Lab::open() };
    for n in 0..1000 {
        lab.a(n * 20 + 10, 0, b"ten bytes.");
        assert!(lab.table.held_bytes() <= 10 * (10 + 96));
    }
    assert!(lab.said().starts_with("a?10 lost | a:ten bytes. | a?10 lost"));
    assert_eq!((lab.count(Count::ReorderLimit), lab.count(Count::Gaps)), (990, 990));
}

#[test]
fn reordered_segments_of_one_direction_are_bounded() {
    let mut lab = Lab { limits: Limits { reorder_segments: 5, ..Limits::default() }, ..Lab::open() };
    for n in 0..1000 {
        lab.a(n * 2 + 1, 0, b"x");
        assert!(lab.table.held_bytes() <= 5 * 97);
    }
    // One that lies across many holes is cut into many.
    lab.a(1900, 0, &[b'y'; 300]);
    assert!(lab.table.held_bytes() <= 5 * 500);
    assert!(lab.count(Count::ReorderLimit) > 900);
}

#[test]
fn reordered_bytes_of_all_connections_are_bounded() {
    let mut lab = Lab { limits: Limits { reorder_bytes_total: 100_000, ..Limits::default() }, ..Lab::new() };
    for n in 0..2000u16 {
        lab.client = Addr::v4([10, 0, 0, 8], n);
        lab.handshake();
        lab.a(10, 0, &[b'x'; 400]);
        assert!(lab.table.held_bytes() <= 100_000);
    }
    assert!(lab.count(Count::ReorderLimit) > 1700);
    lab.finish();
    assert_eq!((lab.table.held_bytes(), lab.table.held_since()), (0, None));
}

#[test]
fn the_connection_longest_silent_makes_room() {
    let mut lab = Lab { limits: Limits { connections: 3, ..Limits::default() }, ..Lab::new() };
    for port in 1..=3 {
        lab.client = Addr::v4([10, 0, 0, 8], port);
        lab.handshake();
    }
    lab.client = Addr::v4([10, 0, 0, 8], 1);
    lab.a(3, 0, b"early");
    lab.log.lines.clear();
    for port in 4..=5 {
        lab.client = Addr::v4([10, 0, 0, 8], port);
        lab.handshake();
    }
    let gone: Vec<_> =
        lab.log.lines.iter().filter(|(_, said)| matches!(said, Said::Closed(Close::Evicted, _))).map(|(id, _)| id.0).collect();
    assert_eq!(gone, [4, 7], "the second and the third: the first spoke since");
    lab.said();
    for port in 6..1000 {
        lab.client = Addr::v4([10, 0, 0, 8], port);
        lab.send(0, SYN, -1, 0, b"");
        assert_eq!(lab.table.open(), 3);
    }
    assert!(lab.said().starts_with("a?3 limit | a:early | closed Evicted | open"));
    assert_eq!(lab.count(Count::Evicted), 996);
    assert!(lab.log.conns.iter().all(|conn| conn.slot < 3));
}

#[test]
fn closed_connections_are_forgotten_in_turn() {
    let mut lab = Lab { limits: Limits { closed_connections: 10, ..Limits::default() }, ..Lab::new() };
    for port in 0..10_000 {
        lab.client = Addr::v4([10, 0, 0, 8], port);
        lab.handshake();
        lab.a(0, 0, b"ask");
        lab.send(1, RST, 0, 0, b"");
        lab.log.lines.clear();
    }
    assert_eq!(lab.table.remembered(), 10);
    assert_eq!(lab.table.open(), 0);
    lab.a(0, 0, b"ask");
    assert_eq!(lab.said(), "");
    lab.client = Addr::v4([10, 0, 0, 8], 1);
    lab.a(0, 0, b"ask");
    assert_eq!(lab.said(), "open | a?some before-capture | a:ask");
}

#[test]
fn other_addresses_of_one_connection_are_bounded() {
    let mut lab = Lab::open();
    for n in 0..1000 {
        let other = Addr::v4([192, 0, 2, 1], n);
        lab.table.tie((lab.client, lab.server), (other, lab.server), &lab.limits);
    }
    lab.finish();
    assert_eq!(lab.log.conns[1].aliases.each_ref().map(Vec::len), [8, 0]);
    assert_eq!(lab.table.remembered(), 0);
}

#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<Option<super::super::flow::Flow>>() <= 256, "{}", size_of::<Option<super::super::flow::Flow>>());
}

#[test]
fn slots_are_used_again() {
    let mut lab = Lab::new();
    for n in 0..1000 {
        lab.client = Addr::v4([10, 0, 0, 8], n);
        lab.handshake();
        lab.send(0, FIN, 0, 0, b"");
        lab.send(1, FIN, 0, 1, b"");
    }
    assert!(lab.log.conns.iter().all(|conn| conn.slot == 0));
}
