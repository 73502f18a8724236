//! The same bytes in any cuts say the same; no bytes, holes or ends panic or break the next room's contract.

use proptest::prelude::*;

use super::*;

/// Bytes of a valid conversation's direction, by dice.
fn conversation(dice: &[u8]) -> [Vec<u8>; 2] {
    let mut talk = Talk::new();
    let mut sides = [frame(SETTINGS, 0, 0, &[]), [&PREFACE[..], &frame(SETTINGS, 0, 0, &[])].concat()];
    for (turn, die) in dice.iter().enumerate() {
        let stream = 2 * turn as u32 + 1;
        let flags = die & END_STREAM;
        let ask = talk.asks(stream, flags, ["/", "/mcp", "/a?b=c", "/long/path"][usize::from(die >> 1 & 3)]);
        sides[1].extend(ask);
        if flags == 0 {
            sides[1].extend(data(PADDED | END_STREAM, stream, &[&[die >> 4], &vec![b'q'; usize::from(*die)][..]].concat()));
        }
        let status = ["200", "401", "202", "103"][usize::from(die >> 3 & 3)];
        sides[0].extend(talk.answers(stream, 0, status));
        sides[0].extend(frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0]));
        sides[0].extend(data(0, stream, &vec![b'r'; usize::from(die >> 2)]));
        match die >> 5 {
            0 => sides[0].extend(frame(RST_STREAM, 0, stream, &[0; 4])),
            1 => {
                let block = talk.block(SERVER, &[("grpc-status", "0")]);
                sides[0].extend(frame(HEADERS, END_STREAM, stream, &block[..1]));
                sides[0].extend(frame(CONTINUATION, END_HEADERS, stream, &block[1..]));
            }
            _ => sides[0].extend(data(END_STREAM, stream, b"")),
        }
    }
    sides
}

/// Feeds one direction whole and the other behind it, in pieces of the given lengths.
fn fed(connection: Connection, limits: &Limits, sides: &[Vec<u8>; 2], cuts: &[usize]) -> Vec<Call> {
    let mut talk = Talk::with(connection, limits.clone());
    for side in [1, 0] {
        let mut rest = sides[side].as_slice();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*cut).clamp(1, rest.len()));
            talk.feed(side == 1, piece);
            rest = after;
        }
        talk.finish(side == 1);
    }
    talk.close(Close::Finished)
}

/// What may happen to a connection.
#[derive(Clone, Debug)]
enum Step {
    Bytes(bool, Vec<u8>),
    Frame(bool, u8, u8, u32, Vec<u8>),
    Gap(bool, Option<u64>),
    Finish(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop::collection::vec(any::<u8>(), 0..60);
    let flags = prop_oneof![Just(END_HEADERS), Just(END_HEADERS | END_STREAM), any::<u8>()];
    prop_oneof![
        2 => (any::<bool>(), bytes.clone()).prop_map(|(side, bytes)| Step::Bytes(side, bytes)),
        12 => (any::<bool>(), 0..11u8, flags, 0..9u32, bytes).prop_map(|(side, kind, flags, id, bytes)| Step::Frame(side, kind, flags, id, bytes)),
        1 => (any::<bool>(), prop::option::of(0..40u64)).prop_map(|(side, len)| Step::Gap(side, len)),
        1 => any::<bool>().prop_map(Step::Finish),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cuts_do_not_matter(dice in prop::collection::vec(any::<u8>(), 1..8), cuts in prop::collection::vec(1..40usize, 1..20)) {
        let (limits, sides) = (Limits::default(), conversation(&dice));
        let whole = fed(Connection::prior_knowledge(&limits), &limits, &sides, &[usize::MAX]);
        prop_assert!(whole.len() >= 2 * dice.len());
        prop_assert_eq!(&whole, &fed(Connection::prior_knowledge(&limits), &limits, &sides, &cuts));
        prop_assert_eq!(&whole, &fed(Connection::prior_knowledge(&limits), &limits, &sides, &[1]));
    }

    #[test]
    fn cuts_do_not_matter_where_the_beginning_is_missing(
        dice in prop::collection::vec(any::<u8>(), 2..8),
        missing in any::<[prop::sample::Index; 2]>(),
        cuts in prop::collection::vec(1..40usize, 1..20),
    ) {
        let (limits, mut sides) = (Limits { h2_resync_bytes: 300, ..Limits::default() }, conversation(&dice));
        for (side, missing) in sides.iter_mut().zip(missing) {
            side.drain(..missing.index(side.len()));
        }
        let whole = fed(Connection::mid_stream(&limits), &limits, &sides, &[usize::MAX]);
        prop_assert_eq!(&whole, &fed(Connection::mid_stream(&limits), &limits, &sides, &cuts));
        prop_assert_eq!(&whole, &fed(Connection::mid_stream(&limits), &limits, &sides, &[1]));
    }

    #[test]
    fn random_bytes_and_limits_make_no_difference_to_cuts(
        sides in any::<[u8; 2]>().prop_flat_map(|_| [prop::collection::vec(any::<u8>(), 0..400), prop::collection::vec(any::<u8>(), 0..400)]),
        frames in prop::collection::vec((0..10u8, any::<u8>(), 0..6u32, prop::collection::vec(any::<u8>(), 0..300)), 0..12),
        cuts in prop::collection::vec(1..40usize, 1..20),
    ) {
        let limits = Limits { head_bytes: 20, head_lines: 4, h2_streams: 2, h2_table_bytes: 50, ..Limits::default() };
        let mut sides = [sides[0].clone(), sides[1].clone()];
        for (kind, flags, stream, payload) in &frames {
            for side in &mut sides {
                side.splice(0..0, frame(*kind, *flags, *stream, payload));
            }
        }
        sides[1].splice(0..0, *PREFACE);
        let whole = fed(Connection::prior_knowledge(&limits), &limits, &sides, &[usize::MAX]);
        prop_assert_eq!(&whole, &fed(Connection::prior_knowledge(&limits), &limits, &sides, &cuts));
    }

    #[test]
    fn nothing_panics_and_every_message_ends_once(steps in prop::collection::vec(step(), 0..80), late in any::<bool>()) {
        let limits = Limits { head_bytes: 200, head_lines: 8, h2_streams: 3, h2_table_bytes: 128, h2_resync_bytes: 100, ..Limits::default() };
        let connection = if late { Connection::mid_stream(&limits) } else { Connection::prior_knowledge(&limits) };
        let mut talk = Talk::with(connection, limits);
        if !late {
            talk.feed(CLIENT, PREFACE);
        }
        for step in steps {
            match step {
                Step::Bytes(side, bytes) => talk.feed(side, &bytes),
                Step::Frame(side, kind, flags, id, payload) => talk.feed(side, &frame(kind, flags, id, &payload)),
                Step::Gap(side, len) => talk.gap(side, len),
                Step::Finish(side) => talk.finish(side),
            }
        }
        talk.close(Close::CaptureEnd);
    }
}
