//! Whether a segment's checksum fits. It is told, never acted upon: offload leaves most of them unfilled.

use etherparse::checksum::u64_16bit_word as sum;

use super::layer::Ends;

/// Whether the checksum of a whole segment fits (RFC 9293, 3.1), as far as that is cheap to find out.
///
/// A sender that leaves it to the card puts the sum of the pseudo-header there, so that such segments (all of loopback, all
/// that this host sends) are known without a look at their payload, however long. The others are summed up to [`CHECKED`]
/// bytes, which tells of a damaged capture or a rewriting one as well; longer ones pass for right.
#[inline]
pub(super) fn holds(ends: &Ends, stored: u16, segment: &[u8]) -> bool {
    let pseudo = pseudo_header(ends, segment.len());
    if !sum::ones_complement(pseudo) == stored.to_be() {
        return false;
    }
    if segment.len() > CHECKED {
        return true;
    }
    // Words of 32 bits cannot overflow 64 here, and the compiler adds several at once.
    let (words, end) = segment.as_chunks::<4>();
    let words: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    sum::ones_complement(sum::add_8bytes(sum::add_slice(pseudo, end), words.to_ne_bytes())) == 0
}

/// The sum over the pseudo-header (RFC 9293, 3.1; RFC 8200, 8.1), in the byte order of this machine.
#[inline]
fn pseudo_header(ends: &Ends, len: usize) -> u64 {
    let addresses = match ends {
        Ends::Unknown => 0,
        Ends::V4(src, dst) => sum::add_4bytes(sum::add_4bytes(0, *src), *dst),
        Ends::V6(src, dst) => [src, dst].iter().fold(0, |all, ip| {
            let (high, low) =
                ip.split_first_chunk::<8>().map_or(([0; 8], [0; 8]), |(high, low)| (*high, low.try_into().unwrap_or_default()));
            sum::add_8bytes(sum::add_8bytes(all, high), low)
        }),
    };
    let len = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    sum::add_2bytes(sum::add_4bytes(addresses, len), [0, 6])
}

/// Bytes of a segment, header and all, up to which it is summed: at most some 200 instructions.
const CHECKED: usize = 512;
