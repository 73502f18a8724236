//! TCP and UDP headers: TCP ends the road through a packet, UDP may be a tunnel's outside.
//! Nothing is known here of what a port usually means, save for the two tunnels that have no other mark.

use etherparse::UdpHeaderSlice;

use super::checksum;
use super::decode::Decoded;
use super::layer::{Ends, Layer, Rest};
use super::{Flags, Segment};
use crate::base::{Count, Counts};

/// The segment that a packet with these addresses carries (RFC 9293, 3.1).
///
/// A header whose options the capture cut off still says where its payload belongs and how long that was.
#[inline(always)]
pub(super) fn tcp<'a>(rest: Rest<'a>, ends: &Ends, counts: &mut Counts) -> Option<Decoded<'a>> {
    let found = header(rest, ends, counts);
    if found.is_none() {
        counts.bump(Count::BadPacket);
    }
    found
}

#[inline(always)]
fn header<'a>(rest: Rest<'a>, ends: &Ends, counts: &mut Counts) -> Option<Decoded<'a>> {
    let (head, after) = rest.take::<20>().ok()?;
    let &[s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, offset, flags, w0, w1, c0, c1, _, _] = head;
    let len = usize::from(offset >> 4) * 4;
    let len = len.checked_sub(head.len())?;
    let (options, payload, cut) = match after.bytes.split_at_checked(len) {
        Some((options, payload)) => (options, payload, after.missing),
        None => (after.bytes, &[][..], (after.bytes.len() + after.missing).checked_sub(len)?),
    };
    if cut > 0 {
        counts.bump(Count::CutPackets);
    } else if !checksum::holds(ends, u16::from_be_bytes([c0, c1]), rest.bytes) {
        counts.bump(Count::BadChecksum);
    }
    let (src, dst) = ends.with_ports(u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]))?;
    let segment = Segment {
        src,
        dst,
        seq: u32::from_be_bytes([q0, q1, q2, q3]),
        ack: u32::from_be_bytes([a0, a1, a2, a3]),
        flags: Flags(flags),
        window: u16::from_be_bytes([w0, w1]),
        payload,
        cut: u32::try_from(cut).unwrap_or(u32::MAX),
    };
    Some(Decoded { segment, options })
}

/// UDP that wraps frames. The port of the receiver is the mark; the sender's is chosen per flow (RFC 7348, 5).
pub(super) fn udp(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Count> {
    let header = UdpHeaderSlice::from_slice(rest.bytes).map_err(|_| Count::BadPacket)?;
    let layer = match header.destination_port() {
        4789 | 8472 => Layer::Vxlan,
        6081 => Layer::Geneve,
        _ => return Err(Count::NotTcp),
    };
    // Length 0 stands for "offload was to fill it in", or a jumbogram (RFC 2675, 4).
    let rest = if header.length() == 0 { rest } else { rest.limit(header.length().into()) };
    Ok((layer, rest.skip(header.slice().len())?))
}
