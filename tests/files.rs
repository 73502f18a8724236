//! Captures as people hand them over: compressed, piped, rotated, from two machines, cut, damaged. The same pairs come out, and what
//! was lost is said.

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::pcap::{Record, read, write};
use common::{command, file};
use gatewitness::base::Ts;
use gatewitness::capfile::Writer;
use serde_json::Value;
use tempfile::TempDir;

/// What a run said.
struct Run {
    code: Option<i32>,
    records: Vec<Value>,
    errors: String,
}

impl Run {
    fn summary(&self) -> &Value {
        self.records.last().expect("a summary")
    }

    fn count(&self, name: &str) -> u64 {
        self.summary()["counts"][name].as_u64().unwrap_or_else(|| panic!("a counter {name}"))
    }

    /// Pairs without what depends on the file they came in.
    fn pairs(&self) -> Vec<Value> {
        let mut pairs: Vec<Value> = self.records.iter().filter(|record| record["record"] == "pair").cloned().collect();
        pairs.iter_mut().for_each(|pair| strip(pair, &["frames", "file", "last_file", "start", "end", "confidence", "score"]));
        pairs
    }

    fn losses(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let losses = self.records.iter().filter(|record| record["record"] == "capture");
        losses.map(|loss| (text(&loss["kind"]), text(&loss["place"]))).collect()
    }
}

fn strip(value: &mut Value, keys: &[&str]) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !keys.contains(&key.as_str()));
            map.values_mut().for_each(|value| strip(value, keys));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| strip(value, keys)),
        _ => {}
    }
}

fn run(options: &[&str], captures: &[&Path], stdin: Option<&[u8]>) -> Run {
    let folder = TempDir::new().expect("a folder");
    let key = written(&folder, "key", b"key");
    let mut command = command(&["replay", "--format", "ndjson", "--fingerprint-key"]);
    command.arg(key).args(options).args(captures).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let mut pipe = child.stdin.take().expect("a pipe");
    let bytes = stdin.unwrap_or_default().to_vec();
    let writer = std::thread::spawn(move || _ = pipe.write_all(&bytes));
    let out = child.wait_with_output().expect("the binary ends");
    writer.join().expect("the pipe is written");
    let records = out.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    Run { code: out.status.code(), records, errors: String::from_utf8_lossy(&out.stderr).into_owned() }
}

fn written(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("a file is written");
    path
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(file(name)).expect("a capture is read")
}

#[test]
fn compressed_and_piped_captures_give_the_same_pairs() {
    let plain = run(&[], &[Path::new(&file("p73-pcapng"))], None);
    assert_eq!((plain.code, plain.pairs().len()), (Some(1), 6));
    let pipe = run(&[], &[Path::new("-")], Some(&bytes("p73-pcapng")));
    assert_eq!((pipe.code, pipe.pairs()), (plain.code, plain.pairs()));
    for codec in ["gz", "zst", "xz", "lz4"] {
        let path = format!("tests/data/p73-in-two-pieces.{codec}");
        let packed = fs::read(&path).expect("a packed capture");
        let folder = TempDir::new().expect("a folder");
        // By content, not by name.
        for packed in [run(&[], &[&written(&folder, "capture.pcap", &packed)], None), run(&[], &[Path::new("-")], Some(&packed))] {
            assert_eq!((packed.code, packed.pairs()), (plain.code, plain.pairs()), "{codec}");
            assert!(packed.losses().is_empty(), "{codec}: {:?}", packed.losses());
        }
        let cut = run(&[], &[&written(&folder, "cut", &packed[..packed.len() / 2])], None);
        assert_ne!(cut.code, Some(2), "{codec}: {}", cut.errors);
        assert!(cut.count("packets") < plain.count("packets"));
        // An lz4 stream that ends between two of its blocks looks whole; its last packet does not.
        assert_eq!(cut.losses().len(), 1, "{codec}: {:?}", cut.losses());
        assert!(cut.losses()[0].1.contains("cut, byte "), "{:?}", cut.losses());
    }
}

#[test]
fn rotated_files_are_one_capture_however_they_are_named_and_given() {
    let capture = bytes("p05-fanout-partial");
    let whole = run(&[], &[Path::new(&file("p05-fanout-partial"))], None);
    let (head, records) = read(&capture);
    let folder = TempDir::new().expect("a folder");
    let names = ["dump9", "dump10", "x.pcap1", "a", "z", "m.cap", "b"];
    let size = records.len().div_ceil(names.len());
    let mut paths: Vec<PathBuf> =
        records.chunks(size).zip(names).map(|(records, name)| written(&folder, name, &write(head, records))).collect();
    written(&folder, "notes.txt", b"the gateway was slow on Tuesday");
    let rotated = run(&[], &[folder.path()], None);
    assert_eq!((rotated.code, rotated.pairs()), (whole.code, whole.pairs()));
    paths.reverse();
    let listed = run(&[], &paths.iter().map(PathBuf::as_path).collect::<Vec<_>>(), None);
    assert_eq!((listed.code, listed.pairs()), (whole.code, whole.pairs()));
    // A file of the row is gone: what it held is missing, and nothing is made up in its place.
    fs::remove_file(folder.path().join(names[3])).expect("a file is removed");
    let holed = run(&[], &[folder.path()], None);
    assert!(holed.count("gaps") > 0, "{}", holed.summary());
    let flagged = |run: &Run| run.pairs().iter().filter(|pair| pair["verdict"] == "swallowed" || pair["verdict"] == "partial").count();
    assert!(flagged(&holed) <= flagged(&whole));
}

/// Whether a packet of the bundled recordings runs between client and gateway.
fn downstream(record: &Record) -> bool {
    let port = |at: usize| u16::from_be_bytes([record.bytes[at], record.bytes[at + 1]]);
    port(34) == 4000 || port(36) == 4000
}

#[test]
fn two_capture_points_are_merged_by_their_clocks() {
    let capture = bytes("p05-fanout-partial");
    let whole = run(&[], &[Path::new(&file("p05-fanout-partial"))], None);
    let (head, records) = read(&capture);
    let folder = TempDir::new().expect("a folder");
    let (down, up): (Vec<Record>, Vec<Record>) = records.iter().cloned().partition(downstream);
    // Two files of one clock, nothing in common.
    let apart = [written(&folder, "client", &write(head, &down)), written(&folder, "upstream", &write(head, &up))];
    let merged = run(&[], &[&apart[0], &apart[1]], None);
    assert_eq!((merged.code, merged.pairs()), (whole.code, whole.pairs()));
    // The client's machine, whose clock is 37 seconds ahead, saw the client's connections too, each packet a little earlier or later.
    let early = |record: &Record| {
        let to_gateway = record.bytes[36..38] == 4000u16.to_be_bytes();
        Record { time: record.time + 37_000_000 - if to_gateway { 150 } else { 0 } + if to_gateway { 0 } else { 150 }, ..record.clone() }
    };
    let ahead = written(&folder, "ahead", &write(head, &down.iter().map(early).collect::<Vec<_>>()));
    let gateway = written(&folder, "gateway", &capture);
    let merged = run(&[], &[&ahead, &gateway], None);
    assert_eq!(merged.code, whole.code);
    let verdicts = |run: &Run| run.pairs().iter().map(|pair| (pair["verdict"].clone(), pair["server"].clone())).collect::<Vec<_>>();
    assert_eq!(verdicts(&merged), verdicts(&whole));
    assert!(merged.count("sightings") as usize > down.len() / 2, "{}", merged.summary());
}

#[test]
fn interfaces_of_different_links_in_one_file() {
    let capture = bytes("p08-failures");
    let (_, records) = read(&capture);
    let whole = run(&[], &[Path::new(&file("p08-failures"))], None);
    let mut writer = Writer::new(Vec::new(), "test", None).expect("memory can be written");
    for link in [1, 113, 101] {
        writer.interface(link, 0, None).expect("memory can be written");
    }
    for record in &records {
        // Each connection's two directions come by different links.
        let (up, ts) = (record.bytes[34] & 1, Ts(record.time as i64 * 1_000));
        let ip = &record.bytes[14..];
        let cooked = [&[0, 0, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0], ip].concat();
        let (iface, frame): (u32, &[u8]) = match (downstream(record), up) {
            (true, _) => (0, &record.bytes),
            (false, 0) => (1, &cooked),
            (false, _) => (2, ip),
        };
        writer.packet(iface, ts, frame, frame.len() as u32, None).expect("memory can be written");
    }
    // The capturing machine says what it lost.
    let folder = TempDir::new().expect("a folder");
    writer.stats(0, Ts(records.last().expect("packets").time as i64 * 1_000), 500, 7).expect("memory can be written");
    let mixed = run(&[], &[&written(&folder, "mixed.pcapng", &writer.finish().expect("memory can be written"))], None);
    assert_eq!((mixed.code, mixed.pairs()), (whole.code, whole.pairs()));
    assert_eq!(mixed.count("kernel_drops"), 7);
}

#[test]
fn a_capture_cut_by_its_snapshot_length_accuses_nobody_and_is_not_clean_under_strict() {
    let path = file("p70-snaplen-200");
    let lax = run(&[], &[Path::new(&path)], None);
    assert_eq!(lax.code, Some(0), "{}", lax.errors);
    assert!(lax.count("cut_packets") > 500);
    assert_eq!(run(&["--strict"], &[Path::new(&path)], None).code, Some(3));
}

#[test]
fn a_truncated_tail_is_told_with_file_and_byte() {
    let capture = bytes("p03-sdk-sessions");
    let whole = run(&[], &[Path::new(&file("p03-sdk-sessions"))], None);
    let folder = TempDir::new().expect("a folder");
    let last = { read(&capture).1.last().expect("packets").bytes.len() };
    for gone in [1, last, last + 15] {
        let cut = run(&["--strict"], &[&written(&folder, "tail.pcap", &capture[..capture.len() - gone])], None);
        // Its last packet is a bare ACK: nothing else changes.
        assert_eq!((cut.code, cut.pairs()), (whole.code, whole.pairs()), "{gone}");
        let at = capture.len() - last - 16;
        assert_eq!(cut.losses(), [("truncated".to_owned(), format!("{}, byte {at}", folder.path().join("tail.pcap").display()))]);
    }
    let healthy = bytes("p02-healthy-single");
    let cut = written(&folder, "healthy.pcap", &healthy[..healthy.len() - 3]);
    assert_eq!(run(&[], &[&cut], None).code, Some(0));
    assert_eq!(run(&["--strict"], &[&cut], None).code, Some(3), "cut short, so nothing is proved");
}

#[test]
fn damage_in_the_middle_costs_only_what_it_hits() {
    for (name, place) in [("p05-fanout-partial", 20_000), ("p73-pcapng", 9_000)] {
        let whole = run(&[], &[Path::new(&file(name))], None);
        let mut capture = bytes(name);
        capture[place..place + 40].fill(0xee);
        let folder = TempDir::new().expect("a folder");
        let path = written(&folder, "damaged", &capture);
        let damaged = run(&[], &[&path], None);
        assert_ne!(damaged.code, Some(2), "{name}: {}", damaged.errors);
        let lost = whole.count("packets") - damaged.count("packets");
        assert!(lost <= 4, "{name}: {lost} packets lost");
        for (kind, place) in damaged.losses() {
            assert_eq!(kind, "damaged");
            assert!(place.starts_with(&format!("{}, byte ", path.display())), "{place}");
        }
        assert!(lost == 0 || !damaged.losses().is_empty(), "{name}: what was lost is told");
        // A block lost from the file is a hole in a stream: pairs may become unresolved, none may turn into its opposite.
        let same = |a: &Value, b: &Value| ["client", "start"].iter().all(|key| a["downstream"][key] == b["downstream"][key]);
        for before in whole.records.iter().filter(|record| record["record"] == "pair") {
            let Some(after) = damaged.records.iter().find(|after| after["record"] == "pair" && same(before, after)) else { continue };
            let (before, after) = (&before["verdict"], &after["verdict"]);
            assert!(before == after || after == "unresolved" || after == "background", "{name}: {before} became {after}");
        }
    }
}

#[test]
fn what_cannot_be_read_ends_with_2_and_names_file_and_byte() {
    let folder = TempDir::new().expect("a folder");
    let text = written(&folder, "notes.txt", b"the gateway was slow on Tuesday");
    let empty = written(&folder, "empty.pcap", b"");
    let gone = folder.path().join("gone.pcap");
    let bare = TempDir::new().expect("a folder");
    for path in [text.as_path(), &empty, &gone, bare.path()] {
        let run = run(&[], &[path], None);
        assert_eq!(run.code, Some(2), "{}", path.display());
        assert!(run.records.is_empty(), "nothing is written before it is known that something can be read");
        assert!(run.errors.contains(&path.display().to_string()) && run.errors.contains("byte 0"), "{}", run.errors);
    }
    // One that can be read beside one that cannot: named files must all be there.
    let good = PathBuf::from(file("p02-healthy-single"));
    assert_eq!(run(&[], &[&good, &gone], None).code, Some(2));
    assert_eq!(run(&[], &[Path::new("-")], Some(b"no capture")).code, Some(2));
}

#[test]
fn an_answer_whose_time_lies_before_its_requests() {
    // Found by fuzzing: a recording whose packets' times were changed.
    let run = run(&[], &[Path::new("tests/data/fuzz-clock-steps-back.pcap")], None);
    assert!(matches!(run.code, Some(0 | 1)), "{:?} {}", run.code, run.errors);
}

#[test]
fn names_and_processes_that_the_capture_knows_are_told() {
    // captures/litellm-swallowed-401.pcap after editcap -a 'FRAME:COMMENT', with comments as ptcpdump writes them, and tshark -N n -H hosts.
    let path = Path::new("tests/data/named.pcapng");
    let told = run(&[], &[path], None);
    let names = serde_json::json!({"127.0.0.1": ["gateway.example"], "127.0.0.11": ["weather.mcp.example"]});
    assert_eq!((told.code, &told.summary()["names"]), (Some(1), &names));
    let pair = &told.pairs()[0];
    assert_eq!(pair["downstream"]["processes"], serde_json::json!([{"pid": 812, "command": "/usr/bin/curl"}]));
    assert_eq!(pair["upstream"][0]["processes"], serde_json::json!([{"pid": 4711, "command": "/usr/bin/python3.11"}]));
    // Everything else is as it was without them.
    let bare = run(&[], &[Path::new("captures/litellm-swallowed-401.pcap")], None);
    let mut pairs = told.pairs();
    pairs.iter_mut().for_each(|pair| strip(pair, &["processes"]));
    assert_eq!((told.code, pairs), (bare.code, bare.pairs()));
    let text = |options: &[&str]| {
        let out = command(&["replay"]).args(options).arg(path).output().expect("the binary runs");
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    assert!(text(&[]).contains("← 127.0.0.11:9001 (weather.mcp.example)"), "{}", text(&[]));
    assert!(text(&["--explain", "1"]).contains("process       /usr/bin/python3.11 (4711)"), "{}", text(&["--explain", "1"]));
    for format in ["html", "markdown"] {
        assert!(text(&["--format", format]).contains("127.0.0.11:9001 (weather.mcp.example)"), "{format}");
    }
    // Arguments may hold a credential: those in these comments do.
    for format in ["text", "json", "ndjson", "html", "markdown"] {
        assert!(!text(&["--format", format]).contains("hush"), "{format}");
    }
}

#[test]
fn a_file_of_ptcpdump_names_the_process() {
    // testdata/format/tcp.pcapng of github.com/mozillazg/ptcpdump (MIT): curl asks a server on loopback.
    let run = command(&["exchanges", "--format", "ndjson", "tests/data/ptcpdump-curl.pcapng"]).output().expect("the binary runs");
    let first = run.stdout.split(|byte| *byte == b'\n').next().expect("a line");
    let exchange: Value = serde_json::from_slice(first).expect("a record");
    assert_eq!(exchange["processes"], serde_json::json!([{"pid": 345650, "command": "/usr/bin/curl"}]));
}

#[test]
fn a_flood_of_names_is_bounded_and_none_speaks_to_the_terminal() {
    let mut capture = fs::read("tests/data/named.pcapng").expect("a capture");
    for n in 0..5_000_u32 {
        let name = format!("\u{1b}]0;{n}\u{7}{}\0", "x".repeat(400));
        let address = [&[127, 1], &(n as u16).to_be_bytes()[..]].concat();
        let mut record = [1_u16.to_le_bytes(), (4 + name.len() as u16).to_le_bytes()].concat();
        record.extend([address, name.into_bytes()].concat());
        record.resize(record.len().next_multiple_of(4), 0);
        let len = (record.len() as u32 + 16).to_le_bytes();
        capture.extend([&4_u32.to_le_bytes()[..], &len, &record, &[0; 4], &len].concat());
    }
    let folder = TempDir::new().expect("a folder");
    let flooded = run(&[], &[&written(&folder, "names.pcapng", &capture)], None);
    let names = flooded.summary()["names"].as_object().expect("names");
    // Those that were there before are counted in.
    assert_eq!((names.len(), flooded.count("names_dropped")), (4_096, 5_002 - 4_096));
    let all = names.values().filter_map(|names| names[0].as_str());
    assert!(all.clone().all(|name| name.len() < 300 && !name.contains(char::is_control)), "{:?}", all.max());
}

/// Exchanges of a hand-made capture (`client path status`, whole ones only), and its counters.
fn exchanges(name: &str) -> (Vec<String>, Value) {
    let out = command(&["exchanges", "--format", "ndjson", &file(&format!("hard/{name}"))]).output().expect("the binary runs");
    let mut records: Vec<Value> = out.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let counts = records.pop().expect("a summary")["counts"].clone();
    let whole = records.iter().filter(|record| record["complete"] == true);
    let text = |record: &Value| format!("{} {} {}", record["client"], record["http"]["path"], record["http"]["status"]).replace('"', "");
    (whole.map(text).collect(), counts)
}

#[test]
fn layers_fragments_and_offload_cost_no_exchange() {
    let names = ["vlan", "qinq", "mpls", "pppoe", "gre", "gre-key", "vxlan", "geneve", "ipip", "4in6", "offload", "padding", "snap"];
    let expected: Vec<String> = names.iter().zip(41_000..).map(|(name, port)| format!("10.0.0.1:{port} /{name} 200")).collect();
    let (told, counts) = exchanges("layers");
    assert_eq!((told, &counts["gaps"], &counts["bad_packet"]), (expected, &0.into(), &0.into()));
    assert_eq!(exchanges("ipv6-options").0, ["[fd00::1]:40000 /options 200"]);
    let (told, counts) = exchanges("fragments");
    let pieces =
        ["10.0.0.1:40000 /in-pieces 200", "10.0.0.1:40000 /again 200", "[fd00::1]:40001 /in-pieces 200", "[fd00::1]:40001 /again 200"];
    assert_eq!((told.iter().map(String::as_str).collect::<Vec<_>>(), &counts["fragments"]), (pieces.to_vec(), &25.into()));
    let (told, counts) = exchanges("bad-checksum");
    assert_eq!((told, &counts["bad_checksum"]), (vec!["10.0.0.1:40000 /offloaded 200".to_owned()], &2.into()));
}
