//! Every key and every word of the filter, from the tables that make them work.

use ratatui::text::{Line, Span};

use super::grid::{fit, wrap};
use crate::verdict::Verdict;
use crate::watch::filter::KEYS;
use crate::watch::keys::Action;
use crate::watch::state::State;
use crate::watch::theme::{STRONG, Theme};

pub(super) fn lines(state: &State, width: u16) -> Vec<Line<'static>> {
    let width = usize::from(width);
    let mut lines = vec![Line::styled(" KEYS", STRONG)];
    let entry = |lines: &mut Vec<Line<'static>>, label: &str, text: &str| {
        for (n, row) in wrap(text, width.saturating_sub(LABEL + 2)).into_iter().enumerate() {
            let label = if n == 0 { label } else { "" };
            lines.push(Line::from(vec![Span::styled(fit(&format!("  {label}"), LABEL), STRONG), Span::raw(" "), Span::raw(row)]));
        }
    };
    for (action, _, _, _, help) in Action::TABLE {
        entry(&mut lines, &state.keys.of(*action).join(" "), help);
    }
    lines.push(Line::styled(
        " FILTER: all words have to hold; -word turns one round; /regex/ and bare words are looked for anywhere",
        STRONG,
    ));
    for (key, help) in KEYS {
        entry(&mut lines, key, help);
    }
    lines.push(Line::styled(" VERDICTS", STRONG));
    for verdict in Verdict::ALL {
        entry(&mut lines, &format!("{} {verdict}", Theme::verdict(*verdict).0), verdict.doc().trim());
    }
    lines
}

const LABEL: usize = 22;
