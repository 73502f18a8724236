//! `gatewitness watch`: the terminal dashboard.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Deserialize;

use super::args::Reading;
use super::config::Config;
use super::exit::{Exit, Rule, Seen};
use super::run::Settings;
use super::screen::{self, Close};
use super::{key, wiring};
use crate::base::{Limits, Ts};
use crate::correlate::Leg;
use crate::pipeline::{Engine, Loss, Output};
use crate::verdict::{Finding, Judged};
use crate::watch::{Board, Keys, Post, Run, State};

/// Watch captures in a terminal dashboard: is it happening, since when, to whom
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP, long_about = LONG_ABOUT)]
pub(super) struct Watch {
    #[command(flatten)]
    reading: Reading,

    #[command(flatten)]
    judging: super::replay::Judging,

    /// How fast packets follow each other: `1x` as they were captured, `10x`, any number, or `max` [default: max]
    #[arg(long, value_name = "SPEED", help_heading = "Showing")]
    speed: Option<Speed>,

    /// Draw with ASCII alone. So it is too where the locale is not UTF-8
    #[arg(long, help_heading = "Showing")]
    ascii: bool,

    /// Draw without colours. So it is too where NO_COLOR is set
    #[arg(long, help_heading = "Showing")]
    plain: bool,

    /// Listen to the mouse: the wheel scrolls, a click chooses. The terminal's own selection then takes Shift
    #[arg(long, help_heading = "Showing")]
    mouse: bool,
}

impl Watch {
    /// Draws until the user leaves.
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let config = Config::read(self.reading.config.as_deref())?;
        let keys = Keys::rebound(&config.keys).map_err(anyhow::Error::msg)?;
        screen::usable()?;
        let theme = screen::theme(self.plain || config.plain, self.ascii || config.ascii);
        let speed = self.speed.or(config.speed).unwrap_or(Speed::Max);
        let mouse = self.mouse || config.mouse;
        let (gateways, stall_after, rule) = self.judging.or(&config);
        let reading = self.reading.or(&config);
        let settings = Settings { limits: Limits::default(), keyer: key::keyer(reading.fingerprint_key.as_deref())?, gateways, stall_after };
        let opened = wiring::open(&reading.captures, &reading.keylog, &settings.limits)?;
        let state = State::new(theme, keys, opened.files());
        let source = reading.captures.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        let run = Run { source, speed: speed.to_string(), ..Run::default() };

        let post = Arc::new(Post::default());
        let drawing = screen::spawn(&post, state, mouse)?;
        // A panic here must not leave the screen waiting.
        let close = Close(&post);
        let seen = Seen::default();
        let mut board = Board::new(&settings.limits);
        let shown = Shown { board: &mut board, rule: &rule, seen: &seen };
        let mut pace = Pace::new(speed);
        let mut summary = wiring::walk(opened, settings, shown, |moment| {
            let mut run = || Run { read: moment.read, total: moment.total, ..run.clone() };
            show(moment.engine, &post, &mut run);
            pace.wait(moment.due, |now| {
                moment.engine.tick(now);
                show(moment.engine, &post, &mut run);
                !post.closed()
            });
            !post.closed()
        })?;
        summary.captures = reading.captures.iter().map(|path| path.display().to_string()).collect();
        let exit = rule.exit(&seen, &summary);
        post.leave(board.snapshot(summary, Run { ended: true, ..run }, (0, 0)));
        drawing.wait(&post)?;
        drop(close);
        Ok(exit)
    }
}

/// Leaves a snapshot if one is wanted.
pub(super) fn show(engine: &mut Engine<Shown<'_>>, post: &Post, run: &mut dyn FnMut() -> Run) {
    if post.wanted() {
        let (summary, open) = (engine.summary(), engine.open());
        post.leave(engine.out().board.snapshot(summary, run(), open));
    }
}

/// The board, and what the exit code depends on.
pub(super) struct Shown<'a> {
    pub(super) board: &'a mut Board,
    pub(super) rule: &'a Rule,
    pub(super) seen: &'a Seen,
}

impl Output for Shown<'_> {
    fn pair(&mut self, judged: Judged) {
        self.seen.note(self.rule, judged.verdict, judged.declared);
        self.board.pair(judged);
    }

    fn loss(&mut self, loss: Loss) {
        self.board.loss(loss);
    }

    fn finding(&mut self, finding: Finding) {
        if finding.at_least >= 1 {
            self.seen.note(self.rule, finding.verdict, finding.declared);
        }
        self.board.finding(finding);
    }

    fn exchange(&mut self, leg: Leg) {
        self.board.exchange(leg);
    }
}

/// How fast packets follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum Speed {
    /// So many times as fast as they were captured.
    Times(f64),
    /// As fast as they can be read.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Speed, String> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        let times = text.strip_suffix('x').unwrap_or(text).parse::<f64>().ok().filter(|times| *times > 0.0 && *times <= 1e6);
        times.map(Speed::Times).ok_or_else(|| "expected 1x, 10x, another number, or max".to_owned())
    }
}

impl TryFrom<String> for Speed {
    type Error = String;

    fn try_from(text: String) -> Result<Speed, String> {
        text.parse()
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Speed::Times(times) => write!(f, "{times}x"),
            Speed::Max => f.write_str("max"),
        }
    }
}

/// Waits until a packet's time has come.
struct Pace {
    speed: Speed,
    begun: Option<(Instant, Ts)>,
}

impl Pace {
    fn new(speed: Speed) -> Pace {
        Pace { speed, begun: None }
    }

    /// Calls `meanwhile` with the packets' time as it passes, until it says no.
    fn wait(&mut self, due: Option<Ts>, mut meanwhile: impl FnMut(Ts) -> bool) {
        let (Speed::Times(times), Some(due)) = (self.speed, due) else { return };
        let (begun, first) = *self.begun.get_or_insert_with(|| (Instant::now(), due));
        loop {
            let now = first + (begun.elapsed().as_secs_f64() * times * 1e9) as i64;
            let left = due.since(now) as f64 / times / 1e9;
            if left <= 0.0 {
                return;
            }
            std::thread::sleep(Duration::from_secs_f64(left).min(NAP));
            if left > NAP.as_secs_f64() && !meanwhile(now) {
                return;
            }
        }
    }
}

/// How long is slept at most.
const NAP: Duration = Duration::from_millis(20);

const LONG_ABOUT: &str = "\
Watch captures in a terminal dashboard: is it happening, since when, to whom, and does the witness itself see everything?

The first screen answers that. Below it: every pair, each upstream server, the findings, what the capture lost; of each pair the \
ladder of who asked whom when, and the evidence for its verdict. `?` lists the keys. Screens never show a secret, and what comes from \
traffic cannot speak to the terminal.";

const AFTER_HELP: &str = "\
Examples:
  gatewitness watch incident.pcap
  gatewitness watch incident.pcap --speed 1x          as it happened
  ssh gateway tcpdump -i any -U -w - tcp | gatewitness watch -

Exit codes: as replay's, for what was read until you left";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_numbers_or_max() {
        let speed = |text: &str| text.parse::<Speed>();
        assert_eq!((speed("1x"), speed("0.5"), speed("max")), (Ok(Speed::Times(1.0)), Ok(Speed::Times(0.5)), Ok(Speed::Max)));
        assert!(["0x", "-1x", "fast", "nanx", "x"].iter().all(|text| speed(text).is_err()));
        assert_eq!((Speed::Times(10.0).to_string(), Speed::Max.to_string()), ("10x".to_owned(), "max".to_owned()));
    }

    #[test]
    fn packets_wait_for_their_time() {
        let mut pace = Pace::new(Speed::Times(10.0));
        let begun = Instant::now();
        let mut told = Vec::new();
        for millis in [0, 500, 1000] {
            pace.wait(Some(Ts(millis * 1_000_000)), |now| {
                told.push(now);
                true
            });
        }
        assert!(begun.elapsed() >= Duration::from_millis(100), "a second in a tenth: {:?}", begun.elapsed());
        assert!(told.len() >= 2 && told.iter().all(|now| *now < Ts(1_000_000_000)) && told.is_sorted(), "{told:?}");
    }
}
