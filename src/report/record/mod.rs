//! The contract's records as structs whose field order is the contract's. What `docs/output.schema.json` says is held against what
//! is made here.

mod exchange;
mod finding;
mod leg;
mod pair;
mod summary;

pub(super) use exchange::ExchangeRecord;
pub(super) use finding::{BeatRecord, CaptureRecord, FindingRecord};
pub(super) use leg::{complete, frames, missing, outcome, token};
pub(super) use pair::PairRecord;
pub(super) use summary::SummaryRecord;

use std::fmt::Display;

use serde::{Serialize, Serializer};

/// Written as the text that its `Display` gives: addresses, times, fingerprints.
#[derive(Clone, Copy, Debug)]
struct Shown<T>(T);

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

fn shown<T: Display + Copy>(all: &[T]) -> Vec<Shown<T>> {
    all.iter().copied().map(Shown).collect()
}

/// Three decimals: what follows is noise, and would make equal runs look different. JSON has no NaN; one would be a bug of ours, told as 0.
fn rounded(probability: f64) -> f64 {
    if probability.is_finite() { (probability * 1000.0).round() / 1000.0 } else { 0.0 }
}
