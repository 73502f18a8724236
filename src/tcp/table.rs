//! All connections: segments come in, each goes to its connection by one look-up, and every connection's events go out. Time comes in as
//! well: for holes that are given up, and for connections that were silent too long.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::ages::{Ages, Patience};
use super::closed::Closed;
use super::flow::{Flow, Next};
use super::key::Key;
use super::trouble::Trouble;
use super::voice::Desk;
use super::{Close, Receiver};
use crate::base::{Addr, Count, Counts, Dir, Limits, Process, Stamp, Ts};
use crate::packet::{Flags, Segment};

/// Every open connection.
#[derive(Debug)]
pub struct Table {
    places: HashMap<Key, Place, FixedState>,
    flows: Vec<Option<Flow>>,
    free: Vec<u32>,
    ages: Ages,
    closed: Closed,
    /// Connections that wait for a moment, by that moment.
    alarms: BTreeSet<(Ts, u32)>,
    /// Connections that hold bytes back, by the earliest packet time of these.
    held: BTreeSet<(Ts, u32)>,
    held_bytes: usize,
    /// Keys of connections that were seen under other addresses as well.
    other_keys: BTreeMap<u32, Vec<Key>>,
    recent: Option<Recent>,
    /// No connection's time comes before this.
    quiet_until: Ts,
    spare: Option<Box<Trouble>>,
    /// The process behind the segment at hand, until it is known which connection that is.
    process: Option<Arc<Process>>,
}

/// Where a key leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// To an open connection; whether the key's smaller address is side a.
    Open { slot: u32, low_is_a: bool },
    /// To one that was closed a short while ago.
    Closed { index: u32, low_is_a: bool },
}

/// Where the packet before went: the next one often goes there too, or back.
#[derive(Clone, Copy, Debug)]
struct Recent {
    src: Addr,
    dst: Addr,
    slot: u32,
    dir: Dir,
}

impl Table {
    /// Without any connection. `seed` keeps whoever chooses addresses and ports from choosing collisions; nothing that goes out depends on it.
    pub fn new(seed: u64) -> Table {
        Table {
            places: HashMap::with_hasher(FixedState::with_seed(seed)),
            flows: Vec::new(),
            free: Vec::new(),
            ages: Ages::default(),
            closed: Closed::default(),
            alarms: BTreeSet::new(),
            held: BTreeSet::new(),
            held_bytes: 0,
            other_keys: BTreeMap::new(),
            recent: None,
            quiet_until: Ts::MAX,
            spare: None,
            process: None,
        }
    }

    /// The next segment, in the order of the input.
    pub fn push(&mut self, seg: &Segment<'_>, at: Stamp, limits: &Limits, counts: &mut Counts, out: &mut impl Receiver) {
        counts.bump(Count::Segments);
        let Some((slot, dir)) = self.find(seg) else { return self.unknown(seg, at, limits, counts, out) };
        let Some(flow) = self.flows.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        if at.ts < flow.silent_until() && flow.in_order(dir, seg, at, out) {
            self.ages.touch(slot, flow.patience);
        } else {
            self.known(slot, dir, seg, at, limits, counts, out);
        }
    }

    /// Packet time has come to `now`: holes are given up and connections closed whose time is over. Cheap where there are none, so that it
    /// may be called for every packet; the same steps of time give the same events however the connections are spread over tables.
    pub fn tick(&mut self, now: Ts, limits: &Limits, counts: &mut Counts, out: &mut impl Receiver) {
        if now >= self.quiet_until {
            self.wake_due(now, limits, counts, out);
        }
    }

    /// The capture has ended at `at`: every connection is closed, in the order in which they began.
    pub fn finish(&mut self, at: Stamp, limits: &Limits, counts: &mut Counts, out: &mut impl Receiver) {
        let mut slots: Vec<_> = self.flows.iter().flatten().map(|flow| (flow.conn.id, flow.conn.slot as u32)).collect();
        slots.sort_unstable();
        for (_, slot) in slots {
            self.close(slot, Close::CaptureEnd, at, limits, counts, out);
        }
    }

    /// The same segment was seen from `first.0` to `first.1` and, elsewhere, from `again.0` to `again.1`: the second pair of addresses names
    /// the first one's connection as well. Segments that are only seen there still find it.
    pub fn tie(&mut self, first: (Addr, Addr), again: (Addr, Addr), limits: &Limits) {
        let (key, low_first) = Key::new(first.0, first.1);
        let Some(Place::Open { slot, low_is_a }) = self.places.get(&key).copied() else { return };
        let Some(flow) = self.flows.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        let [a, b] = if low_first == low_is_a { [again.0, again.1] } else { [again.1, again.0] };
        let sides = [(flow.conn.a, a), (flow.conn.b, b)];
        for ((own, other), aliases) in sides.into_iter().zip(&mut flow.conn.aliases) {
            if other != own && !aliases.contains(&other) && aliases.len() < limits.aliases {
                aliases.push(other);
            }
        }
        let (other_key, low_again) = Key::new(again.0, again.1);
        let own_key = Key::new(flow.conn.a, flow.conn.b).0;
        let keys = self.other_keys.get(&slot).map_or(0, Vec::len);
        let taken = match self.places.get(&other_key) {
            // An address that was translated for one connection is later used for another: the last use counts, but never against a
            // connection that has the addresses as its own.
            Some(Place::Open { slot: holder, .. }) => *holder == slot || self.owns(*holder, &other_key),
            _ => false,
        };
        if other_key != own_key && !taken && keys < limits.aliases {
            let low_is_a = low_again == (low_first == low_is_a);
            self.places.insert(other_key, Place::Open { slot, low_is_a });
            self.other_keys.entry(slot).or_default().push(other_key);
            self.recent = None;
        }
    }

    /// A segment from `src` to `dst` is one of this process's: the connection knows it from now on. Where there is none, the one has it
    /// that the next segment opens.
    pub fn name(&mut self, src: Addr, dst: Addr, process: Arc<Process>, limits: &Limits) {
        let (key, _) = Key::new(src, dst);
        let open = if let Some(Place::Open { slot, .. }) = self.places.get(&key) { self.flows.get_mut(*slot as usize) } else { None };
        match open.and_then(Option::as_mut) {
            Some(flow) => know(&mut flow.conn.processes, process, limits),
            None => self.process = Some(process),
        }
    }

    /// No segment came of it.
    pub fn unname(&mut self) {
        self.process = None;
    }

    /// The earliest packet time of anything held back: what is still to be said may be that old, and not older.
    pub fn held_since(&self) -> Option<Ts> {
        self.held.first().map(|(ts, _)| *ts)
    }

    /// Connections open at this moment.
    pub fn open(&self) -> usize {
        self.flows.len() - self.free.len()
    }

    /// Memory held for segments that came early.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Keys that lead to closed connections.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.places.values().filter(|place| matches!(place, Place::Closed { .. })).count()
    }

    fn find(&mut self, seg: &Segment<'_>) -> Option<(u32, Dir)> {
        if let Some(Recent { src, dst, slot, dir }) = self.recent {
            if src == seg.src && dst == seg.dst {
                return Some((slot, dir));
            }
            if src == seg.dst && dst == seg.src {
                return Some((slot, dir.flip()));
            }
        }
        let (key, low_first) = Key::new(seg.src, seg.dst);
        let Place::Open { slot, low_is_a } = *self.places.get(&key)? else { return None };
        let dir = direction(low_first, low_is_a);
        self.recent = Some(Recent { src: seg.src, dst: seg.dst, slot, dir });
        Some((slot, dir))
    }

    /// A segment of the connection at `slot` that is not simply the next one.
    #[expect(clippy::too_many_arguments, reason = "what every step of the room needs, and the segment")]
    fn known(&mut self, slot: u32, dir: Dir, seg: &Segment<'_>, at: Stamp, limits: &Limits, counts: &mut Counts, out: &mut impl Receiver) {
        if self.flow(slot).is_some_and(|flow| flow.due() <= at.ts) {
            self.wake(slot, at.ts, limits, counts, out);
        }
        let Some(flow) = self.flows.get_mut(slot as usize).and_then(Option::as_mut) else {
            // Its time was over.
            return self.unknown(seg, at, limits, counts, out);
        };
        let mut desk = Desk { limits, counts, out, held: &mut self.held_bytes, spare: &mut self.spare };
        let filed = flow.filed();
        let next = flow.segment(dir, seg, at, &mut desk);
        self.file(slot, filed);
        match next {
            Next::Go => {}
            Next::Over(how) => self.close(slot, how, at, limits, counts, out),
            Next::Again => {
                self.close(slot, Close::Reused, at, limits, counts, out);
                self.unknown(seg, at, limits, counts, out);
            }
        }
    }

    /// A segment of no open connection.
    fn unknown(&mut self, seg: &Segment<'_>, at: Stamp, limits: &Limits, counts: &mut Counts, out: &mut impl Receiver) {
        let (key, low_first) = Key::new(seg.src, seg.dst);
        let straggler = match self.places.get(&key) {
            Some(Place::Closed { index, low_is_a }) => self.closed.is_straggler(*index, direction(low_first, *low_is_a), seg, at.ts),
            _ => false,
        };
        // Only what begins something opens a connection: a bare ACK, FIN or RST has no bytes to tell of, and is most often the last of a
        // connection that was over before the capture began.
        let begins = seg.flags.has(Flags::SYN) || !seg.payload.is_empty() || seg.cut > 0;
        if straggler || !begins || seg.flags.has(Flags::RST) {
            return counts.bump(Count::Strays);
        }
        while self.open() >= limits.connections.max(1)
            && let Some(slot) = self.longest_silent()
        {
            counts.bump(Count::Evicted);
            self.close(slot, Close::Evicted, at, limits, counts, out);
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.flows.push(None);
            self.flows.len() as u32 - 1
        });
        let mut desk = Desk { limits, counts, out, held: &mut self.held_bytes, spare: &mut self.spare };
        let flow = Flow::open(seg, at, slot as usize, &mut desk);
        let a_first = flow.conn.a == seg.src;
        let low_is_a = low_first == a_first;
        self.places.insert(key, Place::Open { slot, low_is_a });
        let dir = if a_first { Dir::AtoB } else { Dir::BtoA };
        self.recent = Some(Recent { src: seg.src, dst: seg.dst, slot, dir });
        let Some(place) = self.flows.get_mut(slot as usize) else { return };
        let flow = place.insert(flow);
        flow.conn.processes.extend(self.process.take());
        let next = flow.segment(dir, seg, at, &mut desk);
        self.file(slot, UNFILED);
        match next {
            Next::Over(how) => self.close(slot, how, at, limits, counts, out),
            Next::Go | Next::Again => {}
        }
    }

    fn wake_due(&mut self, now: Ts, limits: &Limits, counts: &mut Counts, out: &mut impl Receiver) {
        while let Some(&(alarm, slot)) = self.alarms.first()
            && alarm <= now
        {
            self.wake(slot, now, limits, counts, out);
            if self.alarms.first() == Some(&(alarm, slot)) {
                break;
            }
        }
        for patience in Patience::ALL {
            while let Some(slot) = self.ages.oldest(patience)
                && self.flow(slot).is_some_and(|flow| flow.silent_until() <= now)
            {
                self.wake(slot, now, limits, counts, out);
            }
        }
        let oldest = Patience::ALL.into_iter().filter_map(|patience| self.flow(self.ages.oldest(patience)?)).map(Flow::silent_until).min();
        self.quiet_until = self.alarms.first().map_or(Ts::MAX, |(alarm, _)| *alarm).min(oldest.unwrap_or(Ts::MAX));
    }

    fn wake(&mut self, slot: u32, now: Ts, limits: &Limits, counts: &mut Counts, out: &mut impl Receiver) {
        let Some(flow) = self.flows.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        let mut desk = Desk { limits, counts, out, held: &mut self.held_bytes, spare: &mut self.spare };
        let filed = flow.filed();
        let next = flow.wake(now, &mut desk);
        let last = flow.last;
        let silent_until = flow.silent_until();
        self.file(slot, filed);
        match next {
            Next::Over(how @ (Close::Idle | Close::Unanswered)) => {
                self.close(slot, how, Stamp { ts: silent_until, ..last }, limits, counts, out);
            }
            Next::Over(how) => self.close(slot, how, last, limits, counts, out),
            Next::Go | Next::Again => {}
        }
    }

    /// The connection at `slot` is over.
    fn close(&mut self, slot: u32, how: Close, at: Stamp, limits: &Limits, counts: &mut Counts, out: &mut impl Receiver) {
        let Some(mut flow) = self.flows.get_mut(slot as usize).and_then(Option::take) else { return };
        self.unfile(slot, flow.filed());
        let mut desk = Desk { limits, counts, out, held: &mut self.held_bytes, spare: &mut self.spare };
        let how = flow.end(how, at, &mut desk);
        self.ages.remove(slot);
        self.free.push(slot);
        self.recent = None;
        for key in self.other_keys.remove(&slot).unwrap_or_default() {
            if matches!(self.places.get(&key), Some(Place::Open { slot: holder, .. }) if *holder == slot) {
                self.places.remove(&key);
            }
        }
        let (key, low_is_a) = Key::new(flow.conn.a, flow.conn.b);
        self.places.remove(&key);
        let reset = if let Close::Reset(dir) = how { Some(dir) } else { None };
        // Those that only fell silent may speak again: they begin anew, in the middle.
        if matches!(how, Close::Finished | Close::Reset(_) | Close::Refused)
            && let Some((index, forgotten)) = self.closed.remember(key, &flow, reset, at.ts, limits.closed_connections)
        {
            if let Some(old) = forgotten
                && matches!(self.places.get(&old), Some(Place::Closed { index: place, .. }) if *place == index)
            {
                self.places.remove(&old);
            }
            self.places.insert(key, Place::Closed { index, low_is_a });
        }
    }

    /// Memory is short: an eighth of the connections, those longest silent, are closed as evicted.
    pub fn relieve(&mut self, at: Stamp, limits: &Limits, counts: &mut Counts, out: &mut impl Receiver) {
        for _ in 0..self.open().div_ceil(8) {
            let Some(slot) = self.longest_silent() else { return };
            counts.bump(Count::Evicted);
            self.close(slot, Close::Evicted, at, limits, counts, out);
        }
    }

    fn longest_silent(&self) -> Option<u32> {
        let oldest = Patience::ALL.into_iter().filter_map(|patience| self.ages.oldest(patience));
        oldest.filter_map(|slot| Some((self.flow(slot)?.last, slot))).min().map(|(_, slot)| slot)
    }

    fn flow(&self, slot: u32) -> Option<&Flow> {
        self.flows.get(slot as usize).and_then(Option::as_ref)
    }

    fn owns(&self, slot: u32, key: &Key) -> bool {
        self.flow(slot).is_some_and(|flow| Key::new(flow.conn.a, flow.conn.b).0 == *key)
    }

    /// Puts the connection where its age and its trouble belong; `filed` is where its trouble was.
    fn file(&mut self, slot: u32, filed: (Ts, Ts)) {
        let Some(flow) = self.flows.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        self.ages.touch(slot, flow.patience);
        let now = flow.refile();
        self.quiet_until = self.quiet_until.min(flow.due());
        if now != filed {
            self.unfile(slot, filed);
            for (ts, list) in [(now.0, &mut self.alarms), (now.1, &mut self.held)] {
                if ts != Ts::MAX {
                    list.insert((ts, slot));
                }
            }
        }
    }

    fn unfile(&mut self, slot: u32, filed: (Ts, Ts)) {
        for (ts, list) in [(filed.0, &mut self.alarms), (filed.1, &mut self.held)] {
            if ts != Ts::MAX {
                list.remove(&(ts, slot));
            }
        }
    }
}

/// Adds a process that is not known yet.
fn know(processes: &mut Vec<Arc<Process>>, process: Arc<Process>, limits: &Limits) {
    if processes.len() < limits.processes && !processes.contains(&process) {
        processes.push(process);
    }
}

fn direction(low_first: bool, low_is_a: bool) -> Dir {
    if low_first == low_is_a { Dir::AtoB } else { Dir::BtoA }
}

/// What [`Flow::filed`] says where nothing is filed.
const UNFILED: (Ts, Ts) = (Ts::MAX, Ts::MAX);
