//! An encoder for tests: fields and dice come in, header blocks that use every representation of RFC 7541 go out.

use std::collections::VecDeque;

use super::huffman::code;
use super::table::STATIC;

/// Keeps the same table as a decoder must.
#[derive(Debug)]
pub(in crate::http::h2) struct Encoder {
    table: VecDeque<(Vec<u8>, Vec<u8>)>,
    max: usize,
}

impl Encoder {
    pub(in crate::http::h2) fn new() -> Encoder {
        Encoder { table: VecDeque::new(), max: 4096 }
    }

    /// A size update.
    pub(in crate::http::h2) fn resize(&mut self, max: usize, out: &mut Vec<u8>) {
        self.max = max;
        self.evict();
        integer(max, 5, 0x20, out);
    }

    /// One field. `dice` chooses among the ways to write it.
    pub(in crate::http::h2) fn field(&mut self, name: &[u8], value: &[u8], dice: u8, out: &mut Vec<u8>) {
        let all = || {
            let fixed = STATIC.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            fixed.chain(self.table.iter().map(|(name, value)| (name.as_slice(), value.as_slice())))
        };
        let whole = all().position(|one| one == (name, value)).filter(|_| dice & 1 == 0);
        if let Some(place) = whole {
            return integer(place + 1, 7, 0x80, out);
        }
        let known = all().position(|one| one.0 == name).filter(|_| dice & 2 == 0);
        let (bits, mark) = [(6, 0x40), (4, 0x00), (4, 0x10), (6, 0x40)][usize::from(dice >> 2 & 3)];
        integer(known.map_or(0, |place| place + 1), bits, mark, out);
        if known.is_none() {
            string(name, dice & 0x10 != 0, out);
        }
        string(value, dice & 0x20 != 0, out);
        if mark == 0x40 {
            self.table.push_front((name.to_vec(), value.to_vec()));
            self.evict();
        }
    }

    fn evict(&mut self) {
        while self.table.iter().map(|(name, value)| 32 + name.len() + value.len()).sum::<usize>() > self.max {
            self.table.pop_back();
        }
    }
}

fn string(bytes: &[u8], huffman: bool, out: &mut Vec<u8>) {
    if !huffman {
        integer(bytes.len(), 7, 0, out);
        return out.extend(bytes);
    }
    let (mut coded, mut bits, mut held) = (Vec::new(), 0u64, 0);
    for byte in bytes {
        let (code, len) = code(*byte);
        bits = bits << len | u64::from(code);
        held += len;
        while held >= 8 {
            held -= 8;
            coded.push((bits >> held) as u8);
        }
    }
    if held > 0 {
        coded.push((bits << (8 - held)) as u8 | (0xff >> held));
    }
    integer(coded.len(), 7, 0x80, out);
    out.extend(coded);
}

fn integer(value: usize, bits: u32, mark: u8, out: &mut Vec<u8>) {
    let mask = (1usize << bits) - 1;
    if value < mask {
        return out.push(mark | value as u8);
    }
    out.push(mark | mask as u8);
    let mut rest = value - mask;
    while rest >= 128 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
