//! `--otlp URL`: what passes on its way to the report is told to an OpenTelemetry receiver as well.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;

use super::beside::{Beside, Eye};
use super::config::Config;
use crate::base::Limits;
use crate::live::Tally;
use crate::pipeline::Loss;
use crate::report::{Otlp, Report};
use crate::service::{Exported, Exporter, Target};
use crate::source::live::Settle;
use crate::verdict::{Finding, Judged};

/// Where to.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Showing")]
pub(super) struct To {
    /// Tell an OpenTelemetry receiver, too (OTLP over HTTP, as at http://127.0.0.1:4318): pairs as traces, findings as logs, figures as
    /// metrics, at the packets' times (docs/otlp.md)
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
}

/// The receiver, found.
pub(super) struct Found(Option<Target>);

/// An export that goes on, if there is one.
pub(super) struct Export(Option<Rc<RefCell<Telling>>>);

struct Telling {
    otlp: Otlp,
    exporter: Exporter,
    /// A capture waits for a slow receiver; a live run does not.
    wait: bool,
    offered: u64,
    sent: Instant,
    counted: Instant,
}

impl To {
    /// With the configuration's word where the command line has none.
    pub(super) fn or(self, config: &Config) -> To {
        To { otlp: self.otlp.or_else(|| config.otlp.clone()) }
    }

    /// Looks for the receiver.
    pub(super) fn find(&self) -> anyhow::Result<Found> {
        Ok(Found(self.otlp.as_deref().map(Target::find).transpose().context("--otlp")?))
    }
}

impl Found {
    /// Its address: what a confined run may still connect to.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.0.as_ref().map(Target::address)
    }

    /// Begins. `wait`: rather wait than drop.
    pub(super) fn start(self, limits: &Limits, wait: bool, settle: Option<Settle>) -> anyhow::Result<Export> {
        let Some(target) = self.0 else { return Ok(Export(None)) };
        let exporter = Exporter::start(target, limits.otlp_queue, move || settle.map_or(Ok(()), |settle| settle())).context("--otlp")?;
        let now = Instant::now();
        Ok(Export(Some(Rc::new(RefCell::new(Telling { otlp: Otlp::default(), exporter, wait, offered: 0, sent: now, counted: now })))))
    }
}

impl Export {
    /// The report, with everything that passes told.
    pub(super) fn beside<'a>(&self, report: Box<dyn Report + 'a>) -> Box<dyn Report + 'a> {
        match &self.0 {
            Some(telling) => Box::new(Beside { report, eye: Teller(Rc::clone(telling)) }),
            None => report,
        }
    }

    /// Between two turns of a live run's engine.
    pub(super) fn look(&self, tally: &Tally) {
        let Some(telling) = &self.0 else { return };
        let telling = &mut *telling.borrow_mut();
        if telling.sent.elapsed() >= SEND {
            telling.sent = Instant::now();
            telling.send();
        }
        if telling.counted.elapsed() >= COUNT {
            telling.counted = Instant::now();
            telling.count(Some(tally));
        }
        if let Some(why) = telling.exporter.trouble() {
            eprintln!("gatewitness: --otlp: {why}; what cannot be sent is counted, and the run goes on");
        }
    }

    /// The run is over: what is left is sent, and what became of all of it is told.
    pub(super) fn finish(&self, tally: Option<&Tally>) {
        let Some(telling) = &self.0 else { return };
        let telling = &mut *telling.borrow_mut();
        telling.send();
        telling.count(tally);
        let Exported { sent, dropped, failed } = telling.exporter.finish(telling.offered);
        if let Some(why) = telling.exporter.trouble() {
            eprintln!("gatewitness: --otlp: {why}");
        }
        let lost =
            if dropped + failed > 0 { format!("; {failed} could not be sent, {dropped} were dropped unsent") } else { String::new() };
        eprintln!("gatewitness: --otlp: {sent} spans, log records and data points sent{lost}");
    }
}

impl Telling {
    fn send(&mut self) {
        for parcel in self.otlp.take() {
            self.offered += parcel.items;
            self.exporter.offer(parcel.path, parcel.body, parcel.items, self.wait);
        }
    }

    fn count(&mut self, tally: Option<&Tally>) {
        if let Some(&Tally { received, kernel, interface, own, last, .. }) = tally {
            self.otlp.packets(received, [("kernel", kernel.saturating_sub(interface)), ("interface", interface), ("own", own)], last);
        }
        if let Some(parcel) = self.otlp.figures() {
            self.offered += parcel.items;
            self.exporter.offer(parcel.path, parcel.body, parcel.items, self.wait);
        }
    }

    fn when_full(&mut self) {
        if self.otlp.is_full() {
            self.send();
        }
    }
}

/// Tells what passes.
struct Teller(Rc<RefCell<Telling>>);

impl Eye for Teller {
    fn pair(&mut self, judged: &Judged) {
        let mut telling = self.0.borrow_mut();
        telling.otlp.pair(judged);
        telling.when_full();
    }

    fn loss(&mut self, loss: &Loss) {
        let mut telling = self.0.borrow_mut();
        telling.otlp.loss(loss);
        telling.when_full();
    }

    fn finding(&mut self, finding: &Finding) {
        let mut telling = self.0.borrow_mut();
        telling.otlp.finding(finding);
        telling.when_full();
    }
}

/// How long a live run holds spans and log records back.
const SEND: Duration = Duration::from_secs(1);
/// How often it tells figures.
const COUNT: Duration = Duration::from_secs(10);
