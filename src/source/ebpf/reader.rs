//! A thread that empties the ring into the feed of live sources, follows the processes, and says at its end what could not be seen.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Choice, Error, Event as Seen, Health, Tap, What};
use crate::base::{Plain, PlainId, Ts, Word};
use crate::source::live::{Event, Feed, Inlet, Refused, Told};

/// The near end of a running tap.
#[derive(Debug)]
pub struct Running {
    choices: Sender<Choice>,
    health: Arc<Mutex<Health>>,
}

impl Running {
    /// Hands the tap to a thread of its own. What it reads goes into `feed`.
    pub fn start(tap: Tap, feed: &mut Feed) -> std::io::Result<Running> {
        let (choices, changes) = channel();
        let health = Arc::new(Mutex::new(tap.health()));
        let reader = Reader {
            tap,
            inlet: feed.inlet("tls"),
            changes,
            health: Arc::clone(&health),
            pending: None,
            pids: BTreeSet::new(),
            sockets: 0,
            tended: Instant::now(),
        };
        let (ready, told) = channel();
        let run = move || {
            let settled = reader.inlet.settle();
            let go = settled.is_ok();
            ready.send(settled).unwrap_or_default();
            if go {
                reader.run();
            }
        };
        thread::Builder::new().name("tls".to_owned()).spawn(run)?;
        told.recv().unwrap_or_else(|_| Err(std::io::Error::other("the thread that reads plaintext died")))?;
        Ok(Running { choices, health })
    }

    /// Watches other processes from now on.
    pub fn choose(&self, choice: Choice) {
        // A reader that has ended watches nothing any more.
        self.choices.send(choice).unwrap_or_default();
    }

    /// What was seen, lost, and cannot be seen.
    pub fn health(&self) -> Health {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Reader {
    tap: Tap,
    inlet: Inlet,
    changes: Receiver<Choice>,
    health: Arc<Mutex<Health>>,
    /// What the queue had no room for: until it has, the ring is not emptied, and says itself what it loses.
    pending: Option<Event>,
    pids: BTreeSet<u32>,
    /// Sockets looked up in this second.
    sockets: u32,
    tended: Instant,
}

impl Reader {
    fn run(mut self) {
        while !self.inlet.stopping() {
            let full = self.pending.is_some() | self.empty();
            self.tend();
            if !full {
                let ring = self.tap.fd();
                let mut fds = [PollFd::new(&ring, PollFlags::IN)];
                let wait = Timespec { tv_sec: 0, tv_nsec: LOOK_EVERY };
                // Interrupted is as good as waited.
                poll(&mut fds, Some(&wait)).unwrap_or_default();
            } else if self.pending.is_some() {
                thread::sleep(Duration::from_millis(5));
            }
        }
        self.empty();
        self.last_words();
    }

    /// Takes what the ring holds, up to a batch. Whether there may be more.
    fn empty(&mut self) -> bool {
        if let Some(event) = self.pending.take()
            && let Err(Refused(event)) = self.inlet.offer(event)
        {
            self.pending = Some(event);
            return true;
        }
        let before = self.tap.now() - MARGIN;
        let mut told: Vec<Told> = Vec::new();
        let mut wanted = Vec::new();
        let taken = self.tap.drain(BATCH, |event| {
            if let What::Socket(fd) = event.what {
                wanted.push((event.key, event.born, Ts(event.returned), fd));
            }
            told.extend(words(&event));
        });
        for (key, born, at, fd) in wanted {
            // Where packets show the connection its ends are known anyway; looking them up here costs a walk through all sockets.
            self.sockets += 1;
            if self.sockets <= SOCKETS
                && let Some((own, other)) = self.tap.ends(key.pid, fd)
            {
                told.push(Told { at, plain: Plain { id: key, born, word: Word::Ends(own, other) } });
            }
        }
        self.pids.extend(told.iter().map(|told| told.plain.id.pid));
        told.sort_by_key(|told| told.at);
        if !told.is_empty()
            && let Err(Refused(event)) = self.inlet.offer(Event::Plain(told))
        {
            self.pending = Some(event);
            return true;
        }
        if taken < BATCH {
            // Only a word on the time: it may as well be missing.
            self.inlet.offer(Event::Quiet(before)).unwrap_or_default();
        }
        taken >= BATCH
    }

    fn tend(&mut self) {
        let change = self.changes.try_iter().last();
        let due = self.tended.elapsed() > Duration::from_secs(1);
        if change.is_none() && !due {
            return;
        }
        let result = change.map_or(Ok(()), |choice| self.tap.choose(choice)).and_then(|()| self.tap.tend());
        if let Err(error) = result {
            self.trouble(&error);
        }
        if due {
            self.tended = Instant::now();
            self.sockets = 0;
            let at = self.tap.now();
            let gone: Vec<u32> = self.pids.iter().copied().filter(|pid| self.tap.is_gone(*pid)).collect();
            for pid in gone {
                self.pids.remove(&pid);
                let id = PlainId { pid, ..PlainId::default() };
                let told = Event::Plain(vec![Told { at, plain: Plain { id, born: true, word: Word::Gone } }]);
                if let Err(Refused(_)) = self.inlet.offer(told) {
                    self.pids.insert(pid);
                }
            }
        }
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = self.tap.health();
    }

    fn trouble(&self, error: &Error) {
        self.say("tls-unseen", String::new(), error.to_string());
    }

    fn last_words(&mut self) {
        let health = self.tap.health();
        for blind in &health.blind {
            self.say("tls-unseen", format!("{} (process {})", blind.program, blind.pid), blind.why.clone());
        }
        if health.dropped_events > 0 {
            let detail =
                format!("{} bytes of plaintext in {} calls found the ring full: holes", health.dropped_bytes, health.dropped_events);
            self.say("tls-dropped", String::new(), detail);
        }
        if health.faults + health.cut_bytes > 0 {
            let detail =
                format!("{} buffers could not be read, {} bytes lay beyond 1 MiB of a call: holes", health.faults, health.cut_bytes);
            self.say("tls-dropped", String::new(), detail);
        }
        if let Some(why) = &health.detached {
            self.say("tls-detached", String::new(), format!("the probes were taken off: {why}"));
        }
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
        self.inlet.offer(Event::Ended).unwrap_or_default();
    }

    fn say(&self, kind: &'static str, place: String, detail: String) {
        // A queue that is full at the end has worse to tell.
        self.inlet.offer(Event::Trouble { kind, place, detail }).unwrap_or_default();
    }
}

/// As the engine takes it. What was written counts from when the call began, what was read from when it returned: so that no answer
/// seems older than what caused it.
fn words(event: &Seen<'_>) -> Option<Told> {
    let (mut at, born) = (Ts(event.returned), event.born);
    let word = match event.what {
        What::Data { written, off, len, bytes } => {
            if written {
                at = Ts(event.began);
            }
            Word::Bytes { written, off, len: u64::from(len), bytes: bytes.map(<[u8]>::to_vec) }
        }
        What::Name(name) => Word::Name(String::from_utf8_lossy(name).into_owned()),
        What::Random(random) => Word::Random(random),
        What::Freed { written, read } => Word::Freed { written, read },
        What::Handshake | What::Socket(_) => return None,
    };
    Some(Told { at, plain: Plain { id: event.key, born, word } })
}

/// Events taken at a time: 4 MiB of full chunks of 16 KiB.
const BATCH: usize = 256;
/// The ring is looked at so often, nanoseconds; sooner when a quarter of it is full.
const LOOK_EVERY: i64 = 20_000_000;
/// A call may have begun that much before its event was there, nanoseconds.
const MARGIN: i64 = 5_000_000;
/// Sockets looked up in a second.
const SOCKETS: u32 = 20;
