//! The one-thread reference: captured frames go in, judged pairs come out. The three stretches of the road call each other.

use std::net::IpAddr;

use super::back::Back;
use super::front::{Front, Onward};
use super::middle::{Foresight, Middle};
use super::{Loss, Output, Summary, Words};
use crate::base::{Counts, Keyer, Limits, Plain, Stamp, Ts};
use crate::correlate::Correlator;
use crate::packet::Frame;
use crate::tls::KeyLog;
use crate::verdict::{Finding, Judge};

/// What a run may be told.
#[derive(Clone)]
pub struct Options {
    /// Bounds.
    pub limits: Limits,
    /// Makes fingerprints.
    pub keyer: Keyer,
    /// Gateways that the user named; any port where none is given.
    pub gateways: Vec<(IpAddr, Option<u16>)>,
    /// When silence counts as a stalled answer, nanoseconds of packet time.
    pub stall_after: i64,
}

/// Walks the road.
pub struct Engine<O> {
    front: Front,
    rest: Middle<Back<O>>,
}

/// The three stretches, for whoever walks each on a thread of its own: what the first says goes through a [`super::Batch`] to the second,
/// what that says through [`Words`] to the third. Each word comes in the same order as on one thread, so the same comes out.
pub fn stretches<O: Output>(options: Options, out: O) -> (Front, Middle<Words>, Back<O>) {
    let (front, back) = (options.front(), options.back(out));
    (front, Middle::new(options.keyer, &options.limits, Words::default()), back)
}

impl Options {
    fn front(&self) -> Front {
        Front::new(&self.limits, self.keyer.mark(b"connections").0)
    }

    fn back<O: Output>(&self, out: O) -> Back<O> {
        let correlator = Correlator::new(self.gateways.clone(), self.limits.clone());
        Back::new(&self.limits, correlator, Judge::new(self.stall_after), out)
    }
}

impl<O: Output> Engine<O> {
    /// Ready for the first frame.
    pub fn new(options: Options, out: O) -> Engine<O> {
        let (front, back) = (options.front(), options.back(out));
        Engine { front, rest: Middle::new(options.keyer, &options.limits, back) }
    }

    /// Its first stretch, and what that speaks to.
    pub fn parts(&mut self) -> (&mut Front, &mut impl Onward) {
        (&mut self.front, &mut self.rest)
    }

    /// A frame was captured.
    pub fn frame(&mut self, frame: Frame<'_>) {
        self.front.frame(frame, &mut self.rest);
    }

    /// A process handed plaintext to its TLS library, or took it from there.
    pub fn plain(&mut self, plain: Plain, at: Stamp) {
        self.front.pass(at, &mut self.rest);
        self.rest.plain(plain, at, self.front.now());
    }

    /// Packet time has come to `now`, with or without a packet.
    pub fn tick(&mut self, now: Ts) {
        self.front.tick(now, &mut self.rest);
    }

    /// TLS secrets of key logs that were read beforehand, and what was counted while reading them.
    pub fn key_log(&mut self, keys: KeyLog, counts: &Counts) {
        self.rest.key_log(keys, counts);
    }

    /// Where secrets come from that stand behind the packets that need them.
    pub fn foresee(&mut self, foresight: Box<dyn Foresight>) {
        self.rest.foresee(foresight);
    }

    /// TLS secrets became known (NSS key log format): what waits for them is read now.
    pub fn secrets(&mut self, text: &[u8]) {
        self.rest.secrets(text, self.front.now());
    }

    /// No more TLS secrets will come: what no key fits need not be kept any longer.
    pub fn secrets_complete(&mut self) {
        self.rest.secrets_complete(self.front.now());
    }

    /// Packets were lost before they reached the capture.
    pub fn dropped(&mut self, packets: u64) {
        self.front.dropped(packets);
    }

    /// Packets were captured and dropped, because they came faster than they could be judged.
    pub fn overloaded(&mut self, packets: u64) {
        self.front.overloaded(packets);
    }

    /// Memory is short: an eighth of what is open is given up, the oldest first. Pairs that lose something by it are `unresolved` (`limit`).
    pub fn relieve(&mut self) {
        self.front.relieve(&mut self.rest);
        self.rest.next.relieve(self.front.now());
    }

    /// The user names other gateways from now on; any port where none is given.
    pub fn name_gateways(&mut self, named: Vec<(IpAddr, Option<u16>)>) {
        self.rest.next.name_gateways(named);
    }

    /// Who gets the results, to be spoken to while the run goes on.
    pub fn out(&mut self) -> &mut O {
        &mut self.rest.next.out
    }

    /// The findings as they stand, in order of their first pair.
    pub fn findings(&self) -> Vec<Finding> {
        self.rest.next.findings()
    }

    /// The gateways found so far, in address order.
    pub fn gateways(&self) -> Vec<crate::correlate::Gateway> {
        self.rest.next.gateways()
    }

    /// The run so far. What it finds is known to whoever was given the pairs.
    pub fn summary(&self) -> Summary {
        self.rest.next.summary(self.front.walked(), &self.rest.counts())
    }

    /// Open connections, and exchanges that wait for their pair.
    pub fn open(&self) -> (usize, usize) {
        (self.front.open(), self.rest.next.open())
    }

    /// Something else could not be read.
    pub fn loss(&mut self, loss: Loss) {
        self.rest.loss(loss);
    }

    /// Nothing more will come: everything open is judged with what is known.
    pub fn finish(mut self, captures: Vec<String>) -> (Summary, O) {
        let walked = self.front.finish(&mut self.rest);
        let (counts, back) = self.rest.finish();
        let (summary, out) = back.finish(walked, &counts);
        (Summary { captures, ..summary }, out)
    }

    /// What was counted so far.
    pub fn counts(&self) -> &Counts {
        self.front.counts()
    }
}
