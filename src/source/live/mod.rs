//! The outside as it happens: sources run in threads of their own, each hands what it saw to one bounded queue, and never waits for
//! whoever reads it. What does not fit is dropped in whole batches and counted. Knows nothing of what the packets mean.

mod batch;
#[cfg(feature = "live")]
mod capture;
#[cfg(feature = "live")]
mod device;
mod feed;
#[cfg(feature = "live")]
mod namespace;
mod told;

pub use batch::{Batch, Caught};
#[cfg(feature = "live")]
pub use capture::{Capture, Error, start};
pub use feed::{Event, Feed, Inlet, Refused, Settle, now};
#[cfg(feature = "live")]
pub use namespace::{Namespace, NoNamespace, containers};
pub use told::Told;
