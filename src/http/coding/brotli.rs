//! Brotli (RFC 7932).

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::{Out, Stage, Stop};

/// Decodes it.
pub(super) struct Brotli {
    state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    begun: bool,
    over: bool,
}

impl Brotli {
    pub(super) fn new() -> Brotli {
        let alloc = StandardAlloc::default;
        // Strict: no windows beyond the 16 MiB of the RFC.
        Brotli { state: Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())), begun: false, over: false }
    }
}

impl Stage for Brotli {
    fn push(&mut self, bytes: &[u8], out: &mut Out<'_>) -> Result<(), Stop> {
        self.begun |= !bytes.is_empty();
        let (mut left, mut used, mut total) = (bytes.len(), 0, 0);
        let mut buf = [0; 8192];
        while !self.over {
            let (mut room, mut made) = (buf.len(), 0);
            let result = BrotliDecompressStream(&mut left, &mut used, bytes, &mut room, &mut made, &mut buf, &mut total, &mut self.state);
            if made > 0 {
                out(buf.get(..made).unwrap_or_default())?;
            }
            match result {
                BrotliResult::NeedsMoreInput => return Ok(()),
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::ResultSuccess => self.over = true,
                BrotliResult::ResultFailure => return Err(Stop::Damaged),
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Stop> {
        if self.over || !self.begun { Ok(()) } else { Err(Stop::Damaged) }
    }
}
