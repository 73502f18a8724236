//! Where to listen: options that `live` and the dashboard share.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::args::size;
use super::config::Config;
use crate::base::Limits;
use crate::live::{Recorder, Ring};
use crate::source::live::{Capture, Feed, Namespace, Settle, start};

/// What to attach to.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Capturing")]
pub(super) struct Attach {
    /// Interface to listen on (repeatable), `any` for all of them [default: any]
    #[arg(short, long, value_name = "IF")]
    interface: Vec<String>,

    /// The kernel's buffer for each interface [default: 32MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    ring: Option<u64>,

    /// Capture only what this libpcap filter lets through, as tcpdump takes it. Without it: whatever may carry TCP
    #[arg(long, value_name = "BPF")]
    filter: Option<String>,

    /// Listen in another network namespace: of a process, or one that `ip netns` knows
    #[arg(long, value_name = "PID|NAME", conflicts_with = "container")]
    netns: Option<String>,

    /// Listen in a container's network namespace, by its id or the beginning of it
    #[arg(long, value_name = "ID")]
    container: Option<String>,

    /// Keep the raw packets in a pcapng file that replays to the same verdicts. It holds credentials: only its owner may read it
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// Begin a new file of the recording at this size [default: 100MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    record_size: Option<u64>,

    /// Files of the recording that are kept; the oldest is removed [default: 10]
    #[arg(long, value_name = "N")]
    record_files: Option<usize>,
}

/// Sources that have begun.
pub(super) struct Attached {
    pub(super) feed: Feed,
    pub(super) recorder: Option<Recorder>,
    /// What is being listened to, for people.
    pub(super) said: String,
}

impl Attach {
    /// Whether any of it was asked for.
    pub(super) fn given(&self) -> bool {
        let Attach { interface, ring, filter, netns, container, record, record_size, record_files } = self;
        let numbers = ring.is_some() || record_size.is_some() || record_files.is_some();
        !interface.is_empty() || numbers || filter.is_some() || netns.is_some() || container.is_some() || record.is_some()
    }

    /// Whether interfaces were named: these may go away, `any` does not.
    pub(super) fn names_interfaces(&self) -> bool {
        self.interface.iter().any(|name| name != "any")
    }

    /// Where files are made while the run goes on.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        self.record.as_deref().map(folder)
    }

    /// With the configuration's word where the command line has none.
    pub(super) fn or(self, config: &Config) -> Attach {
        let named = self.netns.is_some() || self.container.is_some();
        Attach {
            interface: if self.interface.is_empty() { config.interface.clone() } else { self.interface },
            ring: self.ring.or(config.ring),
            filter: self.filter.or_else(|| config.filter.clone()),
            netns: self.netns.or_else(|| config.netns.clone().filter(|_| !named)),
            container: self.container.or_else(|| config.container.clone().filter(|_| !named)),
            record: self.record.or_else(|| config.record.clone()),
            record_size: self.record_size.or(config.record_size),
            record_files: self.record_files.or(config.record_files),
        }
    }

    /// Opens everything and begins to capture.
    ///
    /// `settle`: what each source does before it looks at anything that came from outside.
    pub(super) fn open(self, limits: &Limits, settle: Option<Settle>) -> anyhow::Result<Attached> {
        let namespace = match (&self.netns, &self.container) {
            (Some(name), _) => Some(Namespace::named(name).context("--netns")?),
            (None, Some(id)) => Some(Namespace::container(id).context("--container")?),
            (None, None) => None,
        };
        let mut interfaces = self.interface;
        if interfaces.is_empty() {
            interfaces.push("any".to_owned());
        }
        let mut named: Vec<String> = Vec::new();
        interfaces.retain(|name| {
            !named.contains(name) && {
                named.push(name.clone());
                true
            }
        });
        let place = namespace.as_ref().map(|space| format!(" in the network namespace of {}", space.name)).unwrap_or_default();
        let said = format!("{}{place}", interfaces.join(", "));
        let ring = u32::try_from(self.ring.unwrap_or(RING)).unwrap_or(u32::MAX).min(i32::MAX as u32);
        let mut feed = Feed::new(limits);
        if let Some(settle) = settle {
            feed.settling(settle);
        }
        start(&Capture { interfaces, ring, filter: self.filter, namespace }, &mut feed)?;
        let ring = Ring { size: self.record_size.unwrap_or(RECORD_SIZE), files: self.record_files.unwrap_or(RECORD_FILES) };
        let recorder = self
            .record
            .map(|path| Recorder::new(&path, ring).with_context(|| format!("{}: the recording cannot be written", path.display())));
        Ok(Attached { feed, recorder: recorder.transpose()?, said })
    }
}

/// The directory in which a file lies.
pub(super) fn folder(path: &Path) -> PathBuf {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

const RING: u64 = 32 << 20;
const RECORD_SIZE: u64 = 100 << 20;
const RECORD_FILES: usize = 10;
