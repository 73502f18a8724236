//! IPv4 and IPv6 headers come off here, with IPv6's extension headers; fragments are recognised and handed to the pool.
//! Lengths are taken from the header where it tells one, else from the capture.

use etherparse::{IpAuthHeaderSlice, IpFragOffset, IpNumber, Ipv6FragmentHeaderSlice, Ipv6RawExtHeaderSlice};

use super::layer::{Ends, Layer, Rest};
use crate::base::Count;

/// A piece of a datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    /// The datagram's identification; unique for its addresses and protocol while it is on its way.
    pub(super) id: u32,
    /// What the datagram carries, by IP number.
    pub(super) number: u8,
    /// Where this piece belongs.
    pub(super) offset: IpFragOffset,
    /// Whether another follows it.
    pub(super) more: bool,
    /// Its bytes.
    pub(super) rest: Rest<'a>,
}

/// What was found behind an IP header.
pub(super) enum Behind<'a> {
    Layer(Layer, Rest<'a>),
    Piece(Piece<'a>),
}

/// An IP header of either version.
#[inline(always)]
pub(super) fn header<'a>(rest: Rest<'a>, ends: &mut Ends) -> Result<Behind<'a>, Count> {
    match rest.bytes.first().ok_or(Count::BadPacket)? >> 4 {
        4 => v4(rest, ends),
        6 => v6(rest, ends),
        _ => Err(Count::BadPacket),
    }
}

/// IPv4 (RFC 791, 3.1).
#[inline(always)]
fn v4<'a>(rest: Rest<'a>, ends: &mut Ends) -> Result<Behind<'a>, Count> {
    let (head, _) = rest.take::<20>()?;
    let &[version, _, l0, l1, i0, i1, f0, f1, _, number, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = head;
    let len = usize::from(version & 0x0f) * 4;
    // Length 0: the card was to cut this packet into pieces and fill the length in (segmentation offload).
    let rest = match usize::from(u16::from_be_bytes([l0, l1])) {
        0 => rest,
        total if total < len => return Err(Count::BadPacket),
        total => rest.limit(total),
    };
    if len < head.len() {
        return Err(Count::BadPacket);
    }
    let rest = rest.skip(len)?;
    *ends = Ends::V4([s0, s1, s2, s3], [d0, d1, d2, d3]);
    let fragment = u16::from_be_bytes([f0, f1]);
    if fragment & 0x3fff != 0 {
        let offset = IpFragOffset::try_new(fragment & 0x1fff).map_err(|_| Count::BadPacket)?;
        let id = u16::from_be_bytes([i0, i1]).into();
        return Ok(Behind::Piece(Piece { id, number, offset, more: fragment & 0x2000 != 0, rest }));
    }
    Ok(Behind::Layer(Layer::IpNumber(number), rest))
}

/// IPv6 (RFC 8200, 3).
#[inline(always)]
fn v6<'a>(rest: Rest<'a>, ends: &mut Ends) -> Result<Behind<'a>, Count> {
    let (&[_, _, _, _, l0, l1, number, _], rest) = rest.take()?;
    let (src, rest) = rest.take::<16>()?;
    let (dst, rest) = rest.take::<16>()?;
    // Length 0: a jumbogram (RFC 2675), as segmentation offload makes them, or one that offload was to fill in.
    let rest = match usize::from(u16::from_be_bytes([l0, l1])) {
        0 => rest,
        len => rest.limit(len),
    };
    *ends = Ends::V6(*src, *dst);
    Ok(Behind::Layer(Layer::IpNumber(number), rest))
}

/// What an IP header announced by number, other than TCP and UDP: an extension header, a fragment, or a tunnel.
pub(super) fn number(number: u8, rest: Rest<'_>) -> Result<Behind<'_>, Count> {
    match IpNumber(number) {
        IpNumber::IPV4 | IpNumber::IPV6 => Ok(Behind::Layer(Layer::Ip, rest)),
        IpNumber::GRE => Ok(Behind::Layer(Layer::Gre, rest)),
        IpNumber::MPLS_IN_IP => Ok(Behind::Layer(Layer::Mpls, rest)),
        IpNumber::IPV6_HEADER_HOP_BY_HOP | IpNumber::IPV6_ROUTE_HEADER | IpNumber::IPV6_DESTINATION_OPTIONS => {
            let header = Ipv6RawExtHeaderSlice::from_slice(rest.bytes).map_err(|_| Count::BadPacket)?;
            Ok(Behind::Layer(Layer::IpNumber(header.next_header().0), rest.skip(header.slice().len())?))
        }
        IpNumber::AUTHENTICATION_HEADER => {
            let header = IpAuthHeaderSlice::from_slice(rest.bytes).map_err(|_| Count::BadPacket)?;
            Ok(Behind::Layer(Layer::IpNumber(header.next_header().0), rest.skip(header.slice().len())?))
        }
        IpNumber::IPV6_FRAGMENTATION_HEADER => {
            let header = Ipv6FragmentHeaderSlice::from_slice(rest.bytes).map_err(|_| Count::BadPacket)?;
            let (number, rest) = (header.next_header().0, rest.skip(header.slice().len())?);
            // "Atomic" fragments are whole (RFC 6946).
            if !header.is_fragmenting_payload() {
                return Ok(Behind::Layer(Layer::IpNumber(number), rest));
            }
            let (offset, more) = (header.fragment_offset(), header.more_fragments());
            Ok(Behind::Piece(Piece { id: header.identification(), number, offset, more, rest }))
        }
        _ => Err(Count::NotTcp),
    }
}
