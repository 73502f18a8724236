//! A byte stream seen through one buffer: what is asked for is there in one piece, or the stream is over.

use std::io::{ErrorKind, Read};

/// The read buffer. It grows only while a block needs more and is given back after.
pub const BUFFER: usize = 256 * 1024;

pub(super) struct Window<R> {
    read: R,
    buf: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
    over: bool,
    error: Option<String>,
}

impl<R: Read> Window<R> {
    pub(super) fn new(read: R) -> Window<R> {
        Window { read, buf: vec![0; BUFFER], start: 0, end: 0, offset: 0, over: false, error: None }
    }

    /// The bytes at hand, from the current position on.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.buf.get(self.start..self.end).unwrap_or_default()
    }

    /// Offset of the current position in the stream.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether nothing comes after [`Window::bytes`].
    pub(super) fn over(&self) -> bool {
        self.over
    }

    /// Why the stream ended early; told once.
    pub(super) fn take_error(&mut self) -> Option<String> {
        self.error.take()
    }

    /// Moves on by `n` bytes, as far as they are at hand.
    #[inline]
    pub(super) fn consume(&mut self, n: usize) {
        let n = n.min(self.end - self.start);
        self.start += n;
        self.offset += n as u64;
    }

    /// Passes over all that is left, unread.
    pub(super) fn exhaust(&mut self) {
        self.consume(self.end - self.start);
        self.over = true;
    }

    /// Makes `n` bytes be at hand. False: the stream is over before that.
    #[inline]
    pub(super) fn have(&mut self, n: usize) -> bool {
        self.end - self.start >= n || self.fill(n)
    }

    #[cold]
    fn fill(&mut self, n: usize) -> bool {
        while self.end - self.start < n && !self.over {
            if self.start.saturating_add(n) > self.buf.len() {
                self.make_room(n);
            }
            let Some(space) = self.buf.get_mut(self.end..) else { return false };
            match self.read.read(space) {
                Ok(0) => self.over = true,
                Ok(got) => self.end = (self.end + got).min(self.buf.len()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => {
                    self.error = Some(e.to_string());
                    self.over = true;
                }
            }
        }
        self.end - self.start >= n
    }

    /// Moves what is left to the front. A length field may lie, so the buffer only doubles as its bytes really arrive.
    fn make_room(&mut self, n: usize) {
        self.buf.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if n > self.buf.len() {
            if self.end == self.buf.len() {
                self.buf.resize(n.min(self.buf.len() * 2), 0);
            }
        } else if self.buf.len() > BUFFER && n <= BUFFER && self.end <= BUFFER {
            self.buf.truncate(BUFFER);
            self.buf.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_grows_for_what_is_there_and_shrinks_after() {
        let data = vec![7u8; 3 * BUFFER];
        let mut window = Window::new(data.as_slice());
        assert!(window.have(2 * BUFFER));
        assert!(window.buf.len() >= 2 * BUFFER);
        window.consume(2 * BUFFER);
        assert!(window.have(BUFFER));
        assert_eq!(window.buf.len(), BUFFER);
        assert_eq!(window.offset(), 2 * BUFFER as u64);
        assert!(!window.have(64 << 20), "a length that lies");
        assert!(window.buf.len() <= 2 * BUFFER);
        assert_eq!(window.bytes().len(), BUFFER);
    }
}
