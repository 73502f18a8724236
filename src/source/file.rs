//! A path becomes a stream of plain bytes, counted as they are read from the disk.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::codec::Codec;

/// How far the reading has come, in bytes as they lie on the disk. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    read: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// Begins anew, to `total` bytes; 0: not known.
    pub(super) fn reset(&self, total: u64) {
        self.0.read.store(0, Ordering::Relaxed);
        self.0.total.store(total, Ordering::Relaxed);
    }

    /// Bytes read so far.
    pub fn read(&self) -> u64 {
        self.0.read.load(Ordering::Relaxed)
    }

    /// Bytes that there are; `None` where a pipe is among the inputs.
    pub fn total(&self) -> Option<u64> {
        Some(self.0.total.load(Ordering::Relaxed)).filter(|total| *total > 0)
    }
}

/// A capture file's bytes, plain.
pub(super) struct Feed {
    pub(super) read: Box<dyn Read + Send>,
    pub(super) codec: Option<Codec>,
}

impl Feed {
    /// Opens a path; `-` is standard input. `window`: see `Limits::codec_window_bytes`.
    pub(super) fn open(path: &Path, progress: &Progress, window: usize) -> io::Result<Feed> {
        let raw: Box<dyn Read + Send> = if is_stdin(path) { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
        let mut raw = Counted { raw, progress: progress.clone() };
        let mut start = Vec::with_capacity(MAGIC);
        (&mut raw).take(MAGIC as u64).read_to_end(&mut start)?;
        let codec = Codec::of(&start);
        let whole = Cursor::new(start).chain(raw);
        let read = match codec {
            Some(codec) => codec.decode(BufReader::with_capacity(64 * 1024, whole), window),
            None => Box::new(whole),
        };
        Ok(Feed { read, codec })
    }
}

/// The last bytes of a plain file.
pub(super) fn tail(path: &Path, len: u64) -> io::Result<impl Read + Send + use<>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(len)))?;
    Ok(file)
}

pub(super) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

struct Counted {
    raw: Box<dyn Read + Send>,
    progress: Progress,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.raw.read(buf)?;
        self.progress.0.read.fetch_add(got as u64, Ordering::Relaxed);
        Ok(got)
    }
}

/// Bytes that tell every compression apart.
const MAGIC: usize = 8;
