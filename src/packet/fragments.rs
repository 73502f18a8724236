//! Pieces of IP datagrams come in, whole datagrams go out. Bounded in datagrams, bytes, pieces and packet time;
//! what never becomes whole is counted.

use std::collections::HashMap;

use etherparse::IpNumber;
use etherparse::defrag::{IpDefragBuf, IpFragRange};
use foldhash::fast::FixedState;

use super::decode::Start;
use super::ip::Piece;
use super::layer::{Ends, Layer, Rest};
use crate::base::{Count, Counts, Limits, Ts};

/// A datagram put together.
#[derive(Debug)]
pub(super) struct Whole {
    number: u8,
    ends: Ends,
    bytes: Vec<u8>,
}

impl Whole {
    /// Where peeling goes on, with the bytes now in `home`; and the buffer that was there before.
    pub(super) fn start(self, home: &mut Vec<u8>) -> (Start<'_>, Vec<u8>) {
        let old = std::mem::replace(home, self.bytes);
        (Start { layer: Layer::IpNumber(self.number), rest: Rest { bytes: home, missing: 0 }, ends: self.ends }, old)
    }
}

/// The pool of datagrams that are not yet whole.
#[derive(Debug)]
pub(super) struct Fragments {
    table: HashMap<Key, Datagram, FixedState>,
    /// Bytes that the table's buffers occupy.
    bytes: usize,
    /// Datagrams begun so far: the smallest serial is the oldest.
    begun: u64,
    max_datagrams: usize,
    max_bytes: usize,
    spare: Vec<u8>,
}

/// What makes pieces belong together (RFC 791, 3.2; RFC 8200, 4.5), and where they were seen: on the `any` device the same
/// piece comes once for each interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    ends: Ends,
    iface: u32,
    id: u32,
    /// Only IPv4 counts the protocol in; IPv6 takes it from the first piece.
    number: u8,
}

#[derive(Debug)]
struct Datagram {
    serial: u64,
    begun: Ts,
    number: u8,
    state: State,
}

#[derive(Debug)]
enum State {
    Open(IpDefragBuf),
    /// Whole and gone: copies of its pieces may still come.
    Done,
    /// Given up: whatever else comes of it is dropped too (RFC 5722, 3).
    Spoilt,
}

impl Fragments {
    pub(super) fn new(limits: &Limits) -> Fragments {
        Fragments {
            table: HashMap::default(),
            bytes: 0,
            begun: 0,
            max_datagrams: limits.fragment_datagrams.max(1),
            max_bytes: limits.fragment_bytes,
            spare: Vec::new(),
        }
    }

    /// Takes a piece; gives the datagram that it completes.
    pub(super) fn add(&mut self, ends: Ends, iface: u32, piece: Piece<'_>, now: Ts, counts: &mut Counts) -> Option<Whole> {
        counts.bump(Count::Fragments);
        let number = if matches!(ends, Ends::V4(..)) { piece.number } else { 0 };
        let key = Key { ends, iface, id: piece.id, number };
        if self.table.get(&key).is_some_and(|held| held.is_over(now)) {
            self.remove(&key, counts);
        }
        if !self.table.contains_key(&key) {
            self.make_room(now, counts);
            let buf = IpDefragBuf::new(IpNumber(piece.number), std::mem::take(&mut self.spare), Vec::new());
            self.begun += 1;
            self.bytes += buf.data().capacity();
            self.table.insert(key, Datagram { serial: self.begun, begun: now, number: piece.number, state: State::Open(buf) });
        }
        let datagram = self.table.get_mut(&key)?;
        let State::Open(buf) = &mut datagram.state else { return None };
        if piece.offset.byte_offset() == 0 {
            datagram.number = piece.number;
        }
        if piece.rest.missing > 0 {
            // The datagram can no longer become whole; its other pieces time out with it.
            counts.bump(Count::CutPackets);
            return None;
        }
        let before = buf.data().capacity();
        let outcome = add_first_wins(buf, &piece);
        self.bytes = (self.bytes + buf.data().capacity()).saturating_sub(before);
        match outcome {
            Outcome::Waiting => {}
            Outcome::Whole => {
                let (number, State::Open(buf)) = (datagram.number, std::mem::replace(&mut datagram.state, State::Done)) else {
                    return None;
                };
                let bytes = buf.take_bufs().0;
                self.bytes = self.bytes.saturating_sub(bytes.capacity());
                return Some(Whole { number, ends, bytes });
            }
            Outcome::Conflict => {
                let State::Open(buf) = std::mem::replace(&mut datagram.state, State::Spoilt) else { return None };
                self.bytes = self.bytes.saturating_sub(buf.data().capacity());
                self.give_back(buf.take_bufs().0);
                counts.bump(Count::FragmentsLost);
            }
        }
        while self.bytes > self.max_bytes && self.drop_oldest(counts) {}
        None
    }

    /// A buffer that is no longer needed; one is kept for the next datagram.
    pub(super) fn give_back(&mut self, buffer: Vec<u8>) {
        if buffer.capacity() > self.spare.capacity() {
            self.spare = buffer;
        }
    }

    /// Nothing will be completed any more.
    pub(super) fn finish(&mut self, counts: &mut Counts) {
        counts.add(Count::FragmentsLost, self.table.drain().filter(|(_, held)| matches!(held.state, State::Open(_))).count() as u64);
        self.bytes = 0;
    }

    /// Drops what is too old, and the oldest while there are too many.
    fn make_room(&mut self, now: Ts, counts: &mut Counts) {
        while let Some((key, held)) = self.oldest() {
            if self.table.len() < self.max_datagrams && !held.is_over(now) {
                return;
            }
            self.remove(&key, counts);
        }
    }

    fn drop_oldest(&mut self, counts: &mut Counts) -> bool {
        // Those that hold nothing (`Done`, `Spoilt`) stay: dropping them frees no bytes.
        let oldest = self.table.iter().filter(|(_, held)| matches!(held.state, State::Open(_))).min_by_key(|(_, held)| held.serial);
        let Some(key) = oldest.map(|(key, _)| *key) else { return false };
        self.remove(&key, counts);
        true
    }

    fn oldest(&self) -> Option<(Key, &Datagram)> {
        self.table.iter().min_by_key(|(_, held)| held.serial).map(|(key, held)| (*key, held))
    }

    fn remove(&mut self, key: &Key, counts: &mut Counts) {
        if let Some(Datagram { state: State::Open(buf), .. }) = self.table.remove(key) {
            counts.bump(Count::FragmentsLost);
            self.bytes = self.bytes.saturating_sub(buf.data().capacity());
            self.give_back(buf.take_bufs().0);
        }
    }
}

impl Datagram {
    /// Whether its identification may mean another datagram by now.
    fn is_over(&self, now: Ts) -> bool {
        let lives = if matches!(self.state, State::Done) { COPIES_WITHIN } else { TIMEOUT };
        now.since(self.begun).abs() > lives
    }
}

enum Outcome {
    Waiting,
    Whole,
    Conflict,
}

/// Pieces that repeat what is there are passed over, so that the first copy counts. Pieces that overlap in part are an attack,
/// and their datagram is dropped (RFC 5722, 3; RFC 8200, 4.5).
fn add_first_wins(buf: &mut IpDefragBuf, piece: &Piece<'_>) -> Outcome {
    let start = usize::from(piece.offset.byte_offset());
    let end = start + piece.rest.bytes.len();
    let holds = |held: &IpFragRange| usize::from(held.start) <= start && end <= usize::from(held.end);
    let touches = |held: &IpFragRange| usize::from(held.start) < end && start < usize::from(held.end);
    if start == end || buf.sections().iter().any(holds) {
        return Outcome::Waiting;
    }
    // A last piece that ends before bytes already held is a conflict too: etherparse looks only the other way.
    let short = !piece.more && buf.sections().iter().any(|held| usize::from(held.end) > end);
    if short || buf.sections().iter().any(touches) || buf.sections().len() >= MAX_HOLES {
        return Outcome::Conflict;
    }
    match buf.add(piece.offset, piece.more, piece.rest.bytes) {
        Err(_) => Outcome::Conflict,
        Ok(()) if buf.is_complete() => Outcome::Whole,
        Ok(()) => Outcome::Waiting,
    }
}

/// How long a datagram may take to arrive, in packet time. Linux waits 30 s for IPv4 and 60 s for IPv6; RFC 8200 says 60.
const TIMEOUT: i64 = 30_000_000_000;

/// How long copies of a whole datagram's pieces may lag. Short, since busy senders use identifications again soon.
const COPIES_WITHIN: i64 = 10_000_000;

/// Separate stretches of one datagram, far apart. 64 KiB in Ethernet packets are 45 pieces in whatever order.
const MAX_HOLES: usize = 64;
