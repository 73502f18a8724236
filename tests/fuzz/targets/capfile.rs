//! A capture file, whole and in dribs: the same blocks come out, and reading ends.
#![no_main]

use std::io::{self, Read};

use gatewitness::capfile::{Block, Reader};
use gatewitness_fuzz::Cuts;
use libfuzzer_sys::fuzz_target;

struct Dribs<'a>(&'a [u8], Cuts);

impl Read for Dribs<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.1.upto(64).min(self.0.len()).min(buf.len());
        let (now, later) = self.0.split_at(n);
        buf[..n].copy_from_slice(now);
        self.0 = later;
        Ok(n)
    }
}

fn blocks(read: impl Read, most: usize) -> Option<Vec<String>> {
    let mut reader = Reader::new(read, 1 << 20).ok()?;
    let mut all = Vec::new();
    while let Some(block) = reader.next() {
        let process = if let Block::Packet(packet) = &block { packet.comments.process() } else { None };
        all.push(format!("{block:?} {process:?}"));
        assert!(all.len() <= most, "more blocks than bytes");
    }
    Some(all)
}

fuzz_target!(|data: &[u8]| {
    let whole = blocks(data, data.len() + 16);
    assert_eq!(whole, blocks(Dribs(data, Cuts::new(data)), data.len() + 16));
    // A later part of the same file, of which it is not known where a block begins.
    if let Ok(reader) = Reader::new(data, 1 << 20) {
        let mut tail = reader.tail(data.get(data.len() / 2..).unwrap_or_default());
        while tail.next().is_some() {}
    }
});
