//! Which packet stream is that of a connection that was open before anybody watched? No hello shows it any more; the lengths of its
//! records do. What a process writes in one call leaves at once, as records that are longer than it by what its cipher adds.
//!
//! Nothing is guessed: several calls in a row must fit record by record, in time and without a record too many, one packet stream alone,
//! and that stream no other connection. Twins that speak in step fit each other's streams, and stay untied until they differ.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::base::{ConnId, Dir, PlainId, Ts};
use crate::tcp::Conn;

/// What was written lately, in calls and in records.
#[derive(Default)]
pub(super) struct Sizes {
    written: BTreeMap<PlainId, Written>,
    sealed: BTreeMap<ConnId, Sealed>,
    /// Connections that wrote since they were last looked at.
    fresh: BTreeSet<PlainId>,
}

/// Calls of one connection, the last of a row without a hole.
#[derive(Default)]
struct Written {
    calls: VecDeque<Call>,
    /// Place behind the last.
    next: u64,
    /// More than one stream fitted.
    ambiguous: bool,
}

struct Call {
    began: Ts,
    len: u64,
}

/// Records of a packet stream, of each direction.
struct Sealed {
    conn: Conn,
    records: [VecDeque<(Ts, u16)>; 2],
    last: Ts,
}

/// What came of a look.
pub(super) struct Found {
    pub(super) id: PlainId,
    pub(super) conn: Conn,
    /// The direction in which the process writes.
    pub(super) dir: Dir,
}

impl Sizes {
    /// A process handed over so many bytes, which stand at `off`. One call may come in pieces.
    pub(super) fn wrote(&mut self, id: PlainId, began: Ts, off: u64, len: u64) {
        let written = self.written.entry(id).or_default();
        if off != written.next {
            written.calls.clear();
        }
        written.next = off.saturating_add(len);
        match written.calls.back_mut().filter(|call| call.began == began) {
            Some(call) => call.len = call.len.saturating_add(len),
            None => written.calls.push_back(Call { began, len }),
        }
        if written.calls.len() > KEPT {
            written.calls.pop_front();
        }
        self.fresh.insert(id);
    }

    /// A sealed record was sent, with so many bytes behind its head.
    pub(super) fn sealed(&mut self, conn: &Conn, dir: Dir, len: u16, at: Ts) {
        if !self.sealed.contains_key(&conn.id) && self.sealed.len() >= STREAMS {
            let Some((_, oldest)) = self.sealed.iter().map(|(id, sealed)| (sealed.last, *id)).min() else { return };
            self.sealed.remove(&oldest);
        }
        let new = || Sealed { conn: conn.clone(), records: Default::default(), last: at };
        let sealed = self.sealed.entry(conn.id).or_insert_with(new);
        sealed.last = at;
        if let Some(records) = sealed.records.get_mut(dir.index()) {
            records.push_back((at, len));
            if records.len() > KEPT * 2 {
                records.pop_front();
            }
        }
    }

    /// Records may be missing.
    pub(super) fn holed(&mut self, conn: ConnId, dir: Dir) {
        if let Some(records) = self.sealed.get_mut(&conn).and_then(|sealed| sealed.records.get_mut(dir.index())) {
            records.clear();
        }
    }

    /// A packet stream is over, or known to be somebody's.
    pub(super) fn forget_stream(&mut self, conn: ConnId) {
        self.sealed.remove(&conn);
    }

    /// A connection is over, or its stream is known.
    pub(super) fn forget(&mut self, id: PlainId) {
        self.written.remove(&id);
        self.fresh.remove(&id);
    }

    /// Looks at those that wrote since the last look. Found ones are forgotten. `twins`: told of each that fits several for the first time.
    pub(super) fn look(&mut self, now: Ts, mut twins: impl FnMut()) -> Vec<Found> {
        let mut found = Vec::new();
        for id in std::mem::take(&mut self.fresh).into_iter().take(LOOKS) {
            let Some(written) = self.written.get(&id) else { continue };
            // The last call's records may still be on their way.
            if written.calls.back().is_some_and(|call| now.since(call.began) < SETTLE) {
                self.fresh.insert(id);
            }
            let Some((conn, dir)) =
                written.streams(&self.sealed, now).find(|(.., calls)| *calls >= ENOUGH).map(|(conn, dir, _)| (conn, dir))
            else {
                continue;
            };
            // One call that fits so far is enough to make another stream, or another connection, thinkable.
            let streams = written.streams(&self.sealed, now).count();
            let records = self.sealed.get(&conn).and_then(|sealed| sealed.records.get(dir.index()));
            let owners = records.map_or(0, |records| self.written.values().filter(|other| other.tiled(records, now) > 0).count());
            if streams > 1 || owners > 1 {
                if let Some(written) = self.written.get_mut(&id)
                    && !std::mem::replace(&mut written.ambiguous, true)
                {
                    twins();
                }
                continue;
            }
            if let Some(sealed) = self.sealed.remove(&conn) {
                self.forget(id);
                found.push(Found { id, conn: sealed.conn, dir });
            }
        }
        found
    }
}

impl Written {
    /// Streams whose records may be those of these calls, and so many of the calls.
    fn streams(&self, all: &BTreeMap<ConnId, Sealed>, now: Ts) -> impl Iterator<Item = (ConnId, Dir, usize)> {
        let since = self.calls.front().map_or(Ts::MAX, |call| call.began);
        let heard = all.iter().filter(move |(_, sealed)| sealed.last.since(since) >= -EARLY);
        heard.flat_map(move |(id, sealed)| {
            let both = [Dir::AtoB, Dir::BtoA].into_iter().zip(&sealed.records);
            both.map(move |(dir, records)| (*id, dir, self.tiled(records, now))).filter(|(.., calls)| *calls > 0)
        })
    }

    /// So many calls are followed by exactly their records, whatever the cipher. 0: a record lacks, or is one too many.
    fn tiled(&self, records: &VecDeque<(Ts, u16)>, now: Ts) -> usize {
        ADDED.iter().map(|added| self.tiled_with(records, *added, now)).max().unwrap_or(0)
    }

    fn tiled_with(&self, records: &VecDeque<(Ts, u16)>, added: u64, now: Ts) -> usize {
        let Some(first) = self.calls.front() else { return 0 };
        let mut records = records.iter().filter(|(at, _)| at.since(first.began) >= -EARLY).peekable();
        let mut whole = 0;
        for call in &self.calls {
            let mut left = call.len;
            while left > 0 {
                let Some((at, len)) = records.next() else {
                    // What has not been sent yet proves nothing.
                    return if now.since(call.began) > LATE { 0 } else { whole };
                };
                let plain = u64::from(*len).saturating_sub(added);
                let late = at.since(call.began);
                if plain == 0 || plain > left || !(-EARLY..=LATE).contains(&late) {
                    return 0;
                }
                left -= plain;
            }
            whole += 1;
        }
        if records.peek().is_some() { 0 } else { whole }
    }
}

/// What ciphers add to each record: TLS 1.3 (its type and a tag of 16 bytes), GCM and CCM of TLS 1.2 (a nonce as well), ChaCha20 of TLS 1.2,
/// CCM with a short tag of TLS 1.3. What CBC adds depends on the text: such connections are not tied.
const ADDED: [u64; 4] = [17, 24, 16, 9];
/// Calls that have to fit.
const ENOUGH: usize = 3;
/// Calls that are remembered.
const KEPT: usize = 16;
/// Packet streams whose records are remembered.
const STREAMS: usize = 1_024;
/// Connections looked at in one go.
const LOOKS: usize = 64;
/// How long after its call a record may be sent, nanoseconds: a busy loop may take its time.
const LATE: i64 = 1_000_000_000;
/// How much two clocks may differ, nanoseconds.
const EARLY: i64 = 1_000_000;
/// After so long without a look, records of a call should have been seen, nanoseconds.
const SETTLE: i64 = 100_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Addr, Stamp};

    fn conn(id: u64) -> Conn {
        let addr = |port| Addr::v4([10, 0, 0, 1], port);
        Conn {
            id: ConnId(id),
            slot: id as usize,
            a: addr(1),
            b: addr(443),
            opener_known: false,
            opened: Stamp::default(),
            aliases: Default::default(),
            processes: Vec::new(),
        }
    }

    fn tap(ssl: u64) -> PlainId {
        PlainId { pid: 1, ssl, generation: 1 }
    }

    fn ms(n: i64) -> Ts {
        Ts(n * 1_000_000)
    }

    /// Calls and their records, 100 ms apart; each record a moment after its call.
    #[derive(Default)]
    struct Line {
        sizes: Sizes,
        twins: usize,
        now: i64,
        places: BTreeMap<u64, u64>,
    }

    impl Line {
        fn write(&mut self, ssl: u64, len: u64) {
            let place = self.places.entry(ssl).or_default();
            self.sizes.wrote(tap(ssl), ms(self.now), *place, len);
            *place += len;
        }

        fn record(&mut self, stream: u64, len: u16) {
            self.sizes.sealed(&conn(stream), Dir::BtoA, len, ms(self.now + 1));
        }

        fn look(&mut self) -> Vec<(u64, u64)> {
            self.now += 100;
            let found = self.sizes.look(ms(self.now), || self.twins += 1);
            found.into_iter().map(|found| (found.id.ssl, found.conn.id.0)).collect()
        }
    }

    #[test]
    fn three_calls_in_a_row_that_fit_one_stream_alone() {
        for added in ADDED {
            let mut line = Line::default();
            for (n, len) in [300, 4_000, 301].into_iter().enumerate() {
                line.write(1, len);
                line.record(7, len as u16 + added as u16);
                line.record(8, 900 + n as u16);
                assert_eq!(line.look(), if n == 2 { vec![(1, 7)] } else { vec![] }, "{added}");
            }
        }
    }

    #[test]
    fn a_long_call_is_several_records() {
        let (mut line, mut found) = (Line::default(), Vec::new());
        for _ in 0..3 {
            line.write(1, 40_000);
            [16_401, 16_401, 7_249].into_iter().for_each(|len| line.record(7, len));
            found.extend(line.look());
        }
        assert_eq!(found, [(1, 7)]);
    }

    #[test]
    fn twins_in_step_are_not_tied_until_they_differ() {
        let mut line = Line::default();
        for _ in 0..5 {
            for (ssl, stream) in [(1, 7), (2, 8)] {
                line.write(ssl, 300);
                line.record(stream, 317);
            }
            assert_eq!(line.look(), []);
        }
        assert_eq!(line.twins, 2);
        // A record that has not come in a second will not come.
        for (len, found) in [(500, vec![]), (400, vec![(1, 7)])] {
            line.write(1, len);
            line.record(7, len as u16 + 17);
            assert_eq!(line.look(), found);
            line.now += 1_000;
        }
        line.write(2, 300);
        line.record(8, 317);
        assert_eq!(line.look(), [(2, 8)]);
    }

    #[test]
    fn one_whose_own_stream_is_not_in_the_packets_takes_no_other() {
        let mut line = Line::default();
        for n in 0..6 {
            // Only one of them was watched at first.
            if n >= 2 {
                line.write(1, 300);
            }
            line.write(2, 300);
            line.record(7, 317);
            assert_eq!(line.look(), [], "{n}");
        }
    }

    #[test]
    fn a_relayed_copy_makes_it_ambiguous() {
        let mut line = Line::default();
        for len in [300, 400, 500, 600] {
            line.write(1, len);
            [7, 8].into_iter().for_each(|stream| line.record(stream, len as u16 + 17));
            assert_eq!(line.look(), []);
        }
        assert_eq!(line.twins, 1);
    }

    #[test]
    fn a_record_too_many_or_too_late_or_another_length_ties_nothing() {
        for odd in 0..3 {
            let mut line = Line::default();
            for len in [300, 400, 500, 600] {
                line.write(1, len);
                line.now += if odd == 0 { 1_500 } else { 0 };
                line.record(7, len as u16 + 17 + u16::from(odd == 1 && len == 400));
                if odd == 2 && len == 400 {
                    line.record(7, 22);
                }
                assert_eq!(line.look(), [], "{odd}");
            }
        }
    }

    #[test]
    fn a_hole_begins_the_row_anew() {
        let mut line = Line::default();
        for len in [300, 400, 500, 600, 700] {
            line.write(1, len);
            line.record(7, len as u16 + 17);
            if len == 400 {
                *line.places.get_mut(&1).unwrap() += 9;
                line.sizes.holed(ConnId(7), Dir::BtoA);
            }
            assert_eq!(line.look(), if len == 700 { vec![(1, 7)] } else { vec![] }, "{len}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut line = Line::default();
        for n in 0..3_000 {
            line.write(1, 300);
            line.record(n, 317);
            line.record(7, 9);
        }
        assert!(line.sizes.sealed.len() <= STREAMS && line.sizes.written[&tap(1)].calls.len() <= KEPT);
        assert!(line.sizes.sealed.values().all(|sealed| sealed.records[1].len() <= KEPT * 2));
    }
}
