//! From whom something was hidden.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::grid::{Column, Grid, col, num, wide};
use super::who::{Who, moment};
use crate::report::page::clean;
use crate::report::say::number;
use crate::watch::snapshot::ClientRow;
use crate::watch::state::State;
use crate::watch::theme::{BAD, DIM, GOOD};

pub(super) fn table(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let grid = Grid::new(COLUMNS, area.width);
    let rows = state.snapshot.touched.iter().take(usize::from(area.height).saturating_sub(1));
    let lines: Vec<Line<'_>> = std::iter::once(grid.head()).chain(rows.map(|client| grid.line(cells(client, state)))).collect();
    frame.render_widget(Paragraph::new(lines), area);
}

fn cells(client: &ClientRow, state: &State) -> Vec<(String, Style)> {
    let (first, last) = client.since;
    let now = match client.well {
        Some(well) if well > last => (format!("well {}", moment(well, None, state)), GOOD),
        _ => (format!("last {}", moment(last, None, state)), BAD),
    };
    vec![
        (String::new(), Style::new()),
        (Who::of(state).ip(client.ip), Style::new()),
        (number(client.hidden), BAD),
        (moment(first, None, state), Style::new()),
        now,
        (clean(&client.route).into_owned(), Style::new()),
        (client.token.map(|token| format!("tok:{token}")).unwrap_or_default(), DIM),
    ]
}

const COLUMNS: &[Column] = &[
    col("", 1, 0),
    wide("client", 15, 0),
    num("hidden", 6, 0),
    col("hidden since", 12, 0),
    col("now", 17, 1),
    wide("latest route", 12, 2),
    col("its credential", 20, 3),
];
