//! A live run for the system's log: one line for each new kind of hidden failure, repeats as a number, losses, a sign of life.

use std::io;

use super::groups::{Groups, title};

use super::page::clean;
use super::say::{from_to, many, number};
use crate::correlate::Leg;
use crate::pipeline::{Loss, Output, Summary};
use crate::report::view::headline;
use crate::report::{Beat, Report, Shape};
use crate::verdict::{Finding, Judged};

/// How much it matters: the severities of RFC 5424, section 6.2.1, that are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A failure was hidden, or something was not seen.
    Warning = 4,
    /// What the run came to.
    Notice = 5,
    /// The run goes on.
    Info = 6,
}

/// Takes lines; where they go is not told here.
pub trait Lined {
    /// One line, and what it is about as fields that can be searched for. It may be taken later: see [`Lined::flush`].
    fn line(&mut self, level: Level, text: &str, fields: &[(&str, String)]);
    /// Hands on what could not be handed on before.
    fn flush(&mut self);
    /// The same for the last time.
    fn finish(&mut self) -> io::Result<()>;
}

/// The report for a log.
#[derive(Debug)]
pub struct Log<L> {
    lines: L,
    shape: Shape,
    groups: Groups,
}

impl<L: Lined> Log<L> {
    /// Tells `lines`.
    pub fn new(lines: L, shape: Shape) -> Log<L> {
        Log { lines, shape, groups: Groups::new() }
    }
}

impl<L: Lined> Output for Log<L> {
    fn pair(&mut self, judged: Judged) {
        if !judged.verdict.flagged() || !self.groups.is_new(&judged) {
            return;
        }
        let client = judged.pair.down.peers.client;
        let cause = judged.cause.as_ref().map(|cause| format!(", {}: {}", cause.kind, clean(&cause.detail))).unwrap_or_default();
        let text =
            format!("{}{} for client {client}{cause} (rule {}, pair {})", judged.verdict, title(&judged), judged.rule, judged.number);
        let mut fields = vec![
            ("VERDICT", judged.verdict.to_string()),
            ("RULE", judged.rule.to_owned()),
            ("PAIR", judged.number.to_string()),
            ("ROUTE", clean(judged.pair.down.path()).into_owned()),
            ("CLIENT", client.to_string()),
        ];
        fields.extend(judged.failure.map(|failure| ("FAILURE", failure.to_string())));
        fields.extend(judged.server.map(|server| ("SERVER", server.to_string())));
        self.lines.line(Level::Warning, &text, &fields);
    }

    fn loss(&mut self, loss: Loss) {
        if !self.shape.only_findings {
            let place = if loss.place.is_empty() { String::new() } else { format!("{}: ", clean(&loss.place)) };
            self.lines.line(Level::Warning, &format!("lost: {place}{}", clean(&loss.detail)), &[("LOSS", loss.kind)]);
        }
    }

    fn finding(&mut self, finding: Finding) {
        let failure = finding.failure.map(|failure| format!(" · {failure}")).unwrap_or_default();
        let server = finding.server.map(|server| format!(" ← {server}")).unwrap_or_default();
        let many = many(finding.count, "pair");
        let when = from_to(finding.first, finding.last);
        let text = format!("finding {}: {}{failure} · {}{server}: {many}, {when}", finding.number, finding.verdict, clean(&finding.route));
        self.lines.line(Level::Notice, &text, &[("VERDICT", finding.verdict.to_string()), ("RULE", finding.rule.to_owned())]);
    }

    fn exchange(&mut self, _: Leg) {}
}

impl<L: Lined> Report for Log<L> {
    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        self.lines.line(Level::Notice, &format!("ended: {}", headline(summary)), &[]);
        self.lines.finish()
    }

    fn flush(&mut self) {
        let lines = &mut self.lines;
        self.groups.repeats(|text| lines.line(Level::Warning, text, &[]));
        lines.flush();
    }

    fn beat(&mut self, beat: &Beat) {
        let Beat { received, kernel_drops, own_drops, .. } = *beat;
        let received = many(received, "packet");
        let text = format!("alive: {received} received, {} dropped by the kernel, {} by us", number(kernel_drops), number(own_drops));
        self.lines.line(Level::Info, &text, &[]);
    }

    /// A log that is away may come back, and the run goes on meanwhile.
    fn failed(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::swallowed;

    #[derive(Default)]
    struct Kept(Vec<(Level, String)>);

    impl Lined for Kept {
        fn line(&mut self, level: Level, text: &str, _: &[(&str, String)]) {
            self.0.push((level, text.to_owned()));
        }

        fn flush(&mut self) {}

        fn finish(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_kind_is_one_line_however_often_it_comes() {
        let mut log = Log::new(Kept::default(), Shape::default());
        for number in 1..=50 {
            log.pair(swallowed(number));
        }
        log.loss(Loss { kind: "interface".to_owned(), place: "eth0".to_owned(), detail: "gone".to_owned(), at: None });
        log.finish(&Summary::default()).unwrap();
        let Kept(lines) = log.lines;
        let levels: Vec<Level> = lines.iter().map(|(level, _)| *level).collect();
        assert_eq!(levels, [Level::Warning, Level::Warning, Level::Notice], "{lines:?}");
        assert!(lines.iter().all(|(_, text)| !text.contains('\n')));
        assert!(lines[0].1.starts_with("swallowed · unauthorized · "), "{lines:?}");
    }
}
