//! A connection's own frames come in; the same frames go out with another payload and the checksums that fit it.

use super::alias::Aliases;
use super::gather::{Packet, Stream};
use super::head::{self, Coded};
use super::pick::How;

/// One direction's bytes by their place in it.
pub(super) struct Side {
    base: u32,
    bytes: Vec<u8>,
    there: Vec<bool>,
}

/// The payload of a connection, both ways; `None` where it spans more than is kept.
pub(super) fn sides(stream: &Stream, most: usize) -> Option<[Side; 2]> {
    Some([Side::of(stream, true, most)?, Side::of(stream, false, most)?])
}

/// Overwrites what the connection carries.
pub(super) fn cover(sides: &mut [Side; 2], how: How, aliases: &mut Aliases) -> Result<(), Coded> {
    for side in sides {
        for (from, to) in side.runs() {
            let Some(run) = side.bytes.get_mut(from..to) else { continue };
            match how {
                How::Opaque => records(run),
                _ => head::cover(run, aliases)?,
            }
        }
    }
    Ok(())
}

/// Every stretch of payload, for what has to be found wherever it stands.
pub(super) fn texts(sides: &mut [Side; 2]) -> Vec<&mut [u8]> {
    sides.iter_mut().map(|side| side.bytes.as_mut_slice()).collect()
}

/// Puts the payload back into the frames: repetitions, overlaps and all.
pub(super) fn put_back(stream: &mut Stream, sides: &[Side; 2]) {
    let [client, server] = sides;
    for packet in &mut stream.frames {
        let side = if packet.from_client { client } else { server };
        let begin = side.place(packet);
        let Some(payload) = packet.data.get(packet.payload..packet.payload + packet.len) else { continue };
        let place = |n: usize| begin.and_then(|begin| side.bytes.get(begin + n)).copied();
        // What has no place in the stream is not known to be harmless.
        let new: Vec<u8> = (0..payload.len()).map(|n| place(n).unwrap_or(0)).collect();
        let change = difference(payload, &new);
        if let Some(into) = packet.data.get_mut(packet.payload..packet.payload + packet.len) {
            into.copy_from_slice(&new);
        }
        mend(&mut packet.data, packet.tcp + CHECKSUM, change);
    }
}

impl Side {
    fn of(stream: &Stream, from_client: bool, most: usize) -> Option<Side> {
        let own = || stream.frames.iter().filter(move |packet| packet.from_client == from_client);
        // The first byte: behind the SYN where there is one, else the earliest that was seen.
        let syn = own().find(|packet| packet.syn).map(|packet| packet.seq.wrapping_add(1));
        let first = own().find(|packet| packet.len > 0).map(|packet| packet.seq);
        let earliest = || {
            own().filter(|packet| packet.len > 0).map(|packet| packet.seq).reduce(|a, b| if (b.wrapping_sub(a) as i32) < 0 { b } else { a })
        };
        let base = syn.or_else(|| first.and_then(|_| earliest())).unwrap_or_default();
        let mut side = Side { base, bytes: Vec::new(), there: Vec::new() };
        for packet in own().filter(|packet| packet.len > 0) {
            let Some(begin) = side.place(packet) else { continue };
            let end = begin.checked_add(packet.len)?;
            if end > most {
                return None;
            }
            if side.bytes.len() < end {
                side.bytes.resize(end, 0);
                side.there.resize(end, false);
            }
            let payload = packet.data.get(packet.payload..packet.payload + packet.len).unwrap_or_default();
            // The bytes seen first win, as in reassembly.
            let places = side.bytes.iter_mut().zip(&mut side.there).skip(begin);
            for ((into, there), byte) in places.zip(payload).filter(|((_, there), _)| !**there) {
                (*into, *there) = (*byte, true);
            }
        }
        Some(side)
    }

    /// Where a packet's payload begins; none for what comes before the first byte.
    fn place(&self, packet: &Packet) -> Option<usize> {
        let seq = packet.seq.wrapping_add(u32::from(packet.syn));
        usize::try_from(seq.wrapping_sub(self.base) as i32).ok()
    }

    fn runs(&self) -> Vec<(usize, usize)> {
        let mut all = Vec::new();
        let mut from = None;
        for (at, there) in self.there.iter().copied().chain([false]).enumerate() {
            match (there, from) {
                (true, None) => from = Some(at),
                (false, Some(begin)) => {
                    all.push((begin, at));
                    from = None;
                }
                _ => {}
            }
        }
        all
    }
}

/// TLS records: handshake and alerts say why a connection failed, application data says nothing without its key and goes.
fn records(run: &mut [u8]) {
    let mut at = 0;
    while let Some(&[kind, major, _, high, low]) = run.get(at..at + 5) {
        let end = (at + 5 + usize::from(u16::from_be_bytes([high, low]))).min(run.len());
        if !(20..=23).contains(&kind) || major != 3 {
            break;
        }
        if kind == APPLICATION_DATA {
            run.get_mut(at + 5..end).unwrap_or_default().fill(0);
        }
        at = end;
    }
    run.get_mut(at..).unwrap_or_default().fill(0);
}

/// By how much the sum of all 16-bit words changes (RFC 1624). The payload begins at an even place of its segment.
fn difference(old: &[u8], new: &[u8]) -> u32 {
    let word = |two: &[u8]| u32::from(two.first().copied().unwrap_or(0)) << 8 | u32::from(two.get(1).copied().unwrap_or(0));
    let mut sum = 0u64;
    for (old, new) in old.chunks(2).zip(new.chunks(2)) {
        sum += u64::from(0xffff - word(old)) + u64::from(word(new));
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u32
}

/// HC' = ~(~HC + ~m + m') (RFC 1624, eqn. 3): right stays right, and what offload left unfilled stays as it was.
fn mend(data: &mut [u8], at: usize, change: u32) {
    let Some([high, low]) = data.get_mut(at..at + 2) else { return };
    let mut sum = u32::from(!u16::from_be_bytes([*high, *low])) + change;
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    [*high, *low] = (!(sum as u16)).to_be_bytes();
}

const CHECKSUM: usize = 16;
const APPLICATION_DATA: u8 = 23;
