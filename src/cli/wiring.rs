//! Where the sources are tied to the engine: the only place that knows both.

use std::path::PathBuf;

use super::keylogs::{self, KeyLogs};
use super::run::Settings;
use crate::base::{Limits, Ts};
use crate::capfile::Flaw;
use crate::packet::Frame;
use crate::pipeline::{Engine, Loss, Options, Output, Summary};
use crate::source::{self, Input, Inputs};

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

/// Reads everything, or until `go_on` says no; then ends the engine in order.
pub(super) fn walk<O: Output>(
    opened: Opened,
    settings: Settings,
    out: O,
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
            Some(Input::Packet(packet)) => engine.frame(Frame {
                link: packet.link,
                data: packet.data,
                orig_len: packet.orig_len,
                iface: packet.iface,
                at: packet.stamp,
            }),
            Some(Input::Secrets(text)) => engine.secrets(text),
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
