//! A file that begins anew at a size, between two lines. Older ones are called as logrotate calls them: `out.1` is the latest of them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes to the file at hand.
#[derive(Debug)]
pub(super) struct Rotating {
    path: PathBuf,
    file: BufWriter<File>,
    written: u64,
    /// Whether the last line is whole.
    whole: bool,
    size: u64,
    files: usize,
}

impl Rotating {
    /// Goes on at the end of the file, if there is one: a service that starts again must not lose what it told. At most so many `files`
    /// are kept, the one at hand among them.
    pub(super) fn open(path: &Path, size: u64, files: usize) -> io::Result<Rotating> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let written = file.metadata()?.len();
        Ok(Rotating {
            path: path.to_owned(),
            file: BufWriter::with_capacity(BUFFER, file),
            written,
            whole: true,
            size,
            files: files.max(1),
        })
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file.flush()?;
        for n in (1..self.files).rev() {
            let older = if n == 1 { self.path.clone() } else { self.numbered(n - 1) };
            match fs::rename(older, self.numbered(n)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.file = BufWriter::with_capacity(BUFFER, File::create(&self.path)?);
        self.written = 0;
        Ok(())
    }

    fn numbered(&self, n: usize) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{n}"));
        name.into()
    }
}

impl Write for Rotating {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.whole && self.written >= self.size {
            self.rotate()?;
        }
        let written = self.file.write(bytes)?;
        self.written += written as u64;
        if let Some(last) = bytes.get(..written).and_then(<[u8]>::last) {
            self.whole = *last == b'\n';
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

const BUFFER: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_whole_and_the_files_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.ndjson");
        for _ in 0..2 {
            let mut out = Rotating::open(&path, 100, 3).unwrap();
            for n in 0..50 {
                write!(out, "{n:04}").unwrap();
                out.write_all(b" and so on\n").unwrap();
            }
            out.flush().unwrap();
        }
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["out.ndjson", "out.ndjson.1", "out.ndjson.2"]);
        let all: String = ["out.ndjson.2", "out.ndjson.1", "out.ndjson"]
            .iter()
            .map(|name| fs::read_to_string(folder.path().join(name)).unwrap())
            .collect();
        let lines: Vec<&str> = all.lines().collect();
        assert!(lines.iter().all(|line| line.len() == 14), "{lines:?}");
        // The last ones, in order, none missing.
        let numbers: Vec<usize> = lines.iter().map(|line| line[..4].parse().unwrap()).collect();
        assert!(numbers.windows(2).all(|two| two[1] == (two[0] + 1) % 50) && numbers.last() == Some(&49), "{numbers:?}");
        assert!(fs::metadata(&path).unwrap().len() < 100 + 15);
    }

    #[test]
    fn one_file_alone_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut out = Rotating::open(&path, 10, 1).unwrap();
        for _ in 0..10 {
            out.write_all(b"123456\n").unwrap();
        }
        out.flush().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(fs::read(&path).unwrap().len(), 14);
    }
}
