//! A handful of a capture's TCP segments, each as a fingerprint and a time, to find the same ones in another capture.

use std::collections::BTreeMap;
use std::io::Read;

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use foldhash::quality::FixedState;

use crate::base::Ts;
use crate::capfile::{Block, Reader};

/// Fingerprints of segments and when each was first seen.
pub(super) type Sample = BTreeMap<u64, Ts>;

/// The first segments with payload in a capture, and the first from `also_from` on.
pub(super) fn take(reader: &mut Reader<impl Read>, also_from: Option<Ts>, most: usize) -> Sample {
    let mut sample = Sample::new();
    let (mut early, mut late) = (0, 0);
    for _ in 0..MAX_BLOCKS {
        let Some(block) = reader.next() else { break };
        let Block::Packet(packet) = block else { continue };
        let is_late = also_from.is_some_and(|from| packet.ts >= from);
        let full = if is_late { late >= most } else { early >= most };
        if full && (is_late || also_from.is_none()) {
            break;
        }
        if full {
            continue;
        }
        if let Some(print) = print(packet.link, packet.data) {
            *(if is_late { &mut late } else { &mut early }) += 1;
            sample.entry(print).or_insert(packet.ts);
        }
    }
    sample
}

/// Addresses, ports, sequence and acknowledgement numbers and the payload's first bytes: the same on every wire that the segment
/// crosses, save where addresses are rewritten.
fn print(link: u16, frame: &[u8]) -> Option<u64> {
    let sliced = match link {
        LINK_ETHERNET => LaxSlicedPacket::from_ethernet(frame).ok()?,
        _ => {
            let head = match link {
                LINK_NULL | LINK_LOOP => 4,
                LINK_SLL => 16,
                LINK_SLL2 => 20,
                _ => 0,
            };
            LaxSlicedPacket::from_ip(frame.get(head..)?).ok()?
        }
    };
    let addresses: ([u8; 16], [u8; 16]) = match sliced.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            (header.source_addr().to_ipv6_mapped().octets(), header.destination_addr().to_ipv6_mapped().octets())
        }
        LaxNetSlice::Ipv6(ip) => (ip.header().source(), ip.header().destination()),
        LaxNetSlice::Arp(_) => return None,
    };
    let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else { return None };
    let payload = tcp.payload();
    let start = payload.get(..payload.len().min(PAYLOAD)).filter(|start| !start.is_empty())?;
    let numbers = (tcp.source_port(), tcp.destination_port(), tcp.sequence_number(), tcp.acknowledgment_number());
    Some(std::hash::BuildHasher::hash_one(&FixedState::with_seed(0), (addresses, numbers, start)))
}

/// Payload bytes that are compared: short enough for captures with a snapshot length.
const PAYLOAD: usize = 32;
/// Blocks that are looked at in one file.
const MAX_BLOCKS: usize = 1_000_000;
const LINK_NULL: u16 = 0;
const LINK_ETHERNET: u16 = 1;
const LINK_LOOP: u16 = 108;
const LINK_SLL: u16 = 113;
const LINK_SLL2: u16 = 276;
