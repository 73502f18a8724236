//! The comparison for people: as text, or as Markdown.

use std::fmt::Write;

use super::{Change, Comparison, Counted, Row, Run};
use crate::report::markdown::escaped;
use crate::report::text::page::clean;
use crate::report::text::say::{many, number};

/// How to lay it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// For a terminal.
    Text,
    /// For a pull request.
    Markdown,
}

impl Comparison {
    /// In words.
    pub fn told(&self, layout: Layout) -> String {
        match layout {
            Layout::Text => text(self),
            Layout::Markdown => markdown(self),
        }
    }
}

const PARTS: &[(Change, &str, &str)] = &[
    (Change::Broken, "NEW, AND A STEP BACK", "hidden now, told before"),
    (Change::New, "NEW", "hidden now, never seen before"),
    (Change::Still, "STILL HAPPENS", "hidden before and now"),
    (Change::Stopped, "STOPPED", "hidden before, told now"),
    (Change::CannotTell, "CANNOT BE TOLD", "hidden before, not put to the test now"),
    (Change::Never, "NEVER HIDDEN", "told whenever it was seen"),
];

fn headline(of: &Comparison) -> String {
    let n = |change: Change| of.rows.iter().filter(|row| row.change == change).count();
    let parts = [
        (n(Change::Stopped), "stopped"),
        (n(Change::Still), "still happen"),
        (n(Change::New) + n(Change::Broken), "new"),
        (n(Change::CannotTell), "cannot be told"),
    ];
    let parts: Vec<String> = parts.iter().map(|(n, word)| format!("{n} {word}")).collect();
    format!("{}: {}", of.answer, parts.join(", "))
}

fn text(of: &Comparison) -> String {
    let mut out = format!("gatewitness compare  {}\n", headline(of));
    for (name, run) in [("BEFORE", &of.before), ("AFTER", &of.after)] {
        let _ = writeln!(out, "\n{name}");
        for line in about(run) {
            let _ = writeln!(out, "  {}", clean(&line));
        }
    }
    for (change, name, doc) in PARTS {
        let rows: Vec<&Row> = of.rows.iter().filter(|row| row.change == *change).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n{name} ({doc})");
        for row in rows {
            let _ = writeln!(out, "  {}", clean(&what(row)));
            let _ = writeln!(out, "      {} -> {}", counted(&row.before), counted(&row.after));
            let _ = writeln!(out, "      {}", row.because);
        }
    }
    if of.untold > 0 {
        let _ = writeln!(out, "\n... and {}: --format json has the rest's number only", many(of.untold as u64, "more situation"));
    }
    let _ = writeln!(out, "\nROUTES AND SERVERS");
    for route in &of.routes {
        let server = route.server.as_ref().map(|server| format!(" <- {server} failing")).unwrap_or_default();
        let _ = writeln!(out, "  {}{server}", clean(&route.route));
        let _ = writeln!(out, "      {} -> {}", counted(&route.before), counted(&route.after));
    }
    if of.routes.is_empty() {
        let _ = writeln!(out, "  none: neither capture holds a client request to a gateway");
    }
    out
}

fn markdown(of: &Comparison) -> String {
    let mut out = format!("# gatewitness compare: {}\n\n", escaped(&headline(of)));
    for (name, run) in [("Before", &of.before), ("After", &of.after)] {
        let _ = writeln!(out, "**{name}**\n");
        for line in about(run) {
            let _ = writeln!(out, "- {}", escaped(&line));
        }
        out.push('\n');
    }
    let _ = writeln!(out, "| | what | before | after | |\n|---|---|---|---|---|");
    for (change, name, _) in PARTS {
        for row in of.rows.iter().filter(|row| row.change == *change) {
            let cells = [what(row), counted(&row.before), counted(&row.after), row.because.clone()];
            let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
            let _ = writeln!(out, "| {} | {} |", name.to_lowercase(), cells.join(" | "));
        }
    }
    let _ = writeln!(out, "\n| route | failing upstream | before | after |\n|---|---|---|---|");
    for route in &of.routes {
        let cells = [route.route.as_str(), route.server.as_deref().unwrap_or("none")].map(escaped);
        let _ = writeln!(out, "| {} | {} | {} |", cells.join(" | "), counted(&route.before), counted(&route.after));
    }
    out
}

fn about(run: &Run) -> Vec<String> {
    let mut all = vec![run.captures.join(", ")];
    all.extend(
        run.software
            .iter()
            .filter(|(label, _)| label.starts_with("gateway"))
            .map(|(label, names)| format!("{label}: {}", names.join("; "))),
    );
    all.push(format!("{}, {} flagged, {} not judged", many(run.pairs, "pair"), number(run.flagged), number(run.unresolved)));
    all.extend(run.health.iter().map(|line| format!("lost: {line}")));
    all
}

/// `tools/list on /mcp/weather, upstream 127.0.0.11:9001 unauthorized at initialize`
fn what(row: &Row) -> String {
    let failure = row.failure.map(|failure| failure.to_string()).unwrap_or_default();
    let at = if row.stage.is_empty() { String::new() } else { format!(" at {}", row.stage) };
    let server = row.server.as_deref().unwrap_or("an upstream");
    format!("{} on {}: {server} {failure}{at}", row.asked, row.route)
}

fn counted(verdicts: &Counted) -> String {
    if verdicts.is_empty() {
        return "not seen".to_owned();
    }
    let all: Vec<String> = verdicts.iter().map(|(verdict, n)| format!("{} {verdict}", number(*n))).collect();
    all.join(", ")
}
