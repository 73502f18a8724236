//! The first screen: is it happening, since when, to whom, and does the witness see everything.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::grid::crop;
use super::who::{Who, ago, moment};
use super::{findings, health, servers};
use crate::report::say::{clock, day, many, number, span};
use crate::verdict::{Finding, Verdict};
use crate::watch::snapshot::{History, Snapshot};
use crate::watch::state::{State, View};
use crate::watch::theme::{BAD, DIM, GOOD, STRONG, Theme, UNSURE, WARN};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let width = usize::from(area.width);
    let mut lines = answer(state, width);
    lines.push(Line::default());
    lines.extend(history(&state.snapshot.history, width, state));
    lines.push(verdicts(&state.snapshot, width));
    let top = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(area.height);
    frame.render_widget(Paragraph::new(lines), Rect { height: top, ..area });
    // What is left is shared: servers first, since they are what one acts upon.
    let left = area.height - top;
    let wanted = u16::try_from(state.snapshot.servers.len()).unwrap_or(u16::MAX).max(1).saturating_add(2);
    let grouped = u16::try_from(state.snapshot.findings.len()).unwrap_or(u16::MAX).saturating_add(2);
    let lower = if state.snapshot.findings.is_empty() { 0 } else { grouped.min((left / 2).max(left.saturating_sub(wanted))) };
    let upper = left.saturating_sub(lower);
    if upper > 2 {
        let area = Rect { y: area.y + top, height: upper, ..area };
        frame.render_widget(Paragraph::new(Line::styled(" UPSTREAM SERVERS", STRONG)), Rect { height: 1, ..area });
        servers::table(frame, Rect { y: area.y + 1, height: upper - 1, ..area }, state, View::Overview);
    }
    if lower > 2 {
        let area = Rect { y: area.y + top + upper, height: lower, ..area };
        frame.render_widget(Paragraph::new(Line::styled(" FINDINGS", STRONG)), Rect { height: 1, ..area });
        findings::table(frame, Rect { y: area.y + 1, height: lower - 1, ..area }, state, View::Overview);
    }
}

/// Three lines: the answer, its extent, and how far it can be trusted.
fn answer(state: &State, width: usize) -> Vec<Line<'static>> {
    let snapshot = &state.snapshot;
    let (text, style) = headline(snapshot);
    let mut lines = vec![Line::styled(crop(&format!(" {text}"), width), style.patch(STRONG))];
    lines.push(Line::raw(crop(&format!("   {}", extent(state)), width)));
    let blind = health::blind(&snapshot.summary);
    let (word, style) = if blind.is_empty() && snapshot.summary.pairs > 0 {
        ("The witness saw everything: nothing lost, nothing unread.".to_owned(), GOOD)
    } else if blind.is_empty() {
        ("The witness lost nothing so far.".to_owned(), DIM)
    } else {
        (format!("The witness did not see everything: {}", blind.join(", ")), WARN)
    };
    lines.push(Line::styled(crop(&format!("   {word}"), width), style));
    lines
}

/// In words, with a glyph: the colour only repeats it.
fn headline(snapshot: &Snapshot) -> (String, Style) {
    let glyph = |verdict| Theme::verdict(verdict).0;
    let bad = glyph(Verdict::Swallowed);
    if snapshot.findings.is_empty() {
        let unresolved = snapshot.summary.verdicts.get(&Verdict::Unresolved).copied().unwrap_or(0);
        let judged = snapshot.summary.pairs.saturating_sub(unresolved);
        return if snapshot.summary.pairs == 0 && snapshot.run.ended {
            (format!("{} Nothing could be judged. This does not mean that all is well.", glyph(Verdict::Unresolved)), UNSURE)
        } else if judged == 0 {
            (format!("{} Nothing is judged yet.", glyph(Verdict::Unresolved)), UNSURE)
        } else {
            (format!("{} NO hidden failure in {} judged.", glyph(Verdict::Healthy), many(judged, "pair")), GOOD)
        };
    }
    let now = snapshot.summary.last.unwrap_or_default();
    let going = |finding: &&Finding| finding.recovered.is_none();
    let recent = |finding: &Finding| now.since(finding.last) <= RECENT;
    let last = snapshot.findings.iter().map(|finding| finding.last).max().unwrap_or_default();
    let open: Vec<&Finding> = snapshot.findings.iter().filter(going).collect();
    match (open.iter().any(|finding| recent(finding)), open.is_empty(), snapshot.run.ended) {
        (true, _, false) => (format!("{bad} YES, NOW: upstream failures are being hidden."), BAD),
        (true, _, true) => (format!("{bad} YES: upstream failures were hidden, until the end of the capture."), BAD),
        (false, true, _) => {
            let over = snapshot.findings.iter().filter_map(|finding| finding.recovered).max().unwrap_or_default();
            (format!("{bad} YES, and it is over: failures were hidden until {}, well again {}.", clock(last), clock(over)), WARN)
        }
        (false, false, _) => (format!("{bad} YES: failures were hidden, the last {} ago; no recovery was seen.", ago(last, snapshot)), BAD),
    }
}

fn extent(state: &State) -> String {
    let snapshot = &state.snapshot;
    let findings = &snapshot.findings;
    let Some(first) = findings.iter().map(|finding| finding.first).min() else {
        let gateways: Vec<String> = snapshot.summary.gateways.iter().map(|gateway| Who::of(state).addr(gateway.listen)).collect();
        return match gateways.as_slice() {
            [] => "No gateway is known yet: an address that answers MCP requests and asks others for them.".to_owned(),
            all => format!("Gateway {}, {} upstream.", all.join(", "), many(snapshot.servers.len() as u64, "server")),
        };
    };
    let last = findings.iter().map(|finding| finding.last).max().unwrap_or(first);
    let at_least: u64 = findings.iter().map(|finding| finding.at_least).sum();
    let failing = snapshot.servers.iter().filter(|server| server.hidden() > 0).count() as u64;
    format!(
        "since {} {} UTC for {} · {} of {} · {} · {}",
        day(first),
        clock(first).get(..8).unwrap_or_default(),
        span(last.since(first)),
        number(at_least),
        many(snapshot.summary.pairs, "pair"),
        many(snapshot.clients as u64, "client"),
        many(failing, "server")
    )
}

/// Two rows of bars, flagged pairs above all pairs.
fn history(history: &History, width: usize, state: &State) -> Vec<Line<'static>> {
    let room = width.saturating_sub(LABEL + 2);
    let shown = history.stretches.len().min(room);
    let from = history.stretches.len() - shown;
    let stretches = history.stretches.get(from..).unwrap_or_default();
    let bars = |of: fn(&(u64, u64)) -> u64| {
        let most = stretches.iter().map(of).max().unwrap_or(0).max(1);
        let bar = |stretch| match of(stretch) {
            0 => '·',
            n => BARS.get((n.saturating_mul(8).div_ceil(most) as usize).clamp(1, 8) - 1).copied().unwrap_or('█'),
        };
        stretches.iter().map(bar).collect::<String>()
    };
    let seconds = history.width / 1_000_000_000;
    let unit = if seconds >= 60 { "minute".to_owned() } else { format!("{seconds} s") };
    let begin = moment(history.start + history.width.saturating_mul(from as i64), None, state);
    let hidden = stretches.iter().map(|(_, hidden)| hidden).max().copied().unwrap_or(0);
    let all = stretches.iter().map(|(all, _)| all).max().copied().unwrap_or(0);
    let label = |word: &str, most: u64| Span::styled(super::grid::fit(&format!(" {word}, max {}", number(most)), LABEL), DIM);
    vec![
        Line::styled(crop(&format!(" {:width$}from {begin}, {unit} a bar", "", width = LABEL - 1), width), DIM),
        Line::from(vec![label("hidden", hidden), Span::raw(" "), Span::styled(bars(|(_, hidden)| *hidden), BAD)]),
        Line::from(vec![label("all pairs", all), Span::raw(" "), Span::styled(bars(|(all, _)| *all), GOOD)]),
    ]
}

fn verdicts(snapshot: &Snapshot, width: usize) -> Line<'static> {
    let mut spans = vec![Span::raw(" ")];
    let mut used = 1;
    for verdict in Verdict::ALL {
        let n = snapshot.summary.verdicts.get(verdict).copied().unwrap_or(0);
        let (glyph, style) = Theme::verdict(*verdict);
        let text = format!("{glyph} {} {verdict}  ", number(n));
        used += text.chars().count();
        if n > 0 && used <= width {
            spans.push(Span::styled(text, style));
        } else if n == 0 {
            used -= text.chars().count();
        }
    }
    Line::from(spans)
}

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const LABEL: usize = 22;
/// What happened within that long is happening now, nanoseconds.
const RECENT: i64 = 60_000_000_000;
