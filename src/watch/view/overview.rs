//! The first screen: is it happening, since when, to whom, and does the witness see everything.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::grid::{crop, wrap};
use super::who::{Who, ago, moment};
use super::{clients, findings, health, servers};
use crate::report::say::{clock, day, many, number, span};
use crate::verdict::{Finding, Verdict};
use crate::watch::snapshot::{History, Snapshot};
use crate::watch::state::{State, TimeMode, View};
use crate::watch::theme::{BAD, DIM, GOOD, STRONG, Theme, UNSURE, WARN};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let width = usize::from(area.width);
    let mut lines = answer(state, width);
    lines.extend(history(&state.snapshot.history, width, state));
    lines.push(verdicts(&state.snapshot, width));
    let top = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(area.height);
    frame.render_widget(Paragraph::new(lines), Rect { height: top, ..area });
    let snapshot = &state.snapshot;
    let found = if snapshot.findings.is_empty() { 0 } else { state.findings().len().max(1) };
    let wanted = [snapshot.servers.len().max(1), found, snapshot.touched.len()];
    let heights = shared(wanted, area.height - top);
    let mut y = area.y + top;
    for (n, (height, name)) in
        heights.into_iter().zip(["UPSTREAM SERVERS", "FINDINGS", "CLIENTS FROM WHOM SOMETHING WAS HIDDEN"]).enumerate()
    {
        if height == 0 {
            continue;
        }
        let shown = usize::from(height - FRAME);
        let more = if shown < wanted[n] { format!(" · {shown} of {}", number(wanted[n] as u64)) } else { String::new() };
        frame.render_widget(Paragraph::new(Line::styled(crop(&format!(" {name}{more}"), width), STRONG)), Rect { y, height: 1, ..area });
        let table = Rect { y: y + 1, height: (height - 2).min(area.bottom().saturating_sub(y + 1)), ..area };
        match n {
            0 => servers::table(frame, table, state, View::Overview),
            1 => findings::table(frame, table, state, View::Overview),
            _ => clients::table(frame, table, state),
        }
        y += height;
    }
}

/// Heights of the tables, with heading, heads and a blank line: as many rows as each wants, or fair shares; where not even a row of
/// each has room, the last go.
fn shared(rows: [usize; 3], room: u16) -> [u16; 3] {
    // Nothing stands below the last blank line.
    let room = room + 1;
    let mut heights = rows.map(|rows| if rows == 0 { 0 } else { u16::try_from(rows).unwrap_or(u16::MAX).min(room) + FRAME });
    for last in (0..3).rev() {
        if heights.iter().filter(|height| **height > 0).count() as u16 * (FRAME + 1) > room {
            heights[last] = 0;
        }
    }
    while heights.iter().sum::<u16>() > room {
        let largest = (0..3).max_by_key(|n| heights[*n]).unwrap_or(0);
        heights[largest] -= 1;
    }
    heights
}

/// The answer, its extent, and how far it can be trusted.
fn answer(state: &State, width: usize) -> Vec<Line<'static>> {
    let snapshot = &state.snapshot;
    let (text, style) = headline(snapshot);
    let mut lines = vec![Line::styled(crop(&format!(" {text}"), width), style.patch(STRONG))];
    lines.extend(wrap(&extent(state), width.saturating_sub(4)).into_iter().map(|row| Line::raw(format!("   {row}"))));
    let blind = health::blind(&snapshot.summary);
    let (word, style) = if blind.is_empty() && snapshot.summary.pairs > 0 {
        ("The witness saw everything: nothing lost, nothing unread.".to_owned(), GOOD)
    } else if blind.is_empty() {
        ("The witness lost nothing so far.".to_owned(), DIM)
    } else {
        (format!("The witness did not see everything: {}", blind.join(", ")), WARN)
    };
    lines.extend(wrap(&word, width.saturating_sub(4)).into_iter().map(|row| Line::styled(format!("   {row}"), style)));
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
        "since {} UTC for {} · {} of {} · {} · {}",
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
    if stretches.is_empty() {
        return vec![Line::default(); 3];
    }
    let begin = history.start + history.width.saturating_mul(from as i64);
    let date = if state.time == TimeMode::Clock { format!("{} ", day(begin)) } else { String::new() };
    let begin = format!("{date}{}", moment(begin, None, state));
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
/// Lines of a table that are no rows: its heading, the heads of its columns, a blank one after it.
const FRAME: u16 = 3;
/// What happened within that long is happening now, nanoseconds.
const RECENT: i64 = 60_000_000_000;
