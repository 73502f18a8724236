//! A state comes in, a drawn screen goes out; one file a view.

mod capture;
mod clients;
mod evidence;
mod findings;
mod grid;
mod health;
mod help;
mod ladder;
mod messages;
mod overview;
mod requests;
mod servers;
mod who;

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use super::filter::{self, Filter};
use super::keys::Action;
use super::prompt::{Kind, Prompt};
use super::state::{State, View};
use super::theme::{BAD, DIM, GOOD, HERE, STRONG, WARN};
use grid::crop;
use who::Who;

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, state: &State) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!("{}x{} is too small: {}x{} at least", area.width, area.height, LEAST.0, LEAST.1);
        frame.render_widget(Paragraph::new(text).wrap(ratatui::widgets::Wrap { trim: true }), area);
        return state.theme.apply(frame.buffer_mut());
    }
    let rows = |from: u16, height: u16| Rect { x: area.x, y: area.y + from, width: area.width, height };
    frame.render_widget(Paragraph::new(title(state, area.width)), rows(0, 1));
    frame.render_widget(Paragraph::new(health::line(state, area.width)), rows(1, 1));
    let body = rows(2, area.height - 4);
    match state.view() {
        View::Overview => overview::draw(frame, body, state),
        View::Requests => requests::draw(frame, body, state),
        View::Servers => servers::draw(frame, body, state),
        View::Findings => findings::draw(frame, body, state),
        View::Capture => text(frame, body, state, capture::lines(state, body.width)),
        View::Ladder => text(frame, body, state, ladder::lines(state, body.width)),
        View::Evidence => text(frame, body, state, evidence::lines(state, body.width)),
        View::Help => text(frame, body, state, help::lines(state, body.width)),
    }
    let (line, cursor) = word(state, area.width);
    frame.render_widget(Paragraph::new(line), rows(area.height - 2, 1));
    if let Some(x) = cursor {
        frame.set_cursor_position(Position { x: (area.x + x).min(area.right().saturating_sub(1)), y: area.y + area.height - 2 });
    }
    frame.render_widget(Paragraph::new(footer(state, area.width)), rows(area.height - 1, 1));
    state.theme.apply(frame.buffer_mut());
}

/// A text that is longer than the screen: from its first line shown.
fn text(frame: &mut Frame<'_>, area: Rect, state: &State, lines: Vec<Line<'_>>) {
    let top = &state.top[state.view() as usize];
    top.set(top.get().min(lines.len().saturating_sub(usize::from(area.height))));
    let shown: Vec<Line<'_>> = lines.into_iter().skip(top.get()).take(usize::from(area.height)).collect();
    frame.render_widget(Paragraph::new(shown), area);
}

/// A list: the line at hand is seen, and marked.
fn list(frame: &mut Frame<'_>, area: Rect, state: &State, view: View, len: usize, line: impl Fn(usize) -> Line<'static>) {
    let height = usize::from(area.height);
    let at = state.cursor[view as usize].min(len.saturating_sub(1));
    let top = &state.top[view as usize];
    top.set(top.get().clamp(at.saturating_sub(height.saturating_sub(1)), at).min(len.saturating_sub(height)));
    let marked = state.view() == view;
    let lines = (top.get()..len).take(height).map(|n| if n == at && marked { line(n).style(HERE) } else { line(n) });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}

/// Names of the views, and where the run stands.
fn title(state: &State, width: u16) -> Line<'static> {
    let run = &state.snapshot.run;
    let mut right = match (run.live, run.ended) {
        (true, false) => "LIVE".to_owned(),
        (true, true) => "LIVE ENDED".to_owned(),
        (false, true) => "END".to_owned(),
        (false, false) => {
            let share = run.total.filter(|total| *total > 0).map(|total| format!(" {} %", (run.read * 100 / total).min(100)));
            format!("REPLAY {}{}", run.speed, share.unwrap_or_default())
        }
    };
    if state.frozen {
        right = format!("FROZEN · {right}");
    }
    let base = state.views.first().copied().unwrap_or(View::Overview);
    let wide = width >= 72;
    let mut spans = vec![Span::styled(if width >= 90 { " gatewitness " } else { " " }, STRONG)];
    for (n, view) in View::TABS.iter().enumerate() {
        let text = if wide || *view == base { format!(" {} {} ", n + 1, view.name()) } else { format!(" {} ", n + 1) };
        spans.push(Span::styled(text, if *view == base { HERE } else { Style::new() }));
    }
    let mut deeper: String = state.views.iter().skip(1).map(|view| format!(" › {}", view.name())).collect();
    let mut used: usize = spans.iter().map(Span::width).sum();
    if used + deeper.width() + right.width() + 2 > usize::from(width) {
        deeper = state.views.iter().skip(1).next_back().map(|view| format!(" › {}", view.name())).unwrap_or_default();
    }
    used += deeper.width();
    spans.push(Span::styled(deeper, STRONG));
    let right = crop(&right, usize::from(width).saturating_sub(used + 2));
    let gap = usize::from(width).saturating_sub(used + right.chars().count() + 1);
    spans.push(Span::raw(" ".repeat(gap)));
    spans.push(Span::styled(right, if state.frozen { WARN.add_modifier(Modifier::BOLD) } else { STRONG }));
    Line::from(spans)
}

/// What is typed, what the user is told, or which filter holds; and where the cursor is.
fn word(state: &State, width: u16) -> (Line<'static>, Option<u16>) {
    if let Some(prompt) = &state.prompt {
        let (line, at) = typed(state, prompt, width);
        return (line, Some(at));
    }
    if let Some(message) = &state.message {
        return (Line::styled(crop(&format!(" {message}"), usize::from(width)), WARN.add_modifier(Modifier::BOLD)), None);
    }
    let mut told = Vec::new();
    // The other views show everything.
    let narrowed = state.views.contains(&View::Requests);
    if narrowed && !state.filter.is_empty() {
        told.push(format!("filter: {}", Who::of(state).text(&state.filter_text)));
    }
    if narrowed && state.faults {
        told.push("flagged only".to_owned());
    }
    if !state.selected.is_empty() {
        told.push(format!("{} selected", state.selected.len()));
    }
    if state.privacy {
        told.push("addresses hidden".to_owned());
    }
    (Line::styled(crop(&format!(" {}", told.join(" · ")), usize::from(width)), DIM), None)
}

/// The prompt: colour and a word say whether it makes sense so far.
fn typed(state: &State, prompt: &Prompt, width: u16) -> (Line<'static>, u16) {
    let (label, style, hint) = match prompt.kind {
        Kind::Filter => match Filter::parse(&prompt.text) {
            Ok(_) if prompt.text.trim().is_empty() => (" filter: ".to_owned(), Style::new(), offers(state, prompt)),
            Ok(_) => (" filter: ".to_owned(), GOOD, format!("ok, {} pairs  {}", state.items.len(), offers(state, prompt))),
            Err(wrong) => (" filter: ".to_owned(), BAD, format!("not yet: {}", wrong.why)),
        },
        Kind::Save(scope) => (
            format!(" save {} pairs to (Tab: others): ", scope.word()),
            Style::new(),
            ".ndjson: records, .txt: explained, .pcapng: packets without secrets".to_owned(),
        ),
    };
    // The end of a long text is what is being typed.
    let room = usize::from(width).saturating_sub(label.len() + 2).max(8);
    let skip = prompt.at.saturating_sub(room.saturating_sub(1));
    let shown: String = prompt.text.chars().skip(skip).take(room).collect();
    let cursor = label.len() + prompt.at - skip;
    let used = label.len() + shown.chars().count() + 2;
    let hint = crop(&hint, usize::from(width).saturating_sub(used));
    let line = Line::from(vec![Span::styled(label, STRONG), Span::styled(shown, style), Span::raw("  "), Span::styled(hint, DIM)]);
    (line, u16::try_from(cursor).unwrap_or(u16::MAX))
}

fn offers(state: &State, prompt: &Prompt) -> String {
    let base = prompt.completing.as_ref().map_or(&prompt.text, |(base, _)| base);
    filter::complete(base, &mut state.snapshot.rows.iter().map(|row| &**row)).join(" ")
}

/// Keys that matter here.
fn footer(state: &State, width: u16) -> Line<'static> {
    use Action::{
        Acknowledge, Back, Compress, Copy, Faults, Filter, Follow, Group, Help, Hide, NextFault, NextView, Open, Pause, Privacy, Quit,
        Save, Select, Sort, Time,
    };
    let shown: &[Action] = match state.view() {
        View::Overview => &[Help, Open, Faults, Filter, NextFault, Pause, Time, Privacy, Quit],
        View::Requests => &[Help, Open, Filter, Faults, NextFault, Sort, Group, Follow, Pause, Select, Save, Time, Quit],
        View::Servers => &[Help, Open, Filter, Pause, Time, Quit],
        View::Findings => &[Help, Open, Acknowledge, Hide, Pause, Save, Quit],
        View::Capture => &[Help, Pause, Quit],
        View::Ladder => &[Help, Open, Back, Compress, NextFault, Time, Copy, Quit],
        View::Evidence => &[Help, NextView, Back, NextFault, Copy, Save, Quit],
        View::Help => &[Back, Quit],
    };
    let mut spans = vec![Span::raw(" ")];
    let mut used = 1;
    for action in shown {
        let key = state.keys.of(*action).into_iter().next().unwrap_or_default();
        let word = match action {
            Compress if state.full => "compress",
            Compress => "everything",
            NextView => "page",
            Acknowledge => "acknowledge",
            Hide if state.hide => "show all",
            Hide => "hide acknowledged",
            Privacy => "privacy",
            other => other.short(),
        };
        let len = key.chars().count() + word.len() + 3;
        if used + len > usize::from(width) {
            break;
        }
        used += len;
        spans.push(Span::styled(key, STRONG));
        spans.push(Span::raw(format!(" {word}  ")));
    }
    Line::from(spans)
}

/// Columns and rows that can be worked with.
const LEAST: (u16, u16) = (40, 10);
