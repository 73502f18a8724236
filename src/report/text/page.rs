//! Plain words come in, a page of at most 100 columns goes out: headings, fields, wrapped lines. Whatever comes from traffic is
//! cleaned of terminal control on its way. Knows nothing of gateways.

use std::borrow::Cow;

use anstyle::{AnsiColor, Style};

use crate::verdict::Verdict;

/// Columns of a page.
pub(super) const WIDTH: usize = 100;

/// Text being laid out.
#[derive(Debug, Default)]
pub(in crate::report) struct Page {
    text: String,
    colour: bool,
    width: usize,
}

impl Page {
    pub(in crate::report) fn new(colour: bool) -> Page {
        Page { text: String::new(), colour, width: WIDTH }
    }

    /// As wide as a screen is.
    pub(in crate::report) fn wide(width: usize) -> Page {
        Page { width, ..Page::new(false) }
    }

    /// What was written so far.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    pub(super) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A section's name, with an empty line before it.
    pub(super) fn heading(&mut self, name: &str) {
        self.blank();
        let name = self.paint(BOLD, name);
        self.text.push_str(&name);
        self.blank();
    }

    /// Wrapped text at an indent.
    pub(super) fn line(&mut self, indent: usize, text: &str) {
        self.hang(indent, "", 0, Style::new(), text);
    }

    /// A label, and wrapped text that hangs beside it.
    pub(super) fn field(&mut self, indent: usize, label: &str, width: usize, text: &str) {
        self.hang(indent, label, width, DIM, text);
    }

    /// A verdict's glyph and word: never colour alone.
    pub(super) fn verdict(&self, verdict: Verdict, width: usize) -> String {
        let (glyph, style) = look(verdict);
        self.paint(style, &format!("{glyph} {:width$}", verdict.as_str()))
    }

    /// Text that is laid out already.
    pub(super) fn raw(&mut self, text: &str) {
        self.text.push_str(text);
        self.blank();
    }

    /// In bold, where there is colour.
    pub(super) fn strong(&self, text: &str) -> String {
        self.paint(BOLD, text)
    }

    /// What a server said, in one row however long: people copy it and search for it.
    pub(super) fn quote(&mut self, indent: usize, text: &str) {
        self.text.push_str(&" ".repeat(indent));
        self.text.push_str(&clean(text));
        self.blank();
    }

    fn hang(&mut self, indent: usize, label: &str, width: usize, style: Style, text: &str) {
        let label = format!("{label:width$}");
        let left = indent + label.chars().count();
        for (n, row) in wrap(&clean(text), self.width.saturating_sub(left)).iter().enumerate() {
            let start = if n == 0 { " ".repeat(indent) + &self.paint(style, &label) } else { " ".repeat(left) };
            self.text.push_str(&start);
            self.text.push_str(row);
            self.blank();
        }
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.colour && !text.trim().is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

fn look(verdict: Verdict) -> (char, Style) {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    match verdict {
        Verdict::Swallowed => ('✗', colour(AnsiColor::Red).bold()),
        Verdict::Partial => ('◐', colour(AnsiColor::Red)),
        Verdict::Stalled => ('…', colour(AnsiColor::Red)),
        Verdict::Propagated => ('!', colour(AnsiColor::Yellow)),
        Verdict::Rejected => ('-', colour(AnsiColor::Yellow)),
        Verdict::Unexplained => ('?', colour(AnsiColor::Yellow)),
        Verdict::Healthy => ('✓', colour(AnsiColor::Green)),
        Verdict::Empty => ('○', colour(AnsiColor::Green)),
        Verdict::Background => ('·', DIM),
        Verdict::Unresolved => ('~', colour(AnsiColor::Cyan)),
    }
}

/// Without characters that could move a cursor, change a colour or turn the reading direction.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    let unsafe_char = |c: char| c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.contains(unsafe_char) {
        Cow::Owned(text.chars().map(|c| if unsafe_char(c) { '\u{fffd}' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// Cut to a width, and marked so.
pub(super) fn crop(text: &str, width: usize) -> Cow<'_, str> {
    match text.char_indices().nth(width) {
        None => Cow::Borrowed(text),
        Some(_) => Cow::Owned(text.chars().take(width.saturating_sub(1)).chain(['…']).collect()),
    }
}

/// Broken at spaces; a word that is longer than a row is broken where the row ends. At least one row.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(20);
    let mut rows = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let len = word.chars().count();
        if used > 0 && used + 1 + len > width {
            rows.push(String::new());
            used = 0;
        }
        for (n, letter) in word.chars().enumerate() {
            if used == width {
                rows.push(String::new());
                used = 0;
            }
            if n == 0 && used > 0 {
                push(&mut rows, ' ');
                used += 1;
            }
            push(&mut rows, letter);
            used += 1;
        }
    }
    rows
}

fn push(rows: &mut [String], letter: char) {
    if let Some(row) = rows.last_mut() {
        row.push(letter);
    }
}

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_break_at_spaces_and_never_exceed_the_width() {
        assert_eq!(wrap("", 30), [""]);
        assert_eq!(wrap("one two three four five six", 20), ["one two three four", "five six"]);
        assert_eq!(wrap(&"x".repeat(45), 20), ["x".repeat(20), "x".repeat(20), "x".repeat(5)]);
        let long = format!("short {} end", "y".repeat(90));
        for row in wrap(&long, 40) {
            assert!(row.chars().count() <= 40, "{row}");
        }
    }

    #[test]
    fn traffic_cannot_speak_to_the_terminal() {
        assert_eq!(clean("a\x1b[31mb\r\u{202e}c\u{9b}"), "a\u{fffd}[31mb\u{fffd}\u{fffd}c\u{fffd}");
        assert_eq!(clean("plain — text"), "plain — text");
    }

    #[test]
    fn a_cropped_text_says_so() {
        assert_eq!([crop("abcd", 4), crop("äöüäöü", 4)], ["abcd", "äöü…"]);
    }

    #[test]
    fn colour_is_only_ever_added() {
        let lay = |colour| {
            let mut page = Page::new(colour);
            page.heading("PART");
            page.field(2, "label", 8, "some text");
            let verdict = page.verdict(Verdict::Swallowed, 12);
            page.raw(&verdict);
            page.into_text()
        };
        assert_eq!(lay(false), "\nPART\n  label   some text\n✗ swallowed   \n");
        assert!(lay(true).contains('\x1b') && lay(true).contains("✗ swallowed"));
    }
}
