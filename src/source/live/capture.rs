//! A thread for each interface: it empties the kernel's ring into batches and offers them, whatever the rest of the program does.

use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::device::{BLOCK_MILLIS, Device, Trouble};
use super::{Batch, Event, Feed, Inlet, Namespace, Refused, now};

/// What to capture.
#[derive(Debug, Default)]
pub struct Capture {
    /// Names of interfaces; `any` is all of them.
    pub interfaces: Vec<String>,
    /// Bytes of the kernel's ring for each.
    pub ring: u32,
    /// The user's own filter; otherwise whatever may carry TCP.
    pub filter: Option<String>,
    /// Where the interfaces are, if not in this process's own network namespace.
    pub namespace: Option<Namespace>,
}

/// Why nothing can be captured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The interface.
    #[error("{device}: cannot capture: {why}{hint}")]
    Open {
        /// Its name.
        device: String,
        /// libpcap's word.
        why: String,
        /// What would help.
        hint: String,
    },
    /// The user's filter.
    #[error("--filter: {0}")]
    Filter(String),
    /// The namespace.
    #[error(transparent)]
    Namespace(#[from] super::NoNamespace),
    /// The thread could not be settled.
    #[error("{0}")]
    Settle(std::io::Error),
    /// The system gave no thread.
    #[error("no thread for the capture: {0}")]
    Thread(#[from] std::io::Error),
}

/// Opens all interfaces and begins to capture. What cannot be opened is told at once; what goes away later is told by the feed.
pub fn start(capture: &Capture, feed: &mut Feed) -> Result<(), Error> {
    let mut readers = Vec::new();
    let alone = capture.interfaces.len() == 1;
    for name in &capture.interfaces {
        let (ready, told) = channel();
        let namespace = capture.namespace.as_ref().map(Namespace::again).transpose()?;
        let reader = Reader {
            name: name.clone(),
            ring: i32::try_from(capture.ring).unwrap_or(i32::MAX),
            filter: capture.filter.clone(),
            inlet: feed.inlet(name),
            // Others wait for the word of an idle interface that it has nothing older.
            patience: if alone { PATIENCE } else { PATIENCE / 5 },
            lost: Lost::default(),
            counted: Instant::now(),
        };
        thread::Builder::new().name(format!("capture-{name}")).spawn(move || reader.begin(namespace.as_ref(), &ready))?;
        readers.push(told);
    }
    let all =
        readers.into_iter().try_for_each(|told| told.recv().unwrap_or_else(|_| Err(Error::Filter("the capture thread died".to_owned()))));
    if all.is_err() {
        feed.stop();
    }
    all
}

/// Packets by who dropped them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Lost {
    kernel: u64,
    interface: u64,
    own: u64,
}

struct Reader {
    name: String,
    ring: i32,
    filter: Option<String>,
    inlet: Inlet,
    patience: Duration,
    /// Dropped and not yet told.
    lost: Lost,
    counted: Instant,
}

impl Reader {
    fn begin(self, namespace: Option<&Namespace>, ready: &Sender<Result<(), Error>>) {
        if let Some(Err(error)) = namespace.map(Namespace::enter) {
            let _ = ready.send(Err(error.into()));
            return;
        }
        match self.open() {
            Ok(mut device) => {
                // Nothing that comes from outside is looked at before.
                if let Err(error) = self.inlet.settle() {
                    let _ = ready.send(Err(Error::Settle(error)));
                    return;
                }
                let _ = ready.send(Ok(()));
                self.run(&mut device);
            }
            Err(error) => {
                let _ = ready.send(Err(self.error(error)));
            }
        }
    }

    fn open(&self) -> Result<Device, Trouble> {
        Device::open(&self.name, self.ring, self.filter.as_deref())
    }

    /// Until it is told to end; over the death of its interface.
    fn run(mut self, device: &mut Device) {
        let mut ending = None;
        loop {
            let before = now();
            let mut batch = Batch::new(device.link());
            let taken = device.take(&mut batch);
            if !batch.is_empty() {
                self.hand_over(batch);
            }
            match taken {
                Ok(0) => {
                    // The kernel gives a block out when it is full, or after its time and up to once more that.
                    let _ = self.inlet.offer(Event::Quiet(before - LAG));
                    match ending {
                        Some(end) if Instant::now() >= end => break,
                        Some(_) => wait(device, GRACE / 8),
                        None => wait(device, self.patience),
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    if !self.revive(device, &error) {
                        break;
                    }
                }
            }
            if ending.is_none() && self.inlet.stopping() {
                // What the kernel holds back by now still belongs to the run.
                ending = Some(Instant::now() + GRACE);
            }
            if ending.is_some_and(|end| Instant::now() >= end + GRACE) {
                break;
            }
            self.count(device, COUNT);
        }
        self.count(device, Duration::ZERO);
        let _ = self.insist(Event::Ended);
    }

    fn hand_over(&mut self, batch: Batch) {
        let packets = batch.len() as u64;
        if self.inlet.offer(Event::Packets(batch)).is_err() {
            self.lost.own += packets;
        }
    }

    /// Asks the kernel for its losses from time to time, and tells them.
    fn count(&mut self, device: &mut Device, every: Duration) {
        if self.counted.elapsed() < every {
            return;
        }
        self.counted = Instant::now();
        self.ask(device);
        let Lost { kernel, interface, own } = self.lost;
        if self.lost == Lost::default() {
            return;
        }
        let told = || Event::Dropped { kernel, interface, own };
        if self.inlet.offer(told()).is_ok() || every.is_zero() && self.insist(told()) {
            self.lost = Lost::default();
        }
    }

    fn ask(&mut self, device: &mut Device) {
        let (kernel, interface) = device.dropped();
        self.lost.kernel += kernel;
        self.lost.interface += interface;
    }

    /// The interface went down or away: waits until it is back. False if the run ends before.
    fn revive(&mut self, device: &mut Device, error: &pcap::Error) -> bool {
        let since = Instant::now();
        self.ask(device);
        self.tell(format!("nothing is seen there any more: {error}"));
        loop {
            thread::sleep(PATIENCE);
            if self.inlet.stopping() {
                return false;
            }
            let _ = self.inlet.offer(Event::Quiet(now() - LAG));
            // It can be opened while it is down, but not be read.
            if is_up(&self.name)
                && let Ok(again) = self.open()
            {
                *device = again;
                self.tell(format!("it is back; what passed in the {:.1} s before was not seen", since.elapsed().as_secs_f64()));
                return true;
            }
        }
    }

    fn tell(&self, detail: String) {
        self.insist(Event::Trouble { kind: "interface", place: self.name.clone(), detail });
    }

    /// Offers what must not be lost until it is taken, or nobody is there to take it.
    fn insist(&self, event: Event) -> bool {
        let mut event = event;
        for _ in 0..TRIES {
            match self.inlet.offer(event) {
                Ok(()) => return true,
                Err(Refused(back)) => event = back,
            }
            thread::sleep(PATIENCE / 5);
        }
        false
    }

    fn error(&self, trouble: Trouble) -> Error {
        let why = match trouble {
            Trouble::Filter(error) => return Error::Filter(error.to_string()),
            Trouble::Open(error) => error.to_string(),
        };
        let why = why.strip_prefix("libpcap error: ").unwrap_or(&why).trim().to_owned();
        let hint = if why.contains("ermission") || why.contains("ermitted") {
            "\nCapturing takes root or CAP_NET_RAW: sudo gatewitness live, or once: sudo setcap cap_net_raw+ep $(command -v gatewitness)"
                .to_owned()
        } else {
            let names: Vec<String> = pcap::Device::list().unwrap_or_default().into_iter().map(|device| device.name).collect();
            if names.is_empty() || names.contains(&self.name) { String::new() } else { format!("\nThere are: {}", names.join(", ")) }
        };
        Error::Open { device: self.name.clone(), why, hint }
    }
}

/// Until packets are there, or for so long.
fn wait(device: &Device, patience: Duration) {
    let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(patience.subsec_nanos()) };
    let mut fds = [PollFd::new(&device.capture, PollFlags::IN)];
    if poll(&mut fds, Some(&timeout)).is_err() || fds.iter().any(|fd| fd.revents().contains(PollFlags::ERR)) {
        // The next read tells what is wrong; meanwhile this must not spin.
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether it is there and up. libpcap's own list would also ask for Bluetooth and USB, for which a confined run has no rights.
fn is_up(name: &str) -> bool {
    let listed = nix::ifaddrs::getifaddrs().into_iter().flatten();
    listed.into_iter().any(|one| one.interface_name == name && one.flags.contains(nix::net::if_::InterfaceFlags::IFF_UP))
}

/// How long an idle interface is waited for before the clock is looked at again; less than a second, so that timers of `tv_nsec` do.
const PATIENCE: Duration = Duration::from_millis(50);
/// What is older than this was handed over by the kernel, if it was there at all: twice a block's time, and some for a busy machine.
const LAG: i64 = 3 * BLOCK_MILLIS as i64 * 1_000_000;
/// How long the kernel's last blocks are waited for.
const GRACE: Duration = Duration::from_millis(40);
const COUNT: Duration = Duration::from_millis(500);
const TRIES: u32 = 100;
