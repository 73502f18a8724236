//! One line a pair.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::grid::{Column, Grid, col, num, wide};
use super::who::{Who, moment};
use crate::base::Ts;
use crate::report::say::number;
use crate::watch::row::Row;
use crate::watch::state::{GroupKey, Item, Sort, State, View};
use crate::watch::theme::{DIM, STRONG, Theme};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let grid = Grid::new(COLUMNS, area.width);
    let head = Rect { height: 1, ..area };
    frame.render_widget(Paragraph::new(grid.head()), head);
    let status = status(state);
    let width = u16::try_from(status.chars().count()).unwrap_or(0).min(area.width);
    let list = Rect { y: area.y + 1, height: area.height.saturating_sub(2), ..area };
    if state.items.is_empty() {
        let all = state.snapshot.rows.len();
        let text = if all > 0 {
            format!("  none of {} pairs passes the filter (Esc takes it away)", number(all as u64))
        } else {
            "  no pair is judged yet".to_owned()
        };
        frame.render_widget(Paragraph::new(text).style(DIM), list);
    } else {
        super::list(frame, list, state, View::Requests, state.items.len(), |n| line(&grid, n, state));
    }
    let foot = Rect { x: area.right() - width, y: area.bottom().saturating_sub(1), width, height: 1 };
    frame.render_widget(Paragraph::new(status).style(DIM), foot);
}

fn status(state: &State) -> String {
    let mut all = vec![format!("{} of {}", number(state.items.len() as u64), number(state.snapshot.rows.len() as u64))];
    if state.snapshot.forgotten > 0 {
        all.push(format!("{} no longer listed", number(state.snapshot.forgotten)));
    }
    if state.sort != Sort::Number {
        all.push(format!("by {:?}", state.sort).to_lowercase());
    }
    if state.reverse {
        all.push("turned round".to_owned());
    }
    if state.follow && state.sort == Sort::Number && !state.reverse {
        all.push("following".to_owned());
    }
    format!("{} ", all.join(" · "))
}

fn line(grid: &Grid, n: usize, state: &State) -> Line<'static> {
    let who = Who::of(state);
    match state.items.get(n) {
        None => Line::default(),
        Some(Item::Group(key, pairs, flagged)) => {
            let name = match key {
                GroupKey::Server(server) => {
                    server.map_or_else(|| "no upstream seen".to_owned(), |server| format!("server {}", who.addr(server)))
                }
                GroupKey::Client(ip) => format!("client {}", who.ip(*ip)),
                GroupKey::Token(_, None) => "no credential".to_owned(),
                GroupKey::Token(_, Some(mark)) => format!("credential tok:{mark:016x}"),
            };
            Line::styled(format!(" {name} — {} pairs, {} flagged", number(*pairs as u64), number(*flagged as u64)), STRONG)
        }
        Some(Item::Pair(row)) => {
            let before = n.checked_sub(1).and_then(|n| state.items.get(n)).and_then(|item| match item {
                Item::Pair(row) => Some(row.start),
                Item::Group(..) => None,
            });
            grid.line(cells(row, before, state))
        }
    }
}

fn cells(row: &Row, before: Option<Ts>, state: &State) -> Vec<(String, Style)> {
    let who = Who::of(state);
    let (glyph, style) = Theme::verdict(row.verdict);
    let mark = if state.selected.contains(&row.number) { "◆" } else { " " };
    let down = match (row.status, row.items) {
        (Some(status), Some(items)) => format!("{status} [{items}]"),
        (Some(status), None) => status.to_string(),
        (None, _) => "none".to_owned(),
    };
    let mut up: Vec<String> = row.up.iter().map(|visit| visit.said.clone()).collect();
    if row.more > 0 {
        up.push(format!("+{}", row.more));
    }
    let server = row.server.or_else(|| row.up.first().map(|visit| visit.server)).map(|server| who.addr(server)).unwrap_or_default();
    vec![
        (format!("{mark}{:>5}", row.number), DIM),
        (moment(row.start, before, state), Style::new()),
        (format!("{glyph} {}", row.verdict), style),
        (row.what.clone(), Style::new()),
        (down, Style::new()),
        (up.join(" "), Style::new()),
        (row.failure.map(|failure| failure.to_string()).unwrap_or_default(), style),
        (duration(row.duration()), Style::new()),
        (who.addr(row.client), Style::new()),
        (server, Style::new()),
        (row.route.clone(), Style::new()),
        (format!("{:.2}", row.confidence), DIM),
        (row.token.map(|token| format!("tok:{token}")).unwrap_or_default(), DIM),
    ]
}

fn duration(nanos: i64) -> String {
    let millis = nanos / 1_000_000;
    if millis < 10_000 { format!("{millis} ms") } else { format!("{} s", millis / 1000) }
}

const COLUMNS: &[Column] = &[
    col("  pair", 6, 6),
    col("time", 12, 0),
    col("verdict", 13, 0),
    wide("request", 12, 0),
    col("client got", 10, 0),
    wide("upstream", 11, 0),
    col("failure", 12, 7),
    num("took", 8, 5),
    wide("client", 15, 2),
    col("server", 21, 4),
    wide("route", 12, 8),
    num("conf", 4, 9),
    col("credential", 20, 10),
];
