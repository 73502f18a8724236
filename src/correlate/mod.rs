//! What was asked and answered on either side of a gateway comes in; pairs go out: each client request with the upstream
//! exchanges it caused. Knows nothing of what a pair means.

mod leg;
mod pair;

pub use leg::Leg;
pub use pair::{Gateway, Link, Mark, Pair, Rival};
