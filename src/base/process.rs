//! A process with a hand in a connection, as whoever captured it tells.

/// What is known of it. Text of others: bounded, without control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its number.
    pub pid: Option<u32>,
    /// The program that it runs, without its arguments.
    pub command: Option<String>,
    /// Name of its container, or its id.
    pub container: Option<String>,
    /// Its pod: namespace and name.
    pub pod: Option<String>,
}

impl Process {
    /// A name as it may be kept: at most 128 bytes (a longer one ends in `…`), control characters replaced.
    pub fn text(name: &str) -> String {
        label(name, LONGEST)
    }
}

/// Text of others as it may be kept: at most `most` bytes and a `…`, control characters replaced.
pub fn label(text: &str, most: usize) -> String {
    let end = (0..=text.len().min(most)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let kept = text.get(..end).unwrap_or_default();
    let safe = kept.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let mut safe: String = safe.collect();
    if kept.len() < text.len() {
        safe.push('…');
    }
    safe
}

/// Bytes of a name.
const LONGEST: usize = 128;
