//! All files as one sequence, in order of time. Files that follow each other are opened one after the other, files that overlap are
//! read beside each other; each open file has one buffer.

use std::mem;

use super::ahead::Ahead;
use super::clock::ClockOffset;
use super::drops::Tally;
use super::file::Progress;
use super::input::{Input, Packet};
use super::plan::{FileInfo, Ignored, Stream, open};
use crate::base::{Limits, Stamp, Ts};
use crate::capfile::{Block, Damage, Flaw};

/// The planned inputs, read one thing at a time.
pub struct Inputs {
    files: Vec<FileInfo>,
    streams: Vec<Option<Stream>>,
    ignored: Vec<Ignored>,
    clocks: Vec<ClockOffset>,
    progress: Progress,
    limits: Limits,
    tally: Tally,
    /// Files opened so far.
    opened: usize,
    open: Vec<Open>,
    /// Which of `open` is shown.
    shown: Option<usize>,
    /// A file that could not be opened any more.
    failed: Option<(u16, Damage)>,
    ord: u64,
}

/// An open file, standing on its next block.
struct Open {
    file: u16,
    point: u16,
    correction: i64,
    stream: Stream,
    frame: u64,
    /// The block's time; blocks without one come at once.
    key: Ts,
    /// Losses to be told before the packet, or by the statistics that are shown.
    lost: u64,
}

impl Inputs {
    pub(super) fn new(
        found: Vec<(FileInfo, Option<Stream>)>,
        ignored: Vec<Ignored>,
        clocks: Vec<ClockOffset>,
        progress: Progress,
        limits: &Limits,
    ) -> Inputs {
        let (files, streams) = found.into_iter().unzip();
        Inputs {
            files,
            streams,
            ignored,
            clocks,
            progress,
            limits: limits.clone(),
            tally: Tally::default(),
            opened: 0,
            open: Vec::new(),
            shown: None,
            failed: None,
            ord: 0,
        }
    }

    /// The files, by the numbers that stamps bear.
    pub fn files(&self) -> &[FileInfo] {
        &self.files
    }

    /// Files of directories that are no captures.
    pub fn ignored(&self) -> &[Ignored] {
        &self.ignored
    }

    /// What was measured of the files' clocks.
    pub fn clocks(&self) -> &[ClockOffset] {
        &self.clocks
    }

    /// How far the reading has come.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// To read ahead for TLS secrets; before the first [`Inputs::next`].
    pub fn ahead(&self) -> Ahead {
        Ahead::new(self.files.iter().zip(&self.streams).map(|(info, stream)| (info.path.clone(), stream.as_ref())), &self.limits)
    }

    /// The next thing in order of time.
    #[expect(clippy::should_implement_trait, reason = "it lends what it returns, which an Iterator cannot")]
    pub fn next(&mut self) -> Option<Input<'_>> {
        if let Some(at) = self.shown.take() {
            self.leave(at);
        }
        self.failed = None;
        self.open_due();
        if self.failed.is_some() {
            return self.failed.as_ref().map(|(file, damage)| Input::Damage { file: *file, damage });
        }
        let at = match self.open.len() {
            0 => return None,
            1 => 0,
            _ => self.open.iter().enumerate().min_by_key(|(_, open)| (open.key, open.file))?.0,
        };
        self.shown = Some(at);
        self.show(at)
    }

    /// Opens the files whose time has come.
    #[inline]
    fn open_due(&mut self) {
        while let Some(info) = self.files.get(self.opened) {
            let begin = info.first.map_or(Ts(i64::MIN), |first| first - info.correction);
            let now = self.open.iter().map(|open| open.key).min();
            if now.is_some_and(|now| now < begin) || self.failed.is_some() {
                return;
            }
            let file = self.opened as u16;
            let (point, correction) = (info.point, info.correction);
            let kept = self.streams.get_mut(self.opened).and_then(Option::take);
            let stream = match kept {
                Some(stream) => Ok(stream),
                None => open(&info.path, &self.progress, &self.limits).map(|(stream, _)| stream),
            };
            self.opened += 1;
            match stream {
                Ok(stream) => {
                    self.open.push(Open { file, point, correction, stream, frame: 0, key: Ts(i64::MIN), lost: 0 });
                    self.step(self.open.len() - 1);
                }
                Err(e) => self.failed = Some((file, Damage { offset: 0, what: Flaw::Unreadable(e.to_string()), skipped: 0 })),
            }
        }
    }

    /// Goes on from what was shown.
    #[inline]
    fn leave(&mut self, at: usize) {
        let Some(open) = self.open.get_mut(at) else { return };
        // A packet that was announced by its losses is still to come.
        let announced = mem::take(&mut open.lost) > 0 && open.stream.packet_ts().is_some();
        if !announced {
            self.step(at);
        }
    }

    /// Moves an open file to its next block, and closes it after the last.
    #[inline]
    fn step(&mut self, at: usize) {
        let Some(open) = self.open.get_mut(at) else { return };
        while open.stream.step() {
            if let Some((ts, iface, lost)) = open.stream.packet_ts() {
                open.key = ts - open.correction;
                open.frame += 1;
                open.lost = lost;
                if lost > 0 {
                    self.tally.packet(open.file, open.iface(iface), lost);
                }
                return;
            }
            open.key = Ts(i64::MIN);
            match open.stream.block() {
                Some(Block::Stats(stats)) => {
                    let iface = open.iface(stats.iface);
                    open.lost = self.tally.stats(open.file, iface, &stats);
                    if open.lost > 0 {
                        return;
                    }
                }
                _ => return,
            }
        }
        self.open.remove(at);
    }

    #[inline]
    fn show(&mut self, at: usize) -> Option<Input<'_>> {
        let open = self.open.get(at)?;
        let file = open.file;
        Some(match open.stream.block()? {
            Block::Packet(packet) if open.lost > 0 => Input::Drops { file, iface: open.iface(packet.iface), ts: open.key, lost: open.lost },
            Block::Packet(packet) => {
                self.ord += 1;
                Input::Packet(Packet {
                    stamp: Stamp { ord: self.ord, ts: open.key, frame: open.frame, file },
                    link: packet.link,
                    iface: open.iface(packet.iface),
                    data: packet.data,
                    orig_len: packet.orig_len,
                    comments: packet.comments,
                })
            }
            Block::Secrets(text) => Input::Secrets { file, text },
            Block::Names(names) => Input::Names(names),
            Block::Comment(text) => Input::Comment { file, text },
            Block::Stats(stats) => Input::Drops { file, iface: open.iface(stats.iface), ts: stats.ts - open.correction, lost: open.lost },
            Block::Damage(damage) => Input::Damage { file, damage },
        })
    }
}

impl Open {
    fn iface(&self, iface: u32) -> u32 {
        u32::from(self.point) << 16 | (iface & 0xffff)
    }
}
