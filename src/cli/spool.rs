//! The second reading of captures, for evidence; of a pipe, which can be read but once, its last packets are kept.

use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::keylogs;
use crate::base::{Limits, Stamp};
use crate::packet::Frame;
use crate::report::evidence::{Gather, Wanted};
use crate::source::{self, Input, Packet};

/// Packets of a pipe, the last of them: it cannot be read twice.
pub(super) struct Spool {
    frames: VecDeque<(Stamp, u16, u32, u32, Vec<u8>)>,
    secrets: Zeroizing<Vec<u8>>,
    bytes: usize,
    most: usize,
    forgotten: u64,
}

impl Spool {
    /// For inputs that need one; `None` where all are files.
    pub(super) fn for_inputs(captures: &[PathBuf], limits: &Limits) -> Option<Spool> {
        // A named pipe or a device is read once as well.
        let once = |path: &PathBuf| path.as_os_str() == "-" || fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir());
        captures.iter().any(once).then(|| Spool {
            frames: VecDeque::new(),
            secrets: Zeroizing::new(Vec::new()),
            bytes: 0,
            most: limits.evidence_spool_bytes,
            forgotten: 0,
        })
    }

    /// Another input.
    pub(super) fn keep(&mut self, input: &Input<'_>) {
        let frame = match input {
            Input::Packet(packet) => frame(packet),
            Input::Secrets { text, .. } => return self.secrets.extend_from_slice(text),
            _ => return,
        };
        self.bytes += frame.data.len();
        self.frames.push_back((frame.at, frame.link, frame.iface, frame.orig_len, frame.data.to_vec()));
        while self.bytes > self.most
            && let Some((.., data)) = self.frames.pop_front()
        {
            self.bytes -= data.len();
            self.forgotten += 1;
        }
    }
}

/// Reads the captures once more for evidence. Also gives how many packets of a pipe were not kept.
pub(super) fn gather(
    wanted: &[Wanted],
    captures: &[PathBuf],
    keylogs: &[PathBuf],
    limits: &Limits,
    spool: Option<Spool>,
) -> anyhow::Result<(Gather, u64)> {
    let mut gather = Gather::new(wanted, keylogs::read(keylogs, limits)?.log, limits);
    if let Some(spool) = spool {
        gather.secrets(&spool.secrets);
        for (at, link, iface, orig_len, data) in &spool.frames {
            gather.frame(Frame { link: *link, data, orig_len: *orig_len, iface: *iface, at: *at });
        }
        return Ok((gather, spool.forgotten));
    }
    let mut inputs = source::plan(captures, limits)?;
    while let Some(input) = inputs.next() {
        match input {
            Input::Packet(packet) => gather.frame(frame(&packet)),
            Input::Secrets { text, .. } => gather.secrets(text),
            _ => {}
        }
    }
    Ok((gather, 0))
}

fn frame<'a>(packet: &Packet<'a>) -> Frame<'a> {
    Frame { link: packet.link, data: packet.data, orig_len: packet.orig_len, iface: packet.iface, at: packet.stamp }
}
