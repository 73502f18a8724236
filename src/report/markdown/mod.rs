//! Markdown, for pull requests and bug trackers. What comes from traffic is escaped, so that it can neither format nor mention anybody.

use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};

use super::digest::Digest;
use super::view::View;
use crate::pipeline::Summary;

/// `--format markdown`: the run.
pub(super) fn page(digest: &Digest, summary: &Summary) -> io::Result<String> {
    render("report.md", PAGE, View::new(digest, summary, MOST_FINDINGS))
}

/// `--report-issue`: what a gateway's maintainers need.
pub(super) fn issue(digest: &Digest, summary: &Summary) -> io::Result<String> {
    render("issue.md", ISSUE, View::new(digest, summary, MOST_ISSUE_LADDERS))
}

fn render(name: &str, source: &str, view: View) -> io::Result<String> {
    let mut templates = Environment::new();
    templates.set_auto_escape_callback(|_| AutoEscape::None);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(io::Error::other)?;
    templates.set_syntax(syntax);
    templates.add_filter("md", |text: Value| escaped(&text.to_string()));
    templates.add_filter("code", |text: Value| code(&text.to_string()));
    templates.add_template_owned(name.to_owned(), source.to_owned()).map_err(io::Error::other)?;
    templates.get_template(name).and_then(|page| page.render(context! { view => Value::from(Serde(view)) })).map_err(io::Error::other)
}

/// Text that means itself (CommonMark 0.31, 2.4): in one row, and with no `@name` that would call somebody.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' | '!' | '$' | '&' => out.extend(['\\', c]),
            '@' => out.push_str("@\u{200b}"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Text as code, also in a table's cell. A backtick in it becomes an apostrophe: none that matters has one.
fn code(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| {
            if c == '`' {
                '\''
            } else if c.is_control() {
                ' '
            } else {
                c
            }
        })
        .collect();
    if text.is_empty() { String::new() } else { format!("`{}`", text.replace('|', "\\|")) }
}

const PAGE: &str = include_str!("report.md");
const ISSUE: &str = include_str!("issue.md");

/// Findings told.
const MOST_FINDINGS: usize = 200;
/// Kinds of pairs with a ladder.
pub(super) const MOST_LADDERS: usize = 20;
pub(super) const MOST_ISSUE_LADDERS: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_formats_nothing_and_calls_nobody() {
        assert_eq!(escaped("a|b *c* <img> @team\n[x](y)"), "a\\|b \\*c\\* \\<img\\> @\u{200b}team \\[x\\](y)");
        assert_eq!(code("/a|`b`"), "`/a\\|'b'`");
        assert_eq!(code(""), "");
    }
}
