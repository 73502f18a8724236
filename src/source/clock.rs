//! Capture points have clocks of their own: the same segments seen by both tell how far apart those are.

use std::collections::BTreeMap;

use super::sample::Sample;

/// How one file's clock differs from another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset {
    /// Index of the file whose clock was measured.
    pub file: u16,
    /// Index of the file it was held against.
    pub against: u16,
    /// Nanoseconds by which `file` is ahead.
    pub nanos: i64,
    /// Segments found in both.
    pub samples: usize,
    /// Nanoseconds between which most samples lie: the way there and back, and jitter.
    pub spread: i64,
    /// Whether the file's times were corrected by it.
    pub applied: bool,
}

/// Measures every file against the ones before it. The result has at most one entry for a file.
pub(super) fn measure(samples: &[Sample]) -> Vec<ClockOffset> {
    let mut seen: BTreeMap<u64, Vec<(u16, i64)>> = BTreeMap::new();
    let mut found: Vec<ClockOffset> = Vec::new();
    for (file, sample) in samples.iter().enumerate().take(usize::from(u16::MAX)) {
        let file = file as u16;
        let mut deltas: BTreeMap<u16, Vec<i64>> = BTreeMap::new();
        for (print, ts) in sample {
            for (other, theirs) in seen.get(print).into_iter().flatten() {
                deltas.entry(*other).or_default().push(ts.0.saturating_sub(*theirs));
            }
        }
        // The file it shares most with; that one's own correction is part of this one's.
        let best = deltas.iter_mut().max_by_key(|(other, deltas)| (deltas.len(), u16::MAX - **other));
        let mut correction = 0;
        if let Some((against, deltas)) = best
            && let Some(mut offset) = estimate(file, *against, deltas)
        {
            // `seen` holds corrected times, so an applied offset already counts from the first file's clock.
            offset.applied = offset.spread <= LOOSE.max(offset.nanos.abs() / 4) && offset.nanos.abs() > offset.spread.max(SMALL);
            if offset.applied {
                correction = offset.nanos;
            }
            found.push(offset);
        }
        for (print, ts) in sample {
            seen.entry(*print).or_default().push((file, ts.0.saturating_sub(correction)));
        }
    }
    found
}

/// Segments run in both directions: one way the delay adds to the offset, the other way it takes away. So the middle between the
/// tenth and the ninetieth percentile is the offset, and what lies between them the delay.
fn estimate(file: u16, against: u16, deltas: &mut [i64]) -> Option<ClockOffset> {
    deltas.sort_unstable();
    let at = |percent: usize| deltas.get(deltas.len().saturating_sub(1) * percent / 100).copied();
    let (low, high) = (at(10)?, at(90)?);
    let spread = high.saturating_sub(low);
    let nanos = low.saturating_add(spread / 2);
    (deltas.len() >= FEWEST).then_some(ClockOffset { file, against, nanos, samples: deltas.len(), spread, applied: false })
}

/// Fewer common segments may be retransmissions across two pieces of one capture.
const FEWEST: usize = 8;
/// Clocks this near to each other are left alone.
const SMALL: i64 = 1_000_000;
/// Samples may differ by this much and still agree.
const LOOSE: i64 = 50_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Ts;

    fn sample(offset: i64, delay: i64, range: std::ops::Range<u64>) -> Sample {
        range.map(|n| (n, Ts(n as i64 * 1_000_000 + offset + if n % 2 == 0 { delay } else { -delay }))).collect()
    }

    #[test]
    fn offsets_are_found_in_spite_of_delay_and_added_along_a_chain() {
        let ahead = 3_000_000_000;
        let found = measure(&[sample(0, 0, 0..100), sample(ahead, 2_000_000, 50..200), sample(-ahead, 0, 150..300)]);
        let told: Vec<_> = found.iter().map(|c| (c.file, c.against, c.nanos, c.samples, c.applied)).collect();
        assert_eq!(told, [(1, 0, ahead, 50, true), (2, 1, -ahead, 50, true)]);
    }

    #[test]
    fn clocks_that_agree_or_cannot_be_compared_are_left_alone() {
        let found = measure(&[sample(0, 0, 0..100), sample(200_000, 2_000_000, 0..100), sample(9_000_000_000, 0, 95..200)]);
        assert_eq!(found.len(), 1, "five common segments prove nothing");
        assert!(!found[0].applied);
        let noise: Sample = (0..100).map(|n| (n, Ts((n * n * 40_000_000) as i64))).collect();
        assert!(measure(&[sample(0, 0, 0..100), noise]).iter().all(|c| !c.applied));
    }
}
