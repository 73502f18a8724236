//! Verdicts over time in a fixed number of bins: where they do not reach, each becomes twice as wide.

use crate::base::Ts;
use crate::verdict::Verdict;

/// Verdicts by time.
#[derive(Clone, Debug, Default)]
pub(in crate::report) struct Timeline {
    /// Time of the first bin's beginning, and a bin's width in nanoseconds.
    begin: i64,
    width: i64,
    bins: Vec<Bin>,
}

/// How many of each verdict, in the order of [`Verdict::ALL`].
pub(in crate::report) type Bin = [u64; Verdict::ALL.len()];

impl Timeline {
    /// A pair began.
    pub(super) fn add(&mut self, at: Ts, verdict: Verdict) {
        if self.bins.is_empty() {
            (self.begin, self.width) = (at.0, FIRST_WIDTH);
            self.bins.push(Bin::default());
        }
        // Pairs come in order of their end: one may begin before the first.
        while at.0 < self.begin || (at.0.saturating_sub(self.begin) / self.width) as usize >= BINS {
            self.widen(at.0 < self.begin);
        }
        let place = (at.0.saturating_sub(self.begin) / self.width) as usize;
        if self.bins.len() <= place {
            self.bins.resize(place + 1, Bin::default());
        }
        if let Some(n) = self.bins.get_mut(place).and_then(|bin| bin.get_mut(verdict as usize)) {
            *n += 1;
        }
    }

    /// Halves the resolution; to the left, room is made before the first bin.
    fn widen(&mut self, left: bool) {
        if left {
            let more = BINS.div_ceil(2);
            self.begin = self.begin.saturating_sub(self.width.saturating_mul(more as i64));
            self.bins.splice(0..0, std::iter::repeat_n(Bin::default(), more));
            if self.bins.len() <= BINS {
                return;
            }
        }
        let pairs = self.bins.chunks(2).map(|two| {
            let mut sum = Bin::default();
            two.iter().for_each(|bin| sum.iter_mut().zip(bin).for_each(|(all, n)| *all += n));
            sum
        });
        self.bins = pairs.collect();
        self.width = self.width.saturating_mul(2);
    }

    /// Begin and width in nanoseconds, and the bins.
    pub(in crate::report) fn bins(&self) -> (Ts, i64, &[Bin]) {
        (Ts(self.begin), self.width.max(1), &self.bins)
    }
}

/// Bins at most.
const BINS: usize = 160;
/// A millisecond.
const FIRST_WIDTH: i64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_however_long_and_in_whatever_order() {
        let mut line = Timeline::default();
        let times = [5_000_000_000_000i64, 5_000_000_000_001, 90_000_000_000_000_000, 1_000_000, 4_999_000_000_000, i64::from(u32::MAX)];
        for at in times {
            line.add(Ts(at), Verdict::Swallowed);
        }
        let (begin, width, bins) = line.bins();
        assert!(bins.len() <= BINS && begin.0 <= 1_000_000 && width > FIRST_WIDTH);
        assert_eq!(bins.iter().flatten().sum::<u64>(), times.len() as u64);
    }
}
