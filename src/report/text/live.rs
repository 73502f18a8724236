//! A live run for a person: what is new is told at once, what repeats is counted, and the end is the page that a replay would print.

use std::io::{self, Write};

use super::Text;
use super::groups::{Groups, title};
use super::page::{Page, clean};
use super::story::Story;
use crate::correlate::Leg;
use crate::pipeline::{Loss, Output, Summary};
use crate::report::{Report, Shape};
use crate::verdict::{Finding, Judged};

/// The text report of a live run.
#[derive(Debug)]
pub struct Live<W> {
    text: Text<W>,
    groups: Groups,
}

impl<W: Write> Live<W> {
    /// Writes to `out`, in colour or not.
    pub fn new(out: W, shape: Shape, colour: bool) -> Live<W> {
        Live { text: Text::new(out, shape, colour), groups: Groups::new() }
    }

    fn news(&mut self, judged: &Judged) {
        if !self.groups.is_new(judged) {
            return;
        }
        let mut page = Page::new(self.text.colour);
        page.raw(&format!("{}{}", page.verdict(judged.verdict, 0), page.strong(&title(judged))));
        Story::new(judged, &[]).tell(&mut page, 5, LABEL);
        page.field(5, "rule", LABEL, &format!("{} (pair {})", judged.rule, judged.number));
        self.text.sink.text(&page.into_text());
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
        let sink = &mut self.text.sink;
        self.groups.repeats(|line| sink.text(&format!("     {line}\n")));
        self.text.sink.flush();
    }

    fn failed(&self) -> bool {
        self.text.failed()
    }
}

const LABEL: usize = 14;
