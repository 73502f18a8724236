//! An interface's ticks become nanoseconds: `if_tsresol`, decimal or binary, and `if_tsoffset`.

use crate::base::Ts;

/// How one interface counts time (draft-ietf-opsawg-pcapng, 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticks {
    scale: Scale,
    offset: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Times(u64),
    Over(u64),
    Shift(u32),
}

impl Ticks {
    /// From the two options; without them microseconds and no offset.
    pub(super) fn new(tsresol: Option<u8>, tsoffset: Option<i64>) -> Ticks {
        let resolution = tsresol.unwrap_or(6);
        let power = u32::from(resolution & 0x7f);
        let scale = if resolution & 0x80 != 0 {
            Scale::Shift(power)
        } else if power <= 9 {
            Scale::Times(10u64.pow(9 - power))
        } else {
            Scale::Over(10u64.saturating_pow(power - 9))
        };
        Ticks { scale, offset: tsoffset.unwrap_or(0).saturating_mul(NANOS) }
    }

    pub(super) fn ts(self, ticks: u64) -> Ts {
        let nanos = match self.scale {
            Scale::Times(n) => ticks.saturating_mul(n),
            Scale::Over(n) => ticks / n,
            Scale::Shift(n) => u64::try_from((u128::from(ticks) * NANOS as u128) >> n).unwrap_or(u64::MAX),
        };
        Ts(i64::try_from(nanos).unwrap_or(i64::MAX)) + self.offset
    }
}

const NANOS: i64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_and_binary_resolutions_and_the_offset() {
        assert_eq!(Ticks::new(None, None).ts(1_500_000), Ts(1_500_000_000));
        assert_eq!(Ticks::new(Some(9), None).ts(7), Ts(7));
        assert_eq!(Ticks::new(Some(3), Some(-1)).ts(1_001), Ts(1_000_000));
        assert_eq!(Ticks::new(Some(12), None).ts(5_999), Ts(5));
        assert_eq!(Ticks::new(Some(0x80 | 20), None).ts(3 << 19), Ts(1_500_000_000));
        assert_eq!(Ticks::new(Some(0x80), Some(2)).ts(1), Ts(3_000_000_000));
        assert_eq!(Ticks::new(Some(0x7f), Some(i64::MIN)).ts(5), Ts(i64::MIN));
        assert_eq!(Ticks::new(Some(0xff), None).ts(u64::MAX), Ts(0));
    }
}
