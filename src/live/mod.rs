//! Where live sources meet the engine: their news are put in order of time, judged, kept if wanted, and time passes when nothing
//! comes. Knows neither what a source is made of nor who looks at the result: `cli` and the dashboard both drive it.

mod attend;
mod merge;
mod record;

pub use attend::{Tally, attend};
pub use record::{Recorder, Ring};

use crate::packet::Frame;
use crate::pipeline::Loss;

/// Whoever wants the packets themselves, beside what they are judged to be.
pub trait Keep {
    /// A packet of a source with that name.
    fn packet(&mut self, source: usize, name: &str, frame: &Frame<'_>);
    /// Packets of a source were lost.
    fn dropped(&mut self, _source: usize, _packets: u64) {}
    /// What went wrong since this was last asked.
    fn trouble(&mut self) -> Option<Loss> {
        None
    }
}
