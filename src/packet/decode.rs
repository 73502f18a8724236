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
        let mut start = Start { layer: first, rest: Rest { bytes: frame.data, missing }, ends: Ends::Unknown };
        match peel(&mut start, &frame, &mut self.fragments, counts) {
            Peeled::Tcp(rest) => transport::tcp(rest, &start.ends, counts),
            Peeled::Nothing => None,
            Peeled::Whole(whole) => self.reassembled(whole, frame, counts),
        }
    }

    /// What a datagram carries that this frame made whole. It may itself be a tunnel for pieces of another.
    #[cold]
    fn reassembled<'a>(&'a mut self, whole: Whole, frame: Frame<'a>, counts: &mut Counts) -> Option<Decoded<'a>> {
        let (mut start, old) = whole.start(&mut self.outer);
        self.fragments.give_back(old);
        let whole = match peel(&mut start, &frame, &mut self.fragments, counts) {
            Peeled::Tcp(rest) => return transport::tcp(rest, &start.ends, counts),
            Peeled::Nothing => return None,
            Peeled::Whole(whole) => whole,
        };
        let (mut start, old) = whole.start(&mut self.inner);
        self.fragments.give_back(old);
        match peel(&mut start, &frame, &mut self.fragments, counts) {
            Peeled::Tcp(rest) => transport::tcp(rest, &start.ends, counts),
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
pub(super) struct Start<'a> {
    pub(super) layer: Layer,
    pub(super) rest: Rest<'a>,
    pub(super) ends: Ends,
}

enum Peeled<'a> {
    Tcp(Rest<'a>),
    Nothing,
    Whole(Whole),
}

/// One layer after the other, until TCP or something else is reached.
#[inline(always)]
fn peel<'a>(start: &mut Start<'a>, frame: &Frame<'_>, fragments: &mut Fragments, counts: &mut Counts) -> Peeled<'a> {
    let Start { mut layer, mut rest, ref mut ends } = *start;
    let mut iface = frame.iface;
    for _ in 0..MAX_LAYERS {
        let mut next = match layer {
            Layer::Ip | Layer::IpNumber(TCP) => Ok((layer, rest)),
            Layer::Ethernet => link::ethernet(rest),
            Layer::EtherType(kind) => link::ether_type(kind, rest),
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
            Layer::IpNumber(UDP) => transport::udp(rest),
            Layer::IpNumber(number) => match ip::number(number, rest) {
                Ok(Behind::Layer(layer, rest)) => Ok((layer, rest)),
                Ok(Behind::Piece(piece)) => {
                    return fragments.add(*ends, iface, piece, frame.at.ts, counts).map_or(Peeled::Nothing, Peeled::Whole);
                }
                Err(count) => Err(count),
            },
        };
        // Most frames are TCP in IP in one link header: these two follow at once.
        if let Ok((Layer::Ip, rest)) = next {
            next = match ip::header(rest, ends) {
                Ok(Behind::Layer(layer, rest)) => Ok((layer, rest)),
                Ok(Behind::Piece(piece)) => {
                    return fragments.add(*ends, iface, piece, frame.at.ts, counts).map_or(Peeled::Nothing, Peeled::Whole);
                }
                Err(count) => Err(count),
            };
        }
        if let Ok((Layer::IpNumber(TCP), rest)) = next {
            return Peeled::Tcp(rest);
        }
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

/// Steps into one frame. TCP in IP on Ethernet takes one, each VLAN tag and extension header one more, a VXLAN or GENEVE tunnel
/// three, so that there is room for tunnels in one another, and an end to frames made of nothing else.
const MAX_LAYERS: usize = 16;

const TCP: u8 = 6;
const UDP: u8 = 17;
