//! Where live sources meet the engine: their news are put in order of time, judged, kept if wanted, and time passes when nothing
//! comes. Knows neither what a source is made of nor who looks at the result: `cli` and the dashboard both drive it.

mod attend;
mod merge;
mod record;

pub use attend::{Tally, attend};
pub use record::{Recorder, Ring};
