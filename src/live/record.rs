//! The raw capture is kept in a bounded ring of pcapng files: what was judged live can be judged again.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Keep;
use crate::base::Ts;
use crate::capfile::Writer;
use crate::packet::Frame;
use crate::pipeline::Loss;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Ring {
    /// Bytes of one file.
    pub size: u64,
    /// Files, the one being written among them.
    pub files: usize,
}

/// Writes what is captured. The file at hand bears the name that the user gave; full ones get a number before their ending.
pub struct Recorder {
    path: PathBuf,
    ring: Ring,
    file: Option<Open>,
    old: VecDeque<PathBuf>,
    number: u64,
    last: Ts,
    /// Of each source: packets, and losses to be told.
    counts: BTreeMap<usize, (u64, u64)>,
    failed: Option<Loss>,
}

struct Open {
    writer: Writer<BufWriter<File>>,
    interfaces: BTreeMap<(usize, u16), u32>,
    written: u64,
}

impl Recorder {
    /// Creates the file. What is captured holds credentials: only its owner may read it.
    pub fn new(path: &Path, ring: Ring) -> io::Result<Recorder> {
        let file = Some(open(path)?);
        let ring = Ring { size: ring.size.max(LEAST), files: ring.files.max(1) };
        Ok(Recorder {
            path: path.to_owned(),
            ring,
            file,
            old: VecDeque::new(),
            number: 0,
            last: Ts(0),
            counts: BTreeMap::new(),
            failed: None,
        })
    }

    /// Ends the file. Gives what went wrong since this was last asked.
    pub fn finish(&mut self) -> Option<Loss> {
        self.close();
        self.failed.take()
    }

    /// Tells the losses, then ends the file.
    fn close(&mut self) {
        let (counts, last) = (self.counts.clone(), self.last);
        self.attempt(|open| {
            for ((source, _), iface) in &open.interfaces {
                let (received, dropped) = counts.get(source).copied().unwrap_or_default();
                open.writer.stats(*iface, last, received, dropped)?;
            }
            Ok(0)
        });
        // Numbers in a file's statistics count from the file's own beginning.
        self.counts.clear();
        if let Some(open) = self.file.take()
            && let Err(error) = open.writer.finish()
        {
            self.fail(&error);
        }
    }

    fn rotate(&mut self) {
        self.close();
        if self.failed.is_some() {
            return;
        }
        self.number += 1;
        let kept = self.numbered(self.number);
        let moved = fs::rename(&self.path, &kept).and_then(|()| {
            self.old.push_back(kept);
            while self.old.len() >= self.ring.files {
                if let Some(oldest) = self.old.pop_front() {
                    fs::remove_file(oldest)?;
                }
            }
            open(&self.path)
        });
        match moved {
            Ok(file) => self.file = Some(file),
            Err(error) => self.fail(&error),
        }
    }

    /// `incident.pcapng` becomes `incident-000001.pcapng`.
    fn numbered(&self, number: u64) -> PathBuf {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let ending = self.path.extension().map(|ending| format!(".{}", ending.to_string_lossy())).unwrap_or_default();
        self.path.with_file_name(format!("{stem}-{number:06}{ending}"))
    }

    fn attempt<T>(&mut self, write: impl FnOnce(&mut Open) -> io::Result<T>) -> Option<T> {
        let result = write(self.file.as_mut()?);
        match result {
            Ok(done) => Some(done),
            Err(error) => {
                self.fail(&error);
                None
            }
        }
    }

    fn fail(&mut self, error: &io::Error) {
        self.file = None;
        self.failed = Some(Loss {
            kind: "record".to_owned(),
            place: self.path.display().to_string(),
            detail: format!("the capture is not kept any more: {error}"),
            at: None,
        });
    }
}

impl Keep for Recorder {
    fn packet(&mut self, source: usize, name: &str, frame: &Frame<'_>) {
        let (size, ts) = (self.ring.size, frame.at.ts);
        self.last = self.last.max(ts);
        self.counts.entry(source).or_default().0 += 1;
        let written = self.attempt(|open| {
            let known = open.interfaces.get(&(source, frame.link)).copied();
            let iface = match known {
                Some(iface) => iface,
                None => {
                    let iface = open.writer.interface(frame.link, SNAPLEN, Some(name))?;
                    open.interfaces.insert((source, frame.link), iface);
                    iface
                }
            };
            open.written += BLOCK + frame.data.len() as u64;
            open.writer.packet(iface, ts, frame.data, frame.orig_len, None)?;
            Ok(open.written)
        });
        if written.is_some_and(|written| written >= size) {
            self.rotate();
        }
    }

    fn dropped(&mut self, source: usize, packets: u64) {
        self.counts.entry(source).or_default().1 += packets;
    }

    /// Recording ends then, and nothing else.
    fn trouble(&mut self) -> Option<Loss> {
        self.failed.take()
    }
}

fn open(path: &Path) -> io::Result<Open> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let out = BufWriter::with_capacity(BUFFER, file);
    let application = concat!("gatewitness ", env!("CARGO_PKG_VERSION"));
    Ok(Open { writer: Writer::new(out, application, None)?, interfaces: BTreeMap::new(), written: 0 })
}

const SNAPLEN: u32 = 262_144;
/// Bytes of a packet's block besides its data.
const BLOCK: u64 = 32;
/// Files smaller than this would be opened more often than written.
const LEAST: u64 = 65_536;
const BUFFER: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Stamp;

    fn frame(n: i64) -> Frame<'static> {
        let at = Stamp { ord: n as u64, ts: Ts(n), frame: n as u64, file: 0 };
        Frame { link: 1, data: &[7; 1_000], orig_len: 1_000, iface: 0, at }
    }

    #[test]
    fn the_ring_is_bounded_and_the_latest_bears_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("live.pcapng");
        let mut recorder = Recorder::new(&path, Ring { size: LEAST, files: 3 }).unwrap();
        for n in 0..400 {
            recorder.packet(0, "lo", &frame(n));
        }
        assert!(recorder.finish().is_none());
        let mut names: Vec<String> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["live-000005.pcapng", "live-000006.pcapng", "live.pcapng"]);
    }

    #[test]
    fn a_full_disk_ends_the_recording_and_nothing_else() {
        let mut recorder = Recorder::new(Path::new("/dev/full"), Ring { size: LEAST, files: 1 }).unwrap();
        for n in 0..400 {
            recorder.packet(0, "lo", &frame(n));
        }
        assert!(recorder.finish().unwrap().detail.contains("not kept any more"));
    }
}
