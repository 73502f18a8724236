//! Words that every room shares: time, addresses, ids, limits, loss, fingerprints. A leaf: it imports nothing of ours.

mod addr;
mod counts;
mod fingerprint;
mod ids;
mod limits;
mod loss;
mod plain;
mod process;
mod time;

pub use addr::Addr;
pub use counts::{Count, Counts};
pub use fingerprint::{Fingerprint, Keyer};
pub use ids::{ConnId, Dir, ExId, Via};
pub use limits::Limits;
pub use loss::{Cause, Gap};
pub use plain::{Plain, PlainId, Word};
pub use process::{Process, label};
pub use time::{Stamp, Ts};
