//! Rights are given up once everything is open: another user, no capability that is not needed, no new privileges, Landlock, seccomp. All
//! of it is Linux's, holds for one thread and those that it starts, and cannot be taken back: every thread calls [`Confinement::settle`]
//! for itself. Says what is left as the kernel tells it, not as it was meant.

mod calls;
mod files;
mod user;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::thread::{CapabilitySet, CapabilitySets};
use seccompiler::BpfProgram;

use self::files::Open;
pub use self::user::NoUser;
use self::user::User;

/// What a run still has to do after its beginning.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Interfaces are named, and may go away and have to be opened again.
    pub reopen: bool,
    /// Probes are set in processes that start later (`--tls`).
    pub probes: bool,
    /// A server that is connected to, again and again (`--otlp`).
    pub connect: Option<SocketAddr>,
    /// The system's log is told, which is looked for by its name each time.
    pub log: bool,
    /// Directories in which files are read again.
    pub reads: Vec<PathBuf>,
    /// Directories in which files are made, renamed and removed.
    pub writes: Vec<PathBuf>,
}

/// A way to give rights up, worked out while there are still rights to find it.
pub struct Confinement {
    needs: Needs,
    user: Option<User>,
    open: Open,
    filter: BpfProgram,
    left: Mutex<Left>,
}

/// What a thread has left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    user: String,
    capabilities: Vec<String>,
    no_new_privs: bool,
    landlock: String,
    seccomp: String,
    why: Vec<&'static str>,
}

/// Why rights cannot be given up as they were to be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user.
    #[error(transparent)]
    User(#[from] NoUser),
    /// A directory.
    #[error("{0}: {1}")]
    Folder(PathBuf, String),
    /// The filter cannot be made.
    #[error("seccomp: {0}")]
    Filter(String),
}

impl Confinement {
    /// For these needs. `user`: as whom to go on (a name or a number); else, as root, the user who owns what must be written, or
    /// `gatewitness`, or `nobody`.
    pub fn plan(needs: Needs, user: Option<&str>) -> Result<Arc<Confinement>, Error> {
        let user = user::choose(user, &needs.writes)?;
        let open = files::open(&needs.reads, &needs.writes, needs.connect.map(|server| server.port()))?;
        let filter = calls::filter(&needs).map_err(|error| Error::Filter(error.to_string()))?;
        Ok(Arc::new(Confinement { needs, user, open, filter, left: Mutex::default() }))
    }

    /// The calling thread gives up what the run needs no longer. What the kernel does not have is passed over, and told by
    /// [`Confinement::left`]; what it refuses although it has it is an error.
    pub fn settle(&self) -> io::Result<()> {
        let kept = self.keep()?;
        rustix::thread::set_no_new_privs(true)?;
        // Landlock keeps a thread from looking into processes outside, which is what probes are for.
        let landlock =
            if self.needs.probes { "none: it would hide other processes from --tls".to_owned() } else { self.open.restrict()? };
        let mut left = Left {
            user: user::current(),
            capabilities: names(rustix::thread::capabilities(None)?.permitted),
            no_new_privs: rustix::thread::no_new_privs()?,
            landlock,
            seccomp: String::new(),
            why: self.why(kept),
        };
        left.seccomp = match seccompiler::apply_filter(&self.filter) {
            Ok(()) => "on".to_owned(),
            Err(error) => format!("none: {error}"),
        };
        let mut told = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        // Threads differ only if one of them could not do what another did: the worst is told.
        if told.user.is_empty() || left.seccomp != "on" {
            *told = left;
        }
        Ok(())
    }

    /// What the threads that have settled have left.
    pub fn left(&self) -> Left {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Becomes the user, with no capability but those that are needed and were there.
    fn keep(&self) -> io::Result<CapabilitySet> {
        let had = rustix::thread::capabilities(None)?.permitted;
        let kept = had & self.wanted();
        for capability in (CapabilitySet::all() - kept).iter() {
            // Newer ones than the kernel's are unknown to it, and without CAP_SETPCAP the set stays: no_new_privs makes it idle anyway.
            let _ = rustix::thread::remove_capability_from_bounding_set(capability);
        }
        if let Some(user) = &self.user {
            rustix::thread::set_keep_capabilities(true)?;
            user.become_it()?;
        }
        rustix::thread::set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() })?;
        let _ = rustix::thread::clear_ambient_capability_set();
        Ok(kept)
    }

    fn wanted(&self) -> CapabilitySet {
        let mut wanted = CapabilitySet::empty();
        if self.needs.reopen {
            wanted |= CapabilitySet::NET_RAW;
        }
        if self.needs.probes {
            wanted |= CapabilitySet::BPF | CapabilitySet::PERFMON | CapabilitySet::SYS_PTRACE | CapabilitySet::DAC_READ_SEARCH;
        }
        wanted
    }

    fn why(&self, kept: CapabilitySet) -> Vec<&'static str> {
        let reasons = [
            (kept.contains(CapabilitySet::NET_RAW), "an interface named with -i may have to be opened again"),
            (self.needs.log, "--log looks for the system's log again: datagrams may be sent"),
            (self.needs.connect.is_some(), "--otlp connects to its receiver's port"),
            (self.needs.probes && !kept.is_empty(), "--tls sets probes in processes that start later"),
        ];
        reasons.into_iter().filter_map(|(holds, why)| holds.then_some(why)).collect()
    }
}

/// What could be given up here, for `doctor`.
pub fn prospects() -> String {
    let seccomp = if std::path::Path::new("/proc/sys/kernel/seccomp/actions_avail").exists() { "seccomp" } else { "no seccomp" };
    format!("{}; {}; {seccomp}", user::prospect(), files::prospect())
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let capabilities = if self.capabilities.is_empty() { "no capabilities".to_owned() } else { self.capabilities.join(", ") };
        let privileges = if self.no_new_privs { "no_new_privs" } else { "NEW PRIVILEGES POSSIBLE" };
        write!(f, "user {}; {capabilities}", self.user)?;
        if !self.why.is_empty() {
            write!(f, " ({})", self.why.join("; "))?;
        }
        write!(f, "; {privileges}; Landlock {}; seccomp {}", self.landlock, self.seccomp)
    }
}

fn names(set: CapabilitySet) -> Vec<String> {
    set.iter_names().map(|(name, _)| format!("CAP_{name}")).collect()
}
