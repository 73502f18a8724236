//! The second reading of captures, for evidence; of a pipe or a live run, which can be read but once, packets are kept: the last of them, and
//! those that were picked.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::keylogs;
use crate::base::{Counts, Limits, Stamp};
use crate::packet::{Decoder, Frame};
use crate::report::evidence::{Gather, Stretch, Wanted};
use crate::source::{self, Input, Packet};

/// Packets of what cannot be read twice.
pub(super) struct Spool {
    /// The last ones.
    frames: VecDeque<Kept>,
    bytes: usize,
    /// Picked ones, by their place.
    held: BTreeMap<u64, Kept>,
    held_bytes: usize,
    secrets: Zeroizing<Vec<u8>>,
    limits: Limits,
    forgotten: u64,
    /// Connections that were picked when their first packets had been forgotten.
    late: u64,
}

#[derive(Clone)]
struct Kept {
    at: Stamp,
    link: u16,
    iface: u32,
    orig_len: u32,
    data: Vec<u8>,
}

impl Spool {
    /// Empty.
    pub(super) fn new(limits: &Limits) -> Spool {
        Spool {
            frames: VecDeque::new(),
            bytes: 0,
            held: BTreeMap::new(),
            held_bytes: 0,
            secrets: Zeroizing::new(Vec::new()),
            limits: limits.clone(),
            forgotten: 0,
            late: 0,
        }
    }

    /// For inputs that need one; `None` where all are files.
    pub(super) fn for_inputs(captures: &[PathBuf], limits: &Limits) -> Option<Spool> {
        // A named pipe or a device is read once as well.
        let once = |path: &PathBuf| path.as_os_str() == "-" || fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir());
        captures.iter().any(once).then(|| Spool::new(limits))
    }

    /// Another input.
    pub(super) fn keep(&mut self, input: &Input<'_>) {
        match input {
            Input::Packet(packet) => self.frame(&frame(packet)),
            Input::Secrets { text, .. } => self.secrets.extend_from_slice(text),
            _ => {}
        }
    }

    /// Another packet.
    pub(super) fn frame(&mut self, frame: &Frame<'_>) {
        let Frame { link, data, orig_len, iface, at } = *frame;
        self.bytes += data.len();
        self.frames.push_back(Kept { at, link, iface, orig_len, data: data.to_vec() });
        while self.bytes > self.limits.evidence_spool_bytes
            && let Some(oldest) = self.frames.pop_front()
        {
            self.bytes -= oldest.data.len();
            self.forgotten += 1;
        }
    }

    /// These are needed: they stay, whatever comes after them, as far as there is room.
    pub(super) fn hold(&mut self, picked: &[Stretch]) {
        let (Some(from), Some(until)) = (picked.iter().map(|one| one.from).min(), picked.iter().map(|one| one.until).max()) else { return };
        let oldest = self.frames.front().map_or(0, |frame| frame.at.ord);
        self.late += if self.forgotten > 0 { picked.iter().filter(|one| one.from < oldest).count() as u64 } else { 0 };
        let (mut decoder, mut counts) = (Decoder::new(&self.limits), Counts::default());
        let begin = self.frames.partition_point(|frame| frame.at.ord < from);
        for kept in self.frames.range(begin..).take_while(|frame| frame.at.ord <= until) {
            let Some(decoded) = decoder.decode(kept.frame(), &mut counts) else { continue };
            let (src, dst) = (decoded.segment.src, decoded.segment.dst);
            let of = |one: &&Stretch| {
                one.ends.iter().any(|(client, server)| (src, dst) == (*client, *server) || (dst, src) == (*client, *server))
            };
            let wanted = picked.iter().filter(of).any(|one| (one.from..=one.until).contains(&kept.at.ord));
            let fits = self.held_bytes + kept.data.len() <= self.limits.evidence_bytes;
            if wanted && fits && self.held.insert(kept.at.ord, kept.clone()).is_none() {
                self.held_bytes += kept.data.len();
            }
        }
    }

    /// What was kept, in its order.
    fn all(&self) -> impl Iterator<Item = &Kept> {
        let oldest = self.frames.front().map_or(u64::MAX, |frame| frame.at.ord);
        self.held.range(..oldest).map(|(_, kept)| kept).chain(&self.frames)
    }

    /// What evidence may lack, if anything.
    fn lack(&self) -> Option<String> {
        match (self.held.is_empty(), self.forgotten, self.late) {
            (_, 0, _) | (false, _, 0) => None,
            (true, forgotten, _) => Some(format!("{forgotten} packets were no longer kept")),
            (false, _, late) => Some(format!("the first packets of {late} connections were no longer kept")),
        }
    }
}

impl Kept {
    fn frame(&self) -> Frame<'_> {
        Frame { link: self.link, data: &self.data, orig_len: self.orig_len, iface: self.iface, at: self.at }
    }
}

/// Reads the captures once more for evidence. Also gives what of them could not be read again.
pub(super) fn gather(
    wanted: &[Wanted],
    captures: &[PathBuf],
    keylogs: &[PathBuf],
    limits: &Limits,
    spool: Option<Spool>,
) -> anyhow::Result<(Gather, Option<String>)> {
    let mut gather = Gather::new(wanted, keylogs::read(keylogs, limits)?.log, limits);
    if let Some(spool) = spool {
        gather.secrets(&spool.secrets);
        spool.all().for_each(|kept| gather.frame(kept.frame()));
        return Ok((gather, spool.lack()));
    }
    let mut inputs = source::plan(captures, limits)?;
    while let Some(input) = inputs.next() {
        match input {
            Input::Packet(packet) => gather.frame(frame(&packet)),
            Input::Secrets { text, .. } => gather.secrets(text),
            _ => {}
        }
    }
    Ok((gather, None))
}

fn frame<'a>(packet: &Packet<'a>) -> Frame<'a> {
    Frame { link: packet.link, data: packet.data, orig_len: packet.orig_len, iface: packet.iface, at: packet.stamp }
}
