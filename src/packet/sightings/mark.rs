//! A segment comes in, a number goes out that its copies share: nothing that NAT, bridges or offload change is in it.

use std::hash::{BuildHasher, Hasher};

use etherparse::{TcpOptionElement, TcpOptionsIterator};
use foldhash::fast::{FixedState, FoldHasher};

use crate::base::Addr;
use crate::packet::decode::Decoded;
use crate::packet::{Flags, Segment};

/// Equal for copies of one segment. The seed is fixed, so that equal input gives equal output: who makes two marks collide on
/// purpose can only have his own segments taken for copies of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(u64);

impl Mark {
    /// Of the whole segment, save its addresses. Of a long payload only both ends count: two segments that agree in sequence
    /// and acknowledgement number, length, timestamps and both ends, and differ between, are no accident and no loss.
    #[inline]
    pub(super) fn of(decoded: &Decoded<'_>) -> Mark {
        let Segment { seq, ack, flags, window, payload, cut, .. } = decoded.segment;
        let mut hasher = hasher(1);
        hasher.write_u64(u64::from(seq) << 32 | u64::from(ack));
        hasher.write_u64((payload.len() as u64 + (u64::from(cut) << 16)) << 24 | u64::from(window) << 8 | u64::from(flags.0));
        if flags.has(Flags::SYN) {
            syn_options(decoded.options, &mut hasher);
        } else if !decoded.options.is_empty() {
            hasher.write(decoded.options);
        }
        match (payload.first_chunk::<END>(), payload.last_chunk::<END>()) {
            (Some(first), Some(last)) if payload.len() > 2 * END => {
                hasher.write(first);
                hasher.write(last);
            }
            _ if payload.is_empty() => {}
            _ => hasher.write(payload),
        }
        // 0 is the mark of an empty place.
        Mark(hasher.finish() | 1)
    }

    /// Of the fact that this flow's opener was answered.
    pub(super) fn answer(src: Addr, dst: Addr) -> Mark {
        Mark(FixedState::with_seed(2).hash_one((src, dst)) | 1)
    }

    /// Of how the payload at its place in the flow begins, however long it is.
    pub(super) fn head(src: Addr, dst: Addr, segment: &Segment<'_>) -> Option<Mark> {
        let head = segment.payload.get(..segment.payload.len().min(16)).filter(|head| !head.is_empty())?;
        Some(Mark(FixedState::with_seed(3).hash_one((src, dst, segment.seq, head)) | 1))
    }

    /// To choose a place in a table.
    pub(super) fn index(self) -> usize {
        // The lowest bit is always set.
        (self.0 >> 1) as usize
    }
}

/// Whether the options hold a timestamp (RFC 7323).
pub(super) fn has_timestamp(options: &[u8]) -> bool {
    TcpOptionsIterator::from_slice(options).any(|option| matches!(option, Ok(TcpOptionElement::Timestamp(..))))
}

/// All but the maximum segment size, which routers clamp on the way.
#[cold]
fn syn_options(options: &[u8], hasher: &mut impl Hasher) {
    for option in TcpOptionsIterator::from_slice(options).map_while(Result::ok) {
        match option {
            TcpOptionElement::WindowScale(shift) => hasher.write_u16(0x0300 | u16::from(shift)),
            TcpOptionElement::SelectiveAcknowledgementPermitted => hasher.write_u16(0x0400),
            TcpOptionElement::Timestamp(value, echo) => hasher.write_u64(u64::from(value) << 32 | u64::from(echo)),
            _ => {}
        }
    }
}

fn hasher(seed: u64) -> FoldHasher<'static> {
    FixedState::with_seed(seed).build_hasher()
}

/// Bytes of each end of a payload that is not hashed whole.
const END: usize = 64;
