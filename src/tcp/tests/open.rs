//! How connections begin.

use super::*;

#[test]
fn the_sender_of_the_syn_is_side_a() {
    let mut lab = Lab::new();
    lab.handshake();
    lab.b(0, 0, b"hello");
    assert_eq!(lab.said(), "open | b:hello");
    let conn = &lab.log.conns[0];
    assert_eq!((conn.a, conn.b, conn.opener_known, conn.id), (lab.client, lab.server, true, ConnId(1)));
    assert_eq!((lab.count(Count::Connections), lab.count(Count::MidConnections)), (1, 0));
}

#[test]
fn a_syn_ack_tells_who_opened_and_where_both_begin() {
    let mut lab = Lab::new();
    lab.send(1, SYN | ACK, -1, 0, b"");
    lab.a(3, 0, b"def");
    lab.a(0, 0, b"abc");
    assert_eq!(lab.said(), "open | a:abc | a:def");
    assert_eq!((lab.log.conns[0].a, lab.log.conns[0].opener_known), (lab.client, true));
}

#[test]
fn a_missing_syn_ack_is_made_up_for_by_the_first_ack() {
    let mut lab = Lab::new();
    lab.send(0, SYN, -1, 0, b"");
    lab.a(0, 0, b"ask");
    lab.b(3, 3, b"wer");
    lab.b(0, 3, b"ans");
    assert_eq!(lab.said(), "open | a:ask | b:ans | b:wer");
}

#[test]
fn an_unseen_beginning_of_one_direction_is_a_hole() {
    let mut lab = Lab::new();
    lab.send(0, SYN, -1, 0, b"");
    lab.a(10, 20, b"more");
    assert_eq!(lab.said(), "open");
    lab.b(20, 14, b"answer");
    assert_eq!(lab.said(), "");
    lab.pass(200);
    assert_eq!(lab.said(), "a?10 lost | a:more | b?some lost | b:answer");
}

#[test]
fn a_connection_seen_from_its_middle_says_so_in_each_direction() {
    let mut lab = Lab::new();
    lab.b(0, 0, b"rest");
    lab.a(0, 4, b"next");
    lab.a(4, 4, b"!!");
    assert_eq!(lab.said(), "open | a?some before-capture | a:rest | b?some before-capture | b:next | b:!!");
    let conn = &lab.log.conns[0];
    assert_eq!((conn.a, conn.opener_known), (lab.server, false));
    assert_eq!(lab.count(Count::MidConnections), 1);
    assert_eq!(lab.count(Count::Gaps), 0);
}

#[test]
fn a_guessed_beginning_gives_way_to_the_first_bytes() {
    let mut lab = Lab::new();
    lab.a(0, 30, b"ask");
    // The ACK that came with it was captured before these bytes.
    lab.b(10, 3, b"0123456789");
    lab.b(20, 3, b"0123456789");
    lab.b(30, 3, b"end");
    assert_eq!(lab.said(), "open | a?some before-capture | a:ask | b?some before-capture | b:0123456789 | b:0123456789 | b:end");
    lab.pass(60_000);
    assert_eq!(lab.said(), "");
}

#[test]
fn bytes_missing_right_after_the_middle_are_a_hole_of_known_length() {
    let mut lab = Lab::new();
    lab.a(0, 0, b"ask");
    lab.b(5, 3, b"wer");
    lab.a(3, 8, b"");
    lab.pass(200);
    assert_eq!(lab.said(), "open | a?some before-capture | a:ask | b?some before-capture | b?5 lost | b:wer");
}

#[test]
fn a_lone_byte_at_the_start_of_the_middle_may_be_a_probe() {
    let mut lab = Lab::new();
    lab.a(-1, 0, b"\0");
    lab.a(0, 0, b"ask");
    assert_eq!(lab.said(), "open | a?some before-capture | a:ask");
}

#[test]
fn a_syn_captured_late_is_no_new_connection() {
    let mut lab = Lab::new();
    lab.a(0, 0, b"ask");
    lab.send(1, SYN | ACK, -1, 0, b"");
    lab.send(0, SYN, -1, 0, b"");
    lab.b(0, 3, b"answer");
    assert_eq!(lab.said(), "open | a?some before-capture | a:ask | b:answer");
    lab.finish();
    assert!(lab.log.conns[1].opener_known);
}

#[test]
fn a_syn_seen_twice_is_one_connection() {
    let mut lab = Lab::new();
    lab.send(0, SYN, -1, 0, b"");
    lab.pass(1000);
    lab.send(0, SYN, -1, 0, b"");
    lab.send(1, SYN | ACK, -1, 0, b"");
    lab.send(1, SYN | ACK, -1, 0, b"");
    lab.a(0, 0, b"ask");
    lab.send(1, SYN | ACK, -1, 0, b"");
    lab.b(0, 3, b"answer");
    assert_eq!(lab.said(), "open | a:ask | b:answer");
    assert_eq!(lab.count(Count::Retransmissions), 3);
}

#[test]
fn data_on_a_syn_is_data() {
    let mut lab = Lab::new();
    lab.send(0, SYN, -1, 0, b"");
    let (src, dst, seq) = (lab.client, lab.server, lab.zero[0].wrapping_sub(1));
    lab.push(&Segment { src, dst, seq, ack: 0, flags: Flags(SYN), window: 0, payload: b"early", cut: 0 });
    lab.send(1, SYN | ACK, -1, 5, b"");
    lab.a(5, 0, b" bird");
    assert_eq!(lab.said(), "open | a:early | a: bird");
}

#[test]
fn both_sides_may_open_at_once() {
    let mut lab = Lab::new();
    lab.send(0, SYN, -1, 0, b"");
    lab.send(1, SYN, -1, 0, b"");
    lab.send(0, SYN | ACK, -1, 0, b"");
    lab.send(1, SYN | ACK, -1, 0, b"");
    lab.a(0, 0, b"x");
    lab.b(0, 1, b"y");
    assert_eq!(lab.said(), "open | a:x | b:y");
    assert_eq!(lab.log.conns[0].a, lab.client);
}

#[test]
fn a_syn_answered_with_rst_is_refused() {
    let mut lab = Lab::new();
    lab.send(0, SYN, -1, 0, b"");
    lab.send(1, RST | ACK, -5001, 77, b"");
    assert_eq!(lab.said(), "open");
    lab.send(1, RST | ACK, -5001, 0, b"");
    assert_eq!(lab.said(), "closed Refused");
    assert_eq!((lab.count(Count::Refused), lab.count(Count::OutOfWindow)), (1, 1));
    lab.send(1, RST | ACK, -5001, 0, b"");
    assert_eq!(lab.said(), "");
    // The same port again.
    lab.zero[0] += 1000;
    lab.handshake();
    assert_eq!(lab.said(), "open");
}

#[test]
fn a_syn_without_answer_is_unanswered() {
    let mut lab = Lab::new();
    lab.send(0, SYN, -1, 0, b"");
    lab.pass(1000);
    lab.send(0, SYN, -1, 0, b"");
    lab.pass(239_000);
    assert_eq!(lab.said(), "open");
    lab.pass(1000);
    assert_eq!(lab.said(), "closed Unanswered");

    let mut lab = Lab::new();
    lab.send(0, SYN, -1, 0, b"");
    lab.finish();
    assert_eq!(lab.said(), "open | closed CaptureEnd", "it had no time to be answered");
    let mut lab = Lab::new();
    lab.send(0, SYN, -1, 0, b"");
    lab.now += 1000 * MS;
    lab.finish();
    assert_eq!(lab.said(), "open | closed Unanswered");
}

#[test]
fn another_syn_is_another_connection() {
    let mut lab = Lab::open();
    lab.a(0, 0, b"old");
    lab.a(5, 0, b"late");
    lab.zero = [900_001, 800_001];
    lab.handshake();
    lab.a(0, 0, b"new");
    assert_eq!(lab.said(), "a:old | a?2 lost | a:late | closed Reused | open | a:new");
    assert_eq!(lab.count(Count::Connections), 2);
    let [first, .., last] = &lab.log.conns[..] else { panic!() };
    assert_eq!((first.slot, last.slot), (0, 0));
    assert_ne!(first.id, last.id);
}

#[test]
fn another_syn_ack_is_another_connection_too() {
    let mut lab = Lab::open();
    lab.a(0, 0, b"old");
    lab.b(0, 3, b"dlo");
    lab.zero = [900_001, 800_001];
    lab.send(1, SYN | ACK, -1, 0, b"");
    lab.a(0, 0, b"new");
    assert_eq!(lab.said(), "a:old | b:dlo | closed Reused | open | a:new");
}

#[test]
fn segments_that_never_fit_are_another_connection() {
    let mut lab = Lab::open();
    lab.a(0, 0, b"old");
    lab.zero[0] = lab.zero[0].wrapping_sub(1 << 30);
    for n in 0..3 {
        lab.a(n, 0, b"n");
    }
    assert_eq!(lab.said(), "a:old");
    assert_eq!(lab.count(Count::OutOfWindow), 3);
    lab.a(3, 0, b"new");
    assert_eq!(lab.said(), "closed Reused | open | a?some before-capture | a:new");
}

#[test]
fn what_cannot_begin_anything_opens_nothing() {
    let mut lab = Lab::new();
    lab.a(0, 0, b"");
    lab.b(0, 0, b"");
    lab.send(0, FIN, 0, 0, b"");
    lab.send(1, RST, 0, 0, b"text");
    assert_eq!(lab.said(), "");
    assert_eq!(lab.count(Count::Strays), 4);
}

#[test]
fn a_connection_seen_elsewhere_under_other_addresses_keeps_both() {
    let mut lab = Lab::open();
    let (client, server) = (lab.client, lab.server);
    let (inner_client, inner_server) = (Addr::v4([172, 30, 0, 1], 51_000), Addr::v4([172, 30, 0, 10], 4000));
    lab.a(0, 0, b"one");
    lab.table.tie((client, server), (client, inner_server), &lab.limits);
    lab.table.tie((server, client), (inner_server, inner_client), &lab.limits);
    lab.table.tie((server, client), (inner_server, inner_client), &lab.limits);
    // Only seen inside.
    (lab.client, lab.server) = (inner_client, inner_server);
    lab.a(3, 0, b"two");
    lab.b(0, 6, b"yes");
    assert_eq!(lab.said(), "a:one | a:two | b:yes");
    lab.send(0, FIN, 6, 3, b"");
    lab.send(1, FIN, 3, 7, b"");
    assert_eq!(lab.said(), "a. | b. | closed Finished");
    assert_eq!(lab.log.conns[1].aliases, [vec![inner_client], vec![inner_server]]);
    // The inner addresses are free again.
    lab.zero = [1, 1];
    lab.handshake();
    assert_eq!(lab.said(), "open");
}

#[test]
fn a_server_that_ends_a_connection_from_the_middle_without_a_word_has_said_nothing() {
    let mut lab = Lab::new();
    lab.a(0, 40, b"ask");
    lab.send(1, FIN | ACK, 40, 3, b"");
    lab.send(0, FIN | ACK, 3, 41, b"");
    assert_eq!(lab.said(), "open | a?some before-capture | a:ask | b. | a. | closed Finished");
}
