//! Where a run that goes on tells what it finds: standard output, a file that begins anew at a size, or the system's log.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::args::{Format, LogTo, Showing, size};
use super::attach::folder;
use super::config::Config;
use super::exit::Rule;
use super::output::{BUFFER, Manner, colour_wanted, create, report};
use super::rotate::Rotating;
use super::syslog::SystemLog;
use crate::base::Limits;
use crate::report::{Live, Log, Report, Shape};

/// What only makes sense where the end is not in sight.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Showing")]
pub(super) struct Outlet {
    /// Tell the system's log instead, one line for each new kind of hidden failure: `syslog` or `journald`
    #[arg(long, value_name = "LOG", hide_possible_values = true, conflicts_with_all = ["output", "format"])]
    log: Option<LogTo>,

    /// Begin the --output file anew at this size, between two lines; what it held goes to FILE.1, what that held to FILE.2. An existing FILE
    /// is gone on with
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_size: Option<u64>,

    /// Files that --max-size leaves, the one at hand among them; the oldest is overwritten [default: 10]
    #[arg(long, value_name = "N")]
    max_files: Option<usize>,
}

impl Outlet {
    /// With the configuration's word where the command line has none.
    pub(super) fn or(self, config: &Config, given: &Showing) -> Outlet {
        let elsewhere = given.output.is_some() || given.format.is_some();
        Outlet {
            log: self.log.or(config.log.filter(|_| !elsewhere)),
            max_size: self.max_size.or(config.max_size),
            max_files: self.max_files.or(config.max_files),
        }
    }

    /// Whether the system's log is told.
    pub(super) fn is_log(&self) -> bool {
        self.log.is_some()
    }

    /// Where files are made while the run goes on.
    pub(super) fn folder(&self, showing: &Showing) -> Option<PathBuf> {
        self.max_size.and(showing.output.as_deref()).map(folder)
    }

    /// Opens the way out.
    pub(super) fn open(&self, showing: &Showing, shape: Shape, rule: &Rule, limits: &Limits) -> anyhow::Result<Box<dyn Report>> {
        if let Some(log) = self.log {
            return Ok(Box::new(Log::new(SystemLog::open(log, limits)?, shape)));
        }
        let Some(path) = &showing.output else {
            if self.max_size.is_some() {
                bail!("--max-size: standard output cannot begin anew; name a file with --output");
            }
            let out = io::stdout();
            let colour = out.is_terminal() && colour_wanted();
            return form(showing, BufWriter::with_capacity(BUFFER, out), shape, rule, colour);
        };
        match self.max_size {
            None => form(showing, BufWriter::with_capacity(BUFFER, create(path, &[])?), shape, rule, false),
            Some(size) => form(showing, self.rotating(path, size, showing.format())?, shape, rule, false),
        }
    }

    fn rotating(&self, path: &Path, size: u64, format: Format) -> anyhow::Result<Rotating> {
        if !matches!(format, Format::Text | Format::Ndjson) {
            bail!("--max-size: such a document is whole in one file; it fits --format text and ndjson");
        }
        let files = self.max_files.unwrap_or(MAX_FILES);
        Rotating::open(path, size, files).with_context(|| format!("{}: cannot be written", path.display()))
    }
}

fn form<W: Write + 'static>(showing: &Showing, out: W, shape: Shape, rule: &Rule, colour: bool) -> anyhow::Result<Box<dyn Report>> {
    if showing.format() == Format::Text {
        return Ok(Box::new(Live::new(out, shape, colour)));
    }
    report(showing.format(), out, shape, &Manner { rule, explain: None, issue: false }, colour)
}

const MAX_FILES: usize = 10;
