//! What makes a live run a service: options, and what is done between two turns of the engine.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use signal_hook::consts::SIGHUP;

use super::args::{Named, size};
use super::beside::{Beside, Eye};
use super::config::Config;
use crate::base::Limits;
use crate::live::Tally;
use crate::pipeline::{Engine, Loss, Output};
use crate::report::Report;
use crate::service::confine::{Confinement, Needs};
use crate::service::{Budget, Metrics, Process, Scrapes, State, Strain};
use crate::source::live::{Settle, now};
use crate::verdict::Judged;

/// How to run where nobody looks.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Running as a service")]
pub(super) struct Service {
    /// Answer Prometheus at http://ADDR:PORT/metrics (docs/metrics.md). A loopback address, unless --metrics-remote is given
    #[arg(long, value_name = "ADDR:PORT")]
    metrics: Option<SocketAddr>,

    /// Let --metrics be reached from other hosts: whoever can connect may read it
    #[arg(long)]
    metrics_remote: bool,

    /// As root: go on as this user once everything is open [default: gatewitness, else nobody; with --record, who owns its directory]
    #[arg(long, value_name = "USER")]
    user: Option<String>,

    /// Keep all rights that the run was started with. Without it, those it needs no longer are given up (docs/service.md)
    #[arg(long)]
    unconfined: bool,

    /// Take at most so much memory, at least 48MiB and the rings: near it the oldest open work is judged with what is known (`unresolved`,
    /// `limit`); where that is not enough the run ends, with exit code 4
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_memory: Option<u64>,
}

/// A service that has begun.
pub(super) struct Serving {
    metrics: Option<Rc<RefCell<Metrics>>>,
    process: Process,
    budget: Option<(Budget, u64)>,
    gateways: Option<GatewayList>,
    looked: Instant,
    judged: u64,
    /// Times that open work was given up and that was not told, and when it was told last.
    relieved: u64,
    told: Option<Instant>,
    over: bool,
}

/// The gateways of a configuration file, read again on SIGHUP.
struct GatewayList {
    path: PathBuf,
    /// `--gateway` on the command line: it holds, whatever the file says.
    overruled: bool,
    asked: Arc<AtomicBool>,
}

impl Service {
    /// With the configuration's word where the command line has none.
    pub(super) fn or(self, config: &Config) -> Service {
        Service {
            metrics: self.metrics.or(config.metrics),
            metrics_remote: self.metrics_remote || config.metrics_remote,
            user: self.user.or_else(|| config.user.clone()),
            unconfined: self.unconfined || config.unconfined,
            max_memory: self.max_memory.or(config.max_memory),
        }
    }

    /// Bounds that fit the memory.
    pub(super) fn limits(&self) -> anyhow::Result<Limits> {
        match self.max_memory {
            Some(most) if most < LEAST_MEMORY => {
                anyhow::bail!("--max-memory: a run does not fit into less than {} MiB", LEAST_MEMORY / MIB)
            }
            Some(most) => Ok(Limits::default().within(most)),
            None => Ok(Limits::default()),
        }
    }

    /// How rights will be given up, unless they are to be kept.
    pub(super) fn confinement(&self, needs: Needs) -> anyhow::Result<Option<Arc<Confinement>>> {
        if self.unconfined {
            return Ok(None);
        }
        Ok(Some(Confinement::plan(needs, self.user.as_deref())?))
    }

    /// Takes the port and opens what is read while the run goes on. `overruled`: gateways were named on the command line.
    pub(super) fn start(
        self,
        limits: &Limits,
        config: Option<&Path>,
        overruled: bool,
        confinement: Option<&Arc<Confinement>>,
    ) -> anyhow::Result<Serving> {
        let metrics = match self.metrics {
            Some(at) => {
                let scrapes = Scrapes::bind(at, self.metrics_remote).context("--metrics")?;
                let metrics = Metrics::new(limits, self.max_memory);
                let at = scrapes.address().context("--metrics")?;
                let settle = settle(confinement);
                scrapes.answer(metrics.registries(), move || settle.map_or(Ok(()), |settle| settle())).context("--metrics")?;
                eprintln!("gatewitness: metrics at http://{at}/metrics");
                Some(Rc::new(RefCell::new(metrics)))
            }
            None => None,
        };
        let gateways = config.map(|path| GatewayList::listen(path, overruled)).transpose()?;
        Ok(Serving {
            metrics,
            process: Process::open().context("/proc/self: this process cannot be looked at")?,
            budget: self.max_memory.map(|most| (Budget::new(most), most)),
            gateways,
            looked: Instant::now(),
            judged: 0,
            relieved: 0,
            told: None,
            over: false,
        })
    }
}

/// What a thread does once it has opened what it needs.
pub(super) fn settle(confinement: Option<&Arc<Confinement>>) -> Option<Settle> {
    let confinement = Arc::clone(confinement?);
    Some(Arc::new(move || confinement.settle()))
}

/// The calling thread, the last to do so, gives its rights up; what is left is told.
pub(super) fn give_up(confinement: Option<&Arc<Confinement>>) -> anyhow::Result<()> {
    match confinement {
        Some(confinement) => {
            confinement.settle().context("rights cannot be given up (--unconfined keeps them)")?;
            eprintln!("gatewitness: rights left: {}", confinement.left());
        }
        None => eprintln!("gatewitness: all rights are kept (--unconfined)"),
    }
    Ok(())
}

impl Serving {
    /// The report, with everything that passes counted.
    pub(super) fn counted<'a>(&self, report: Box<dyn Report + 'a>) -> Box<dyn Report + 'a> {
        match &self.metrics {
            Some(metrics) => Box::new(Beside { report, eye: Counting(Rc::clone(metrics)) }),
            None => report,
        }
    }

    /// Between two turns of the engine. False where the run has to end.
    pub(super) fn look<O: Output>(&mut self, engine: &mut Engine<O>, tally: &Tally) -> bool {
        if let Some((metrics, last)) = self.metrics.as_ref().zip(tally.last).filter(|_| tally.judged > self.judged) {
            metrics.borrow().delay(now().since(last));
        }
        self.judged = tally.judged;
        if let Some(list) = &self.gateways
            && let Some(read) = list.read()
        {
            self.reload(engine, read);
        }
        if self.looked.elapsed() >= EVERY {
            self.looked = Instant::now();
            self.spend(engine);
            self.tell(engine, tally);
        }
        !self.over
    }

    /// Whether it ended for want of memory.
    pub(super) fn is_spent(&self) -> bool {
        self.over
    }

    fn tell<O: Output>(&mut self, engine: &Engine<O>, tally: &Tally) {
        let Some(metrics) = &self.metrics else { return };
        let usage = self.process.usage();
        let summary = engine.summary();
        let state = State { tally, counts: &summary.counts, open: engine.open(), gateways: summary.gateways.len(), usage: &usage };
        metrics.borrow().state(&state);
    }

    /// Keeps the run within its memory.
    fn spend<O: Output>(&mut self, engine: &mut Engine<O>) {
        let Some((budget, most)) = &mut self.budget else { return };
        let before = self.process.usage().resident;
        let mut times = 0;
        let strain = loop {
            let strain = budget.look(Instant::now(), || self.process.usage().resident);
            if strain != Strain::Relieve || times >= AT_ONCE {
                break strain;
            }
            engine.relieve();
            times += 1;
        };
        self.relieved += times;
        if let Some(metrics) = &self.metrics {
            metrics.borrow().relief(times);
        }
        let (taken, most) = (before / MIB, *most / MIB);
        if self.relieved > 0 && self.told.is_none_or(|told| told.elapsed() >= TELL) {
            let detail = format!(
                "near --max-memory ({most} MiB): an eighth of what was open was given up {} times, the oldest first",
                self.relieved
            );
            eprintln!("gatewitness: {detail}");
            engine.loss(Loss { kind: "memory".to_owned(), place: String::new(), detail, at: None });
            (self.relieved, self.told) = (0, Some(Instant::now()));
        }
        if strain == Strain::End {
            eprintln!("gatewitness: {taken} MiB are taken and --max-memory is {most} MiB, whatever was given up: this run ends");
            self.over = true;
        }
    }

    fn reload<O: Output>(&self, engine: &mut Engine<O>, read: Result<Vec<Named>, String>) {
        let applied = read.is_ok();
        match read {
            Ok(list) => {
                let told: Vec<String> = list.iter().map(ToString::to_string).collect();
                let told = if told.is_empty() { "found by what they do".to_owned() } else { told.join(", ") };
                engine.name_gateways(list.iter().map(|Named(ip, port)| (*ip, *port)).collect());
                eprintln!("gatewitness: gateways from now on: {told}");
            }
            Err(why) => {
                eprintln!("gatewitness: {why}; the gateways stay as they were");
                engine.loss(Loss {
                    kind: "config".to_owned(),
                    place: String::new(),
                    detail: format!("{why}; the gateways stay"),
                    at: None,
                });
            }
        }
        if let Some(metrics) = &self.metrics {
            metrics.borrow().reload(applied);
        }
    }
}

impl GatewayList {
    fn listen(path: &Path, overruled: bool) -> anyhow::Result<GatewayList> {
        let asked = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGHUP, Arc::clone(&asked)).context("signals cannot be listened for")?;
        // What is read again is what was read, wherever the run stands.
        let path = std::path::absolute(path).with_context(|| path.display().to_string())?;
        Ok(GatewayList { path, overruled, asked })
    }

    /// The list, where somebody asked for it to be read again.
    fn read(&self) -> Option<Result<Vec<Named>, String>> {
        if !self.asked.swap(false, Ordering::Relaxed) {
            return None;
        }
        if self.overruled {
            return Some(Err("SIGHUP: --gateway on the command line holds".to_owned()));
        }
        Some(Config::read(Some(&self.path)).map(|config| config.gateway).map_err(|error| format!("SIGHUP: {error:#}")))
    }
}

/// Counts what is told.
struct Counting(Rc<RefCell<Metrics>>);

impl Eye for Counting {
    fn pair(&mut self, judged: &Judged) {
        self.0.borrow_mut().pair(judged);
    }

    fn loss(&mut self, loss: &Loss) {
        self.0.borrow().loss(&loss.kind);
    }
}

/// How often the run is looked at as a whole.
const EVERY: Duration = Duration::from_millis(250);
/// Times that open work is given up before anything else is done: an eighth of it is left then.
const AT_ONCE: u64 = 16;
/// How often that is told.
const TELL: Duration = Duration::from_secs(10);
const LEAST_MEMORY: u64 = 48 << 20;
const MIB: u64 = 1 << 20;
