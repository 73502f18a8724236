//! The reader held against real recordings, made files, and every way to cut or spoil them.

use std::io::{self, Read};

use proptest::prelude::*;

use super::*;
use crate::base::{Limits, Ts};

const P01: &[u8] = include_bytes!("../../captures/litellm-swallowed-401.pcap");
const P73: &[u8] = include_bytes!("../../captures/p73-pcapng.pcapng");
const P74: &[u8] = include_bytes!("../../captures/p74-nanosecond.pcap");
const SLL2: &[u8] = include_bytes!("../../captures/p11-any-sll2.pcap");

/// Everything a file says, owned.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Packet { ts: i64, link: u16, iface: u32, data: Vec<u8>, orig_len: u32, comment: Option<String>, dropped: u64 },
    Other(String),
    Damage(Damage),
}

fn read(bytes: impl Read) -> Vec<Told> {
    let Ok(mut reader) = Reader::new(bytes, Limits::default().capture_block_bytes) else { return Vec::new() };
    let mut told = Vec::new();
    while let Some(block) = reader.next() {
        told.push(match block {
            Block::Packet(p) => Told::Packet {
                ts: p.ts.0,
                link: p.link,
                iface: p.iface,
                data: p.data.to_vec(),
                orig_len: p.orig_len,
                comment: p.comments.all().next().map(|c| String::from_utf8_lossy(c).into_owned()),
                dropped: p.dropped,
            },
            Block::Damage(damage) => Told::Damage(damage.clone()),
            other => Told::Other(format!("{other:?}")),
        });
    }
    told
}

fn packets(told: &[Told]) -> Vec<&Told> {
    told.iter().filter(|t| matches!(t, Told::Packet { .. })).collect()
}

fn damages(told: &[Told]) -> Vec<&Damage> {
    told.iter().filter_map(|t| if let Told::Damage(d) = t { Some(d) } else { None }).collect()
}

/// The same records with every number's bytes turned round, and the given magic.
fn turned(classic: &[u8], magic: [u8; 4], extra: usize) -> Vec<u8> {
    let word = |at: usize| u32::from_le_bytes(classic[at..at + 4].try_into().unwrap());
    let mut out = magic.to_vec();
    out.extend(2u16.to_be_bytes());
    out.extend(4u16.to_be_bytes());
    for at in [8, 12, 16, 20] {
        out.extend(word(at).to_be_bytes());
    }
    let mut at = 24;
    while at < classic.len() {
        for field in 0..4 {
            out.extend(word(at + field * 4).to_be_bytes());
        }
        out.extend(vec![0; extra]);
        let end = at + 16 + word(at + 8) as usize;
        out.extend(&classic[at + 16..end]);
        at = end;
    }
    out
}

#[test]
fn real_recordings_are_read_whole() {
    for (file, count, link) in [(P01, 28, 1), (P73, 148, 1), (P74, 381, 1), (SLL2, 340, 276)] {
        let told = read(file);
        assert_eq!(packets(&told).len(), count);
        assert!(damages(&told).is_empty());
        assert!(told.iter().all(|t| !matches!(t, Told::Packet { link: l, .. } if *l != link)));
    }
    let Some(Told::Packet { ts, data, .. }) = read(P01).into_iter().next() else { panic!() };
    assert!(Ts(ts).to_string().starts_with("2026-11-2"), "{}", Ts(ts));
    assert_eq!(data.len(), 74);
}

#[test]
fn byte_orders_and_modified_records_say_the_same() {
    let told = read(P01);
    assert_eq!(read(turned(P01, [0xa1, 0xb2, 0xc3, 0xd4], 0).as_slice()), told);
    assert_eq!(read(turned(P01, [0xa1, 0xb2, 0xcd, 0x34], 8).as_slice()), told);
    let nanos = read(turned(P01, [0xa1, 0xb2, 0x3c, 0x4d], 0).as_slice());
    let (Told::Packet { ts: micro, .. }, Told::Packet { ts: nano, .. }) = (&told[0], &nanos[0]) else { panic!() };
    assert_eq!(micro / 1_000_000_000, nano / 1_000_000_000);
    assert_eq!(micro % 1_000_000_000, nano % 1_000_000_000 * 1_000);
}

#[test]
fn what_is_written_is_read_again() {
    let mut writer = Writer::new(Vec::new(), "gatewitness", Some("evidence")).unwrap();
    let eth = writer.interface(1, 262_144, Some("eth0")).unwrap();
    let raw = writer.interface(101, 0, None).unwrap();
    writer.secrets(b"CLIENT_RANDOM 00 11\n1").unwrap();
    writer.packet(eth, Ts(1_795_386_639_496_318_801), b"abcde", 9, Some("upstream said 401")).unwrap();
    writer.packet(raw, Ts(2), b"", 0, None).unwrap();
    writer.stats(eth, Ts(3), 10, 4).unwrap();
    let file = writer.finish().unwrap();
    let told = read(file.as_slice());
    let packet = |ts, link, iface, data: &[u8], orig_len, comment: Option<&str>| Told::Packet {
        ts,
        link,
        iface,
        data: data.to_vec(),
        orig_len,
        comment: comment.map(str::to_owned),
        dropped: 0,
    };
    assert_eq!(
        told,
        vec![
            Told::Other(format!("{:?}", Block::Comment(b"evidence"))),
            Told::Other(format!("{:?}", Block::Secrets(b"CLIENT_RANDOM 00 11\n1"))),
            packet(1_795_386_639_496_318_801, 1, 0, b"abcde", 9, Some("upstream said 401")),
            packet(2, 101, 1, b"", 0, None),
            Told::Other(format!("{:?}", Block::Stats(Stats { iface: 0, ts: Ts(3), since: None, dropped: 4 }))),
        ]
    );
}

/// A block in either byte order.
fn block(big: bool, kind: u32, body: &[u8]) -> Vec<u8> {
    let word = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let body_len = body.len().next_multiple_of(4);
    let mut out = word(kind).to_vec();
    out.extend(word(12 + body_len as u32));
    out.extend(body);
    out.resize(8 + body_len, 0);
    out.extend(word(12 + body_len as u32));
    out
}

/// A section with every block that matters.
fn section(big: bool) -> Vec<u8> {
    let w = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let s = |n: u16| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let q = |n: u64| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let option = |code: u16, value: &[u8]| {
        let mut padded = value.to_vec();
        padded.resize(value.len().next_multiple_of(4), 0);
        [&s(code)[..], &s(value.len() as u16), &padded].concat()
    };
    let mut out = block(big, 0x0a0d_0d0a, &[&w(0x1a2b_3c4d)[..], &s(1), &s(0), &q(u64::MAX)].concat());
    // Binary ticks of 2^-10 seconds, ten seconds late; and the default microseconds on raw IP with a snapshot length of 3.
    out.extend(block(big, 1, &[&s(1)[..], &s(0), &w(0), &option(9, &[0x8a]), &option(14, &q(10)), &option(0, &[])].concat()));
    out.extend(block(big, 1, &[&s(101)[..], &s(0), &w(3)].concat()));
    let epb = |id: u32, ticks: u64, data: &[u8]| {
        let mut padded = data.to_vec();
        padded.resize(data.len().next_multiple_of(4), 0);
        [&w(id)[..], &w((ticks >> 32) as u32), &w(ticks as u32), &w(data.len() as u32), &w(100), &padded].concat()
    };
    out.extend(block(big, 6, &[&epb(0, 512, b"one")[..], &option(4, &q(7)), &option(1, b"pid 1"), &option(0, &[])].concat()));
    out.extend(block(big, 3, &[&w(5)[..], b"three"].concat()));
    out.extend(block(big, 2, &[&s(1)[..], &s(2), &w(0), &w(1_500), &w(2), &w(9), b"pb"].concat()));
    out.extend(block(big, 4, &[&s(1)[..], &s(9), &[10, 0, 0, 7], b"gate\0", &[0; 3], &s(0), &s(0)].concat()));
    let start = [&w(0)[..], &w(1024)].concat();
    out.extend(block(
        big,
        5,
        &[&w(0)[..], &w(0), &w(2048), &option(2, &start), &option(5, &q(3)), &option(7, &q(4)), &option(0, &[])].concat(),
    ));
    out.extend(block(big, 10, &[&w(0x544c_534b)[..], &w(4), b"keys"].concat()));
    out.extend(block(big, 0x8000_0042, b"a block of somebody else's"));
    out
}

#[test]
fn every_block_in_both_byte_orders_and_sections_in_a_row() {
    let little = read(section(false).as_slice());
    assert_eq!(little, read(section(true).as_slice()));
    let packet = |told: &Told| {
        if let Told::Packet { ts, link, iface, data, comment, dropped, .. } = told {
            (*ts, *link, *iface, data.clone(), comment.clone(), *dropped)
        } else {
            panic!("{told:?}")
        }
    };
    assert_eq!(packet(&little[0]), (10_500_000_000, 1, 0, b"one".to_vec(), Some("pid 1".into()), 7));
    // Without a snapshot length on interface 0, a simple packet is whole; its time is the last one's.
    assert_eq!(packet(&little[1]), (10_500_000_000, 1, 0, b"three".to_vec(), None, 0));
    assert_eq!(packet(&little[2]), (1_500_000, 101, 1, b"pb".to_vec(), None, 2));
    let stats = Stats { iface: 0, ts: Ts(12_000_000_000), since: Some(Ts(11_000_000_000)), dropped: 7 };
    let rest = ["Names([(10.0.0.7, \"gate\")])".to_owned(), format!("{:?}", Block::Stats(stats)), format!("{:?}", Block::Secrets(b"keys"))];
    assert_eq!(little[3..], rest.map(Told::Other));
    let both = read([section(true), section(false)].concat().as_slice());
    assert_eq!(both.len(), 12);
    assert_eq!(packet(&both[6]).2, 2, "interfaces are numbered over the whole file");
}

#[test]
fn a_file_cut_anywhere_is_read_as_far_as_it_goes() {
    for whole in [P01.to_vec(), section(true), P73[..6_000].to_vec()] {
        let all = read(whole.as_slice());
        for cut in 4..whole.len() {
            let told = read(&whole[..cut]);
            let (seen, of) = (packets(&told), packets(&all));
            assert_eq!(seen[..], of[..seen.len()], "cut at {cut}");
            // At most the cut itself is damage, and it is the last word.
            let damages = damages(&told);
            assert!(damages.len() <= 1, "cut at {cut}: {damages:?}");
            assert!(
                damages.is_empty()
                    || matches!(told.last(), Some(Told::Damage(d)) if d.what == Flaw::Truncated && d.offset + d.skipped == cut as u64)
            );
        }
    }
}

#[test]
fn behind_damage_the_next_block_is_found() {
    // The 10th record's length is spoilt: that one record is lost.
    let mut spoilt = P01.to_vec();
    let mut at = 24;
    for _ in 0..9 {
        at += 16 + u32::from_le_bytes(spoilt[at + 8..at + 12].try_into().unwrap()) as usize;
    }
    spoilt[at + 8..at + 12].copy_from_slice(&[0xff; 4]);
    let told = read(spoilt.as_slice());
    assert_eq!(packets(&told).len(), 27);
    assert_eq!(damages(&told)[0].offset, at as u64);
    assert_eq!(damages(&told)[0].what, Flaw::Length(u32::MAX));
    // The same in the middle of a pcapng file, with bytes that belong to nobody.
    let at = 8_000;
    let told = read([&P73[..at], &[0xaa; 1_001], &P73[at..]].concat().as_slice());
    assert_eq!(packets(&told).len(), 147);
    assert_eq!(damages(&told).len(), 1);
    let whole = read(P73);
    assert!(packets(&told).iter().all(|packet| whole.contains(packet)));
}

#[test]
fn much_damage_costs_little_more_than_what_it_hit() {
    for (file, from, of) in [([&P01[..24], &P01[24..].repeat(20)].concat(), 24, 560), (P73.to_vec(), 500, 148)] {
        let mut spoilt = file.clone();
        for n in 0..spoilt.len() / 2_000 {
            let at = from + n * 1_999 + n * n % 1_000;
            spoilt[at] ^= (n as u8) | 1;
        }
        let (whole, told) = (read(file.as_slice()), read(spoilt.as_slice()));
        let good = packets(&told).iter().filter(|packet| whole.contains(packet)).count();
        assert!(good * 10 > of * 7, "{good} of {of}");
    }
}

#[test]
fn clocks_may_jump_and_lengths_may_be_odd() {
    // Two captures joined, a month apart; and a writer that says 0 for the original length.
    let mut file = [P01, &P01[24..]].concat();
    let mut at = P01.len();
    while at < file.len() {
        let sec = u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) - 30 * 86_400;
        let next = at + 16 + u32::from_le_bytes(file[at + 8..at + 12].try_into().unwrap()) as usize;
        file[at..at + 4].copy_from_slice(&sec.to_le_bytes());
        file[at + 12..at + 16].fill(0);
        at = next;
    }
    let told = read(file.as_slice());
    assert_eq!((packets(&told).len(), damages(&told).len()), (56, 0));
}

#[test]
fn a_packet_of_an_unknown_interface_costs_only_itself() {
    let mut file = section(false);
    let at = file.windows(8).position(|w| w == [6, 0, 0, 0, 56 + 12, 0, 0, 0] || w[..4] == [6, 0, 0, 0]).unwrap();
    file[at + 8] = 9;
    let told = read(file.as_slice());
    assert_eq!(damages(&told)[0].what, Flaw::Interface(9));
    assert_eq!(packets(&told).len(), 2);
}

#[test]
fn a_lying_length_and_a_failing_stream_are_damage() {
    let mut file = section(false);
    file.extend(6u32.to_le_bytes());
    file.extend((1u32 << 31).to_le_bytes());
    file.extend([0; 64]);
    assert!(damages(&read(file.as_slice())).iter().any(|d| d.what == Flaw::Length(1 << 31)));

    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("disk on fire"))
        }
    }
    let told = read((&P01[..1_000]).chain(Broken));
    assert_eq!(packets(&told).len(), 3);
    assert!(matches!(told.last(), Some(Told::Damage(d)) if d.what == Flaw::Unreadable("disk on fire".into())));
    assert!(matches!(Reader::new(Broken, 100), Err(e) if e.error.as_deref() == Some("disk on fire")));
    assert!(Reader::new(&b"hello, this is text"[..], 100).is_err());
}

#[test]
fn the_tail_of_a_file_can_be_read_alone() {
    for file in [P01, P73, P74] {
        let mut reader = Reader::new(file, 1 << 20).unwrap();
        while !matches!(reader.next(), Some(Block::Packet(_))) {}
        let mut tail = reader.tail(&file[file.len() - 3_000..]);
        let mut last = None;
        while let Some(block) = tail.next() {
            if let Block::Packet(packet) = block {
                last = Some(packet.ts.0);
            }
        }
        let whole = read(file);
        assert!(matches!(packets(&whole).last(), Some(Told::Packet { ts, .. }) if Some(*ts) == last));
    }
}

/// Hands out as many bytes at a time as it is told to.
struct Dribble<'a>(&'a [u8], usize);
impl Read for Dribble<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.1.min(buf.len());
        (&mut self.0).take(n as u64).read(buf)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_survived(start in 0usize..8, bytes in proptest::collection::vec(any::<u8>(), 0..3_000)) {
        let magic: &[u8] = match start {
            0 => &[0xd4, 0xc3, 0xb2, 0xa1],
            1 => &[0xa1, 0xb2, 0x3c, 0x4d],
            2 => &[0xa1, 0xb2, 0xcd, 0x34],
            3 => &P01[..24],
            4 => &P73[..200],
            5 => &[0x0a, 0x0d, 0x0d, 0x0a, 0, 0, 0, 28, 0x1a, 0x2b, 0x3c, 0x4d],
            _ => &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a],
        };
        read([magic, &bytes].concat().as_slice());
    }

    #[test]
    fn spoilt_bytes_never_invent_a_packet_beyond_the_file(ng in any::<bool>(), spots in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..20)) {
        let mut file = if ng { section(false) } else { P01.to_vec() };
        for (at, byte) in spots {
            let at = at % file.len();
            file[at] = byte;
        }
        let told = read(file.as_slice());
        let bytes: usize = packets(&told).iter().map(|t| if let Told::Packet { data, .. } = t { data.len() } else { 0 }).sum();
        prop_assert!(bytes <= file.len());
    }

    #[test]
    fn how_the_bytes_arrive_does_not_matter(ng in any::<bool>(), step in 1usize..5_000) {
        let file = if ng { P73 } else { P01 };
        prop_assert_eq!(read(Dribble(file, step)), read(file));
    }
}
