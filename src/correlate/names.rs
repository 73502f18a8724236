//! Names of tools, prompts and resources on both legs. A gateway that merges servers prefixes their names: `weather-get_forecast`.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use crate::mcp::Outcome;

/// The names of a list, to be looked for in another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    /// Marks of the names as they are.
    whole: Vec<u64>,
    /// Marks of what a prefix may have been put before: each name, and what stands after each separator in it. In order.
    endings: Vec<u64>,
}

impl Names {
    pub(super) fn of<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Names {
        let whole = names.clone().map(mark).collect();
        let mut endings: Vec<u64> = names.flat_map(endings).map(mark).collect();
        endings.sort_unstable();
        endings.dedup();
        Names { whole, endings }
    }

    /// The names of a list answer.
    pub(super) fn listed(outcome: &Outcome) -> Option<Names> {
        match outcome {
            Outcome::Result { list: Some(list), .. } => Some(Names::of(list.names.iter().map(String::as_str))),
            _ => None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.whole.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.whole.len()
    }

    /// The names as they are.
    pub(super) fn whole(&self) -> &[u64] {
        &self.whole
    }

    /// What they may have been before they were prefixed.
    pub(super) fn endings(&self) -> &[u64] {
        &self.endings
    }

    /// How many of `other`'s names are here, as they are or behind a prefix.
    pub(super) fn shared(&self, other: &Names) -> usize {
        other.whole.iter().filter(|name| self.endings.binary_search(name).is_ok()).count()
    }
}

/// Each way to read a name as a prefix and the rest.
fn prefix(name: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts = name.match_indices(SEPARATORS).filter_map(|(at, _)| Some((name.get(..at)?, name.get(at + 1..)?)));
    parts.filter(|(prefix, rest)| !prefix.is_empty() && !rest.is_empty())
}

/// The prefixes that turn names of `gave` into names of `got`: what the gateway calls the server. In order, each once.
pub(super) fn prefixes<'a>(got: &'a [String], gave: &[String]) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for (before, rest) in got.iter().take(LOOKED).flat_map(|name| prefix(name)) {
        if !found.contains(&before) && gave.iter().any(|name| name == rest) {
            found.push(before);
        }
    }
    found
}

/// Whether a gateway may have made `long` by putting a prefix before `short`.
pub(super) fn is_prefixed(long: &str, short: &str) -> bool {
    endings(long).any(|ending| ending == short)
}

/// A name, and what stands after each separator in it.
pub(crate) fn endings(name: &str) -> impl Iterator<Item = &str> {
    let after = name.match_indices(SEPARATORS).filter_map(|(at, _)| name.get(at + 1..)).filter(|rest| !rest.is_empty());
    std::iter::once(name).chain(after)
}

fn mark(name: &str) -> u64 {
    FixedState::with_seed(3).hash_one(name)
}

/// Names looked at for what the gateway puts before them.
const LOOKED: usize = 16;
/// What gateways put between a server's name and a tool's.
const SEPARATORS: [char; 5] = ['-', '_', '.', ':', '/'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefixed_name_is_the_same_name() {
        let (down, up) =
            (Names::of(["weather-get_forecast", "docs-search"].into_iter()), Names::of(["get_forecast", "alerts"].into_iter()));
        assert_eq!(down.shared(&up), 1);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(prefixes(&names(&["my-weather-get_forecast", "docs-search"]), &names(&["get_forecast"])), ["my-weather"]);
        assert!(is_prefixed("a:b/c", "b/c") && is_prefixed("c", "c") && !is_prefixed("c", "b"));
    }
}
