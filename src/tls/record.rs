//! Bytes of one direction come in, records go out, found again after holes. Knows no keys and no handshake.

use crate::base::Stamp;

/// The header of a record (RFC 8446, section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Content type.
    pub(super) kind: u8,
    /// Its version, which says little.
    pub(super) version: [u8; 2],
    /// Bytes that follow.
    pub(super) len: u16,
}

/// Content types.
pub(super) mod kind {
    pub(in crate::tls) const CHANGE_CIPHER_SPEC: u8 = 20;
    pub(in crate::tls) const ALERT: u8 = 21;
    pub(in crate::tls) const HANDSHAKE: u8 = 22;
    pub(in crate::tls) const APPLICATION_DATA: u8 = 23;
}

impl Head {
    /// The header at the start of these bytes: `None` while it is not whole.
    pub(super) fn of(bytes: &[u8]) -> Option<Head> {
        let (&[kind, major, minor, high, low], _) = bytes.split_first_chunk()?;
        Some(Head { kind, version: [major, minor], len: u16::from_be_bytes([high, low]) })
    }

    /// Whether a record may look like this.
    pub(super) fn is_legal(self) -> bool {
        let [major, minor] = self.version;
        (20..=24).contains(&self.kind) && major == 3 && minor <= 4 && usize::from(self.len) <= LONGEST
    }

    /// Whether it looks so much like the header of a sealed record that it may be taken for one in the middle of other bytes:
    /// both TLS 1.2 and 1.3 then say version 3.3.
    pub(super) fn is_likely(self) -> bool {
        (20..=23).contains(&self.kind) && self.version == [3, 3] && self.len > 0 && usize::from(self.len) <= LONGEST
    }

    pub(super) fn bytes(self) -> [u8; 5] {
        let ([major, minor], [high, low]) = (self.version, self.len.to_be_bytes());
        [self.kind, major, minor, high, low]
    }

    /// What the MAC of TLS 1.2 covers besides the text (RFC 5246, sections 6.2.3.1 and 6.2.3.3).
    pub(super) fn with_seq(self, seq: u64, len: u16) -> [u8; 13] {
        let mut out = [0; 13];
        let head = Head { len, ..self }.bytes();
        out.iter_mut().zip(seq.to_be_bytes().iter().chain(&head)).for_each(|(to, from)| *to = *from);
        out
    }

    /// Bytes of the whole record.
    pub(super) fn whole(self) -> usize {
        usize::from(self.len).saturating_add(HEAD)
    }
}

/// Cuts one direction into records.
///
/// While it knows where records begin, bytes are kept only for a record that is not whole. After a hole it keeps bytes until
/// they show where records begin: one likely header after another, or a record that a key opens.
#[derive(Default)]
pub(super) struct Framer {
    buf: Vec<u8>,
    /// After a hole: which packets the kept bytes came with, as their ends in `buf`.
    marks: Vec<(usize, Stamp)>,
    /// Where in `buf` the next record is looked for.
    from: usize,
    mode: Mode,
    /// Bytes that are still to be passed over: the rest of a record that nobody wants.
    skip: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    /// Records are taken from the input, or from `buf` as soon as it holds a whole one.
    #[default]
    Direct,
    /// All bytes go through `buf`; the place of the next record is known.
    Known,
    /// All bytes go through `buf`; the place of the next record is not known. `true`: the record at `from` was tried and did
    /// not open.
    Lost(bool),
}

/// What the input holds next.
pub(super) enum Next<'a> {
    /// A record, in the input.
    Whole(Head, &'a [u8]),
    /// A record that came in pieces: take it out of [`Framer::take`].
    Kept(Head),
    /// What follows is no record.
    Broken,
    /// Nothing more.
    Nothing,
}

/// What the bytes kept after a hole hold next.
pub(super) enum Found {
    /// A record, at this place in the kept bytes.
    Record(usize, Head, Stamp),
    /// A record if a key opens it.
    Perhaps(usize, Head, Stamp),
    /// Nothing more for now.
    Nothing,
}

impl Framer {
    /// Whether bytes go through the buffer because a hole came before them.
    pub(super) fn is_buffered(&self) -> bool {
        self.mode != Mode::Direct
    }

    /// The next record of the input, which shrinks. Only while not [`Framer::is_buffered`].
    /// `spare` is a buffer to use.
    pub(super) fn next<'a>(&mut self, input: &mut &'a [u8], spare: &mut Vec<u8>) -> Next<'a> {
        let passed = self.skip.min(input.len());
        self.skip = self.skip.saturating_sub(passed);
        *input = input.get(passed..).unwrap_or(&[]);
        if input.is_empty() {
            return Next::Nothing;
        }
        if self.buf.is_empty() {
            let head = Head::of(input);
            if head.is_some_and(|head| !head.is_legal()) {
                return Next::Broken;
            }
            if let Some(head) = head
                && let Some((record, rest)) = input.split_at_checked(head.whole())
            {
                *input = rest;
                return Next::Whole(head, record.get(HEAD..).unwrap_or(&[]));
            }
            if head.is_some() && self.buf.capacity() == 0 {
                self.buf = std::mem::take(spare);
            }
        }
        self.fill(input, HEAD);
        let Some(head) = Head::of(&self.buf) else { return Next::Nothing };
        if !head.is_legal() {
            return Next::Broken;
        }
        self.buf.reserve_exact(head.whole().saturating_sub(self.buf.len()));
        self.fill(input, head.whole());
        if self.buf.len() < head.whole() { Next::Nothing } else { Next::Kept(head) }
    }

    /// The header of the record of which the beginning is kept.
    pub(super) fn begun(&self) -> Option<Head> {
        Head::of(&self.buf).filter(|_| !self.is_buffered())
    }

    /// Whether a record has begun and not ended.
    pub(super) fn is_within(&self) -> bool {
        !self.buf.is_empty() || self.skip > 0
    }

    /// Passes over the rest of the record of which the beginning is kept.
    pub(super) fn skip_rest(&mut self) -> Option<Head> {
        let head = self.begun()?;
        self.skip = head.whole().saturating_sub(self.buf.len());
        self.buf = Vec::new();
        Some(head)
    }

    fn fill(&mut self, input: &mut &[u8], until: usize) {
        let wanted = until.saturating_sub(self.buf.len()).min(input.len());
        if let Some((now, later)) = input.split_at_checked(wanted) {
            self.buf.extend_from_slice(now);
            *input = later;
        }
    }

    /// The kept bytes, to read a record in place. Given back with [`Framer::give_back`] or not at all.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buf)
    }

    pub(super) fn give_back(&mut self, buf: Vec<u8>) {
        self.buf = buf;
    }

    /// A hole of this length: whether it is known all the same where the next record begins, since the hole ends within this one.
    pub(super) fn hole(&mut self, len: Option<u64>) -> bool {
        let missing = match self.mode {
            Mode::Direct if self.skip > 0 => Some(self.skip),
            Mode::Direct => Head::of(&self.buf).map(|head| head.whole().saturating_sub(self.buf.len())),
            Mode::Known | Mode::Lost(_) => None,
        };
        let len = len.and_then(|len| usize::try_from(len).ok());
        let rest = missing.zip(len).and_then(|(missing, len)| missing.checked_sub(len));
        *self =
            Framer { skip: rest.unwrap_or(0), mode: if rest.is_some() { Mode::Direct } else { Mode::Lost(false) }, ..Framer::default() };
        rest.is_some()
    }

    /// What was taken for a record is none: looks for the next one from the second byte on.
    pub(super) fn broken(&mut self, input: &mut &[u8], at: Stamp) {
        self.mode = Mode::Lost(false);
        self.skip = 0;
        self.from = 1;
        if !self.buf.is_empty() {
            self.marks.push((self.buf.len(), at));
        }
        self.keep(input, at);
    }

    /// Keeps the input. Only while [`Framer::is_buffered`].
    pub(super) fn keep(&mut self, input: &mut &[u8], at: Stamp) {
        self.buf.extend_from_slice(input);
        match self.marks.last_mut() {
            Some((end, last)) if *last == at => *end = self.buf.len(),
            _ => self.marks.push((self.buf.len(), at)),
        }
        *input = &[];
    }

    /// The next record of the kept bytes; `last`: nothing will follow them.
    pub(super) fn find(&mut self, last: bool) -> Found {
        loop {
            let rest = self.buf.get(self.from..).unwrap_or(&[]);
            let Some(head) = Head::of(rest) else { break };
            let after = rest.get(head.whole()..);
            match self.mode {
                Mode::Direct => break,
                Mode::Known if !head.is_legal() => self.mode = Mode::Lost(false),
                Mode::Known => match after {
                    Some(_) => return Found::Record(self.from, head, self.stamp(head)),
                    None => break,
                },
                Mode::Lost(_) if !head.is_likely() => self.step(),
                Mode::Lost(tried) => match (after, after.and_then(Head::of)) {
                    (Some(_), Some(next)) if next.is_likely() => return Found::Record(self.from, head, self.stamp(head)),
                    (Some(_), Some(_)) => self.step(),
                    (Some(_), None) if !tried => return Found::Perhaps(self.from, head, self.stamp(head)),
                    (Some([]), None) if last => return Found::Record(self.from, head, self.stamp(head)),
                    _ if last => self.step(),
                    _ => break,
                },
            }
        }
        self.tidy();
        Found::Nothing
    }

    /// What [`Framer::find`] found is a record: goes on after it.
    pub(super) fn accept(&mut self, head: Head) {
        self.from = self.from.saturating_add(head.whole());
        self.mode = Mode::Known;
    }

    /// What may be a record was not opened by any key.
    pub(super) fn reject(&mut self) {
        self.mode = Mode::Lost(true);
    }

    fn step(&mut self) {
        self.from = self.from.saturating_add(1);
        self.mode = Mode::Lost(false);
    }

    /// The packet with the last byte of the record at `from`.
    fn stamp(&self, head: Head) -> Stamp {
        let end = self.from.saturating_add(head.whole());
        self.marks.iter().find(|(until, _)| *until >= end).or(self.marks.last()).map(|(_, at)| *at).unwrap_or_default()
    }

    /// Drops what was read. Once only the beginning of one record is kept, there is no need to go through the buffer.
    fn tidy(&mut self) {
        if self.from == 0 && self.mode != Mode::Known {
            return;
        }
        let read = self.from.min(self.buf.len());
        self.buf.drain(..read);
        self.from = self.from.saturating_sub(read);
        self.marks.retain_mut(|(end, _)| {
            *end = end.saturating_sub(read);
            *end > 0
        });
        if self.mode == Mode::Known {
            *self = Framer { buf: std::mem::take(&mut self.buf), ..Framer::default() };
        }
        if self.buf.is_empty() {
            self.buf = Vec::new();
        } else if self.buf.capacity() / 4 > self.buf.len().max(KEEP) {
            self.buf.shrink_to(self.buf.len());
        }
    }
}

/// Bytes of a header.
pub(super) const HEAD: usize = 5;

/// RFC 5246, section 6.2.3: 2^14 + 2048 bytes; TLS 1.3 allows fewer.
pub(super) const LONGEST: usize = 18_432;

/// A buffer this small is not made smaller.
const KEEP: usize = 4_096;
