//! Conversations written down in a few lines come in, captures go out: what a client, a gateway and its upstreams say to each other.
//!
//! ```text
//! case a 401 becomes an empty list       begins a conversation; each line takes 10 ms
//! C1 > tools/list                         C: client to gateway; W, D, T, A: gateway to an upstream; the number names the connection
//! W1 > initialize | auth abc              headers after a bar: `auth X`, `jwt {claims}`, `path /p`, `Name: value`, parted by `;`
//! W1 > tools/list | id 1                  with this id, as a gateway sends it that passes on the client's words
//! C1 > tools/list | bodyless              the body is not captured
//! W1 < 401 | WWW-Authenticate: Bearer     an answer; the body after another bar: `tools a b`, `prompts`, `result {..}`,
//! C1 < 200 || tools                       `error -32601 no`, `json {..}`, `html`, `none`; the head `sse` makes events of it
//! C1 fin | W1 rst | W1 sfin | W1 srst     the opener, or the server, closes or resets
//! W1 refused                              SYN, RST
//! W1 lost <                               the next thing said is not captured (its acknowledgement is)
//! wait 20                                 seconds
//! known W D                               these servers have answered a client before, well
//! = swallowed swallowed-list unauthorized invalid_token +list-null because=ambiguous declared in-band
//! ```

use std::collections::BTreeMap;

use super::pcap::{self, Record};

/// A conversation and what is to be said of it, one line for each of its client's requests, in order.
pub struct Scenario {
    pub name: String,
    pub capture: Vec<u8>,
    pub expected: Vec<String>,
}

pub const GATEWAY: &str = "10.0.0.9:4000";

/// All of a file.
pub fn read(text: &str) -> Vec<Scenario> {
    let mut all: Vec<Scenario> = Vec::new();
    let mut making: Option<Maker> = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("case ") {
            all.extend(making.take().map(Maker::done));
            making = Some(Maker::new(name));
        } else {
            making.as_mut().expect("a case").line(line);
        }
    }
    all.extend(making.map(Maker::done));
    all
}

struct Maker {
    scenario: Scenario,
    time: u64,
    talks: BTreeMap<String, Talk>,
}

struct Talk {
    ends: [([u8; 4], u16); 2],
    seq: [u32; 2],
    id: u64,
    lost: bool,
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

impl Maker {
    fn new(name: &str) -> Maker {
        let scenario = Scenario { name: name.to_owned(), capture: pcap::head(), expected: Vec::new() };
        Maker { scenario, time: 1_790_000_000_000_000, talks: BTreeMap::new() }
    }

    fn done(self) -> Scenario {
        self.scenario
    }

    fn line(&mut self, line: &str) {
        self.time += 10_000;
        if let Some(expected) = line.strip_prefix("= ") {
            return self.scenario.expected.push(expected.to_owned());
        }
        if let Some(servers) = line.strip_prefix("known ") {
            self.line("C9 > tools/list | path /before");
            for server in servers.split(' ') {
                self.line(&format!("{server}9 > tools/list"));
                self.line(&format!("{server}9 < 200 || tools before"));
            }
            self.line("C9 < 200 || tools before");
            return self.scenario.expected.push("healthy healthy".to_owned());
        }
        if let Some(seconds) = line.strip_prefix("wait ") {
            self.time += (seconds.parse::<f64>().expect("seconds") * 1e6) as u64;
            return;
        }
        let (name, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
        if rest == "refused" {
            self.open(name, false);
            return self.packet(name, 1, RST | ACK, b"");
        }
        if !self.talks.contains_key(name) {
            self.open(name, true);
        }
        match rest {
            "fin" => self.packet(name, 0, FIN | ACK, b""),
            "sfin" => self.packet(name, 1, FIN | ACK, b""),
            "rst" => self.packet(name, 0, RST | ACK, b""),
            "srst" => self.packet(name, 1, RST | ACK, b""),
            "lost <" | "lost >" => self.talks.get_mut(name).expect("open").lost = true,
            _ => match rest.split_once(' ') {
                Some((">", what)) => self.ask(name, what),
                Some(("<", what)) => self.answer(name, what),
                _ => panic!("{line}"),
            },
        }
    }

    fn open(&mut self, name: &str, accepted: bool) {
        let port = 40_000 + self.talks.len() as u16;
        let (client, server) = match &name[..1] {
            "C" => ([10, 0, 2, name.as_bytes()[1] - b'0'], ([10, 0, 0, 9], 4000)),
            "W" => ([10, 0, 0, 9], ([10, 0, 1, 1], 9001)),
            "D" => ([10, 0, 0, 9], ([10, 0, 1, 2], 9002)),
            "T" => ([10, 0, 0, 9], ([10, 0, 1, 3], 9003)),
            "A" => ([10, 0, 0, 9], ([10, 0, 1, 4], 9004)),
            _ => panic!("nobody is called {name}"),
        };
        // Ids upstream are the gateway's own: a request with the same id would be a relay's.
        let id = if name.starts_with('C') { 0 } else { 100 };
        let talk = Talk { ends: [(client, port), server], seq: [1000, 9000], id, lost: false };
        self.talks.insert(name.to_owned(), talk);
        self.packet(name, 0, SYN, b"");
        if accepted {
            self.packet(name, 1, SYN | ACK, b"");
            self.packet(name, 0, ACK, b"");
        }
    }

    fn packet(&mut self, name: &str, from: usize, flags: u8, payload: &[u8]) {
        let talk = self.talks.get_mut(name).expect("open");
        let to = 1 - from;
        let bytes = pcap::segment(talk.ends[from], talk.ends[to], talk.seq[from], talk.seq[to], flags, payload);
        talk.seq[from] += payload.len() as u32 + u32::from(flags & (FIN | SYN) != 0);
        self.time += 100;
        if !talk.lost || payload.is_empty() {
            pcap::put(&mut self.scenario.capture, &Record { time: self.time, bytes });
        }
    }

    fn say(&mut self, name: &str, from: usize, text: &str) {
        for piece in text.as_bytes().chunks(1400) {
            self.packet(name, from, ACK, piece);
        }
        self.talks.get_mut(name).expect("open").lost = false;
        self.packet(name, 1 - from, ACK, b"");
    }

    fn ask(&mut self, name: &str, what: &str) {
        let [method, heads, params] = parts(what);
        let mut path = if name.starts_with('C') { "/mcp/weather" } else { "/mcp" }.to_owned();
        let (mut lines, mut bodyless) = (String::new(), false);
        for head in heads.split(';').map(str::trim).filter(|head| !head.is_empty()) {
            match head.split_once(' ') {
                Some(("path", to)) => path = to.to_owned(),
                Some(("id", given)) => self.talks.get_mut(name).expect("open").id = given.parse::<u64>().expect("a number") - 1,
                None if head == "bodyless" => bodyless = true,
                _ => lines += &header(head),
            }
        }
        if let Some((verb @ ("GET" | "DELETE"), path)) = method.split_once(' ') {
            return self.say(name, 0, &format!("{verb} {path} HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n{lines}\r\n"));
        }
        if let Some(path) = method.strip_prefix("FORM ") {
            let kind = "Content-Type: application/x-www-form-urlencoded";
            return self.say(
                name,
                0,
                &format!("POST {path} HTTP/1.1\r\nHost: h\r\n{kind}\r\nContent-Length: {}\r\n\r\n{params}", params.len()),
            );
        }
        let talk = self.talks.get_mut(name).expect("open");
        let mut id = String::new();
        if !method.starts_with("notifications/") {
            talk.id += 1;
            id = format!(r#","id":{}"#, talk.id);
        }
        let params = if params.is_empty() { String::new() } else { format!(r#","params":{params}"#) };
        let body = format!(r#"{{"jsonrpc":"2.0"{id},"method":"{method}"{params}}}"#);
        let kind = "Content-Type: application/json\r\nAccept: application/json, text/event-stream";
        let head = format!("POST {path} HTTP/1.1\r\nHost: h\r\n{kind}\r\n{lines}Content-Length: {}\r\n\r\n", body.len());
        if bodyless {
            self.say(name, 0, &head);
            self.talks.get_mut(name).expect("open").lost = true;
            return self.say(name, 0, &body);
        }
        self.say(name, 0, &(head + &body));
    }

    fn answer(&mut self, name: &str, what: &str) {
        let [status, heads, said] = parts(what);
        let id = self.talks[name].id;
        let (kind, rest) = said.split_once(' ').unwrap_or((said, ""));
        let names = || rest.split_whitespace().map(|name| format!(r#"{{"name":"{name}","uri":"{name}"}}"#)).collect::<Vec<_>>().join(",");
        let rpc = |what: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},{what}}}"#);
        let mut body = match kind {
            "" | "none" => String::new(),
            "tools" | "prompts" | "resources" => rpc(&format!(r#""result":{{"{kind}":[{}]}}"#, names())),
            "more" => rpc(&format!(r#""result":{{"tools":[{}],"nextCursor":"p2"}}"#, names())),
            "result" => rpc(&format!(r#""result":{rest}"#)),
            "text" => rpc(&format!(r#""result":{{"content":[{{"type":"text","text":{rest:?}}}],"isError":false}}"#)),
            "fails" => rpc(&format!(r#""result":{{"content":[{{"type":"text","text":{rest:?}}}],"isError":true}}"#)),
            "error" => {
                let (code, message) = rest.split_once(' ').expect("a code and a message");
                rpc(&format!(r#""error":{{"code":{code},"message":{message:?}}}"#))
            }
            "json" => rest.to_owned(),
            "html" => "<html><body>Please sign in</body></html>".to_owned(),
            _ => panic!("{said}"),
        };
        let mut media = if kind == "html" { "text/html" } else { "application/json" };
        let (mut lines, mut more) = (String::new(), 0);
        for head in heads.split(';').map(str::trim).filter(|head| !head.is_empty()) {
            match head {
                "sse" => media = "text/event-stream",
                "open" | "cut" => more = 50,
                _ => lines += &header(head),
            }
        }
        if media == "text/event-stream" && !body.is_empty() {
            body = format!("event: message\ndata: {body}\n\n");
        }
        if !body.is_empty() || more > 0 {
            lines += &format!("Content-Type: {media}\r\n");
        }
        let cut = if heads.contains("cut") { body.len() / 2 } else { body.len() };
        self.say(name, 1, &format!("HTTP/1.1 {status} X\r\n{lines}Content-Length: {}\r\n\r\n{}", body.len() + more, &body[..cut]));
    }
}

fn parts(what: &str) -> [&str; 3] {
    let mut parts = what.splitn(3, '|').map(str::trim);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

fn header(head: &str) -> String {
    match head.split_once(' ') {
        Some(("auth", token)) => format!("Authorization: Bearer {token}\r\n"),
        Some(("jwt", claims)) => format!("Authorization: Bearer {}.{}.c2ln\r\n", base64(br#"{"alg":"HS256"}"#), base64(claims.as_bytes())),
        _ => format!("{head}\r\n"),
    }
}

/// RFC 4648, 5, without padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().enumerate().fold(0u32, |bits, (n, byte)| bits | u32::from(*byte) << (16 - 8 * n));
        out.extend((0..=three.len()).map(|n| char::from(LETTERS[(bits >> (18 - 6 * n) & 63) as usize])));
    }
    out
}
