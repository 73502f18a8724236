//! Kept frames come in, the files of one bundle go out: `streams.pcapng`, `finding.json`, `ladder.txt`.

use std::io;

use serde::Serialize;
use serde_json::{Value, json};

use super::alias::Aliases;
use super::cover;
use super::gather::{Gather, Stream};
use super::made;
use super::messages;
use super::pick::{Expected, How, Wanted};
use crate::base::{Count, Keyer, Stamp};
use crate::capfile::Writer;
use crate::pipeline::Summary;
use crate::report::record::SummaryRecord;

/// What a bundle is told of the run.
pub struct Setting<'a> {
    /// Makes fingerprints, and stand-ins for secrets.
    pub keyer: &'a Keyer,
    /// The run's summary: gateways, losses, counters.
    pub summary: &'a Summary,
}

/// One finding's evidence.
pub struct Bundle {
    /// `finding-0003`
    pub name: String,
    /// The packets.
    pub streams: Vec<u8>,
    /// Of each stream, how it got there.
    kept: Vec<Kept>,
    wanted: Wanted,
}

/// A stream in a bundle.
#[derive(Clone, Debug, Serialize)]
pub struct Kept {
    client: String,
    server: String,
    what: String,
    how: String,
    synthetic: bool,
    packets: usize,
    left_out: u64,
}

/// Whether the bundle is judged as the capture was.
#[derive(Clone, Debug, Serialize)]
pub struct Replayed {
    /// The same verdicts, for the same clients on the same routes.
    pub same: bool,
    /// What to run.
    pub command: String,
    /// What came out, where that is something else.
    pub instead: Vec<String>,
}

impl Bundle {
    /// Makes the packets of the `n`-th bundle; its frames are used up.
    pub fn new(gather: &mut Gather, n: usize, wanted: Wanted, setting: &Setting<'_>) -> io::Result<Bundle> {
        let mut streams = gather.bundles.get_mut(n).map(std::mem::take).unwrap_or_default();
        let mut aliases = Aliases::new(setting.keyer.clone());
        let mut all: Vec<Out> = Vec::new();
        let mut kept = Vec::new();
        // First what is overwritten in place: it shows what stands for each secret.
        let mut rest = Vec::new();
        let mut plain = Vec::new();
        for (copy, stream) in streams.drain(..).flat_map(|stream| stream.split().into_iter().enumerate()) {
            match stream.how() {
                How::Made(why) => rest.push((stream, why)),
                how => match cover::sides(&stream, MOST_SPAN) {
                    Some(mut sides) => match cover::cover(&mut sides, how, &mut aliases) {
                        Ok(()) => plain.push((stream, sides)),
                        Err(_) if copy == 0 => rest.push((stream, "a body is coded (gzip, zstd, ...)")),
                        // Written anew, one copy is enough.
                        Err(_) => {}
                    },
                    None if copy == 0 => rest.push((stream, "it spans too much to be overwritten in place")),
                    None => {}
                },
            }
        }
        aliases.sweep(&mut plain.iter_mut().flat_map(|(_, sides)| cover::texts(sides)).collect::<Vec<_>>());
        for (mut stream, sides) in plain {
            cover::put_back(&mut stream, &sides);
            let how = match stream.how() {
                How::Opaque => "its own packets; encrypted application data zeroed",
                _ => "its own packets; secrets overwritten in place, checksums mended",
            };
            kept.push(Kept::new(&stream, how, false, stream.frames.len()));
            all.extend(stream.frames.into_iter().enumerate().map(|(n, packet)| Out {
                at: packet.at,
                made: false,
                place: (packet.link, packet.iface),
                orig_len: packet.orig_len,
                comment: (n == 0).then(|| format!("gatewitness: {}", stream.part.label)),
                data: packet.data,
            }));
        }
        for (stream, why) in rest {
            let said = messages::read(&stream, &gather.keys, setting.keyer, &gather.limits);
            let packets = made::packets(stream.part.peers.client, stream.part.peers.server, said, &mut aliases);
            let how = format!("synthetic packets that carry the messages in clear: {why}");
            kept.push(Kept::new(&stream, &how, true, packets.len()));
            all.extend(packets.into_iter().enumerate().map(|(n, packet)| {
                let of = if packet.at.frame > 0 { format!(", from frame {} of the capture", packet.at.frame) } else { String::new() };
                let comment =
                    if n == 0 { format!("gatewitness: {}; SYNTHETIC: {why}{of}", stream.part.label) } else { format!("synthetic{of}") };
                Out {
                    at: packet.at,
                    made: true,
                    place: (ETHERNET, 0),
                    orig_len: packet.data.len() as u32,
                    comment: Some(comment),
                    data: packet.data,
                }
            }));
        }
        let mut texts: Vec<&mut [u8]> = all.iter_mut().filter(|one| one.made).map(|one| one.data.as_mut_slice()).collect();
        aliases.sweep(&mut texts);
        // Within one packet's time, in the order in which they were made.
        all.sort_by_key(|one| (one.at.ts, one.at.ord));
        let streams = write(&all, wanted.finding)?;
        Ok(Bundle { name: format!("finding-{:04}", wanted.finding), streams, kept, wanted })
    }

    /// What its packets must be judged to be.
    pub fn expected(&self) -> Vec<Expected> {
        self.wanted.expected()
    }

    /// Where the gateways of its pairs listen.
    pub fn gateways(&self) -> Vec<String> {
        self.wanted.gateways().iter().map(ToString::to_string).collect()
    }

    /// The ladders of its pairs.
    pub fn ladder(&self) -> String {
        let all: Vec<&str> = self.wanted.traces.iter().map(|trace| trace.ladder.as_str()).collect();
        all.join("\n----\n\n")
    }

    /// `finding.json`
    pub fn json(&self, setting: &Setting<'_>, replayed: &Replayed) -> io::Result<Vec<u8>> {
        let summary = setting.summary;
        let counts: serde_json::Map<String, Value> = Count::ALL
            .iter()
            .filter(|count| summary.counts.get(**count) > 0)
            .map(|count| (count.as_str().to_owned(), summary.counts.get(*count).into()))
            .collect();
        let mut run = serde_json::to_value(SummaryRecord::new(summary))?;
        if let Some(run) = run.as_object_mut() {
            run.insert("counts".to_owned(), counts.into());
        }
        let pairs: Vec<&Value> = self.wanted.traces.iter().map(|trace| &trace.record).collect();
        let document = json!({
            "schema": 1,
            "gatewitness": env!("CARGO_PKG_VERSION"),
            "finding": self.wanted.record,
            "pairs": pairs,
            "pairs_left_out": self.wanted.untold,
            "streams": self.kept,
            "replay": replayed,
            "run": run,
        });
        let mut text = serde_json::to_vec_pretty(&document)?;
        text.push(b'\n');
        Ok(text)
    }
}

impl Kept {
    fn new(stream: &Stream, how: &str, synthetic: bool, packets: usize) -> Kept {
        Kept {
            client: stream.part.peers.client.to_string(),
            server: stream.part.peers.server.to_string(),
            what: stream.part.label.clone(),
            how: how.to_owned(),
            synthetic,
            packets,
            left_out: stream.left_out,
        }
    }
}

/// A packet on its way out.
struct Out {
    at: Stamp,
    made: bool,
    place: (u16, u32),
    orig_len: u32,
    comment: Option<String>,
    data: Vec<u8>,
}

fn write(all: &[Out], finding: u64) -> io::Result<Vec<u8>> {
    let about = format!(
        "gatewitness evidence of finding {finding}: only the paired streams. Secrets are overwritten by stand-ins of equal length; packets \
         of the interface \"synthetic\" are made up to show in clear what was encrypted or coded."
    );
    let mut writer = Writer::new(Vec::new(), concat!("gatewitness ", env!("CARGO_PKG_VERSION")), Some(&about))?;
    let mut places: Vec<(bool, (u16, u32))> = Vec::new();
    for one in all {
        let key = (one.made, one.place);
        let iface = match places.iter().position(|place| *place == key) {
            Some(iface) => iface,
            None => {
                let name = if one.made { "synthetic".to_owned() } else { format!("captured-{}", one.place.1 & 0xffff) };
                writer.interface(one.place.0, 0, Some(&name))?;
                places.push(key);
                places.len() - 1
            }
        };
        writer.packet(iface as u32, one.at.ts, &one.data, one.orig_len, one.comment.as_deref())?;
    }
    writer.finish()
}

const ETHERNET: u16 = 1;
/// Bytes of one direction, holes included.
const MOST_SPAN: usize = 16_777_216;
