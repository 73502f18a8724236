//! Pairs by time, in a bounded number of stretches that grow with the run.

use super::snapshot::History;
use crate::base::Ts;

/// Gathers a history.
#[derive(Debug)]
pub(super) struct Timeline {
    history: History,
    most: usize,
}

impl Timeline {
    /// Of at most so many stretches.
    pub(super) fn new(most: usize) -> Timeline {
        Timeline { history: History { width: WIDTHS[0], ..History::default() }, most: most.max(2) }
    }

    /// A pair that began at `at`.
    pub(super) fn add(&mut self, at: Ts, flagged: bool) {
        let history = &mut self.history;
        if history.stretches.is_empty() {
            history.start = floor(at, history.width);
        }
        // Pairs come in the order in which they end: one that took long may have begun before the first.
        if at < history.start {
            let before = (history.start.since(floor(at, history.width)) / history.width) as usize;
            if before + history.stretches.len() > self.most {
                return;
            }
            history.stretches.splice(0..0, std::iter::repeat_n((0, 0), before));
            history.start = floor(at, history.width);
        }
        while index(history, at) >= self.most {
            match WIDTHS.iter().find(|width| **width > history.width) {
                Some(width) => widen(history, *width),
                None => slide(history, index(history, at) + 1 - self.most),
            }
        }
        let place = index(history, at);
        if history.stretches.len() <= place {
            history.stretches.resize(place + 1, (0, 0));
        }
        if let Some((all, hidden)) = history.stretches.get_mut(place) {
            *all += 1;
            *hidden += u64::from(flagged);
        }
    }

    pub(super) fn history(&self) -> History {
        self.history.clone()
    }
}

fn index(history: &History, at: Ts) -> usize {
    usize::try_from(at.since(history.start) / history.width).unwrap_or(0)
}

fn floor(at: Ts, width: i64) -> Ts {
    Ts(at.0.div_euclid(width).saturating_mul(width))
}

fn widen(history: &mut History, width: i64) {
    let old = std::mem::take(history);
    *history = History { start: floor(old.start, width), width, stretches: Vec::new() };
    for (n, (all, hidden)) in old.stretches.into_iter().enumerate() {
        let place = index(history, old.start + old.width.saturating_mul(n as i64));
        if history.stretches.len() <= place {
            history.stretches.resize(place + 1, (0, 0));
        }
        if let Some(sum) = history.stretches.get_mut(place) {
            *sum = (sum.0 + all, sum.1 + hidden);
        }
    }
}

fn slide(history: &mut History, by: usize) {
    history.stretches.drain(..by.min(history.stretches.len()));
    history.start = history.start + history.width.saturating_mul(by as i64);
}

/// Lengths of a stretch, nanoseconds: 1 s to 1 min.
const WIDTHS: [i64; 5] = [1_000_000_000, 5_000_000_000, 15_000_000_000, 30_000_000_000, 60_000_000_000];

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn stretches_widen_and_slide_and_lose_no_pair_before_they_must() {
        let mut line = Timeline::new(10);
        for second in 0..40 {
            line.add(Ts(second * S), second % 2 == 0);
        }
        let history = line.history();
        assert_eq!((history.width, history.stretches.len()), (5 * S, 8));
        assert_eq!(history.stretches.iter().map(|(all, _)| all).sum::<u64>(), 40);
        line.add(Ts(100_000 * S), true);
        let history = line.history();
        assert_eq!((history.width, history.stretches.len(), history.stretches.last()), (60 * S, 10, Some(&(1, 1))));
        line.add(Ts(0), true);
        assert_eq!(line.history().stretches.len(), 10, "long gone");
    }
}
