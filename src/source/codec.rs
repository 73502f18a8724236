//! Compressed captures: found by content, read as plain streams. gzip with several members, zstd and lz4 frames in any row with
//! skippable ones between them, xz with several streams.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder as Lz4;
use lzma_rust2::XzReader;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Xz,
    /// zstd or lz4: they share the magic numbers of skippable frames, so the first real frame says which.
    Frames,
}

impl Codec {
    /// By the first bytes.
    pub(super) fn of(start: &[u8]) -> Option<Codec> {
        if start.starts_with(&[0x1f, 0x8b]) {
            return Some(Codec::Gzip);
        }
        if start.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
            return Some(Codec::Xz);
        }
        let magic = u32::from_le_bytes(*start.first_chunk()?);
        (magic == ZSTD || magic == LZ4 || is_skippable(magic)).then_some(Codec::Frames)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Codec::Gzip => "gzip",
            Codec::Xz => "xz",
            Codec::Frames => "zstd or lz4",
        }
    }

    /// The plain stream. `window`: memory that the history may take.
    pub(super) fn decode(self, source: impl BufRead + Send + 'static, window: usize) -> Box<dyn Read + Send> {
        let name = self.name();
        match self {
            Codec::Gzip => Box::new(Named { name, read: MultiGzDecoder::new(source) }),
            Codec::Xz => {
                // The library's own working memory comes on top of the dictionary.
                let kib = u32::try_from(window / 1024).unwrap_or(u32::MAX - 1).saturating_add(XZ_OVERHEAD_KIB);
                Box::new(Named { name, read: XzReader::new_mem_limit(source, true, kib) })
            }
            Codec::Frames => {
                let between = Pushback { back: [0; 4], left: 0, inner: source };
                Box::new(Named { name, read: Frames { state: State::Between(between), window } })
            }
        }
    }
}

/// Says in its errors which decoder failed.
struct Named<R> {
    name: &'static str,
    read: R,
}

impl<R: Read> Read for Named<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read.read(buf).map_err(|e| io::Error::new(e.kind(), format!("{} stream: {e}", self.name)))
    }
}

/// Frames in a row.
struct Frames<R: Read> {
    state: State<R>,
    window: usize,
}

enum State<R: Read> {
    Between(Pushback<R>),
    Zstd(Box<StreamingDecoder<Pushback<R>, FrameDecoder>>),
    Lz4(Box<Lz4<Pushback<R>>>),
    Over,
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let got = match &mut self.state {
                State::Between(_) => 0,
                State::Zstd(frame) => frame.read(buf)?,
                State::Lz4(frame) => frame.read(buf)?,
                State::Over => return Ok(0),
            };
            if got > 0 || buf.is_empty() {
                return Ok(got);
            }
            let source = match std::mem::replace(&mut self.state, State::Over) {
                State::Between(source) => source,
                State::Zstd(frame) => zstd_end(*frame)?,
                State::Lz4(frame) => frame.into_inner(),
                State::Over => return Ok(0),
            };
            self.state = next_frame(source, self.window)?;
        }
    }
}

/// The frame's checksum is compared here: the library leaves that to its user.
fn zstd_end<R: Read>(frame: StreamingDecoder<Pushback<R>, FrameDecoder>) -> io::Result<Pushback<R>> {
    let (source, decoder) = frame.into_parts();
    match (decoder.get_checksum_from_data(), decoder.get_calculated_checksum()) {
        (Some(told), Some(found)) if told != found => Err(io::Error::other("checksum does not fit")),
        _ => Ok(source),
    }
}

fn next_frame<R: Read>(mut source: Pushback<R>, window: usize) -> io::Result<State<R>> {
    loop {
        let mut magic = [0; 4];
        if source.read(magic.get_mut(..1).unwrap_or_default())? == 0 {
            return Ok(State::Over);
        }
        source.read_exact(magic.get_mut(1..).unwrap_or_default())?;
        match u32::from_le_bytes(magic) {
            skip if is_skippable(skip) => {
                let mut len = [0; 4];
                source.read_exact(&mut len)?;
                io::copy(&mut (&mut source).take(u32::from_le_bytes(len).into()), &mut io::sink())?;
            }
            ZSTD => {
                let source = source.back(magic);
                let frame = StreamingDecoder::new_with_max_window_size(source, window as u64).map_err(io::Error::other)?;
                return Ok(State::Zstd(Box::new(frame)));
            }
            LZ4 => return Ok(State::Lz4(Box::new(Lz4::new(source.back(magic))))),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "no frame where one should begin")),
        }
    }
}

/// A stream to which the four bytes last read can be given back.
struct Pushback<R> {
    back: [u8; 4],
    left: usize,
    inner: R,
}

impl<R: Read> Pushback<R> {
    fn back(self, magic: [u8; 4]) -> Pushback<R> {
        Pushback { back: magic, left: 4, ..self }
    }
}

impl<R: Read> Read for Pushback<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return self.inner.read(buf);
        }
        let mut waiting = self.back.get(4 - self.left..).unwrap_or_default();
        let got = waiting.read(buf)?;
        self.left -= got;
        Ok(got)
    }
}

fn is_skippable(magic: u32) -> bool {
    magic & 0xffff_fff0 == 0x184d_2a50
}

const ZSTD: u32 = 0xfd2f_b528;
const LZ4: u32 = 0x184d_2204;
const XZ_OVERHEAD_KIB: u32 = 1024;
