//! Sealed records of a connection: what opens them, what they say, and when a hole must be said in their place.

use crate::base::{Cause, Count, Dir, Gap, Stamp};
use crate::tcp::StreamEvent;

use super::connection::Connection;
use super::keylog::{KeyLog, Label};
use super::keyring::{Found, Stage};
use super::record::{Head, kind};
use super::workbench::Context;

impl Connection {
    /// Opens a record with whatever key fits.
    pub(super) fn open(&mut self, dir: Dir, head: Head, body: &mut [u8], keys: &KeyLog) -> Option<Found> {
        self.load(dir, keys);
        if self.handshake.random.is_some() || self.unsupported.is_some() || self.handshake.is_tls12() {
            return self.half(dir).ring.open(head, body);
        }
        let known = self.handshake.suite;
        let hit = self.midway.search(keys, known, head, body).filter(|_| head.kind == kind::APPLICATION_DATA)?;
        let from_client = hit.label == Label::ClientTraffic;
        self.client = Some(if from_client { dir } else { dir.flip() });
        self.handshake.random = Some(hit.random);
        self.handshake.suite = Some(hit.key.suite());
        self.handshake.change();
        self.half(dir).loaded = u8::MAX;
        self.half(dir).ring.start(hit.key, hit.seq.saturating_add(1));
        Some(Found { stage: Stage::Application, opened: hit.opened, missed: Some(hit.seq), first: true, replaces: false })
    }

    /// Whether a record that does not open now may open later: its keys, or the server's hello, may still come.
    pub(super) fn may_open_later(&self, dir: Dir, keys: &KeyLog) -> bool {
        let shake = &self.handshake;
        if self.unsupported.is_some() {
            return false;
        }
        let hello_to_come = shake.client.is_some() && shake.server.is_none() && !shake.server_lost;
        let half = self.halves.get(dir.index());
        // Half a handshake of TLS 1.2 gives no key.
        let keyless = shake.is_tls12() && shake.random.is_none();
        hello_to_come || !keys.is_complete() && !keyless && half.is_some_and(|half| !half.ring.is_complete())
    }

    /// Whether there is no key for a direction and none will come, so that its records need not even be kept whole.
    pub(super) fn is_hopeless(&self, dir: Dir, keys: &KeyLog) -> bool {
        let Some(half) = self.halves.get(dir.index()) else { return true };
        let looked = half.looked == Some((keys.version(), self.handshake.epoch));
        let midway = self.handshake.random.is_none() && !self.midway.is_over(keys);
        looked && half.ring.is_empty() && half.waiting.is_empty() && !midway && !self.may_open_later(dir, keys)
    }

    /// What an opened record says.
    pub(super) fn deliver(&mut self, dir: Dir, found: &Found, body: &mut [u8], at: Stamp, cx: &mut Context<'_>) {
        if !std::mem::replace(&mut self.decrypted, true) {
            cx.bench.counts.bump(Count::TlsDecrypted);
        }
        self.half(dir).holed = false;
        if found.missed != Some(0) {
            self.half(dir).messages.lose();
        }
        if found.first && found.stage != Stage::Early && self.client == Some(dir) {
            self.leave_early(found, at);
        }
        if found.stage == Stage::Application {
            if found.replaces {
                self.say_hole(dir, cx);
            } else if found.missed == Some(0) && !(found.first && self.early_unknown(dir)) {
                // All the numbers are there: what could not be read before was none of the plaintext.
                self.half(dir).hole = None;
            } else {
                let before = found.first && self.handshake.client.is_none();
                self.half(dir).hole.get_or_insert((if before { Cause::Before } else { Cause::Lost }, at));
                self.say_hole(dir, cx);
            }
        }
        let plain = body.get(found.opened.plain.clone()).unwrap_or(&[]);
        match found.opened.kind {
            kind::APPLICATION_DATA if found.stage == Stage::Early => self.early_data(dir, found, plain, at, cx),
            kind::APPLICATION_DATA if found.stage == Stage::Application => self.say(dir, plain, at, cx),
            kind::HANDSHAKE => self.messages(dir, plain, at, cx),
            kind::ALERT => self.alert(dir, plain, at, cx),
            _ => {}
        }
    }

    /// A record that no key opens.
    pub(super) fn opaque(&mut self, dir: Dir, at: Stamp, cx: &mut Context<'_>) {
        cx.bench.counts.bump(Count::TlsOpaqueRecords);
        self.missing(dir, Cause::Encrypted, at, cx);
    }

    /// A hole in the packets.
    pub(super) fn lose(&mut self, dir: Dir, cause: Cause, at: Stamp, cx: &mut Context<'_>) {
        self.lost_hello(dir);
        self.half(dir).holed = true;
        self.half(dir).messages.lose();
        self.missing(dir, cause, at, cx);
    }

    /// Something is missing. Said at once where plaintext flows; before that it may be the handshake's own records, which the
    /// number of the first record of plaintext will tell.
    fn missing(&mut self, dir: Dir, cause: Cause, at: Stamp, cx: &mut Context<'_>) {
        let flowing = self.halves.iter().any(|half| half.flowing);
        self.half(dir).hole.get_or_insert((cause, at));
        if flowing {
            self.say_hole(dir, cx);
        }
    }

    /// Says a hole that was kept back.
    pub(super) fn say_hole(&mut self, dir: Dir, cx: &mut Context<'_>) {
        let half = self.half(dir);
        let Some((cause, at)) = half.hole.take() else { return };
        if half.ended || std::mem::replace(&mut half.said, true) {
            return;
        }
        half.flowing = true;
        (cx.out)(StreamEvent::Gap { dir, gap: Gap { len: None, cause }, at });
    }

    fn say(&mut self, dir: Dir, bytes: &[u8], at: Stamp, cx: &mut Context<'_>) {
        self.volume.opened(self.side(dir), bytes.len(), at.ts);
        let half = self.half(dir);
        if bytes.is_empty() || half.ended {
            return;
        }
        (half.flowing, half.said) = (true, false);
        (cx.out)(StreamEvent::Data { dir, bytes, at });
    }

    /// The end of a direction: close_notify or FIN, whichever comes first.
    pub(super) fn finish(&mut self, dir: Dir, at: Stamp, cx: &mut Context<'_>) {
        self.say_hole(dir, cx);
        if !std::mem::replace(&mut self.half(dir).ended, true) {
            (cx.out)(StreamEvent::Finished { dir, at });
        }
    }

    fn early_data(&mut self, dir: Dir, found: &Found, plain: &[u8], at: Stamp, cx: &mut Context<'_>) {
        let accepted = self.handshake.early.accepted;
        if accepted == Some(false) {
            return;
        }
        let early = &mut self.handshake.early;
        if found.missed != Some(0) {
            early.kept.push((None, at));
        }
        // An empty record costs something as well.
        early.bytes = early.bytes.saturating_add(plain.len()).saturating_add(64);
        let fits = early.bytes <= cx.bench.limit;
        early.kept.push((fits.then(|| plain.to_vec()), at));
        if !fits {
            cx.bench.counts.bump(Count::TlsPendingLimit);
            early.kept.dedup_by(|one, other| one.0.is_none() && other.0.is_none());
        }
        if accepted == Some(true) {
            self.say_early(dir, cx);
        }
    }

    /// It is known whether early data is accepted.
    pub(super) fn end_early(&mut self, accepted: bool, _at: Stamp, cx: &mut Context<'_>) {
        let early = &mut self.handshake.early;
        let accepted = *early.accepted.get_or_insert(accepted);
        if !accepted {
            early.kept = Vec::new();
        } else if let Some(client) = self.client {
            self.say_early(client, cx);
        }
    }

    fn say_early(&mut self, dir: Dir, cx: &mut Context<'_>) {
        self.handshake.early.bytes = 0;
        for (bytes, at) in std::mem::take(&mut self.handshake.early.kept) {
            match bytes {
                Some(bytes) => self.say(dir, &bytes, at, cx),
                None => {
                    self.half(dir).hole.get_or_insert((Cause::Lost, at));
                    self.say_hole(dir, cx);
                }
            }
        }
    }

    /// The client has gone on to the next key. Without EndOfEarlyData before it, its early data was not accepted.
    fn leave_early(&mut self, found: &Found, at: Stamp) {
        let Some(client) = self.client else { return };
        let holed = self.half(client).hole.is_some() || found.missed != Some(0);
        let early = &mut self.handshake.early;
        if early.accepted.is_none() && !early.done {
            if !holed && found.stage == Stage::Handshake {
                early.accepted = Some(false);
            } else if !early.kept.is_empty() {
                self.half(client).hole.get_or_insert((Cause::Lost, at));
            }
            self.handshake.early.kept = Vec::new();
        }
    }

    /// Whether early data may be missing before the client's first other record of plaintext.
    fn early_unknown(&self, dir: Dir) -> bool {
        let early = &self.handshake.early;
        // Nobody knows what a ClientHello offered that was not seen.
        let offered = self.handshake.client.as_ref().is_none_or(|hello| hello.early);
        self.client == Some(dir) && offered && !early.done && early.accepted != Some(false)
    }
}
