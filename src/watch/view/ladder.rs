//! One pair in time: client, gateway, each upstream; holes as breaks, and the moment at which the answer's status was committed.

use std::sync::Arc;

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::grid::{crop, fit};
use super::who::{Who, moment};
use crate::base::{Addr, Stamp, Ts};
use crate::correlate::Leg;
use crate::http::End;
use crate::mcp::Asked;
use crate::report::page::clean;
use crate::report::say::many;
use crate::report::words;
use crate::verdict::{Judged, Verdict};
use crate::watch::row::{token, trouble};
use crate::watch::state::State;
use crate::watch::theme::{BAD, DIM, GOOD, STRONG, Theme, WARN};

/// A step: from a column to a column.
struct Step {
    at: Stamp,
    from: usize,
    to: usize,
    text: String,
    style: Style,
    /// Something is missing here.
    hole: bool,
    under: Vec<String>,
}

pub(super) fn lines(state: &State, width: u16) -> Vec<Line<'static>> {
    let Some((row, judged)) = &state.pair else { return vec![Line::raw(" no pair is open")] };
    let Some(judged) = judged else {
        let text = format!(
            " The details of pair {} are not kept any longer (limit watch_details); replay --explain {} tells them.",
            row.number, row.number
        );
        return vec![Line::raw(text)];
    };
    let who = Who::of(state);
    let width = usize::from(width);
    let servers = servers(judged, width);
    let columns = 2 + servers.len();
    let each = ((width.saturating_sub(TIME + 1)) / columns).max(8);
    let mut lines = head(judged, who, width);
    lines.push(Line::default());
    lines.push(names(judged, &servers, each, who));
    let mut steps = steps(judged, &servers, state);
    steps.sort_by_key(|step| step.at);
    let mut before: Option<Ts> = None;
    for step in &steps {
        lines.push(arrow(step, columns, each, &moment(step.at.ts, before.or(Some(step.at.ts)), state)));
        for text in &step.under {
            for row in super::grid::wrap(&who.about(judged, &clean(text)), width.saturating_sub(TIME + 4)) {
                lines.push(Line::from(vec![Span::raw(" ".repeat(TIME + 2)), Span::styled(row, DIM)]));
            }
        }
        before = Some(step.at.ts);
    }
    lines.push(Line::default());
    lines.extend(outcome(judged, who, width));
    lines
}

/// The pair in two lines.
fn head(judged: &Judged, who: Who, width: usize) -> Vec<Line<'static>> {
    let (glyph, style) = Theme::verdict(judged.verdict);
    let failure = judged.failure.map(|failure| format!(" · {failure}")).unwrap_or_default();
    let cause = judged.cause.as_ref().map(|cause| format!(" · {}", cause.kind)).unwrap_or_default();
    let title = format!(" pair {}  {glyph} {}{failure}{cause} · confidence {:.3}", judged.number, judged.verdict, judged.confidence);
    let doc = judged.because_detail.clone().unwrap_or_else(|| judged.verdict.doc().trim().to_owned());
    let mut lines = vec![Line::styled(crop(&title, width), style.patch(STRONG))];
    lines.extend(
        super::grid::wrap(&who.about(judged, &clean(&doc)), width.saturating_sub(2)).into_iter().map(|row| Line::raw(format!(" {row}"))),
    );
    lines
}

/// Columns for servers, in order of the first step at each; where there is not room for all, those that failed come first, and those
/// that do not fit share the last.
fn servers(judged: &Judged, width: usize) -> Vec<Vec<Addr>> {
    let pair = &judged.pair;
    let mut first: Vec<(Stamp, Addr)> = pair.up.iter().map(|link| (link.leg.start(), link.leg.peers.server)).collect();
    first.extend(pair.authorization.iter().map(|leg| (leg.start(), leg.peers.server)));
    first.extend(pair.conduits.iter().map(|conduit| (conduit.start, conduit.peers.server)));
    first.sort();
    let mut columns: Vec<Vec<Addr>> = Vec::new();
    let most = (width.saturating_sub(TIME + 1) / LEAST).saturating_sub(2).clamp(1, 6);
    for (_, server) in first {
        if !columns.iter().flatten().any(|known| *known == server) {
            columns.push(vec![server]);
        }
    }
    if columns.len() > most {
        columns.sort_by_key(|column| !column.iter().any(|server| judged.servers.contains(server)));
        let rest: Vec<Addr> = columns.drain(most - 1..).flatten().collect();
        columns.push(rest);
    }
    columns
}

fn names(judged: &Judged, servers: &[Vec<Addr>], each: usize, who: Who) -> Line<'static> {
    let gateway = judged.pair.gateway;
    let mut spans = vec![Span::raw(" ".repeat(TIME + 1))];
    let mut name = |text: String, style: Style| spans.push(Span::styled(format!("{} ", fit(&text, each - 1)), style));
    name(format!("client {}", who.addr(judged.pair.down.peers.client)), STRONG);
    name(format!("gateway {}", who.addr(gateway)), STRONG);
    for column in servers {
        let failed = column.iter().any(|server| judged.servers.contains(server));
        let text = match column.as_slice() {
            [one] => who.addr(*one),
            all => format!("{} {}servers", all.len(), if servers.len() > 1 { "other " } else { "" }),
        };
        name(if failed { format!("✗ {text}") } else { text }, if failed { BAD.patch(STRONG) } else { STRONG });
    }
    Line::from(spans)
}

fn steps(judged: &Judged, servers: &[Vec<Addr>], state: &State) -> Vec<Step> {
    let pair = &judged.pair;
    let column = |server: Addr| 2 + servers.iter().position(|column| column.contains(&server)).unwrap_or(0);
    let name = |server: Addr| {
        let alone = servers.iter().any(|column| column.as_slice() == [server]);
        if alone { String::new() } else { format!("{} ", Who::of(state).addr(server)) }
    };
    let mut steps = Vec::new();
    client(judged, state, &mut steps);
    let mut hidden = 0;
    for link in &pair.up {
        let leg = &link.leg;
        if !state.full && preparation(leg) && (lasting(leg) || trouble(leg).is_none()) {
            hidden += 1;
            continue;
        }
        let probe = leg.ask().is_some_and(|ask| ask.method.as_deref() == Some("initialize")) && trouble(leg).is_some();
        let note = if probe { " (probe)" } else { "" };
        exchange(leg, (column(leg.peers.server), name(leg.peers.server)), note, state, &mut steps);
    }
    for leg in &pair.authorization {
        exchange(leg, (column(leg.peers.server), name(leg.peers.server)), " (authorization)", state, &mut steps);
    }
    for conduit in &pair.conduits {
        let text = words::conduit(conduit);
        steps.push(Step {
            at: conduit.start,
            from: 1,
            to: column(conduit.peers.server),
            text: "connects".to_owned(),
            style: Style::new(),
            hole: false,
            under: Vec::new(),
        });
        steps.push(Step { at: conduit.last, from: column(conduit.peers.server), to: 1, text, style: WARN, hole: true, under: Vec::new() });
    }
    if hidden > 0 {
        let at = pair.down.start();
        let key = state.keys.of(crate::watch::keys::Action::Compress).join(" ");
        let text = format!("{hidden} exchanges that only prepare or end sessions: {key} shows them");
        steps.push(Step { at, from: 0, to: 0, text, style: DIM, hole: false, under: Vec::new() });
    }
    steps
}

/// The client's own request: with the moment at which its status was on the wire.
fn client(judged: &Judged, state: &State, steps: &mut Vec<Step>) {
    let pair = &judged.pair;
    let down = &pair.down;
    let asked = clean(&words::asked(down, pair.element)).into_owned();
    steps.push(Step { at: down.start(), from: 0, to: 1, text: asked, style: STRONG, hole: false, under: extra(down, state) });
    let flagged = judged.verdict.flagged();
    let (_, style) = Theme::verdict(judged.verdict);
    let answered = clean(&words::answered(down, pair.element, "the client")).into_owned();
    let committed = down.response.as_ref().map(|response| response.start).filter(|at| at.ord < down.last().ord);
    if let (Some(at), Some(status)) = (committed, down.status()) {
        let later = pair.up.iter().filter(|link| !lasting(&link.leg) && link.leg.last().ts > at.ts).count();
        let under = if later > 0 && status < 300 {
            vec![format!(
                "◆ {status} is committed here, with {} still to end: nothing they say can change it",
                many(later as u64, "upstream exchange")
            )]
        } else {
            Vec::new()
        };
        steps.push(Step {
            at,
            from: 1,
            to: 0,
            text: format!("◆ {status} headers"),
            style: if flagged { WARN } else { Style::new() },
            hole: false,
            under,
        });
    }
    let hole = down.done.is_none_or(|done| matches!(done.end, End::Unseen(_))) || down.missed.is_some();
    steps.push(Step {
        at: down.last(),
        from: 1,
        to: 0,
        text: answered,
        style: style.add_modifier(Modifier::BOLD),
        hole,
        under: words::reasons(down),
    });
}

/// An exchange of the gateway with a server, in its column and under its name if it shares that: asked and answered.
fn exchange(leg: &Arc<Leg>, (to, name): (usize, String), note: &str, state: &State, steps: &mut Vec<Step>) {
    let (from, element) = (1, 0);
    let asked = clean(&words::asked(leg, element)).into_owned();
    let bad = trouble(leg).filter(|_| !lasting(leg));
    steps.push(Step {
        at: leg.start(),
        from,
        to,
        text: format!("{name}{asked}{note}"),
        style: Style::new(),
        hole: leg.request.is_none(),
        under: extra(leg, state),
    });
    let answered = clean(&words::answered(leg, element, "the gateway")).into_owned();
    let hole = leg.missed.is_some() || leg.done.is_some_and(|done| matches!(done.end, End::Unseen(_)));
    let style = if bad.is_some() { BAD } else { GOOD };
    let mut under = words::reasons(leg);
    if let Some(gap) = leg.missed {
        under.push(format!(
            "≈ a hole: {} bytes {}",
            gap.len.map_or_else(|| "unknown".to_owned(), |len| len.to_string()),
            gap.cause.as_str()
        ));
    }
    steps.push(Step { at: leg.last(), from: to, to: from, text: format!("{name}{answered}"), style, hole, under });
}

/// What only the full ladder tells of a request.
fn extra(leg: &Leg, state: &State) -> Vec<String> {
    if !state.full {
        return Vec::new();
    }
    let mut all = vec![format!("frame {} · {}", leg.start().frame, clean(leg.path()))];
    all.extend(token(leg).map(|token| format!("credential tok:{token}")));
    vec![all.join(" · ")]
}

/// Ends when the session does, however the call went.
fn lasting(leg: &Leg) -> bool {
    matches!(leg.asked, Asked::Stream | Asked::EndSession)
}

fn preparation(leg: &Leg) -> bool {
    let ask = leg.ask().and_then(|ask| ask.method.as_deref());
    lasting(leg) || ask.is_some_and(|method| method == "initialize" || method == "server/discover" || method.starts_with("notifications/"))
}

/// A line with lifelines and an arrow, or a note from the first column on.
fn arrow(step: &Step, columns: usize, each: usize, time: &str) -> Line<'static> {
    let mut spans = vec![Span::styled(fit(time, TIME), DIM), Span::raw(" ")];
    if step.from == step.to {
        spans.push(Span::styled(crop(&step.text, columns * each), step.style));
        return Line::from(spans);
    }
    let (left, right) = (step.from.min(step.to), step.from.max(step.to));
    let blank = |spans: &mut Vec<Span<'static>>| spans.push(Span::styled(fit("│", each), DIM));
    for _ in 0..left {
        blank(&mut spans);
    }
    let room = (right - left) * each - 1;
    let (stroke, rightwards) = (if step.hole { '╌' } else { '─' }, step.to > step.from);
    let mark = if step.hole { "≈ " } else { "" };
    let label = crop(&format!(" {mark}{} ", step.text), room.saturating_sub(3));
    let rest = room.saturating_sub(unicode_width::UnicodeWidthStr::width(label.as_str()) + 1);
    let drawn = if rightwards {
        format!("{stroke}{label}{}▶", stroke.to_string().repeat(rest.saturating_sub(1)))
    } else {
        format!("◀{stroke}{label}{}", stroke.to_string().repeat(rest.saturating_sub(1)))
    };
    spans.push(Span::styled("│", DIM));
    spans.push(Span::styled(fit(&drawn, room), step.style));
    for column in right..columns {
        if column == columns - 1 { spans.push(Span::styled("│", DIM)) } else { blank(&mut spans) }
    }
    Line::from(spans)
}

fn outcome(judged: &Judged, who: Who, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let mut say = |label: &str, text: &str| {
        for (n, row) in super::grid::wrap(&who.about(judged, &clean(text)), width.saturating_sub(TIME + 2)).into_iter().enumerate() {
            lines.push(Line::from(vec![Span::styled(fit(if n == 0 { label } else { "" }, TIME), STRONG), Span::raw(" "), Span::raw(row)]));
        }
    };
    if judged.pair.up.is_empty() && judged.pair.conduits.is_empty() && judged.verdict != Verdict::Background {
        say(" upstream", "no upstream request for it was seen");
    }
    if let Some(credential) = words::credential(&judged.pair.down, &judged.pair.up) {
        say(" credential", credential);
    }
    if let Some(cause) = &judged.cause {
        say(" cause", &format!("{}: {}", cause.kind, cause.detail));
    }
    if !judged.advice.is_empty() {
        say(" next", &judged.advice);
    }
    lines
}

const TIME: usize = 13;
/// The least width of a column.
const LEAST: usize = 16;
