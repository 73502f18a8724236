//! A segment comes in, a number goes out that its copies share: nothing that NAT, bridges or offload change is in it.

use std::hash::BuildHasher;

use etherparse::{TcpOptionElement, TcpOptionsIterator};
use foldhash::fast::FixedState;

use crate::base::Addr;
use crate::packet::decode::Decoded;
use crate::packet::{Flags, Segment};

/// Equal for copies of one segment. The seed is fixed, so that equal input gives equal output: who makes two marks collide on
/// purpose can only have his own segments taken for copies of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(u64);

impl Mark {
    /// Of the whole segment, save its addresses. Of a long payload only beginning, middle and end count: two segments that agree
    /// in sequence and acknowledgement number, length, timestamps and these, and differ elsewhere, are no accident and no loss.
    #[inline(always)]
    pub(super) fn of(decoded: &Decoded<'_>) -> Mark {
        let Segment { seq, ack, flags, window, payload, cut, .. } = decoded.segment;
        let lengths = (payload.len() as u64 + (u64::from(cut) << 16)) << 24;
        let mut mark = fold(u64::from(seq) << 32 | u64::from(ack), lengths | u64::from(window) << 8 | u64::from(flags.0));
        let options = match decoded.options {
            // Maximum segment size, which routers clamp on the way.
            [2, 4, _, _, others @ ..] if flags.has(Flags::SYN) => others,
            options => options,
        };
        for words in options.chunks(16) {
            mark = mix(mark, words);
        }
        if !payload.is_empty() {
            mark = sample(mark, payload);
        }
        Mark(mark)
    }

    /// Of the fact that this flow's opener was answered.
    pub(super) fn answer(src: Addr, dst: Addr) -> Mark {
        Mark(FixedState::with_seed(2).hash_one((src, dst)))
    }

    /// Of how the payload at its place in the flow begins, however long it is.
    pub(super) fn head(src: Addr, dst: Addr, segment: &Segment<'_>) -> Option<Mark> {
        let head = segment.payload.get(..segment.payload.len().min(16)).filter(|head| !head.is_empty())?;
        Some(Mark(FixedState::with_seed(3).hash_one((src, dst, segment.seq, head))))
    }

    /// To choose a place in a table.
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Whether the options hold a timestamp (RFC 7323).
pub(super) fn has_timestamp(options: &[u8]) -> bool {
    TcpOptionsIterator::from_slice(options).any(|option| matches!(option, Ok(TcpOptionElement::Timestamp(..))))
}

/// Up to 96 bytes are taken in whole.
#[inline(always)]
fn sample(mark: u64, payload: &[u8]) -> u64 {
    let middle = payload.len() / 2;
    let middle = payload.get(middle.saturating_sub(PART / 2)..).and_then(<[u8]>::first_chunk);
    match (payload.first_chunk::<PART>(), middle, payload.last_chunk()) {
        (Some(first), Some(middle), Some(last)) => part(part(part(mark, first), middle), last),
        _ => payload.chunks(16).fold(mark, mix),
    }
}

#[inline(always)]
fn part(mark: u64, bytes: &[u8; PART]) -> u64 {
    let word = |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |word| u64::from_le_bytes(*word));
    fold(fold(mark ^ word(0), word(8)) ^ word(16), word(24))
}

/// Up to sixteen bytes.
#[inline(always)]
fn mix(mark: u64, bytes: &[u8]) -> u64 {
    let (one, two) = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(one), Some(two)) => (u64::from_le_bytes(*one), u64::from_le_bytes(*two)),
        _ => (bytes.iter().fold(1, |all, byte| all << 8 | u64::from(*byte)), 0),
    };
    fold(mark ^ one, two)
}

/// The two halves of a product, folded together, as foldhash does it: a good hash in few instructions.
#[inline(always)]
fn fold(one: u64, two: u64) -> u64 {
    let product = u128::from(one ^ KEYS.0) * u128::from(two ^ KEYS.1);
    product as u64 ^ (product >> 64) as u64
}

/// Bytes of each sampled part of a payload.
const PART: usize = 32;

/// Digits of pi: no value that traffic is likely to hold.
const KEYS: (u64, u64) = (0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344);
