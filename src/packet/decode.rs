//! A frame comes in, its TCP segment goes out, however deep it is wrapped. What is no TCP, or no longer whole, is counted.

use super::fragments::{Fragments, Whole};
use super::ip::{self, Behind};
use super::layer::{Ends, Layer, Rest};
use super::{Segment, link, transport, tunnel};
use crate::base::{Count, Counts, Limits, Stamp};

/// A captured frame, as a capture file or a live interface gives it.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// LINKTYPE (or DLT) of the interface it was captured on.
    pub link: u16,
    /// The bytes that were captured.
    pub data: &'a [u8],
    /// How many bytes the frame had on the wire.
    pub orig_len: u32,
    /// Which interface of the capture: pieces of one datagram are not mixed across interfaces.
    pub iface: u32,
    /// When and where in the input.
    pub at: Stamp,
}

/// A segment, with what only [`super::Sightings`] wants to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The segment.
    pub segment: Segment<'a>,
    /// TCP options as captured: they pass through NAT unchanged and, with timestamps, differ from packet to packet.
    pub options: &'a [u8],
}

/// Peels frames. Holds nothing but the pieces of fragmented datagrams.
#[derive(Debug)]
pub struct Decoder {
    pub(super) fragments: Fragments,
    /// The datagram at hand, and the one that it in turn was a piece's tunnel for.
    outer: Vec<u8>,
    inner: Vec<u8>,
}

impl Decoder {
    /// With the bounds on fragments that `limits` names.
    pub fn new(limits: &Limits) -> Decoder {
        Decoder { fragments: Fragments::new(limits), outer: Vec::new(), inner: Vec::new() }
    }

    /// The TCP segment that this frame carries or completes. Anything else is counted, and why.
    pub fn decode<'a>(&'a mut self, frame: Frame<'a>, counts: &mut Counts) -> Option<Decoded<'a>> {
        let missing = usize::try_from(frame.orig_len).unwrap_or(usize::MAX).saturating_sub(frame.data.len());
        let Some(first) = link::first(frame.link) else {
            counts.bump(Count::UnknownLink);
            return None;
        };
        let start = Start { layer: first, rest: Rest { bytes: frame.data, missing }, ends: Ends::Unknown };
        let whole = match peel(start, &frame, &mut self.fragments, counts) {
            Peeled::Segment(decoded) => return Some(decoded),
            Peeled::Nothing => return None,
            Peeled::Whole(whole) => whole,
        };
        let (start, old) = whole.start(&mut self.outer);
        self.fragments.give_back(old);
        let whole = match peel(start, &frame, &mut self.fragments, counts) {
            Peeled::Segment(decoded) => return Some(decoded),
            Peeled::Nothing => return None,
            Peeled::Whole(whole) => whole,
        };
        let (start, old) = whole.start(&mut self.inner);
        self.fragments.give_back(old);
        match peel(start, &frame, &mut self.fragments, counts) {
            Peeled::Segment(decoded) => Some(decoded),
            Peeled::Nothing => None,
            // Fragments in fragments in fragments: nobody means that.
            Peeled::Whole(_) => {
                counts.bump(Count::FragmentsLost);
                None
            }
        }
    }

    /// The capture is over: datagrams that are still waiting for pieces are lost.
    pub fn finish(&mut self, counts: &mut Counts) {
        self.fragments.finish(counts);
    }
}

/// Where to begin peeling.
#[derive(Clone, Copy)]
pub(super) struct Start<'a> {
    pub(super) layer: Layer,
    pub(super) rest: Rest<'a>,
    pub(super) ends: Ends,
}

enum Peeled<'a> {
    Segment(Decoded<'a>),
    Nothing,
    Whole(Whole),
}

/// One layer after the other, until TCP or something else is reached.
fn peel<'a>(start: Start<'a>, frame: &Frame<'_>, fragments: &mut Fragments, counts: &mut Counts) -> Peeled<'a> {
    let Start { mut layer, mut rest, mut ends } = start;
    let mut iface = frame.iface;
    for _ in 0..MAX_LAYERS {
        let next = match layer {
            Layer::Ethernet => link::ethernet(rest),
            Layer::EtherType(kind) => link::ether_type(kind, rest),
            Layer::Ip => match ip::header(rest, &mut ends) {
                Ok(Behind::Layer(layer, rest)) => Ok((layer, rest)),
                Ok(Behind::Piece(piece)) => {
                    return fragments.add(ends, iface, piece, frame.at.ts, counts).map_or(Peeled::Nothing, Peeled::Whole);
                }
                Err(count) => Err(count),
            },
            Layer::IpNumber(TCP) => match transport::tcp(rest, ends, counts) {
                Ok(decoded) => return Peeled::Segment(decoded),
                Err(count) => Err(count),
            },
            Layer::IpNumber(UDP) => transport::udp(rest),
            Layer::IpNumber(number) => match ip::number(number, rest) {
                Ok(Behind::Layer(layer, rest)) => Ok((layer, rest)),
                Ok(Behind::Piece(piece)) => {
                    return fragments.add(ends, iface, piece, frame.at.ts, counts).map_or(Peeled::Nothing, Peeled::Whole);
                }
                Err(count) => Err(count),
            },
            Layer::Sll2 => link::sll2(rest, &mut iface),
            Layer::Sll => link::sll(rest),
            Layer::Null => link::null(rest),
            Layer::Ppp => link::ppp(rest),
            Layer::PppSerial => link::ppp_serial(rest),
            Layer::Pppoe => tunnel::pppoe(rest),
            Layer::Mpls => tunnel::mpls(rest),
            Layer::Gre => tunnel::gre(rest),
            Layer::Vxlan => tunnel::vxlan(rest),
            Layer::Geneve => tunnel::geneve(rest),
        };
        match next {
            Ok(next) => (layer, rest) = next,
            Err(count) => {
                counts.bump(count);
                return Peeled::Nothing;
            }
        }
    }
    counts.bump(Count::BadPacket);
    Peeled::Nothing
}

/// Layers peeled from one frame. TCP in IPv4 on Ethernet takes four, each VLAN tag and extension header one more, a VXLAN or
/// GENEVE tunnel five: room for two tunnels in one another.
const MAX_LAYERS: usize = 24;

const TCP: u8 = 6;
const UDP: u8 = 17;
