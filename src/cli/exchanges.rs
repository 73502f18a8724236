//! `gatewitness exchanges`: what pairing works from.

use clap::Args;

use super::args::{Reading, Showing};
use super::config::Config;
use super::exit::{Exit, Rule};
use super::run::{Plan, run};

/// List every HTTP exchange seen on any port, one a line: what pairing works from
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Exchanges {
    #[command(flatten)]
    reading: Reading,

    #[command(flatten)]
    showing: Showing,
}

impl Exchanges {
    /// Reads and shows, and judges nothing.
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let config = Config::read(self.reading.keys.config.as_deref())?;
        run(Plan {
            reading: self.reading.or(&config),
            showing: self.showing.or(&config),
            rule: Rule { fail_on: Vec::new(), allow_declared: false, strict: false },
            gateways: Vec::new(),
            stall_after: i64::MAX,
            only_findings: false,
            exchanges: true,
            explain: None,
            issue: false,
            evidence: None,
            #[cfg(feature = "live")]
            otlp: super::otlp::To::default(),
        })
    }
}

const AFTER_HELP: &str = "\
Examples:
  gatewitness exchanges incident.pcap
  gatewitness exchanges incident.pcap --format ndjson | jq 'select(.http.status == 401)'

Exit codes:
  0  the captures were read
  2  usage, or an input that cannot be read";
