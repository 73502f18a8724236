//! How long things take at a gateway: what is usual there tells what is unusual.

use std::collections::{HashMap, VecDeque};

use super::Mark;
use super::leg::Leg;
use super::request::Request;
use super::visit::{Hasher, Visit};
use crate::base::{Addr, Ts};
use crate::mcp::Asked;

/// How a visit lies in a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lie {
    /// From the request's last byte until the gateway turned to the server, nanoseconds. Negative where it had done so before the request came.
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
        // A gateway need not wait for a request's end.
        let asked = down.request.as_ref().map_or(request.start.ts, |known| known.last.ts.min(visit.turned).max(request.start.ts));
        Lie { delay: visit.turned.since(asked) as f64, lag, left: request.left, at: visit.start.ts }
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
            delays.extend(lies.clone().map(|lie| lie.delay).filter(|delay| *delay >= 0.0).min_by(f64::total_cmp));
            lags.extend(lies.filter_map(|lie| lie.lag).filter(|lag| *lag >= 0.0).min_by(f64::total_cmp));
        }
        Pace { delay: (2.0 * median(delays)).max(DELAY), lag: (2.0 * median(lags)).max(LAG) }
    }

    /// Begin and end. One event loop serves all: completions queue, so their order is kept better than any gap. Costs are convex, so
    /// that of two crossing and two nested pairings the one that keeps order is the cheaper.
    pub(super) fn marks(self, lie: Lie) -> [Mark; 2] {
        let convex = |ratio: f64| ratio.powf(1.5).min(MOST);
        let delay = Mark { word: "delay", weight: -0.3 * convex(lie.delay.max(0.0) / self.delay) };
        let order = match lie.lag {
            Some(lag) if lag >= 0.0 => Mark { word: "order", weight: -convex(lag / self.lag) },
            Some(_) if !lie.left => Mark { word: "ends-after", weight: -LATE },
            _ => Mark { word: "order", weight: 0.0 },
        };
        [delay, order]
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// What visits have taught of the time that a gateway takes, by the voice in which it speaks.
#[derive(Debug, Default)]
pub(super) struct Paces {
    of: HashMap<(Addr, u64), Usual, Hasher>,
}

/// What is usual in one voice.
#[derive(Debug, Default)]
struct Usual {
    /// Visits of late, each with whoever may have caused it.
    recent: VecDeque<Vec<Candidate>>,
    /// Visits since what is usual was estimated.
    fresh: usize,
    last: Ts,
    delay: Spread,
    lag: Spread,
    /// Times between visits of one request to different servers, of late.
    gaps: VecDeque<usize>,
    gap: Spread,
}

/// A request that may have caused a visit: where the times fall, and how much all else speaks for it.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    delay: usize,
    lag: usize,
    odds: f64,
}

impl Paces {
    /// One of these requests caused a visit; the weight is what all but time says of each.
    pub(super) fn learn(&mut self, gateway: Addr, voice: u64, at: Ts, lies: &[(Lie, f64)]) {
        if self.of.len() >= VOICES && !self.of.contains_key(&(gateway, voice)) {
            return;
        }
        let best = lies.iter().map(|(_, weight)| *weight).fold(f64::NEG_INFINITY, f64::max);
        let candidate = |(lie, weight): &(Lie, f64)| {
            let lag = lie.lag.filter(|lag| *lag >= 0.0)?;
            Some(Candidate { delay: bin(lie.delay), lag: bin(lag), odds: (weight - best).exp() })
        };
        let candidates: Vec<Candidate> = lies.iter().filter_map(candidate).filter(|candidate| candidate.odds > NEGLIGIBLE).collect();
        if !candidates.is_empty() {
            self.of.entry((gateway, voice)).or_default().learn(candidates, at);
        }
    }

    /// How usual what is seen is, as far as anything is known: nothing where it could not be more so, negative where it is rarer.
    pub(super) fn weight(&self, gateway: Addr, voice: u64, lie: Lie) -> f64 {
        let Some(usual) = self.of.get(&(gateway, voice)) else { return 0.0 };
        let weight = usual.delay.weight(bin(lie.delay)) + lie.lag.filter(|lag| *lag >= 0.0).map_or(0.0, |lag| usual.lag.weight(bin(lag)));
        usual.trust(lie.at) * weight
    }

    /// Two visits to different servers were one request's: they began this far apart, in nanoseconds.
    pub(super) fn apart(&mut self, gateway: Addr, voice: u64, gap: f64) {
        let Some(usual) = self.of.get_mut(&(gateway, voice)) else { return };
        usual.gaps.push_back(bin(gap));
        if usual.gaps.len() > RECENT {
            usual.gaps.pop_front();
        }
        let mut mass = [0.0; BINS];
        usual.gaps.iter().filter_map(|at| mass.get_mut(*at).map(|bin| *bin += 1.0)).for_each(drop);
        usual.gap = Spread::of(&mass);
    }

    /// How well it fits that two visits of one request begin this far apart: a gateway that asks its servers side by side does so at once.
    pub(super) fn together(&self, gateway: Addr, voice: u64, gap: f64) -> f64 {
        let Some(usual) = self.of.get(&(gateway, voice)) else { return 0.0 };
        (usual.gaps.len() as f64 / EXAMPLES).min(1.0) * (usual.gap.weight(bin(gap)) + BESIDE)
    }

    /// Whether too little was seen to know what is usual.
    pub(super) fn is_open(&self, gateway: Addr, voice: u64) -> bool {
        self.of.get(&(gateway, voice)).is_none_or(|usual| usual.recent.len() < ENOUGH)
    }
}

impl Usual {
    fn learn(&mut self, candidates: Vec<Candidate>, at: Ts) {
        self.recent.push_back(candidates);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        self.last = self.last.max(at);
        self.fresh += 1;
        if self.fresh * OFTEN > self.recent.len() {
            self.fresh = 0;
            (0..ROUNDS).for_each(|_| self.estimate());
        }
    }

    /// Who caused a visit follows from what is usual, and what is usual from who caused what (expectation maximization).
    fn estimate(&mut self) {
        let (mut delay, mut lag) = ([0.0; BINS], [0.0; BINS]);
        for candidates in &self.recent {
            let likely = |one: &Candidate| one.odds * (self.delay.weight(one.delay) + self.lag.weight(one.lag)).exp();
            let sum: f64 = candidates.iter().map(likely).sum();
            for one in candidates {
                let share = likely(one) / sum;
                if let (Some(delay), Some(lag)) = (delay.get_mut(one.delay), lag.get_mut(one.lag)) {
                    *delay += share;
                    *lag += share;
                }
            }
        }
        (self.delay, self.lag) = (Spread::of(&delay), Spread::of(&lag));
    }

    /// Few examples say little, and old ones less: load changes.
    fn trust(&self, at: Ts) -> f64 {
        let left = (-(at.since(self.last).max(0) as f64) / AGE).exp();
        (self.recent.len() as f64 * left / EXAMPLES).min(1.0)
    }
}

/// How rare a time is, by half octaves: the logarithm of its density beside the greatest.
#[derive(Debug)]
struct Spread {
    weights: [f64; BINS],
}

impl Default for Spread {
    fn default() -> Spread {
        Spread { weights: [0.0; BINS] }
    }
}

impl Spread {
    /// From how often times fell where, smoothed with what lies beside it.
    fn of(mass: &[f64; BINS]) -> Spread {
        let mass = |at: usize| mass.get(at).copied().unwrap_or(0.0);
        let near = |at: usize| 0.5 * mass(at) + 0.25 * mass(at + 1) + 0.25 * if at > 1 { mass(at - 1) } else { 0.0 };
        let width = |at: usize| FIRST * 2f64.powf((at - 1) as f64 / 2.0);
        let density: [f64; BINS] = std::array::from_fn(|at| if at == 0 { mass(0) / BEFORE } else { near(at) / width(at) });
        let most = density.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        Spread { weights: density.map(|density| ((density / most + DUST) / (1.0 + DUST)).ln()) }
    }

    fn weight(&self, bin: usize) -> f64 {
        self.weights.get(bin).copied().unwrap_or(0.0)
    }
}

/// Where a time falls: before its beginning, into the first half octave, or into a later one.
fn bin(time: f64) -> usize {
    if time < 0.0 { 0 } else { (1 + (2.0 * (time / FIRST).max(1.0).log2()) as usize).min(BINS - 1) }
}

/// Least scale of the time from a request to its first upstream byte, nanoseconds.
const DELAY: f64 = 50e6;
/// Least scale of the time from the last upstream byte to the answer's last, nanoseconds.
const LAG: f64 = 20e6;
/// Most that time can weigh: less than a credential of one's own.
const MOST: f64 = 8.0;
/// Weight against a visit that goes on when its request has been answered: more than a learned credential and common names weigh for it.
const LATE: f64 = 14.0;
/// Upper end of the first half octave, nanoseconds; the last ends beyond an hour.
const FIRST: f64 = 16e3;
/// Over how much time is spread what is negative, nanoseconds.
const BEFORE: f64 = 100e6;
/// Half octaves kept, and one for what is negative.
const BINS: usize = 57;
/// Age at which an example counts for little more than a third, nanoseconds of packet time.
const AGE: f64 = 2e9;
/// Visits from which what is usual is estimated.
const RECENT: usize = 256;
/// It is estimated anew when one of so many is new.
const OFTEN: usize = 16;
/// Rounds of each estimate.
const ROUNDS: usize = 3;
/// Candidates this much less likely than the best by all but time are left out.
const NEGLIGIBLE: f64 = 1e-4;
/// Weight of beginning as far from another visit of the same request as is the most usual.
const BESIDE: f64 = 1.5;
/// Visits without which too little is known.
const ENOUGH: usize = 64;
/// Density of what was never seen, as a share of the greatest: all of it is alike.
const DUST: f64 = 0.002;
/// Examples from which a spread counts in full.
const EXAMPLES: f64 = 24.0;
/// Voices of gateways that are remembered.
const VOICES: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: Addr = Addr::MIN;

    fn lie(delay: f64, lag: f64, at: i64) -> Lie {
        Lie { delay: delay * 1e6, lag: Some(lag * 1e6), left: false, at: Ts(at) }
    }

    #[test]
    fn what_is_usual_weighs_more_than_what_is_not() {
        let mut paces = Paces::default();
        assert_eq!(paces.weight(GATEWAY, 0, lie(1.0, 1.0, 0)), 0.0);
        for n in 0..50 {
            paces.learn(GATEWAY, 0, Ts(0), &[(lie(0.3 + f64::from(n) * 0.01, 1.0, 0), 0.0)]);
        }
        let weight = |delay, at| paces.weight(GATEWAY, 0, lie(delay, 1.0, at));
        assert!(weight(0.5, 0) - weight(20.0, 0) > 5.0);
        assert!(weight(0.5, 0) - weight(0.02, 0) > 0.0);
        assert!(weight(20.0, 60_000_000_000) > -0.1, "what is old says little");
    }

    #[test]
    fn what_is_usual_shows_in_a_crowd_that_nothing_else_tells_apart() {
        let mut paces = Paces::default();
        // Each visit begins 0.5 ms after its own request, and any time after nine others.
        for n in 0..200u32 {
            let others = (1..10u32)
                .map(|other| (lie(f64::from((n * 37 + other * 101) % 997) / 10.0, f64::from((n * 53 + other * 29) % 991) / 10.0, 0), 0.0));
            let lies: Vec<(Lie, f64)> = others.chain([(lie(0.5, 0.7, 0), 0.0)]).collect();
            paces.learn(GATEWAY, 0, Ts(0), &lies);
        }
        let weight = |delay, lag| paces.weight(GATEWAY, 0, lie(delay, lag, 0));
        assert!(weight(0.5, 0.7) - weight(40.0, 30.0) > 6.0);
    }

    #[test]
    fn siblings_tell_of_each_other_once_it_is_known_how_far_apart_they_begin() {
        let mut paces = Paces::default();
        paces.learn(GATEWAY, 0, Ts(0), &[(lie(1.0, 1.0, 0), 0.0)]);
        assert_eq!(paces.together(GATEWAY, 0, 1e6), 0.0);
        (0..100).for_each(|n| paces.apart(GATEWAY, 0, 1e5 + f64::from(n) * 1e3));
        assert!(paces.together(GATEWAY, 0, 1.5e5) > 1.0);
        assert!(paces.together(GATEWAY, 0, 5e7) < -3.0);
    }

    #[test]
    fn what_came_before_its_request_is_not_usual_however_often_it_is_thinkable() {
        let mut paces = Paces::default();
        for n in 0..200u32 {
            let early = (0..3).map(|other| (lie(-1.0 - f64::from(other), f64::from((n * 53 + other * 29) % 991) / 10.0, 0), 0.0));
            let lies: Vec<(Lie, f64)> = early.chain([(lie(0.3 + f64::from(n % 50) / 100.0, 0.7, 0), 0.0)]).collect();
            paces.learn(GATEWAY, 0, Ts(0), &lies);
        }
        assert!(paces.weight(GATEWAY, 0, lie(0.5, 0.7, 0)) - paces.weight(GATEWAY, 0, lie(-1.0, 0.7, 0)) > 4.0);
    }
}
