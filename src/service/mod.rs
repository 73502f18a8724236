//! What a run needs to be left alone for months: metrics come out, rights are given up, memory stays within its budget. Knows nothing of
//! how packets are judged; `cli` asks it between two turns of the engine.

mod budget;
mod classic;
pub mod confine;
mod export;
mod metrics;
mod process;
mod scrape;

pub use budget::{Budget, Strain};
use classic::classic;
pub use export::{Exported, Exporter, NoTarget, Target};
pub use metrics::{Metrics, Registries, State};
pub use process::{Process, Usage};
pub use scrape::{NoScrapes, Scrapes};
