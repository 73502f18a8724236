//! The judge: asks the rules, first with the pairing that is most likely, then with every other that is thinkable.

use std::sync::Arc;

use super::advice::{advice, detail, remedy};
use super::case::{Case, Told, Wanted, sought};
use super::cause::{cause, of_empty};
use super::findings::FindingKey;
use super::group::Group;
use super::history::{Earlier, History};
use super::notes::{self, Facts};
use super::rules::{ALL, Held, Rule};
use super::{Judged, Reason, Verdict};
use crate::base::Stamp;
use crate::correlate::{Leg, Link, Other, Pair, answer_to, is_operation};
use crate::mcp::Outcome;

/// Judges pairs, in the order in which they come.
#[derive(Debug)]
pub struct Judge {
    stall_after: i64,
    history: History,
    number: u64,
}

/// How sure a verdict is, and what else the pair may be.
struct Doubt {
    /// Probability that the pair got the wrong visits and would be judged otherwise with the right ones.
    other: f64,
    /// Why nothing can be told under the other pairings, where that is so under all of them.
    unknown: Option<Reason>,
    /// The likeliest other pairing under which it is flagged.
    flagged: Option<Pair>,
}

impl Judge {
    /// `stall_after` is in nanoseconds of packet time.
    pub fn new(stall_after: i64) -> Judge {
        Judge { stall_after, history: History::default(), number: 0 }
    }

    /// The verdict on a pair. `now` is the latest packet seen.
    pub fn judge(&mut self, pair: Pair, now: Stamp) -> Judged {
        self.number += 1;
        let case = self.case(&pair, now);
        let (rule, mut held) = decide(&case);
        let mut verdict = rule.verdict;
        let mut id = rule.id;
        let doubt = self.doubt(&pair, verdict, now);
        let mut may_be = None;
        if doubt.other > DOUBT && verdict != Verdict::Unresolved {
            let flagged = if verdict.flagged() { Some(&pair) } else { doubt.flagged.as_ref() };
            may_be = flagged.map(|pair| self.key(pair, now));
            verdict = Verdict::Unresolved;
            id = super::rules::UNRESOLVED;
            held = Held { reason: Some(doubt.unknown.unwrap_or(Reason::Ambiguous)), in_band: false };
        }
        let failed = case.failure();
        let tells = matches!(verdict, Verdict::Swallowed | Verdict::Partial | Verdict::Stalled | Verdict::Propagated);
        let failure = failed.filter(|_| tells);
        let why = match (failure, verdict) {
            (Some((failure, server)), _) => Some(cause(&pair, sought(&pair, now), failure, server, &self.history)),
            (None, Verdict::Unexplained) => of_empty(&pair, case.earlier.filter(|_| case.groups.is_empty())),
            _ => None,
        };
        let kind = why.as_ref().map(|cause| cause.kind);
        let items = match case.told {
            Told::List(items) => Some(items),
            _ => None,
        };
        let notes = self.remember(&pair, &case, verdict, items);
        Judged {
            number: self.number,
            verdict,
            rule: id,
            failure: failure.map(|(failure, _)| failure),
            server: failure.map(|(_, server)| server),
            servers: if tells { case.failed_servers() } else { Vec::new() },
            declared: case.declared && matches!(verdict, Verdict::Swallowed | Verdict::Partial),
            in_band: held.in_band,
            confidence: 1.0 - doubt.other,
            because: held.reason,
            because_detail: held.reason.map(|reason| detail(reason).to_owned()),
            notes,
            advice: held
                .reason
                .map_or_else(|| advice(verdict, failure.map(|(failure, _)| failure), kind), |reason| remedy(reason).to_owned()),
            cause: why,
            items,
            may_be,
            pair,
        }
    }

    fn case(&self, pair: &Pair, now: Stamp) -> Case {
        Case { earlier: self.history.earlier(pair), ..Case::of(pair, self.stall_after, now) }
    }

    /// What later pairs may need to know of this one; gives its notes, which look at what went before.
    fn remember(&mut self, pair: &Pair, case: &Case, verdict: Verdict, items: Option<usize>) -> Vec<&'static str> {
        let whole = items.filter(|items| *items > 0 && pair.down.ask().is_none_or(|ask| ask.cursor.is_none()));
        let before = match whole {
            Some(items) => self.history.shown(pair, items),
            None => self.history.was_shown(pair),
        };
        let notes = notes::on(&Facts { pair, history: &self.history, before });
        for link in &pair.up {
            self.history.note(&link.leg);
        }
        for leg in pair.up.iter().map(|link| &*link.leg).filter(|leg| is_operation(leg)) {
            if let Some(Outcome::Result { list: Some(list), .. }) = answer_to(leg, 0) {
                self.history.named(leg.peers.server, list);
            }
        }
        match verdict {
            Verdict::Healthy | Verdict::Empty if !pair.up.is_empty() => self.history.mended(pair),
            Verdict::Unresolved => {}
            _ if case.wanted == Wanted::List => {
                if let Some((failure, server)) = case.failure() {
                    let at = pair.down.start().ts;
                    self.history.failed(pair, Earlier { pair: self.number, at, failure, server });
                }
            }
            _ => {}
        }
        notes
    }

    /// The finding that a pair would belong to.
    fn key(&self, pair: &Pair, now: Stamp) -> FindingKey {
        let case = self.case(pair, now);
        let rule = decide(&case).0;
        let failure = case.failure();
        let why = failure.map(|(failure, server)| cause(pair, sought(pair, now), failure, server, &self.history));
        FindingKey {
            verdict: rule.verdict,
            rule: rule.id,
            failure: failure.map(|(failure, _)| failure),
            cause: why.map(|why| why.kind),
            route: pair.down.path().to_owned(),
            server: failure.map(|(_, server)| server),
        }
    }

    fn doubt(&self, pair: &Pair, verdict: Verdict, now: Stamp) -> Doubt {
        let mut other = 0.0;
        let (mut unknown, mut flagged): (Option<Reason>, Option<&Other>) = (None, None);
        let earlier = self.history.earlier(pair);
        for option in &pair.others {
            let (rule, held) = decide(&self.with(pair, option, earlier, now));
            let found = rule.verdict;
            if found != verdict {
                unknown = if other == 0.0 { held.reason } else { unknown.filter(|_| held.reason.is_some()) };
                other += option.share;
            }
            if found.flagged() && flagged.is_none_or(|best| option.share > best.share) {
                flagged = Some(option);
            }
        }
        Doubt { other: f64::min(other, 1.0), unknown, flagged: flagged.map(|option| otherwise(pair, option)) }
    }

    /// The facts of a pair that got another visit.
    fn with(&self, pair: &Pair, option: &Other, earlier: Option<Earlier>, now: Stamp) -> Case {
        let sought = sought(pair, now);
        let kept = (0..=pair.up.iter().map(|link| link.group).max().unwrap_or(0)).filter_map(|group| {
            let legs: Vec<&Leg> = pair.up.iter().filter(|link| link.group == group).map(|link| &*link.leg).collect();
            let replaced = legs.first().is_some_and(|leg| option.instead.contains(&leg.id));
            if replaced { None } else { Group::of_legs(&legs, sought) }
        });
        let legs: Vec<&Leg> = option.legs.iter().map(|leg| &**leg).collect();
        let taken = Group::of_legs(&legs, sought).or_else(|| option.conduit.as_deref().map(Group::of_conduit));
        Case { earlier, ..Case::with(pair, kept.chain(taken).collect(), self.stall_after, now) }
    }
}

/// A pair with another visit in place of one of its own.
fn otherwise(pair: &Pair, option: &Other) -> Pair {
    let mut up: Vec<Link> = pair.up.iter().filter(|link| !option.instead.contains(&link.leg.id)).cloned().collect();
    let group = up.iter().map(|link| link.group + 1).max().unwrap_or(0);
    let link = |leg: &Arc<Leg>| Link {
        leg: Arc::clone(leg),
        group,
        visit: option.visit,
        score: option.share,
        because: Vec::new(),
        against: Vec::new(),
    };
    let taken = option.legs.iter().map(link);
    up.extend(taken);
    let conduits = pair.conduits.iter().chain(&option.conduit).cloned().collect();
    Pair { up, conduits, others: Vec::new(), ..pair.clone() }
}

/// The first rule that holds.
fn decide(case: &Case) -> (&'static Rule, Held) {
    let mut found = ALL.iter().filter_map(|rule| (rule.holds)(case).map(|held| (*rule, held)));
    // The last rule holds always.
    found.next().unwrap_or((ALL[ALL.len() - 1], Held::default()))
}

/// From this probability of another verdict on, none is given.
const DOUBT: f64 = 0.05;
