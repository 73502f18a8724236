//! Equal flagged pairs, grouped: onset, extent, recovery, and what to do next.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use super::grid::{Column, Grid, col, num, wide, wrap};
use super::who::{Who, moment};
use crate::report::page::clean;
use crate::report::say::{many, number};
use crate::verdict::Finding;
use crate::watch::state::{State, View, name};
use crate::watch::theme::{BAD, DIM, GOOD, STRONG, Theme};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let below = if area.height > 14 { 8 } else { 0 };
    table(frame, Rect { height: area.height - below, ..area }, state, View::Findings);
    let findings = state.findings();
    if let Some(finding) = findings.get(state.at().min(findings.len().saturating_sub(1))).filter(|_| below > 0) {
        let area = Rect { y: area.bottom() - below, height: below, ..area };
        frame.render_widget(Paragraph::new(detail(finding, state, usize::from(area.width))), area);
    }
}

/// Also on the overview.
pub(super) fn table(frame: &mut Frame<'_>, area: Rect, state: &State, view: View) {
    let grid = Grid::new(COLUMNS, area.width);
    frame.render_widget(Paragraph::new(grid.head()), Rect { height: 1, ..area });
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let findings = state.findings();
    if findings.is_empty() {
        let hidden = state.snapshot.findings.len();
        let text = if hidden > 0 { format!("  {} acknowledged and hidden", number(hidden as u64)) } else { "  none".to_owned() };
        frame.render_widget(Paragraph::new(text).style(DIM), below);
        return;
    }
    if view == View::Overview {
        let lines: Vec<Line<'_>> =
            findings.iter().take(usize::from(below.height)).map(|finding| grid.line(cells(finding, state))).collect();
        return frame.render_widget(Paragraph::new(lines), below);
    }
    super::list(frame, below, state, view, findings.len(), |n| {
        findings.get(n).map(|finding| grid.line(cells(finding, state))).unwrap_or_default()
    });
}

fn cells(finding: &Finding, state: &State) -> Vec<(String, Style)> {
    let (glyph, style) = Theme::verdict(finding.verdict);
    let known = state.acknowledged.contains(&name(finding));
    let style = if known { DIM } else { style };
    let end = match finding.recovered {
        Some(recovered) => (format!("well {}", moment(recovered, None, state)), GOOD),
        None => (format!("last {}", moment(finding.last, None, state)), BAD),
    };
    let count =
        if finding.at_least == finding.at_most { number(finding.at_least) } else { format!("{}-{}", finding.at_least, finding.at_most) };
    vec![
        (if known { "a".to_owned() } else { " ".to_owned() }, DIM),
        (format!("{glyph} {}", finding.verdict), style),
        (finding.failure.map(|failure| failure.to_string()).unwrap_or_default(), style),
        (count, Style::new()),
        (number(finding.clients), Style::new()),
        (moment(finding.first, None, state), Style::new()),
        end,
        (finding.server.map(|server| Who::of(state).addr(server)).unwrap_or_default(), Style::new()),
        (clean(&finding.route).into_owned(), Style::new()),
        (finding.cause.map(|cause| cause.to_string()).unwrap_or_default(), Style::new()),
    ]
}

fn detail(finding: &Finding, state: &State, width: usize) -> Vec<Line<'static>> {
    let (glyph, style) = Theme::verdict(finding.verdict);
    let who = Who::of(state);
    let declared = if finding.declared { " · declared in the answer" } else { "" };
    let title = format!(" {glyph} {} {}{declared}", finding.number, finding.verdict);
    let doc = format!(" ·{}", finding.verdict.doc());
    let doc = if title.width() + doc.width() <= width { doc } else { String::new() };
    let mut lines = vec![Line::styled("─".repeat(width), DIM), Line::from(vec![Span::styled(title, style), Span::raw(doc)])];
    let mut field = |label: &str, text: String| {
        for (n, row) in wrap(&text, width.saturating_sub(14)).into_iter().enumerate() {
            let label = if n == 0 { label } else { "" };
            lines.push(Line::from(vec![Span::styled(format!("   {label:10} "), STRONG), Span::raw(row)]));
        }
    };
    let servers: Vec<String> = finding.servers.iter().take(4).map(|server| who.addr(*server)).collect();
    field("where", format!("{} ← {}", clean(&finding.route), servers.join(", ")));
    field("who", format!("{}, {}", many(finding.clients, "client"), many(finding.tokens, "credential")));
    if let Some(cause) = finding.cause {
        field("cause", format!("{cause}:{}", cause.doc()));
    }
    field("next", finding.advice.clone());
    lines
}

const COLUMNS: &[Column] = &[
    col("", 1, 0),
    col("verdict", 11, 0),
    col("failure", 12, 1),
    num("pairs", 6, 0),
    num("clients", 7, 3),
    col("since", 12, 0),
    col("until", 17, 2),
    wide("server", 15, 1),
    wide("route", 10, 4),
    col("cause", 18, 5),
];
