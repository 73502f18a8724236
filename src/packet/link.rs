//! Link-layer headers come off here: the link type of the capture file says which is first.
//! What a tunnel carries inside IP is not its business, save that Ethernet may stand there again.

use super::layer::{Layer, Rest};
use crate::base::Count;

/// Every link type that is understood: its LINKTYPE (or DLT) number and name.
pub const LINKS: &[(u16, &str)] = &{
    let mut names = [(0, ""); TABLE.len()];
    let mut i = 0;
    while i < TABLE.len() {
        names[i] = (TABLE[i].0, TABLE[i].1);
        i += 1;
    }
    names
};

/// One line for each link type; the commonest first, since it is searched in order. DLT 12 and 14 are what some systems
/// wrote for RAW before LINKTYPE 101 was given out.
const TABLE: &[(u16, &str, Layer)] = &[
    (1, "EN10MB", Layer::Ethernet),
    (276, "LINUX_SLL2", Layer::Sll2),
    (113, "LINUX_SLL", Layer::Sll),
    (101, "RAW", Layer::Ip),
    (0, "NULL", Layer::Null),
    (108, "LOOP", Layer::Null),
    (228, "IPV4", Layer::Ip),
    (229, "IPV6", Layer::Ip),
    (12, "RAW", Layer::Ip),
    (14, "RAW", Layer::Ip),
    (9, "PPP", Layer::Ppp),
    (50, "PPP_HDLC", Layer::PppSerial),
    (51, "PPP_ETHER", Layer::Pppoe),
    (104, "C_HDLC", Layer::PppSerial),
];

/// The first layer of a frame of this link type.
#[inline]
pub(super) fn first(link: u16) -> Option<Layer> {
    TABLE.iter().find(|(number, ..)| *number == link).map(|(.., layer)| *layer)
}

/// Ethernet II; IEEE 802.3 with LLC and SNAP is the same in other words (RFC 1042).
#[inline(always)]
pub(super) fn ethernet(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Count> {
    let ([.., a, b], rest) = rest.take::<14>()?;
    let kind = u16::from_be_bytes([*a, *b]);
    if kind >= SMALLEST_ETHER_TYPE {
        return ether_type(kind, rest);
    }
    match rest.limit(kind.into()).take::<8>() {
        Ok(([0xaa, 0xaa, 0x03, 0, 0, 0, a, b], rest)) => ether_type(u16::from_be_bytes([*a, *b]), rest),
        _ => Err(Count::NotTcp),
    }
}

/// What an EtherType announces. VLAN tags (802.1Q, 802.1ad and two older numbers for QinQ) are passed over, however many.
#[inline(always)]
pub(super) fn ether_type(kind: u16, rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Count> {
    match kind {
        0x0800 | 0x86dd => Ok((Layer::Ip, rest)),
        0x8100 | 0x88a8 | 0x9100 | 0x9200 => {
            let ([_, _, a, b], rest) = rest.take()?;
            Ok((Layer::EtherType(u16::from_be_bytes([*a, *b])), rest))
        }
        0x8847 | 0x8848 => Ok((Layer::Mpls, rest)),
        0x8864 => Ok((Layer::Pppoe, rest)),
        0x6558 => Ok((Layer::Ethernet, rest)),
        _ => Err(Count::NotTcp),
    }
}

/// BSD loopback: the address family, in the byte order of the machine that captured (NULL) or of the network (LOOP).
/// IPv6 is 10, 24, 28 or 30, depending on the system.
pub(super) fn null(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Count> {
    let (family, rest) = rest.take::<4>()?;
    let family = u32::from_le_bytes(*family).min(u32::from_be_bytes(*family));
    if matches!(family, 2 | 10 | 24 | 28 | 30) { Ok((Layer::Ip, rest)) } else { Err(Count::NotTcp) }
}

/// Linux cooked capture, version 1: what libpcap writes for the `any` device.
#[inline(always)]
pub(super) fn sll(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Count> {
    let ([.., a, b], rest) = rest.take::<16>()?;
    ether_type(u16::from_be_bytes([*a, *b]), rest)
}

/// Linux cooked capture, version 2, which also names the interface by its index there.
#[inline(always)]
pub(super) fn sll2<'a>(rest: Rest<'a>, iface: &mut u32) -> Result<(Layer, Rest<'a>), Count> {
    let ([a, b, _, _, i0, i1, i2, i3, ..], rest) = rest.take::<20>()?;
    *iface = u32::from_be_bytes([*i0, *i1, *i2, *i3]);
    ether_type(u16::from_be_bytes([*a, *b]), rest)
}

/// PPP (RFC 1661), with or without address and control bytes, protocol number in one byte or two.
pub(super) fn ppp(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Count> {
    let rest = if rest.bytes.starts_with(&[0xff, 0x03]) { rest.skip(2)? } else { rest };
    let ([first], after) = rest.take()?;
    let (number, rest) = if first & 1 == 1 {
        (u16::from(*first), after)
    } else {
        let (two, rest) = rest.take::<2>()?;
        (u16::from_be_bytes(*two), rest)
    };
    match number {
        0x0021 | 0x0057 => Ok((Layer::Ip, rest)),
        0x0281 | 0x0283 => Ok((Layer::Mpls, rest)),
        _ => Err(Count::NotTcp),
    }
}

/// PPP in HDLC-like framing (RFC 1662), or Cisco HDLC: the address byte tells.
pub(super) fn ppp_serial(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Count> {
    match rest.take::<4>()? {
        ([0x0f | 0x8f, _, a, b], after) => ether_type(u16::from_be_bytes([*a, *b]), after),
        _ => Ok((Layer::Ppp, rest)),
    }
}

/// Smaller numbers in that place are IEEE 802.3 lengths.
const SMALLEST_ETHER_TYPE: u16 = 0x0600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_link_type_stands_in_the_table_twice() {
        for (i, (number, name)) in LINKS.iter().enumerate() {
            assert!(LINKS.iter().skip(i + 1).all(|(other, _)| other != number), "{number} {name}");
        }
    }
}
