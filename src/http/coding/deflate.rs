//! deflate: zlib (RFC 1950) as it should be, or raw (RFC 1951) as some servers send it (RFC 9110, 8.4.1.2).

use flate2::{Decompress, FlushDecompress, Status};

use super::{Out, Stage, Stop};

/// Decodes either.
pub(super) struct Deflate {
    first: Option<u8>,
    inner: Option<Decompress>,
    over: bool,
}

impl Deflate {
    pub(super) fn new() -> Deflate {
        Deflate { first: None, inner: None, over: false }
    }

    fn inflate(&mut self, mut bytes: &[u8], out: &mut Out<'_>) -> Result<(), Stop> {
        let Some(inner) = &mut self.inner else { return Ok(()) };
        let mut buf = [0; 8192];
        while !self.over {
            let (before_in, before_out) = (inner.total_in(), inner.total_out());
            let status = inner.decompress(bytes, &mut buf, FlushDecompress::None).map_err(|_| Stop::Damaged)?;
            let used = usize::try_from(inner.total_in() - before_in).unwrap_or(usize::MAX);
            let made = usize::try_from(inner.total_out() - before_out).unwrap_or(usize::MAX);
            bytes = bytes.get(used..).unwrap_or_default();
            if made > 0 {
                out(buf.get(..made).unwrap_or_default())?;
            }
            self.over = status == Status::StreamEnd;
            if made < buf.len() && bytes.is_empty() || used == 0 && made == 0 {
                break;
            }
        }
        Ok(())
    }
}

impl Stage for Deflate {
    fn push(&mut self, mut bytes: &[u8], out: &mut Out<'_>) -> Result<(), Stop> {
        if self.inner.is_none() {
            if self.first.is_none() {
                let Some((first, rest)) = bytes.split_first() else { return Ok(()) };
                self.first = Some(*first);
                bytes = rest;
            }
            let (Some(first), Some(second)) = (self.first, bytes.first()) else { return Ok(()) };
            // CMF and FLG: method 8, and together a multiple of 31.
            let zlib = first & 0x0f == 8 && (u16::from(first) << 8 | u16::from(*second)) % 31 == 0;
            self.inner = Some(Decompress::new(zlib));
            self.inflate(&[first], out)?;
        }
        self.inflate(bytes, out)
    }

    fn finish(&mut self) -> Result<(), Stop> {
        if self.over || self.first.is_none() { Ok(()) } else { Err(Stop::Damaged) }
    }
}
