//! The second stretch of the road: what happened on connections comes in, what was asked and answered on them goes out.

use super::Loss;
use super::front::Onward;
use super::streams::Streams;
use crate::base::{Counts, Keyer, Limits, Plain, Stamp, Ts};
use crate::mcp::Seen;
use crate::tcp::{Conn, Receiver, StreamEvent};
use crate::tls::KeyLog;

/// Who takes what the second stretch gives out, each word in its order: the last stretch itself, or [`super::Words`] on the way to it.
pub trait Hear {
    /// These were seen; `at` is the moment at which they were known.
    fn seen(&mut self, seen: &mut Vec<Seen>, at: Stamp);
    /// Packet time has come to `now`. `held`: the time of the earliest byte that is held back behind a hole.
    fn tick(&mut self, now: Ts, held: Option<Ts>, at: Stamp);
    /// Something could not be read.
    fn loss(&mut self, loss: Loss);
}

/// Knows the secrets that a capture holds, also those that are still to come.
pub trait Foresight: Send {
    /// The reading has come to secrets in this file: whether they were not told ahead.
    fn is_news(&mut self, file: u16) -> bool;
    /// Tells all that are still to come. Whether that was all.
    fn read(&mut self, tell: &mut dyn FnMut(&[u8])) -> bool;
}

/// TLS, HTTP, MCP. The next stretch is `next`.
pub struct Middle<N> {
    streams: Streams,
    foresight: Option<Box<dyn Foresight>>,
    looked_ahead: bool,
    /// The next stretch.
    pub next: N,
}

impl<N: Hear> Middle<N> {
    pub(super) fn new(keyer: Keyer, limits: &Limits, next: N) -> Middle<N> {
        Middle { streams: Streams::new(keyer, limits), foresight: None, looked_ahead: false, next }
    }

    /// TLS secrets of key logs that were read beforehand, and what was counted while reading them.
    pub fn key_log(&mut self, keys: KeyLog, counts: &Counts) {
        self.streams.key_log(keys, counts);
    }

    /// Where secrets come from that stand behind the packets that need them.
    pub fn foresee(&mut self, foresight: Box<dyn Foresight>) {
        self.foresight = Some(foresight);
    }

    /// TLS secrets became known (NSS key log format): what waits for them is read now.
    pub fn secrets(&mut self, text: &[u8], at: Stamp) {
        self.streams.secrets(text);
        self.next.seen(&mut self.streams.seen, at);
    }

    /// A process handed plaintext to its TLS library, or took it from there.
    pub(super) fn plain(&mut self, plain: Plain, at: Stamp, now: Stamp) {
        self.streams.plain(plain, at);
        if !self.streams.seen.is_empty() {
            self.next.seen(&mut self.streams.seen, now);
        }
    }

    /// No more TLS secrets will come: what no key fits need not be kept any longer.
    pub fn secrets_complete(&mut self, at: Stamp) {
        self.streams.complete();
        self.next.seen(&mut self.streams.seen, at);
    }

    /// What was counted here so far.
    pub(super) fn counts(&self) -> Counts {
        self.streams.counts()
    }

    /// What was counted here, and the next stretch.
    pub fn finish(self) -> (Counts, N) {
        (self.counts(), self.next)
    }

    /// At the first sight of TLS, secrets are sought that are still to come.
    #[cold]
    fn look_ahead(&mut self, at: Stamp) {
        self.looked_ahead = true;
        let Some(mut foresight) = self.foresight.take() else { return };
        if foresight.read(&mut |text| self.secrets(text, at)) {
            self.secrets_complete(at);
        }
        self.foresight = Some(foresight);
    }
}

impl<N: Hear> Receiver for Middle<N> {
    #[inline]
    fn on_stream(&mut self, conn: &Conn, event: StreamEvent<'_>) {
        self.streams.on_stream(conn, event);
    }
}

impl<N: Hear> Onward for Middle<N> {
    #[inline]
    fn read(&mut self, at: Stamp) {
        if !self.streams.seen.is_empty() {
            self.next.seen(&mut self.streams.seen, at);
        }
        if !self.looked_ahead && self.streams.met_tls() {
            self.look_ahead(at);
        }
    }

    fn tick(&mut self, now: Ts, held: Option<Ts>, at: Stamp) {
        self.streams.tick(now);
        if !self.streams.seen.is_empty() {
            self.next.seen(&mut self.streams.seen, at);
        }
        // Where records wait for keys, what comes after them waits with them, and so does time.
        let now = self.streams.held_since().map_or(now, |held| held.min(now));
        self.next.tick(now, held, at);
    }

    fn secrets(&mut self, file: u16, text: &[u8], at: Stamp) {
        if self.foresight.as_mut().is_none_or(|foresight| foresight.is_news(file)) {
            Middle::secrets(self, text, at);
        }
    }

    fn ending(&mut self, at: Stamp) {
        self.streams.complete();
        self.streams.finish_taps(at);
    }

    fn loss(&mut self, loss: Loss) {
        self.next.loss(loss);
    }
}
