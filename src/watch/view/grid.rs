//! Columns that fit a width: what matters least goes first.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::watch::theme::DIM;

/// A column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// Its head.
    pub title: &'static str,
    /// Its least width.
    pub width: usize,
    /// It takes a share of what is left over.
    pub grows: bool,
    /// What goes first where there is not room for all; 0 never goes.
    pub rank: u8,
    /// Its cells stand at the right: numbers.
    pub right: bool,
}

/// In short.
pub(super) const fn col(title: &'static str, width: usize, rank: u8) -> Column {
    Column { title, width, grows: false, rank, right: false }
}

/// One of numbers.
pub(super) const fn num(title: &'static str, width: usize, rank: u8) -> Column {
    Column { title, width, grows: false, rank, right: true }
}

/// One that grows.
pub(super) const fn wide(title: &'static str, width: usize, rank: u8) -> Column {
    Column { title, width, grows: true, rank, right: false }
}

/// Columns laid out for a width.
#[derive(Debug)]
pub(super) struct Grid {
    columns: Vec<(Column, Option<usize>)>,
}

impl Grid {
    /// Lays out.
    pub(super) fn new(columns: &[Column], width: u16) -> Grid {
        let width = usize::from(width);
        let mut columns: Vec<(Column, Option<usize>)> = columns.iter().map(|column| (*column, Some(column.width))).collect();
        let needed =
            |columns: &[(Column, Option<usize>)]| columns.iter().filter_map(|(_, width)| *width).map(|width| width + 1).sum::<usize>();
        while needed(&columns) > width + 1 {
            let last =
                columns.iter_mut().filter(|(column, width)| width.is_some() && column.rank > 0).max_by_key(|(column, _)| column.rank);
            let Some((_, gone)) = last else { break };
            *gone = None;
        }
        let spare = (width + 1).saturating_sub(needed(&columns));
        let growing = columns.iter().filter(|(column, width)| column.grows && width.is_some()).count();
        let mut left = spare;
        for (n, (_, width)) in columns.iter_mut().filter(|(column, width)| column.grows && width.is_some()).enumerate() {
            // On a very wide screen what belongs together stays together.
            let share = (left / (growing - n)).min(MOST);
            left -= share;
            *width = width.map(|width| width + share);
        }
        Grid { columns }
    }

    /// The heads.
    pub(super) fn head(&self) -> Line<'static> {
        self.line(self.columns.iter().map(|(column, _)| (column.title.to_owned(), DIM)).collect())
    }

    /// A line of cells, one for each column whether it is shown or not.
    pub(super) fn line(&self, cells: Vec<(String, Style)>) -> Line<'static> {
        let mut spans = Vec::with_capacity(cells.len());
        for ((column, width), (text, style)) in self.columns.iter().zip(cells) {
            if let Some(width) = width {
                let text = if column.right { fit_right(&text, *width) } else { fit(&text, *width) };
                spans.push(Span::styled(text, style));
                spans.push(Span::raw(" "));
            }
        }
        spans.pop();
        Line::from(spans)
    }
}

/// Cut to a width, and marked so.
pub(super) fn crop(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for letter in text.chars() {
        let wide = letter.width().unwrap_or(0);
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        out.push(letter);
    }
    if width > 0 {
        out.push('…');
    }
    out
}

/// Cut or filled to a width.
pub(super) fn fit(text: &str, width: usize) -> String {
    let mut out = crop(text, width);
    let used = out.width();
    out.push_str(&" ".repeat(width.saturating_sub(used)));
    out
}

/// The same, filled from the left.
fn fit_right(text: &str, width: usize) -> String {
    let cut = crop(text, width);
    format!("{}{cut}", " ".repeat(width.saturating_sub(cut.width())))
}

/// Broken at spaces, words that are longer than a row where it ends; at least one row.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let mut rows = vec![String::new()];
    for word in text.split(' ') {
        let mut word = word;
        let mut used = rows.last().map_or(0, |row| row.width());
        if used > 0 && used + 1 + word.width() > width {
            rows.push(String::new());
            used = 0;
        }
        if used > 0 {
            rows.last_mut().iter_mut().for_each(|row| row.push(' '));
        }
        while word.width() > width {
            let mut at = 0;
            let mut taken = 0;
            for (byte, letter) in word.char_indices() {
                let wide = letter.width().unwrap_or(0);
                if taken + wide > width {
                    break;
                }
                taken += wide;
                at = byte + letter.len_utf8();
            }
            let (head, rest) = word.split_at(at.max(1));
            rows.last_mut().iter_mut().for_each(|row| row.push_str(head));
            rows.push(String::new());
            word = rest;
        }
        rows.last_mut().iter_mut().for_each(|row| row.push_str(word));
    }
    rows
}

/// Columns that one takes of what is left over, at most.
const MOST: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_least_goes_first_and_the_rest_fills_the_width() {
        let columns = [col("a", 5, 0), wide("b", 5, 0), col("c", 5, 2), col("d", 5, 1)];
        let text = |width: u16| Grid::new(&columns, width).head().to_string();
        assert_eq!(text(23), "a     b     c     d    ");
        assert_eq!(text(22), "a     b          d    ", "c goes, b grows");
        assert_eq!(text(12).trim_end(), "a     b");
        assert_eq!(Grid::new(&[num("n", 5, 0)], 5).line(vec![("12".to_owned(), Style::new())]).to_string(), "   12");
        assert_eq!((crop("äöüäöü", 4), crop("日本語", 4), fit("ab", 4)), ("äöü…".to_owned(), "日…".to_owned(), "ab  ".to_owned()));
    }

    #[test]
    fn rows_never_exceed_the_width() {
        for row in wrap(&format!("one two {} three 日本語日本語日本語 four", "x".repeat(40)), 12) {
            assert!(row.width() <= 12, "{row}");
        }
        assert_eq!(wrap("", 10), [""]);
    }
}
