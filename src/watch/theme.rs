//! How things look: glyphs and colours, and what becomes of both where the terminal has none. Never colour alone.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

use crate::verdict::Verdict;

/// What the terminal is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Colours; without them only bold, dim and reversed.
    pub colour: bool,
    /// ASCII alone.
    pub ascii: bool,
}

impl Theme {
    /// A verdict's glyph and style. Red against cyan: told apart by nearly everybody, and the glyphs differ.
    pub fn verdict(verdict: Verdict) -> (char, Style) {
        match verdict {
            Verdict::Swallowed => ('✗', BAD.add_modifier(Modifier::BOLD)),
            Verdict::Partial => ('◐', BAD),
            Verdict::Stalled => ('…', BAD),
            Verdict::Propagated => ('!', WARN),
            Verdict::Rejected => ('-', WARN),
            Verdict::Unexplained => ('?', WARN),
            Verdict::Healthy => ('✓', GOOD),
            Verdict::Empty => ('○', GOOD),
            Verdict::Background => ('·', DIM),
            Verdict::Unresolved => ('~', UNSURE),
        }
    }

    /// Takes away from a drawn screen what the terminal cannot show.
    pub fn degrade(self, buffer: &mut Buffer) {
        if self.colour && !self.ascii {
            return;
        }
        for cell in &mut buffer.content {
            if !self.colour {
                (cell.fg, cell.bg) = (Color::Reset, Color::Reset);
            }
            if self.ascii && !cell.symbol().is_ascii() {
                let plain = cell.symbol().chars().next().map_or(' ', ascii);
                cell.set_char(plain);
            }
        }
    }
}

fn ascii(letter: char) -> char {
    match letter {
        '✗' => 'X',
        '◐' => '%',
        '…' => '=',
        '✓' => '+',
        '○' => 'o',
        '·' | '•' => '.',
        '│' | '┃' | '╎' | '┊' => '|',
        '─' | '━' | '╌' | '–' | '—' => '-',
        '┌' | '┐' | '└' | '┘' | '├' | '┤' | '┬' | '┴' | '┼' | '╪' => '+',
        '▶' | '→' | '▸' | '›' => '>',
        '◀' | '←' | '◂' => '<',
        '↑' | '▲' => '^',
        '↓' | '▼' => 'v',
        '≈' => '~',
        '◆' | '●' => '*',
        '×' => 'x',
        '▁' | '▂' => '.',
        '▃' | '▄' | '▅' => 'o',
        '▆' | '▇' | '█' => '#',
        _ => '?',
    }
}

/// A hidden failure.
pub(super) const BAD: Style = Style::new().fg(Color::LightRed);
/// Something to look at.
pub(super) const WARN: Style = Style::new().fg(Color::Yellow);
/// All well.
pub(super) const GOOD: Style = Style::new().fg(Color::Cyan);
/// Not known.
pub(super) const UNSURE: Style = Style::new().fg(Color::LightMagenta);
/// Of lesser interest.
pub(super) const DIM: Style = Style::new().add_modifier(Modifier::DIM);
/// Headings.
pub(super) const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
/// The line at hand.
pub(super) const HERE: Style = Style::new().add_modifier(Modifier::REVERSED);
