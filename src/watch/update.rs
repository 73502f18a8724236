//! Keys come in; the state changes, and what the outside has to do goes out.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent};

use super::copy;
use super::filter::{self, Filter};
use super::keys::{Action, Key};
use super::prompt::{Kind, Prompt, Scope};
use super::state::{EVIDENCE, Item, State, View, name};
use crate::report::say::many;
use crate::verdict::{Finding, Judged};

/// What the outside has to do.
#[derive(Debug)]
pub enum Effect {
    /// Leave.
    Quit,
    /// Stop the process until it is continued.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// To the clipboard.
    Copy(String),
    /// Into a new file.
    Save(String, Vec<Arc<Judged>>),
}

/// A key was pressed.
pub fn key(state: &mut State, event: KeyEvent) -> Vec<Effect> {
    state.message = None;
    let key = Key::of(event);
    if state.prompt.is_some() {
        return typed(state, key);
    }
    let Some(action) = state.keys.action(key) else {
        state.leaving = false;
        return Vec::new();
    };
    if action != Action::Quit {
        state.leaving = false;
    }
    act(state, action)
}

/// The wheel was turned: so many lines down, or up.
pub fn scroll(state: &mut State, by: isize) {
    go(state, by);
}

/// A line of the list at hand was clicked, counted from the first that is shown.
pub fn click(state: &mut State, line: usize) {
    let view = state.view();
    let to = state.top[view as usize].get() + line;
    if matches!(view, View::Requests | View::Servers | View::Findings) && to < state.lines() {
        state.cursor[view as usize] = to;
        state.follow = false;
    }
}

fn act(state: &mut State, action: Action) -> Vec<Effect> {
    let page = isize::from(i16::try_from(state.size.1).unwrap_or(24)).saturating_sub(6).max(1);
    match action {
        Action::Overview => open(state, View::Overview),
        Action::Requests => open(state, View::Requests),
        Action::Servers => open(state, View::Servers),
        Action::Findings => open(state, View::Findings),
        Action::Capture => open(state, View::Capture),
        Action::NextView => next(state, 1),
        Action::PreviousView => next(state, 4),
        Action::Up => go(state, -1),
        Action::Down => go(state, 1),
        Action::PageUp => go(state, -page),
        Action::PageDown => go(state, page),
        Action::Top => go(state, isize::MIN),
        Action::Bottom => {
            go(state, isize::MAX);
            state.follow = true;
        }
        Action::Open => deeper(state),
        Action::Back => back(state),
        Action::Filter => {
            // What is typed comes beside what holds already.
            let text = if state.filter_text.is_empty() { String::new() } else { format!("{} ", state.filter_text.trim_end()) };
            state.prompt = Some(Prompt::new(Kind::Filter, &text));
        }
        Action::Faults => {
            state.faults = !state.faults;
            state.list();
            open(state, View::Requests);
        }
        Action::NextFault => fault(state, true),
        Action::PreviousFault => fault(state, false),
        Action::Sort | Action::SortBack => {
            state.sort = state.sort.step(if action == Action::Sort { 1 } else { 5 });
            state.list();
        }
        Action::Reverse => {
            state.reverse = !state.reverse;
            state.list();
        }
        Action::Group => {
            state.group = state.group.next();
            state.list();
        }
        Action::Follow => {
            state.follow = !state.follow;
            state.list();
        }
        Action::Pause => pause(state),
        Action::Time => state.time = state.time.next(),
        Action::Compress => state.full = !state.full,
        Action::Select => select(state),
        Action::Save => {
            let scope = if state.selected.is_empty() { Scope::Flagged } else { Scope::Selected };
            let first = state.snapshot.summary.first.map(|first| first.to_string()).unwrap_or_default();
            let stem: String = first.chars().take(19).map(|letter| if letter == ':' { '-' } else { letter }).collect();
            state.prompt = Some(Prompt::new(Kind::Save(scope), &format!("gatewitness-{stem}.ndjson")));
        }
        Action::Copy | Action::CopyFilter => return copied(state, action == Action::Copy),
        Action::Privacy => state.privacy = !state.privacy,
        Action::Acknowledge => acknowledge(state),
        Action::Hide => state.hide = !state.hide,
        Action::Help if state.view() == View::Help => back(state),
        Action::Help => push(state, View::Help),
        Action::Redraw => return vec![Effect::Redraw],
        Action::Suspend => return vec![Effect::Suspend],
        Action::Quit => return quit(state),
    }
    Vec::new()
}

/// A live run's findings are gone with it.
fn quit(state: &mut State) -> Vec<Effect> {
    let unsaved = state.snapshot.findings.len().saturating_sub(state.saved);
    if state.snapshot.run.live && unsaved > 0 && !state.leaving {
        state.leaving = true;
        state.message = Some(format!("{} not saved: quit again to leave, s to save", many(unsaved as u64, "finding")));
        return Vec::new();
    }
    vec![Effect::Quit]
}

fn open(state: &mut State, view: View) {
    state.views = vec![view];
}

fn push(state: &mut State, view: View) {
    state.views.retain(|known| *known != view);
    state.views.push(view);
    state.top[view as usize].set(0);
    state.cursor[view as usize] = 0;
}

fn next(state: &mut State, by: usize) {
    if state.view() == View::Evidence {
        state.page = (state.page + if by == 1 { 1 } else { EVIDENCE.len() - 1 }) % EVIDENCE.len();
        state.top[View::Evidence as usize].set(0);
        return;
    }
    let base = state.views.first().copied().unwrap_or(View::Overview);
    let at = View::TABS.iter().position(|view| *view == base).unwrap_or(0);
    open(state, View::TABS[(at + by) % View::TABS.len()]);
}

/// Moves the line at hand; where there is none, the text.
fn go(state: &mut State, by: isize) {
    let view = state.view();
    if matches!(view, View::Ladder | View::Evidence | View::Help | View::Capture) {
        let top = &state.top[view as usize];
        top.set(top.get().saturating_add_signed(by));
        return;
    }
    let last = state.lines().saturating_sub(1);
    let at = state.at().min(last).saturating_add_signed(by).min(last);
    state.cursor[view as usize] = at;
    if view == View::Requests {
        state.follow = state.follow && at == last;
    }
}

fn deeper(state: &mut State) {
    match state.view() {
        View::Requests => {
            if let Some(row) = state.row().cloned() {
                state.pair = Some((Arc::clone(&row), row.detail.upgrade()));
                push(state, View::Ladder);
            }
        }
        View::Ladder => push(state, View::Evidence),
        View::Overview | View::Servers => {
            let server = state.snapshot.servers.get(state.at()).and_then(|server| server.addr);
            if let Some(server) = server {
                // From the overview one comes for what is wrong.
                show(state, format!("server:{server}{}", if state.view() == View::Overview { " is:flagged" } else { "" }));
            }
        }
        View::Findings => {
            let text = state.findings().get(state.at()).map(|finding| pairs_of(finding));
            if let Some(text) = text {
                show(state, text);
            }
        }
        View::Capture | View::Evidence | View::Help => {}
    }
}

/// The list of pairs, filtered.
fn show(state: &mut State, text: String) {
    if let Ok(filter) = Filter::parse(&text) {
        (state.filter, state.filter_text, state.faults, state.follow) = (filter, text, false, false);
        state.list();
        state.cursor[View::Requests as usize] = 0;
        push(state, View::Requests);
    }
}

/// What a finding's pairs have in common, as a filter.
fn pairs_of(finding: &Finding) -> String {
    let mut text = format!("verdict:{}", finding.verdict);
    for (key, value) in
        [("failure", finding.failure.map(|failure| failure.to_string())), ("cause", finding.cause.map(|cause| cause.to_string()))]
    {
        text += &value.map(|value| format!(" {key}:{value}")).unwrap_or_default();
    }
    if let Some(server) = finding.server {
        text += &format!(" server:{server}");
    }
    if !finding.route.is_empty() && !finding.route.contains([' ', ',']) && finding.route.starts_with('/') {
        text += &format!(" route:{}", finding.route);
    }
    text
}

fn back(state: &mut State) {
    if state.views.len() > 1 {
        state.views.pop();
    } else if state.view() == View::Requests && (!state.filter.is_empty() || state.faults) {
        (state.filter, state.filter_text, state.faults) = (Filter::default(), String::new(), false);
        state.list();
    } else {
        open(state, View::Overview);
    }
}

fn fault(state: &mut State, forward: bool) {
    let flagged = |item: &Item| matches!(item, Item::Pair(row) if row.verdict.flagged());
    let at = state.cursor[View::Requests as usize];
    let from_list = state.view() == View::Requests || matches!(state.view(), View::Ladder | View::Evidence);
    let found = if !from_list {
        state.items.iter().position(flagged)
    } else if forward {
        state.items.iter().enumerate().skip(at + 1).find(|(_, item)| flagged(item)).map(|(n, _)| n)
    } else {
        state.items.iter().enumerate().take(at).rev().find(|(_, item)| flagged(item)).map(|(n, _)| n)
    };
    let Some(found) = found else {
        state.message = Some(format!("no {} flagged pair in the list", if forward { "further" } else { "earlier" }));
        return;
    };
    state.cursor[View::Requests as usize] = found;
    state.follow = false;
    if !from_list {
        push_list(state, found);
    } else if let (View::Ladder | View::Evidence, Some(row)) = (state.view(), state.row().cloned()) {
        state.top[state.view() as usize].set(0);
        state.pair = Some((Arc::clone(&row), row.detail.upgrade()));
    }
}

fn push_list(state: &mut State, at: usize) {
    push(state, View::Requests);
    state.cursor[View::Requests as usize] = at;
}

fn pause(state: &mut State) {
    state.frozen = !state.frozen;
    if let Some(snapshot) = state.waiting.take().filter(|_| !state.frozen) {
        state.take(snapshot);
    }
}

fn select(state: &mut State) {
    if state.view() == View::Requests
        && let Some(number) = state.row().map(|row| row.number)
    {
        if !state.selected.remove(&number) {
            state.selected.insert(number);
        }
        go(state, 1);
    }
}

fn acknowledge(state: &mut State) {
    let Some(name) = (state.view() == View::Findings).then(|| state.findings().get(state.at()).map(|finding| name(finding))).flatten()
    else {
        return;
    };
    if !state.acknowledged.remove(&name) {
        state.acknowledged.insert(name);
    }
}

fn copied(state: &mut State, record: bool) -> Vec<Effect> {
    let Some((_, Some(judged))) = state.subject() else {
        state.message = Some("there is no pair at hand whose details are kept".to_owned());
        return Vec::new();
    };
    let (what, text) =
        if record { ("record", copy::record(&judged, &state.files)) } else { ("display filter", copy::display_filter(&judged)) };
    state.message = Some(format!("pair {}: {what} sent to the terminal's clipboard (OSC 52)", judged.number));
    vec![Effect::Copy(text)]
}

/// A key while a line is typed.
fn typed(state: &mut State, key: Key) -> Vec<Effect> {
    let Some(mut prompt) = state.prompt.take() else { return Vec::new() };
    match (key.letter(), key.code()) {
        (Some(letter), _) => prompt.type_letter(letter),
        (_, KeyCode::Backspace) => prompt.rub(),
        (_, KeyCode::Delete) => prompt.delete(),
        (_, KeyCode::Left) => prompt.go(prompt.at.saturating_sub(1)),
        (_, KeyCode::Right) => prompt.go(prompt.at + 1),
        (_, KeyCode::Home) => prompt.go(0),
        (_, KeyCode::End) => prompt.go(usize::MAX),
        (_, KeyCode::Char('u')) => prompt.clear(),
        (_, KeyCode::Tab) => match prompt.kind {
            Kind::Filter => {
                let rows = &state.snapshot.rows;
                prompt.complete(|line| filter::complete(line, &mut rows.iter().map(|row| &**row)));
            }
            Kind::Save(scope) => prompt.kind = Kind::Save(scope.next()),
        },
        (_, KeyCode::Enter) => return done(state, prompt),
        (_, KeyCode::Esc | KeyCode::Char('c')) => return Vec::new(),
        _ => {}
    }
    // What is typed takes effect as soon as it makes sense.
    if prompt.kind == Kind::Filter
        && let Ok(filter) = Filter::parse(&prompt.text)
        && prompt.text != state.filter_text
    {
        (state.filter, state.filter_text) = (filter, prompt.text.clone());
        state.list();
        if state.view() != View::Requests {
            push(state, View::Requests);
        }
    }
    state.prompt = Some(prompt);
    Vec::new()
}

fn done(state: &mut State, prompt: Prompt) -> Vec<Effect> {
    match prompt.kind {
        Kind::Filter => {
            match Filter::parse(&prompt.text) {
                Ok(_) => {}
                Err(wrong) => {
                    state.message = Some(format!("{}: {}", wrong.word, wrong.why));
                    state.prompt = Some(prompt);
                }
            }
            Vec::new()
        }
        Kind::Save(scope) => {
            let pairs = kept(state, scope);
            if pairs.is_empty() {
                state.message = Some(format!("nothing to save: no details are kept of {} pairs (Tab chooses others)", scope.word()));
                return Vec::new();
            }
            vec![Effect::Save(prompt.text, pairs)]
        }
    }
}

/// Pairs of a scope whose details are kept, in order of their number.
fn kept(state: &State, scope: Scope) -> Vec<Arc<Judged>> {
    let rows = state.snapshot.rows.iter();
    let mut kept: Vec<Arc<Judged>> = match scope {
        Scope::Selected => rows.filter(|row| state.selected.contains(&row.number)).filter_map(|row| row.detail.upgrade()).collect(),
        Scope::Flagged => rows.filter(|row| row.verdict.flagged()).filter_map(|row| row.detail.upgrade()).collect(),
        Scope::All => rows.filter_map(|row| row.detail.upgrade()).collect(),
        Scope::Shown => {
            let pairs = state.items.iter().filter_map(|item| if let Item::Pair(row) = item { row.detail.upgrade() } else { None });
            pairs.collect()
        }
    };
    kept.sort_by_key(|judged| judged.number);
    kept
}
