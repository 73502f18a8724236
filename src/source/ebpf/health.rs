//! What the tap saw, lost, and cannot see.

/// Told at the end of a run, and at any moment of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Processes that are watched now.
    pub processes: usize,
    /// Files that are probed.
    pub libraries: Vec<String>,
    /// Calls of watched processes.
    pub calls: u64,
    /// Calls of others that passed a probe: they were let go at once, and cost time all the same.
    pub strangers: u64,
    /// Events that found the ring full.
    pub dropped_events: u64,
    /// Plaintext bytes in them.
    pub dropped_bytes: u64,
    /// Buffers that could not be read.
    pub faults: u64,
    /// Bytes beyond 1 MiB of single calls.
    pub cut_bytes: u64,
    /// Processes whose TLS can't be seen.
    pub blind: Vec<Blind>,
    /// Why the probes were taken off before the end.
    pub detached: Option<String>,
}

/// A watched process that speaks, or may speak, TLS in a way that can't be seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blind {
    /// Its number.
    pub pid: u32,
    /// What it runs.
    pub program: String,
    /// Why it can't be seen.
    pub why: String,
    /// That may change as long as it runs.
    pub passing: bool,
}
