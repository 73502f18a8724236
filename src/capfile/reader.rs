//! The file as a sequence of blocks, read as far as it makes sense.

use std::fmt;
use std::io::Read;
use std::net::IpAddr;
use std::ops::Range;

use super::block::{Block, Damage, Flaw, Packet, Stats};
use super::classic::{Classic, FILE_HEADER, MAGICS};
use super::comment::Comments;
use super::ng::{BOM_BIG, BOM_LITTLE, Ng, SHB};
use super::window::Window;
use crate::base::Ts;

/// Reads a capture file, pcap or pcapng, from any stream.
///
/// [`Reader::step`] moves to the next block, [`Reader::block`] shows it without copying. Nothing it meets makes it fail: what cannot
/// be read is a [`Block::Damage`], and the next block that makes sense follows it.
pub struct Reader<R> {
    pub(super) window: Window<R>,
    pub(super) format: Format,
    now: Now,
    /// Bytes of the block that is shown, passed over by the next step.
    shown: usize,
    /// Longest block that is believed.
    longest: usize,
    damages: usize,
    begin: Begin,
}

/// How to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    /// It has begun.
    Done,
    /// The first block must be sought.
    Seek,
    /// Not even the file's header is whole.
    Stub,
}

/// Which of the two formats, and what it has said so far.
#[derive(Clone, Debug)]
pub(super) enum Format {
    Classic(Classic),
    Ng(Ng),
}

/// What the reader stands on. Ranges count from the window's position.
#[derive(Debug)]
enum Now {
    Nothing,
    Found(Found),
    Damage(Damage),
}

/// A block, as ranges of the window's bytes.
#[derive(Debug)]
pub(super) enum Found {
    Packet(Head),
    Secrets(Range<usize>),
    Comment(Range<usize>),
    Names(Vec<(IpAddr, String)>),
    Stats(Stats),
}

/// A packet, as ranges of the window's bytes.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) ts: Ts,
    pub(super) link: u16,
    pub(super) iface: u32,
    pub(super) data: Range<usize>,
    pub(super) orig_len: u32,
    /// The options from the first comment on; empty where there is none.
    pub(super) comments: Range<usize>,
    pub(super) dropped: u64,
}

/// The stream holds no capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotCapture {
    /// The byte that shows it.
    pub offset: u64,
    /// The error that ended the stream, where that is the reason.
    pub error: Option<String>,
}

impl fmt::Display for NotCapture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            Some(error) => write!(f, "cannot be read at byte {}: {error}", self.offset),
            None => write!(f, "not a capture at byte {}", self.offset),
        }
    }
}

impl std::error::Error for NotCapture {}

/// Whether a stream that begins so is a capture.
pub fn is_capture(start: &[u8]) -> bool {
    let Some(magic) = start.first_chunk::<4>() else { return false };
    // A pcapng file may be cut before its byte-order magic.
    let order = start.get(8..12).is_none_or(|order| order == BOM_BIG || order == BOM_LITTLE);
    MAGICS.contains(magic) || (*magic == SHB && order)
}

impl<R: Read> Reader<R> {
    /// Begins to read. `longest`: the length of a block beyond which it is damage (`Limits::capture_block_bytes`).
    pub fn new(read: R, longest: usize) -> Result<Reader<R>, NotCapture> {
        let mut window = Window::new(read);
        window.have(FILE_HEADER);
        if !is_capture(window.bytes()) {
            return Err(NotCapture { offset: 0, error: window.take_error() });
        }
        let whole = window.bytes().len() >= FILE_HEADER;
        let (format, shown) = match Classic::new(window.bytes()) {
            Some(classic) => (Format::Classic(classic), if whole { FILE_HEADER } else { 0 }),
            None => (Format::Ng(Ng::default()), 0),
        };
        let begin = if whole || matches!(format, Format::Ng(_)) { Begin::Done } else { Begin::Stub };
        Ok(Reader { window, format, now: Now::Nothing, shown, longest, damages: 0, begin })
    }

    /// Reads another stream as a later part of the same file, of which it is not known where a block begins.
    pub fn tail<T: Read>(&self, read: T) -> Reader<T> {
        let mut format = self.format.clone();
        if let Format::Classic(classic) = &mut format {
            classic.anytime();
        }
        let (window, begin) = (Window::new(read), Begin::Seek);
        Reader { window, format, now: Now::Nothing, shown: 0, longest: self.longest, damages: 0, begin }
    }

    /// Moves to the next block. False: that was all.
    #[inline]
    pub fn step(&mut self) -> bool {
        self.window.consume(self.shown);
        self.shown = 0;
        match std::mem::replace(&mut self.begin, Begin::Done) {
            Begin::Done => {}
            Begin::Seek => self.seek(0),
            Begin::Stub => return self.end(true),
        }
        match self.format {
            Format::Classic(_) => self.step_classic(),
            Format::Ng(_) => self.step_ng(),
        }
    }

    /// The block that the last [`Reader::step`] moved to.
    #[inline]
    pub fn block(&self) -> Option<Block<'_>> {
        let bytes = self.window.bytes();
        let at = |range: &Range<usize>| bytes.get(range.clone()).unwrap_or_default();
        match &self.now {
            Now::Found(Found::Packet(head)) => Some(Block::Packet(Packet {
                ts: head.ts,
                link: head.link,
                iface: head.iface,
                data: at(&head.data),
                orig_len: head.orig_len,
                comments: Comments::new(at(&head.comments), matches!(&self.format, Format::Ng(ng) if ng.big())),
                dropped: head.dropped,
            })),
            Now::Found(Found::Secrets(range)) => Some(Block::Secrets(at(range))),
            Now::Found(Found::Comment(range)) => Some(Block::Comment(at(range))),
            Now::Found(Found::Names(names)) => Some(Block::Names(names)),
            Now::Found(Found::Stats(stats)) => Some(Block::Stats(*stats)),
            Now::Damage(damage) => Some(Block::Damage(damage)),
            Now::Nothing => None,
        }
    }

    /// Time, interface and losses before it, if the block is a packet.
    #[inline]
    pub fn packet_ts(&self) -> Option<(Ts, u32, u64)> {
        match &self.now {
            Now::Found(Found::Packet(head)) => Some((head.ts, head.iface, head.dropped)),
            _ => None,
        }
    }

    /// Step and block in one.
    #[expect(clippy::should_implement_trait, reason = "it lends what it returns, which an Iterator cannot")]
    pub fn next(&mut self) -> Option<Block<'_>> {
        if self.step() { self.block() } else { None }
    }

    /// Whether the format knows blocks of secrets.
    pub fn may_hold_secrets(&self) -> bool {
        matches!(self.format, Format::Ng(_))
    }

    /// Byte offset of the block that is shown.
    pub fn offset(&self) -> u64 {
        self.window.offset()
    }

    fn step_classic(&mut self) -> bool {
        let Format::Classic(classic) = &mut self.format else { return false };
        if !self.window.have(classic.head()) {
            return self.end(!self.window.bytes().is_empty());
        }
        let Some(record) = classic.record(self.window.bytes()) else { return false };
        let Some(size) = classic.size(&record) else { return self.damage(Flaw::Length(record.caplen), 1) };
        if !self.window.have(size) {
            return self.end(true);
        }
        if !classic.fits(&record) {
            self.window.have(size.saturating_add(classic.head()));
            if !classic.confirmed(&record, self.window.bytes().get(size..).unwrap_or_default()) {
                return self.damage(Flaw::Malformed, 1);
            }
        }
        classic.believe(&record);
        self.shown = size;
        self.now = Now::Found(Found::Packet(Head {
            ts: classic.ts(&record),
            link: classic.link,
            iface: 0,
            data: classic.head()..size,
            orig_len: record.orig_len,
            comments: 0..0,
            dropped: 0,
        }));
        true
    }

    fn step_ng(&mut self) -> bool {
        loop {
            let Format::Ng(ng) = &mut self.format else { return false };
            if !self.window.have(12) {
                return self.end(!self.window.bytes().is_empty());
            }
            let size = match ng.size(self.window.bytes()) {
                Ok(size) if size <= self.longest => size,
                Ok(size) => return self.damage(Flaw::Length(size as u32), 1),
                Err(flaw) => return self.damage(flaw, 1),
            };
            if !self.window.have(size) {
                return self.end(true);
            }
            match ng.block(self.window.bytes().get(..size).unwrap_or_default()) {
                Ok(Some(found)) => {
                    self.shown = size;
                    self.now = Now::Found(found);
                    return true;
                }
                Ok(None) => self.window.consume(size),
                // The block's two lengths agree, so the next one is where they say.
                Err(flaw @ (Flaw::Interface(_) | Flaw::Interfaces)) => return self.damage(flaw, size),
                Err(flaw) => return self.damage(flaw, 1),
            }
        }
    }

    /// The stream is over: in good order, in the middle of something, or by an error.
    #[cold]
    fn end(&mut self, cut: bool) -> bool {
        let what = match self.window.take_error() {
            Some(error) => Flaw::Unreadable(error),
            None if cut => Flaw::Truncated,
            None => {
                self.now = Now::Nothing;
                return false;
            }
        };
        let (offset, skipped) = (self.window.offset(), self.window.bytes().len());
        self.window.consume(skipped);
        self.now = Now::Damage(Damage { offset, what, skipped: skipped as u64 });
        true
    }

    /// Something is wrong here: the next likely block is sought, `least` bytes on at the earliest.
    #[cold]
    fn damage(&mut self, what: Flaw, least: usize) -> bool {
        self.damages += 1;
        let offset = self.window.offset();
        let what = if self.damages > MAX_DAMAGES { Flaw::GivenUp } else { what };
        if what == Flaw::GivenUp {
            self.window.exhaust();
        } else {
            self.seek(least);
        }
        self.now = Now::Damage(Damage { offset, what, skipped: self.window.offset() - offset });
        true
    }
}

/// A file with more damaged places than this is not read further.
const MAX_DAMAGES: usize = 1_000;
