//! Headers that wrap a whole packet or frame in another: MPLS, PPPoE, GRE, VXLAN, GENEVE.
//! Tunnels that hide what they carry (ESP, WireGuard) are no TCP here.

use super::layer::{Layer, Rest};
use crate::base::Count;

/// MPLS label stack (RFC 3032): the last label has the bottom-of-stack bit. Nothing says what follows; the first four bits do:
/// 4 and 6 are IP, 0 is the control word before an Ethernet frame (RFC 4385, 4448).
pub(super) fn mpls(mut rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Count> {
    for _ in 0..MAX_LABELS {
        let ([_, _, bottom, _], after) = rest.take()?;
        rest = after;
        if bottom & 1 == 1 {
            return match rest.bytes.first().ok_or(Count::BadPacket)? >> 4 {
                4 | 6 => Ok((Layer::Ip, rest)),
                0 => Ok((Layer::Ethernet, rest.skip(4)?)),
                _ => Err(Count::NotTcp),
            };
        }
    }
    Err(Count::BadPacket)
}

/// PPPoE session stage (RFC 2516): version and type 1, code 0. Its length trims Ethernet padding.
pub(super) fn pppoe(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Count> {
    match rest.take()? {
        ([0x11, 0, _, _, a, b], rest) => Ok((Layer::Ppp, rest.limit(u16::from_be_bytes([*a, *b]).into()))),
        _ => Err(Count::NotTcp),
    }
}

/// GRE (RFC 2784, 2890). Version 1 is PPTP's (RFC 2637), which carries PPP. Source routes (RFC 1701) are not followed.
pub(super) fn gre(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Count> {
    const CHECKSUM: u8 = 0x80;
    const ROUTING: u8 = 0x40;
    const KEY: u8 = 0x20;
    const SEQUENCE: u8 = 0x10;
    const ACK: u8 = 0x80;
    let ([flags, version, a, b], rest) = rest.take()?;
    let field = |bit: u8| if flags & bit == 0 { 0 } else { 4 };
    match (version & 0x07, u16::from_be_bytes([*a, *b])) {
        _ if flags & ROUTING != 0 => Err(Count::NotTcp),
        (0, kind) => Ok((Layer::EtherType(kind), rest.skip(field(CHECKSUM) + field(KEY) + field(SEQUENCE))?)),
        (1, 0x880b) => Ok((Layer::Ppp, rest.skip(field(KEY) + field(SEQUENCE) + if version & ACK == 0 { 0 } else { 4 })?)),
        _ => Err(Count::NotTcp),
    }
}

/// VXLAN (RFC 7348): the flag for a valid network identifier must be set; an Ethernet frame follows.
pub(super) fn vxlan(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Count> {
    match rest.take::<8>()? {
        ([flags, ..], rest) if flags & 0x08 != 0 => Ok((Layer::Ethernet, rest)),
        _ => Err(Count::NotTcp),
    }
}

/// GENEVE (RFC 8926): version 0, options in words of four bytes, then what the EtherType says.
pub(super) fn geneve(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Count> {
    match rest.take::<8>()? {
        ([options, _, a, b, ..], rest) if options >> 6 == 0 => {
            Ok((Layer::EtherType(u16::from_be_bytes([*a, *b])), rest.skip(usize::from(options & 0x3f) * 4)?))
        }
        _ => Err(Count::NotTcp),
    }
}

/// Labels in one MPLS stack. Real stacks have up to five or so.
const MAX_LABELS: usize = 16;
