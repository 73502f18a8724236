//! Frames of every link type through one decoder: two bytes say which link and how much the snapshot length cut, two how long it is.
#![no_main]

use gatewitness::base::{Counts, Limits};
use gatewitness::packet::{Decoder, Frame, LINKS, Sightings};
use gatewitness_fuzz::script::stamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = Limits { fragment_datagrams: 8, fragment_bytes: 65_536, sightings: 64, tied_connections: 4, ..Limits::default() };
    let (mut decoder, mut sightings, mut counts) = (Decoder::new(&limits), Sightings::new(&limits), Counts::default());
    let (mut rest, mut ord) = (data, 0);
    while let [link, cut, a, b, after @ ..] = rest {
        ord += 1;
        let len = usize::from(u16::from_le_bytes([*a, *b])).min(after.len());
        let (bytes, later) = after.split_at(len);
        rest = later;
        let link = LINKS.get(usize::from(*link) % (LINKS.len() + 1)).map_or(u16::from(*link), |(link, _)| *link);
        let orig_len = (len + usize::from(*cut)) as u32;
        let frame = Frame { link, data: bytes, orig_len, iface: ord as u32 % 3, at: stamp(ord) };
        if let Some(mut decoded) = decoder.decode(frame, &mut counts) {
            assert!(decoded.segment.payload.len() <= 65_535 * 2);
            sightings.push(&mut decoded, stamp(ord), &mut counts);
        }
    }
    decoder.finish(&mut counts);
});
