//! Zstandard (RFC 8878), frame after frame, block by block.
//!
//! The decoder at hand keeps a whole window back until the frame ends, which would hold an SSE stream for ever. So the frame is told early that
//! it is over, and its output is looked at without being taken: what is in the decoder stays there for later blocks to refer to. Its size is
//! bounded by the body's limit.

use std::io::{self, Write};

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::{Out, Stage, Stop};

/// Decodes it.
pub(super) struct Zstd {
    /// Coded bytes short of a whole header or block.
    held: Vec<u8>,
    phase: Phase,
    most: usize,
}

enum Phase {
    /// A frame's header is due.
    Header,
    /// So many bytes of a skippable frame are to be passed over.
    Skip(usize),
    /// Blocks are due.
    Blocks { decoder: Box<FrameDecoder>, seen: usize, checksum: bool, told: bool },
}

impl Zstd {
    /// `most`: decoded bytes after which nobody listens.
    pub(super) fn new(most: usize) -> Zstd {
        Zstd { held: Vec::new(), phase: Phase::Header, most }
    }

    /// Reads one header or block from the front of `bytes`; how many bytes that took, 0 where it is not whole.
    fn advance(&mut self, bytes: &[u8], out: &mut Out<'_>) -> Result<usize, Stop> {
        match &mut self.phase {
            Phase::Skip(left) => {
                let n = bytes.len().min(*left);
                *left -= n;
                if *left == 0 {
                    self.phase = Phase::Header;
                }
                Ok(n)
            }
            Phase::Header => {
                let Some((magic, rest)) = bytes.split_at_checked(4) else { return Ok(0) };
                let magic = little_endian(magic);
                if magic & 0xffff_fff0 == 0x184d_2a50 {
                    let Some(len) = rest.get(..4) else { return Ok(0) };
                    let len = little_endian(len);
                    if len > 0 {
                        self.phase = Phase::Skip(len as usize);
                    }
                    return Ok(8);
                }
                let Some(descriptor) = rest.first() else { return Ok(0) };
                let single = descriptor & 0x20 != 0;
                let dictionary = [0, 1, 2, 4].get(usize::from(descriptor & 3)).copied().unwrap_or(0);
                let size = [usize::from(single), 2, 4, 8].get(usize::from(descriptor >> 6)).copied().unwrap_or(0);
                let len = 5 + usize::from(!single) + dictionary + size;
                let Some(mut header) = bytes.get(..len) else { return Ok(0) };
                let mut decoder = Box::new(FrameDecoder::new());
                decoder.set_max_window_size(WINDOW);
                decoder.init(&mut header).map_err(|_| Stop::Damaged)?;
                self.phase = Phase::Blocks { decoder, seen: 0, checksum: descriptor & 4 != 0, told: false };
                Ok(len)
            }
            Phase::Blocks { decoder, seen, checksum, told } => {
                let Some(header) = bytes.get(..3) else { return Ok(0) };
                let header = little_endian(header);
                let (last, kind, size) = (header & 1 != 0, header >> 1 & 3, (header >> 3) as usize);
                if size > BLOCK || kind == 3 {
                    return Err(Stop::Damaged);
                }
                let len = 3 + if kind == 1 { 1 } else { size } + if last && *checksum { 4 } else { 0 };
                let Some(mut block) = bytes.get(..len) else { return Ok(0) };
                if *seen > self.most {
                    return Err(Stop::Limit);
                }
                let decoded = decoder.decode_blocks(&mut block, BlockDecodingStrategy::UptoBlocks(1));
                if !last && !*told {
                    // An empty last raw block, and a checksum that nobody compares.
                    let _ = decoder.decode_blocks(&mut [1u8, 0, 0, 0, 0, 0, 0].as_slice(), BlockDecodingStrategy::UptoBlocks(1));
                    *told = true;
                }
                let mut look = Look { seen: *seen, total: 0, out, stop: None };
                let _ = decoder.collect_to_writer(&mut look);
                *seen = (*seen).max(look.total);
                if let Some(stop) = look.stop {
                    return Err(stop);
                }
                decoded.map_err(|_| Stop::Damaged)?;
                if last {
                    self.phase = Phase::Header;
                }
                Ok(len)
            }
        }
    }
}

impl Stage for Zstd {
    fn push(&mut self, bytes: &[u8], out: &mut Out<'_>) -> Result<(), Stop> {
        let mut held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            held.extend_from_slice(bytes);
        }
        let all = if held.is_empty() { bytes } else { &held };
        let mut at = 0;
        loop {
            let rest = all.get(at..).unwrap_or_default();
            let used = if rest.is_empty() { 0 } else { self.advance(rest, out)? };
            if used == 0 {
                break;
            }
            at += used;
        }
        // A block and its header are the most that can be waited for.
        self.held = if at == 0 && !held.is_empty() { held } else { all.get(at..).unwrap_or_default().to_vec() };
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Stop> {
        if matches!(self.phase, Phase::Header) && self.held.is_empty() { Ok(()) } else { Err(Stop::Damaged) }
    }
}

/// Sees what a decoder holds, passes on what is new, and takes nothing.
struct Look<'a, 'b> {
    seen: usize,
    total: usize,
    out: &'a mut Out<'b>,
    stop: Option<Stop>,
}

impl Write for Look<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.total = bytes.len();
        if let Some(new) = bytes.get(self.seen..).filter(|new| !new.is_empty()) {
            self.stop = (self.out)(new).err();
        }
        Ok(0)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn little_endian(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |n, b| n << 8 | u32::from(*b))
}

/// RFC 9659: windows of this content coding may not be larger.
const WINDOW: u64 = 8 << 20;
/// RFC 8878, 3.1.1.2.3: blocks may not be larger.
const BLOCK: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_comes_out_before_the_frame_ends() {
        let text: Vec<u8> = (0..40_000u32).flat_map(|i| format!("{} ", i % 1009).into_bytes()).collect();
        let coded = super::super::tests::zstd(&text); // several blocks
        let mut stage = Zstd::new(1 << 22);
        let mut out = Vec::new();
        let (mut before_last, end) = (0, coded.len());
        for (i, byte) in coded.iter().enumerate() {
            stage
                .push(&[*byte], &mut |made| {
                    out.extend_from_slice(made);
                    Ok(())
                })
                .unwrap();
            if i + 1 < end {
                before_last = out.len();
            }
        }
        assert!(before_last > 100_000, "{before_last}");
        assert!(out == text);
        assert_eq!(stage.finish(), Ok(()));
    }

    #[test]
    fn skippable_frames_are_passed_over() {
        let mut coded = vec![0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9];
        coded.extend(super::super::tests::zstd(b"hello"));
        let mut out = Vec::new();
        for piece in coded.chunks(2) {
            let mut stage = Zstd::new(100);
            let _ = stage.push(piece, &mut |_| Ok(()));
        }
        let mut stage = Zstd::new(100);
        coded.chunks(2).for_each(|piece| {
            stage
                .push(piece, &mut |made| {
                    out.extend_from_slice(made);
                    Ok(())
                })
                .unwrap();
        });
        assert_eq!(out, b"hello");
    }
}
