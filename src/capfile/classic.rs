//! The classic pcap file: one header, then records. Both byte orders, micro- and nanoseconds, and the "modified" records of old
//! patched libpcaps.

use pcap_parser::pcap::parse_pcap_header;

use crate::base::Ts;

/// What the file header says.
#[derive(Clone, Debug)]
pub(super) struct Classic {
    big: bool,
    /// Nanoseconds in a unit of the records' fraction.
    unit: i64,
    /// Bytes of a record's header.
    head: usize,
    /// Longest record that is believed.
    longest: u32,
    pub(super) link: u16,
    /// Seconds of the last good record: what is found behind damage must be near.
    near: Option<u32>,
}

/// A record's header. Read by hand: the same few bytes are looked at one by one when the next record is sought behind damage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    sec: u32,
    fraction: u32,
    pub(super) caplen: u32,
    pub(super) orig_len: u32,
}

impl Classic {
    /// From the first 24 bytes, or fewer if there are no more.
    pub(super) fn new(bytes: &[u8]) -> Option<Classic> {
        // The library knows all magic numbers but the modified format's in the other byte order: that header reads as a plain one's.
        let mut header = [0; FILE_HEADER];
        header.get_mut(..bytes.len().min(FILE_HEADER))?.copy_from_slice(bytes.get(..bytes.len().min(FILE_HEADER))?);
        let swapped_modified = header.starts_with(&MODIFIED_BIG);
        if swapped_modified {
            header[..4].copy_from_slice(&PLAIN_BIG);
        }
        let (_, parsed) = parse_pcap_header(&header).ok()?;
        Some(Classic {
            big: parsed.is_bigendian(),
            unit: if parsed.is_nanosecond_precision() { 1 } else { 1_000 },
            head: if parsed.is_modified_format() || swapped_modified { 24 } else { 16 },
            longest: parsed.snaplen.clamp(MAX_SNAPLEN, MAX_RECORD),
            // The upper bits tell of frame check sequences (draft-ietf-opsawg-pcap, 4).
            link: (parsed.network.0 & 0xffff) as u16,
            near: None,
        })
    }

    /// The record header at the start of `bytes`.
    #[inline]
    pub(super) fn record(&self, bytes: &[u8]) -> Option<Record> {
        let raw: &[u8; 16] = bytes.first_chunk()?;
        let word = |at: usize| {
            let word = [raw[at], raw[at + 1], raw[at + 2], raw[at + 3]];
            if self.big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
        };
        Some(Record { sec: word(0), fraction: word(4), caplen: word(8), orig_len: word(12) })
    }

    /// Forgets when the last record was.
    pub(super) fn anytime(&mut self) {
        self.near = None;
    }

    /// Bytes of a record's header.
    #[inline]
    pub(super) fn head(&self) -> usize {
        self.head
    }

    /// Bytes of a whole record; `None` for one that no writer can have meant.
    #[inline]
    pub(super) fn size(&self, record: &Record) -> Option<usize> {
        (record.caplen <= self.longest && record.fraction < 1_000_000_000).then(|| self.head + record.caplen as usize)
    }

    #[inline]
    pub(super) fn ts(&self, record: &Record) -> Ts {
        Ts(i64::from(record.sec) * 1_000_000_000 + i64::from(record.fraction) * self.unit)
    }

    /// Remembers the time of a record that was believed.
    #[inline]
    pub(super) fn believe(&mut self, record: &Record) {
        self.near = Some(record.sec);
    }

    /// Whether the record fits to the one before it and to itself.
    #[inline]
    pub(super) fn fits(&self, record: &Record) -> bool {
        self.near.is_none_or(|sec| record.sec.abs_diff(sec) <= WEEK) && record.caplen <= record.orig_len
    }

    /// Whether a record that does not fit is borne out by the one that follows it, which begins `next`: clocks are set, captures are
    /// joined, and some writers get the original length wrong; but behind a spoilt length there is only noise.
    pub(super) fn confirmed(&self, record: &Record, next: &[u8]) -> bool {
        self.record(next).is_none_or(|next| self.size(&next).is_some() && next.sec.abs_diff(record.sec) <= WEEK)
    }

    /// The size of the record at the start of `bytes` if it looks like one to somebody who does not know where records begin.
    pub(super) fn likely(&self, bytes: &[u8]) -> Option<usize> {
        let record = self.record(bytes)?;
        let whole = record.caplen > 0 && record.orig_len <= MAX_RECORD;
        let fraction = i64::from(record.fraction) * self.unit < 1_000_000_000;
        if whole && fraction && self.fits(&record) { self.size(&record) } else { None }
    }
}

pub(super) const FILE_HEADER: usize = 24;
pub(super) const MAGICS: [[u8; 4]; 6] =
    [PLAIN_BIG, [0xd4, 0xc3, 0xb2, 0xa1], [0xa1, 0xb2, 0x3c, 0x4d], [0x4d, 0x3c, 0xb2, 0xa1], MODIFIED_BIG, [0x34, 0xcd, 0xb2, 0xa1]];
const PLAIN_BIG: [u8; 4] = [0xa1, 0xb2, 0xc3, 0xd4];
const MODIFIED_BIG: [u8; 4] = [0xa1, 0xb2, 0xcd, 0x34];
/// libpcap's own bound on a packet, whatever the file's header says.
const MAX_SNAPLEN: u32 = 262_144;
/// For link types with larger packets (USB) the header may raise it this far.
const MAX_RECORD: u32 = 64 << 20;
const WEEK: u32 = 7 * 86_400;
