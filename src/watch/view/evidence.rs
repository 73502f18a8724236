//! One pair with all that is known of it: why it is judged so, both legs' messages, the record as scripts get it.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::grid::wrap;
use super::messages;
use super::who::Who;
use crate::report::explained;
use crate::report::page::clean;
use crate::watch::copy;
use crate::watch::state::{EVIDENCE, State};
use crate::watch::theme::{DIM, HERE, STRONG};

pub(super) fn lines(state: &State, width: u16) -> Vec<Line<'static>> {
    let Some((row, judged)) = &state.pair else { return vec![Line::raw(" no pair is open")] };
    let Some(judged) = judged else {
        return vec![Line::raw(format!(" The details of pair {} are not kept any longer.", row.number))];
    };
    let who = Who::of(state);
    let width = usize::from(width);
    let mut tabs = vec![Span::raw(format!(" pair {} ", judged.number))];
    for (n, name) in EVIDENCE.iter().enumerate() {
        tabs.push(Span::styled(format!(" {name} "), if n == state.page { HERE } else { Style::new() }));
    }
    let text = match state.page {
        0 => explained(judged, &state.files, width.saturating_sub(1)),
        1 => messages::text(judged, &state.files),
        _ => pretty(&copy::record(judged, &state.files)),
    };
    let mut lines = vec![Line::from(tabs)];
    for line in who.about(judged, &text).lines() {
        let line = clean(line);
        let heading = !line.is_empty() && line.chars().all(|letter| letter.is_uppercase() || letter == ' ');
        let indent = line.len() - line.trim_start().len();
        for (n, row) in wrap(line.trim_start(), width.saturating_sub(indent + 1)).into_iter().enumerate() {
            let style = if heading {
                STRONG
            } else if n > 0 {
                DIM
            } else {
                Style::new()
            };
            lines.push(Line::styled(format!(" {}{row}", " ".repeat(indent)), style));
        }
    }
    lines
}

fn pretty(record: &str) -> String {
    let value: Option<serde_json::Value> = serde_json::from_str(record).ok();
    value.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| record.to_owned())
}
