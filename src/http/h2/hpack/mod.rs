//! Header blocks of one direction come in, header fields go out (RFC 7541). What refers to a part of the dynamic table that was
//! never seen is a field whose name or value is unknown; decoding goes on. Knows nothing of frames.

mod huffman;
mod integer;
mod table;

use crate::base::Limits;
use table::Table;

use super::Field;

/// One direction's decoder.
pub(super) struct Decoder {
    table: Table,
}

/// The fields of one block. Reused for block after block.
#[derive(Default)]
pub(super) struct Fields {
    bytes: Vec<u8>,
    fields: Vec<(Span, Span)>,
    /// Fields whose name or value is unknown.
    pub(super) unknown: u64,
    /// There were more than [`Limits::head_lines`] or [`Limits::head_bytes`].
    pub(super) over: bool,
}

/// Why a block could not be read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// It ends within a field.
    Cut,
    /// It is no HPACK (RFC 9113, 4.3: COMPRESSION_ERROR).
    Malformed,
    /// Far more than the limits allow.
    TooMuch,
}

/// Where a name or value is.
#[derive(Clone, Copy, Debug)]
enum Span {
    Unknown,
    /// In [`Fields::bytes`].
    At(usize, usize),
}

impl Decoder {
    /// For a connection whose beginning is seen.
    pub(super) fn new(limits: &Limits) -> Decoder {
        Decoder { table: Table::new(limits.h2_table_bytes) }
    }

    /// Blocks were missed: see [`Table::forget`].
    pub(super) fn forget(&mut self) {
        self.table.forget();
    }

    /// The encoder has acknowledged this SETTINGS_HEADER_TABLE_SIZE.
    pub(super) fn acknowledged(&mut self, size: u32) {
        self.table.shrink_to(size as usize);
    }

    /// Decodes one block into `out`. After an error, `out` holds the fields before it, and the table is forgotten: what the rest
    /// of the block did to it cannot be known.
    pub(super) fn decode(&mut self, block: &[u8], limits: &Limits, out: &mut Fields) -> Result<(), Bad> {
        out.clear();
        let done = self.run(block, limits, out);
        if done.is_err() {
            self.forget();
        }
        done
    }

    fn run(&mut self, mut block: &[u8], limits: &Limits, out: &mut Fields) -> Result<(), Bad> {
        let mut work = 0usize;
        while let Some(first) = block.first().copied() {
            let mark = out.bytes.len();
            let (name, value) = if first & 0x80 != 0 {
                let index = integer::read(&mut block, 7)?;
                let (name, value) = self.table.get(index).ok_or(Bad::Malformed)?;
                (out.store(name), out.store(value))
            } else if first & 0xe0 == 0x20 {
                // RFC 7541, 4.2 wants these first in a block; one elsewhere says the same.
                let max = integer::read(&mut block, 5)?;
                self.table.set_max(max);
                continue;
            } else {
                let insert = first & 0x40 != 0;
                let name = match integer::read(&mut block, if insert { 6 } else { 4 })? {
                    0 => out.string(&mut block)?,
                    index => {
                        let (name, _) = self.table.get(index).ok_or(Bad::Malformed)?;
                        out.store(name)
                    }
                };
                let value = out.string(&mut block)?;
                if insert {
                    self.table.insert(out.slice(name), out.slice(value));
                }
                (name, value)
            };
            work = work.saturating_add(out.bytes.len() - mark);
            // Beyond the limits the table is still kept right, but not for ever: a block of small references to a large entry
            // would cost thousands of bytes of work for each of its own.
            if work > limits.head_bytes.saturating_mul(4) {
                out.bytes.truncate(mark);
                return Err(Bad::TooMuch);
            }
            if out.bytes.len() > limits.head_bytes || out.fields.len() >= limits.head_lines {
                out.bytes.truncate(mark);
                out.over = true;
                continue;
            }
            out.unknown += u64::from(matches!(name, Span::Unknown) || matches!(value, Span::Unknown));
            out.fields.push((name, value));
        }
        Ok(())
    }

    /// Bytes in the dynamic table.
    #[cfg(test)]
    pub(super) fn table_size(&self) -> usize {
        self.table.size()
    }
}

impl Fields {
    /// The fields, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.fields.iter().map(|(name, value)| Field { name: self.slice(*name), value: self.slice(*value) })
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEEP);
        self.fields.clear();
        self.fields.shrink_to(KEEP / 32);
        self.unknown = 0;
        self.over = false;
    }

    fn store(&mut self, bytes: Option<&[u8]>) -> Span {
        let Some(bytes) = bytes else { return Span::Unknown };
        let from = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Span::At(from, self.bytes.len())
    }

    /// A string literal (RFC 7541, 5.2).
    fn string(&mut self, block: &mut &[u8]) -> Result<Span, Bad> {
        let huffman = block.first().is_some_and(|first| first & 0x80 != 0);
        let len = integer::read(block, 7)?;
        let (string, rest) = block.split_at_checked(len).ok_or(Bad::Cut)?;
        *block = rest;
        if !huffman {
            return Ok(self.store(Some(string)));
        }
        let from = self.bytes.len();
        huffman::decode(string, &mut self.bytes)?;
        Ok(Span::At(from, self.bytes.len()))
    }

    fn slice(&self, span: Span) -> Option<&[u8]> {
        match span {
            Span::Unknown => None,
            Span::At(from, to) => self.bytes.get(from..to),
        }
    }
}

/// Bytes kept from one block to the next.
const KEEP: usize = 4096;

#[cfg(test)]
pub(super) mod encoder;
#[cfg(test)]
mod tests;
