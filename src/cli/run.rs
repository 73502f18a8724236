//! One run over captures: read, judge, show, and end in order whatever stops it.

use std::cell::RefCell;
use std::path::PathBuf;

use super::args::{Reading, Showing};
use super::beside::Beside;
use super::evidence::{Again, Evidence, Picking};
use super::exit::{Exit, Rule, Seen, Watched};
use super::meter::Meter;
use super::spool::Spool;
use super::{key, output, wiring};
use crate::base::{Keyer, Limits};
use crate::report::{Report, Shape};

/// What a command wants.
pub(super) struct Plan {
    pub(super) reading: Reading,
    pub(super) showing: Showing,
    pub(super) rule: Rule,
    pub(super) gateways: Vec<(std::net::IpAddr, Option<u16>)>,
    /// Nanoseconds of packet time.
    pub(super) stall_after: i64,
    pub(super) only_findings: bool,
    pub(super) exchanges: bool,
    pub(super) explain: Option<u64>,
    /// `--report-issue`
    pub(super) issue: bool,
    /// `--evidence`
    pub(super) evidence: Option<PathBuf>,
    #[cfg(feature = "live")]
    pub(super) otlp: super::otlp::To,
}

/// What the engine is told.
pub(super) struct Settings {
    pub(super) limits: Limits,
    pub(super) keyer: Keyer,
    pub(super) gateways: Vec<(std::net::IpAddr, Option<u16>)>,
    pub(super) stall_after: i64,
}

/// Carries it out.
pub(super) fn run(plan: Plan) -> anyhow::Result<Exit> {
    let Plan { reading, showing, rule, gateways, stall_after, only_findings, exchanges, explain, issue, evidence, .. } = plan;
    let settings =
        Settings { limits: Limits::default(), keyer: key::keyer(reading.keys.fingerprint_key.as_deref())?, gateways, stall_after };
    let opened = wiring::open(&reading.captures, &reading.keys.keylog, &settings.limits)?;
    let shape = Shape { only_findings, files: opened.files(), exchanges };
    let evidence = evidence.map(|folder| Evidence::new(&folder, opened.files(), &settings.limits)).transpose()?.map(RefCell::new);
    let mut spool = evidence.as_ref().and_then(|_| Spool::for_inputs(&reading.captures, &settings.limits));
    let (limits, keyer, stall_after) = (settings.limits.clone(), settings.keyer.clone(), settings.stall_after);
    #[cfg(feature = "live")]
    let export = plan.otlp.find()?.start(&limits, true, None)?;
    let report = output::open(&showing, &reading.captures, shape, &output::Manner { rule: &rule, explain, issue })?;
    #[cfg(feature = "live")]
    let report = export.beside(report);
    let mut report = Beside { report, eye: Picking { evidence: evidence.as_ref(), spool: None } };
    let mut meter = Meter::start()?;
    let seen = Seen::default();
    let watched = Watched { report: &mut report, rule: &rule, seen: &seen };
    let mut summary = wiring::walk_on(reading.threads(), opened, settings, spool.as_mut(), watched, |read, total| {
        meter.at(read, total);
        !meter.interrupted() && !seen.unwritable()
    });
    meter.clear();
    if meter.interrupted() {
        eprintln!("gatewitness: interrupted; this is what was found until then");
    }
    summary.captures = reading.captures.iter().map(|path| path.display().to_string()).collect();
    report.finish(&summary)?;
    drop(report);
    #[cfg(feature = "live")]
    export.finish(None);
    if let Some(evidence) = evidence {
        let (captures, keylogs) = (&reading.captures, &reading.keys.keylog);
        let again = Again { captures, keylogs, limits: &limits, keyer: &keyer, stall_after, spool };
        eprintln!("gatewitness: {}", evidence.into_inner().write(again, &summary)?);
    }
    match explain {
        Some(pair) if pair == 0 || pair > summary.pairs => {
            anyhow::bail!("there is no pair {pair}: this run has {} of them; --format ndjson lists them", summary.pairs)
        }
        _ => Ok(rule.exit(&seen, &summary)),
    }
}
