//! The first stretch of the road: captured frames come in, what happened on their connections goes out. Nothing here looks into the
//! bytes that a connection carries.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::Loss;
use crate::base::{Count, Counts, Limits, Process, Stamp, Ts, label};
use crate::packet::{Decoder, Frame, Sight, Sightings};
use crate::tcp::{Receiver, Table};

/// Addresses and what the capturing machine called them.
pub type Names = Arc<BTreeSet<(IpAddr, String)>>;

/// Who takes what the first stretch gives out, each word in its order: the next stretch itself, or a [`super::Batch`] on the way to it.
pub trait Onward: Receiver {
    /// A frame has been read; all that it brought was said before. `at`: its stamp, with the latest time so far.
    fn read(&mut self, at: Stamp);
    /// Packet time has come to `now`. `held`: the time of the earliest byte that is held back behind a hole.
    fn tick(&mut self, now: Ts, held: Option<Ts>, at: Stamp);
    /// The text of a key log stands here in `file`.
    fn secrets(&mut self, file: u16, text: &[u8], at: Stamp);
    /// No more frames will come; what connections still say follows.
    fn ending(&mut self, at: Stamp);
    /// Something could not be read.
    fn loss(&mut self, loss: Loss);
}

/// Link layers, addresses, connections.
pub struct Front {
    limits: Limits,
    counts: Counts,
    decoder: Decoder,
    sightings: Sightings,
    table: Table,
    first: Option<Ts>,
    now: Stamp,
    ticked: Ts,
    /// The process that the next frame is of.
    process: Option<Arc<Process>>,
    names: Names,
}

/// What the first stretch knows of a run.
pub struct Walked {
    pub(super) counts: Counts,
    pub(super) first: Option<Ts>,
    pub(super) now: Stamp,
    pub(super) names: Names,
}

impl Front {
    pub(super) fn new(limits: &Limits, seed: u64) -> Front {
        Front {
            counts: Counts::default(),
            decoder: Decoder::new(limits),
            sightings: Sightings::new(limits),
            table: Table::new(seed),
            first: None,
            now: Stamp::default(),
            ticked: Ts(i64::MIN),
            process: None,
            names: Names::default(),
            limits: limits.clone(),
        }
    }

    /// A frame was captured.
    pub fn frame(&mut self, frame: Frame<'_>, on: &mut impl Onward) {
        let at = frame.at;
        self.counts.bump(Count::Packets);
        self.counts.add(Count::PacketBytes, u64::from(frame.orig_len));
        self.pass(at, on);
        self.segment(frame, on);
        if self.process.take().is_some() {
            self.table.unname();
        }
        on.read(self.now);
    }

    /// The next frame is one of this process's.
    pub fn process(&mut self, process: Process) {
        self.process = Some(Arc::new(process));
    }

    /// The capturing machine knew these addresses by name.
    pub fn names(&mut self, names: &[(IpAddr, String)]) {
        let all = Arc::make_mut(&mut self.names);
        for (addr, name) in names {
            let name = label(name, LONGEST_NAME);
            if all.len() >= self.limits.names && !all.contains(&(*addr, name.clone())) {
                self.counts.bump(Count::NamesDropped);
            } else {
                all.insert((*addr, name));
            }
        }
    }

    /// Time has come to that of the next input.
    pub(super) fn pass(&mut self, at: Stamp, on: &mut impl Onward) {
        if self.first.is_none() {
            self.first = Some(at.ts);
        }
        if at.ts < self.now.ts {
            self.counts.bump(Count::TimeSteps);
        }
        self.now = Stamp { ts: self.now.ts.max(at.ts), ..at };
        // Time passes before the packet is looked at: what a timer decides must not depend on it.
        if at.ts.since(self.ticked) >= TICK {
            self.tick(at.ts, on);
        }
    }

    fn segment(&mut self, frame: Frame<'_>, on: &mut impl Onward) {
        let at = frame.at;
        let Some(mut decoded) = self.decoder.decode(frame, &mut self.counts) else { return };
        if let Some(process) = &self.process {
            self.table.name(decoded.segment.src, decoded.segment.dst, process.clone(), &self.limits);
        }
        match self.sightings.push(&mut decoded, at, &mut self.counts) {
            Sight::Again => return,
            Sight::New => {}
            Sight::Tied { tied, again } => {
                self.table.tie((tied.a, tied.b), (tied.alias_a, tied.alias_b), &self.limits);
                if again {
                    return;
                }
            }
            Sight::Apart { opener, at } => self.table.push(&opener, at, &self.limits, &mut self.counts, on),
        }
        self.table.push(&decoded.segment, at, &self.limits, &mut self.counts, on);
    }

    /// Packet time has come to `now`, with or without a packet.
    pub fn tick(&mut self, now: Ts, on: &mut impl Onward) {
        self.ticked = now;
        self.table.tick(now, &self.limits, &mut self.counts, on);
        on.tick(now, self.table.held_since(), self.now);
    }

    /// The text of a key log stands here in `file`.
    pub fn secrets(&mut self, file: u16, text: &[u8], on: &mut impl Onward) {
        on.secrets(file, text, self.now);
    }

    /// Packets were lost before they reached the capture.
    pub fn dropped(&mut self, packets: u64) {
        self.counts.add(Count::KernelDrops, packets);
    }

    /// Packets were captured and dropped, because they came faster than they could be judged.
    pub fn overloaded(&mut self, packets: u64) {
        self.counts.add(Count::OwnDrops, packets);
    }

    /// Memory is short: an eighth of the connections, those longest silent, are given up.
    pub fn relieve(&mut self, on: &mut impl Onward) {
        self.table.relieve(self.now, &self.limits, &mut self.counts, on);
        on.read(self.now);
    }

    /// Nothing more will come.
    pub fn finish(mut self, on: &mut impl Onward) -> Walked {
        self.decoder.finish(&mut self.counts);
        on.ending(self.now);
        self.table.finish(self.now, &self.limits, &mut self.counts, on);
        on.read(self.now);
        self.walked()
    }

    /// The last frame, with the latest time so far.
    pub(super) fn now(&self) -> Stamp {
        self.now
    }

    /// Connections that are open.
    pub(super) fn open(&self) -> usize {
        self.table.open()
    }

    /// What is known of the run so far.
    pub(super) fn walked(&self) -> Walked {
        Walked { counts: self.counts.clone(), first: self.first, now: self.now, names: self.names.clone() }
    }

    /// What was counted so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
}

/// Bytes of a name that are kept (RFC 1035, 2.3.4).
const LONGEST_NAME: usize = 255;
/// How often timers are looked at, nanoseconds of packet time.
const TICK: i64 = 10_000_000;
