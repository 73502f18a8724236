//! How things look: glyphs and colours, and what becomes of both where the terminal has none. Never colour alone.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

use crate::verdict::Verdict;

/// What the terminal is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Theme {
    /// The four colours; without them only bold, dim and reversed.
    pub palette: Option<Palette>,
    /// ASCII alone.
    pub ascii: bool,
}

/// The colours that mean something. The background is the terminal's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    /// A hidden failure.
    pub bad: Color,
    /// Something to look at.
    pub warn: Color,
    /// All well.
    pub good: Color,
    /// Not known.
    pub unsure: Color,
}

impl Palette {
    /// For dark backgrounds: the terminal's own bright colours, so that its theme stays in charge.
    pub const DARK: Palette = Palette { bad: Color::LightRed, warn: Color::Yellow, good: Color::Cyan, unsure: Color::LightMagenta };
    /// For light ones, where a terminal's yellow and cyan cannot be read: dark shades of the 256-colour cube, each with a contrast of
    /// 4.5 to 1 at least against white (WCAG 2.2, 1.4.3).
    pub const LIGHT: Palette =
        Palette { bad: Color::Indexed(160), warn: Color::Indexed(94), good: Color::Indexed(24), unsure: Color::Indexed(90) };

    /// The palette for what the terminal says of itself in `COLORFGBG` (`15;0`): light where its background is; else dark.
    pub fn of(colorfgbg: Option<&str>) -> Palette {
        match colorfgbg.and_then(|text| text.rsplit(';').next()) {
            Some("7" | "15") => Palette::LIGHT,
            _ => Palette::DARK,
        }
    }

    /// With other colours for some meanings: the configuration's `[colours]`, `bad = "#d70000"`. `Err` says what is wrong with it.
    pub fn recoloured(self, words: &BTreeMap<String, String>) -> Result<Palette, String> {
        let mut palette = self;
        for (name, text) in words {
            let colour = text.parse().map_err(|_| format!("colours: `{text}` is no colour: a name, a number to 255, or #rrggbb"))?;
            match name.as_str() {
                "bad" => palette.bad = colour,
                "warn" => palette.warn = colour,
                "good" => palette.good = colour,
                "unsure" => palette.unsure = colour,
                _ => return Err(format!("colours: `{name}` is none of bad, warn, good, unsure")),
            }
        }
        Ok(palette)
    }

    /// Views are drawn in the dark palette's colours, which stand for the meanings.
    fn paint(self, drawn: Color) -> Color {
        let meanings = [(Self::DARK.bad, self.bad), (Self::DARK.warn, self.warn), (Self::DARK.good, self.good)];
        let all = meanings.into_iter().chain([(Self::DARK.unsure, self.unsure)]);
        all.into_iter().find(|(meaning, _)| *meaning == drawn).map_or(drawn, |(_, colour)| colour)
    }
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

    /// Gives a drawn screen its colours, and takes away what the terminal cannot show.
    pub fn apply(self, buffer: &mut Buffer) {
        for cell in &mut buffer.content {
            cell.fg = self.palette.map_or(Color::Reset, |palette| palette.paint(cell.fg));
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
pub(super) const BAD: Style = Style::new().fg(Palette::DARK.bad);
/// Something to look at.
pub(super) const WARN: Style = Style::new().fg(Palette::DARK.warn);
/// All well.
pub(super) const GOOD: Style = Style::new().fg(Palette::DARK.good);
/// Not known.
pub(super) const UNSURE: Style = Style::new().fg(Palette::DARK.unsure);
/// Of lesser interest.
pub(super) const DIM: Style = Style::new().add_modifier(Modifier::DIM);
/// Headings.
pub(super) const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
/// The line at hand.
pub(super) const HERE: Style = Style::new().add_modifier(Modifier::REVERSED);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminals_word_and_the_configurations_choose_the_colours() {
        assert_eq!(Palette::of(Some("15;0")), Palette::DARK);
        assert_eq!(Palette::of(Some("0;default;15")), Palette::LIGHT);
        assert_eq!(Palette::of(None), Palette::DARK);
        let words = |name: &str, colour: &str| BTreeMap::from([(name.to_owned(), colour.to_owned())]);
        let own = Palette::LIGHT.recoloured(&words("warn", "#5f5f00")).unwrap();
        assert_eq!((own.warn, own.bad), (Color::Rgb(0x5f, 0x5f, 0), Palette::LIGHT.bad));
        assert!(Palette::DARK.recoloured(&words("bad", "reddish")).is_err());
        assert!(Palette::DARK.recoloured(&words("background", "red")).is_err());
    }
}
