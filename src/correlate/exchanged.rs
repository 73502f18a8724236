//! Which client's calls a credential is used for upstream, where the gateway exchanges credentials.
//!
//! A credential that the gateway uses upstream and no client sends is either one client's (a token exchange, RFC 8693) or
//! anybody's (the gateway's own). Each visit under it bears on that: a client that had nothing open cannot have caused it, and
//! of those that had, some fit better. Bayes' rule keeps account of every client that may be its owner, and of there being none.

use std::collections::{HashMap, HashSet};

use super::visit::Hasher;
use crate::base::Fingerprint;

/// What is known of credentials that no client sends.
#[derive(Debug, Default)]
pub(super) struct Exchanged {
    owners: HashMap<Fingerprint, Owners, Hasher>,
    callers: HashSet<Fingerprint, Hasher>,
}

/// Who may own one credential.
#[derive(Debug, Default)]
struct Owners {
    /// Visits under it.
    visits: u32,
    /// Log odds of each caller being its owner against nobody being, in order of first sight.
    odds: Vec<(Fingerprint, f64)>,
}

impl Exchanged {
    /// A caller was met.
    pub(super) fn meet(&mut self, caller: Fingerprint) {
        if self.callers.len() < CALLERS {
            self.callers.insert(caller);
        }
    }

    /// Whether clients send this credential themselves.
    pub(super) fn is_caller(&self, credential: Fingerprint) -> bool {
        self.callers.contains(&credential)
    }

    /// A visit under `credential` was caused by one of these callers, with these probabilities.
    pub(super) fn learn(&mut self, credential: Fingerprint, shares: &[(Fingerprint, f64)]) {
        if self.owners.len() >= CREDENTIALS && !self.owners.contains_key(&credential) {
            return;
        }
        let all = self.all();
        let owners = self.owners.entry(credential).or_default();
        let odds = |share: f64| (all * ((1.0 - STRANGE) * share + STRANGE / all)).ln();
        for (caller, sum) in &mut owners.odds {
            *sum += odds(shares.iter().find(|(own, _)| own == caller).map_or(0.0, |(_, share)| *share));
        }
        for (caller, share) in shares {
            if owners.odds.iter().all(|(own, _)| own != caller) {
                owners.odds.push((*caller, f64::from(owners.visits) * odds(0.0) + odds(*share)));
            }
        }
        owners.visits += 1;
        let best = owners.odds.iter().map(|(_, odds)| *odds).fold(f64::NEG_INFINITY, f64::max);
        owners.odds.retain(|(_, odds)| *odds > best - HOPELESS);
        if owners.odds.len() > OWNERS {
            owners.odds.sort_by(|a, b| b.1.total_cmp(&a.1));
            owners.odds.truncate(OWNERS);
        }
    }

    /// Weight of a visit under `credential` being for `caller`.
    pub(super) fn weight(&self, credential: Fingerprint, caller: Fingerprint) -> f64 {
        let Some(owners) = self.owners.get(&credential) else { return 0.0 };
        let all = self.all();
        // Even odds that somebody owns it, and each caller is as likely as another.
        let own = |odds: f64| odds.min(MOST).exp() / all;
        let sum: f64 = 1.0 + owners.odds.iter().map(|(_, odds)| own(*odds)).sum::<f64>();
        let this = owners.odds.iter().find(|(own, _)| *own == caller).map_or(0.0, |(_, odds)| own(*odds));
        let share = this / sum + (1.0 / sum) / all;
        (all * share).ln().clamp(-LEAST, LEAST)
    }

    /// Callers who are likely to own a credential, the likeliest first.
    pub(super) fn likely(&self, credential: Fingerprint) -> Vec<Fingerprint> {
        let Some(owners) = self.owners.get(&credential) else { return Vec::new() };
        let mut likely: Vec<&(Fingerprint, f64)> = owners.odds.iter().filter(|(_, odds)| *odds > 0.0).collect();
        likely.sort_by(|a, b| b.1.total_cmp(&a.1));
        likely.into_iter().take(LIKELY).map(|(caller, _)| *caller).collect()
    }

    /// Whether a further visit could still change much: nobody is known to own it, nor is it known to be everybody's.
    pub(super) fn is_open(&self, credential: Fingerprint) -> bool {
        let Some(owners) = self.owners.get(&credential) else { return true };
        let all = self.all();
        let best = owners.odds.iter().map(|(_, odds)| *odds).fold(f64::NEG_INFINITY, f64::max);
        all > 1.0 && owners.visits < ENOUGH && best - all.ln() < PLAIN
    }

    fn all(&self) -> f64 {
        self.callers.len().max(1) as f64
    }
}

/// Credentials whose owners are kept account of.
const CREDENTIALS: usize = 16_384;
/// Callers counted.
const CALLERS: usize = 65_536;
/// Callers kept of one credential.
const OWNERS: usize = 32;
/// Likely owners that are looked for among open requests.
const LIKELY: usize = 4;
/// Probability that a credential is used once for another caller than its owner.
const STRANGE: f64 = 0.01;
/// Who is this much less likely than the likeliest is forgotten, nats.
const HOPELESS: f64 = 14.0;
/// Log odds beyond which more changes nothing.
const MOST: f64 = 40.0;
/// Most that this evidence weighs, nats.
const LEAST: f64 = 10.0;
/// Log odds at which an owner is plain.
const PLAIN: f64 = 4.0;
/// Visits after which a credential without a plain owner is everybody's.
const ENOUGH: u32 = 12;

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: Fingerprint = Fingerprint(99);

    fn known(callers: u64) -> Exchanged {
        let mut known = Exchanged::default();
        (0..callers).for_each(|caller| known.meet(Fingerprint(caller)));
        known
    }

    #[test]
    fn who_is_there_each_time_owns_it() {
        let mut known = known(10);
        for round in 0..4 {
            let shares: Vec<_> = [3, round + 4, round + 5].map(|caller| (Fingerprint(caller), 1.0 / 3.0)).into();
            known.learn(TOKEN, &shares);
        }
        assert!(known.weight(TOKEN, Fingerprint(3)) > 1.5);
        assert!(known.weight(TOKEN, Fingerprint(5)) < -1.0);
        assert_eq!(known.likely(TOKEN).first(), Some(&Fingerprint(3)));
    }

    #[test]
    fn what_everybody_uses_says_nothing() {
        let mut known = known(10);
        for round in 0..30 {
            known.learn(TOKEN, &[(Fingerprint(round % 10), 1.0)]);
        }
        for caller in 0..10 {
            assert!(known.weight(TOKEN, Fingerprint(caller)).abs() < 0.1);
        }
        assert!(!known.is_open(TOKEN));
    }

    #[test]
    fn one_caller_teaches_nothing() {
        let mut known = known(1);
        known.learn(TOKEN, &[(Fingerprint(0), 1.0)]);
        assert!(known.weight(TOKEN, Fingerprint(0)).abs() < 1e-9);
    }
}
