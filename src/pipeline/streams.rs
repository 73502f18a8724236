//! All open connections by slot, and those that are over but wait for keys: each event of a stream goes to its connection.

use std::collections::{BTreeMap, BTreeSet};

use super::order::Order;
use super::stream::{self, Desk, Stream};
use super::taps::{Reader, Taps};
use crate::base::{ConnId, Count, Counts, Keyer, Limits, Plain, Stamp, Ts};
use crate::http::Memo;
use crate::mcp::Seen;
use crate::tcp::{Conn, Receiver, StreamEvent};
use crate::tls::{KeyLog, Workbench};

/// All connections.
pub(super) struct Streams {
    slots: Vec<Option<Box<Stream>>>,
    /// Closed connections whose records wait for keys.
    late: BTreeMap<ConnId, Box<Stream>>,
    /// Connections that wait for keys, by the packet of the first record that waits. Empty once all keys are known.
    waits: BTreeSet<(Stamp, ConnId, Place)>,
    desk: Desk,
    keys: KeyLog,
    met_tls: bool,
    /// Plaintext that comes from elsewhere, if any does.
    taps: Option<Box<Taps>>,
    /// What was seen after something that waits for keys.
    order: Order,
    /// What was seen and not yet taken.
    pub(super) seen: Vec<Seen>,
}

/// Where a connection that waits is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Slot(usize),
    Late,
}

impl Streams {
    pub(super) fn new(keyer: Keyer, limits: &Limits) -> Streams {
        let desk = Desk {
            keyer,
            limits: limits.clone(),
            counts: Counts::default(),
            mcp_counts: Counts::default(),
            memo: Memo::new(),
            bench: Workbench::new(limits),
            marks: Vec::new(),
        };
        let keys = KeyLog::new(limits);
        Streams {
            slots: Vec::new(),
            late: BTreeMap::new(),
            waits: BTreeSet::new(),
            desk,
            keys,
            met_tls: false,
            taps: None,
            order: Order::default(),
            seen: Vec::new(),
        }
    }

    /// Secrets of key logs, read beforehand, and what was counted while reading them.
    pub(super) fn key_log(&mut self, keys: KeyLog, counts: &Counts) {
        self.keys = keys;
        self.desk.bench.counts.merge(counts);
    }

    /// TLS secrets, in NSS key log format: what waits for them is read now.
    pub(super) fn secrets(&mut self, text: &[u8]) {
        self.keys.block(text, &mut self.desk.bench.counts);
        for wait in self.waits.clone() {
            self.retry(wait, false);
        }
    }

    /// No more secrets will come: nothing waits any longer.
    pub(super) fn complete(&mut self) {
        self.keys.complete();
        while let Some(wait) = self.waits.first().copied() {
            self.retry(wait, true);
        }
    }

    /// Plaintext that a process handed to its TLS library.
    pub(super) fn plain(&mut self, plain: Plain, at: Stamp) {
        let from = self.seen.len();
        let taps = self.taps.get_or_insert_default();
        self.desk.bench.sizing = true;
        let tied = taps.push(plain, at, &mut Reader { desk: &mut self.desk, keys: &self.keys, seen: &mut self.seen });
        if let Some(conn) = tied
            && let Some(stream) = self.slots.get_mut(conn.slot).and_then(Option::as_mut).filter(|stream| stream.id() == conn.id)
        {
            stream.tap(&conn, false, &self.keys, &mut self.seen);
        }
        self.in_order(from, at);
    }

    /// Nothing more will come: plaintext connections that are still open end with the capture.
    pub(super) fn finish_taps(&mut self, at: Stamp) {
        let from = self.seen.len();
        if let Some(taps) = &mut self.taps {
            taps.finish(at, &mut Reader { desk: &mut self.desk, keys: &self.keys, seen: &mut self.seen });
        }
        self.in_order(from, at);
    }

    fn in_order(&mut self, from: usize, at: Stamp) {
        if !self.order.is_empty() || !self.waits.is_empty() {
            self.order.take(&mut self.seen, from, &[], at);
            self.keep_order();
        }
    }

    /// Whether TLS was met, so that secrets matter.
    pub(super) fn met_tls(&self) -> bool {
        self.met_tls
    }

    /// Packet time has come to `now`: keys that did not come by now are not waited for.
    pub(super) fn tick(&mut self, now: Ts) {
        let patience = i64::try_from(self.desk.limits.tls_pending_seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
        while let Some(wait) = self.waits.first().copied().filter(|(at, ..)| now.since(at.ts) > patience) {
            self.retry(wait, true);
        }
        if let Some(taps) = &mut self.taps {
            let from = self.seen.len();
            let tied = taps.tick(now, &mut Reader { desk: &mut self.desk, keys: &self.keys, seen: &mut self.seen });
            for conn in tied {
                let stream = self.slots.get_mut(conn.slot).and_then(Option::as_mut).filter(|stream| stream.id() == conn.id);
                if let Some(stream) = stream {
                    stream.tap(&conn, true, &self.keys, &mut self.seen);
                }
            }
            self.in_order(from, Stamp { ts: now, ..Stamp::default() });
        }
    }

    /// The packet time up to which everything was seen that can be: that of the first record that waits for keys.
    pub(super) fn held_since(&self) -> Option<Ts> {
        self.waits.first().map(|(at, ..)| at.ts)
    }

    /// What was counted so far.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = self.desk.counts.clone();
        counts.merge(&self.desk.mcp_counts);
        counts.merge(&self.desk.bench.counts);
        counts
    }

    /// Tries again what waits, and lets go of what cannot be read if nothing more is hoped for.
    fn retry(&mut self, wait: (Stamp, ConnId, Place), give_up: bool) {
        self.waits.remove(&wait);
        let (_, id, place) = wait;
        let stream = match place {
            Place::Slot(slot) => self.slots.get_mut(slot).and_then(Option::take),
            Place::Late => self.late.remove(&id),
        };
        let Some(mut stream) = stream else { return };
        let from = self.seen.len();
        stream.retry(give_up, &mut self.desk, &self.keys, &mut self.seen);
        self.order.take(&mut self.seen, from, &self.desk.marks, stream.last());
        match (place, stream.note_wait(None)) {
            (Place::Slot(at), now) => {
                self.waits.extend(now.map(|now| (now, id, place)));
                if let Some(slot) = self.slots.get_mut(at) {
                    *slot = Some(stream);
                }
            }
            (Place::Late, Some(now)) => {
                self.waits.insert((now, id, place));
                self.late.insert(id, stream);
            }
            (Place::Late, None) => {}
        }
        self.order.release(self.waits.first().map(|(at, ..)| *at), &mut self.seen);
    }

    /// Gives out what comes before all that waits. Where too much comes after it, the one longest waiting is given up.
    fn keep_order(&mut self) {
        self.order.release(self.waits.first().map(|(at, ..)| *at), &mut self.seen);
        while let Some(wait) = self.waits.first().copied().filter(|_| self.order.len() > self.desk.limits.tls_pending_events) {
            self.desk.bench.counts.bump(Count::TlsPendingLimit);
            self.retry(wait, true);
        }
    }

    /// A connection is over, but its records wait for keys.
    fn keep(&mut self, id: ConnId, since: Stamp, stream: Box<Stream>) {
        self.waits.insert((since, id, Place::Late));
        self.late.insert(id, stream);
        if self.late.len() > self.desk.limits.tls_pending_connections
            && let Some(wait) = self.waits.iter().find(|(_, _, place)| *place == Place::Late).copied()
        {
            self.desk.bench.counts.bump(Count::TlsPendingLimit);
            self.retry(wait, true);
        }
    }
}

impl Receiver for Streams {
    fn on_stream(&mut self, conn: &Conn, event: StreamEvent<'_>) {
        if self.slots.len() <= conn.slot {
            self.slots.resize_with(conn.slot + 1, || None);
        }
        let Some(slot) = self.slots.get_mut(conn.slot) else { return };
        if event == StreamEvent::Opened {
            *slot = Some(Box::new(Stream::new(conn)));
            return;
        }
        let Some(stream) = slot else { return };
        let from = self.seen.len();
        if let Some(taps) = &mut self.taps
            && let StreamEvent::Closed { how, at } = event
            && let Some(carried) = taps.closed(conn, how, at)
        {
            stream.tap(conn, carried, &self.keys, &mut self.seen);
        }
        stream.on_stream(conn, event, &mut self.desk, &self.keys, &mut self.seen);
        if let Some(taps) = &mut self.taps {
            taps.sealed(conn, event, stream.sizes());
        }
        if let Some(taps) = &mut self.taps
            && stream.new_randoms().any(|(random, side)| taps.meet(conn, &random, side, &mut self.desk))
        {
            stream.tap(conn, false, &self.keys, &mut self.seen);
        }
        if !self.order.is_empty() || !self.waits.is_empty() {
            let marks = if stream.is_tls() { self.desk.marks.as_slice() } else { &[] };
            self.order.take(&mut self.seen, from, marks, stream::at(event).unwrap_or_default());
        }
        let closed = matches!(event, StreamEvent::Closed { .. });
        if stream.is_tls() {
            self.met_tls = true;
            let before = stream.waits().map(|since| (since, conn.id, Place::Slot(conn.slot)));
            let now = if self.keys.is_complete() { None } else { stream.note_wait(Some(conn)) };
            if let Some(before) = before {
                self.waits.remove(&before);
            }
            match now {
                Some(since) if closed => {
                    if let Some(stream) = slot.take() {
                        self.keep(conn.id, since, stream);
                    }
                }
                now => self.waits.extend(now.map(|since| (since, conn.id, Place::Slot(conn.slot)))),
            }
        }
        if closed && let Some(slot) = self.slots.get_mut(conn.slot) {
            *slot = None;
        }
        if !self.order.is_empty() {
            self.keep_order();
        }
    }
}
