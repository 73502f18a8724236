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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::Stamp;
    use crate::packet::testing::{ether, frame, ip4, ip4_piece, ip6, tcp, udp};
    use crate::packet::{Decoder, Frame};

    const TEXT: &[u8] = b"the quick brown fox jumps over the lazy dog, and then some more of it";

    /// The pieces of a datagram, each of `size` bytes; `size` is a multiple of eight.
    fn pieces(id: u16, number: u8, whole: &[u8], size: usize) -> Vec<Vec<u8>> {
        let last = (whole.len() - 1) / size;
        let more = |i| if i == last { 0 } else { 0x2000 };
        whole.chunks(size).enumerate().map(|(i, part)| ip4_piece(number, id, (i * size / 8) as u16 | more(i), part)).collect()
    }

    struct Road(Decoder, Counts);

    impl Road {
        fn new(limits: &Limits) -> Road {
            Road(Decoder::new(limits), Counts::default())
        }

        fn see(&mut self, packet: &[u8], iface: u32, ms: i64) -> Option<Vec<u8>> {
            let at = Stamp { ts: Ts(ms * 1_000_000), ..Stamp::default() };
            let decoded = self.0.decode(Frame { iface, at, ..frame(101, packet) }, &mut self.1);
            decoded.map(|decoded| decoded.segment.payload.to_vec())
        }

        fn lost(mut self) -> u64 {
            self.0.finish(&mut self.1);
            self.1.get(Count::FragmentsLost)
        }
    }

    #[test]
    fn whatever_order_the_pieces_come_in_the_segment_comes_once() {
        let parts = pieces(7, 6, &tcp(TEXT), 24);
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
            let mut road = Road::new(&Limits::default());
            let found: Vec<_> = order
                .iter()
                .flat_map(|i| [road.see(&parts[*i], 1, 0), road.see(&parts[*i], 2, 0), road.see(&parts[*i], 1, 1)])
                .flatten()
                .collect();
            assert_eq!(found, [TEXT, TEXT], "once for each interface");
            assert_eq!(road.1.get(Count::Fragments), 12);
            assert_eq!(road.lost(), 0);
        }
    }

    #[test]
    fn ipv6_pieces_and_pieces_in_pieces_are_put_together() {
        let mut road = Road::new(&Limits::default());
        let whole = tcp(TEXT);
        assert_eq!(road.see(&ip6(44, &[&[6, 0, 0, 1, 0, 0, 0, 9][..], &whole[..40]].concat()), 0, 0), None);
        assert_eq!(road.see(&ip6(44, &[&[6, 0, 0, 40, 0, 0, 0, 9][..], &whole[40..]].concat()), 0, 0).unwrap(), TEXT);
        let vxlan = |part: &[u8]| udp(4789, &[&[8, 0, 0, 0, 0, 0, 42, 0][..], &ether(0x0800, part)].concat());
        let mut found = Vec::new();
        for (id, inner) in pieces(1, 6, &whole, 48).iter().enumerate() {
            for outer in pieces(2 + id as u16, 17, &vxlan(inner), 64) {
                found.extend(road.see(&outer, 0, 0));
            }
        }
        assert_eq!(found, [TEXT]);
        assert_eq!(road.lost(), 0);
    }

    #[test]
    fn overlaps_spoil_the_datagram_and_repeats_do_not() {
        let whole = tcp(TEXT);
        let mut road = Road::new(&Limits::default());
        for part in [ip4_piece(6, 1, 0x2000, &whole[..48]), ip4_piece(6, 1, 0x2005, &whole[40..64]), ip4_piece(6, 1, 6, &whole[48..])] {
            assert_eq!(road.see(&part, 0, 0), None);
        }
        // The first copy of the same bytes counts, whatever a later one says.
        assert_eq!(road.see(&ip4_piece(6, 2, 0x2000, &whole[..48]), 0, 0), None);
        assert_eq!(road.see(&ip4_piece(6, 2, 0x2000, &[0xff; 48]), 0, 0), None);
        assert_eq!(road.see(&ip4_piece(6, 2, 6, &whole[48..]), 0, 0).unwrap(), TEXT);
        // A last piece that ends inside of what is there.
        assert_eq!(road.see(&ip4_piece(6, 3, 0x2000, &whole[..48]), 0, 0), None);
        assert_eq!(road.see(&ip4_piece(6, 3, 1, &whole[8..20]), 0, 0), None);
        assert_eq!(road.lost(), 2);
    }

    #[test]
    fn an_identification_may_be_used_again() {
        let (one, two) = (pieces(7, 6, &tcp(TEXT), 48), pieces(7, 6, &tcp(b"another text, of another datagram, later"), 48));
        let mut road = Road::new(&Limits::default());
        assert_eq!(road.see(&one[0], 0, 0), None);
        assert_eq!(road.see(&two[0], 0, 31_000), None);
        assert!(road.see(&two[1], 0, 31_000).unwrap().starts_with(b"another"));
        assert_eq!(road.see(&one[0], 0, 31_020), None);
        assert_eq!(road.see(&one[1], 0, 31_020).unwrap(), TEXT);
        assert_eq!(road.lost(), 1);
    }

    #[test]
    fn a_flood_of_pieces_stays_within_its_bounds() {
        let limits = Limits { fragment_datagrams: 16, fragment_bytes: 200_000, ..Limits::default() };
        let mut road = Road::new(&limits);
        for id in 0..1_000 {
            // A few bytes at the far end make room for a whole datagram.
            assert_eq!(road.see(&ip4_piece(6, id, 0x1fff - 8, &[0; 8]), 0, 0), None);
            let pool = &road.0.fragments;
            assert!(pool.table.len() <= 16 && pool.bytes <= 200_000);
            assert_eq!(
                pool.bytes,
                pool.table.values().map(|held| if let State::Open(buf) = &held.state { buf.data().capacity() } else { 0 }).sum::<usize>()
            );
        }
        assert_eq!(road.lost(), 1_000);
        let mut road = Road::new(&limits);
        for i in 0..4_000 {
            road.see(&ip4_piece(6, 1, 0x2000 | (2 * i), &[0; 8]), 0, 0);
        }
        assert_eq!(road.lost(), 1, "a thousand holes in one");
    }

    #[test]
    fn cut_pieces_never_become_whole() {
        let parts = pieces(7, 6, &tcp(TEXT), 48);
        let mut road = Road::new(&Limits::default());
        assert_eq!(road.see(&parts[0][..40], 0, 0), None);
        assert_eq!(road.see(&parts[1], 0, 0), None);
        assert_eq!((road.1.get(Count::CutPackets), road.lost()), (1, 1));
    }

    proptest! {
        #[test]
        fn arbitrary_pieces_never_panic(parts in prop::collection::vec((0u16..3, any::<u16>(), 0usize..64), 0..60)) {
            let mut road = Road::new(&Limits { fragment_datagrams: 2, fragment_bytes: 70_000, ..Limits::default() });
            for (id, place, len) in parts {
                road.see(&ip4_piece(6, id, place, &vec![0x50; len]), 0, 0);
            }
            prop_assert!(road.0.fragments.bytes <= 70_000);
            road.see(&ip4(6, &tcp(TEXT)), 0, 0).unwrap();
        }
    }
}
