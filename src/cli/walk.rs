//! Captures are walked through from beginning to end: on one thread, or on three, one for each stretch of the road.
//!
//! What one stretch says to the next is carried over word for word and in order, so that the number of threads changes nothing that comes
//! out. Channels are bounded: memory does not depend on which stretch is the slowest.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::base::Ts;
use crate::capfile::Flaw;
use crate::packet::Frame;
use crate::pipeline::{Batch, Engine, Foresight, Front, Loss, Onward, Options, Output, Summary, Words, stretches};
use crate::source::{Ahead, Input, Inputs};

use super::keylogs::KeyLogs;
use super::spool::Spool;

/// What is walked through.
pub(super) struct Walk<'a> {
    pub(super) inputs: Inputs,
    pub(super) keys: KeyLogs,
    pub(super) options: Options,
    /// Keeps what cannot be read again.
    pub(super) spool: Option<&'a mut Spool>,
}

/// Between two inputs.
pub(super) struct Moment<'a, O: Output> {
    /// The run.
    pub(super) engine: &'a mut Engine<O>,
    /// Bytes read.
    pub(super) read: u64,
    /// Bytes in all, where that is known.
    pub(super) total: Option<u64>,
    /// The time of the packet that comes next, if it is one.
    pub(super) due: Option<Ts>,
}

impl Walk<'_> {
    /// All on this thread.
    pub(super) fn alone<O: Output>(self, out: O, mut go_on: impl FnMut(Moment<'_, O>) -> bool) -> Summary {
        let Walk { mut inputs, keys, options, mut spool } = self;
        let names = names(&inputs);
        let mut engine = Engine::new(options, out);
        engine.key_log(keys.log, &keys.counts);
        engine.foresee(Box::new(Known(inputs.ahead())));
        keys.losses.into_iter().for_each(|loss| engine.loss(loss));
        let progress = inputs.progress();
        loop {
            let input = inputs.next();
            let due = if let Some(Input::Packet(packet)) = &input { Some(packet.stamp.ts) } else { None };
            if !go_on(Moment { engine: &mut engine, read: progress.read(), total: progress.total(), due }) {
                break;
            }
            let Some(input) = input else { break };
            if let Some(spool) = &mut spool {
                spool.keep(&input);
            }
            let (front, rest) = engine.parts();
            tell(&input, &names, front, rest);
        }
        engine.finish(Vec::new()).0
    }

    /// Reading and connections on one thread, their content on another; pairs are judged and shown on this one.
    pub(super) fn threaded(self, out: impl Output, mut go_on: impl FnMut(u64, Option<u64>) -> bool) -> Summary {
        let Walk { mut inputs, keys, options, mut spool } = self;
        let names = names(&inputs);
        let (mut front, mut middle, mut back) = stretches(options, out);
        middle.key_log(keys.log, &keys.counts);
        middle.foresee(Box::new(Known(inputs.ahead())));
        keys.losses.into_iter().for_each(|loss| middle.loss(loss));
        let progress = inputs.progress();
        let stop = AtomicBool::new(false);
        let (batches, to_middle) = sync_channel::<Batch>(AHEAD);
        // Batches come back to be filled again.
        let (used, again) = sync_channel::<Batch>(AHEAD);
        let (words, to_back) = sync_channel::<Words>(AHEAD);
        let (walked, counts) = thread::scope(|scope| {
            let stop = &stop;
            let reading = scope.spawn(move || {
                let mut batch = Batch::default();
                while !stop.load(Ordering::Relaxed)
                    && let Some(input) = inputs.next()
                {
                    if let Some(spool) = &mut spool {
                        spool.keep(&input);
                    }
                    tell(&input, &names, &mut front, &mut batch);
                    if batch.is_full() {
                        batch = carry(batch, &batches, &again);
                    }
                }
                let walked = front.finish(&mut batch);
                carry(batch, &batches, &again);
                walked
            });
            let looking = scope.spawn(move || {
                for mut batch in to_middle {
                    batch.play(&mut middle);
                    // Where nobody listens any more, that thread has failed, and says so itself.
                    let _ = used.try_send(batch);
                    let _ = words.send(std::mem::take(&mut middle.next));
                }
                middle.finish().0
            });
            for words in to_back {
                words.play(&mut back);
                if !go_on(progress.read(), progress.total()) {
                    stop.store(true, Ordering::Relaxed);
                }
            }
            (reading.join(), looking.join())
        });
        let walked = walked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let counts = counts.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        back.finish(walked, &counts).0
    }
}

/// Sends a batch on; gives an empty one.
fn carry(batch: Batch, to: &SyncSender<Batch>, again: &Receiver<Batch>) -> Batch {
    let _ = to.send(batch);
    again.try_recv().unwrap_or_default()
}

/// One input, said to the road's first stretch.
fn tell(input: &Input<'_>, names: &[String], front: &mut Front, on: &mut impl Onward) {
    match input {
        Input::Packet(packet) => {
            if let Some(process) = packet.comments.process() {
                front.process(process);
            }
            front.frame(
                Frame { link: packet.link, data: packet.data, orig_len: packet.orig_len, iface: packet.iface, at: packet.stamp },
                on,
            );
        }
        Input::Names(names) => front.names(names),
        Input::Secrets { file, text } => front.secrets(*file, text, on),
        Input::Drops { lost, .. } => front.dropped(*lost),
        Input::Damage { file, damage } => {
            let kind = if matches!(damage.what, Flaw::Truncated | Flaw::Unreadable(_)) { "truncated" } else { "damaged" };
            let name = names.get(usize::from(*file)).map(String::as_str).unwrap_or_default();
            let place = format!("{name}, byte {}", damage.offset);
            on.loss(Loss { kind: kind.to_owned(), place, detail: damage.to_string(), at: None });
        }
        Input::Comment { .. } => {}
    }
}

fn names(inputs: &Inputs) -> Vec<String> {
    inputs.files().iter().map(|file| file.path.display().to_string()).collect()
}

/// The captures' own secrets.
struct Known(Ahead);

impl Foresight for Known {
    fn is_news(&mut self, file: u16) -> bool {
        self.0.is_news(file)
    }

    fn read(&mut self, mut tell: &mut dyn FnMut(&[u8])) -> bool {
        self.0.read(&mut tell)
    }
}

/// Batches that may wait for a slower thread.
const AHEAD: usize = 4;
