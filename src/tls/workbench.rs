//! What all TLS connections of one decoder share: buffers, limits, counters.

use crate::base::{Counts, Limits};
use crate::tcp::StreamEvent;

use super::keylog::KeyLog;

/// Shared by all connections of one decoder (thread).
#[derive(Debug)]
pub struct Workbench {
    /// What was counted so far.
    pub counts: Counts,
    /// Lengths of sealed records are wanted: [`super::Connection::sizes`].
    pub sizing: bool,
    /// [`Limits::tls_pending_bytes`].
    pub(super) limit: usize,
    /// [`Limits::tls_pending_bytes_total`].
    pub(super) limit_total: usize,
    /// Bytes that wait for a key, over all connections.
    pub(super) held: usize,
    /// Where records are opened.
    pub(super) scratch: Vec<u8>,
    /// A buffer for a record that comes in pieces.
    pub(super) spare: Vec<u8>,
}

impl Workbench {
    /// With nothing on it.
    pub fn new(limits: &Limits) -> Workbench {
        Workbench {
            counts: Counts::default(),
            sizing: false,
            limit: limits.tls_pending_bytes,
            limit_total: limits.tls_pending_bytes_total,
            held: 0,
            scratch: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Bytes that wait for a key, over all connections.
    pub fn held_bytes(&self) -> usize {
        self.held
    }
}

/// What a connection needs for each call.
pub struct Context<'a> {
    /// What connections share.
    pub bench: &'a mut Workbench,
    /// The secrets known by now.
    pub keys: &'a KeyLog,
    /// Takes the plaintext and what is missing of it.
    pub out: &'a mut dyn FnMut(StreamEvent<'_>),
}
