//! For tests of this room: recordings read into frames, and packets built by hand, from the inside out.

use super::{Decoded, Decoder, Frame};
use crate::base::{Counts, Limits, Stamp, Ts};

/// A frame with its own bytes.
pub(super) struct Owned {
    pub(super) link: u16,
    pub(super) data: Vec<u8>,
    pub(super) orig_len: u32,
    pub(super) at: Stamp,
}

impl Owned {
    pub(super) fn frame(&self) -> Frame<'_> {
        Frame { link: self.link, data: &self.data, orig_len: self.orig_len, iface: 0, at: self.at }
    }
}

/// The frames of a classic little-endian pcap file in microseconds.
pub(super) fn recording(name: &str) -> Vec<Owned> {
    let file = std::fs::read(format!("{}/captures/{name}.pcap", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    assert_eq!(word(0), 0xa1b2_c3d4, "{name}");
    let (mut frames, mut at) = (Vec::new(), 24);
    while at < file.len() {
        let (ts, len) = (i64::from(word(at)) * 1_000_000_000 + i64::from(word(at + 4)) * 1_000, word(at + 8) as usize);
        let n = frames.len() as u64 + 1;
        let data = file[at + 16..at + 16 + len].to_vec();
        frames.push(Owned { link: word(20) as u16, data, orig_len: word(at + 12), at: Stamp { ord: n, ts: Ts(ts), frame: n, file: 0 } });
        at += 16 + len;
    }
    frames
}

/// A whole Ethernet (or other) frame at time 0.
pub(super) fn frame(link: u16, data: &[u8]) -> Frame<'_> {
    Frame { link, data, orig_len: data.len() as u32, iface: 0, at: Stamp::default() }
}

/// Decodes one frame with a decoder of its own, and hands over what it found.
pub(super) fn decode<T>(frame: Frame<'_>, counts: &mut Counts, look: impl FnOnce(Option<Decoded<'_>>) -> T) -> T {
    look(Decoder::new(&Limits::default()).decode(frame, counts))
}

pub(super) fn tcp(payload: &[u8]) -> Vec<u8> {
    let header = [0x9c, 0x40, 0x0f, 0xa0, 0, 0, 0x10, 0, 0, 0, 0x20, 0, 0x50, 0x18, 1, 0, 0, 0, 0, 0];
    [&header[..], payload].concat()
}

pub(super) fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u16 + 8;
    [&[0xc0, 0, (port >> 8) as u8, port as u8, (len >> 8) as u8, len as u8, 0, 0][..], payload].concat()
}

pub(super) fn ip4(number: u8, payload: &[u8]) -> Vec<u8> {
    ip4_piece(number, 1, 0, payload)
}

/// `place`: offset in units of eight bytes, and 0x2000 if more pieces follow.
pub(super) fn ip4_piece(number: u8, id: u16, place: u16, payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u16 + 20;
    let (len, id, place) = (len.to_be_bytes(), id.to_be_bytes(), place.to_be_bytes());
    let header = [0x45, 0, len[0], len[1], id[0], id[1], place[0], place[1], 64, number, 0, 0, 10, 0, 0, 7, 10, 0, 0, 5];
    [&header[..], payload].concat()
}

pub(super) fn ip6(number: u8, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u16).to_be_bytes();
    let mut header = vec![0x60, 0, 0, 0, len[0], len[1], number, 64];
    header.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
    header.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
    header.extend(payload);
    header
}

pub(super) fn ether(kind: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &kind.to_be_bytes(), payload].concat()
}
