//! Paths become a plan: which files are captures, when each begins and ends, in which order they are read, and by which clock.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::clock::{self, ClockOffset};
use super::file::{Feed, Progress, is_stdin, tail};
use super::merge::Inputs;
use super::{sample, sort};
use crate::base::{Limits, Ts};
use crate::capfile::{BUFFER, Block, NotCapture, Reader};

/// An input that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be opened.
    #[error("{}: cannot be read at byte 0: {why}", path.display())]
    Open {
        /// What was asked for.
        path: PathBuf,
        /// Why not.
        why: io::Error,
    },
    /// It is something else.
    #[error("{}: {what} (expected pcap or pcapng, possibly gzip, zstd, xz or lz4)", path.display())]
    NotCapture {
        /// What was asked for.
        path: PathBuf,
        /// Where that shows.
        what: NotCapture,
    },
    /// A directory with nothing to read in it.
    #[error("{}: no capture at byte 0 of any file in this directory", path.display())]
    Nothing {
        /// What was asked for.
        path: PathBuf,
    },
    /// Files are numbered with sixteen bits.
    #[error("more than 65535 capture files, of which {} is one (byte 0)", path.display())]
    TooMany {
        /// The first that is too many.
        path: PathBuf,
    },
}

/// A capture file among the inputs.
#[derive(Clone, Debug)]
pub struct FileInfo {
    /// Its path; `-` for standard input.
    pub path: PathBuf,
    /// How it is compressed, if it is.
    pub compression: Option<&'static str>,
    /// When its first packet was captured, by its own clock; not known of pipes and of files without packets.
    pub first: Option<Ts>,
    /// When its last one was; not known of compressed files.
    pub last: Option<Ts>,
    /// Which capture point it belongs to. Files of one follow each other in time.
    pub point: u16,
    /// Nanoseconds taken from its times to fit them to the first file's clock.
    pub correction: i64,
}

/// A file in a directory that is no capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Its path.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

pub(super) type Stream = Reader<Box<dyn Read + Send>>;

/// Looks at every path and orders what it finds. `-` is standard input, a directory stands for the captures in it.
pub fn plan(paths: &[PathBuf], limits: &Limits) -> Result<Inputs, Error> {
    let mut found: Vec<(FileInfo, Option<Stream>)> = Vec::new();
    let mut ignored = Vec::new();
    let (mut seen, mut size, mut pipes) = (BTreeSet::new(), 0u64, false);
    let progress = Progress::default();
    for (path, asked) in list(paths)? {
        let meta = match fs::metadata(&path) {
            _ if is_stdin(&path) => None,
            Err(why) if asked => return Err(Error::Open { path, why }),
            // A link to nothing, or a pipe, is no piece of a directory's capture.
            meta => meta.ok().filter(fs::Metadata::is_file),
        };
        if !asked && meta.is_none() || !seen.insert(fs::canonicalize(&path).unwrap_or_else(|_| path.clone())) {
            continue;
        }
        match probe(&path, meta.is_some(), &progress, limits) {
            Ok(file) => {
                if found.len() >= usize::from(u16::MAX) {
                    return Err(Error::TooMany { path });
                }
                found.push(file);
            }
            Err(why) if asked => return Err(why),
            Err(why) => {
                ignored.push(Ignored { path, why: why.to_string() });
                continue;
            }
        }
        size += meta.as_ref().map_or(0, fs::Metadata::len);
        pipes |= meta.is_none();
    }
    if let (true, Some(path)) = (found.is_empty(), paths.first()) {
        return Err(Error::Nothing { path: path.clone() });
    }
    let clocks = order(&mut found, limits);
    progress.reset(if pipes { 0 } else { size });
    Ok(Inputs::new(found, ignored, clocks, progress, limits))
}

/// Every path, directories opened up, each with whether it was asked for by name.
fn list(paths: &[PathBuf]) -> Result<Vec<(PathBuf, bool)>, Error> {
    let mut all = Vec::new();
    for path in paths {
        if is_stdin(path) || !path.is_dir() {
            all.push((path.clone(), true));
            continue;
        }
        let open = |why| Error::Open { path: path.clone(), why };
        let entries: io::Result<Vec<_>> = fs::read_dir(path).map_err(open)?.map(|entry| entry.map(|entry| entry.path())).collect();
        let mut entries = entries.map_err(open)?;
        entries.sort();
        all.extend(entries.into_iter().filter(|entry| !entry.is_dir()).map(|entry| (entry, false)));
    }
    Ok(all)
}

/// Opens a path for reading from its start.
pub(super) fn open(path: &Path, progress: &Progress, limits: &Limits) -> Result<(Stream, Option<&'static str>), Error> {
    let feed = Feed::open(path, progress, limits.codec_window_bytes).map_err(|why| Error::Open { path: path.to_owned(), why })?;
    let codec = feed.codec.map(super::codec::Codec::name);
    match Reader::new(feed.read, limits.capture_block_bytes) {
        Ok(reader) => Ok((reader, codec)),
        Err(what) => Err(Error::NotCapture { path: path.to_owned(), what }),
    }
}

/// What can be known of a file beforehand. A pipe can be read but once: it stays open, and nothing is known of it.
fn probe(path: &Path, again: bool, progress: &Progress, limits: &Limits) -> Result<(FileInfo, Option<Stream>), Error> {
    let (mut reader, compression) = open(path, progress, limits)?;
    let mut info = FileInfo { path: path.to_owned(), compression, first: None, last: None, point: 0, correction: 0 };
    if !again {
        return Ok((info, Some(reader)));
    }
    for _ in 0..MAX_BLOCKS {
        match reader.next() {
            Some(Block::Packet(packet)) => {
                info.first = Some(packet.ts);
                break;
            }
            Some(_) => {}
            None => break,
        }
    }
    if compression.is_none()
        && let Ok(end) = tail(path, BUFFER as u64)
    {
        let mut end = reader.tail(end);
        while let Some(block) = end.next() {
            if let Block::Packet(packet) = block {
                info.last = info.last.max(Some(packet.ts));
            }
        }
    }
    Ok((info, None))
}

/// Puts the files in order of time and measures their clocks.
fn order(found: &mut [(FileInfo, Option<Stream>)], limits: &Limits) -> Vec<ClockOffset> {
    let begin = |info: &FileInfo| info.first.map_or(Ts(i64::MIN), |first| first - info.correction);
    found.sort_by_key(|(info, _)| begin(info));
    let spans = |found: &[(FileInfo, Option<Stream>)]| -> Vec<(Ts, Ts)> {
        found.iter().map(|(info, _)| (begin(info), info.last.map_or(Ts::MAX, |last| last - info.correction))).collect()
    };
    let before = sort::points(&spans(found));
    let mut clocks = Vec::new();
    // Many files of one point are a rotated capture; a few may be points whose clocks are so far apart that they do not overlap.
    if found.len() > 1 && (found.len() <= FEW || before.iter().any(|point| *point > 0)) {
        let most = (MAX_SAMPLES / found.len()).clamp(64, 2_048);
        let latest = found.iter().filter_map(|(info, _)| info.first).max();
        let samples: Vec<_> = found
            .iter()
            .map(|(info, stream)| if stream.is_none() { sample_of(info, latest, most, limits) } else { sample::Sample::new() })
            .collect();
        clocks = clock::measure(&samples);
        for clock in &clocks {
            if let (true, Some((info, _))) = (clock.applied, found.get_mut(usize::from(clock.file))) {
                info.correction = clock.nanos;
            }
        }
        // The pieces of one point share its clock, also those with nothing in common with another's.
        for at in 0..found.len() {
            let known = clocks.iter().any(|clock| usize::from(clock.file) == at);
            let same = clocks
                .iter()
                .find(|clock| clock.applied && before.get(usize::from(clock.file)) == before.get(at) && before.get(at) != Some(&0));
            if let (false, Some(clock), Some((info, _))) = (known, same, found.get_mut(at)) {
                info.correction = clock.nanos;
            }
        }
        let paths: Vec<_> = found.iter().map(|(info, _)| info.path.clone()).collect();
        found.sort_by_key(|(info, _)| begin(info));
        let place = |old: u16| {
            let path = paths.get(usize::from(old));
            found.iter().position(|(info, _)| Some(&info.path) == path).map_or(old, |at| at as u16)
        };
        for clock in &mut clocks {
            (clock.file, clock.against) = (place(clock.file), place(clock.against));
        }
    }
    let points = sort::points(&spans(found));
    for ((info, _), point) in found.iter_mut().zip(points) {
        info.point = point;
    }
    clocks
}

fn sample_of(info: &FileInfo, latest: Option<Ts>, most: usize, limits: &Limits) -> sample::Sample {
    let Ok((mut reader, _)) = open(&info.path, &Progress::default(), limits) else { return sample::Sample::new() };
    // Where another file begins later, its first segments are sought around that time too.
    let from = latest.map(|latest| latest - AROUND).filter(|from| info.first < Some(*from));
    sample::take(&mut reader, from, most)
}

/// Blocks that may come before a file's first packet.
const MAX_BLOCKS: usize = 100_000;
const MAX_SAMPLES: usize = 65_536;
const FEW: usize = 16;
const AROUND: i64 = 5_000_000_000;
