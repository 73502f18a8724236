//! The loop: takes what the sources tell, in order, and lets time pass when they tell nothing.

use std::time::{Duration, Instant};

use super::merge::{Merge, Next};
use super::record::Recorder;
use crate::base::{Stamp, Ts};
use crate::packet::Frame;
use crate::pipeline::{Engine, Loss, Output};
use crate::source::live::{Event, Feed};

/// What has come and what was lost, so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets that were captured, those that we dropped among them.
    pub received: u64,
    /// Packets that were judged.
    pub judged: u64,
    /// Packets that the kernel or the network card dropped.
    pub kernel: u64,
    /// Those among them that the network card or its driver dropped.
    pub interface: u64,
    /// Packets that were dropped because judging could not keep up.
    pub own: u64,
    /// Time of the latest packet that was judged.
    pub last: Option<Ts>,
}

/// Drives the engine from the sources of `feed` until `go_on` says no or the sources end; then takes what they still have.
///
/// `go_on` is asked after every few packets and at least every 50 ms; it may talk to the engine (to show what is new, to give it keys).
pub fn attend<O: Output>(
    engine: &mut Engine<O>,
    feed: &Feed,
    recorder: Option<&mut Recorder>,
    mut go_on: impl FnMut(&mut Engine<O>, &Tally) -> bool,
) -> Tally {
    let mut run = Run { engine, recorder, feed, tally: Tally::default(), ord: 0, ticked: Ts(i64::MIN) };
    let mut merge = Merge::new(feed.names().len());
    let mut deadline: Option<Instant> = None;
    while !merge.ended() && deadline.is_none_or(|end| Instant::now() < end) {
        // Everything that is there is put in order, then as much of it judged as takes a moment.
        let mut told = feed.next(if merge.quiet().is_some() { PATIENCE } else { PATIENCE / 10 });
        while let Some((source, event)) = told.take() {
            merge.push(source, event);
            told = feed.next(Duration::ZERO);
        }
        let mut more = true;
        while more {
            more = run.some(&mut merge, deadline.is_some());
            if !go_on(run.engine, &run.tally) && deadline.is_none() {
                feed.stop();
                deadline = Some(Instant::now() + LAST);
            }
        }
        run.quiet(&merge);
    }
    feed.stop();
    while run.some(&mut merge, true) {}
    if !merge.ended() {
        run.leave();
    }
    run.tally
}

struct Run<'a, O: Output> {
    engine: &'a mut Engine<O>,
    recorder: Option<&'a mut Recorder>,
    feed: &'a Feed,
    tally: Tally,
    /// Place of the last input, packet or plaintext.
    ord: u64,
    ticked: Ts,
}

impl<O: Output> Run<'_, O> {
    /// Judges what is due, at most so many packets. Whether there may be more.
    fn some(&mut self, merge: &mut Merge, all: bool) -> bool {
        (0..MOST).all(|_| {
            merge
                .next(all, |next| match next {
                    Next::Packet(source, link, caught) => {
                        self.tally.judged += 1;
                        self.tally.received += 1;
                        self.tally.last = Some(caught.ts);
                        self.ord += 1;
                        let at = Stamp { ord: self.ord, ts: caught.ts, frame: self.tally.judged, file: 0 };
                        if let Some(recorder) = self.recorder.as_mut() {
                            recorder.packet(source, self.feed.names().get(source).map_or("", String::as_str), link, &caught);
                        }
                        self.engine.frame(Frame { link, data: caught.data, orig_len: caught.orig_len, iface: source as u32, at });
                    }
                    Next::Plain(plain, ts) => {
                        self.ord += 1;
                        self.engine.plain(plain, Stamp { ord: self.ord, ts, frame: 0, file: 0 });
                    }
                    Next::Other(source, event) => self.other(source, event),
                })
                .is_some()
        })
    }

    /// There is no time for what is still queued: it is counted as dropped.
    fn leave(&mut self) {
        let end = Instant::now() + LAST;
        while Instant::now() < end
            && let Some((source, event)) = self.feed.next(PATIENCE)
        {
            match event {
                Event::Packets(batch) => self.other(source, Event::Dropped { kernel: 0, interface: 0, own: batch.len() as u64 }),
                other => self.other(source, other),
            }
        }
    }

    fn other(&mut self, source: usize, event: Event) {
        match event {
            Event::Dropped { kernel, interface, own } => {
                let kernel = kernel + interface;
                self.tally.kernel += kernel;
                self.tally.interface += interface;
                self.tally.own += own;
                self.tally.received += own;
                self.engine.dropped(kernel);
                self.engine.overloaded(own);
                if let Some(recorder) = self.recorder.as_mut() {
                    recorder.dropped(source, kernel + own);
                }
            }
            Event::Trouble { kind, place, detail } => {
                self.engine.loss(Loss { kind: kind.to_owned(), place, detail, at: None });
            }
            Event::Packets(_) | Event::Plain(_) | Event::Quiet(_) | Event::Ended => {}
        }
    }

    /// Nothing came: time passes all the same.
    fn quiet(&mut self, merge: &Merge) {
        if let Some(now) = merge.quiet().filter(|now| now.since(self.ticked) >= TICK) {
            self.ticked = now;
            self.engine.tick(now);
        }
        if let Some(error) = self.recorder.as_mut().and_then(|recorder| recorder.trouble()) {
            self.engine.loss(error);
        }
    }
}

/// How long nothing is waited for.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long the sources may take for their last words.
const LAST: Duration = Duration::from_millis(500);
/// Packets between two questions whether to go on.
const MOST: usize = 1_024;
/// Nanoseconds between two ticks.
const TICK: i64 = 10_000_000;
