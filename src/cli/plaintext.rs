//! `--tls`: the options that `live` and the dashboard share, and whom they mean.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

use super::config::Config;
use crate::base::Limits;
use crate::source::live::Feed;

/// Whose plaintext to read.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Inside TLS")]
pub(super) struct Plaintext {
    /// Read TLS plaintext at OpenSSL's own calls, in the gateway's processes and no others (Linux; docs/ebpf.md)
    #[arg(long)]
    tls: bool,

    /// The same in this process and its children (repeatable)
    #[arg(long, value_name = "PID")]
    tls_pid: Vec<u32>,

    /// The same in every process that runs this program, now or later (repeatable)
    #[arg(long, value_name = "FILE")]
    tls_exe: Vec<PathBuf>,

    /// The same in every process of a container, by its id, the beginning of it, or its Docker name (repeatable)
    #[arg(long, value_name = "ID")]
    tls_container: Vec<String>,

    /// Read it also on kernels that may crash from it
    #[arg(long)]
    tls_force: bool,
}

impl Plaintext {
    /// With the configuration's word where the command line has none.
    pub(super) fn or(self, config: &Config) -> Plaintext {
        Plaintext {
            tls: self.tls || config.tls,
            tls_pid: if self.tls_pid.is_empty() { config.tls_pid.clone() } else { self.tls_pid },
            tls_exe: if self.tls_exe.is_empty() { config.tls_exe.clone() } else { self.tls_exe },
            tls_container: if self.tls_container.is_empty() { config.tls_container.clone() } else { self.tls_container },
            tls_force: self.tls_force || config.tls_force,
        }
    }

    /// Whether any of it was asked for.
    pub(super) fn is_wanted(&self) -> bool {
        self.tls || !(self.tls_pid.is_empty() && self.tls_exe.is_empty() && self.tls_container.is_empty())
    }

    /// Sets the probes and begins to read, if that is wanted.
    pub(super) fn open(self, gateways: &[(IpAddr, Option<u16>)], limits: &Limits, feed: &mut Feed) -> anyhow::Result<Tapping> {
        if !self.is_wanted() {
            return Ok(Tapping::default());
        }
        self.begin(gateways, limits, feed)
    }

    #[cfg(all(feature = "ebpf", target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn begin(self, gateways: &[(IpAddr, Option<u16>)], limits: &Limits, feed: &mut Feed) -> anyhow::Result<Tapping> {
        use crate::source::ebpf::{Choice, Running, Tap};
        let named = Choice { pids: self.tls_pid, exes: self.tls_exe, containers: self.tls_container, ..Choice::default() };
        // Where nobody was chosen: whoever is known for a gateway, and whoever turns out to be one.
        let follows = named.is_empty();
        let choice = if follows { Choice { known: true, listening: gateways.to_vec(), ..named } } else { named };
        let tap = Tap::open(choice.clone(), self.tls_force, limits)?;
        let health = tap.health();
        let libraries = if health.libraries.is_empty() { "none yet".to_owned() } else { health.libraries.join(", ") };
        let said = format!("TLS plaintext of {} processes (probed: {libraries})", health.processes);
        Ok(Tapping { said: Some(said), running: Some((Running::start(tap, feed)?, choice, follows)) })
    }

    #[cfg(not(all(feature = "ebpf", target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    fn begin(self, _: &[(IpAddr, Option<u16>)], _: &Limits, _: &mut Feed) -> anyhow::Result<Tapping> {
        anyhow::bail!("this program was built without eBPF: TLS plaintext can't be read; a key log can (--keylog)")
    }
}

/// What `--tls` could do for these processes on this host: why not, if not; files that would be probed; what would stay unseen.
#[cfg(all(feature = "ebpf", target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn prospects(pids: &[u32]) -> (Result<String, String>, Vec<String>, Vec<String>) {
    use crate::source::ebpf::{Choice, Tap, safety};
    // With nobody chosen, no probe is set: only loading is tried.
    let tried = Tap::open(Choice::default(), false, &Limits { tap_ring_bytes: 1 << 16, ..Limits::default() });
    let able = tried.map(|tap| format!("can be read with --tls ({}); {}", tap.way(), safety().why)).map_err(|error| error.to_string());
    let seen = Tap::survey(pids);
    let unseen = seen.blind.into_iter().map(|blind| format!("{} (pid {}): {}", blind.program, blind.pid, blind.why));
    (able, seen.libraries, unseen.collect())
}

/// Nothing.
#[cfg(not(all(feature = "ebpf", target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(super) fn prospects(_: &[u32]) -> (Result<String, String>, Vec<String>, Vec<String>) {
    (Err("this program was built without eBPF".to_owned()), Vec::new(), Vec::new())
}

/// Plaintext that is being read, if any is.
#[derive(Default)]
pub(super) struct Tapping {
    /// What is read, for people.
    pub(super) said: Option<String>,
    #[cfg(all(feature = "ebpf", target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    running: Option<(crate::source::ebpf::Running, crate::source::ebpf::Choice, bool)>,
}

impl Tapping {
    /// These were found to be gateways: their processes are watched from now on, where nobody was chosen by name.
    #[cfg(all(feature = "ebpf", target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub(super) fn follow(&mut self, gateways: impl Iterator<Item = (IpAddr, u16)>) {
        let Some((running, choice, true)) = &mut self.running else { return };
        let before = choice.listening.len();
        for (ip, port) in gateways {
            if !choice.listening.contains(&(ip, Some(port))) {
                choice.listening.push((ip, Some(port)));
            }
        }
        if choice.listening.len() > before {
            running.choose(choice.clone());
        }
    }

    /// Nothing is read, so nobody is followed.
    #[cfg(not(all(feature = "ebpf", target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    pub(super) fn follow(&mut self, _: impl Iterator<Item = (IpAddr, u16)>) {}

    /// What is being read now, for people.
    #[cfg(all(feature = "ebpf", target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub(super) fn state(&self) -> Option<String> {
        let (running, ..) = self.running.as_ref()?;
        let health = running.health();
        let libraries = if health.libraries.is_empty() { "none yet".to_owned() } else { health.libraries.join(", ") };
        let mut said = format!("TLS plaintext of {} processes, {} calls (probed: {libraries})", health.processes, health.calls);
        for blind in &health.blind {
            said += &format!("; {} (pid {}): {}", blind.program, blind.pid, blind.why);
        }
        said += &health.detached.map(|why| format!("; the probes were taken off: {why}")).unwrap_or_default();
        Some(said)
    }

    /// Nothing is read.
    #[cfg(not(all(feature = "ebpf", target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    pub(super) fn state(&self) -> Option<String> {
        None
    }

    /// What it cost and what it lost, for people.
    #[cfg(all(feature = "ebpf", target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub(super) fn tell(&self) -> Option<String> {
        let (running, ..) = self.running.as_ref()?;
        let health = running.health();
        let lost = if health.dropped_events > 0 { format!(", {} lost", health.dropped_events) } else { String::new() };
        Some(format!("{} TLS calls read{lost}, {} of other processes passed over", health.calls, health.strangers))
    }

    /// Nothing was read.
    #[cfg(not(all(feature = "ebpf", target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    pub(super) fn tell(&self) -> Option<String> {
        None
    }
}
