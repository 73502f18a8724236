//! Findings come in, then the same packets a second time; files to attach to a bug report go out: the paired streams without a secret,
//! what was found in them, and sums to check them by. It refuses to know where the files go.
//!
//! Plain HTTP/1 keeps its packets: what is not known to be harmless is overwritten in place, in every packet that carries it (also in
//! repetitions and across segments), and the checksums follow. Where that cannot be done (TLS, HTTP/2, coded bodies) the messages are
//! written anew, in packets that are labelled as made up. Equal values stay equal, so that a bundle can be judged as the capture was.

mod alias;
mod body;
mod bundle;
mod cover;
mod gather;
mod head;
mod made;
mod messages;
mod pick;
#[cfg(test)]
mod tests;

pub use bundle::{Bundle, Kept, Replayed, Setting};
pub use gather::Gather;
pub use pick::{Expected, Picker, Stretch, Wanted};
