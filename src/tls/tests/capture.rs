//! Reads a small capture for the tests: packets, and the ordered bytes of its connections. Naive: it knows classic pcap files
//! with few packets, no more than that.

use std::collections::BTreeMap;
use std::collections::btree_map::OccupiedEntry;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use etherparse::{SlicedPacket, TransportSlice};

use crate::base::{Counts, Dir, Limits, Stamp, Ts};
use crate::tls::KeyLog;

/// A segment with data, FIN or RST.
#[derive(Clone)]
pub(super) struct Segment {
    pub(super) at: Stamp,
    pub(super) dir: Dir,
    /// Position in its direction, from 0.
    pub(super) from: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) fin: bool,
    pub(super) rst: bool,
}

/// A connection: side a sent the SYN.
pub(super) struct Tcp {
    pub(super) name: String,
    /// Place in the file, as tshark counts.
    pub(super) number: usize,
    pub(super) segments: Vec<Segment>,
}

pub(super) fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures")
}

/// The key log beside a capture, none of it yet to come.
pub(super) fn key_log(text: &[u8]) -> KeyLog {
    let mut keys = KeyLog::new(&Limits::default());
    keys.block(text, &mut Counts::default());
    keys.complete();
    keys
}

pub(super) fn read(path: &Path) -> Vec<Tcp> {
    let file = std::fs::read(path).unwrap();
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    assert_eq!(word(0), 0xa1b2_c3d4, "{}", path.display());
    let link = word(20);
    let (mut at, mut frame) = (24, 0);
    let mut flows: Vec<(SocketAddr, SocketAddr, [u32; 2], Tcp)> = Vec::new();
    while at + 16 <= file.len() {
        let (secs, micros, len) = (word(at), word(at + 4), word(at + 8) as usize);
        let packet = &file[at + 16..at + 16 + len];
        at += 16 + len;
        frame += 1;
        let stamp = Stamp { ord: frame, ts: Ts(i64::from(secs) * 1_000_000_000 + i64::from(micros) * 1000), frame, file: 0 };
        let sliced = match link {
            1 => SlicedPacket::from_ethernet(packet),
            113 => SlicedPacket::from_linux_sll(packet),
            276 => SlicedPacket::from_ip(&packet[20..]),
            _ => panic!("link type {link}"),
        };
        let Ok(SlicedPacket { net: Some(net), transport: Some(TransportSlice::Tcp(tcp)), .. }) = sliced else { continue };
        let (from, to): (IpAddr, IpAddr) = match &net {
            etherparse::NetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
            etherparse::NetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
            etherparse::NetSlice::Arp(_) => continue,
        };
        let (from, to) = (SocketAddr::new(from, tcp.source_port()), SocketAddr::new(to, tcp.destination_port()));
        if tcp.syn() && !tcp.ack() {
            let flow = Tcp { name: format!("{from}-{to}"), number: flows.len(), segments: Vec::new() };
            flows.push((from, to, [tcp.sequence_number().wrapping_add(1), 0], flow));
            continue;
        }
        let Some(flow) = flows.iter_mut().rev().find(|flow| (flow.0, flow.1) == (from, to) || (flow.1, flow.0) == (from, to)) else {
            continue;
        };
        let dir = if flow.0 == from { Dir::AtoB } else { Dir::BtoA };
        if tcp.syn() {
            flow.2[1] = tcp.sequence_number().wrapping_add(1);
            continue;
        }
        if !tcp.payload().is_empty() || tcp.fin() || tcp.rst() {
            let from = u64::from(tcp.sequence_number().wrapping_sub(flow.2[dir.index()]));
            flow.3.segments.push(Segment { at: stamp, dir, from, bytes: tcp.payload().to_vec(), fin: tcp.fin(), rst: tcp.rst() });
        }
    }
    flows.into_iter().map(|flow| in_order(flow.3)).collect()
}

/// Drops what was seen before and puts late segments in their place.
fn in_order(tcp: Tcp) -> Tcp {
    let mut next = [0u64; 2];
    let mut late: [BTreeMap<u64, Segment>; 2] = Default::default();
    let mut segments = Vec::new();
    for segment in tcp.segments {
        let dir = segment.dir.index();
        late[dir].insert(segment.from, segment);
        while let Some(mut segment) = late[dir].first_entry().filter(|entry| *entry.key() <= next[dir]).map(OccupiedEntry::remove) {
            let seen = usize::try_from(next[dir] - segment.from).unwrap().min(segment.bytes.len());
            segment.bytes.drain(..seen);
            segment.from += seen as u64;
            next[dir] = next[dir].max(segment.from + segment.bytes.len() as u64);
            if !segment.bytes.is_empty() || segment.fin || segment.rst {
                segments.push(segment);
            }
        }
    }
    Tcp { segments, ..tcp }
}
