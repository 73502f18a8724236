//! TCP and UDP headers: TCP ends the road through a packet, UDP may be a tunnel's outside.
//! Nothing is known here of what a port usually means, save for the two tunnels that have no other mark.

use etherparse::{TcpHeaderSlice, UdpHeaderSlice};

use super::checksum;
use super::decode::Decoded;
use super::layer::{Ends, Layer, Rest};
use super::{Flags, Segment};
use crate::base::{Count, Counts};

/// The segment that a packet with these addresses carries.
#[inline]
pub(super) fn tcp<'a>(rest: Rest<'a>, ends: Ends, counts: &mut Counts) -> Result<Decoded<'a>, Count> {
    let Ok(header) = TcpHeaderSlice::from_slice(rest.bytes) else { return cut_tcp(rest, ends, counts) };
    let payload = rest.skip(header.slice().len())?;
    if payload.missing > 0 {
        counts.bump(Count::CutPackets);
    } else if !checksum::holds(ends, header.checksum(), rest.bytes) {
        counts.bump(Count::BadChecksum);
    }
    let options = header.slice().get(SHORTEST..).unwrap_or_default();
    Ok(Decoded { segment: segment(&header, ends, payload.bytes, payload.missing).ok_or(Count::BadPacket)?, options })
}

/// A header whose options the capture cut off still says where its payload belongs and how long it was.
#[cold]
fn cut_tcp<'a>(rest: Rest<'a>, ends: Ends, counts: &mut Counts) -> Result<Decoded<'a>, Count> {
    let (head, after) = rest.take::<SHORTEST>()?;
    let options = usize::from(head[12] >> 4).checked_mul(4).and_then(|len| len.checked_sub(SHORTEST)).ok_or(Count::BadPacket)?;
    let missing = (after.bytes.len() + after.missing).checked_sub(options).ok_or(Count::BadPacket)?;
    let mut head = *head;
    head[12] = 5 << 4;
    let header = TcpHeaderSlice::from_slice(&head).map_err(|_| Count::BadPacket)?;
    counts.bump(Count::CutPackets);
    Ok(Decoded { segment: segment(&header, ends, &[], missing).ok_or(Count::BadPacket)?, options: after.bytes })
}

#[inline]
fn segment<'a>(header: &TcpHeaderSlice<'_>, ends: Ends, payload: &'a [u8], missing: usize) -> Option<Segment<'a>> {
    let (src, dst) = ends.with_ports(header.source_port(), header.destination_port())?;
    Some(Segment {
        src,
        dst,
        seq: header.sequence_number(),
        ack: header.acknowledgment_number(),
        flags: Flags(*header.slice().get(13)?),
        window: header.window_size(),
        payload,
        cut: u32::try_from(missing).unwrap_or(u32::MAX),
    })
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

/// A TCP header without options.
const SHORTEST: usize = 20;
