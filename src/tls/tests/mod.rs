//! The room as a whole: recorded connections, and made ones.

mod capture;
mod made;
mod maker;
mod recorded;

use crate::base::{Dir, Gap, Limits, Stamp};
use crate::tcp::{Close, StreamEvent};

use super::{Connection, Context, Facts, KeyLog, Workbench};

/// What came out of a connection, in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    /// Plaintext, joined where nothing comes between, with the stamp of its last part.
    Data(Dir, Vec<u8>, Stamp),
    Gap(Dir, Gap),
    Finished(Dir),
    Closed(Close),
}

/// A connection with what it needs.
struct Rig {
    connection: Connection,
    bench: Workbench,
    said: Vec<Said>,
}

impl Rig {
    fn new() -> Rig {
        Rig::with(&Limits::default())
    }

    fn with(limits: &Limits) -> Rig {
        Rig { connection: Connection::new(), bench: Workbench::new(limits), said: Vec::new() }
    }

    fn call<T>(&mut self, keys: &KeyLog, what: impl FnOnce(&mut Connection, &mut Context<'_>) -> T) -> T {
        let said = &mut self.said;
        let mut out = |event: StreamEvent<'_>| note(said, event);
        what(&mut self.connection, &mut Context { bench: &mut self.bench, keys, out: &mut out })
    }

    fn data(&mut self, keys: &KeyLog, dir: Dir, bytes: &[u8], at: Stamp) {
        self.call(keys, |connection, cx| connection.data(dir, bytes, at, cx));
    }

    fn gap(&mut self, keys: &KeyLog, dir: Dir, gap: Gap, at: Stamp) {
        self.call(keys, |connection, cx| connection.gap(dir, gap, at, cx));
    }

    fn finished(&mut self, keys: &KeyLog, dir: Dir, at: Stamp) {
        self.call(keys, |connection, cx| connection.finished(dir, at, cx));
    }

    fn closed(&mut self, keys: &KeyLog, how: Close, at: Stamp) -> bool {
        self.call(keys, |connection, cx| connection.closed(how, at, cx))
    }

    fn facts(&self) -> Facts {
        self.connection.facts()
    }

    /// The plaintext of a direction, its pieces between holes.
    fn pieces(&self, of: Dir) -> Vec<Vec<u8>> {
        let mut pieces = vec![Vec::new()];
        for said in &self.said {
            match said {
                Said::Data(dir, bytes, _) if *dir == of => pieces.last_mut().unwrap().extend_from_slice(bytes),
                Said::Gap(dir, _) if *dir == of => pieces.push(Vec::new()),
                _ => {}
            }
        }
        pieces
    }

    /// The plaintext of a direction, which must have no holes.
    fn whole(&self, of: Dir) -> Vec<u8> {
        let mut pieces = self.pieces(of);
        assert_eq!(pieces.len(), 1, "{:?}", self.said);
        pieces.remove(0)
    }
}

fn note(said: &mut Vec<Said>, event: StreamEvent<'_>) {
    match event {
        StreamEvent::Data { dir, bytes, at } => match said.last_mut() {
            Some(Said::Data(last, sum, stamp)) if *last == dir => {
                sum.extend_from_slice(bytes);
                *stamp = at;
            }
            _ => said.push(Said::Data(dir, bytes.to_vec(), at)),
        },
        StreamEvent::Gap { dir, gap, .. } => said.push(Said::Gap(dir, gap)),
        StreamEvent::Finished { dir, .. } => said.push(Said::Finished(dir)),
        StreamEvent::Closed { how, .. } => said.push(Said::Closed(how)),
        StreamEvent::Opened => {}
    }
}
