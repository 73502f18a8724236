//! The same packets come in a second time; those of the chosen connections are kept, each with where its segment lies in it. Bounded by
//! connection and in all; what does not fit is counted.

use std::collections::HashMap;

use super::pick::{How, Part, Wanted, add};
use crate::base::{Addr, Counts, Limits, Stamp};
use crate::packet::{Decoder, Frame};
use crate::tls::KeyLog;

/// Keeps frames.
pub struct Gather {
    /// By the two ends of a connection, any of their addresses.
    ends: HashMap<(Addr, Addr), Vec<Place>>,
    pub(super) bundles: Vec<Vec<Stream>>,
    pub(super) keys: KeyLog,
    pub(super) limits: Limits,
    decoder: Decoder,
    counts: Counts,
    bytes: usize,
}

/// Bundle and connection, and whether the sender is its client.
type Place = (usize, usize, bool);

/// One connection's frames.
pub(super) struct Stream {
    pub(super) part: Part,
    pub(super) frames: Vec<Packet>,
    /// Frames that did not fit, or whose segment was in pieces.
    pub(super) left_out: u64,
    bytes: usize,
    over: bool,
}

/// A frame, and where its TCP segment lies in it.
pub(super) struct Packet {
    pub(super) at: Stamp,
    pub(super) link: u16,
    pub(super) iface: u32,
    pub(super) orig_len: u32,
    pub(super) data: Vec<u8>,
    pub(super) from_client: bool,
    /// Client and server as this packet names them: a connection may be seen under other addresses too (NAT, a relay's outer leg).
    pub(super) ends: (Addr, Addr),
    pub(super) seq: u32,
    pub(super) syn: bool,
    /// Where the TCP header begins, and where the payload does.
    pub(super) tcp: usize,
    pub(super) payload: usize,
    pub(super) len: usize,
}

impl Gather {
    /// For these findings; `keys` open what is encrypted.
    pub fn new(wanted: &[Wanted], keys: KeyLog, limits: &Limits) -> Gather {
        let mut ends: HashMap<_, Vec<_>> = HashMap::new();
        let mut bundles = Vec::new();
        for (bundle, one) in wanted.iter().enumerate() {
            let mut parts: Vec<Part> = Vec::new();
            one.traces.iter().chain(&one.context).flat_map(|trace| trace.parts.clone()).for_each(|part| add(&mut parts, part));
            for (n, part) in parts.iter().enumerate() {
                for client in part.peers.clients() {
                    for server in part.peers.servers() {
                        ends.entry((client, server)).or_default().push((bundle, n, true));
                        ends.entry((server, client)).or_default().push((bundle, n, false));
                    }
                }
            }
            bundles.push(parts.into_iter().map(Stream::new).collect());
        }
        let decoder = Decoder::new(limits);
        Gather { ends, bundles, keys, limits: limits.clone(), decoder, counts: Counts::default(), bytes: 0 }
    }

    /// TLS secrets of the capture itself.
    pub fn secrets(&mut self, text: &[u8]) {
        self.keys.block(text, &mut self.counts);
    }

    /// A frame, as in the first reading.
    pub fn frame(&mut self, frame: Frame<'_>) {
        let Some(decoded) = self.decoder.decode(frame, &mut self.counts) else { return };
        let segment = decoded.segment;
        let Some(places) = self.ends.get(&(segment.src, segment.dst)) else { return };
        let offset = (segment.payload.as_ptr() as usize).wrapping_sub(frame.data.as_ptr() as usize);
        let within = offset <= frame.data.len() && offset.saturating_add(segment.payload.len()) <= frame.data.len();
        let tcp = offset.checked_sub(decoded.options.len() + HEADER).filter(|_| within);
        for &(bundle, n, from_client) in places {
            let Some(stream) = self.bundles.get_mut(bundle).and_then(|all| all.get_mut(n)) else { continue };
            if frame.at.ord < stream.part.from || stream.over {
                continue;
            }
            // After the pair's last packet only what closes the connection.
            if frame.at.ord > stream.part.until && !segment.payload.is_empty() {
                stream.over = true;
                continue;
            }
            let fits = stream.bytes + frame.data.len() <= self.limits.evidence_connection_bytes
                && self.bytes + frame.data.len() <= self.limits.evidence_bytes;
            let Some(tcp) = tcp.filter(|_| fits) else {
                stream.left_out += 1;
                continue;
            };
            stream.bytes += frame.data.len();
            self.bytes += frame.data.len();
            stream.frames.push(Packet {
                at: frame.at,
                link: frame.link,
                iface: frame.iface,
                orig_len: frame.orig_len,
                data: frame.data.to_vec(),
                from_client,
                ends: if from_client { (segment.src, segment.dst) } else { (segment.dst, segment.src) },
                seq: segment.seq,
                syn: segment.flags.has(crate::packet::Flags::SYN),
                tcp,
                payload: offset,
                len: segment.payload.len(),
            });
        }
    }
}

impl Stream {
    fn new(part: Part) -> Stream {
        Stream { part, frames: Vec::new(), left_out: 0, bytes: 0, over: false }
    }

    /// One stream for each pair of addresses, the first as the run names the connection. What has to be read as a whole keeps those alone.
    pub(super) fn split(self) -> Vec<Stream> {
        let main = (self.part.peers.client, self.part.peers.server);
        let whole = matches!(self.part.how, How::Made(_));
        let part = self.part.clone();
        let mut all = vec![Stream { part: self.part, frames: Vec::new(), left_out: self.left_out, bytes: 0, over: true }];
        for packet in self.frames {
            if packet.ends != main && whole {
                continue;
            }
            let place = all.iter().position(|stream| packet.ends == (stream.part.peers.client, stream.part.peers.server));
            let place = place.unwrap_or_else(|| {
                let mut part = part.clone();
                (part.peers.client, part.peers.server) = packet.ends;
                part.label += ", under other addresses";
                all.push(Stream { part, frames: Vec::new(), left_out: 0, bytes: 0, over: true });
                all.len() - 1
            });
            if let Some(stream) = all.get_mut(place) {
                stream.frames.push(packet);
            }
        }
        all
    }

    pub(super) fn how(&self) -> How {
        self.part.how
    }
}

const HEADER: usize = 20;
