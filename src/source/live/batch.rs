//! Packets as they left the kernel's ring, copied out in one go.

use crate::base::Ts;

/// Packets of one device, in the order of the kernel.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The LINKTYPE value.
    pub link: u16,
    bytes: Vec<u8>,
    heads: Vec<Head>,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    ts: Ts,
    orig_len: u32,
    end: usize,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caught<'a> {
    /// The kernel's time, nanoseconds.
    pub ts: Ts,
    /// How long it was on the wire.
    pub orig_len: u32,
    /// The bytes that were kept.
    pub data: &'a [u8],
}

impl Batch {
    /// Empty.
    pub fn new(link: u16) -> Batch {
        Batch { link, ..Batch::default() }
    }

    /// One packet more.
    pub fn push(&mut self, ts: Ts, orig_len: u32, data: &[u8]) {
        self.bytes.extend_from_slice(data);
        self.heads.push(Head { ts, orig_len, end: self.bytes.len() });
    }

    /// The packet at a place, counted from 0.
    pub fn get(&self, n: usize) -> Option<Caught<'_>> {
        let head = self.heads.get(n)?;
        let begin = n.checked_sub(1).and_then(|before| self.heads.get(before)).map_or(0, |before| before.end);
        Some(Caught { ts: head.ts, orig_len: head.orig_len, data: self.bytes.get(begin..head.end)? })
    }

    /// Gives back memory that growing took ahead: what waits in the queue counts by what it takes.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.heads.shrink_to_fit();
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Memory that it takes.
    pub fn weight(&self) -> usize {
        self.bytes.capacity().saturating_add(self.heads.capacity().saturating_mul(size_of::<Head>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_out_as_they_went_in() {
        let mut batch = Batch::new(1);
        batch.push(Ts(5), 9, b"abc");
        batch.push(Ts(6), 0, b"");
        batch.push(Ts(7), 2, b"de");
        let out: Vec<_> = (0..4).map_while(|n| batch.get(n)).map(|one| (one.ts.0, one.orig_len, one.data)).collect();
        assert_eq!(out, [(5, 9, &b"abc"[..]), (6, 0, b""), (7, 2, b"de")]);
        batch.shrink();
        assert_eq!(batch.weight(), 5 + 3 * size_of::<Head>());
    }
}
