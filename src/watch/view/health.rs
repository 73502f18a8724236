//! Whether the witness itself sees everything.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::grid::crop;
use crate::base::Count;
use crate::pipeline::Summary;
use crate::report::say::number;
use crate::verdict::Reason;
use crate::watch::state::State;
use crate::watch::theme::{DIM, WARN};

/// One line on every screen: what matters most stands first, so that a narrow one shows it.
pub(super) fn line(state: &State, width: u16) -> Line<'static> {
    let snapshot = &state.snapshot;
    let counts = &snapshot.summary.counts;
    let tls = counts.get(Count::TlsConnections);
    let (packets, lost) = (counts.get(Count::Packets), counts.get(Count::GapBytes));
    let drops = [("kernel dropped", counts.get(Count::KernelDrops)), ("own dropped", counts.get(Count::OwnDrops)), ("lost bytes", lost)];
    let short = usize::from(width) < ROOMY;
    let mut parts = vec![(format!("{} packets", number(packets)), Style::new())];
    if short && drops.iter().all(|(_, n)| *n == 0) {
        parts.push(("nothing dropped or lost".to_owned(), Style::new()));
    } else {
        parts.extend(drops.map(|(word, n)| (format!("{word} {}", number(n)), if n > 0 { WARN } else { Style::new() })));
    }
    let flows = if short { "flows" } else { "open flows" };
    parts.push((format!("{flows} {}", number(snapshot.connections as u64)), Style::new()));
    parts.push((format!("unpaired {}", number(snapshot.unpaired as u64)), Style::new()));
    if tls > 0 {
        let read = counts.get(Count::TlsDecrypted);
        parts.push((format!("TLS {} of {} read", number(read), number(tls)), if read < tls { WARN } else { Style::new() }));
    } else {
        parts.push(("no TLS".to_owned(), Style::new()));
    }
    parts.extend(snapshot.run.notes.first().map(|note| (note.clone(), DIM)));
    let mut spans = vec![Span::raw(" ")];
    let mut left = usize::from(width).saturating_sub(1);
    for (n, (text, style)) in parts.into_iter().enumerate() {
        let text = if n > 0 { format!(" · {text}") } else { text };
        let shown = crop(&text, left);
        left = left.saturating_sub(shown.chars().count());
        spans.push(Span::styled(shown, style));
        if left == 0 {
            break;
        }
    }
    Line::from(spans)
}

/// What was not seen, worst first; nothing where all was.
pub(super) fn blind(summary: &Summary) -> Vec<String> {
    let counts = &summary.counts;
    let mut all = Vec::new();
    let mut say = |n: u64, text: &str| {
        if n > 0 {
            all.push(format!("{} {text}", number(n)));
        }
    };
    say(counts.get(Count::KernelDrops), "packets dropped by the kernel");
    say(counts.get(Count::OwnDrops), "packets dropped by us");
    say(counts.get(Count::GapBytes), "bytes lost in streams");
    say(counts.get(Count::TlsConnections).saturating_sub(counts.get(Count::TlsDecrypted)), "TLS connections without keys");
    say(counts.get(Count::CutPackets), "packets cut short");
    let unseen: u64 = summary.unresolved.iter().filter(|(reason, _)| **reason != Reason::ClientLeft).map(|(_, n)| n).sum();
    say(unseen, if unseen == 1 { "pair not judged" } else { "pairs not judged" });
    say(summary.losses.len() as u64, "losses told in Capture");
    all
}

/// Columns from which on every figure has its own words.
const ROOMY: usize = 110;
