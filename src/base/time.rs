//! Time as the packets tell it. Nothing in the core reads a clock.

use std::fmt;
use std::ops::{Add, Sub};

use jiff::Timestamp;

/// Nanoseconds since the Unix epoch, UTC. Negative before 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ts(pub i64);

impl Ts {
    /// The latest time there is: "no bound yet".
    pub const MAX: Ts = Ts(i64::MAX);

    /// Whole and fractional seconds, for people and arithmetic that tolerates rounding.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Nanoseconds from `earlier` to `self`; negative when `self` is the earlier one.
    pub fn since(self, earlier: Ts) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<i64> for Ts {
    type Output = Ts;
    fn add(self, nanos: i64) -> Ts {
        Ts(self.0.saturating_add(nanos))
    }
}

impl Sub<i64> for Ts {
    type Output = Ts;
    fn sub(self, nanos: i64) -> Ts {
        Ts(self.0.saturating_sub(nanos))
    }
}

/// RFC 3339, UTC, always nine digits of fraction, so that text sorts as time does.
impl fmt::Display for Ts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = Timestamp::from_nanosecond(self.0.into()).unwrap_or(Timestamp::UNIX_EPOCH);
        write!(f, "{time:.9}")
    }
}

/// When and where a byte was seen: its packet's time, its place in the run's input, and the frame that carried it.
///
/// Ordered by time, and where clocks tie by the position in the input: a capture may hold packets out of order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Position in the run's whole input, counted from 1 over all files.
    pub ord: u64,
    /// The packet's own time.
    pub ts: Ts,
    /// 1-based frame number in its capture file, as Wireshark shows it; 0 where there is no packet (eBPF).
    pub frame: u64,
    /// Which capture file, counted from 0 in input order.
    pub file: u16,
}

impl PartialOrd for Stamp {
    fn partial_cmp(&self, other: &Stamp) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Stamp {
    fn cmp(&self, other: &Stamp) -> std::cmp::Ordering {
        self.ts.cmp(&other.ts).then(self.ord.cmp(&other.ord)).then(self.frame.cmp(&other.frame)).then(self.file.cmp(&other.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_rfc_3339_with_nine_digits() {
        assert_eq!(Ts(1_795_386_639_496_318_800).to_string(), "2026-11-22T22:30:39.496318800Z");
        assert_eq!(Ts(0).to_string(), "1970-01-01T00:00:00.000000000Z");
    }
}
