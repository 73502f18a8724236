//! The queue between live sources and whoever judges: bounded by memory, and nobody waits at its near end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Batch, Told};
use crate::base::{Limits, Ts};

/// What a live source has to tell. Another kind of source is another variant here, with its time in `live::merge`.
#[derive(Debug)]
pub enum Event {
    /// Packets.
    Packets(Batch),
    /// Plaintext of TLS, in the order of its time.
    Plain(Vec<Told>),
    /// Everything before that time has been told.
    Quiet(Ts),
    /// Packets were lost since this was last told.
    Dropped {
        /// In the kernel, whose ring was full.
        kernel: u64,
        /// In the network card or its driver.
        interface: u64,
        /// By us, because the queue was full.
        own: u64,
    },
    /// Something can't be seen any more, or again.
    Trouble {
        /// A short word.
        kind: &'static str,
        /// Which interface.
        place: String,
        /// What it means, in one sentence.
        detail: String,
    },
    /// Nothing more will come from this source.
    Ended,
}

/// The far end.
pub struct Feed {
    inlet: SyncSender<(usize, Event)>,
    outlet: Receiver<(usize, Event)>,
    shared: Arc<Shared>,
    names: Vec<String>,
    settle: Option<Settle>,
}

/// Called in the thread of each source once it has opened what it reads, and before it looks at anything that came from there: gives up
/// what the thread needs no longer.
pub type Settle = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// A source's end. Offering never waits.
pub struct Inlet {
    source: usize,
    to: SyncSender<(usize, Event)>,
    shared: Arc<Shared>,
    settle: Option<Settle>,
}

/// The queue is full: the event is given back.
#[derive(Debug)]
pub struct Refused(pub Event);

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    bytes: AtomicUsize,
    most: usize,
}

impl Feed {
    /// Without sources.
    pub fn new(limits: &Limits) -> Feed {
        let (inlet, outlet) = sync_channel(limits.live_queue_events);
        let shared = Shared { stop: AtomicBool::new(false), bytes: AtomicUsize::new(0), most: limits.live_queue_bytes };
        Feed { inlet, outlet, shared: Arc::new(shared), names: Vec::new(), settle: None }
    }

    /// What sources that begin from now on do once they have opened what they read.
    pub fn settling(&mut self, settle: Settle) {
        self.settle = Some(settle);
    }

    /// The end for a new source of that name.
    pub fn inlet(&mut self, name: &str) -> Inlet {
        self.names.push(name.to_owned());
        Inlet { source: self.names.len() - 1, to: self.inlet.clone(), shared: Arc::clone(&self.shared), settle: self.settle.clone() }
    }

    /// Names of the sources, by their numbers.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The next event with its source's number; none within `patience`.
    pub fn next(&self, patience: Duration) -> Option<(usize, Event)> {
        let (source, event) = match self.outlet.recv_timeout(patience) {
            Ok(told) => told,
            // We hold an inlet ourselves, so that it never is.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
        };
        self.shared.bytes.fetch_sub(weight(&event), Ordering::Relaxed);
        Some((source, event))
    }

    /// Tells all sources to end.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Inlet {
    /// Hands an event over, or back.
    pub fn offer(&self, event: Event) -> Result<(), Refused> {
        let weight = weight(&event);
        let before = self.shared.bytes.fetch_add(weight, Ordering::Relaxed);
        let sent = if weight > 0 && before.saturating_add(weight) > self.shared.most {
            Err(event)
        } else {
            self.to.try_send((self.source, event)).map_err(|refused| match refused {
                std::sync::mpsc::TrySendError::Full((_, event)) | std::sync::mpsc::TrySendError::Disconnected((_, event)) => event,
            })
        };
        sent.map_err(|event| {
            self.shared.bytes.fetch_sub(weight, Ordering::Relaxed);
            Refused(event)
        })
    }

    /// The source has opened what it reads.
    pub fn settle(&self) -> io::Result<()> {
        self.settle.as_ref().map_or(Ok(()), |settle| settle())
    }

    /// Whether it is time to end.
    pub fn stopping(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }
}

/// Memory that an event takes.
fn weight(event: &Event) -> usize {
    match event {
        Event::Packets(batch) => batch.weight(),
        Event::Plain(told) => told.iter().map(Told::weight).sum(),
        _ => 0,
    }
}

/// The clock that the kernel stamps packets with.
pub fn now() -> Ts {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ts(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_given_back_and_what_is_taken_makes_room() {
        let limits = Limits { live_queue_bytes: 3_000, live_queue_events: 3, ..Limits::default() };
        let mut feed = Feed::new(&limits);
        let inlet = feed.inlet("lo");
        let batch = || {
            let mut batch = Batch::new(1);
            batch.push(Ts(1), 1_000, &[0; 1_000]);
            Event::Packets(batch)
        };
        assert!(inlet.offer(batch()).is_ok() && inlet.offer(batch()).is_ok());
        assert!(matches!(inlet.offer(batch()), Err(Refused(Event::Packets(_)))), "bytes are bounded");
        assert!(inlet.offer(Event::Quiet(Ts(2))).is_ok());
        assert!(inlet.offer(Event::Quiet(Ts(3))).is_err(), "events are bounded");
        assert!(matches!(feed.next(Duration::ZERO), Some((0, Event::Packets(_)))));
        assert!(inlet.offer(batch()).is_ok());
    }
}
