//! `--max-memory`: looks at how much memory the process takes, and says what to do about it. What is freed is given back to the system
//! before anything is given up, since the C library keeps it otherwise.

use std::time::{Duration, Instant};

/// A bound on the memory of a run.
#[derive(Debug)]
pub struct Budget {
    most: u64,
    relieved: Option<Instant>,
    /// Since when it has been exceeded, whatever was given up.
    over: Option<Instant>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strain {
    /// Nothing.
    None,
    /// The oldest open work is to be given up.
    Relieve,
    /// Giving up was not enough: the run has to end.
    End,
}

impl Budget {
    /// At most so many bytes in RAM.
    pub fn new(most: u64) -> Budget {
        Budget { most, relieved: None, over: None }
    }

    /// `resident`: asks for the bytes that are in RAM now.
    pub fn look(&mut self, now: Instant, mut resident: impl FnMut() -> u64) -> Strain {
        let tight = self.most / 100 * TIGHT;
        if resident() < tight {
            self.over = None;
            return Strain::None;
        }
        trim();
        let taken = resident();
        if taken < tight {
            self.over = None;
            return Strain::None;
        }
        if taken > self.most {
            let since = *self.over.get_or_insert(now);
            return if now.duration_since(since) >= GRACE { Strain::End } else { Strain::Relieve };
        }
        self.over = None;
        if self.relieved.is_some_and(|last| now.duration_since(last) < PAUSE) {
            return Strain::None;
        }
        self.relieved = Some(now);
        Strain::Relieve
    }
}

/// Gives freed memory back to the system.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the C library's own function; it takes a number and looks at nothing of ours")]
fn trim() {
    // SAFETY: malloc_trim(3) may be called at any time, from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other C libraries give it back by themselves.
#[cfg(not(target_env = "gnu"))]
fn trim() {}

/// Percent of the budget at which work is given up.
const TIGHT: u64 = 85;
/// Between two times that work is given up, as long as the budget is not exceeded.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the budget may be exceeded: far more than it takes to give up everything that is open.
const GRACE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_given_up_before_the_budget_is_spent_and_the_run_ends_where_that_does_not_help() {
        let mut budget = Budget::new(1_000);
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(budget.look(at(0), || 849), Strain::None);
        assert_eq!(budget.look(at(1), || 850), Strain::Relieve);
        assert_eq!(budget.look(at(1), || 850), Strain::None, "not twice in a second");
        assert_eq!(budget.look(at(2), || 1_001), Strain::Relieve);
        assert_eq!(budget.look(at(2), || 1_001), Strain::Relieve, "at once, where it is exceeded");
        assert_eq!(budget.look(at(11), || 1_001), Strain::Relieve);
        assert_eq!(budget.look(at(12), || 1_001), Strain::End);
        assert_eq!(budget.look(at(13), || 999), Strain::Relieve, "it fell below in time");
        assert_eq!(budget.look(at(22), || 1_001), Strain::Relieve, "counted anew");
    }

    #[test]
    fn what_the_c_library_held_back_is_no_reason_to_give_anything_up() {
        let mut answers = [900, 500].into_iter();
        assert_eq!(Budget::new(1_000).look(Instant::now(), || answers.next().unwrap()), Strain::None);
    }
}
