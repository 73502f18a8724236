//! Behind damage: where does the next block begin? One that looks right is not enough, those after it must fit as well.

use std::io::Read;

use super::ng;
use super::reader::{Format, Reader};

impl<R: Read> Reader<R> {
    /// Moves to the next place where blocks seem to begin, `least` bytes on at the earliest, or to the end.
    pub(super) fn seek(&mut self, least: usize) {
        let mut from = least;
        loop {
            self.window.have(SIGHT);
            let over = self.window.over();
            let bytes = self.window.bytes();
            let until = if over { bytes.len() } else { bytes.len().saturating_sub(REACH) };
            let found = (from..until).find(|at| chain(&self.format, bytes.get(*at..).unwrap_or_default(), over));
            if let Some(at) = found {
                self.window.consume(at);
                return;
            }
            self.window.consume(until.max(from));
            from = 0;
            if over {
                return;
            }
        }
    }
}

/// Whether blocks begin here: three in a row, or as many as there are before the stream ends. Two will do where the third is out of
/// sight, or cut by the end.
fn chain(format: &Format, mut bytes: &[u8], over: bool) -> bool {
    let mut big = matches!(format, Format::Ng(ng) if ng.big());
    for seen in 0..3 {
        if bytes.is_empty() && over {
            return seen > 0;
        }
        let size = match format {
            Format::Classic(classic) => classic.likely(bytes),
            Format::Ng(_) => ng::likely(bytes, &mut big),
        };
        let rest = size.filter(|size| *size <= REACH).map(|size| bytes.get(size..));
        match rest {
            Some(Some(rest)) => bytes = rest,
            // It is likely, and longer than what is left.
            Some(None) => return seen >= 1,
            // Too little is left to say.
            None => return seen >= 2 && bytes.len() < SMALLEST,
        }
    }
    true
}

/// Blocks longer than this are passed over while seeking.
const REACH: usize = 96 * 1024;
/// How far the seeker sees.
const SIGHT: usize = 192 * 1024;
/// A record's or a block's smallest head.
const SMALLEST: usize = 24;
