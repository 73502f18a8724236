//! Where the sources are tied to the engine: the only place that knows both.

use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::keylogs::{self, KeyLogs};
use super::run::Settings;
use crate::base::{Limits, Stamp, Ts};
use crate::capfile::Flaw;
use crate::packet::Frame;
use crate::pipeline::{Engine, Loss, Options, Output, Summary};
use crate::report::evidence::{Gather, Wanted};
use crate::source::{self, Input, Inputs, Packet};

/// Captures that can be read.
pub(super) struct Opened {
    inputs: Inputs,
    keys: KeyLogs,
}

impl Opened {
    /// Names of the files in the order of [`crate::base::Stamp::file`].
    pub(super) fn files(&self) -> Vec<String> {
        self.inputs.files().iter().map(|file| file.path.display().to_string()).collect()
    }
}

/// Finds the files and looks at their beginnings: what cannot be read at all is told here, before anything is written.
pub(super) fn open(captures: &[PathBuf], keylogs: &[PathBuf], limits: &Limits) -> anyhow::Result<Opened> {
    Ok(Opened { keys: keylogs::read(keylogs, limits)?, inputs: source::plan(captures, limits)? })
}

/// Between two inputs.
pub(super) struct Moment<'a, O: Output> {
    /// The run.
    pub(super) engine: &'a mut Engine<O>,
    /// Bytes read.
    pub(super) read: u64,
    /// Bytes in all, where that is known.
    pub(super) total: Option<u64>,
    /// The time of the packet that comes next, if it is one.
    pub(super) due: Option<Ts>,
}

/// Reads everything, or until `go_on` says no; then ends the engine in order. What cannot be read twice goes into the `spool`, if one
/// is given.
pub(super) fn walk<O: Output>(
    opened: Opened,
    settings: Settings,
    out: O,
    mut spool: Option<&mut Spool>,
    mut go_on: impl FnMut(Moment<'_, O>) -> bool,
) -> anyhow::Result<Summary> {
    let Settings { limits, keyer, gateways, stall_after } = settings;
    let files = opened.files();
    let name = |file: u16| files.get(usize::from(file)).cloned().unwrap_or_default();
    let Opened { mut inputs, keys } = opened;
    let mut engine = Engine::new(Options { limits, keyer, gateways, stall_after }, out);
    engine.key_log(keys.log, &keys.counts);
    keys.losses.into_iter().for_each(|loss| engine.loss(loss));
    let progress = inputs.progress();
    let mut ahead = false;
    loop {
        let input = inputs.next();
        let due = if let Some(Input::Packet(packet)) = &input { Some(packet.stamp.ts) } else { None };
        if !go_on(Moment { engine: &mut engine, read: progress.read(), total: progress.total(), due }) {
            break;
        }
        match input {
            None => break,
            Some(Input::Packet(packet)) => {
                let frame = frame(&packet);
                if let Some(spool) = spool.as_deref_mut() {
                    spool.keep(frame);
                }
                engine.frame(frame);
            }
            Some(Input::Secrets(text)) => {
                if let Some(spool) = spool.as_deref_mut() {
                    spool.secrets.extend_from_slice(text);
                }
                engine.secrets(text);
            }
            Some(Input::Drops { lost, .. }) => engine.dropped(lost),
            Some(Input::Damage { file, damage }) => {
                let kind = if matches!(damage.what, Flaw::Truncated | Flaw::Unreadable(_)) { "truncated" } else { "damaged" };
                let place = format!("{}, byte {}", name(file), damage.offset);
                engine.loss(Loss { kind: kind.to_owned(), place, detail: damage.to_string(), at: None });
            }
            Some(_) => {}
        }
        // A capture may hold its secrets behind the packets that need them: at the first sight of TLS, files are read ahead for them.
        if !ahead && engine.met_tls() {
            ahead = true;
            if inputs.secrets_ahead(|text| engine.secrets(text)) {
                engine.secrets_complete();
            }
        }
    }
    Ok(engine.finish(Vec::new()).0)
}

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

    fn keep(&mut self, frame: Frame<'_>) {
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
            Input::Secrets(text) => gather.secrets(text),
            _ => {}
        }
    }
    Ok((gather, 0))
}

fn frame<'a>(packet: &Packet<'a>) -> Frame<'a> {
    Frame { link: packet.link, data: packet.data, orig_len: packet.orig_len, iface: packet.iface, at: packet.stamp }
}
