//! Ordered bytes of a TLS connection come in; its plaintext goes out as the same kind of events, with the same holes, and what
//! is known of it without keys. Knows no files, no packets and nothing of HTTP.
//!
//! Records are opened by trial instead of by a state machine of the handshake: a key either fits a record or it does not. That
//! takes early data, KeyUpdate, tickets, lost records and lost handshakes in the same stride.
//!
//! The stamp of plaintext is that of the packet with its record's last byte: before that packet nobody could have read it.

mod cbc;
mod cipher;
mod connection;
mod derive;
mod facts;
mod handshake;
mod hello;
mod keylog;
mod keyring;
mod midway;
mod record;
mod sealed;
mod sniff;
mod suite;
mod waiting;
mod workbench;

#[cfg(test)]
mod tests;

pub use connection::Connection;
pub use facts::Facts;
pub use keylog::{KeyLog, Tail};
pub use sniff::{Probe, sniff};
pub use workbench::{Context, Workbench};
