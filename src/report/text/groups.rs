//! Flagged pairs of a live run by kind: the first of each is told, the others are counted and told from time to time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::page::clean;
use super::say::{many, number};
use super::{Key, key};
use crate::verdict::Judged;

/// Kinds of flagged pairs that were met.
#[derive(Debug)]
pub(in crate::report) struct Groups {
    groups: BTreeMap<Key, Group>,
    /// Pairs of kinds that were not told apart any more, and how many of them were told.
    others: (u64, u64),
    told: Instant,
}

#[derive(Debug)]
struct Group {
    title: String,
    count: u64,
    untold: u64,
}

impl Groups {
    pub(in crate::report) fn new() -> Groups {
        Groups { groups: BTreeMap::new(), others: (0, 0), told: Instant::now() }
    }

    /// A flagged pair. Whether it is the first of its kind.
    pub(in crate::report) fn is_new(&mut self, judged: &Judged) -> bool {
        let name = key(judged);
        if let Some(group) = self.groups.get_mut(&name) {
            group.count += 1;
            group.untold += 1;
            return false;
        }
        let new = self.groups.len() < MOST_GROUPS;
        if new {
            self.groups.insert(name, Group { title: format!("{}{}", judged.verdict, title(judged)), count: 1, untold: 0 });
        } else {
            self.others.0 += 1;
        }
        new
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Tells what has come again since the last time, if it is time.
    pub(super) fn repeats(&mut self, mut tell: impl FnMut(&str)) {
        if self.told.elapsed() < REPEATS {
            return;
        }
        self.told = Instant::now();
        for group in self.groups.values_mut().filter(|group| group.untold > 0) {
            tell(&format!("{} more of {}: {} in all", many(group.untold, "pair"), group.title, number(group.count)));
            group.untold = 0;
        }
        let (count, told) = self.others;
        if count > told {
            tell(&format!("{} more of kinds that are not told apart here: {} in all", many(count - told, "pair"), number(count)));
            self.others.1 = count;
        }
    }
}

/// ` · unauthorized · /mcp ← 10.0.0.2:9001`: what follows the verdict.
pub(in crate::report) fn title(judged: &Judged) -> String {
    let failure = judged.failure.map(|failure| format!(" · {failure}")).unwrap_or_default();
    let server = judged.server.map(|server| format!(" ← {server}")).unwrap_or_default();
    format!("{failure} · {}{server}", clean(judged.pair.down.path()))
}

/// How often repeats are told.
const REPEATS: Duration = Duration::from_secs(10);
/// Kinds of flagged pairs told apart; the page at the end tells all.
const MOST_GROUPS: usize = 1_000;
