//! One table of keys: what they do, what the help says of them, what the footer shows, and under which name a configuration rebinds them.

use std::collections::BTreeMap;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

macro_rules! actions {
    ($($variant:ident $name:literal $keys:literal $short:literal $help:literal,)+) => {
        /// What a key does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Action { $(#[doc = $help] $variant,)+ }

        impl Action {
            /// Each with its name in the configuration, its keys, its word in the footer and what it does.
            pub const TABLE: &[(Action, &str, &str, &str, &str)] = &[$((Action::$variant, $name, $keys, $short, $help),)+];
        }
    };
}

actions! {
    Overview "overview" "1" "overview" "Overview: is it happening, since when, to whom",
    Requests "requests" "2" "requests" "Requests: one line a pair",
    Servers "servers" "3" "servers" "Servers: what each upstream did",
    Findings "findings" "4" "findings" "Findings: equal flagged pairs, grouped",
    Capture "capture" "5" "capture" "Capture: what the witness itself saw and lost",
    NextView "next-view" "tab" "" "The next view; in the evidence, the next page",
    PreviousView "previous-view" "backtab" "" "The view before",
    Up "up" "k up" "" "One line up",
    Down "down" "j down" "" "One line down",
    PageUp "page-up" "pageup ctrl-u ctrl-b" "" "A page up",
    PageDown "page-down" "pagedown ctrl-d ctrl-f" "" "A page down",
    Top "top" "g home" "" "To the first line",
    Bottom "bottom" "G end" "" "To the last line, and follow what comes",
    Open "open" "enter right" "open" "Deeper: server or finding to its pairs, pair to its ladder, ladder to its evidence",
    Back "back" "esc left backspace" "back" "Back; in a list, without the filter",
    Filter "filter" "/" "filter" "Filter pairs; Tab completes",
    Faults "faults" "z" "faults" "Flagged pairs only, and all again",
    NextFault "next-fault" "n" "next" "The next flagged pair",
    PreviousFault "previous-fault" "N" "" "The flagged pair before",
    Sort "sort" ">" "sort" "Sort by the next column",
    SortBack "sort-back" "<" "" "Sort by the column before",
    Reverse "reverse" "r" "" "Turn the order round",
    Group "group" "b" "group" "Group pairs by server, by client, by credential, not at all",
    Follow "follow" "f" "follow" "Follow what comes, or stay",
    Pause "pause" "p" "pause" "Freeze the screen; the run goes on",
    Time "time" "w" "time" "Times of day, since the first packet, since the line before",
    Compress "compress" "c" "" "Ladder: with or without what prepares a call",
    Select "select" "space" "select" "Select a pair for saving",
    Save "save" "s" "save" "Save pairs to a file: selected, shown, flagged or all that are kept",
    Copy "copy" "y" "copy" "Copy the pair's record (JSON) to the clipboard (OSC 52)",
    CopyFilter "copy-filter" "Y" "" "Copy a Wireshark display filter for the pair",
    Privacy "privacy" "o" "" "Hide addresses and names on a shared screen",
    Acknowledge "acknowledge" "a" "" "Findings: acknowledge, or not",
    Hide "hide" "h" "" "Findings: hide acknowledged ones, or show them",
    Help "help" "? f1" "help" "This help",
    Redraw "redraw" "ctrl-l" "" "Draw the screen anew",
    Suspend "suspend" "ctrl-z" "" "Stop the tool; fg brings it back (packets are not read meanwhile)",
    Quit "quit" "q ctrl-c" "quit" "Leave; asks where findings of a live run are not saved",
}

/// Which key does what.
#[derive(Clone, Debug)]
pub struct Keys(Vec<(Key, Action)>);

/// A key with what is held down beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(KeyCode, bool);

impl Key {
    /// `x`, `X`, `ctrl-x`, `enter`, `f1`, ...
    pub fn parse(text: &str) -> Option<Key> {
        let (ctrl, name) = text.strip_prefix("ctrl-").map_or((false, text), |name| (true, name));
        let mut letters = name.chars();
        let code = match (letters.next(), letters.next()) {
            (Some(letter), None) => KeyCode::Char(letter),
            _ => match name {
                "enter" => KeyCode::Enter,
                "esc" => KeyCode::Esc,
                "tab" => KeyCode::Tab,
                "backtab" => KeyCode::BackTab,
                "space" => KeyCode::Char(' '),
                "backspace" => KeyCode::Backspace,
                "delete" => KeyCode::Delete,
                "up" => KeyCode::Up,
                "down" => KeyCode::Down,
                "left" => KeyCode::Left,
                "right" => KeyCode::Right,
                "home" => KeyCode::Home,
                "end" => KeyCode::End,
                "pageup" => KeyCode::PageUp,
                "pagedown" => KeyCode::PageDown,
                _ => KeyCode::F(name.strip_prefix('f')?.parse().ok().filter(|n| (1..=12).contains(n))?),
            },
        };
        Some(Key(code, ctrl))
    }

    /// Of what the terminal tells.
    pub fn of(event: KeyEvent) -> Key {
        Key(event.code, event.modifiers.contains(KeyModifiers::CONTROL))
    }

    /// Its character, where it types one.
    pub fn letter(self) -> Option<char> {
        match self {
            Key(KeyCode::Char(letter), false) => Some(letter),
            _ => None,
        }
    }

    /// Its code.
    pub fn code(self) -> KeyCode {
        self.0
    }
}

impl Default for Keys {
    fn default() -> Keys {
        let all =
            Action::TABLE.iter().flat_map(|(action, _, keys, ..)| keys.split(' ').filter_map(|key| Some((Key::parse(key)?, *action))));
        Keys(all.collect())
    }
}

impl Keys {
    /// With other keys for some actions: the configuration's `[keys]`, `quit = "x ctrl-c"`. `Err` says what is wrong with it.
    pub fn rebound(words: &BTreeMap<String, String>) -> Result<Keys, String> {
        let mut keys = Keys::default();
        for (name, list) in words {
            let entry = Action::TABLE.iter().find(|(_, own, ..)| own == name);
            let (action, ..) = entry.ok_or_else(|| format!("keys: there is no action `{name}`"))?;
            keys.0.retain(|(_, bound)| bound != action);
            for text in list.split_whitespace() {
                let key = Key::parse(text).ok_or_else(|| format!("keys: `{text}` is no key"))?;
                if let Some((_, other)) = keys.0.iter().find(|(bound, other)| *bound == key && !words.contains_key(other.name())) {
                    return Err(format!("keys: `{text}` is {}'s already; give that one another key as well", other.name()));
                }
                keys.0.insert(0, (key, *action));
            }
        }
        let first = |key: Key| keys.0.iter().find(|(bound, _)| *bound == key).map(|(_, action)| *action);
        if let Some((key, action)) = keys.0.iter().find(|(key, action)| first(*key) != Some(*action)) {
            return Err(format!("keys: {} is bound twice: {} and {}", name(*key), action.name(), first(*key).map_or("", Action::name)));
        }
        Ok(keys)
    }

    /// What a key does, if anything.
    pub fn action(&self, key: Key) -> Option<Action> {
        self.0.iter().find(|(bound, _)| *bound == key).map(|(_, action)| *action)
    }

    /// An action's keys, as people write them.
    pub fn of(&self, action: Action) -> Vec<String> {
        self.0.iter().filter(|(_, bound)| *bound == action).map(|(key, _)| name(*key)).collect()
    }
}

impl Action {
    /// In the configuration.
    pub fn name(self) -> &'static str {
        Action::TABLE.iter().find(|(action, ..)| *action == self).map_or("", |(_, name, ..)| name)
    }

    /// In the footer.
    pub fn short(self) -> &'static str {
        Action::TABLE.iter().find(|(action, ..)| *action == self).map_or("", |(_, _, _, short, _)| short)
    }
}

fn name(Key(code, ctrl): Key) -> String {
    let name = match code {
        KeyCode::Char(' ') => "Space".to_owned(),
        KeyCode::Char(letter) if ctrl => letter.to_ascii_uppercase().to_string(),
        KeyCode::Char(letter) => letter.to_string(),
        KeyCode::Up => "↑".to_owned(),
        KeyCode::Down => "↓".to_owned(),
        KeyCode::Left => "←".to_owned(),
        KeyCode::Right => "→".to_owned(),
        KeyCode::PageUp => "PgUp".to_owned(),
        KeyCode::PageDown => "PgDn".to_owned(),
        KeyCode::BackTab => "Shift-Tab".to_owned(),
        KeyCode::F(n) => format!("F{n}"),
        other => format!("{other:?}"),
    };
    if ctrl { format!("Ctrl-{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_key_and_no_key_has_two() {
        let keys = Keys::default();
        for (action, name, words, ..) in Action::TABLE {
            assert_eq!(keys.of(*action).len(), words.split(' ').count(), "{name}");
            for word in words.split(' ') {
                assert_eq!(keys.action(Key::parse(word).unwrap()), Some(*action), "{word}");
            }
        }
    }

    #[test]
    fn keys_are_rebound_whole_and_mistakes_are_told() {
        let words = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let keys = Keys::rebound(&words(&[("quit", "x ctrl-q")])).unwrap();
        assert_eq!(keys.of(Action::Quit), ["Ctrl-Q", "x"]);
        assert_eq!(keys.action(Key::parse("q").unwrap()), None);
        let swapped = Keys::rebound(&words(&[("quit", "p"), ("pause", "q")])).unwrap();
        assert_eq!(swapped.action(Key::parse("p").unwrap()), Some(Action::Quit));
        for bad in [("quit", "nokey"), ("leave", "x"), ("quit", "p")] {
            assert!(Keys::rebound(&words(&[bad])).is_err(), "{bad:?}");
        }
    }
}
