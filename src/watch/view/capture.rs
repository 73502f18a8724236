//! What the witness itself saw and lost, and which limits it met.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::grid::wrap;
use super::who::Who;
use crate::base::Count;
use crate::report::page::clean;
use crate::report::say::{clock, day, number, span};
use crate::watch::state::State;
use crate::watch::theme::{DIM, STRONG, WARN};

pub(super) fn lines(state: &State, width: u16) -> Vec<Line<'static>> {
    let width = usize::from(width);
    let counted = |lines: &mut Vec<Line<'static>>, label: &str, n: u64, text: &str, style: Style| {
        let number = format!("{:>NUMBER$}", number(n));
        for (row, text) in wrap(text, width.saturating_sub(LABEL + NUMBER + 5)).into_iter().enumerate() {
            let (label, number) = if row == 0 { (label, number.as_str()) } else { ("", "") };
            let head = Span::styled(format!("  {label:LABEL$} "), DIM);
            lines.push(Line::from(vec![head, Span::styled(format!("{number:NUMBER$}  "), style), Span::styled(text, style)]));
        }
    };
    let who = Who::of(state);
    let snapshot = &state.snapshot;
    let summary = &snapshot.summary;
    let mut lines = Vec::new();
    let field = |lines: &mut Vec<Line<'static>>, label: &str, text: &str, style: Style| {
        for (n, row) in wrap(text, width.saturating_sub(LABEL + 3)).into_iter().enumerate() {
            let label = if n == 0 { label } else { "" };
            lines.push(Line::from(vec![Span::styled(format!("  {label:LABEL$} "), DIM), Span::styled(row, style)]));
        }
    };
    lines.push(Line::styled(" SOURCE", STRONG));
    field(&mut lines, "from", &clean(&snapshot.run.source), Style::new());
    for note in &snapshot.run.notes {
        field(&mut lines, "", note, Style::new());
    }
    if let (Some(first), Some(last)) = (summary.first, summary.last) {
        field(
            &mut lines,
            "time",
            &format!("{} {} to {} UTC ({})", day(first), clock(first), clock(last), span(last.since(first))),
            Style::new(),
        );
    }
    lines.push(Line::styled(" GATEWAYS", STRONG));
    for gateway in &summary.gateways {
        let software = gateway.software.as_deref().map(|software| format!("  {}", clean(software))).unwrap_or_default();
        field(&mut lines, &who.addr(gateway.listen), &format!("{}{software}", who.text(&gateway.how)), Style::new());
        for (word, all) in [("upstream", &gateway.upstreams), ("unreadable", &gateway.opaque), ("relays", &gateway.relays)] {
            if !all.is_empty() {
                let all: Vec<String> = all.iter().map(|addr| who.addr(*addr)).collect();
                field(&mut lines, &format!("  {word}"), &all.join(", "), Style::new());
            }
        }
    }
    if summary.gateways.is_empty() {
        field(
            &mut lines,
            "",
            "none known yet: one is found by answering MCP requests and asking others for them, or named with --gateway",
            Style::new(),
        );
    }
    lines.push(Line::styled(" NOT SEEN", STRONG));
    let before = lines.len();
    for loss in &summary.losses {
        field(&mut lines, &loss.kind, &clean(&format!("{} {}", loss.place, loss.detail)), WARN);
    }
    for count in Count::ALL.iter().filter(|count| is_loss(**count) && summary.counts.get(**count) > 0) {
        counted(&mut lines, count.as_str(), summary.counts.get(*count), count.doc().trim(), WARN);
    }
    for (reason, n) in &summary.unresolved {
        counted(&mut lines, &format!("unresolved {reason}"), *n, reason.doc().trim(), Style::new());
    }
    if lines.len() == before {
        field(&mut lines, "", "nothing was lost, and everything could be read", Style::new());
    }
    lines.push(Line::styled(" COUNTED", STRONG));
    for count in Count::ALL.iter().filter(|count| !is_loss(**count) && summary.counts.get(**count) > 0) {
        counted(&mut lines, count.as_str(), summary.counts.get(*count), count.doc().trim(), Style::new());
    }
    let (open, unpaired) = (snapshot.connections as u64, snapshot.unpaired as u64);
    counted(&mut lines, "open_connections", open, "Connections that are open now.", Style::new());
    counted(&mut lines, "unpaired", unpaired, "Exchanges that wait for their pair.", Style::new());
    lines
}

/// Stands for something that the witness could not see, or a limit that it met.
fn is_loss(count: Count) -> bool {
    matches!(
        count,
        Count::UnknownLink
            | Count::BadPacket
            | Count::CutPackets
            | Count::FragmentsLost
            | Count::OverlapConflicts
            | Count::Evicted
            | Count::Gaps
            | Count::GapBytes
            | Count::ReorderLimit
            | Count::TlsOpaqueRecords
            | Count::TlsUnsupported
            | Count::TlsBadSecrets
            | Count::TlsSecretsDropped
            | Count::TlsPendingLimit
            | Count::Incomplete
            | Count::GarbledStreams
            | Count::Undecoded
            | Count::OverLimit
            | Count::H2Unknown
            | Count::KernelDrops
            | Count::OwnDrops
            | Count::AliasLimit
            | Count::WatchLimit
    )
}

const LABEL: usize = 24;
const NUMBER: usize = 12;
