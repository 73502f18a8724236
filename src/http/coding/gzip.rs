//! gzip (RFC 1952), one member or several.

use std::io::Write;

use flate2::write::MultiGzDecoder;

use super::{Out, Stage, Stop};

/// Decodes it.
pub(super) struct Gzip {
    inner: MultiGzDecoder<Vec<u8>>,
    begun: bool,
}

impl Gzip {
    pub(super) fn new() -> Gzip {
        Gzip { inner: MultiGzDecoder::new(Vec::new()), begun: false }
    }

    fn drain(&mut self, out: &mut Out<'_>) -> Result<(), Stop> {
        let made = self.inner.get_mut();
        let result = if made.is_empty() { Ok(()) } else { out(made) };
        made.clear();
        made.shrink_to(KEPT);
        result
    }
}

impl Stage for Gzip {
    fn push(&mut self, bytes: &[u8], out: &mut Out<'_>) -> Result<(), Stop> {
        self.begun |= !bytes.is_empty();
        // Small pieces bound what one of them can yield: 1,032 bytes for each byte at most. Each costs the library a buffer filled with zeros.
        for piece in bytes.chunks(PIECE) {
            let taken = self.inner.write_all(piece);
            self.drain(out)?;
            taken.map_err(|_| Stop::Damaged)?;
        }
        // What a flush point of the sender's let through comes out now, not when the buffer is full.
        let flushed = self.inner.flush();
        self.drain(out)?;
        flushed.map_err(|_| Stop::Damaged)
    }

    fn finish(&mut self) -> Result<(), Stop> {
        if self.begun { self.inner.try_finish().map_err(|_| Stop::Damaged) } else { Ok(()) }
    }
}

const PIECE: usize = 1_024;
const KEPT: usize = 16_384;
