//! What each upstream did.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::Paragraph;

use super::grid::{Column, Grid, col, wide};
use super::who::{Who, moment};
use crate::report::say::number;
use crate::verdict::Verdict;
use crate::watch::snapshot::ServerRow;
use crate::watch::state::{State, View};
use crate::watch::theme::{BAD, DIM, GOOD, Theme, WARN};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    table(frame, area, state, View::Servers);
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
    col("visits", 7, 2),
    col("failed", 6, 1),
    col("hidden", 6, 0),
    col("hidden since", 12, 0),
    col("now", 17, 3),
    col("clients", 7, 1),
    wide("failures", 16, 4),
];
