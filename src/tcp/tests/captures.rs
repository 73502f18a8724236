//! Recordings of a real gateway: what comes out whole, and what comes out of the same recording after loss, repetition and reordering.

use std::collections::{BTreeMap, BTreeSet};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};

use super::*;

/// Ethernet and IPv4 in a little-endian microsecond pcap file: all that the recordings here need.
fn segments<'a>(file: &'a [u8]) -> Vec<(Ts, Segment<'a>)> {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let mut at = 24;
    let mut all = Vec::new();
    while at + 16 <= file.len() {
        let ts = Ts((i64::from(word(at)) * 1_000_000 + i64::from(word(at + 4))) * 1000);
        let len = word(at + 8) as usize;
        let packet = SlicedPacket::from_ethernet(&file[at + 16..at + 16 + len]).unwrap();
        at += 16 + len;
        let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) = (packet.net, packet.transport) else { continue };
        let flags = [(tcp.fin(), Flags::FIN), (tcp.syn(), Flags::SYN), (tcp.rst(), Flags::RST), (tcp.ack(), Flags::ACK)];
        let ip = ip.header();
        all.push((
            ts,
            Segment {
                src: Addr::v4(ip.source(), tcp.source_port()),
                dst: Addr::v4(ip.destination(), tcp.destination_port()),
                seq: tcp.sequence_number(),
                ack: tcp.acknowledgment_number(),
                flags: Flags(flags.iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum()),
                window: tcp.window_size(),
                payload: tcp.payload(),
                cut: 0,
            },
        ));
    }
    all
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/captures/{name}.pcap", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Runs a recording to its end.
fn run(segments: &[(Ts, Segment<'_>)]) -> Lab {
    let mut lab = Lab::new();
    for (ts, seg) in segments {
        lab.ord += 1;
        lab.now = ts.0;
        lab.table.tick(*ts, &lab.limits, &mut lab.counts, &mut lab.log);
        let at = lab.stamp();
        lab.table.push(seg, at, &lab.limits, &mut lab.counts, &mut lab.log);
    }
    lab.finish();
    lab
}

/// What one side sent to the other: bytes, and holes as their length.
type Streams = BTreeMap<(Addr, Addr), Vec<Result<Vec<u8>, Option<u64>>>>;

fn streams(lab: &Lab) -> Streams {
    let ends: BTreeMap<_, _> = lab.log.conns.iter().map(|conn| (conn.id, (conn.a, conn.b))).collect();
    let mut all = Streams::new();
    for (id, said) in &lab.log.lines {
        let (a, b) = ends[id];
        let way = |dir: Dir| if dir == Dir::AtoB { (a, b) } else { (b, a) };
        match said {
            Said::Data(dir, bytes, _) => match all.entry(way(*dir)).or_default() {
                parts if matches!(parts.last(), Some(Ok(_))) => {
                    if let Some(Ok(last)) = parts.last_mut() {
                        last.extend_from_slice(bytes);
                    }
                }
                parts => parts.push(Ok(bytes.clone())),
            },
            Said::Gap(dir, len, ..) => all.entry(way(*dir)).or_default().push(Err(*len)),
            _ => {}
        }
    }
    all
}

#[test]
fn a_clean_recording_has_no_holes() {
    for name in ["litellm-swallowed-401", "p04-concurrent-24"] {
        let file = read(name);
        let segments = segments(&file);
        let lab = run(&segments);
        assert_eq!(lab.count(Count::Gaps) + lab.count(Count::MidConnections) + lab.count(Count::OutOfOrder), 0, "{name}");
        let got: usize = streams(&lab).values().flatten().map(|part| part.as_ref().map_or(0, Vec::len)).sum();
        let sent: usize = segments.iter().map(|(_, seg)| seg.payload.len()).sum();
        assert_eq!(got, sent, "{name}");
        let syns = segments.iter().filter(|(_, seg)| seg.flags == Flags(SYN)).count() as u64;
        assert_eq!((lab.count(Count::Connections), lab.log.conns.len() as u64), (syns, syns * 2), "{name}");
    }
}

#[test]
fn a_recording_that_begins_in_the_middle_says_so_once_in_each_direction() {
    let file = read("p07-midconnection");
    let lab = run(&segments(&file));
    assert_eq!((lab.count(Count::MidConnections), lab.count(Count::Gaps)), (1, 0));
    let before = lab.log.lines.iter().filter(|(_, said)| matches!(said, Said::Gap(_, None, Cause::Before, _))).count();
    assert_eq!(before, 2);
    let whole = streams(&lab).into_values().all(|parts| parts.iter().filter(|part| part.is_ok()).count() == 1);
    assert!(whole);
}

/// The second recording is the first one after 2 % loss, 1 % repetition and 3 % reordering.
#[test]
fn a_damaged_recording_is_the_whole_one_with_its_losses_said() {
    let (whole, damaged) = (read("p04-concurrent-24"), read("p71-loss-dup-reorder"));
    let (whole, damaged) = (segments(&whole), segments(&damaged));
    let (sent, lab) = (streams(&run(&whole)), run(&damaged));
    let payloads = |all: &[(Ts, Segment<'_>)]| -> BTreeSet<_> {
        all.iter()
            .filter(|(_, seg)| !seg.payload.is_empty())
            .map(|(_, seg)| (seg.src, seg.dst, seg.seq, seg.payload.len() as u64))
            .collect()
    };
    let lost = &payloads(&whole) - &payloads(&damaged);
    let lost_bytes: u64 = lost.iter().map(|(.., len)| len).sum();

    let got = streams(&lab);
    let (mut holes, mut known, mut unknown) = (0, 0, 0);
    for (way, parts) in &got {
        let Some(Ok(sent)) = sent.get(way).and_then(|parts| parts.first()) else { panic!("{way:?}") };
        let mut rest = &sent[..];
        for part in parts {
            match part {
                Ok(bytes) => {
                    let (here, further) = rest.split_at_checked(bytes.len()).unwrap_or((rest, &[]));
                    assert!(here == &bytes[..], "{way:?}: bytes at {} of {}", sent.len() - rest.len(), sent.len());
                    rest = further;
                }
                Err(Some(len)) => {
                    rest = rest.get(*len as usize..).unwrap_or(&[]);
                    (holes, known) = (holes + 1, known + len);
                }
                Err(None) => unknown += 1,
            }
        }
    }
    println!(
        "{} payload segments with {lost_bytes} bytes are missing; {holes} holes with {known} bytes said, {unknown} of unknown length",
        lost.len()
    );
    println!("{:?}", Count::ALL.iter().map(|count| (count.as_str(), lab.count(*count))).filter(|(_, n)| *n > 0).collect::<Vec<_>>());
    assert_eq!(known, lost_bytes);
    assert!(holes <= lost.len());
}
