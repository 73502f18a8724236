//! Where a report goes, and in which form.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::args::{Format, Showing};
use super::exit::Rule;
use crate::report::{Form, Json, Lines, Ndjson, Report, Shape, Text, Whole};

/// What a report is told of the run, beside its shape.
pub(super) struct Manner<'a> {
    pub(super) rule: &'a Rule,
    /// `--explain`
    pub(super) explain: Option<u64>,
    /// `--report-issue`
    pub(super) issue: bool,
}

/// Opens the way out. An output that is one of the inputs is refused before it destroys it.
pub(super) fn open(showing: &Showing, inputs: &[PathBuf], shape: Shape, manner: &Manner<'_>) -> anyhow::Result<Box<dyn Report>> {
    let Some(path) = &showing.output else {
        let out = io::stdout().lock();
        let colour = out.is_terminal() && colour_wanted();
        return report(showing.format(), BufWriter::with_capacity(BUFFER, out), shape, manner, colour);
    };
    let file = create(path, inputs)?;
    report(showing.format(), BufWriter::with_capacity(BUFFER, file), shape, manner, false)
}

/// Makes the file, unless it is one of the inputs.
pub(super) fn create(path: &Path, inputs: &[PathBuf]) -> anyhow::Result<File> {
    let output = fs::canonicalize(path).ok();
    if output.is_some() && inputs.iter().any(|input| fs::canonicalize(input).ok() == output) {
        bail!("{}: this is one of the inputs; name another file with -o", path.display());
    }
    File::create(path).with_context(|| format!("{}: cannot be written", path.display()))
}

/// In the form that is wanted, to wherever it is to go.
pub(super) fn report<W: Write + 'static>(
    format: Format,
    out: W,
    shape: Shape,
    manner: &Manner<'_>,
    colour: bool,
) -> anyhow::Result<Box<dyn Report>> {
    let form = match format {
        _ if manner.issue => Some(Form::Issue),
        Format::Html => Some(Form::Html),
        Format::Markdown => Some(Form::Markdown),
        Format::Junit => Some(Form::Junit { fails: manner.rule.fail_on.clone(), allow_declared: manner.rule.allow_declared }),
        Format::Sarif => Some(Form::Sarif),
        Format::Text | Format::Json | Format::Ndjson => None,
    };
    Ok(match (form, format) {
        (Some(_), _) if shape.exchanges => bail!("a list of exchanges is text, json or ndjson"),
        (Some(form), _) => Box::new(Whole::new(out, shape, form)),
        (None, Format::Ndjson) => Box::new(Ndjson::new(out, shape)),
        (None, Format::Json) => Box::new(Json::new(out, shape)),
        (None, _) if shape.exchanges => Box::new(Lines::new(out, shape)),
        (None, _) => Box::new(Text::new(out, shape, colour).explaining(manner.explain)),
    })
}

/// <https://no-color.org>: any value but an empty one says no.
pub(super) fn colour_wanted() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

pub(super) const BUFFER: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let capture = folder.path().join("a.pcap");
        fs::write(&capture, "packets").unwrap();
        let rule = Rule { fail_on: Vec::new(), allow_declared: false, strict: false };
        let manner = Manner { rule: &rule, explain: None, issue: false };
        let to =
            |path: PathBuf| open(&Showing { output: Some(path), format: None }, std::slice::from_ref(&capture), Shape::default(), &manner);
        let refused = to(folder.path().join(".").join("a.pcap")).map(drop).unwrap_err();
        assert!(refused.to_string().contains("one of the inputs"), "{refused}");
        assert_eq!(fs::read(&capture).unwrap(), b"packets");
        assert!(to(folder.path().join("report")).is_ok());
    }
}
