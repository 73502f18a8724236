//! Bytes of a header block come in, integers (RFC 7541, 5.1) go out.

use super::Bad;

/// Reads an integer whose first byte has a prefix of `bits` bits, and steps over it.
///
/// Anything above 2^28 is refused: no length or index of ours can be that large, and an attacker's number never overflows.
pub(super) fn read(block: &mut &[u8], bits: u32) -> Result<usize, Bad> {
    let (first, mut rest) = block.split_first().ok_or(Bad::Cut)?;
    let mask = (1u32 << bits) - 1;
    let mut value = u32::from(*first) & mask;
    if value == mask {
        for shift in (0..).step_by(7) {
            let (byte, after) = rest.split_first().ok_or(Bad::Cut)?;
            rest = after;
            let part = u32::from(*byte & 0x7f);
            if shift > 28 || (shift == 28 && part != 0) {
                return Err(Bad::Malformed);
            }
            value = value.checked_add(part << shift).filter(|value| *value <= 1 << 28).ok_or(Bad::Malformed)?;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *block = rest;
    Ok(value as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8], bits: u32) -> Result<(usize, usize), Bad> {
        let mut rest = bytes;
        read(&mut rest, bits).map(|value| (value, rest.len()))
    }

    #[test]
    fn rfc_7541_c_1_examples() {
        assert_eq!(parse(&[0b1110_1010], 5), Ok((10, 0)));
        assert_eq!(parse(&[0b1111_1111, 0b1001_1010, 0b0000_1010, 9], 5), Ok((1337, 1)));
        assert_eq!(parse(&[0b0010_1010], 8), Ok((42, 0)));
    }

    #[test]
    fn cut_and_overlong_integers_are_refused() {
        assert_eq!(parse(&[], 7), Err(Bad::Cut));
        assert_eq!(parse(&[0x3f], 5), Err(Bad::Cut));
        assert_eq!(parse(&[0x7f, 0x80, 0x80], 7), Err(Bad::Cut));
        assert_eq!(parse(&[0x7f, 0xff, 0xff, 0xff, 0xff, 0x7f], 7), Err(Bad::Malformed));
        assert_eq!(parse(&[0x7f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], 7), Err(Bad::Malformed));
        assert_eq!(parse(&[0x7f, 0x80, 0x80, 0x80, 0x80, 0x00], 7), Ok((127, 0)));
    }
}
