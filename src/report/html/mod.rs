//! One self-contained page: what a run found, drawn and told. No script is needed to read it, none of it is fetched.

mod draw;

use std::io;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};

use super::digest::Digest;
use super::view::View;
use crate::pipeline::Summary;

/// The whole page.
pub(super) fn page(digest: &Digest, summary: &Summary) -> io::Result<String> {
    let view = View::new(digest, summary, MOST_FINDINGS);
    let pictures = draw::ladders(&digest.ladders);
    let timeline = draw::timeline(&digest.timeline, &digest.findings);
    render(context! {
        view => Value::from(Serde(view)),
        pictures => Value::from(Serde(pictures)),
        timeline => Value::from(Serde(timeline)),
        style => STYLE,
        script => SCRIPT,
        most_findings => MOST_FINDINGS,
        most_ladders => MOST_LADDERS,
    })
}

fn render(values: Value) -> io::Result<String> {
    let mut templates = Environment::new();
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    templates.add_template("page.html", PAGE).map_err(io::Error::other)?;
    templates.get_template("page.html").and_then(|page| page.render(values)).map_err(io::Error::other)
}

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("page.js");

/// Findings on the page: as many as are ever told apart.
const MOST_FINDINGS: usize = 10_000;
/// Findings with a full ladder.
pub(super) const MOST_LADDERS: usize = 200;
