//! News of several sources in order of their packets' time. A source that has nothing says up to when that is certain; one that says
//! nothing is waited for only so long.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::base::{Plain, Ts, Word};
use crate::source::live::{Caught, Event};

/// Queues, one for each source.
#[derive(Debug)]
pub(super) struct Merge {
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    queue: VecDeque<Event>,
    /// The packet of the first batch that is next.
    at: usize,
    /// Up to when everything has been told.
    quiet: Ts,
    /// Since when it holds something.
    since: Instant,
    ended: bool,
}

/// What comes next.
pub(super) enum Next<'a> {
    /// A packet, its source and link type.
    Packet(usize, u16, Caught<'a>),
    /// Plaintext of TLS, and its time.
    Plain(Plain, Ts),
    /// Anything else.
    Other(usize, Event),
}

impl Merge {
    pub(super) fn new(sources: usize) -> Merge {
        let source = || Source { queue: VecDeque::new(), at: 0, quiet: Ts(i64::MIN), since: Instant::now(), ended: false };
        Merge { sources: (0..sources).map(|_| source()).collect() }
    }

    pub(super) fn push(&mut self, source: usize, event: Event) {
        let Some(source) = self.sources.get_mut(source) else { return };
        match event {
            Event::Quiet(ts) => source.quiet = source.quiet.max(ts),
            Event::Ended => source.ended = true,
            Event::Packets(batch) if batch.is_empty() => {}
            Event::Plain(told) if told.is_empty() => {}
            other => {
                if source.queue.is_empty() {
                    source.since = Instant::now();
                }
                source.queue.push_back(other);
            }
        }
    }

    /// Takes the next thing whose turn has come. `all`: whatever may still come before it.
    pub(super) fn next<R>(&mut self, all: bool, with: impl FnOnce(Next<'_>) -> R) -> Option<R> {
        // What bears no time goes on at once.
        if let Some((n, source)) = self.sources.iter_mut().enumerate().find(|(_, source)| source.head() == Head::Timeless) {
            let event = source.queue.pop_front()?;
            source.since = Instant::now();
            return Some(with(Next::Other(n, event)));
        }
        let head = |(n, source): (usize, &Source)| if let Head::At(ts) = source.head() { Some((ts, n)) } else { None };
        let (ts, n) = self.sources.iter().enumerate().filter_map(head).min()?;
        let silent = self.sources.iter().any(|other| other.queue.is_empty() && !other.ended && other.quiet < ts);
        let source = self.sources.get_mut(n)?;
        if silent && !all && source.since.elapsed() < HOLD {
            return None;
        }
        let at = source.at;
        let (result, len) = match source.queue.front_mut()? {
            Event::Packets(batch) => (batch.get(at).map(|caught| with(Next::Packet(n, batch.link, caught))), batch.len()),
            Event::Plain(told) => {
                let len = told.len();
                let word =
                    told.get_mut(at).map(|told| (std::mem::replace(&mut told.plain.word, Word::Gone), told.plain.id, told.plain.born));
                (word.map(|(word, id, born)| with(Next::Plain(Plain { id, born, word }, ts))), len)
            }
            _ => return None,
        };
        source.quiet = source.quiet.max(ts);
        source.at += 1;
        if source.at >= len {
            source.at = 0;
            source.queue.pop_front();
            source.since = Instant::now();
        }
        result
    }

    /// Up to when everything has been told by everybody, if nothing is waiting.
    pub(super) fn quiet(&self) -> Option<Ts> {
        let idle = self.sources.iter().all(|source| source.queue.is_empty());
        let known = self.sources.iter().filter(|source| !source.ended).map(|source| source.quiet).min();
        known.filter(|ts| idle && ts.0 > i64::MIN)
    }

    /// Whether nothing will come from anybody.
    pub(super) fn ended(&self) -> bool {
        self.sources.iter().all(|source| source.ended && source.queue.is_empty())
    }
}

#[derive(PartialEq, Eq)]
enum Head {
    Nothing,
    Timeless,
    At(Ts),
}

impl Source {
    fn head(&self) -> Head {
        match self.queue.front() {
            None => Head::Nothing,
            Some(Event::Packets(batch)) => batch.get(self.at).map_or(Head::Nothing, |caught| Head::At(caught.ts)),
            Some(Event::Plain(told)) => told.get(self.at).map_or(Head::Nothing, |told| Head::At(told.at)),
            Some(_) => Head::Timeless,
        }
    }
}

/// How long one source waits for the word of another.
const HOLD: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::live::Batch;

    fn batch(times: &[i64]) -> Event {
        let mut batch = Batch::new(1);
        times.iter().for_each(|ts| batch.push(Ts(*ts), 0, &[]));
        Event::Packets(batch)
    }

    fn times(merge: &mut Merge, all: bool) -> Vec<(usize, i64)> {
        let mut out = Vec::new();
        while let Some(one) = merge.next(all, |next| if let Next::Packet(n, _, caught) = next { (n, caught.ts.0) } else { (9, 0) }) {
            out.push(one);
        }
        out
    }

    #[test]
    fn packets_of_two_interfaces_come_in_order_of_time() {
        let mut merge = Merge::new(2);
        merge.push(0, batch(&[1, 3, 5]));
        assert_eq!(times(&mut merge, false), [], "the other one may still have something older");
        merge.push(1, batch(&[2, 4]));
        assert_eq!(times(&mut merge, false), [(0, 1), (1, 2), (0, 3), (1, 4)]);
        merge.push(1, Event::Quiet(Ts(6)));
        assert_eq!((times(&mut merge, false), merge.quiet()), (vec![(0, 5)], Some(Ts(5))));
    }

    #[test]
    fn one_alone_waits_for_nobody_and_nobody_waits_for_the_dead() {
        let mut merge = Merge::new(1);
        merge.push(0, batch(&[7]));
        assert_eq!(times(&mut merge, false), [(0, 7)]);
        let mut merge = Merge::new(2);
        merge.push(0, batch(&[1]));
        merge.push(1, Event::Ended);
        assert_eq!(times(&mut merge, false), [(0, 1)]);
        merge.push(0, Event::Ended);
        assert!(merge.ended());
    }

    #[test]
    fn a_silent_one_is_waited_for_only_so_long() {
        let mut merge = Merge::new(2);
        merge.push(0, batch(&[1]));
        assert_eq!(times(&mut merge, false), []);
        std::thread::sleep(HOLD);
        assert_eq!(times(&mut merge, false), [(0, 1)]);
    }
}
