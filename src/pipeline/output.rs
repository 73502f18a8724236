//! What the pipeline hands to whoever shows it.

use super::Loss;
use crate::correlate::Leg;
use crate::verdict::{Finding, Judged};

/// Results, in the order in which they are known. Findings come at the end of a run (and whenever a live run asks for them).
pub trait Output {
    /// A pair was judged.
    fn pair(&mut self, judged: Judged);
    /// A loss, a gap, a decode problem worth telling.
    fn loss(&mut self, loss: Loss);
    /// A finding is final.
    fn finding(&mut self, finding: Finding);
    /// An exchange is over, on any port; only called when [`Output::wants_exchanges`] says so.
    fn exchange(&mut self, leg: Leg);
    /// Whether every exchange is wanted (the `exchanges` command).
    fn wants_exchanges(&self) -> bool {
        false
    }
}
