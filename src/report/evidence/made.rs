//! Messages come in, packets that never were go out: a TCP connection of the real addresses that carries the messages in clear, as
//! HTTP/1.1 or HTTP/2 with uncompressed heads. Each is stamped with the packet that carried the original.

use std::net::IpAddr;

use etherparse::PacketBuilder;

use super::alias::Aliases;
use super::body::{self, Body};
use super::messages::{Said, What};
use crate::base::{Addr, Fingerprint, Stamp};
use crate::http::{Broken, Credential, End, Head, Part, RequestHead, ResponseHead, Version};

/// A packet that is made up.
pub(super) struct Made {
    pub(super) at: Stamp,
    pub(super) data: Vec<u8>,
}

/// The connection's packets. Bodies are overwritten here; `said` is used up by it.
pub(super) fn packets(client: Addr, server: Addr, mut said: Vec<Said>, aliases: &mut Aliases) -> Vec<Made> {
    let Some(first) = said.first().map(|said| said.at) else { return Vec::new() };
    bodies(&mut said, aliases);
    let version = said.iter().find_map(|said| match &said.what {
        What::Request(head) => Some(head.common.version),
        What::Response(head) => Some(head.common.version),
        _ => None,
    });
    let mut wire = Wire { ends: [client, server], next: [1, 1], out: Vec::new() };
    wire.send(0, SYN, &[], first);
    wire.send(1, SYN | ACK, &[], first);
    wire.send(0, ACK, &[], first);
    let mut ended = None;
    if version == Some(Version::Http2) {
        wire.data(0, &[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frame(SETTINGS, 0, 0, &[])].concat(), first);
        wire.data(1, &frame(SETTINGS, 0, 0, &[]), first);
        for one in &said {
            let (side, bytes) = h2(one, aliases);
            wire.data(side, &bytes, one.at);
        }
    } else {
        // Which messages have a body: their end has to be told.
        let mut chunked = std::collections::BTreeSet::new();
        for one in &said {
            match &one.what {
                What::Request(head) if has_body(head) => drop(chunked.insert((one.n, 0))),
                What::Response(head) if !bodiless(head.status) => drop(chunked.insert((one.n, 1))),
                _ => {}
            }
            let part = if let What::End(part, _) = &one.what { *part as usize } else { 0 };
            let (side, bytes) = h1(one, chunked.contains(&(one.n, part)), aliases);
            wire.data(side, &bytes, one.at);
            match &one.what {
                What::End(Part::Response, end) | What::Unanswered(end) => ended = Some((*end, one.at)),
                _ => {}
            }
        }
    }
    match ended {
        Some((End::Complete | End::Broken(Broken::Finished), at)) => wire.close(1, at),
        Some((End::Broken(Broken::Left), at)) => wire.close(0, at),
        Some((End::Broken(Broken::Reset), at)) => wire.send(1, RST | ACK, &[], at),
        // What was not seen has no end here either.
        _ => {}
    }
    wire.out
}

/// Overwrites each whole body and puts its pieces back where they were.
fn bodies(said: &mut [Said], aliases: &mut Aliases) {
    let mut numbers: Vec<u32> = said.iter().map(|said| said.n).collect();
    numbers.sort_unstable();
    numbers.dedup();
    for n in numbers {
        for part in [Part::Request, Part::Response] {
            let (mut media, mut status) = (String::new(), 0);
            let mut whole = Vec::new();
            for one in said.iter().filter(|one| one.n == n) {
                match &one.what {
                    What::Request(head) if part == Part::Request => media = head.common.content_type.clone().unwrap_or_default(),
                    What::Response(head) if part == Part::Response => {
                        (media, status) = (head.common.content_type.clone().unwrap_or_default(), head.status);
                    }
                    What::Body(of, bytes) if *of == part => whole.extend_from_slice(bytes),
                    _ => {}
                }
            }
            body::cover(&mut whole, &Body { media: &media, status }, aliases);
            let mut done = 0;
            for one in said.iter_mut().filter(|one| one.n == n) {
                if let What::Body(of, bytes) = &mut one.what
                    && *of == part
                    && let Some(from) = whole.get(done..done + bytes.len())
                {
                    bytes.copy_from_slice(from);
                    done += from.len();
                }
            }
        }
    }
}

/// A piece as HTTP/1.1: every body in chunks, since its coded length is not its length.
fn h1(said: &Said, chunked: bool, aliases: &Aliases) -> (usize, Vec<u8>) {
    let head = |first: String, fields: Vec<(String, String)>, body: bool| {
        let mut text = first + "\r\n";
        fields.into_iter().for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
        text += if body { "transfer-encoding: chunked\r\n\r\n" } else { "\r\n" };
        text.into_bytes()
    };
    match &said.what {
        What::Request(request) => {
            let first = format!("{} {} HTTP/1.1", request.method, target(request, aliases));
            (0, head(first, request_fields(request, aliases), has_body(request)))
        }
        What::Response(response) => {
            let first = format!("HTTP/1.1 {:03} {}", response.status, "-");
            (1, head(first, response_fields(response, aliases), !bodiless(response.status)))
        }
        What::Body(part, bytes) => (*part as usize, [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()),
        What::End(part, End::Complete) if chunked => (*part as usize, b"0\r\n\r\n".to_vec()),
        What::End(part, _) => (*part as usize, Vec::new()),
        What::Unanswered(_) => (1, Vec::new()),
    }
}

/// A piece as HTTP/2 (RFC 9113), heads as literals that no table remembers (RFC 7541, 6.2.2).
fn h2(said: &Said, aliases: &Aliases) -> (usize, Vec<u8>) {
    let stream = said.n.saturating_mul(2).saturating_add(1);
    match &said.what {
        What::Request(request) => {
            let mut block = Vec::new();
            let host = request.host.clone().unwrap_or_default();
            for (name, value) in [
                (":method", request.method.as_str()),
                (":scheme", "http"),
                (":path", &target(request, aliases)),
                (":authority", host.as_str()),
            ] {
                literal(&mut block, name, value);
            }
            request_fields(request, aliases)
                .iter()
                .filter(|(name, _)| name != "host")
                .for_each(|(name, value)| literal(&mut block, name, value));
            (0, frame(HEADERS, END_HEADERS, stream, &block))
        }
        What::Response(response) => {
            let mut block = Vec::new();
            literal(&mut block, ":status", &format!("{:03}", response.status));
            response_fields(response, aliases).iter().for_each(|(name, value)| literal(&mut block, name, value));
            (1, frame(HEADERS, END_HEADERS, stream, &block))
        }
        What::Body(part, bytes) => (*part as usize, bytes.chunks(MOST_FRAME).flat_map(|bytes| frame(DATA, 0, stream, bytes)).collect()),
        What::End(part, End::Complete) => (*part as usize, frame(DATA, END_STREAM, stream, &[])),
        What::End(part, End::Broken(_)) => (*part as usize, frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())),
        What::End(part, End::Unseen(_)) => (*part as usize, Vec::new()),
        What::Unanswered(End::Broken(_)) => (1, frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())),
        What::Unanswered(_) => (1, Vec::new()),
    }
}

fn target(request: &RequestHead, aliases: &Aliases) -> String {
    let query: Vec<String> = request.query.iter().map(|(name, mark)| format!("{name}={}", aliases.of(*mark))).collect();
    let path = if request.path.is_empty() { "/" } else { &request.path };
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

fn request_fields(request: &RequestHead, aliases: &Aliases) -> Vec<(String, String)> {
    let mut all = vec![("host".to_owned(), request.host.clone().unwrap_or_default())];
    let mut put = |name: &str, value: Option<String>| all.extend(value.map(|value| (name.to_owned(), value)));
    let credential = |one: &Credential| match one.scheme.as_str() {
        "" => aliases.of(one.mark),
        scheme => format!("{scheme} {}", aliases.of(one.mark)),
    };
    put("authorization", request.credential.as_ref().map(credential));
    for (name, one) in &request.other_credentials {
        put(name, Some(credential(one)));
    }
    put("accept", Some(if request.accepts_sse { "application/json, text/event-stream" } else { "*/*" }.to_owned()));
    put("user-agent", request.common.user_agent.clone());
    put("x-mcp-servers", Some(request.mcp_servers.join(",")).filter(|servers| !servers.is_empty()));
    put("mcp-method", request.mcp_method.clone());
    put("mcp-name", request.mcp_name.clone());
    put("last-event-id", request.last_event_id.map(|mark| aliases.of(mark)));
    put("traceparent", request.trace.map(|mark| format!("00-{}-{mark}-01", trace(mark, aliases))));
    common(&request.common, aliases, &mut put);
    all
}

fn response_fields(response: &ResponseHead, aliases: &Aliases) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut put = |name: &str, value: Option<String>| all.extend(value.map(|value| (name.to_owned(), value)));
    put("www-authenticate", response.www_authenticate.clone());
    put("server", response.server.clone());
    put("retry-after", response.retry_after.clone());
    put("location", response.location.clone());
    common(&response.common, aliases, &mut put);
    all
}

fn common(head: &Head, aliases: &Aliases, put: &mut impl FnMut(&str, Option<String>)) {
    put("content-type", head.content_type.clone());
    put("mcp-session-id", head.session.map(|mark| aliases.of(mark)));
    put("mcp-protocol-version", head.protocol_version.clone());
}

/// A trace id has 32 hexadecimal digits.
fn trace(mark: Fingerprint, aliases: &Aliases) -> String {
    let known = aliases.of(mark);
    if known.len() == 32 { known } else { format!("{mark}{mark}") }
}

fn has_body(request: &RequestHead) -> bool {
    !matches!(request.method.as_str(), "GET" | "HEAD" | "DELETE" | "OPTIONS" | "")
}

fn bodiless(status: u16) -> bool {
    matches!(status, 100..=199 | 204 | 304)
}

/// RFC 9113, 4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut out = len.get(1..).unwrap_or_default().to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

/// Literal Header Field without Indexing, New Name (RFC 7541, 6.2.2), no Huffman code.
fn literal(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        let mut len = text.len();
        if len < 127 {
            block.push(len as u8);
        } else {
            block.push(127);
            len -= 127;
            while len >= 128 {
                block.push((len % 128) as u8 | 128);
                len /= 128;
            }
            block.push(len as u8);
        }
        block.extend_from_slice(text.as_bytes());
    }
}

/// Both directions of the made-up connection.
struct Wire {
    ends: [Addr; 2],
    next: [u32; 2],
    out: Vec<Made>,
}

impl Wire {
    fn data(&mut self, side: usize, bytes: &[u8], at: Stamp) {
        for piece in bytes.chunks(MOST_SEGMENT) {
            self.send(side, ACK | PSH, piece, at);
        }
    }

    /// One side ends, the other follows.
    fn close(&mut self, side: usize, at: Stamp) {
        self.send(side, FIN | ACK, &[], at);
        self.send(1 - side, FIN | ACK, &[], at);
        self.send(side, ACK, &[], at);
    }

    fn send(&mut self, side: usize, flags: u8, payload: &[u8], at: Stamp) {
        let [client, server] = self.ends;
        let (from, to) = if side == 0 { (client, server) } else { (server, client) };
        let [client_next, server_next] = self.next;
        let (mut seq, ack) = if side == 0 { (client_next, server_next) } else { (server_next, client_next) };
        if flags & SYN != 0 {
            seq = 0;
        }
        let base = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1 + side as u8], [2, 0, 0, 0, 0, 2 - side as u8]);
        let ip = match (from.ip(), to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => base.ipv4(from.octets(), to.octets(), 64),
            (from, to) => {
                let wide = |ip: IpAddr| match ip {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                    IpAddr::V6(ip) => ip.octets(),
                };
                base.ipv6(wide(from), wide(to), 64)
            }
        };
        let mut tcp = ip.tcp(from.port(), to.port(), seq, 65_535);
        if flags & ACK != 0 {
            tcp = tcp.ack(ack);
        }
        for (flag, set) in [(SYN, 0), (PSH, 1), (FIN, 2), (RST, 3)] {
            if flags & flag != 0 {
                tcp = match set {
                    0 => tcp.syn(),
                    1 => tcp.psh(),
                    2 => tcp.fin(),
                    _ => tcp.rst(),
                };
            }
        }
        let mut data = Vec::with_capacity(tcp.size(payload.len()));
        // A segment of at most 1,400 bytes fits any header.
        if tcp.write(&mut data, payload).is_err() {
            return;
        }
        let taken = payload.len() as u32 + u32::from(flags & FIN != 0);
        if flags & SYN == 0
            && let Some(next) = self.next.get_mut(side)
        {
            *next = next.wrapping_add(taken);
        }
        self.out.push(Made { at, data });
    }
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;
const MOST_SEGMENT: usize = 1_400;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const CANCEL: u32 = 8;
const MOST_FRAME: usize = 16_384;
