//! Missing bytes, as a thing that travels with the data.

/// A stretch of a stream that the witness cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// How many bytes, where that is known.
    pub len: Option<u64>,
    /// Why they are missing.
    pub cause: Cause,
}

/// Why bytes are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The receiver acknowledged them, the capture does not hold them.
    Lost,
    /// The capture's snapshot length cut them off.
    Cut,
    /// The connection was open before the capture began.
    Before,
    /// The capture ended while they were on their way.
    After,
    /// A limit of ours was reached and they were dropped.
    Limit,
    /// They are encrypted and no key fits.
    Encrypted,
    /// They are not the protocol that was expected there.
    Garbled,
}

impl Cause {
    /// A word for people and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Lost => "lost",
            Cause::Cut => "cut",
            Cause::Before => "before-capture",
            Cause::After => "after-capture",
            Cause::Limit => "limit",
            Cause::Encrypted => "encrypted",
            Cause::Garbled => "garbled",
        }
    }
}
