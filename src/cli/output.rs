//! Where a report goes, and in which form.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};

use super::args::{Format, Showing};
#[cfg(feature = "live")]
use crate::report::Live;
use crate::report::{Json, Lines, Ndjson, Report, Shape, Text};

/// Opens the way out. An output that is one of the inputs is refused before it destroys it.
pub(super) fn open(showing: &Showing, inputs: &[PathBuf], shape: Shape, explain: Option<u64>) -> anyhow::Result<Box<dyn Report>> {
    let Some(path) = &showing.output else {
        let out = io::stdout().lock();
        let colour = out.is_terminal() && colour_wanted();
        return Ok(report(showing.format(), BufWriter::with_capacity(BUFFER, out), shape, explain, colour));
    };
    let output = fs::canonicalize(path).ok();
    if output.is_some() && inputs.iter().any(|input| fs::canonicalize(input).ok() == output) {
        bail!("{}: this is one of the inputs; name another file with -o", path.display());
    }
    let file = File::create(path).with_context(|| format!("{}: cannot be written", path.display()))?;
    Ok(report(showing.format(), BufWriter::with_capacity(BUFFER, file), shape, explain, false))
}

/// The same for a run that goes on: on standard output, or at the end of a file.
#[cfg(feature = "live")]
pub(super) fn open_live(showing: &Showing, shape: Shape) -> anyhow::Result<Box<dyn Report>> {
    let text = showing.format() == Format::Text;
    let Some(path) = &showing.output else {
        let out = io::stdout();
        let colour = out.is_terminal() && colour_wanted();
        let out = BufWriter::with_capacity(BUFFER, out);
        return Ok(if text { Box::new(Live::new(out, shape, colour)) } else { report(showing.format(), out, shape, None, false) });
    };
    let file = File::create(path).with_context(|| format!("{}: cannot be written", path.display()))?;
    let out = BufWriter::with_capacity(BUFFER, file);
    Ok(if text { Box::new(Live::new(out, shape, false)) } else { report(showing.format(), out, shape, None, false) })
}

fn report<W: Write + 'static>(format: Format, out: W, shape: Shape, explain: Option<u64>, colour: bool) -> Box<dyn Report> {
    match format {
        Format::Ndjson => Box::new(Ndjson::new(out, shape)),
        Format::Json => Box::new(Json::new(out, shape)),
        Format::Text if shape.exchanges => Box::new(Lines::new(out, shape)),
        Format::Text => Box::new(Text::new(out, shape, colour).explaining(explain)),
    }
}

/// <https://no-color.org>: any value but an empty one says no.
fn colour_wanted() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

const BUFFER: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let capture = folder.path().join("a.pcap");
        fs::write(&capture, "packets").unwrap();
        let to =
            |path: PathBuf| open(&Showing { output: Some(path), format: None }, std::slice::from_ref(&capture), Shape::default(), None);
        let refused = to(folder.path().join(".").join("a.pcap")).map(drop).unwrap_err();
        assert!(refused.to_string().contains("one of the inputs"), "{refused}");
        assert_eq!(fs::read(&capture).unwrap(), b"packets");
        assert!(to(folder.path().join("report")).is_ok());
    }
}
