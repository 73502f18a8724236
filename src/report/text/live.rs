//! A live run for a person: what is new is told at once, what repeats is counted, and the end is the page that a replay would print.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::page::{Page, clean};
use super::say::many;
use super::story::Story;
use super::{Key, Text, key};
use crate::correlate::Leg;
use crate::pipeline::{Loss, Output, Summary};
use crate::report::{Report, Shape};
use crate::verdict::{Finding, Judged};

/// The text report of a live run.
#[derive(Debug)]
pub struct Live<W> {
    text: Text<W>,
    groups: BTreeMap<Key, Group>,
    told: Instant,
}

/// Flagged pairs of one kind.
#[derive(Debug, Default)]
struct Group {
    title: String,
    count: u64,
    untold: u64,
}

impl<W: Write> Live<W> {
    /// Writes to `out`, in colour or not.
    pub fn new(out: W, shape: Shape, colour: bool) -> Live<W> {
        Live { text: Text::new(out, shape, colour), groups: BTreeMap::new(), told: Instant::now() }
    }

    fn news(&mut self, judged: &Judged) {
        let room = self.groups.len() < MOST_GROUPS;
        let name = key(judged);
        if let Some(group) = self.groups.get_mut(&name) {
            group.count += 1;
            group.untold += 1;
            return;
        }
        if !room {
            return;
        }
        let mut page = Page::new(self.text.colour);
        let failure = judged.failure.map(|failure| format!(" · {failure}")).unwrap_or_default();
        let server = judged.server.map(|server| format!(" ← {server}")).unwrap_or_default();
        let rest = format!("{failure} · {}{server}", clean(judged.pair.down.path()));
        page.raw(&format!("{}{}", page.verdict(judged.verdict, 0), page.strong(&rest)));
        Story::new(judged, &[]).tell(&mut page, 5, LABEL);
        page.field(5, "rule", LABEL, &format!("{} (pair {})", judged.rule, judged.number));
        self.text.sink.text(&page.into_text());
        self.groups.insert(name, Group { title: format!("{}{rest}", judged.verdict), count: 1, untold: 0 });
    }

    fn repeats(&mut self) {
        self.told = Instant::now();
        for group in self.groups.values_mut().filter(|group| group.untold > 0) {
            self.text.sink.text(&format!("     {} more of {}: {} in all\n", many(group.untold, "pair"), group.title, group.count));
            group.untold = 0;
        }
    }
}

impl<W: Write> Output for Live<W> {
    fn pair(&mut self, judged: Judged) {
        if judged.verdict.flagged() {
            self.news(&judged);
        }
        self.text.pair(judged);
    }

    fn loss(&mut self, loss: Loss) {
        if !self.text.shape.only_findings {
            self.text.sink.text(&format!("lost: {}: {}\n", clean(&loss.place), clean(&loss.detail)));
        }
        self.text.loss(loss);
    }

    fn finding(&mut self, finding: Finding) {
        self.text.finding(finding);
    }

    fn exchange(&mut self, _: Leg) {}
}

impl<W: Write> Report for Live<W> {
    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        if !self.groups.is_empty() {
            self.text.sink.text("\n");
        }
        self.text.finish(summary)
    }

    fn flush(&mut self) {
        if self.told.elapsed() >= REPEATS {
            self.repeats();
        }
        self.text.sink.flush();
    }

    fn failed(&self) -> bool {
        self.text.failed()
    }
}

/// How often repeats are told.
const REPEATS: Duration = Duration::from_secs(10);
/// Kinds of flagged pairs told apart; the page at the end tells all.
const MOST_GROUPS: usize = 1_000;
const LABEL: usize = 14;
