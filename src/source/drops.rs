//! What the capturing machine lost, told once: interface statistics count from the start of the capture, over all files of a rotated
//! one, and a packet's own drop count tells of the same packets.

use std::collections::BTreeMap;

use crate::base::Ts;
use crate::capfile::Stats;

/// The losses told so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// By interface and start of counting, or file where that is not known: the highest count.
    counts: BTreeMap<(u32, Option<Ts>, u16), u64>,
    /// By file and interface: the sum of what packets told.
    packets: BTreeMap<(u16, u32), u64>,
}

impl Tally {
    /// A packet says that `lost` packets are missing before it.
    pub(super) fn packet(&mut self, file: u16, iface: u32, lost: u64) {
        if self.packets.len() >= MAX {
            self.packets.clear();
        }
        let sum = self.packets.entry((file, iface)).or_default();
        *sum = sum.saturating_add(lost);
    }

    /// How many losses of a statistics block are news. `iface` with its capture point.
    pub(super) fn stats(&mut self, file: u16, iface: u32, stats: &Stats) -> u64 {
        if self.counts.len() >= MAX {
            self.counts.clear();
        }
        let key = (iface, stats.since, if stats.since.is_some() { 0 } else { file });
        let told = self.counts.entry(key).or_default();
        let packets = self.packets.get(&(file, iface)).copied().unwrap_or(0);
        let news = stats.dropped.saturating_sub((*told).max(packets));
        *told = (*told).max(stats.dropped);
        news
    }
}

const MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_told_once() {
        let mut tally = Tally::default();
        let stats = |since, dropped| Stats { iface: 0, ts: Ts(0), since, dropped };
        assert_eq!(tally.stats(0, 0, &stats(Some(Ts(9)), 5)), 5);
        // The next file of the same run counts on.
        assert_eq!(tally.stats(1, 0, &stats(Some(Ts(9)), 7)), 2);
        assert_eq!(tally.stats(2, 0, &stats(None, 7)), 7);
        tally.packet(3, 1, 4);
        assert_eq!(tally.stats(3, 1, &stats(None, 6)), 2);
    }
}
