//! A recording of real programs: hypercorn as server, httpx as client, HTTP/2 by prior knowledge. What is read of it must be what its
//! makers wrote down.

use std::collections::BTreeMap;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};

use super::*;

/// One TCP direction put together: bytes in order, each sequence number once.
#[derive(Default)]
struct Side {
    next: Option<u32>,
    later: BTreeMap<u32, Vec<u8>>,
}

impl Side {
    /// The bytes that this segment makes available.
    fn segment(&mut self, seq: u32, bytes: &[u8]) -> Vec<u8> {
        let mut next = *self.next.get_or_insert(seq);
        self.later.insert(seq, bytes.to_vec());
        let mut out = Vec::new();
        // No sequence number wraps in these recordings.
        while let Some((from, bytes)) = self.later.pop_first() {
            if from > next {
                self.later.insert(from, bytes);
                break;
            }
            let new = bytes.get((next - from) as usize..).unwrap_or_default();
            out.extend(new);
            next += new.len() as u32;
        }
        self.next = Some(next);
        out
    }
}

type Socket = (Vec<u8>, u16);

/// Every connection to the server's port, by the client's socket: what the next room was told. The first `skip` packets are missing.
fn read(pcap: &[u8], server: u16, mut skip: usize) -> BTreeMap<String, Vec<Call>> {
    let late = skip > 0;
    let mut talks: BTreeMap<Socket, (Talk, [Side; 2])> = BTreeMap::new();
    let mut rest = &pcap[24..];
    while let Some((record, after)) = rest.split_at_checked(16) {
        let len = u32::from_le_bytes(record[8..12].try_into().unwrap()) as usize;
        let packet = SlicedPacket::from_ethernet(&after[..len]).unwrap();
        rest = &after[len..];
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) = (packet.net, packet.transport) else { continue };
        let from_client = tcp.destination_port() == server;
        if !from_client && tcp.source_port() != server {
            continue;
        }
        let client = match from_client {
            true => (ip.header().source().to_vec(), tcp.source_port()),
            false => (ip.header().destination().to_vec(), tcp.destination_port()),
        };
        let (talk, sides) = talks.entry(client).or_insert_with(|| {
            let limits = Limits::default();
            let connection = if tcp.syn() { Connection::prior_knowledge(&limits) } else { Connection::mid_stream(&limits) };
            (Talk::with(connection, limits), Default::default())
        });
        let side = &mut sides[usize::from(from_client)];
        let bytes = side.segment(tcp.sequence_number().wrapping_add(u32::from(tcp.syn())), tcp.payload());
        if !bytes.is_empty() {
            talk.feed(from_client, &bytes);
        }
        if tcp.fin() {
            talk.finish(from_client);
        }
    }
    let told = talks.into_iter().map(|((ip, port), (talk, _))| {
        assert_eq!((talk.count(Count::GarbledStreams), talk.count(Count::OverLimit)), (0, 0));
        assert!(late || talk.count(Count::H2Unknown) == 0);
        let ip: Vec<String> = ip.iter().map(u8::to_string).collect();
        (format!("{}:{port}", ip.join(".")), talk.close(Close::CaptureEnd))
    });
    told.collect()
}

/// Of each request: method, path, status, and how many tools its answer names.
type Asked = (String, String, u16, usize);

fn truth() -> BTreeMap<String, Vec<Asked>> {
    let truth: serde_json::Value = serde_json::from_str(include_str!("../../../../captures/p86-h2c-downstream.truth.json")).unwrap();
    let mut wanted: BTreeMap<String, Vec<Asked>> = BTreeMap::new();
    for asked in truth["client_requests"].as_array().unwrap() {
        let text = |key: &str| asked[key].as_str().unwrap().to_owned();
        let status = asked["status"].as_u64().unwrap() as u16;
        let tools = asked["body"]["tools"].as_u64().unwrap() as usize;
        wanted.entry(text("client")).or_default().push((text("http_method"), text("path"), status, tools));
    }
    wanted
}

/// What was told of exchange `n`: its status, and its answer's text.
fn answer(calls: &[Call], n: u32) -> (Option<u16>, String) {
    let (mut status, mut text) = (None, Vec::new());
    for call in calls {
        match call {
            Call::Response { n: its, status: told, .. } if *its == n => status = Some(*told),
            Call::Body(its, Part::Response, bytes) if *its == n => text.extend(bytes),
            _ => {}
        }
    }
    (status, String::from_utf8(text).unwrap())
}

const PCAP: &[u8] = include_bytes!("../../../../captures/p86-h2c-downstream.pcap");

#[test]
fn a_gateways_clients_are_read_as_they_wrote() {
    let mut wanted = truth();
    for (client, calls) in &read(PCAP, 4005, 0) {
        let mut got = Vec::new();
        for call in calls {
            let Call::Request { n, method, path, partial: false } = call else { continue };
            let (status, text) = answer(calls, *n);
            assert!(calls.contains(&complete(*n, Part::Request)) && calls.contains(&complete(*n, Part::Response)));
            got.push((method.clone(), path.clone(), status.unwrap(), text.matches("\"inputSchema\"").count()));
        }
        let mut wanted = wanted.remove(client).unwrap();
        got.sort();
        wanted.sort();
        assert_eq!(got, wanted, "{client}");
    }
    assert!(wanted.is_empty(), "every connection was seen");
}

#[test]
fn a_capture_that_begins_late_tells_what_it_can_and_nothing_else() {
    let wanted = truth();
    let (mut whole, mut unknown) = (0, 0);
    for skip in (1..600).step_by(7) {
        for (client, calls) in &read(PCAP, 4005, skip) {
            let wanted = &wanted[client];
            let requests = calls.iter().filter(|call| matches!(call, Call::Request { .. })).count();
            assert!(requests <= wanted.len());
            for call in calls {
                match call {
                    Call::Request { n, method, path, .. } => {
                        let (status, text) = answer(calls, *n);
                        let tools = text.matches("\"inputSchema\"").count();
                        let fits = |one: &&Asked| {
                            (method.is_empty() || *method == one.0)
                                && (path.is_empty() || *path == one.1)
                                && (status.is_none_or(|status| status == 0 || status == one.2))
                                && (!calls.contains(&complete(*n, Part::Response)) || tools == one.3)
                        };
                        assert!(wanted.iter().any(|one| fits(&one)), "from packet {skip}: {call:?} {status:?} {tools}");
                        unknown += usize::from(path.is_empty());
                        whole += usize::from(!path.is_empty() && status.is_some_and(|status| status != 0));
                    }
                    Call::Response { status, .. } => assert!([0, 200].contains(status)),
                    _ => {}
                }
            }
        }
    }
    assert!(whole > 100, "much is known all the same: {whole}, path unknown: {unknown}");
}
