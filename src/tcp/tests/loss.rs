//! Holes: when they are given up, how long they are, and why.

use super::*;

#[test]
fn an_acknowledged_hole_is_given_up_after_a_moment() {
    let mut lab = Lab::open();
    lab.a(0, 0, b"abc");
    lab.a(6, 0, b"ghi");
    lab.b(0, 3, b"");
    lab.pass(1900);
    assert_eq!(lab.said(), "a:abc", "the receiver has not got it either");
    lab.b(0, 9, b"");
    lab.pass(198);
    assert_eq!(lab.said(), "");
    lab.pass(2);
    assert_eq!(lab.said(), "a?3 lost | a:ghi");
    assert_eq!((lab.count(Count::Gaps), lab.count(Count::GapBytes)), (1, 3));
    lab.a(3, 0, b"def");
    lab.a(9, 0, b"j");
    assert_eq!(lab.said(), "a:j", "what was said stands");
}

#[test]
fn it_is_given_up_after_some_packets_as_well() {
    let mut lab = Lab::open();
    lab.a(3, 0, b"def");
    lab.b(0, 6, b"");
    for n in 0..31 {
        lab.now -= MS;
        lab.b(n, 6, b".");
    }
    assert_eq!(lab.said(), "", "what was sent by one who had the bytes comes after them");
    lab.b(31, 6, b".");
    assert_eq!(lab.said(), format!("a?3 lost | a:def{}", " | b:.".repeat(32)));
}

#[test]
fn a_request_comes_after_the_answer_that_its_sender_had_even_if_that_was_lost() {
    let mut lab = Lab::open();
    lab.a(0, 0, b"one");
    lab.a(3, 5, b"two");
    assert_eq!(lab.said(), "a:one");
    lab.b(5, 6, b"answer to two");
    lab.pass(200);
    assert_eq!(lab.said(), "b?5 lost | a:two | b:answer to two");
}

#[test]
fn an_answer_captured_before_its_request_comes_after_it() {
    let mut lab = Lab::open();
    lab.b(0, 3, b"answer");
    lab.a(0, 0, b"ask");
    assert_eq!(lab.said(), "a:ask | b:answer");
}

#[test]
fn an_ack_captured_before_its_bytes_is_no_hole() {
    let mut lab = Lab::open();
    lab.b(0, 6, b"");
    lab.a(3, 0, b"def");
    lab.pass(100);
    lab.a(0, 0, b"abc");
    lab.pass(60_000);
    assert_eq!(lab.said(), "a:abc | a:def");
    assert_eq!(lab.count(Count::Gaps), 0);
}

#[test]
fn what_was_acknowledged_and_never_seen_is_a_hole_though_nothing_follows() {
    let mut lab = Lab::open();
    lab.a(0, 0, b"abc");
    lab.b(0, 100, b"");
    lab.pass(200);
    assert_eq!(lab.said(), "a:abc | a?97 lost");
    lab.a(100, 0, b"go on");
    assert_eq!(lab.said(), "a:go on");
}

#[test]
fn a_direction_that_is_not_captured_at_all_is_holes() {
    let mut lab = Lab::new();
    lab.a(0, 500, b"ask");
    lab.a(3, 500, b"");
    lab.a(3, 1500, b"");
    lab.pass(200);
    lab.a(3, 2500, b"ask");
    lab.pass(200);
    assert_eq!(lab.said(), "open | a?some before-capture | a:ask | b?some before-capture | b?1000 lost | b?1000 lost | a:ask");
}

#[test]
fn a_hole_that_nobody_can_acknowledge_is_given_up_in_time() {
    let mut lab = Lab::open();
    lab.a(3, 0, b"def");
    lab.pass(1999);
    assert_eq!(lab.said(), "");
    lab.pass(1);
    assert_eq!(lab.said(), "a?3 lost | a:def");
}

#[test]
fn a_hole_that_is_being_mended_is_waited_for() {
    let mut lab = Lab::open();
    lab.a(3, 0, b"def");
    lab.b(0, 0, b"");
    lab.pass(3000);
    lab.a(0, 0, b"abc");
    assert_eq!(lab.said(), "a:abc | a:def");
    lab.a(9, 0, b"jkl");
    lab.b(0, 6, b"");
    lab.pass(9_998);
    assert_eq!(lab.said(), "");
    lab.pass(1);
    assert_eq!(lab.said(), "a?3 lost | a:jkl", "but not for ever");
}

#[test]
fn several_holes_end_together_when_all_were_acknowledged() {
    let mut lab = Lab::open();
    for n in 0..4 {
        lab.a(n * 10 + 5, 0, b"bytes");
    }
    lab.b(0, 40, b"");
    lab.pass(200);
    assert_eq!(lab.said(), ["a?5 lost | a:bytes"; 4].join(" | "));
}

#[test]
fn time_alone_does_it_when_the_next_packet_is_the_clock() {
    let mut lab = Lab::open();
    lab.a(3, 0, b"def");
    lab.b(0, 6, b"");
    lab.now += 500 * MS;
    lab.a(6, 0, b"ghi");
    assert_eq!(lab.said(), "a?3 lost | a:def | a:ghi");
}

#[test]
fn events_do_not_depend_on_how_often_time_is_told() {
    let run = |ticks: i64| {
        let mut lab = Lab::open();
        lab.a(3, 0, b"def");
        lab.b(0, 6, b"");
        for _ in 0..ticks {
            lab.pass(1000 / ticks);
        }
        lab.now += (1000 - 1000 / ticks.max(1) * ticks) * MS;
        lab.a(6, 0, b"ghi");
        lab.log.lines
    };
    assert_eq!(run(0), run(1));
    assert_eq!(run(1), run(500));
}

#[test]
fn cut_bytes_are_a_hole_with_that_cause() {
    let mut lab = Lab::open();
    lab.send_cut(0, ACK, 0, 0, b"head", 96);
    assert_eq!(lab.said(), "a:head");
    lab.send_cut(0, ACK, 100, 0, b"tail", 6);
    assert_eq!(lab.said(), "a?96 cut | a:tail");
    lab.b(0, 110, b"ok");
    assert_eq!(lab.said(), "a?6 cut | b:ok");
    lab.send_cut(1, FIN, 2, 110, b"", 8);
    assert_eq!(lab.said(), "b?8 cut | b.");
    lab.send_cut(0, ACK, 110, 11, b"x", 1);
    lab.finish();
    assert_eq!(lab.said(), "a:x | a?1 cut | closed CaptureEnd");
}

#[test]
fn a_retransmission_may_fill_what_was_cut() {
    let mut lab = Lab::open();
    lab.send_cut(0, ACK, 0, 0, b"he", 4);
    lab.a(0, 0, b"head");
    lab.a(4, 0, b"er");
    lab.a(6, 0, b"!");
    assert_eq!(lab.said(), "a:he | a:ad | a:er | a:!");
    assert_eq!(lab.count(Count::Gaps), 0);
}

#[test]
fn cut_segments_may_come_early_too() {
    let mut lab = Lab::open();
    lab.send_cut(0, ACK, 10, 0, b"late", 6);
    lab.send_cut(0, ACK, 30, 0, b"", 5);
    lab.send_cut(0, ACK, 0, 0, b"soon", 6);
    assert_eq!(lab.said(), "a:soon | a?6 cut | a:late | a?6 cut");
    lab.b(0, 35, b"");
    lab.pass(200);
    assert_eq!(lab.said(), "a?10 lost | a?5 cut");
}

#[test]
fn at_the_end_of_the_capture_what_was_on_its_way_is_no_loss() {
    let mut lab = Lab::open();
    lab.a(3, 0, b"def");
    lab.b(3, 0, b"yes");
    lab.a(6, 6, b"");
    lab.finish();
    assert_eq!(lab.said(), "a?3 after-capture | a:def | b?3 lost | b:yes | closed CaptureEnd");
    assert_eq!((lab.table.held_since(), lab.table.held_bytes(), lab.table.open()), (None, 0, 0));
}

#[test]
fn the_watermark_follows_the_oldest_byte_held() {
    let mut lab = Lab::open();
    assert_eq!(lab.table.held_since(), None);
    lab.a(3, 0, b"d");
    lab.a(5, 0, b"f");
    lab.b(2, 0, b"z");
    assert_eq!(lab.table.held_since(), Some(Ts(4 * MS)));
    lab.a(0, 0, b"abc");
    assert_eq!(lab.table.held_since(), Some(Ts(5 * MS)));
    lab.a(4, 0, b"e");
    assert_eq!(lab.table.held_since(), Some(Ts(6 * MS)));
    lab.b(0, 0, b"xy");
    assert_eq!(lab.table.held_since(), None);
    lab.send(0, FIN, 8, 3, b"");
    assert_eq!(lab.table.held_since(), Some(Ts(10 * MS)), "a FIN is held as well");
}
