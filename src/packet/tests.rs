//! The road through one frame: every link type and wrapping, lengths, cuts, recordings, and arbitrary bytes.

use proptest::prelude::*;

use super::testing::{decode, ether, frame, ip4, ip6, recording, tcp, udp};
use super::{Decoder, Frame, LINKS};
use crate::base::{Count, Counts, Limits};

const GET: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

/// Payload and missing bytes of the segment in this frame.
fn payload_of(frame: Frame<'_>, counts: &mut Counts) -> Option<(String, u32)> {
    decode(frame, counts, |decoded| decoded.map(|d| (String::from_utf8_lossy(d.segment.payload).into_owned(), d.segment.cut)))
}

fn finds_get(link: u16, data: &[u8]) {
    let mut counts = Counts::default();
    let found = payload_of(frame(link, data), &mut counts);
    assert_eq!(found, Some((String::from_utf8_lossy(GET).into_owned(), 0)), "link {link}, {data:02x?}, {counts:?}");
}

#[test]
fn a_segment_has_every_field_of_its_headers() {
    let data = ether(0x0800, &ip4(6, &tcp(GET)));
    decode(frame(1, &data), &mut Counts::default(), |decoded| {
        let segment = decoded.unwrap().segment;
        assert_eq!((segment.src.to_string(), segment.dst.to_string()), ("10.0.0.7:40000".into(), "10.0.0.5:4000".into()));
        assert_eq!((segment.seq, segment.ack, segment.flags.0, segment.window), (0x1000, 0x2000, 0x18, 0x100));
        assert_eq!((segment.payload, segment.cut), (GET, 0));
    });
}

#[test]
fn every_link_type_is_peeled() {
    let (v4, v6) = (ip4(6, &tcp(GET)), ip6(6, &tcp(GET)));
    for (link, _) in LINKS {
        let heads: &[&[u8]] = match link {
            1 => &[&[0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 8, 0], &[0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 66, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]],
            276 => &[&[8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0]],
            113 => &[&[0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0]],
            0 | 108 => &[&[2, 0, 0, 0], &[0, 0, 0, 2], &[30, 0, 0, 0], &[0, 0, 0, 24]],
            9 => &[&[0, 0x21], &[0x21], &[0xff, 3, 0, 0x57]],
            50 | 104 => &[&[0xff, 3, 0, 0x21], &[0x0f, 0, 8, 0], &[0x8f, 0, 0x86, 0xdd]],
            51 => &[],
            _ => &[&[]],
        };
        for head in heads {
            finds_get(*link, &[head, &v4[..]].concat());
        }
        if *link == 51 {
            finds_get(51, &[&[0x11, 0, 0, 1, 0, 60, 0, 0x21], &v4[..], b"padding"].concat());
        } else if *link != 1 {
            finds_get(*link, &[heads[0], &v6[..]].concat());
        }
    }
}

#[test]
fn tags_and_tunnels_are_peeled() {
    let (v4, v6) = (ip4(6, &tcp(GET)), ip6(6, &tcp(GET)));
    let inside = ether(0x0800, &v4);
    let wrap = |head: &[u8], inner: &[u8]| [head, inner].concat();
    let vxlan = |port| ip4(17, &udp(port, &wrap(&[8, 0, 0, 0, 0, 0, 42, 0], &inside)));
    let packets: &[Vec<u8>] = &[
        ip4(4, &v4),  // IP in IP
        ip4(41, &v6), // 6in4
        ip6(4, &v4),
        ip4(47, &wrap(&[0, 0, 8, 0], &v4)),                                        // GRE
        ip4(47, &wrap(&[0xb0, 0, 8, 0, 1, 1, 0, 0, 2, 2, 2, 2, 3, 3, 3, 3], &v4)), // with checksum, key, sequence number
        ip4(47, &wrap(&[0, 0, 0x65, 0x58], &inside)),                              // with Ethernet
        ip4(47, &wrap(&[0x30, 0x81, 0x88, 0x0b, 0, 70, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 3, 0, 0x21], &v4)), // PPTP
        ip4(137, &wrap(&[0, 1, 1, 64], &v4)),                                      // MPLS in IP
        vxlan(4789),
        vxlan(8472),
        ip4(17, &udp(6081, &wrap(&[2, 0, 0x65, 0x58, 0, 0, 42, 0, 9, 9, 9, 9, 9, 9, 9, 9], &inside))), // GENEVE, 8 bytes of options
        ip4(17, &udp(6081, &wrap(&[0, 0, 8, 0, 0, 0, 42, 0], &v4))),
        ip6(
            0,
            &wrap(
                &[43, 0, 1, 4, 0, 0, 0, 0],
                &wrap(&[60, 0, 4, 0, 0, 0, 0, 0], &wrap(&[6, 1, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &tcp(GET))),
            ),
        ),
        ip6(51, &wrap(&[6, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &tcp(GET))), // AH
        ip6(44, &wrap(&[6, 0, 0, 0, 0, 0, 0, 9], &tcp(GET))),                                                 // atomic fragment
    ];
    for packet in packets {
        finds_get(101, packet);
        let tagged = [
            &[0, 42, 0x88, 0xa8, 0, 7, 0x91, 0, 0, 1][..],
            &[if packet[0] >> 4 == 4 { 8 } else { 0x86 }, if packet[0] >> 4 == 4 { 0 } else { 0xdd }],
            packet,
        ]
        .concat();
        finds_get(1, &ether(0x8100, &tagged)); // three VLAN tags
        finds_get(1, &ether(0x8847, &[&[0, 1, 0, 64, 0, 2, 1, 64][..], packet].concat())); // two MPLS labels
    }
    finds_get(1, &ether(0x8847, &[&[0, 1, 1, 64, 0, 0, 0, 0][..], &inside].concat())); // Ethernet pseudowire
    finds_get(1, &ether(0x8864, &[&[0x11, 0, 0, 1, 0, 60, 0, 0x21][..], &v4, b"padding"].concat()));
}

#[test]
fn what_is_no_tcp_says_so_and_nesting_has_an_end() {
    let of = |link, data: &[u8]| {
        let mut counts = Counts::default();
        assert_eq!(payload_of(frame(link, data), &mut counts), None);
        counts
    };
    assert_eq!(of(147, b"user").get(Count::UnknownLink), 1);
    assert_eq!(of(1, &ether(0x0806, &[0; 28])).get(Count::NotTcp), 1);
    assert_eq!(of(101, &ip4(17, &udp(53, GET))).get(Count::NotTcp), 1);
    assert_eq!(of(101, &ip4(1, GET)).get(Count::NotTcp), 1);
    assert_eq!(of(1, b"short").get(Count::BadPacket), 1);
    assert_eq!(of(101, &ip4(6, &tcp(GET)[..12])).get(Count::BadPacket), 1);
    assert_eq!(of(101, &[0x55; 40]).get(Count::BadPacket), 1);
    let deep = (0..40).fold(ip4(6, &tcp(GET)), |inner, _| ip4(4, &inner));
    assert_eq!(of(101, &deep).get(Count::BadPacket), 1);
}

#[test]
fn lengths_come_from_the_header_where_it_tells_one() {
    let mut counts = Counts::default();
    // Ethernet padding goes.
    let padded = [ether(0x0800, &ip4(6, &tcp(b"ab"))), vec![0; 4]].concat();
    assert_eq!(payload_of(frame(1, &padded), &mut counts), Some(("ab".into(), 0)));
    // Offload: total length 0 takes what was captured, and knows what was cut of it.
    let mut whole = ether(0x0800, &ip4(6, &tcp(GET)));
    (whole[16], whole[17]) = (0, 0);
    finds_get(1, &whole);
    let cut = Frame { orig_len: whole.len() as u32 + 60_000, ..frame(1, &whole) };
    assert_eq!(payload_of(cut, &mut counts), Some((String::from_utf8_lossy(GET).into_owned(), 60_000)));
    let mut jumbo = ip6(6, &tcp(GET));
    (jumbo[4], jumbo[5]) = (0, 0);
    finds_get(101, &jumbo);
    assert_eq!(counts.get(Count::CutPackets), 1);
}

#[test]
fn a_cut_anywhere_after_twenty_bytes_of_tcp_says_how_much_is_missing() {
    let mut segment = tcp(GET);
    segment[12] = 0x80;
    segment.splice(20..20, [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    let whole = ether(0x0800, &ip4(6, &segment));
    for len in 0..=whole.len() {
        let mut counts = Counts::default();
        let found = payload_of(Frame { orig_len: whole.len() as u32, ..frame(1, &whole[..len]) }, &mut counts);
        match len.checked_sub(14 + 20 + 20) {
            None => assert_eq!((found, counts.get(Count::BadPacket)), (None, 1), "{len}"),
            Some(rest) => {
                let (payload, cut) = found.unwrap();
                assert_eq!((payload.len(), payload.len() + cut as usize), (rest.saturating_sub(12), GET.len()), "{len}");
                assert_eq!(counts.get(Count::CutPackets), u64::from(cut > 0), "{len}");
            }
        }
    }
}

/// What a whole recording holds: segments, payload bytes, and everything that was counted.
fn survey(name: &str, snaplen: usize) -> (u64, u64, u64, Counts) {
    let (mut decoder, mut counts) = (Decoder::new(&Limits::default()), Counts::default());
    let (mut segments, mut bytes, mut cut) = (0, 0, 0);
    for owned in recording(name) {
        let data = &owned.data[..owned.data.len().min(snaplen)];
        if let Some(decoded) = decoder.decode(Frame { data, ..owned.frame() }, &mut counts) {
            segments += 1;
            bytes += decoded.segment.payload.len() as u64;
            cut += u64::from(decoded.segment.cut);
        }
    }
    (segments, bytes, cut, counts)
}

#[test]
fn recordings_are_read_to_the_last_segment() {
    // Frames and payload bytes as tcpdump and capinfos tell them.
    for (name, frames) in [
        ("litellm-swallowed-401", 28),
        ("p50-netns-upstream-iface", 307),
        ("p51-ipv6", 312),
        ("p72-vlan", 372),
        ("p80-dnat-container", 1713),
    ] {
        let (segments, bytes, cut, counts) = survey(name, usize::MAX);
        assert_eq!((segments, cut), (frames, 0), "{name} {counts:?}");
        let (short, part, missing, counts) = survey(name, 200);
        assert_eq!((short, part + missing), (frames, bytes), "{name} {counts:?}");
        assert!(counts.get(Count::CutPackets) > 0 && missing > 0);
    }
}

#[test]
fn checksums_are_told_and_not_acted_upon() {
    // On loopback every checksum is left to the card (p01). Behind real interfaces they are right, save what this host sends.
    assert_eq!(survey("litellm-swallowed-401", usize::MAX).3.get(Count::BadChecksum), 28);
    assert_eq!(survey("p51-ipv6", usize::MAX).3.get(Count::BadChecksum), 312);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(link in prop::sample::select(LINKS), data in prop::collection::vec(any::<u8>(), 0..200), more in 0u32..2000) {
        let mut counts = Counts::default();
        let frame = Frame { orig_len: (data.len() as u32).saturating_add(more), ..frame(link.0, &data) };
        let found = payload_of(frame, &mut counts).is_some();
        let refused: u64 = [Count::NotTcp, Count::BadPacket, Count::Fragments].iter().map(|count| counts.get(*count)).sum();
        prop_assert_eq!(u64::from(found) + refused, 1);
    }

    #[test]
    fn damaged_packets_never_panic(at in prop::collection::vec((0usize..160, any::<u8>()), 1..6), start in 0u16..4) {
        let inside = ether(0x0800, &ip4(6, &tcp(GET)));
        let vxlan = ip4(17, &udp(4789, &[&[8, 0, 0, 0, 0, 0, 42, 0][..], &inside].concat()));
        let mut data = match start {
            0 => ether(0x8100, &[&[0, 42, 8, 0][..], &vxlan].concat()),
            1 => ether(0x86dd, &ip6(0, &[&[44, 0, 1, 4, 0, 0, 0, 0, 6, 0, 0, 1, 0, 0, 0, 9][..], &tcp(GET)].concat())),
            2 => ether(0x8847, &[&[0, 1, 1, 64][..], &ip4(47, &[&[0, 0, 0x65, 0x58][..], &inside].concat())].concat()),
            _ => ether(0x8864, &[&[0x11, 0, 0, 1, 0, 200, 0, 0x21][..], &ip4(6, &tcp(GET))].concat()),
        };
        for (at, byte) in at {
            if let Some(place) = data.get_mut(at) { *place = byte }
        }
        payload_of(frame(1, &data), &mut Counts::default());
    }
}
