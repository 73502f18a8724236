//! Key log files come in, read once from their beginning to their end; their secrets go out, and what is wrong with the files.

use std::fs::File;
use std::io::{self, Read};
#[cfg(feature = "live")]
use std::io::{Seek, SeekFrom};
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

/// Key logs that are read on while they are being written.
#[cfg(feature = "live")]
pub(super) struct Followed {
    files: Vec<File>,
    buffer: Zeroizing<Vec<u8>>,
}

#[cfg(feature = "live")]
impl Followed {
    /// Each from its beginning. One that cannot be read at all is an error.
    pub(super) fn open(paths: &[PathBuf]) -> anyhow::Result<Followed> {
        let open = |path: &PathBuf| File::open(path).with_context(|| format!("{}: the key log cannot be read", path.display()));
        Ok(Followed { files: paths.iter().map(open).collect::<Result<_, _>>()?, buffer: Zeroizing::new(vec![0; BUFFER]) })
    }

    /// Tells the whole lines that have come since.
    pub(super) fn read(&mut self, mut tell: impl FnMut(&[u8])) {
        for file in &mut self.files {
            while let Ok(got @ 1..) = file.read(&mut self.buffer) {
                let text = self.buffer.get(..got).unwrap_or_default();
                let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                // A line that is still being written is read again when it is whole; one that fills the buffer is none.
                let rest = got - whole;
                if whole > 0 && rest > 0 && file.seek(SeekFrom::Current(-(rest as i64))).is_err() {
                    break;
                }
                tell(text.get(..whole).unwrap_or_default());
                if whole == 0 {
                    if got < self.buffer.len() {
                        let _ = file.seek(SeekFrom::Current(-(got as i64)));
                    }
                    break;
                }
            }
        }
    }
}

const BUFFER: usize = 65_536;
