//! `gatewitness live`: attach to this host.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;

use super::args::{Keys, Only, Showing, seconds};
use super::attach::{Attach, Attached, folder, keepers};
use super::beside::Beside;
use super::config::Config;
use super::evidence::{Again, Evidence, Picking, Spooling};
use super::exit::{Exit, Seen, Watched};
use super::key;
use super::keylogs::Followed;
use super::known::Known;
use super::meter::Meter;
use super::otlp;
use super::outlet::Outlet;
use super::plaintext::Plaintext;
use super::replay::{Judged, Judging};
use super::service::{Service, give_up, settle};
use super::spool::Spool;
use crate::live::{Keep, Tally, attend};
use crate::pipeline::{Engine, Options};
use crate::report::{Beat, Shape};
use crate::service::confine::Needs;
use crate::source::live::now;

/// Watch this host's traffic and tell hidden upstream failures as they happen
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP, long_about = LONG_ABOUT)]
pub(super) struct Live {
    #[command(flatten)]
    attach: Attach,

    #[command(flatten)]
    plaintext: Plaintext,

    #[command(flatten)]
    service: Service,

    #[command(flatten)]
    keys: Keys,

    #[command(flatten)]
    judging: Judging,

    #[command(flatten)]
    showing: Showing,

    #[command(flatten)]
    outlet: Outlet,

    #[command(flatten)]
    otlp: otlp::To,

    /// Show findings alone: no pairs, no overview
    #[arg(long, value_name = "WHAT", hide_possible_values = true, help_heading = "Showing", value_parser = clap::value_parser!(Only))]
    only: Option<Only>,

    /// Write an evidence bundle for each finding into a new directory at the end, as `replay` does; packets that show a finding are kept in memory
    #[arg(long, value_name = "DIR", help_heading = "Showing")]
    evidence: Option<PathBuf>,

    /// Tell with `--format ndjson` and `--log` so often that the run goes on, and what it lost [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Showing")]
    heartbeat: Option<f64>,

    /// End after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Ending")]
    duration: Option<f64>,

    /// End after so many packets
    #[arg(long, value_name = "N", help_heading = "Ending")]
    max_packets: Option<u64>,

    /// End at the first find, with exit code 1: a smoke test after a deployment
    #[arg(long, help_heading = "Ending")]
    once: bool,
}

impl Live {
    /// Attaches, and tells until it is told to end.
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let config = Config::read(self.keys.config.as_deref())?;
        let keys = self.keys.or(&config);
        let overruled = self.judging.names_gateways();
        let Judged { gateways, stall_after, rule } = self.judging.or(&config);
        let outlet = self.outlet.or(&config, &self.showing);
        let showing = self.showing.or(&config);
        let only_findings = self.only.or(config.only).is_some();
        let duration = self.duration.or(config.duration).map(Duration::from_secs_f64);
        let heartbeat = Duration::from_secs_f64(self.heartbeat.or(config.heartbeat).unwrap_or(HEARTBEAT));
        let max_packets = self.max_packets.or(config.max_packets).unwrap_or(u64::MAX);
        let once = self.once || config.once;

        let service = self.service.or(&config);
        let limits = service.limits()?;
        let evidence = self.evidence.or_else(|| config.evidence.clone());
        let (attach, plaintext) = (self.attach.or(&config), self.plaintext.or(&config));
        let read_again = keys.config.iter().chain(if evidence.is_some() { keys.keylog.as_slice() } else { &[] });
        let otlp = self.otlp.or(&config).find()?;
        let needs = Needs {
            connect: otlp.address(),
            reopen: attach.names_interfaces(),
            probes: plaintext.is_wanted(),
            log: outlet.is_log(),
            reads: read_again.map(|path| folder(path)).collect(),
            writes: attach.folder().into_iter().chain(outlet.folder(&showing)).chain(evidence.clone()).collect(),
        };
        let evidence = evidence.map(|folder| Evidence::new(&folder, Vec::new(), &limits)).transpose()?.map(RefCell::new);
        let spool = evidence.as_ref().map(|_| RefCell::new(Spool::new(&limits)));
        let confinement = service.confinement(needs)?;
        let report = outlet.open(&showing, Shape { only_findings, ..Shape::default() }, &rule, &limits)?;
        let report = Box::new(Beside { report, eye: Picking { evidence: evidence.as_ref(), spool: spool.as_ref() } });
        let keyer = key::keyer(keys.fingerprint_key.as_deref())?;
        let mut followed = Followed::open(&keys.keylog)?;
        let Attached { mut feed, mut recorder, said, namespace } = attach.open(&limits, settle(confinement.as_ref()))?;
        let mut tapping = plaintext.open(&gateways, &limits, &mut feed)?;
        let known = if gateways.is_empty() { Known::look(namespace) } else { Known::default() };
        let gateways = if gateways.is_empty() { known.addresses() } else { gateways };
        let said = [Some(said), tapping.said.take()].into_iter().flatten().collect::<Vec<_>>().join(", and ");
        let meter = Meter::start()?;
        let export = otlp.start(&limits, false, settle(confinement.as_ref()))?;
        let mut serving = service.start(&limits, keys.config.as_deref(), overruled, confinement.as_ref())?;
        let mut report = export.beside(serving.counted(report));
        let seen = Seen::default();
        let watched = Watched { report: &mut *report, rule: &rule, seen: &seen };
        let mut engine = Engine::new(Options { limits: limits.clone(), keyer: keyer.clone(), gateways, stall_after }, watched);
        if keys.keylog.is_empty() {
            engine.secrets_complete();
        }
        if let Some(known) = known.said() {
            eprintln!("gatewitness: {known}");
        }
        give_up(confinement.as_ref())?;
        eprintln!("gatewitness: watching {said}; Ctrl-C ends it");

        let started = Instant::now();
        let mut looked = started;
        let mut beaten = started;
        let mut spooling = spool.as_ref().map(Spooling);
        let mut keepers = keepers(&mut recorder);
        keepers.extend(spooling.as_mut().map(|spooling| spooling as &mut dyn Keep));
        let tally = attend(&mut engine, &feed, &mut keepers, |engine, tally| {
            followed.read(|text| engine.secrets(text));
            if beaten.elapsed() >= heartbeat {
                beaten = Instant::now();
                let Tally { received, kernel, own, .. } = *tally;
                engine.out().report.beat(&Beat { at: now(), received, kernel_drops: kernel, own_drops: own });
            }
            engine.out().report.flush();
            export.look(tally);
            if looked.elapsed() > Duration::from_millis(500) {
                looked = Instant::now();
                tapping.follow(engine.gateways().iter().map(|gateway| (gateway.listen.ip(), gateway.listen.port())));
            }
            let over = duration.is_some_and(|duration| started.elapsed() >= duration)
                || tally.judged >= max_packets
                || once && seen.found()
                || seen.unwritable()
                || !serving.look(engine, tally);
            !over && !meter.interrupted()
        });
        if let Some(recorder) = &mut recorder {
            recorder.finish().into_iter().for_each(|loss| engine.loss(loss));
        }
        let (mut summary, _) = engine.finish(Vec::new());
        summary.captures = feed.names().to_vec();
        known.tell(&mut summary);
        report.finish(&summary)?;
        drop(report);
        export.finish(Some(&tally));
        say(&tally);
        if let Some(evidence) = evidence {
            let again = Again {
                captures: &[],
                keylogs: &keys.keylog,
                limits: &limits,
                keyer: &keyer,
                stall_after,
                spool: spool.map(RefCell::into_inner),
            };
            eprintln!("gatewitness: {}", evidence.into_inner().write(again, &summary)?);
        }
        if let Some(tapped) = tapping.tell() {
            eprintln!("{tapped}");
        }
        Ok(if serving.is_spent() { Exit::Memory } else { rule.exit(&seen, &summary) })
    }
}

/// What a shell script looks for, in tcpdump's words.
pub(super) fn say(tally: &Tally) {
    eprintln!("{} packets received", tally.received);
    eprintln!("{} packets dropped by kernel", tally.kernel);
    if tally.own > 0 {
        eprintln!("{} packets passed over, because they came faster than they could be judged", tally.own);
    }
}

const HEARTBEAT: f64 = 60.0;

const LONG_ABOUT: &str = "\
Watch this host's traffic and tell hidden upstream failures as they happen.

Run it on the gateway's host: it reads copies of packets and nothing else, needs no restart and no configuration, and can be ended at \
any moment; what is open by then is judged with what is known. It takes root or CAP_NET_RAW. `gatewitness doctor` tells what this \
host permits.";

const AFTER_HELP: &str = "\
Examples:
  sudo gatewitness live
  sudo gatewitness live --format ndjson | jq -c 'select(.verdict == \"swallowed\")'
  sudo gatewitness live --once --duration 60                 a smoke test after a deployment
  sudo gatewitness live -i eth0 -i lo --record incident.pcapng
  sudo gatewitness live --tls                                HTTPS upstreams, of a gateway on OpenSSL
  sudo gatewitness live --container 4f2c11d09a6b             inside a container's own network

Exit codes:
  0  nothing to report
  1  a pair or a finding with a --fail-on verdict
  2  usage, or nothing can be captured
  3  too incomplete to judge, and nothing was found (only with --strict)
  4  --max-memory was exceeded";
