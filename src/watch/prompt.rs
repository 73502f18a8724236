//! A line being typed at the foot of the screen: a filter, or the name of a file.

/// What is typed, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// What for.
    pub kind: Kind,
    /// The text.
    pub text: String,
    /// Where the next letter goes, in characters.
    pub at: usize,
    /// What the text was before it was completed, and which offer was taken.
    pub completing: Option<(String, usize)>,
}

/// What a line is typed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A filter.
    Filter,
    /// A file to save to.
    Save(Scope),
}

/// Which pairs are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those that were selected.
    Selected,
    /// Those that pass the filter.
    Shown,
    /// Flagged ones.
    Flagged,
    /// All whose details are kept.
    All,
}

impl Scope {
    /// The next.
    pub fn next(self) -> Scope {
        match self {
            Scope::Selected => Scope::Shown,
            Scope::Shown => Scope::Flagged,
            Scope::Flagged => Scope::All,
            Scope::All => Scope::Selected,
        }
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Scope::Selected => "selected",
            Scope::Shown => "shown",
            Scope::Flagged => "flagged",
            Scope::All => "all",
        }
    }
}

impl Prompt {
    /// With a text to go on from.
    pub fn new(kind: Kind, text: &str) -> Prompt {
        Prompt { kind, text: text.to_owned(), at: text.chars().count(), completing: None }
    }

    /// A letter is typed.
    pub fn type_letter(&mut self, letter: char) {
        if self.text.chars().count() < LONGEST && !letter.is_control() {
            let at = self.byte(self.at);
            self.text.insert(at, letter);
            self.at += 1;
        }
        self.completing = None;
    }

    /// The letter before goes.
    pub fn rub(&mut self) {
        if self.at > 0 {
            self.at -= 1;
            let at = self.byte(self.at);
            self.text.remove(at);
        }
        self.completing = None;
    }

    /// The letter here goes.
    pub fn delete(&mut self) {
        if self.at < self.text.chars().count() {
            let at = self.byte(self.at);
            self.text.remove(at);
        }
    }

    /// Everything goes.
    pub fn clear(&mut self) {
        (self.text, self.at, self.completing) = (String::new(), 0, None);
    }

    /// The cursor goes to a place.
    pub fn go(&mut self, to: usize) {
        self.at = to.min(self.text.chars().count());
    }

    /// The last word becomes the next of what it could be.
    pub fn complete(&mut self, offers: impl Fn(&str) -> Vec<String>) {
        let (base, taken) = self.completing.clone().map_or_else(|| (self.text.clone(), 0), |(base, taken)| (base, taken + 1));
        let offers = offers(&base);
        if let Some(offer) = offers.get(taken % offers.len().max(1)) {
            let kept = base.rfind(' ').map_or(0, |at| at + 1);
            self.text = format!("{}{offer}", base.get(..kept).unwrap_or_default());
            self.at = self.text.chars().count();
            self.completing = Some((base, taken));
        }
    }

    fn byte(&self, at: usize) -> usize {
        self.text.char_indices().nth(at).map_or(self.text.len(), |(byte, _)| byte)
    }
}

/// Letters in a line.
const LONGEST: usize = 400;
