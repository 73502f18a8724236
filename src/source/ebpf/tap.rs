//! Finds what to probe, sets the probes, follows processes as they come and go, and hands on what the ring holds.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::choice::{Choice, Chosen};
use super::event::Event;
use super::health::{Blind, Health};
use super::object::{Link, LoadError, Object};
use super::process::{Mapped, Process};
use super::{clock, kernel, library};
use crate::base::{Addr, Limits, Ts};

/// Probes that are set.
pub struct Tap {
    object: Object,
    choice: Choice,
    chosen: Chosen,
    /// Files that were looked at.
    files: BTreeMap<(u64, u64), Looked>,
    blind: BTreeMap<(u32, u64), Option<Blind>>,
    offset: i64,
    scanned: Instant,
    budget: u64,
    calls: u64,
    over: u32,
    detached: Option<String>,
}

/// A file that was looked at.
enum Looked {
    Probed(String, Vec<Link>),
    Random(Vec<Link>),
    Nothing,
}

/// Why nothing can be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Uprobes may harm this kernel.
    #[error("TLS plaintext is not read on this kernel. {0}")]
    Unsafe(String),
    /// The kernel did not let us.
    #[error("TLS plaintext cannot be read: {what}: {error}")]
    Refused {
        /// What is missing, in words for people.
        what: String,
        /// What the kernel said.
        error: String,
    },
    /// What was chosen does not exist.
    #[error("{0}")]
    Missing(String),
}

impl Tap {
    /// Loads the programs and sets probes for what is there already.
    pub fn open(choice: Choice, force: bool, limits: &Limits) -> Result<Tap, Error> {
        let safety = kernel::safety();
        if !safety.safe && !force {
            return Err(Error::Unsafe(safety.why));
        }
        if let Some(missing) = choice.missing().into_iter().next() {
            return Err(Error::Missing(missing));
        }
        let ring = u32::try_from(limits.tap_ring_bytes).unwrap_or(u32::MAX);
        let object = Object::load(ring).map_err(|error| refused(&error))?;
        let mut tap = Tap {
            object,
            choice,
            chosen: Chosen::default(),
            files: BTreeMap::new(),
            blind: BTreeMap::new(),
            offset: clock::offset(),
            scanned: Instant::now(),
            budget: limits.tap_calls_per_second as u64,
            calls: 0,
            over: 0,
            detached: None,
        };
        tap.scan()?;
        tap.calls = tap.count(0) + tap.count(1);
        Ok(tap)
    }

    /// What would be seen of these processes; no probe is set.
    pub fn survey(pids: &[u32]) -> Health {
        let mut health = Health::default();
        for process in pids.iter().filter_map(|pid| Process::of(*pid)) {
            health.processes += 1;
            let mapped = match process.mapped() {
                Ok(mapped) => mapped,
                Err(error) => {
                    health.blind.push(blind(&process, format!("its memory map cannot be read ({error})")));
                    continue;
                }
            };
            let holds = |file: &&Mapped| file.open().and_then(|(_, file)| library::look(file)).is_ok_and(|found| found.is_tls);
            let found: Vec<String> = mapped.iter().filter(holds).map(|file| file.name.clone()).collect();
            health.blind.extend(unseen(&mapped, !found.is_empty()).map(|why| blind(&process, why)));
            health.libraries.extend(found);
        }
        health.libraries.sort();
        health.libraries.dedup();
        health
    }

    /// Watches what `choice` says from now on.
    pub fn choose(&mut self, choice: Choice) -> Result<(), Error> {
        if choice != self.choice {
            self.choice = choice;
            self.scan()?;
        }
        Ok(())
    }

    /// To be called now and then: follows processes, and takes the probes off where they cost too much.
    pub fn tend(&mut self) -> Result<(), Error> {
        let since = self.scanned.elapsed();
        if since < EVERY || self.detached.is_some() {
            return Ok(());
        }
        let calls = self.count(0) + self.count(1);
        let rate = (calls - self.calls) as f64 / since.as_secs_f64();
        self.calls = calls;
        self.over = if rate > self.budget as f64 { self.over + 1 } else { 0 };
        if self.over >= TOO_LONG {
            let why = format!("{rate:.0} calls a second passed the probes for {TOO_LONG} seconds; tap_calls_per_second is {}", self.budget);
            self.detach(why);
            return Ok(());
        }
        self.offset = clock::offset();
        self.scan()
    }

    /// Hands on what the ring holds, at most `most` events; times are those of packets. Returns how many there were.
    pub fn drain(&mut self, most: usize, mut out: impl FnMut(Event<'_>)) -> usize {
        let mut n = 0;
        while n < most {
            let Some(item) = self.object.ring.next() else { break };
            n += 1;
            if let Some(mut event) = Event::read(&item) {
                event.began += self.offset;
                event.returned += self.offset;
                out(event);
            }
        }
        n
    }

    /// Everything that happened before is in the ring once this was asked.
    pub fn now(&self) -> Ts {
        clock::now()
    }

    /// The ends of a process's socket: its own, the other.
    pub fn ends(&self, pid: u32, fd: u32) -> Option<(Addr, Addr)> {
        Process::of(pid)?.ends(fd)
    }

    /// Whether a process is gone.
    pub fn is_gone(&self, pid: u32) -> bool {
        Process::of(pid).is_none()
    }

    /// Readable when the ring is fuller than a quarter.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.object.ring.as_fd()
    }

    /// How probes are set on this kernel with these privileges.
    pub fn way(&self) -> &'static str {
        self.object.way()
    }

    /// What was seen, lost, and cannot be seen.
    pub fn health(&self) -> Health {
        let probed = self.files.values().filter_map(|file| if let Looked::Probed(name, _) = file { Some(name.clone()) } else { None });
        Health {
            processes: self.chosen.watched.len(),
            libraries: probed.collect::<BTreeSet<_>>().into_iter().collect(),
            calls: self.count(0),
            strangers: self.count(1),
            dropped_events: self.count(2),
            dropped_bytes: self.count(3),
            faults: self.count(4),
            cut_bytes: self.count(5),
            blind: self.blind.values().flatten().cloned().collect(),
            detached: self.detached.clone(),
        }
    }

    /// Takes all probes off.
    pub fn detach(&mut self, why: String) {
        self.detached.get_or_insert(why);
        for (_, file) in std::mem::take(&mut self.files) {
            if let Looked::Probed(_, links) | Looked::Random(links) = file {
                links.into_iter().for_each(|link| self.object.detach(link));
            }
        }
    }

    fn count(&self, what: u32) -> u64 {
        self.object.counts.get(&what, 0).map_or(0, |by_cpu| by_cpu.iter().sum())
    }

    /// Looks which processes are to be watched, and sets probes in files that are new among theirs.
    fn scan(&mut self) -> Result<(), Error> {
        self.scanned = Instant::now();
        let chosen = self.choice.look();
        if chosen.roots != self.chosen.roots || chosen.exes != self.chosen.exes || chosen.cgroups != self.chosen.cgroups {
            let pids: HashMap<u32, u64> = chosen.roots.iter().map(|process| (process.pid, process.start)).collect();
            let told = self.object.choose(&pids, chosen.exes.iter().copied(), chosen.cgroups.iter().copied());
            told.map_err(|error| refused(&error.into()))?;
        }
        self.chosen = chosen;
        for process in self.chosen.watched.clone() {
            self.look_at(&process)?;
        }
        // A program that does not run yet may be over before it is looked at: it and the system's libraries are probed beforehand.
        if !self.choice.exes.is_empty() {
            let own = Process { pid: std::process::id(), start: 0, command: Vec::new() };
            let exes: Vec<Mapped> = self.choice.exes.iter().filter_map(|path| Mapped::at(path)).collect();
            for file in exes.into_iter().chain(Mapped::of_system()) {
                if !self.files.contains_key(&file.id)
                    && let Some(looked) = self.probe(&own, &file)?
                {
                    self.files.insert(file.id, looked);
                }
            }
        }
        let alive: BTreeSet<(u32, u64)> = self.chosen.watched.iter().map(|process| (process.pid, process.start)).collect();
        self.blind.retain(|process, blind| blind.as_ref().is_some_and(|blind| !blind.passing) || alive.contains(process));
        Ok(())
    }

    fn look_at(&mut self, process: &Process) -> Result<(), Error> {
        let mapped = match process.mapped() {
            Ok(mapped) => mapped,
            // It may have ended meanwhile.
            Err(_) if self.is_gone(process.pid) => return Ok(()),
            Err(error) => {
                let why = format!("its memory map cannot be read ({error}): CAP_SYS_PTRACE is needed for processes of other users");
                self.blind.insert((process.pid, process.start), Some(blind(process, why)));
                return Ok(());
            }
        };
        let mut seen = false;
        for file in &mapped {
            if !self.files.contains_key(&file.id) {
                // A file that could not be looked at this time may be the next.
                if let Some(looked) = self.probe(process, file)? {
                    self.files.insert(file.id, looked);
                }
            }
            seen |= matches!(self.files.get(&file.id), Some(Looked::Probed(..)));
        }
        // Looked for once: the marks of other TLS lie in large files.
        match self.blind.entry((process.pid, process.start)) {
            Entry::Vacant(place) => {
                place.insert(unseen(&mapped, seen).map(|why| blind(process, why)));
            }
            Entry::Occupied(mut known) if seen => {
                known.get_mut().take_if(|blind| blind.passing);
            }
            Entry::Occupied(_) => {}
        }
        Ok(())
    }

    fn probe(&mut self, process: &Process, mapped: &Mapped) -> Result<Option<Looked>, Error> {
        let (path, file) = match mapped.open() {
            Ok(open) => open,
            // The process has ended, or taken the mapping back: so some do when they start.
            Err(error) if error.kind() == io::ErrorKind::NotFound || self.is_gone(process.pid) => return Ok(None),
            Err(error) => {
                let why = format!(
                    "{} cannot be opened ({error}): CAP_SYS_PTRACE, with CAP_CHECKPOINT_RESTORE and CAP_DAC_READ_SEARCH for deleted files",
                    mapped.name
                );
                self.blind.insert((process.pid, process.start), Some(blind(process, why)));
                return Ok(None);
            }
        };
        let Ok(found) = library::look(file) else { return Ok(None) };
        if found.probes.is_empty() {
            return Ok(Some(Looked::Nothing));
        }
        match self.object.attach(&path, &found.probes) {
            Ok(links) if found.is_tls => Ok(Some(Looked::Probed(mapped.name.clone(), links))),
            Ok(links) => Ok(Some(Looked::Random(links))),
            // It ended between two looks; it may still wait to be buried.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) || error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::Refused { what: attach_hint(&error, self.object.way()), error: format!("{}: {error}", mapped.name) }),
        }
    }
}

/// Why the TLS of a process can't be seen, if so.
fn unseen(mapped: &[Mapped], seen: bool) -> Option<String> {
    let names = |part: &str| mapped.iter().find(|file| file.name.contains(part)).map(|file| file.name.clone());
    for (part, what) in [("/libgnutls.so", "GnuTLS"), ("/libnss3.so", "NSS"), ("/libmbedtls.so", "Mbed TLS"), ("/libwolfssl.so", "wolfSSL")]
    {
        if let Some(name) = names(part).filter(|_| !seen) {
            return Some(format!("it uses {what} ({name}): only OpenSSL can be seen"));
        }
    }
    // The program itself, and libraries that are known to bring a TLS of their own.
    let telling = mapped.iter().enumerate().filter(|(n, file)| *n == 0 || BRING.iter().any(|part| file.name.contains(part)));
    for (_, file) in telling {
        let other = file.open().and_then(|(_, file)| library::other_tls(file)).ok().flatten();
        // A program that defines the functions holds OpenSSL's texts as well.
        let own = |file: &Mapped| file.open().and_then(|(_, file)| library::look(file)).is_ok_and(|found| found.is_tls);
        if let Some(other) = other.filter(|_| !own(file)) {
            return Some(format!("{} holds {other}: only OpenSSL with symbols can be seen", file.name));
        }
    }
    (!seen).then(|| NOT_YET.to_owned())
}

fn blind(process: &Process, why: String) -> Blind {
    let passing = why == NOT_YET;
    Blind { pid: process.pid, program: process.command.first().cloned().unwrap_or_default(), why, passing }
}

/// What the kernel's refusal to load means.
fn refused(error: &LoadError) -> Error {
    let text = format!("{:#}", anyhow::Error::msg(causes(error)));
    let missing = |errno: &str| text.contains(errno);
    let what = if missing("Operation not permitted") && (text.contains("map") || text.contains("BPF_MAP_CREATE")) {
        "CAP_BPF is missing (Linux 5.8 and later: CAP_BPF and CAP_PERFMON; root has both)"
    } else if missing("Operation not permitted") || missing("Permission denied") {
        "CAP_PERFMON is missing (CAP_BPF alone is not enough)"
    } else if text.contains("/sys/kernel/btf") || text.contains("BTF") {
        "this kernel does not describe its types (/sys/kernel/btf/vmlinux, CONFIG_DEBUG_INFO_BTF)"
    } else {
        "the kernel did not take the program"
    };
    Error::Refused { what: what.to_owned(), error: text }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text.lines().next().unwrap_or_default().to_owned()
}

fn attach_hint(error: &io::Error, way: &str) -> String {
    match (error.kind(), way) {
        (io::ErrorKind::PermissionDenied, "perf") => {
            "probes through perf events need CAP_SYS_ADMIN (kernels before 6.6, or since CVE-2025-38466); with 6.6 and later CAP_BPF and \
             CAP_PERFMON are enough"
                .to_owned()
        }
        (io::ErrorKind::PermissionDenied, _) => {
            "the file cannot be reached: CAP_SYS_PTRACE is needed for processes of other users".to_owned()
        }
        _ => "a probe cannot be set".to_owned(),
    }
}

const NOT_YET: &str = "no OpenSSL was found in it (it may load one later)";
/// How often processes are looked at.
const EVERY: Duration = Duration::from_millis(1000);
/// Seconds above the budget after which the probes go.
const TOO_LONG: u32 = 5;
/// Libraries that bring a TLS of their own.
const BRING: &[&str] = &["cygrpc", "rustls", "boringssl", "libconscrypt"];
