//! What the dashboard saves: pairs as records, as prose, or as their packets without a secret in them. Nothing is overwritten.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};

use super::spool::{self, Spool};
use crate::base::{Keyer, Limits};
use crate::pipeline::Summary;
use crate::report::evidence::{Bundle, Setting, Wanted};
use crate::report::explained;
use crate::verdict::Judged;
use crate::watch;

/// Where the packets of a run over captures can be read a second time.
#[derive(Clone)]
pub(super) struct Packets {
    pub(super) captures: Vec<PathBuf>,
    pub(super) keylogs: Vec<PathBuf>,
    pub(super) limits: Limits,
    pub(super) keyer: Keyer,
}

/// What is to be saved.
pub(super) struct Saving {
    /// Its ending says as what: `.txt`, `.pcapng`, else records.
    pub(super) path: String,
    pub(super) pairs: Vec<Arc<Judged>>,
    /// Names of the captures, where there are several.
    pub(super) files: Vec<String>,
    pub(super) summary: Summary,
    /// None of a live run: it keeps no packets.
    pub(super) packets: Option<Packets>,
}

impl Saving {
    /// Saves, and gives what there is to say.
    pub(super) fn save(&self) -> anyhow::Result<String> {
        let told = self.write().with_context(|| format!("{}: not saved", self.path))?;
        Ok(format!("{} pairs saved to {}{told}", self.pairs.len(), self.path))
    }

    fn write(&self) -> anyhow::Result<String> {
        if self.path.ends_with(".pcapng") {
            return self.packets();
        }
        let mut file = self.file()?;
        if self.path.ends_with(".txt") {
            for judged in &self.pairs {
                writeln!(file, "{}", explained(judged, &self.files, 100))?;
            }
        } else {
            file.write_all(watch::records(self.pairs.iter().map(|judged| &**judged), &self.files).as_bytes())?;
        }
        file.flush()?;
        Ok(String::new())
    }

    /// As `--evidence` writes them: the captures are read once more.
    fn packets(&self) -> anyhow::Result<String> {
        let Some(Packets { captures, keylogs, limits, keyer }) = &self.packets else {
            bail!("a live run keeps no packets: record them (--record), and replay the recording with --evidence");
        };
        if Spool::for_inputs(captures, limits).is_some() {
            bail!("what came through a pipe cannot be read once more");
        }
        let wanted = Wanted::chosen(self.pairs.iter().map(|judged| &**judged), &self.files, limits);
        let untold = wanted.untold();
        let mut file = self.file()?;
        let (mut gather, _) = spool::gather(std::slice::from_ref(&wanted), captures, keylogs, limits, None)?;
        let bundle = Bundle::new(&mut gather, 0, wanted, &Setting { keyer, summary: &self.summary })?;
        file.write_all(&bundle.streams)?;
        file.flush()?;
        Ok(if untold > 0 { format!(", without the last {untold}: {} at once", limits.evidence_bundle_pairs) } else { String::new() })
    }

    fn file(&self) -> anyhow::Result<BufWriter<File>> {
        Ok(BufWriter::new(OpenOptions::new().write(true).create_new(true).open(&self.path)?))
    }
}
