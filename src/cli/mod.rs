//! Words on the command line come in, a run and an exit code come out; one file a command. It refuses to know how anything is read,
//! judged or laid out: it only wires the rooms that do.

mod args;
#[cfg(feature = "live")]
mod attach;
mod beside;
mod compare;
mod completions;
mod config;
#[cfg(feature = "live")]
mod doctor;
mod evidence;
mod exchanges;
mod exit;
mod hangup;
mod key;
mod keylogs;
#[cfg(feature = "live")]
mod known;
#[cfg(feature = "live")]
mod live;
mod man;
mod meter;
#[cfg(feature = "live")]
mod otlp;
#[cfg(feature = "live")]
mod outlet;
mod output;
#[cfg(feature = "live")]
mod plaintext;
mod replay;
#[cfg(feature = "live")]
mod rotate;
mod run;
mod save;
mod screen;
#[cfg(feature = "live")]
mod service;
mod spool;
#[cfg(feature = "live")]
mod syslog;
mod walk;
mod watch;
mod wiring;

#[cfg(test)]
mod tests;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::exit::Exit;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "gatewitness",
    version,
    about = ABOUT,
    long_about = LONG_ABOUT,
    after_help = AFTER_HELP,
    max_term_width = 100,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// One file each.
#[derive(Debug, Subcommand)]
enum Command {
    Replay(Box<replay::Replay>),
    Compare(Box<compare::Compare>),
    Watch(Box<watch::Watch>),
    #[cfg(feature = "live")]
    Live(Box<live::Live>),
    #[cfg(feature = "live")]
    Doctor(doctor::Doctor),
    Exchanges(exchanges::Exchanges),
    Completions(completions::Completions),
    Man(man::Man),
}

/// Reads the command line of this process and does what it says.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Replay(command) => command.run(),
        Command::Compare(command) => command.run(),
        Command::Watch(command) => command.run(),
        #[cfg(feature = "live")]
        Command::Live(command) => command.run(),
        #[cfg(feature = "live")]
        Command::Doctor(command) => command.run(),
        Command::Exchanges(command) => command.run(),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
    };
    done.unwrap_or_else(|error| {
        if broken_pipe(&error) {
            return Exit::Clean;
        }
        eprintln!("gatewitness: {error:#}");
        Exit::Unusable
    })
    .into()
}

/// Whoever read our output has seen enough: that is success.
fn broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(broken))
}

const ABOUT: &str = "The passive witness beside an MCP gateway: names upstream failures that were turned into successes";

const LONG_ABOUT: &str = "\
The passive witness beside an MCP gateway.

An MCP server behind a gateway answers 401, and the gateway tells its client `200` with an empty list of tools: everybody's \
monitoring says that all is well. gatewitness reads packet captures taken on the gateway's host, pairs each client request with \
the upstream requests that it caused, and names every pair whose upstream failure became a downstream success. It never sits in \
the path, never changes a byte, never shows a secret, and never claims more than it saw.";

const AFTER_HELP: &str = "\
Examples:
  tcpdump -i any -s 0 -w incident.pcap tcp     on the gateway's host, both sides of it
  gatewitness replay incident.pcap             what happened, for a person
  gatewitness replay incident.pcap --format ndjson | jq 'select(.record == \"finding\")'
  gatewitness replay /var/captures/            a directory of rotated files, as one capture
  ssh gateway tcpdump -i any -w - tcp | gatewitness replay -
  gatewitness replay incident.pcap --format html -o report.html --evidence bundles/
  gatewitness compare before.pcap after.pcap   did the fix work?
  gatewitness exchanges incident.pcap          every HTTP exchange, one a line

Exit codes:
  0  nothing to report
  1  an upstream failure was hidden (--fail-on says which verdicts count)
  2  usage, or an input that cannot be read
  3  too incomplete to judge, and nothing was found (only with --strict)";
