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

/// Lent for one run.
impl<O: Output> Output for &mut O {
    fn pair(&mut self, judged: Judged) {
        (**self).pair(judged);
    }

    fn loss(&mut self, loss: Loss) {
        (**self).loss(loss);
    }

    fn finding(&mut self, finding: Finding) {
        (**self).finding(finding);
    }

    fn exchange(&mut self, leg: Leg) {
        (**self).exchange(leg);
    }

    fn wants_exchanges(&self) -> bool {
        (**self).wants_exchanges()
    }
}
