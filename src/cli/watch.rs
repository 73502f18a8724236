//! `gatewitness watch`: the terminal dashboard.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::config::Config;
use super::exit::{Exit, Rule, Seen};
use super::replay::{Judged, Judging};
use super::run::Settings;
use super::save::Packets;
use super::screen::{self, Setup};
use super::{args, key, wiring};
use crate::base::{Limits, Ts};
use crate::correlate::Leg;
use crate::pipeline::{Engine, Loss, Output};
use crate::verdict::{self, Finding};
use crate::watch::{Board, Keys, Palette, Post, Run, Snapshot, State, Theme};

/// Watch this host's traffic, or captures, in a terminal dashboard: is it happening, since when, to whom
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP, long_about = LONG_ABOUT)]
pub(super) struct Watch {
    /// Capture files (pcap, pcapng, also compressed), directories of rotated ones, or `-` for standard input. Without any: this host
    #[arg(value_name = "CAPTURE", required = cfg!(not(feature = "live")))]
    captures: Vec<PathBuf>,

    #[cfg(feature = "live")]
    #[command(flatten)]
    attach: super::attach::Attach,

    #[cfg(feature = "live")]
    #[command(flatten)]
    plaintext: super::plaintext::Plaintext,

    #[command(flatten)]
    secrets: args::Keys,

    #[command(flatten)]
    judging: Judging,

    /// How fast packets follow each other: `1x` as they were captured, `10x`, any number, or `max` [default: max]
    #[arg(long, value_name = "SPEED", help_heading = "Showing")]
    speed: Option<Speed>,

    /// Draw with ASCII alone. So it is too where the locale is not UTF-8
    #[arg(long, help_heading = "Showing")]
    ascii: bool,

    /// Draw without colours. So it is too where NO_COLOR is set
    #[arg(long, help_heading = "Showing")]
    plain: bool,

    /// The terminal's background [default: what COLORFGBG says of it, else dark]
    #[arg(long, value_name = "BACKGROUND", help_heading = "Showing")]
    theme: Option<Background>,

    /// Listen to the mouse: the wheel scrolls, a click chooses. The terminal's own selection then takes Shift
    #[arg(long, help_heading = "Showing")]
    mouse: bool,
}

/// What both kinds of run need.
struct Ready {
    settings: Settings,
    rule: Rule,
    theme: Theme,
    keys: Keys,
    mouse: bool,
}

impl Watch {
    /// Draws until the user leaves.
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let config = Config::read(self.secrets.config.as_deref())?;
        let keys = Keys::rebound(&config.keys).map_err(anyhow::Error::msg)?;
        let palette = |terminal: Option<&str>| {
            let named = self.theme.or(config.theme).map(Background::palette);
            named.unwrap_or_else(|| Palette::of(terminal)).recoloured(&config.colours).map_err(anyhow::Error::msg)
        };
        let theme = screen::theme(self.plain || config.plain, self.ascii || config.ascii, palette)?;
        screen::usable()?;
        let secrets = self.secrets.or(&config);
        let Judged { gateways, stall_after, rule } = self.judging.or(&config);
        let keyer = key::keyer(secrets.fingerprint_key.as_deref())?;
        let ready = Ready {
            settings: Settings { limits: Limits::default(), keyer, gateways, stall_after },
            rule,
            theme,
            keys,
            mouse: self.mouse || config.mouse,
        };
        #[cfg(feature = "live")]
        if self.captures.is_empty() {
            return live(self.attach.or(&config), self.plaintext.or(&config), &secrets.keylog, ready);
        }
        #[cfg(feature = "live")]
        if self.attach.given() || self.plaintext.is_wanted() {
            anyhow::bail!("-i, --filter, --record, --tls and their like are for watching this host: leave out the captures, or these");
        }
        replay(&self.captures, &secrets.keylog, self.speed.or(config.speed).unwrap_or(Speed::Max), ready)
    }
}

/// Over captures.
fn replay(captures: &[PathBuf], keylogs: &[PathBuf], speed: Speed, ready: Ready) -> anyhow::Result<Exit> {
    let Ready { settings, rule, theme, keys, mouse } = ready;
    let opened = wiring::open(captures, keylogs, &settings.limits)?;
    let names: Vec<String> = captures.iter().map(|path| path.display().to_string()).collect();
    let run = Run { source: names.join(", "), speed: speed.to_string(), ..Run::default() };
    let post = Arc::new(Post::default());
    let (limits, keyer) = (settings.limits.clone(), settings.keyer.clone());
    let packets = Some(Packets { captures: captures.to_vec(), keylogs: keylogs.to_vec(), limits, keyer });
    post.leave(Snapshot { run: run.clone(), ..Snapshot::default() });
    let drawing = screen::spawn(&post, Setup { state: State::new(theme, keys, opened.files()), mouse, packets })?;
    let seen = Seen::default();
    let mut board = Board::new(&settings.limits);
    let shown = Shown { board: &mut board, rule: &rule, seen: &seen };
    let mut pace = Pace::new(speed);
    let mut summary = wiring::walk(opened, settings, shown, |moment| {
        let run = || Run { read: moment.read, total: moment.total, ..run.clone() };
        show(moment.engine, &post, run);
        pace.wait(moment.due, |now| {
            moment.engine.tick(now);
            show(moment.engine, &post, run);
            !post.closed()
        });
        !post.closed()
    })?;
    summary.captures = names;
    let exit = rule.exit(&seen, &summary);
    post.leave(board.snapshot(summary, Run { ended: true, ..run }, (0, 0)));
    drawing.wait()?;
    Ok(exit)
}

/// This host.
#[cfg(feature = "live")]
fn live(attach: super::attach::Attach, plaintext: super::plaintext::Plaintext, keylogs: &[PathBuf], ready: Ready) -> anyhow::Result<Exit> {
    use super::attach::Attached;
    let Ready { settings: Settings { limits, keyer, gateways, stall_after }, rule, theme, keys, mouse } = ready;
    let mut followed = super::keylogs::Followed::open(keylogs)?;
    let Attached { mut feed, mut recorder, said, .. } = attach.open(&limits, None)?;
    let mut tapping = plaintext.open(&gateways, &limits, &mut feed)?;
    let uid = rustix::process::geteuid();
    let privilege = if uid.is_root() { "as root".to_owned() } else { format!("as user {}", uid.as_raw()) };
    let probes = tapping.said.take().unwrap_or_else(|| "no probes in processes (--tls sets them)".to_owned());
    let mut run = Run { live: true, source: said, notes: vec![privilege, probes], ..Run::default() };
    let post = Arc::new(Post::default());
    post.leave(Snapshot { run: run.clone(), ..Snapshot::default() });
    let drawing = screen::spawn(&post, Setup { state: State::new(theme, keys, Vec::new()), mouse, packets: None })?;
    let seen = Seen::default();
    let mut board = Board::new(&limits);
    let shown = Shown { board: &mut board, rule: &rule, seen: &seen };
    let mut engine = Engine::new(crate::pipeline::Options { limits, keyer, gateways, stall_after }, shown);
    if keylogs.is_empty() {
        engine.secrets_complete();
    }
    let mut looked = Instant::now();
    let tally = crate::live::attend(&mut engine, &feed, &mut super::attach::keepers(&mut recorder), |engine, _| {
        followed.read(|text| engine.secrets(text));
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            tapping.follow(engine.gateways().iter().map(|gateway| (gateway.listen.ip(), gateway.listen.port())));
            if let (Some(now), Some(note)) = (tapping.state(), run.notes.get_mut(1)) {
                *note = now;
            }
        }
        show(engine, &post, || run.clone());
        !post.closed()
    });
    if let Some(recorder) = &mut recorder {
        recorder.finish().into_iter().for_each(|loss| engine.loss(loss));
    }
    let (mut summary, _) = engine.finish(Vec::new());
    summary.captures = feed.names().to_vec();
    let exit = rule.exit(&seen, &summary);
    post.leave(board.snapshot(summary, Run { ended: true, ..run }, (0, 0)));
    drawing.wait()?;
    super::live::say(&tally);
    if let Some(tapped) = tapping.tell() {
        eprintln!("{tapped}");
    }
    Ok(exit)
}

/// Leaves a snapshot if one is wanted.
fn show(engine: &mut Engine<Shown<'_>>, post: &Post, run: impl Fn() -> Run) {
    if post.wanted() {
        let (summary, open) = (engine.summary(), engine.open());
        post.leave(engine.out().board.snapshot(summary, run(), open));
    }
}

/// The board, and what the exit code depends on.
struct Shown<'a> {
    board: &'a mut Board,
    rule: &'a Rule,
    seen: &'a Seen,
}

impl Output for Shown<'_> {
    fn pair(&mut self, judged: verdict::Judged) {
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

/// What the terminal's letters stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Background {
    /// Bright colours of the terminal's own
    Dark,
    /// Dark shades
    Light,
}

impl Background {
    fn palette(self) -> Palette {
        match self {
            Background::Dark => Palette::DARK,
            Background::Light => Palette::LIGHT,
        }
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

/// So often it is asked which processes are gateways by now.
#[cfg(feature = "live")]
const LOOK: Duration = Duration::from_millis(500);
/// How long is slept at most.
const NAP: Duration = Duration::from_millis(20);

const LONG_ABOUT: &str = "\
Watch this host's traffic, or captures, in a terminal dashboard: is it happening, since when, to whom, and does the witness itself see \
everything?

The first screen answers that. Below it: every pair, each upstream server, the findings, what the capture lost; of each pair the \
ladder of who asked whom when, and the evidence for its verdict. `?` lists the keys. Screens never show a secret, and what comes from \
traffic cannot speak to the terminal.";

const AFTER_HELP: &str = "\
Examples:
  sudo gatewitness watch                              this host, live
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
