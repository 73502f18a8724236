//! What one stretch of the road says to the next, kept word for word while it is carried from one thread to another.

use std::ops::Range;

use super::Loss;
use super::front::Onward;
use super::middle::Hear;
use crate::base::{Dir, Gap, Stamp, Ts};
use crate::mcp::Seen;
use crate::tcp::{Close, Conn, Receiver, StreamEvent};

/// Words of [`super::Front`], to be played to [`super::Middle`].
#[derive(Default)]
pub struct Batch {
    words: Vec<Word>,
    /// Connections that the words are of; each stands here once for as long as nothing of it changes.
    conns: Vec<Conn>,
    bytes: Vec<u8>,
    /// Something was said since the last frame's end.
    untold: bool,
}

enum Word {
    /// Of the connection with this index.
    Stream(usize, Event),
    Read(Stamp),
    Tick(Ts, Option<Ts>, Stamp),
    Secrets(u16, Range<usize>, Stamp),
    Ending(Stamp),
    Loss(Box<Loss>),
}

/// A stream event, its bytes by their place.
enum Event {
    Opened,
    Data(Dir, Range<usize>, Stamp),
    Gap(Dir, Gap, Stamp),
    Finished(Dir, Stamp),
    Closed(Close, Stamp),
}

impl Batch {
    /// Whether it is time to send it on.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= BYTES || self.words.len() >= WORDS
    }

    /// Says everything again, in order, and is empty after.
    pub fn play(&mut self, on: &mut impl Onward) {
        let text = |range: Range<usize>| self.bytes.get(range).unwrap_or_default();
        for word in self.words.drain(..) {
            match word {
                Word::Stream(conn, event) => {
                    let Some(conn) = self.conns.get(conn) else { continue };
                    let event = match event {
                        Event::Opened => StreamEvent::Opened,
                        Event::Data(dir, range, at) => StreamEvent::Data { dir, bytes: text(range), at },
                        Event::Gap(dir, gap, at) => StreamEvent::Gap { dir, gap, at },
                        Event::Finished(dir, at) => StreamEvent::Finished { dir, at },
                        Event::Closed(how, at) => StreamEvent::Closed { how, at },
                    };
                    on.on_stream(conn, event);
                }
                Word::Read(at) => on.read(at),
                Word::Tick(now, held, at) => on.tick(now, held, at),
                Word::Secrets(file, range, at) => on.secrets(file, text(range), at),
                Word::Ending(at) => on.ending(at),
                Word::Loss(loss) => on.loss(*loss),
            }
        }
        self.conns.clear();
        self.bytes.clear();
        // A jumbo datagram or a key log may have made it large.
        self.bytes.shrink_to(2 * BYTES);
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        from..self.bytes.len()
    }
}

impl Receiver for Batch {
    fn on_stream(&mut self, conn: &Conn, event: StreamEvent<'_>) {
        if self.conns.last() != Some(conn) {
            self.conns.push(conn.clone());
        }
        let event = match event {
            StreamEvent::Opened => Event::Opened,
            StreamEvent::Data { dir, bytes, at } => Event::Data(dir, self.keep(bytes), at),
            StreamEvent::Gap { dir, gap, at } => Event::Gap(dir, gap, at),
            StreamEvent::Finished { dir, at } => Event::Finished(dir, at),
            StreamEvent::Closed { how, at } => Event::Closed(how, at),
        };
        self.words.push(Word::Stream(self.conns.len() - 1, event));
        self.untold = true;
    }
}

impl Onward for Batch {
    fn read(&mut self, at: Stamp) {
        // Of a frame that brought nothing there is nothing to say.
        if std::mem::take(&mut self.untold) {
            self.words.push(Word::Read(at));
        }
    }

    fn tick(&mut self, now: Ts, held: Option<Ts>, at: Stamp) {
        self.words.push(Word::Tick(now, held, at));
    }

    fn secrets(&mut self, file: u16, text: &[u8], at: Stamp) {
        let range = self.keep(text);
        self.words.push(Word::Secrets(file, range, at));
    }

    fn ending(&mut self, at: Stamp) {
        self.untold = true;
        self.words.push(Word::Ending(at));
    }

    fn loss(&mut self, loss: Loss) {
        self.words.push(Word::Loss(Box::new(loss)));
    }
}

/// Words of [`super::Middle`], to be played to [`super::Back`].
#[derive(Default)]
pub struct Words {
    words: Vec<Said>,
    seen: Vec<Seen>,
}

enum Said {
    /// So many of what was seen.
    Seen(usize, Stamp),
    Tick(Ts, Option<Ts>, Stamp),
    Loss(Box<Loss>),
}

impl Words {
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Says everything again, in order.
    pub fn play(self, on: &mut impl Hear) {
        let mut seen = self.seen.into_iter();
        let mut now = Vec::new();
        for word in self.words {
            match word {
                Said::Seen(n, at) => {
                    now.extend(seen.by_ref().take(n));
                    on.seen(&mut now, at);
                }
                Said::Tick(now, held, at) => on.tick(now, held, at),
                Said::Loss(loss) => on.loss(*loss),
            }
        }
    }
}

impl Hear for Words {
    fn seen(&mut self, seen: &mut Vec<Seen>, at: Stamp) {
        self.words.push(Said::Seen(seen.len(), at));
        self.seen.append(seen);
    }

    fn tick(&mut self, now: Ts, held: Option<Ts>, at: Stamp) {
        self.words.push(Said::Tick(now, held, at));
    }

    fn loss(&mut self, loss: Loss) {
        self.words.push(Said::Loss(Box::new(loss)));
    }
}

/// Bytes of a batch.
const BYTES: usize = 256 * 1024;
/// Words of a batch.
const WORDS: usize = 2_048;
