//! `gatewitness compare`: did the fix work?

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::args::{Format, Named, Showing, seconds};
use super::config::Config;
use super::exit::Exit;
use super::key;
use super::meter::Meter;
use super::output;
use super::run::Settings;
use super::wiring;
use crate::base::Limits;
use crate::pipeline::Summary;
use crate::report::compare::{Answer, Comparison, Layout, Side};

/// Did the fix work? What two captures of a gateway show, side by side
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP, long_about = LONG_ABOUT)]
pub(super) struct Compare {
    /// Capture file of the time before the change, or a directory of them
    before: PathBuf,

    /// Capture file of the time after it, or a directory of them
    after: PathBuf,

    /// TLS keys in NSS key log format, of either capture (repeatable)
    #[arg(long, value_name = "FILE")]
    keylog: Vec<PathBuf>,

    /// Where the gateway listens, in either capture (repeatable). Without it, gateways are found by what they do
    #[arg(long, value_name = "ADDR[:PORT]")]
    gateway: Vec<Named>,

    /// When silence counts as a stalled answer, in packet time [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    stall_after: Option<f64>,

    #[command(flatten)]
    showing: Showing,

    /// Take options from a TOML file; every long option is a key there, and the command line wins
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Compare {
    /// Judges both, one after the other, and compares.
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let config = Config::read(self.config.as_deref())?;
        let showing = self.showing.or(&config);
        let format = showing.format();
        if !matches!(format, Format::Text | Format::Json | Format::Markdown) {
            bail!("a comparison is text, json or markdown");
        }
        let keylogs = if self.keylog.is_empty() { config.keylog } else { self.keylog };
        let named = if self.gateway.is_empty() { config.gateway } else { self.gateway };
        let stall_after = (self.stall_after.or(config.stall_after).unwrap_or(STALL_AFTER) * 1e9) as i64;
        let judge = |path: &PathBuf| -> anyhow::Result<(Side, Summary)> {
            let limits = Limits::default();
            let opened = wiring::open(std::slice::from_ref(path), &keylogs, &limits)?;
            let mut side = Side::new(opened.files());
            let gateways = named.iter().map(|Named(ip, port)| (*ip, *port)).collect();
            let settings = Settings { limits, keyer: key::keyer(None)?, gateways, stall_after };
            let mut meter = Meter::start()?;
            let mut summary = wiring::walk(opened, settings, &mut side, |moment| {
                meter.at(moment.read, moment.total);
                !meter.interrupted()
            })?;
            meter.clear();
            if meter.interrupted() {
                bail!("{}: interrupted; half a capture is not compared", path.display());
            }
            summary.captures = vec![path.display().to_string()];
            Ok((side, summary))
        };
        let (before, before_summary) = judge(&self.before)?;
        let (after, after_summary) = judge(&self.after)?;
        let comparison = Comparison::new((before, &before_summary), (after, &after_summary));
        let text = match format {
            Format::Json => comparison.json()?,
            Format::Markdown => comparison.told(Layout::Markdown),
            _ => comparison.told(Layout::Text),
        };
        match &showing.output {
            Some(path) => output::create(path, &[self.before, self.after])?.write_all(text.as_bytes())?,
            None => io::stdout().write_all(text.as_bytes())?,
        }
        Ok(match comparison.answer() {
            Answer::Clean => Exit::Clean,
            Answer::Hidden => Exit::Found,
            Answer::CannotTell => Exit::Incomplete,
        })
    }
}

const STALL_AFTER: f64 = 60.0;

const LONG_ABOUT: &str = "\
Did the fix work? What two captures of a gateway show, side by side.

Compares situations: what a client asked on which route, which upstream failed in which way and at which request. Says what stopped \
being hidden, what still is, what is new, and what cannot be told, since a failure that did not happen after the change proves nothing.";

const AFTER_HELP: &str = "\
Examples:
  gatewitness compare before.pcap after.pcap
  gatewitness compare before/ after/ --format markdown >> \"$GITHUB_STEP_SUMMARY\"

Exit codes:
  0  nothing is hidden in AFTER, and all that was hidden in BEFORE was put to the test
  1  something is hidden in AFTER
  2  usage, or an input that cannot be read
  3  nothing is hidden in AFTER as far as it can tell, but it cannot tell of everything";
