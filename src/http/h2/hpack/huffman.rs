//! Huffman-coded strings (RFC 7541, 5.2 and Appendix B) come in, their bytes go out. The code is canonical, so its lengths say all.

use super::Bad;

/// Appends the decoded string to `out`.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), Bad> {
    out.reserve(coded.len() + coded.len() / 2);
    let mut bytes = coded.iter();
    let mut bits = 0u64;
    let mut held = 0u32;
    loop {
        while held <= 56 {
            let Some(byte) = bytes.next() else { break };
            bits = bits << 8 | u64::from(*byte);
            held += 8;
        }
        if held == 0 {
            return Ok(());
        }
        // The next 32 bits, left-aligned; behind the end come ones, as padding does ("the most significant bits of EOS").
        let window = if held >= 32 { (bits >> (held - 32)) as u32 } else { !(!(bits as u32) << (32 - held)) };
        let short = SHORT[(window >> 24) as usize];
        let (symbol, len) = if short.1 != 0 { (u16::from(short.0), u32::from(short.1)) } else { long(window) };
        if len > held {
            // Only padding may be left, and less than a byte of it.
            return if held < 8 && window == u32::MAX { Ok(()) } else { Err(Bad::Malformed) };
        }
        match u8::try_from(symbol) {
            Ok(symbol) => out.push(symbol),
            Err(_) => return Err(Bad::Malformed),
        }
        held -= len;
        bits &= (1u64 << held) - 1;
    }
}

/// A code of more than eight bits.
fn long(window: u32) -> (u16, u32) {
    let mut len = 9usize;
    while len < LONGEST && window > ROWS[len].last {
        len += 1;
    }
    let row = &ROWS[len];
    let place = usize::from(row.start) + (window.wrapping_sub(row.first) >> (32 - len)) as usize;
    (ORDER.get(place).copied().unwrap_or(EOS), len as u32)
}

/// The codes of one length, left-aligned in 32 bits: first, last with all bits behind it set, and the place of the first in [`ORDER`].
#[derive(Clone, Copy)]
struct Row {
    first: u32,
    last: u32,
    start: u16,
}

const EOS: u16 = 256;
const LONGEST: usize = 30;

/// Symbols by length, then by value: the order in which a canonical code counts up.
const ORDER: [u16; 257] = {
    let mut order = [0; 257];
    let (mut place, mut len) = (0, 1);
    while len <= LONGEST {
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == len {
                order[place] = symbol as u16;
                place += 1;
            }
            symbol += 1;
        }
        len += 1;
    }
    order
};

const ROWS: [Row; LONGEST + 1] = {
    let mut rows = [Row { first: 0, last: 0, start: 0 }; LONGEST + 1];
    let (mut place, mut code, mut len) = (0u64, 0u64, 1);
    while len <= LONGEST {
        code <<= 1;
        let mut count = 0;
        while ((place + count) as usize) < ORDER.len() && LENGTHS[ORDER[(place + count) as usize] as usize] as usize == len {
            count += 1;
        }
        let first = code << (32 - len);
        let end = (code + count) << (32 - len);
        rows[len] = Row { first: first as u32, last: end.saturating_sub(1) as u32, start: place as u16 };
        code += count;
        place += count;
        len += 1;
    }
    rows
};

/// Symbol and length by the first eight bits; length 0 where the code is longer.
static SHORT: [(u8, u8); 256] = {
    let mut short = [(0, 0); 256];
    let (mut place, mut from) = (0, 0);
    while LENGTHS[ORDER[place] as usize] <= 8 {
        let len = LENGTHS[ORDER[place] as usize];
        let mut next = 0;
        while next < 1 << (8 - len) {
            short[from] = (ORDER[place] as u8, len);
            from += 1;
            next += 1;
        }
        place += 1;
    }
    short
};

/// Code lengths of the 256 bytes and of EOS (RFC 7541, Appendix B).
#[rustfmt::skip]
pub(super) const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// The code of a byte, for the encoder of the tests.
#[cfg(test)]
pub(super) fn code(byte: u8) -> (u32, u32) {
    let len = u32::from(LENGTHS[usize::from(byte)]);
    let row = &ROWS[len as usize];
    let place = ORDER.iter().position(|symbol| *symbol == u16::from(byte)).unwrap() as u32;
    ((row.first >> (32 - len)) + place - u32::from(row.start), len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, Bad> {
        let mut out = Vec::new();
        decode(coded, &mut out).map(|()| out)
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (byte, code_and_len) in
            [(0, (0x1ff8, 13)), (b'0', (0, 5)), (b'a', (3, 5)), (b' ', (0x14, 6)), (255, (0x03ff_ffee, 26)), (b'\n', (0x3fff_fffc, 30))]
        {
            assert_eq!(code(byte), code_and_len);
        }
    }

    #[test]
    fn padding_is_checked() {
        assert_eq!(decoded(&[0x1f]), Ok(b"a".to_vec()), "three bits of padding");
        assert_eq!(decoded(&[0x18]), Err(Bad::Malformed), "padding of zeros");
        assert_eq!(decoded(&[0x1f, 0xff]), Err(Bad::Malformed), "a whole byte of padding");
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xfc]), Err(Bad::Malformed), "EOS");
        assert_eq!(decoded(&[]), Ok(Vec::new()));
    }
}
