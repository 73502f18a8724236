//! What is held of a body while it passes: no more than needed, never more than the limit.

use crate::base::{Cause, Gap};

use super::sse::Sse;

/// How a response's body is read.
#[derive(Debug, Default)]
pub(super) enum Reading {
    #[default]
    Nothing,
    /// One JSON text. `sniff`: no media type said so, the first byte must.
    Json { body: Body, sniff: bool },
    /// Events. Boxed: most exchanges have none.
    Events(Box<Events>),
}

/// An event stream while it passes.
#[derive(Debug, Default)]
pub(super) struct Events {
    pub(super) sse: Sse,
    /// Whether it is MCP's at all is not known yet.
    pub(super) peek: bool,
}

/// A body's bytes, up to the first that is missing.
#[derive(Debug, Default)]
pub(super) enum Body {
    /// Nobody needs it.
    #[default]
    Dropped,
    /// Held until its end.
    Held {
        bytes: Vec<u8>,
        gap: Option<Gap>,
        /// The first bytes have yet to show whether it is needed.
        sniffing: bool,
    },
}

impl Body {
    pub(super) fn new(sniffing: bool, length: Option<u64>) -> Body {
        let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        Body::Held { bytes: Vec::with_capacity(length.min(AT_ONCE)), gap: None, sniffing }
    }

    /// Holds more. True where the limit is reached just now: the rest is dropped.
    pub(super) fn take(&mut self, more: &[u8], limit: usize) -> bool {
        let Body::Held { bytes, gap, .. } = self else { return false };
        if gap.is_some() {
            return false;
        }
        let over = bytes.len().saturating_add(more.len()) > limit;
        if over {
            *gap = Some(Gap { len: None, cause: Cause::Limit });
            // Of what is this large, only the beginning can still tell something.
            let fits = limit.min(AT_ONCE).saturating_sub(bytes.len());
            bytes.extend_from_slice(more.get(..fits).unwrap_or(more));
            bytes.truncate(AT_ONCE);
            bytes.shrink_to_fit();
        } else {
            bytes.extend_from_slice(more);
        }
        over
    }

    /// Bytes are missing here: what follows cannot be joined to what came before.
    pub(super) fn hole(&mut self, missing: Gap) {
        if let Body::Held { gap, .. } = self {
            *gap = gap.or(Some(missing));
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        if let Body::Held { bytes, .. } = self { bytes } else { &[] }
    }

    pub(super) fn gap(&self) -> Option<Gap> {
        if let Body::Held { gap, .. } = self { *gap } else { None }
    }

    pub(super) fn is_sniffing(&self) -> bool {
        matches!(self, Body::Held { sniffing: true, .. })
    }

    /// The same, needed.
    pub(super) fn decided(self) -> Body {
        match self {
            Body::Held { bytes, gap, .. } => Body::Held { bytes, gap, sniffing: false },
            Body::Dropped => Body::Dropped,
        }
    }
}

/// Bytes set aside before they come.
const AT_ONCE: usize = 16_384;
