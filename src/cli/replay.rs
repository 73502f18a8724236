//! `gatewitness replay`: judge captures.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

use super::args::{Named, Only, Reading, Showing, seconds, verdicts};
use super::config::Config;
use super::exit::{Exit, Rule};
use super::run::{Plan, run};
use crate::verdict::Verdict;

/// Judge packet captures: which upstream failures did the gateway hide?
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP, long_about = LONG_ABOUT)]
pub(super) struct Replay {
    #[command(flatten)]
    reading: Reading,

    #[command(flatten)]
    judging: Judging,

    #[command(flatten)]
    showing: Showing,

    /// Show findings alone: no pairs, no overview
    #[arg(long, value_name = "WHAT", hide_possible_values = true, help_heading = "Showing", value_parser = clap::value_parser!(Only))]
    only: Option<Only>,

    /// Tell one pair with all its evidence: every exchange, why it belongs there, and what else it could be (text only)
    #[arg(long, value_name = "PAIR", help_heading = "Showing")]
    explain: Option<u64>,

    /// Print what a gateway's maintainers need, as Markdown to paste into an issue: what failed, how often, versions, the ladder, the
    /// capture's health; no credential
    #[arg(long, help_heading = "Showing", conflicts_with_all = ["explain", "format"])]
    report_issue: bool,

    /// Write an evidence bundle for each finding into a new directory: the paired streams as pcapng without credentials, finding.json, the
    /// ladder, SHA-256 sums
    #[arg(long, value_name = "DIR", help_heading = "Showing")]
    evidence: Option<PathBuf>,

    #[cfg(feature = "live")]
    #[command(flatten)]
    otlp: super::otlp::To,
}

/// What counts.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Judging")]
pub(super) struct Judging {
    /// Where the gateway listens (repeatable). Without it, gateways are found by what they do
    #[arg(long, value_name = "ADDR[:PORT]")]
    gateway: Vec<Named>,

    /// When silence counts as a stalled answer, in packet time [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    stall_after: Option<f64>,

    /// Verdicts that make the exit code 1 [default: swallowed,partial,stalled]
    #[arg(long, value_name = "VERDICT", value_delimiter = ',', value_parser = verdicts())]
    fail_on: Vec<Verdict>,

    /// Leave failures that the answer's body declares out of the exit code
    #[arg(long)]
    allow_declared: bool,

    /// Exit with 3 when nothing was found but too little was seen to be sure
    #[arg(long)]
    strict: bool,
}

/// The same, decided.
pub(super) struct Judged {
    pub(super) gateways: Vec<(IpAddr, Option<u16>)>,
    /// Nanoseconds of packet time.
    pub(super) stall_after: i64,
    pub(super) rule: Rule,
}

impl Judging {
    /// Whether gateways were named on the command line.
    #[cfg(feature = "live")]
    pub(super) fn names_gateways(&self) -> bool {
        !self.gateway.is_empty()
    }

    /// With the configuration's word where the command line has none.
    pub(super) fn or(self, config: &Config) -> Judged {
        let Judging { gateway, stall_after, fail_on, allow_declared, strict } = self;
        let named = if gateway.is_empty() { &config.gateway } else { &gateway };
        let fail_on = if fail_on.is_empty() { config.fail_on.clone().unwrap_or_else(|| FAIL_ON.to_vec()) } else { fail_on };
        Judged {
            gateways: named.iter().map(|Named(ip, port)| (*ip, *port)).collect(),
            stall_after: (stall_after.or(config.stall_after).unwrap_or(STALL_AFTER) * 1e9) as i64,
            rule: Rule { fail_on, allow_declared: allow_declared || config.allow_declared, strict: strict || config.strict },
        }
    }
}

impl Replay {
    /// Reads, judges, shows.
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        run(self.plan()?)
    }

    fn plan(self) -> anyhow::Result<Plan> {
        let config = Config::read(self.reading.keys.config.as_deref())?;
        let Judged { gateways, stall_after, rule } = self.judging.or(&config);
        let showing = self.showing.or(&config);
        let explain = self.explain.or(config.explain);
        if explain.is_some() && showing.format() != super::args::Format::Text {
            anyhow::bail!("--explain is for people: leave out --format, or look for the pair's record in --format ndjson");
        }
        Ok(Plan {
            gateways,
            stall_after,
            rule,
            only_findings: self.only.or(config.only).is_some(),
            exchanges: false,
            explain,
            issue: self.report_issue || config.report_issue,
            evidence: self.evidence.or_else(|| config.evidence.clone()),
            showing,
            #[cfg(feature = "live")]
            otlp: self.otlp.or(&config),
            reading: self.reading.or(&config),
        })
    }
}

const FAIL_ON: [Verdict; 3] = [Verdict::Swallowed, Verdict::Partial, Verdict::Stalled];
const STALL_AFTER: f64 = 60.0;

const LONG_ABOUT: &str = "\
Judge packet captures: which upstream failures did the gateway hide?

Takes captures that hold both sides of a gateway, best made on its host: tcpdump -i any -s 0 -w incident.pcap tcp. Several files \
and directories are read as one capture in the order of their packets. No options are needed: the gateway and its upstreams are \
found by what they do. A damaged or truncated file is read as far as it goes, and its loss is told.";

const AFTER_HELP: &str = "\
Examples:
  gatewitness replay incident.pcap
  gatewitness replay incident.pcap --explain 17
  gatewitness replay /var/captures/ --only findings
  gatewitness replay incident.pcap --gateway 10.0.0.5:4000 --keylog keys.txt
  gatewitness replay incident.pcap --format json | jq '.findings[] | [.route, .server, .count]'
  gatewitness replay ci.pcap --strict --fail-on swallowed,partial,stalled,unexplained

Exit codes:
  0  nothing to report
  1  a pair or a finding with a --fail-on verdict
  2  usage, or an input that cannot be read
  3  too incomplete to judge, and nothing was found (only with --strict)";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        replay: Replay,
    }

    fn plan(words: &[&str]) -> anyhow::Result<Plan> {
        Line::try_parse_from([&["replay"], words].concat())?.replay.plan()
    }

    #[test]
    fn no_options_are_needed() {
        let plan = plan(&["a.pcap", "b.pcap", "-"]).unwrap();
        assert_eq!((plan.reading.captures.len(), plan.stall_after, plan.rule.fail_on.as_slice()), (3, 60_000_000_000, FAIL_ON.as_slice()));
    }

    #[test]
    fn the_command_line_wins_over_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, "gateway = '10.0.0.5'\nstall-after = 5\nstrict = true\nfail-on = 'partial'\nonly = 'findings'").unwrap();
        let config = path.to_str().unwrap();
        let from_file = plan(&["a.pcap", "--config", config]).unwrap();
        assert_eq!((from_file.stall_after, from_file.rule.strict, from_file.only_findings), (5_000_000_000, true, true));
        assert_eq!((from_file.rule.fail_on, from_file.gateways.len()), (vec![Verdict::Partial], 1));
        let words = [
            "a.pcap",
            "--config",
            config,
            "--stall-after",
            "0.5",
            "--fail-on",
            "stalled,rejected",
            "--gateway",
            "::1",
            "--gateway",
            "10.0.0.6:80",
        ];
        let both = plan(&words).unwrap();
        assert_eq!((both.stall_after, both.gateways.len()), (500_000_000, 2));
        assert_eq!(both.rule.fail_on, [Verdict::Stalled, Verdict::Rejected]);
    }

    #[test]
    fn an_explanation_is_text() {
        assert!(plan(&["a.pcap", "--explain", "3", "--format", "ndjson"]).is_err());
        assert!(plan(&["a.pcap", "--explain", "3"]).is_ok());
    }
}
