//! Client requests that wait for their pairs, in the order of their beginning, and by what can be looked for in them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeBounds;

use super::Leg;
use super::evidence::all_credentials;
use super::request::{Request, ask_of};
use super::visit::{Hasher, VisitId};
use crate::base::{ExId, Fingerprint, Stamp};

/// A request's name here: when it began, which exchange, which message of it.
pub(super) type Key = (Stamp, ExId, usize);

/// Requests without a pair yet.
#[derive(Debug, Default)]
pub(super) struct Requests {
    all: BTreeMap<Key, Request>,
    of_credential: HashMap<Fingerprint, BTreeSet<Key>, Hasher>,
    of_arguments: HashMap<Fingerprint, BTreeSet<Key>, Hasher>,
    /// How many have a header of this name and value.
    headers: HashMap<(Fingerprint, Fingerprint), u32, Hasher>,
    /// Visits that each may have caused.
    visits: BTreeMap<Key, BTreeSet<VisitId>>,
}

impl Requests {
    pub(super) fn insert(&mut self, key: Key, request: Request, leg: &Leg) {
        for credential in all_credentials(leg) {
            self.of_credential.entry(credential).or_default().insert(key);
        }
        if let Some(arguments) = arguments(leg, key.2) {
            self.of_arguments.entry(arguments).or_default().insert(key);
        }
        for mark in header_marks(leg) {
            *self.headers.entry(mark).or_default() += 1;
        }
        self.all.insert(key, request);
    }

    /// Forgets a request; `leg` is the exchange that it was part of.
    pub(super) fn remove(&mut self, key: &Key, leg: &Leg) {
        if self.all.remove(key).is_none() {
            return;
        }
        for credential in all_credentials(leg) {
            forget(&mut self.of_credential, credential, key);
        }
        if let Some(arguments) = arguments(leg, key.2) {
            forget(&mut self.of_arguments, arguments, key);
        }
        for mark in header_marks(leg) {
            if let Some(count) = self.headers.get_mut(&mark) {
                *count -= 1;
                if *count == 0 {
                    self.headers.remove(&mark);
                }
            }
        }
        self.visits.remove(key);
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Request> {
        self.all.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut Request> {
        self.all.get_mut(key)
    }

    pub(super) fn keys(&self) -> impl DoubleEndedIterator<Item = &Key> {
        self.all.keys()
    }

    pub(super) fn range(&self, range: impl RangeBounds<Key>) -> impl DoubleEndedIterator<Item = (&Key, &Request)> {
        self.all.range(range)
    }

    /// The requests of one exchange: one, or as many as a batch has.
    pub(super) fn of_exchange(&self, start: Stamp, id: ExId) -> impl Iterator<Item = Key> + '_ {
        self.all.range((start, id, 0)..=(start, id, usize::MAX)).map(|(key, _)| *key)
    }

    /// Requests with a credential, in order.
    pub(super) fn with_credential(&self, credential: Fingerprint) -> impl DoubleEndedIterator<Item = Key> + '_ {
        self.of_credential.get(&credential).into_iter().flatten().copied()
    }

    /// Requests with these arguments, in order.
    pub(super) fn with_arguments(&self, arguments: Fingerprint) -> impl DoubleEndedIterator<Item = Key> + '_ {
        self.of_arguments.get(&arguments).into_iter().flatten().copied()
    }

    /// Weight of agreement on a credential: nothing where everybody has it, much where one does.
    pub(super) fn rarity_of_credential(&self, credential: Fingerprint) -> f64 {
        self.rarity(self.of_credential.get(&credential).map_or(1, BTreeSet::len))
    }

    /// Weight of agreement on a header.
    pub(super) fn rarity_of_header(&self, mark: (Fingerprint, Fingerprint)) -> f64 {
        self.rarity(self.headers.get(&mark).map_or(1, |count| *count as usize))
    }

    fn rarity(&self, of: usize) -> f64 {
        ((self.all.len() as f64 + 1.0) / of.max(1) as f64).ln()
    }

    /// Visits that a request may have caused.
    pub(super) fn visits(&self, key: &Key) -> impl Iterator<Item = VisitId> + '_ {
        self.visits.get(key).into_iter().flatten().copied()
    }

    pub(super) fn link(&mut self, key: Key, visit: VisitId) {
        if self.all.contains_key(&key) {
            self.visits.entry(key).or_default().insert(visit);
        }
    }

    pub(super) fn unlink(&mut self, key: &Key, visit: VisitId) {
        if let Some(visits) = self.visits.get_mut(key) {
            visits.remove(&visit);
            if visits.is_empty() {
                self.visits.remove(key);
            }
        }
    }
}

fn forget(index: &mut HashMap<Fingerprint, BTreeSet<Key>, Hasher>, mark: Fingerprint, key: &Key) {
    if let Some(keys) = index.get_mut(&mark) {
        keys.remove(key);
        if keys.is_empty() {
            index.remove(&mark);
        }
    }
}

/// What tells one call from another: its arguments, where it has any.
pub(super) fn arguments(leg: &Leg, element: usize) -> Option<Fingerprint> {
    ask_of(leg, element).filter(|ask| ask.name.is_some()).and_then(|ask| ask.arguments)
}

pub(super) fn header_marks(leg: &Leg) -> impl Iterator<Item = (Fingerprint, Fingerprint)> + '_ {
    leg.request.iter().flat_map(|request| request.head.common.marks.iter().map(|mark| (mark.name, mark.value)))
}
