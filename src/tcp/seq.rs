//! Sequence numbers: a circle of 2^32 places on which only distances mean anything (RFC 9293, 3.4).

/// How far `a` lies beyond `b`; negative when it lies before.
pub(super) fn ahead(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

/// `seq`, `len` places on. A length beyond the circle cannot come from a packet.
pub(super) fn on(seq: u32, len: usize) -> u32 {
    seq.wrapping_add(len as u32)
}

/// How far ahead of the expected place a segment may start. The largest window there is: 65,535 << 14 (RFC 7323, 2.3).
pub(super) const FARTHEST_AHEAD: i32 = 1 << 30;

/// How far behind the expected place a retransmission may start. Sixty-four times the largest send buffer of a stock
/// kernel leaves room, and keeps a new use of the same ports from being taken for old bytes.
pub(super) const FARTHEST_BEHIND: i32 = 1 << 28;

/// How far an RST, a straggler or a guessed start may lie from the place where it belongs.
pub(super) const NEAR: i32 = 1 << 20;

/// Whether a segment of a live connection may start so far from the expected place.
pub(super) fn plausible(distance: i32) -> bool {
    (-FARTHEST_BEHIND..=FARTHEST_AHEAD).contains(&distance)
}

/// Whether `distance` is small.
pub(super) fn near(distance: i32) -> bool {
    (-NEAR..=NEAR).contains(&distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_do_not_mind_the_wrap() {
        assert_eq!(ahead(5, u32::MAX - 4), 10);
        assert_eq!(ahead(u32::MAX - 4, 5), -10);
        assert_eq!(on(u32::MAX, 2), 1);
        assert!(plausible(1448) && plausible(-1448) && !plausible(i32::MIN) && !plausible(i32::MAX));
        assert!(near(-1) && !near(NEAR + 1));
    }
}
