//! Where everything in the page's pictures stands, in SVG units. The template writes it down.

use serde::Serialize;

use crate::base::Ts;
use crate::report::digest::{Timeline, Told};
use crate::report::ladder::{Ladder, Tone};
use crate::report::text::say::{clock, day};
use crate::report::view::wide;
use crate::verdict::Verdict;

/// Verdicts over time, and when findings began and were over.
#[derive(Debug, Serialize)]
pub(super) struct Plot {
    width: f64,
    height: f64,
    base: f64,
    bars: Vec<Bar>,
    ticks: Vec<Tick>,
    spans: Vec<Span>,
    most: u64,
    bin: String,
    words: String,
}

#[derive(Debug, Serialize)]
struct Bar {
    x: f64,
    y: f64,
    w: f64,
    h: f64,
    word: &'static str,
    title: String,
}

#[derive(Debug, Serialize)]
struct Tick {
    x: f64,
    label: String,
    anchor: &'static str,
}

#[derive(Debug, Serialize)]
struct Span {
    y: f64,
    from: f64,
    to: f64,
    over: Option<f64>,
    verdict: Verdict,
    number: u64,
    title: String,
}

/// The plot; none without pairs.
pub(super) fn timeline(line: &Timeline, findings: &[Told]) -> Option<Plot> {
    let (begin, width, bins) = line.bins();
    let first = bins.iter().position(|bin| bin.iter().any(|n| *n > 0))?;
    let last = bins.iter().rposition(|bin| bin.iter().any(|n| *n > 0))?;
    let begin = begin + width.saturating_mul(first as i64);
    let bins = bins.get(first..=last).unwrap_or_default();
    let end = begin + width.saturating_mul(bins.len() as i64);
    let per = WIDE / bins.len() as f64;
    let most = bins.iter().map(shown).max().unwrap_or(0).max(1);
    let mut bars = Vec::new();
    for (n, bin) in bins.iter().enumerate() {
        let mut y = TALL;
        for (verdict, count) in stacked().filter_map(|verdict| Some((verdict, *bin.get(verdict as usize)?))).filter(|(_, n)| *n > 0) {
            let h = count as f64 / most as f64 * (TALL - TOP);
            y -= h;
            let when = clock(begin + width.saturating_mul(n as i64));
            // A lone bar of a long run must still be seen.
            let bar = Bar {
                x: LEFT + n as f64 * per,
                y,
                w: (per - 0.6).clamp(0.8, 40.0),
                h: h.max(1.0),
                word: verdict.as_str(),
                title: format!("{when}: {count} {verdict}"),
            };
            bars.push(bar.rounded());
        }
    }
    let place = |at: Ts| tenth(LEFT + (at.since(begin) as f64 / end.since(begin).max(1) as f64).clamp(0.0, 1.0) * WIDE);
    let spans: Vec<Span> = findings
        .iter()
        .take(MOST_SPANS)
        .enumerate()
        .map(|(n, Told { finding, .. })| Span {
            y: tenth(TALL + 34.0 + n as f64 * 16.0),
            from: place(finding.first),
            to: place(finding.last),
            over: finding.recovered.map(place),
            verdict: finding.verdict,
            number: finding.number,
            title: format!(
                "finding {}: {} on {}, first {}, last {}{}",
                finding.number,
                finding.verdict,
                finding.route,
                finding.first,
                finding.last,
                finding.recovered.map(|at| format!(", healthy again {at}")).unwrap_or_default()
            ),
        })
        .collect();
    let ticks = (0..=4).map(|n| {
        let at = begin + (end.since(begin) / 4).saturating_mul(n);
        let label = if n == 0 { format!("{} {}", day(at), clock(at)) } else { clock(at) };
        let anchor = ["start", "middle", "middle", "middle", "end"].get(n as usize).copied().unwrap_or("middle");
        Tick { x: tenth(LEFT + n as f64 / 4.0 * WIDE), label, anchor }
    });
    let words = format!(
        "Pairs by verdict from {begin} to {end}, in {} steps; the tallest holds {most}. {} with onset and recovery below.",
        bins.len(),
        crate::report::text::say::many(spans.len() as u64, "finding")
    );
    let height = TALL + 34.0 + spans.len() as f64 * 16.0;
    Some(Plot { width: LEFT + WIDE + 16.0, height, base: TALL, bars, ticks: ticks.collect(), spans, most, bin: wide(width), words })
}

impl Bar {
    fn rounded(self) -> Bar {
        Bar { x: tenth(self.x), y: tenth(self.y), w: tenth(self.w), h: tenth(self.h), ..self }
    }
}

/// From the bottom: what is flagged stands on the ground, where it is seen. Background is not drawn.
fn stacked() -> impl Iterator<Item = Verdict> {
    Verdict::ALL.iter().copied().filter(|verdict| *verdict != Verdict::Background)
}

fn shown(bin: &[u64; Verdict::ALL.len()]) -> u64 {
    stacked().filter_map(|verdict| bin.get(verdict as usize)).sum()
}

/// One ladder's picture.
#[derive(Debug, Serialize)]
pub(super) struct Picture {
    width: f64,
    height: f64,
    lanes: Vec<Lane>,
    rows: Vec<Row>,
    words: String,
}

#[derive(Debug, Serialize)]
struct Lane {
    x: f64,
    name: String,
    second: String,
}

#[derive(Debug, Serialize)]
struct Row {
    y: f64,
    from: f64,
    to: f64,
    /// The arrow's head: where its two strokes begin.
    barb: f64,
    text: String,
    text_x: f64,
    when: String,
    tone: Tone,
}

pub(super) fn ladders(all: &[Ladder]) -> Vec<Picture> {
    all.iter().map(picture).collect()
}

fn picture(ladder: &Ladder) -> Picture {
    let (lane_width, fits) = if ladder.lanes.len() > 3 { (LANE * 0.7, WORDS * 7 / 10) } else { (LANE, WORDS) };
    let x = |lane: usize| CLOCK + 70.0 + lane as f64 * lane_width;
    let lanes = ladder.lanes.iter().enumerate().map(|(n, name)| {
        let (first, second) = name.rsplit_once(' ').unwrap_or((name, ""));
        Lane { x: x(n), name: first.trim_end_matches(" at").to_owned(), second: second.to_owned() }
    });
    let rows = ladder.steps.iter().enumerate().map(|(n, step)| {
        let (from, to) = (x(step.from), x(step.to));
        let text: String =
            if step.text.chars().count() > fits { step.text.chars().take(fits - 1).chain(['…']).collect() } else { step.text.clone() };
        Row {
            y: 62.0 + n as f64 * ROW,
            from,
            to,
            barb: if to > from { to - 7.0 } else { to + 7.0 },
            text,
            text_x: from.midpoint(to),
            when: step.when.split(" (").next().unwrap_or_default().to_owned(),
            tone: step.tone,
        }
    });
    let words = format!("Ladder of pair {}: {} arrows between {}", ladder.pair, ladder.steps.len(), ladder.lanes.join(", "));
    Picture {
        width: x(ladder.lanes.len().saturating_sub(1)) + 110.0,
        height: 62.0 + ladder.steps.len() as f64 * ROW,
        lanes: lanes.collect(),
        rows: rows.collect(),
        words,
    }
}

fn tenth(n: f64) -> f64 {
    (n * 10.0).round() / 10.0
}

const WIDE: f64 = 900.0;
const TALL: f64 = 150.0;
const TOP: f64 = 10.0;
const LEFT: f64 = 44.0;
/// Findings drawn below the time line.
const MOST_SPANS: usize = 20;
const CLOCK: f64 = 96.0;
const LANE: f64 = 260.0;
const ROW: f64 = 30.0;
const WORDS: usize = 40;
