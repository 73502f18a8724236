//! Segments come in, ordered bytes go out, with every hole said aloud. Knows nothing of what the bytes mean.
//!
//! What is said of a hole: bytes that the receiver acknowledged will not come, so they are given up as lost 200 ms or 32 packets after that
//! ACK (a capture may hold it before the bytes); a hole that nobody acknowledges is given up after 2 s where the receiver is not heard at
//! all, after 10 s where it is; at a limit at once. What a snapshot length cut off is said as soon as something follows it. A connection
//! seen from its middle says first, in each direction, that something came before. The bytes seen first win. `queue` says why; bytes
//! that were handed on are gone, so a repetition is compared with what came before only while that still waits.

mod ages;
mod closed;
mod flow;
mod half;
mod key;
mod queue;
mod seq;
mod table;
#[cfg(test)]
mod tests;
mod trouble;
mod voice;

use std::sync::Arc;

use crate::base::{Addr, ConnId, Dir, Gap, Process, Stamp};

pub use table::Table;

/// A connection, as the rooms after this one know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conn {
    /// Its name for the whole run.
    pub id: ConnId,
    /// A small number that no other open connection has; free again after [`StreamEvent::Closed`]. Indexes tables.
    pub slot: usize,
    /// The side that opened it, where `opener_known`; else the sender of the first packet seen.
    pub a: Addr,
    /// The other side.
    pub b: Addr,
    /// Whether the SYN was seen, so that `a` is the client for certain.
    pub opener_known: bool,
    /// When its first packet was seen.
    pub opened: Stamp,
    /// Other addresses under which the same connection was seen (NAT, bridges): side a's, side b's.
    pub aliases: [Vec<Addr>; 2],
    /// Processes with a hand in it, where the capture names them.
    pub processes: Vec<Arc<Process>>,
}

/// What happened on a connection. Events of one connection come in the order of its bytes, and those of both directions in the order of
/// cause and effect: what one side sent comes after whatever it had acknowledged by then, or after the word that this is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEvent<'a> {
    /// First sight of it.
    Opened,
    /// The next bytes of one direction. `at` is the packet that carried them.
    Data {
        /// Who sent them.
        dir: Dir,
        /// The bytes; never empty.
        bytes: &'a [u8],
        /// The packet that carried them first.
        at: Stamp,
    },
    /// A hole in one direction: what comes next does not follow what came before.
    Gap {
        /// Who sent what is missing.
        dir: Dir,
        /// How much and why.
        gap: Gap,
        /// The packet at which it was given up.
        at: Stamp,
    },
    /// One direction has ended in order: FIN, and every byte before it was seen or said to be a hole.
    Finished {
        /// Which.
        dir: Dir,
        /// The packet with the FIN.
        at: Stamp,
    },
    /// The connection is over; its slot is free after this event.
    Closed {
        /// How.
        how: Close,
        /// The packet at which this was known.
        at: Stamp,
    },
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// Both sides sent FIN.
    Finished,
    /// Broken off; the direction in which the RST went.
    Reset(Dir),
    /// The SYN was answered with RST: nobody listens.
    Refused,
    /// The SYN was never answered.
    Unanswered,
    /// Its addresses were used again by a new connection.
    Reused,
    /// No packet for so long that it counts as gone.
    Idle,
    /// Given up to make room ([`crate::base::Limits::connections`]).
    Evicted,
    /// The capture ended.
    CaptureEnd,
}

/// Who wants to know.
pub trait Receiver {
    /// Called for each event, in order.
    fn on_stream(&mut self, conn: &Conn, event: StreamEvent<'_>);
}
