//! What each upstream did.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::grid::{Column, Grid, col, crop, num, wide, wrap};
use super::who::{Who, moment};
use crate::report::say::{clock, many, number};
use crate::verdict::Verdict;
use crate::watch::snapshot::ServerRow;
use crate::watch::state::{State, View};
use crate::watch::theme::{BAD, DIM, GOOD, STRONG, Theme, WARN};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let below = if area.height > 14 { 7 } else { 0 };
    table(frame, Rect { height: area.height - below, ..area }, state, View::Servers);
    let servers = &state.snapshot.servers;
    if let Some(server) = servers.get(state.at().min(servers.len().saturating_sub(1))).filter(|_| below > 0) {
        let area = Rect { y: area.bottom() - below, height: below, ..area };
        frame.render_widget(Paragraph::new(detail(server, state, usize::from(area.width))), area);
    }
}

/// What the table has no room for.
fn detail(server: &ServerRow, state: &State, width: usize) -> Vec<Line<'static>> {
    let mut lines =
        vec![Line::styled("─".repeat(width), DIM), Line::styled(crop(&format!(" {}", Who::of(state).server_row(server)), width), STRONG)];
    let mut field = |label: &str, text: String| {
        for (n, row) in wrap(&text, width.saturating_sub(14)).into_iter().enumerate() {
            let label = if n == 0 { label } else { "" };
            lines.push(Line::from(vec![Span::styled(format!("   {label:10} "), STRONG), Span::raw(row)]));
        }
    };
    let kinds: Vec<String> = server.failures.iter().map(|(failure, n)| format!("{} {failure}", number(*n))).collect();
    field("failed", if kinds.is_empty() { "never".to_owned() } else { kinds.join(", ") });
    let hidden: Vec<String> = server.flagged.iter().map(|(verdict, n)| format!("{} {verdict}", number(*n))).collect();
    if let Some((first, last)) = server.since {
        let when = format!("{} to {}, from {}", clock(first), clock(last), many(server.clients as u64, "client"));
        field("hidden", format!("{}: {when}", hidden.join(", ")));
    }
    field("went well", server.well.map_or("never".to_owned(), |well| format!("last at {}", clock(well))));
    lines
}

/// Also on the overview, which has the same line at hand.
pub(super) fn table(frame: &mut Frame<'_>, area: Rect, state: &State, view: View) {
    let grid = Grid::new(COLUMNS, area.width);
    frame.render_widget(Paragraph::new(grid.head()), Rect { height: 1, ..area });
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let servers = &state.snapshot.servers;
    if servers.is_empty() {
        frame.render_widget(Paragraph::new("  none seen yet").style(DIM), below);
        return;
    }
    super::list(frame, below, state, view, servers.len(), |n| {
        servers.get(n).map(|server| grid.line(cells(server, state))).unwrap_or_default()
    });
}

fn cells(server: &ServerRow, state: &State) -> Vec<(String, Style)> {
    let failed = server.failed();
    let hidden = server.hidden();
    let kinds: Vec<String> = server.failures.iter().map(|(failure, n)| format!("{failure} {n}")).collect();
    let (glyph, style) = match (hidden > 0, failed > 0) {
        (true, _) => Theme::verdict(if server.flagged.contains_key(&Verdict::Swallowed) { Verdict::Swallowed } else { Verdict::Partial }),
        (false, true) => Theme::verdict(Verdict::Propagated),
        (false, false) => Theme::verdict(Verdict::Healthy),
    };
    let since = server.since.map(|(first, _)| moment(first, None, state)).unwrap_or_default();
    let state_now = match (server.since, server.well) {
        (Some((_, last)), Some(well)) if well > last => (format!("well {}", moment(well, None, state)), GOOD),
        (Some((_, last)), _) => (format!("last {}", moment(last, None, state)), BAD),
        (None, _) => (String::new(), Style::new()),
    };
    vec![
        (glyph.to_string(), style),
        (Who::of(state).server_row(server), Style::new()),
        (number(server.visits), Style::new()),
        (number(failed), if failed > 0 { WARN } else { Style::new() }),
        (number(hidden), if hidden > 0 { BAD } else { Style::new() }),
        (since, Style::new()),
        state_now,
        (if server.clients > 0 { number(server.clients as u64) } else { String::new() }, Style::new()),
        (kinds.join(", "), Style::new()),
    ]
}

const COLUMNS: &[Column] = &[
    col("", 1, 0),
    wide("server", 16, 0),
    num("visits", 7, 2),
    num("failed", 6, 1),
    num("hidden", 6, 0),
    col("hidden since", 12, 0),
    col("now", 17, 3),
    num("clients", 7, 1),
    wide("failures", 16, 4),
];
