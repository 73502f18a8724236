//! All files as one sequence, in order of time. Files that follow each other are opened one after the other, files that overlap are
//! read beside each other; each open file has one buffer.

use std::mem;

use super::clock::ClockOffset;
use super::drops::Tally;
use super::file::Progress;
use super::input::{Input, Packet};
use super::plan::{FileInfo, Ignored, Stream, open};
use crate::base::{Limits, Stamp, Ts};
use crate::capfile::{Block, Damage, Flaw, Reader};

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
    /// Of each file.
    secrets: Vec<Secrets>,
    /// A file that could not be opened any more.
    failed: Option<(u16, Damage)>,
    ord: u64,
}

/// How far the secrets of a file have been told.
#[derive(Clone, Copy, Default)]
struct Secrets {
    /// Blocks of them that the reading has come to.
    met: u64,
    /// Blocks that were told ahead of it.
    ahead: u64,
    /// Standard input or a pipe: it can't be read ahead.
    pipe: bool,
    /// What kind of file it is allows for secrets.
    possible: bool,
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
        let of = |stream: &Option<Stream>| Secrets {
            pipe: stream.is_some(),
            possible: stream.as_ref().is_none_or(Reader::may_hold_secrets),
            ..Secrets::default()
        };
        let secrets = found.iter().map(|(_, stream)| of(stream)).collect();
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
            secrets,
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

    /// Reads ahead for TLS secrets that are still to come, which [`Inputs::next`] then passes over: a capture may hold them long after
    /// the packets that need them. False where there may be more, since a pipe cannot be read ahead.
    pub fn secrets_ahead(&mut self, mut tell: impl FnMut(&[u8])) -> bool {
        for (info, secrets) in self.files.iter().zip(&mut self.secrets).filter(|(_, secrets)| secrets.possible && !secrets.pipe) {
            // What cannot be opened or read any more is told when its packets' turn comes.
            let Ok((mut stream, _)) = open(&info.path, &Progress::default(), &self.limits) else { continue };
            secrets.possible = stream.may_hold_secrets();
            let mut met = 0;
            while secrets.possible && stream.step() {
                if let Some(Block::Secrets(text)) = stream.block() {
                    met += 1;
                    if met > secrets.met.max(secrets.ahead) {
                        secrets.ahead = met;
                        tell(text);
                    }
                }
            }
        }
        !self.secrets.iter().any(|secrets| secrets.pipe && secrets.possible)
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
                Some(Block::Secrets(_)) => {
                    let Some(secrets) = self.secrets.get_mut(usize::from(open.file)) else { return };
                    secrets.met += 1;
                    if secrets.met > secrets.ahead {
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
                    comment: packet.comment,
                })
            }
            Block::Secrets(text) => Input::Secrets(text),
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
