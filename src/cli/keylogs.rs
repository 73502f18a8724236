//! Key log files come in, read once from their beginning to their end; their secrets go out, and what is wrong with the files.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use zeroize::Zeroizing;

use crate::base::{Count, Counts, Limits};
use crate::pipeline::Loss;
use crate::tls::{KeyLog, Tail};

/// What the key logs hold.
pub(super) struct KeyLogs {
    pub(super) log: KeyLog,
    pub(super) counts: Counts,
    /// Files that are no key log, and those with lines that are none.
    pub(super) losses: Vec<Loss>,
}

/// Reads key logs, each to where it ends by now: it may still be written. One that cannot be read at all is an error.
pub(super) fn read(paths: &[PathBuf], limits: &Limits) -> anyhow::Result<KeyLogs> {
    let mut all = KeyLogs { log: KeyLog::new(limits), counts: Counts::default(), losses: Vec::new() };
    for path in paths {
        let cannot = || format!("{}: the key log cannot be read", path.display());
        all.read(path, File::open(path).with_context(cannot)?).with_context(cannot)?;
    }
    Ok(all)
}

impl KeyLogs {
    fn read(&mut self, path: &Path, mut from: impl Read) -> io::Result<()> {
        let mut counts = Counts::default();
        let mut tail = Tail::default();
        // One buffer for all of it, so that no secrets stay behind in memory that was given back.
        let mut buffer = Zeroizing::new(vec![0; BUFFER]);
        let mut empty = true;
        loop {
            let got = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            empty = false;
            self.log.feed(&mut tail, buffer.get(..got).unwrap_or_default(), &mut counts);
        }
        let before = counts.get(Count::TlsBadSecrets);
        self.log.end(&mut tail, &mut counts);
        let (bad, good) = (counts.get(Count::TlsBadSecrets), counts.get(Count::TlsSecrets));
        self.counts.merge(&counts);
        let detail = match (before, bad) {
            _ if empty => "the key log is empty: whoever was to write it did not, or not yet".to_owned(),
            (_, 0) => return Ok(()),
            (0, _) if good > 0 => "the key log's last line is cut: it was still being written".to_owned(),
            _ if good == 0 => format!("no new secret in it, but {bad} lines that are not as SSLKEYLOGFILE writes them: is it a key log?"),
            _ => format!("lines of the key log that are malformed and were passed over: {bad}, against {good} secrets"),
        };
        self.losses.push(Loss { kind: "key-log".to_owned(), place: path.display().to_string(), detail, at: None });
        Ok(())
    }
}

const BUFFER: usize = 65_536;
