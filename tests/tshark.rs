//! Wireshark's reading against ours: the start lines of requests and answers on each connection of every bundled capture.
//!
//! Runs where tshark is installed. With `GATEWITNESS_TEST_ALL=1` its absence is a failure. `UPDATE_DOCS=1` writes the table of
//! `docs/captures.md` anew.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use common::gatewitness;
use serde_json::Value;

/// Where both differ, who is right, and why. A capture that is not named here must be read alike.
const DIFFERENCES: &[Difference] = &[
    Difference {
        capture: "hard/bare-lf",
        missing: 0,
        extra: 1,
        right: "gatewitness",
        why: "RFC 9112, 2.2: empty lines before a request are skipped; tshark takes the packet for something else",
    },
    Difference {
        capture: "hard/bytewise",
        missing: 0,
        extra: 1,
        right: "gatewitness",
        why: "the answer is whole, each byte in a packet of its own",
    },
    Difference {
        capture: "hard/connect",
        missing: 1,
        extra: 0,
        right: "gatewitness",
        why: "what runs through a tunnel is not read as this connection's HTTP",
    },
    Difference {
        capture: "hard/cut",
        missing: 0,
        extra: 3,
        right: "gatewitness",
        why: "behind a body that the snapshot length cut tshark reads nothing more",
    },
    Difference {
        capture: "hard/h2c",
        missing: 1,
        extra: 1,
        right: "gatewitness",
        why: "one request in HEADERS and CONTINUATION; this tshark gives its method without its path",
    },
    Difference {
        capture: "hard/h2c-upgrade",
        missing: 1,
        extra: 0,
        right: "gatewitness",
        why: "101 to h2c is no answer: the answer comes on stream 1",
    },
    Difference {
        capture: "hard/lost-pieces",
        missing: 0,
        extra: 4,
        right: "gatewitness",
        why: "reading goes on behind a hole; tshark, asked to reorder, waits for the bytes that are missing",
    },
    Difference {
        capture: "hard/no-content",
        missing: 0,
        extra: 2,
        right: "gatewitness",
        why: "205 with `Content-Length: 0`, then 200, in one segment; tshark stops after the 304, whose length announces no body",
    },
    Difference {
        capture: "hard/overlap-conflict",
        missing: 1,
        extra: 1,
        right: "gatewitness",
        why: "the bytes seen first win; tshark mixes both versions into a target that nobody sent",
    },
    Difference {
        capture: "hard/seen-twice",
        missing: 6,
        extra: 0,
        right: "gatewitness",
        why: "every packet is there twice, before and after NAT: one connection, not two",
    },
    Difference {
        capture: "hard/wrong-length",
        missing: 0,
        extra: 1,
        right: "gatewitness",
        why: "behind a body that is longer than announced the next answer is found again",
    },
    Difference {
        capture: "p71-loss-dup-reorder",
        missing: 0,
        extra: 2,
        right: "gatewitness",
        why: "a request whose packets were swapped and an answer behind a lost one; the original recording (p04) holds both",
    },
    Difference {
        capture: "p80-dnat-container",
        missing: 86,
        extra: 0,
        right: "gatewitness",
        why: "every packet is there two or three times, before and after NAT: one connection, not three",
    },
];

struct Difference {
    capture: &'static str,
    /// What tshark has and gatewitness has not, then the other way round: sums over all connections.
    missing: usize,
    extra: usize,
    right: &'static str,
    why: &'static str,
}

/// Start lines of one connection: requests and answers, in their order; each with whether its exchange was seen to its end.
type Lines = (Vec<(String, bool)>, Vec<(String, bool)>);

#[test]
fn start_lines_are_those_that_tshark_sees() {
    if !there() {
        return;
    }
    let mut wrong = Vec::new();
    let mut table = String::new();
    let mut lines = 0;
    for name in names() {
        let (path, keys) = (path(&name), format!("captures/{name}.keys"));
        let keys = Some(keys).filter(|keys| Path::new(keys).exists());
        let (ours, ports) = ours(&path, keys.as_deref());
        let theirs = theirs(&path, keys.as_deref(), &ports);
        lines += theirs.values().map(|(requests, answers)| requests.len() + answers.len()).sum::<usize>();
        let (missing, extra) = compare(&ours, &theirs);
        let known = DIFFERENCES.iter().find(|known| known.capture == name);
        if (missing.len(), extra.len()) != known.map_or((0, 0), |known| (known.missing, known.extra)) {
            wrong.push(format!("{name}: {} missing {missing:#?}, {} extra {extra:#?}", missing.len(), extra.len()));
        }
        if let Some(known) = known {
            table += &format!("| {name} | {} | {} | {} | {} |\n", known.missing, known.extra, known.right, known.why);
        }
    }
    assert!(lines > 2_000, "tshark sees only {lines} start lines: it does not read the captures");
    assert!(wrong.is_empty(), "differences that are not in the list:\n{}", wrong.join("\n"));
    documented(&table);
}

fn there() -> bool {
    let found = Command::new("tshark").arg("--version").output().is_ok_and(|out| out.status.success());
    if !found {
        assert!(std::env::var_os("GATEWITNESS_TEST_ALL").is_none(), "GATEWITNESS_TEST_ALL is set, and tshark is not installed");
        eprintln!("SKIPPED: tshark is not installed, so nothing is compared with it");
    }
    found
}

/// Every capture, `hard/` ones too.
fn names() -> Vec<String> {
    let list = |folder: &str, before: &str| -> Vec<String> {
        let files = fs::read_dir(folder).expect("captures are there").filter_map(Result::ok);
        let names = files.filter_map(|file| file.file_name().into_string().ok());
        names
            .filter_map(|name| name.rsplit_once('.').filter(|(_, end)| end.starts_with("pcap")).map(|(stem, _)| format!("{before}{stem}")))
            .collect()
    };
    let mut names = [list("captures", ""), list("captures/hard", "hard/")].concat();
    names.sort();
    names
}

fn path(name: &str) -> String {
    let classic = format!("captures/{name}.pcap");
    if Path::new(&classic).exists() { classic } else { format!("{classic}ng") }
}

/// By connection: client and server. Also what is spoken on which port, as tshark wants to be told.
fn ours(path: &str, keys: Option<&str>) -> (BTreeMap<(String, String), Lines>, BTreeSet<String>) {
    let mut args = vec!["exchanges", "--format", "ndjson", path];
    args.extend(keys.iter().flat_map(|keys| ["--keylog", keys]));
    let out = gatewitness(&args);
    assert!(out.status.success(), "{path}: {}", String::from_utf8_lossy(&out.stderr));
    let records = out.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let (mut found, mut ports): (BTreeMap<(String, String), Lines>, _) = (BTreeMap::new(), BTreeSet::new());
    for record in records.filter(|record| record["record"] == "exchange") {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let lines = found.entry((text(&record["client"]), text(&record["server"]))).or_default();
        let protocol = if record["via"] == "packets" { "http" } else { "tls" };
        ports.extend(text(&record["server"]).rsplit_once(':').map(|(_, port)| format!("tcp.port=={port},{protocol}")));
        let (http, whole) = (&record["http"], record["complete"] == true);
        if http["method"].is_string() {
            lines.0.push((format!("{} {}", text(&http["method"]), text(&http["path"])), whole));
        }
        if let Some(status) = http["status"].as_u64() {
            lines.1.push((status.to_string(), whole));
        }
    }
    (found, ports)
}

/// The same from tshark. Interim answers (RFC 9110, 15.2) are not counted: they answer nothing.
fn theirs(path: &str, keys: Option<&str>, ports: &BTreeSet<String>) -> BTreeMap<(String, String), Lines> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-r", path, "-T", "fields", "-E", "aggregator=|", "-o", "tcp.reassemble_out_of_order:TRUE"]);
    if let Some(keys) = keys {
        command.args(["-o", &format!("tls.keylog_file:{keys}")]);
    }
    ports.iter().for_each(|port| _ = command.args(["-d", port]));
    for field in FIELDS {
        command.args(["-e", field]);
    }
    command.args(["-Y", "http.request or http.response or http2.headers.method or http2.headers.status"]);
    let out = command.output().expect("tshark runs");
    let mut found: BTreeMap<(String, String), Lines> = BTreeMap::new();
    for line in String::from_utf8_lossy(&out.stdout).lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let cell = |n: usize| cells.get(n).copied().unwrap_or_default();
        // Under a tunnel there are several addresses: the innermost is the last.
        let last = |n: usize| cell(n).rsplit('|').next().unwrap_or_default();
        let end = |four: usize, six: usize, port: usize| match (last(four), last(six)) {
            (_, six) if !six.is_empty() && (last(four).is_empty()) => format!("[{six}]:{}", last(port)),
            (four, _) => format!("{four}:{}", last(port)),
        };
        let (from, to) = (end(0, 2, 4), end(1, 3, 5));
        let all = |n: usize| cell(n).split('|').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        for (methods, targets) in [(6, 7), (9, 10)] {
            let targets = all(targets);
            for (n, method) in all(methods).iter().enumerate() {
                let target = targets.get(n).map(String::as_str).unwrap_or_default();
                found.entry((from.clone(), to.clone())).or_default().0.push((format!("{method} {}", bare(method, target)), true));
            }
        }
        let status = |code: &String| code.len() == 3 && (!code.starts_with('1') || code == "101");
        for code in all(8).into_iter().chain(all(11)).filter(status) {
            found.entry((to.clone(), from.clone())).or_default().1.push((code, true));
        }
    }
    found
}

const FIELDS: [&str; 12] = [
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "tcp.srcport",
    "tcp.dstport",
    "http.request.method",
    "http.request.uri",
    "http.response.code",
    "http2.headers.method",
    "http2.headers.path",
    "http2.headers.status",
];

/// A target as records show it: no scheme, host or query.
fn bare<'a>(method: &str, target: &'a str) -> &'a str {
    let target = target.split_once('?').map_or(target, |(path, _)| path);
    if method == "CONNECT" || target.starts_with('/') {
        return target;
    }
    target.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..])).unwrap_or(target)
}

/// What only they have, what only we have. tshark shows a message once all of it is there: what is open or cut short is only ours to
/// show (GET streams, answers that somebody walked away from), and no difference.
fn compare(ours: &BTreeMap<(String, String), Lines>, theirs: &BTreeMap<(String, String), Lines>) -> (Vec<String>, Vec<String>) {
    let (mut missing, mut extra) = (Vec::new(), Vec::new());
    let connections: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    for connection in connections {
        let none = Lines::default();
        let (ours, theirs) = (ours.get(connection).unwrap_or(&none), theirs.get(connection).unwrap_or(&none));
        for (ours, theirs) in [(&ours.0, &theirs.0), (&ours.1, &theirs.1)] {
            let mut left = ours.clone();
            for (line, _) in theirs {
                match left.iter().position(|(own, _)| alike(own, line)) {
                    Some(at) => _ = left.remove(at),
                    None => missing.push(format!("{} > {}: {line}", connection.0, connection.1)),
                }
            }
            extra.extend(left.iter().filter(|(_, whole)| *whole).map(|(line, _)| format!("{} > {}: {line}", connection.0, connection.1)));
        }
    }
    (missing, extra)
}

/// Segments of a path that look like secrets are shown as `~`, and long paths are cut.
fn alike(own: &str, line: &str) -> bool {
    let (mut own, mut line) = (own.split('/'), line.split('/'));
    loop {
        match (own.next(), line.next()) {
            (None, None) => return true,
            (Some("~"), Some(_)) => {}
            (Some(a), Some(b)) if a == b || a.strip_suffix('…').is_some_and(|start| b.starts_with(start)) => {}
            _ => return false,
        }
    }
}

/// The table in `docs/captures.md` is this test's.
fn documented(table: &str) {
    let text = fs::read_to_string(DOCUMENT).expect("the document is there");
    let (before, rest) = text.split_once(BEGIN).expect("the table's beginning is marked");
    let (_, after) = rest.split_once(END).expect("the table's end is marked");
    let new = format!(
        "{before}{BEGIN}\n| capture | only tshark | only gatewitness | who is right | why |\n|---|---|---|---|---|\n{table}{END}{after}"
    );
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(DOCUMENT, &new).expect("the document is written");
    } else {
        assert!(new == text, "{DOCUMENT} does not show the list of differences: run UPDATE_DOCS=1 cargo test --test tshark");
    }
}

const DOCUMENT: &str = "docs/captures.md";
const BEGIN: &str = "<!-- tests/tshark.rs: begin -->";
const END: &str = "<!-- tests/tshark.rs: end -->";
