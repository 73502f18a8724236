//! How long things take at a gateway: what is usual there tells what is unusual.

use std::collections::HashMap;

use super::Mark;
use super::leg::Leg;
use super::request::Request;
use super::visit::{Hasher, Visit};
use crate::base::{Addr, Ts};
use crate::mcp::Asked;

/// How a visit lies in a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lie {
    /// From the request's last byte to the visit's first, nanoseconds.
    pub delay: f64,
    /// From the visit's last byte to the answer's first, or to its last where its head came before; `None` where either is open.
    /// Negative where the visit ended later.
    pub lag: Option<f64>,
    /// The client left early: the visit may outlive it.
    left: bool,
    /// When the visit began.
    at: Ts,
}

impl Lie {
    pub(super) fn of(request: &Request, down: &Leg, visit: &Visit, legs: &[&Leg]) -> Lie {
        let legs = legs.iter().filter(|leg| leg.asked != Asked::Stream && leg.asked != Asked::EndSession);
        // An answer that was read is one, even if the end of its stream was not seen.
        let last = legs.filter_map(|leg| leg.done.map(|done| done.last).max(leg.answers.last().map(|answer| answer.at))).max();
        let last = last.map(|last| last.ts);
        let lag = request.end.zip(last).map(|(end, last)| {
            // A long answer takes its time; a gateway that commits its head early is told by the answer's end alone.
            let head = down.response.as_ref().map(|response| response.start.ts).filter(|head| *head >= last);
            head.unwrap_or(end.ts).since(last) as f64
        });
        let asked = down.request.as_ref().map_or(request.start.ts, |request| request.last.ts.min(visit.start.ts));
        Lie { delay: visit.start.ts.since(asked).max(0) as f64, lag, left: request.left, at: visit.start.ts }
    }
}

/// How long things take among a set of visits that are looked at together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    delay: f64,
    lag: f64,
}

impl Pace {
    /// From the shortest that each visit has, over its candidates.
    pub(super) fn of<'a>(visits: impl Iterator<Item = impl Iterator<Item = &'a Lie> + Clone>) -> Pace {
        let (mut delays, mut lags) = (Vec::new(), Vec::new());
        for lies in visits {
            delays.extend(lies.clone().map(|lie| lie.delay).min_by(f64::total_cmp));
            lags.extend(lies.filter_map(|lie| lie.lag).filter(|lag| *lag >= 0.0).min_by(f64::total_cmp));
        }
        Pace { delay: (2.0 * median(delays)).max(DELAY), lag: (2.0 * median(lags)).max(LAG) }
    }

    /// Begin and end. One event loop serves all: completions queue, so their order is kept better than any gap. Costs are convex, so
    /// that of two crossing and two nested pairings the one that keeps order is the cheaper.
    pub(super) fn marks(self, lie: Lie) -> [Mark; 2] {
        let convex = |ratio: f64| ratio.powf(1.5).min(MOST);
        let delay = Mark { word: "delay", weight: -0.3 * convex(lie.delay / self.delay) };
        let order = match lie.lag {
            Some(lag) if lag >= 0.0 => Mark { word: "order", weight: -convex(lag / self.lag) },
            Some(_) if !lie.left => Mark { word: "ends-after", weight: -9.0 },
            _ => Mark { word: "order", weight: 0.0 },
        };
        [delay, order]
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// What pairs beyond doubt have taught of the time that a gateway takes, by the voice in which it speaks.
#[derive(Debug, Default)]
pub(super) struct Paces {
    of: HashMap<(Addr, u64), [Spread; 2], Hasher>,
}

impl Paces {
    /// A link of this probability was made.
    pub(super) fn learn(&mut self, gateway: Addr, voice: u64, lie: Lie, share: f64) {
        if self.of.len() >= VOICES && !self.of.contains_key(&(gateway, voice)) {
            return;
        }
        let [delay, lag] = self.of.entry((gateway, voice)).or_default();
        delay.learn(lie.delay, lie.at, share);
        if let Some(gap) = lie.lag.filter(|lag| *lag >= 0.0) {
            lag.learn(gap, lie.at, share);
        }
    }

    /// How usual what is seen is, as far as anything is known: nothing where it could not be more so, negative where it is rarer.
    pub(super) fn weight(&self, gateway: Addr, voice: u64, lie: Lie) -> f64 {
        let Some([delay, lag]) = self.of.get(&(gateway, voice)) else { return 0.0 };
        delay.weight(lie.delay, lie.at) + lie.lag.filter(|lag| *lag >= 0.0).map_or(0.0, |gap| lag.weight(gap, lie.at))
    }
}

/// How often times fell into which half octave. What is old counts less.
#[derive(Debug)]
struct Spread {
    bins: [f64; BINS],
    seen: f64,
    last: Ts,
    /// The greatest density.
    most: f64,
}

impl Default for Spread {
    fn default() -> Spread {
        Spread { bins: [0.0; BINS], seen: 0.0, last: Ts(0), most: 0.0 }
    }
}

impl Spread {
    fn learn(&mut self, time: f64, at: Ts, share: f64) {
        let left = FADE * self.left(at);
        for bin in &mut self.bins {
            *bin *= left;
        }
        self.seen = self.seen * left + share;
        if let Some(bin) = self.bins.get_mut(bin(time)) {
            *bin += share;
        }
        self.last = self.last.max(at);
        self.most = (0..BINS).map(|at| self.density(at)).fold(0.0, f64::max);
    }

    fn weight(&self, time: f64, at: Ts) -> f64 {
        // Few examples say little, and old ones less: load changes.
        let trust = (self.seen * self.left(at) / EXAMPLES).min(1.0);
        if self.most > 0.0 { trust * ((self.density(bin(time)) / self.most + DUST) / (1.0 + DUST)).ln() } else { 0.0 }
    }

    /// What is left of what was learned, at a time.
    fn left(&self, at: Ts) -> f64 {
        (-(at.since(self.last).max(0) as f64) / AGE).exp()
    }

    /// Density in a bin, smoothed with what lies beside it.
    fn density(&self, at: usize) -> f64 {
        let mass = |at: usize| self.bins.get(at).copied().unwrap_or(0.0);
        let near = 0.5 * mass(at) + 0.25 * mass(at + 1) + 0.25 * at.checked_sub(1).map_or(0.0, mass);
        near / (FIRST * 2f64.powf(at as f64 / 2.0))
    }
}

fn bin(time: f64) -> usize {
    ((2.0 * (time / FIRST).max(1.0).log2()) as usize).min(BINS - 1)
}

/// Least scale of the time from a request to its first upstream byte, nanoseconds.
const DELAY: f64 = 50e6;
/// Least scale of the time from the last upstream byte to the answer's last, nanoseconds.
const LAG: f64 = 20e6;
/// Most that time can weigh: less than a credential of one's own.
const MOST: f64 = 8.0;
/// Upper end of the first half octave, nanoseconds; the last ends beyond an hour.
const FIRST: f64 = 16e3;
/// Half octaves kept.
const BINS: usize = 56;
/// What an example weighs after the next.
const FADE: f64 = 0.99;
/// Age at which an example counts for little more than a third, nanoseconds of packet time.
const AGE: f64 = 2e9;
/// Density of what was never seen, as a share of the greatest: all of it is alike.
const DUST: f64 = 0.002;
/// Examples from which a spread counts in full.
const EXAMPLES: f64 = 12.0;
/// Voices of gateways that are remembered.
const VOICES: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usual_weighs_more_than_what_is_not() {
        let mut spread = Spread::default();
        assert_eq!(spread.weight(1e6, Ts(0)), 0.0);
        for n in 0..50 {
            spread.learn(3e5 + f64::from(n) * 1e4, Ts(0), 1.0);
        }
        assert!(spread.weight(5e5, Ts(0)) - spread.weight(2e7, Ts(0)) > 5.0);
        assert!(spread.weight(5e5, Ts(0)) - spread.weight(2e4, Ts(0)) > 0.0);
        assert!(spread.weight(2e7, Ts(60_000_000_000)) > -0.1, "what is old says little");
    }
}
