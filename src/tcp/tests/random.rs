//! Whatever order, loss and repetition do to a stream, what comes out is the stream, or the stream with its holes.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Bytes that tell their own place.
fn stream(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 31 + n / 251) as u8).collect()
}

/// Cuts `0..len` at sizes taken from `sizes` in turn.
fn pieces(len: usize, sizes: &[usize]) -> Vec<(usize, usize)> {
    let mut sizes = sizes.iter().copied().cycle();
    let mut start = 0;
    std::iter::from_fn(|| {
        let end = (start + sizes.next()?).min(len);
        (start < len).then(|| (std::mem::replace(&mut start, end), end))
    })
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn order_repetition_and_overlap_change_nothing(
        len in 1usize..2000,
        sizes in vec(1usize..150, 1..20),
        zero in prop_oneof![any::<u32>(), Just(u32::MAX - 500)],
        again in vec((0usize..2000, 1usize..300), 0..10),
        places in vec(0usize..8, 1..50),
    ) {
        let bytes = stream(len);
        let mut sent = pieces(len, &sizes);
        for (start, size) in again {
            let start = start % len;
            // Sent again when it was sent once, give or take the window.
            let place = sent.iter().position(|(_, end)| *end > start).unwrap_or(0);
            sent.insert(place, (start, (start + size).min(len)));
        }
        let mut order: Vec<_> = sent.iter().zip(places.iter().cycle()).enumerate().map(|(n, (piece, late))| (n + late, *piece)).collect();
        order.sort_by_key(|(place, _)| *place);

        let mut lab = Lab::open_at(zero, 77);
        let mut first = vec![0; len];
        let mut high = 0;
        for (_, (start, end)) in order {
            lab.a(start as i64, 0, &bytes[start..end]);
            first[start..end].iter_mut().filter(|ord| **ord == 0).for_each(|ord| *ord = lab.ord);
            high = high.max(end);
            if lab.ord.is_multiple_of(3) {
                lab.b(0, high as i64, b"");
            }
        }
        lab.send(0, FIN, len as i64, 0, b"");
        let mut got = Vec::new();
        let mut stamps = Vec::new();
        for (_, said) in &lab.log.lines {
            match said {
                Said::Data(Dir::AtoB, bytes, at) => {
                    got.extend_from_slice(bytes);
                    stamps.extend(std::iter::repeat_n(at.ord, bytes.len()));
                }
                other => prop_assert_eq!(other, &Said::Finished(Dir::AtoB)),
            }
        }
        prop_assert!(got == bytes);
        prop_assert_eq!(stamps, first);
        prop_assert_eq!((lab.table.held_bytes(), lab.count(Count::OverlapConflicts)), (0, 0));
    }

    #[test]
    fn what_is_missing_is_said_exactly(
        len in 1usize..3000,
        sizes in vec(1usize..150, 1..20),
        zero in prop_oneof![any::<u32>(), Just(u32::MAX - 500)],
        missing in vec(prop::bool::weighted(0.2), 1..60),
        swap in vec(any::<bool>(), 1..60),
        acks in any::<bool>(),
    ) {
        let bytes = stream(len);
        let mut seen: Vec<_> = pieces(len, &sizes).into_iter().zip(missing.iter().cycle()).filter(|(_, missing)| !**missing).map(|(piece, _)| piece).collect();
        let mut here = vec![false; len];
        seen.iter().for_each(|(start, end)| here[*start..*end].fill(true));
        for (n, swap) in (0..seen.len().saturating_sub(1)).step_by(2).zip(swap.iter().cycle()) {
            if *swap {
                seen.swap(n, n + 1);
            }
        }
        let mut lab = Lab::open_at(zero, 77);
        let mut high = 0;
        for (start, end) in seen {
            lab.a(start as i64, 0, &bytes[start..end]);
            high = high.max(end as i64);
            if acks {
                lab.b(0, high, b"");
            }
        }
        lab.send(0, FIN, len as i64, 0, b"");
        lab.b(0, len as i64 + 1, b"");
        // What was acknowledged while an earlier hole was waited for has its own moment after that.
        lab.pass(200);
        lab.pass(200);

        // Each byte of the stream, or its absence; and each hole said once.
        let mut got = Vec::new();
        let mut holes = 0;
        for (_, said) in &lab.log.lines {
            match said {
                Said::Data(Dir::AtoB, bytes, _) => got.extend(bytes.iter().map(|byte| Some(*byte))),
                Said::Gap(Dir::AtoB, Some(len), Cause::Lost, _) => {
                    got.extend(std::iter::repeat_n(None, *len as usize));
                    holes += 1;
                }
                other => prop_assert_eq!(other, &Said::Finished(Dir::AtoB)),
            }
        }
        let want: Vec<_> = bytes.iter().zip(&here).map(|(byte, here)| here.then_some(*byte)).collect();
        prop_assert!(got == want);
        let runs = here.chunk_by(|a, b| a == b).filter(|run| !run[0]).count();
        prop_assert_eq!(holes, runs);
        prop_assert_eq!(lab.log.lines.last().map(|(_, said)| said.clone()), Some(Said::Finished(Dir::AtoB)));
        prop_assert_eq!((lab.table.held_bytes(), lab.table.held_since()), (0, None));
    }

    #[test]
    fn anything_may_come(steps in vec(step(), 1..300)) {
        let limits = Limits {
            connections: 3, reorder_bytes: 300, reorder_segments: 6, reorder_bytes_total: 900, closed_connections: 2, aliases: 2, ..Limits::default()
        };
        let mut lab = Lab { limits, ..Lab::new() };
        for step in steps {
            step.play(&mut lab);
            prop_assert!(lab.table.open() <= 3);
            prop_assert!(lab.table.held_bytes() <= 900);
        }
        lab.finish();
        prop_assert_eq!((lab.table.held_bytes(), lab.table.held_since(), lab.table.open()), (0, None, 0));
        contract(&lab)?;
    }

    #[test]
    fn how_often_time_is_told_changes_nothing(steps in vec(step(), 1..200), every in 2usize..20) {
        let run = |every: usize| {
            let mut lab = Lab::new();
            for (n, step) in steps.iter().enumerate() {
                // A tie means whichever connection is open at that moment.
                let step = Step { wait: step.wait.abs(), tie: false, ..step.clone() };
                step.play(&mut lab);
                if n % every == 0 {
                    lab.pass(0);
                }
            }
            lab.pass(10_000_000);
            let mut by_conn: BTreeMap<ConnId, Vec<Said>> = BTreeMap::new();
            for (id, said) in lab.log.lines {
                by_conn.entry(id).or_default().push(said);
            }
            by_conn
        };
        let (often, seldom) = (run(1), run(every));
        let differ = often.iter().find(|(id, said)| seldom.get(id) != Some(said));
        prop_assert_eq!(differ, differ.and_then(|(id, _)| seldom.get_key_value(id)));
        prop_assert_eq!(often.len(), seldom.len());
    }
}

/// A segment of few connections, near the places that matter or anywhere, after some time.
#[derive(Clone, Debug)]
struct Step {
    port: u16,
    side: usize,
    flags: u8,
    seq: i64,
    ack: i64,
    len: usize,
    cut: u32,
    wait: i64,
    tie: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let place = || prop_oneof![10 => -3i64..200, 1 => any::<i32>().prop_map(i64::from), 2 => (-2i64..4).prop_map(|n| n << 19)];
    let flags = prop_oneof![8 => Just(ACK), 2 => Just(SYN), 1 => Just(SYN | ACK), 2 => Just(FIN), 1 => Just(RST), 1 => any::<u8>()];
    let len = prop_oneof![2 => Just(0usize), 4 => 1usize..60, 1 => 0usize..2000];
    let cut = prop_oneof![6 => Just(0u32), 1 => 0u32..50, 1 => any::<u32>()];
    let wait = prop_oneof![8 => 0i64..20, 2 => 0i64..1000, 1 => -500i64..8_000_000];
    (0u16..5, 0usize..2, flags, place(), place(), len, cut, wait, prop::bool::weighted(0.05))
        .prop_map(|(port, side, flags, seq, ack, len, cut, wait, tie)| Step { port, side, flags, seq, ack, len, cut, wait, tie })
}

impl Step {
    fn play(&self, lab: &mut Lab) {
        lab.now += self.wait * MS;
        lab.client = Addr::v4([10, 0, 0, 8], self.port);
        if self.tie {
            let other = Addr::v4([10, 0, 0, 8], (self.port + 1) % 5);
            lab.table.tie((lab.client, lab.server), (other, lab.server), &lab.limits);
        }
        lab.send_cut(self.side, self.flags, self.seq, self.ack, &stream(self.len), self.cut);
    }
}

/// What every receiver may rely on.
fn contract(lab: &Lab) -> Result<(), TestCaseError> {
    let mut open: BTreeMap<ConnId, [bool; 2]> = BTreeMap::new();
    let mut over = Vec::new();
    for (id, said) in &lab.log.lines {
        match said {
            Said::Opened => {
                prop_assert!(!over.contains(id));
                prop_assert!(open.insert(*id, [false; 2]).is_none());
            }
            Said::Data(dir, ..) | Said::Gap(dir, ..) | Said::Finished(dir) => {
                let finished = open.get_mut(id).map(|finished| &mut finished[dir.index()]);
                prop_assert_eq!(finished.as_deref(), Some(&false));
                if let (Said::Finished(_), Some(finished)) = (said, finished) {
                    *finished = true;
                }
                prop_assert!(!matches!(said, Said::Data(_, bytes, _) if bytes.is_empty()));
                prop_assert!(!matches!(said, Said::Gap(_, Some(0), ..)));
            }
            Said::Closed(..) => {
                prop_assert!(open.remove(id).is_some());
                over.push(*id);
            }
        }
    }
    prop_assert!(open.is_empty());
    let mut slots = BTreeMap::new();
    for conn in &lab.log.conns {
        match slots.get(&conn.slot) {
            None => drop(slots.insert(conn.slot, conn.id)),
            Some(id) => {
                prop_assert_eq!(*id, conn.id);
                slots.remove(&conn.slot);
            }
        }
    }
    prop_assert!(slots.is_empty());
    Ok(())
}
