//! How connections end.

use super::*;

#[test]
fn two_fins_close() {
    let mut lab = Lab::open();
    lab.a(0, 0, b"ask");
    lab.send(0, FIN, 3, 0, b"");
    lab.b(0, 4, b"answer");
    lab.send(1, FIN, 6, 4, b"!");
    assert_eq!(lab.said(), "a:ask | a. | b:answer | b:! | b. | closed Finished");
    assert_eq!(lab.table.open(), 0);
    // Stragglers.
    lab.a(4, 8, b"");
    lab.send(1, FIN, 6, 4, b"!");
    lab.a(0, 0, b"ask");
    lab.send(0, RST, 4, 0, b"");
    lab.send(0, SYN, -1, 0, b"");
    assert_eq!(lab.said(), "");
    assert_eq!((lab.count(Count::Strays), lab.count(Count::Connections)), (5, 1));
}

#[test]
fn both_may_close_at_once() {
    let mut lab = Lab::open();
    lab.send(0, FIN, 0, 0, b"");
    lab.send(1, FIN, 0, 0, b"");
    lab.a(1, 1, b"");
    lab.b(1, 1, b"");
    assert_eq!(lab.said(), "a. | b. | closed Finished");
}

#[test]
fn half_closed_goes_on() {
    let mut lab = Lab::open();
    lab.send(0, FIN, 0, 0, b"");
    for n in 0..100 {
        lab.b(n, 1, b".");
        lab.a(1, n + 1, b"");
    }
    lab.send(0, FIN, 0, 100, b"");
    lab.a(1, 100, b"after the end");
    lab.send(1, FIN, 100, 1, b"");
    assert_eq!(lab.said(), format!("a.{} | b. | closed Finished", " | b:.".repeat(100)));
    assert_eq!((lab.count(Count::OutOfWindow), lab.count(Count::Gaps)), (1, 0));
}

#[test]
fn a_fin_waits_for_the_bytes_before_it() {
    let mut lab = Lab::open();
    lab.send(0, FIN, 3, 0, b"def");
    lab.send(1, FIN, 0, 0, b"");
    assert_eq!(lab.said(), "b.");
    lab.a(6, 1, b"past the end");
    lab.a(0, 1, b"abc");
    assert_eq!(lab.said(), "a:abc | a:def | a. | closed Finished");

    let mut lab = Lab::open();
    lab.send(0, FIN, 3, 0, b"");
    lab.send(1, FIN, 0, 4, b"");
    lab.pass(200);
    assert_eq!(lab.said(), "b. | a?3 lost | a. | closed Finished");
}

#[test]
fn a_number_that_may_be_a_byte_or_a_fin_is_not_guessed() {
    let mut lab = Lab::open();
    lab.b(0, 1, b"");
    lab.pass(10_000);
    assert_eq!(lab.said(), "");
    lab.send(1, FIN, 0, 1, b"");
    lab.a(1, 1, b"");
    lab.pass(240_000);
    assert_eq!(lab.said(), "b. | a?some lost | closed Idle");

    let mut lab = Lab::open();
    lab.b(0, 1, b"");
    lab.a(1, 0, b"x");
    lab.pass(2000);
    assert_eq!(lab.said(), "a?1 lost | a:x", "nothing follows a FIN: it was a byte");

    let mut lab = Lab::open();
    lab.b(0, 1, b"");
    lab.pass(2000);
    lab.send(0, FIN, 0, 0, b"");
    assert_eq!(lab.said(), "a.", "it was a FIN, here it is again");

    let mut lab = Lab::open();
    lab.b(0, 11, b"");
    lab.pass(2000);
    lab.send(0, FIN, 10, 0, b"");
    assert_eq!(lab.said(), "a?11 lost | a.", "the last number of the hole was the FIN's");
}

#[test]
fn an_rst_closes() {
    let mut lab = Lab::open();
    lab.a(0, 0, b"ask");
    lab.send(1, RST | ACK, 0, 3, b"");
    assert_eq!(lab.said(), "a:ask | closed Reset(BtoA)");
    lab.a(3, 0, b"in flight");
    lab.send(1, RST, 0, 0, b"");
    assert_eq!(lab.said(), "");

    let mut lab = Lab::open();
    lab.send(0, FIN, 0, 0, b"");
    lab.send(0, RST, 1, 0, b"");
    assert_eq!(lab.said(), "a. | closed Reset(AtoB)");
}

#[test]
fn an_rst_from_far_away_is_noise() {
    let mut lab = Lab::open();
    lab.a(0, 0, b"ask");
    lab.send(1, RST, 3 << 20, 0, b"");
    lab.send(0, RST, -(2 << 20), 0, b"");
    lab.b(0, 3, b"answer");
    assert_eq!(lab.said(), "a:ask | b:answer");
    assert_eq!(lab.count(Count::OutOfWindow), 2);
}

#[test]
fn an_rst_waits_for_bytes_captured_late_and_vouches_for_those_before_it() {
    let mut lab = Lab::open();
    lab.send(0, RST, 6, 0, b"");
    lab.a(0, 0, b"abc");
    assert_eq!(lab.said(), "a:abc");
    lab.a(3, 0, b"def");
    assert_eq!(lab.said(), "a:def | closed Reset(AtoB)");

    let mut lab = Lab::open();
    lab.a(3, 0, b"def");
    lab.send(0, RST, 16, 0, b"");
    assert_eq!(lab.said(), "");
    lab.pass(200);
    assert_eq!(lab.said(), "a?3 lost | a:def | a?10 lost | closed Reset(AtoB)");
}

#[test]
fn who_goes_on_after_an_rst_was_not_reset() {
    let mut lab = Lab::open();
    lab.b(0, 0, b"one");
    lab.send(1, RST, 3, 0, b"");
    lab.b(3, 0, b"two");
    assert_eq!(lab.said(), "b:one | closed Reset(BtoA) | open | a?some before-capture | a:two");
}

#[test]
fn an_rst_on_a_connection_seen_from_its_middle_counts_if_its_ack_fits() {
    let mut lab = Lab::new();
    lab.a(0, 0, b"ask");
    lab.send(1, RST | ACK, 0, 3 << 20, b"");
    assert_eq!(lab.said(), "open | a?some before-capture | a:ask");
    lab.send(1, RST | ACK, 0, 3, b"");
    assert_eq!(lab.said(), "closed Reset(BtoA)");
}

#[test]
fn silence_ends_a_connection_and_speech_begins_another() {
    let mut lab = Lab::open();
    lab.a(0, 0, b"ask");
    lab.pass(7_439_999);
    assert_eq!(lab.said(), "a:ask");
    lab.pass(1);
    assert_eq!(lab.said(), "closed Idle");
    lab.b(0, 3, b"answer");
    assert_eq!(lab.said(), "open | a?some before-capture | a:answer");
    // Also where nobody told the time.
    lab.now += 7_440_000 * MS;
    lab.b(6, 3, b"again");
    assert_eq!(lab.said(), "closed Idle | open | a?some before-capture | a:again");
}

#[test]
fn closing_connections_are_waited_for_less() {
    let mut lab = Lab::open();
    lab.send(0, FIN, 0, 0, b"");
    lab.pass(239_999);
    assert_eq!(lab.said(), "a.");
    lab.pass(1);
    assert_eq!(lab.said(), "closed Idle");
    let Some((_, Said::Closed(_, at))) = lab.log.lines.last().cloned() else { return };
    assert_eq!(at.ts, Ts(lab.now));
}

#[test]
fn the_same_ports_again_after_the_end_are_a_new_connection() {
    let mut lab = Lab::open();
    lab.send(0, FIN, 0, 0, b"");
    lab.send(1, FIN, 0, 1, b"");
    lab.zero = [70_001, 80_001];
    lab.handshake();
    lab.a(0, 0, b"second");
    assert_eq!(lab.said(), "a. | b. | closed Finished | open | a:second");

    // Without a SYN, but far from where the old one was.
    lab.send(0, FIN, 6, 0, b"");
    lab.send(1, FIN, 0, 7, b"");
    lab.zero = [900_000_001, 800_000_001];
    lab.a(0, 0, b"third");
    assert_eq!(lab.said(), "a. | b. | closed Finished | open | a?some before-capture | a:third");
}

#[test]
fn after_a_minute_nobody_remembers() {
    let mut lab = Lab::open();
    lab.send(0, FIN, 0, 0, b"");
    lab.send(1, FIN, 0, 1, b"");
    lab.pass(59_000);
    lab.a(0, 1, b"late");
    assert_eq!(lab.said(), "a. | b. | closed Finished");
    lab.pass(2000);
    lab.a(0, 1, b"late");
    assert_eq!(lab.said(), "open | a?some before-capture | a:late");
}

#[test]
fn the_end_of_the_capture_closes_all_in_the_order_in_which_they_began() {
    let mut lab = Lab::new();
    for port in [5, 3, 9, 1] {
        lab.client = Addr::v4([10, 0, 0, 7], port);
        lab.handshake();
    }
    // A slot that was used before.
    lab.send(0, RST, 0, 0, b"");
    lab.client = Addr::v4([10, 0, 0, 7], 5);
    lab.send(0, RST, 0, 0, b"");
    lab.client = Addr::v4([10, 0, 0, 7], 77);
    lab.handshake();
    lab.log.lines.clear();
    lab.finish();
    let order: Vec<_> = lab.log.lines.iter().map(|(id, _)| id.0).collect();
    assert_eq!(order, [4, 7, 15]);
    assert!(lab.log.lines.iter().all(|(_, said)| matches!(said, Said::Closed(Close::CaptureEnd, _))));
}
