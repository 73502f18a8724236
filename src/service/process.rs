//! What this process takes of its host. The files are opened before the run gives its rights up, and read again through the same
//! descriptors.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

use procfs::process::Stat;
use rustix::fs::Dir;

/// At a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Bytes in RAM.
    pub resident: u64,
    /// Seconds of user and system time.
    pub cpu: f64,
    /// Open file descriptors.
    pub descriptors: u64,
}

/// Where that is read.
#[derive(Debug)]
pub struct Process {
    stat: File,
    descriptors: Dir,
    page: u64,
    ticks: f64,
}

impl Process {
    /// Opens the kernel's files on this process.
    pub fn open() -> io::Result<Process> {
        let (page, ticks) = (procfs::page_size(), procfs::ticks_per_second() as f64);
        let folder = fs::File::open("/proc/self/fd")?;
        Ok(Process { stat: File::open("/proc/self/stat")?, descriptors: Dir::new(folder)?, page, ticks })
    }

    /// How it stands now; what cannot be read any more is zero.
    pub fn usage(&mut self) -> Usage {
        let mut text = [0; 1_024];
        let read = self.stat.read_at(&mut text, 0).unwrap_or(0);
        let stat = <Stat as procfs::FromRead>::from_read(text.get(..read).unwrap_or_default()).ok();
        let (pages, ticks) = stat.map_or((0, 0), |stat| (stat.rss, stat.utime.saturating_add(stat.stime)));
        Usage { resident: pages.saturating_mul(self.page), cpu: ticks as f64 / self.ticks, descriptors: self.descriptors() }
    }

    fn descriptors(&mut self) -> u64 {
        self.descriptors.rewind();
        // `.` and `..` are none.
        (self.descriptors.by_ref().filter(Result::is_ok).count() as u64).saturating_sub(2)
    }
}
