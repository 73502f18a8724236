//! Every HTTP exchange, one a line, as it comes: what pairing works from.

use std::io::{self, Write};

use super::page::clean;
use super::say::{clock, from_to, many, span};
use super::story::where_seen;
use super::words::{answered, asked};
use crate::correlate::Leg;
use crate::mcp::Asked;
use crate::pipeline::{Loss, Output, Summary};
use crate::report::record::complete;
use crate::report::sink::Sink;
use crate::report::{Report, Shape};
use crate::verdict::{Finding, Judged};

/// The text form of the `exchanges` command.
#[derive(Debug)]
pub struct Lines<W> {
    sink: Sink<W>,
    shape: Shape,
}

impl<W: Write> Lines<W> {
    /// Writes to `out`, which it expects to be buffered.
    pub fn new(out: W, shape: Shape) -> Lines<W> {
        Lines { sink: Sink::new(out), shape }
    }
}

impl<W: Write> Output for Lines<W> {
    fn pair(&mut self, _: Judged) {}

    fn loss(&mut self, _: Loss) {}

    fn finding(&mut self, _: Finding) {}

    fn exchange(&mut self, leg: Leg) {
        self.sink.text(&line(&leg, &self.shape.files));
        self.sink.text("\n");
    }

    fn wants_exchanges(&self) -> bool {
        true
    }
}

impl<W: Write> Report for Lines<W> {
    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        let when = summary.first.zip(summary.last).map(|(first, last)| format!(" · {}", from_to(first, last))).unwrap_or_default();
        self.sink.text(&format!("{}{when}\n", many(summary.exchanges, "exchange")));
        for loss in &summary.losses {
            self.sink.text(&format!("lost: {} {}\n", clean(&loss.place), clean(&loss.detail)));
        }
        self.sink.finish()
    }

    fn failed(&self) -> bool {
        self.sink.failed()
    }
}

fn line(leg: &Leg, files: &[String]) -> String {
    let (start, last) = (leg.start(), leg.last());
    let verb = leg.request.as_ref().map(|request| request.head.method.as_str()).filter(|verb| !verb.is_empty()).unwrap_or("?");
    let path = match leg.request {
        Some(_) if leg.path().is_empty() => "(path not seen)",
        Some(_) => leg.path(),
        None => "(request not seen)",
    };
    let status = leg.status().map_or_else(|| "-".to_owned(), |status| status.to_string());
    let said = match &leg.asked {
        Asked::Rpc(asks) if asks.len() > 1 => format!("  batch of {}", asks.len()),
        Asked::Rpc(_) | Asked::RestList(_) | Asked::Stream | Asked::EndSession => {
            format!("  {} → {}", asked(leg, 0), answered(leg, 0, "the client"))
        }
        _ => String::new(),
    };
    let whole = if complete(leg) { "" } else { "  incomplete" };
    let (ends, took) = (format!("{} → {}", leg.peers.client, leg.peers.server), span(last.ts.since(start.ts)));
    let text = format!("{}  {ends:34}  {verb} {path} {status}  {took}{said}{whole}{}", clock(start.ts), where_seen(leg, files));
    clean(&text).into_owned()
}
