//! HTTP/2 between programs that are not ours: what the tool shows is what their own logs say, and from the middle of a connection never
//! anything else. Three recordings are bundled; under `GATEWITNESS_TEST_ALL` all are made afresh (`tests/captures/make_h2.py`).

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{gatewitness, need_all, venv};
use serde_json::Value;

#[test]
fn bundled_recordings_say_what_the_programs_logged() {
    for name in ["curl-upgrade", "node-tls", "python-h2"] {
        check(&bundled(name));
    }
}

#[test]
fn from_the_middle_what_can_be_known_is_known_and_nothing_is_wrong() {
    late(&bundled("python-h2"));
    late(&bundled("curl-upgrade"));
    late(&bundled("node-tls"));
}

#[test]
fn recordings_made_now_say_what_the_programs_logged() {
    if !need_all("HTTP/2 of curl, Python, node, nginx and haproxy") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let python = venv(&["h2", "httpx[http2]"]);
    let made = Command::new(python).args(["tests/captures/make_h2.py"]).arg(folder.path()).current_dir(ROOT).output().expect("it runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut names = 0;
    for file in std::fs::read_dir(folder.path()).expect("recordings").filter_map(Result::ok) {
        let path = file.path();
        if path.extension().is_some_and(|extension| extension == "pcap") {
            check(&path);
            late(&path);
            names += 1;
        }
    }
    assert!(names >= 9, "{names} recordings");
}

/// What an exchange is, to everybody: client port, server port, method, path, status.
type Said = (u64, u64, String, String, i64);

/// All that was exchanged, in either log, is shown, and nothing else.
fn check(pcap: &Path) {
    let truth: Value = serde_json::from_slice(&std::fs::read(pcap.with_extension("truth.json")).expect("a truth")).expect("JSON");
    let shown = exchanges(pcap, &std::fs::read(pcap).expect("a capture"));
    for (ports, said) in &shown {
        assert_eq!(said.iter().filter(|one| one.1).count(), said.len(), "{pcap:?}: incomplete on {ports:?}: {said:?}");
    }
    let count = |records: &mut dyn Iterator<Item = Said>| {
        records.fold(BTreeMap::<Said, usize>::new(), |mut all, said| {
            *all.entry(said).or_default() += 1;
            all
        })
    };
    let got = count(&mut shown.iter().flat_map(|(ports, said)| said.iter().map(move |one| full(*ports, one))));
    let mut logged = BTreeMap::new();
    for log in ["exchanges", "asked"] {
        let told = truth[log].as_array().expect("a log");
        let mut said = told.iter().map(|one| {
            let word = |key: &str| one[key].as_str().expect("a word").to_owned();
            let number = |key: &str| one[key].as_u64().expect("a number");
            (number("conn"), number("server"), word("method"), word("path"), one["status"].as_i64().expect("a status"))
        });
        // Both logs tell of the same exchange; where only one side keeps one (a relay), the other has nothing to say.
        for (said, times) in count(&mut said) {
            logged.insert(said, times);
        }
    }
    assert_eq!(got, logged, "{pcap:?}");
    bodies(pcap, &truth);
}

/// Both bodies of every exchange, decoded, are the very bytes that its client sent and got.
fn bodies(pcap: &Path, truth: &Value) {
    let read = common::bodies::read(&std::fs::read(pcap).expect("a capture"), std::fs::read(pcap.with_extension("keys")).ok().as_deref());
    let mut compared = 0;
    for one in truth["asked"].as_array().expect("a log") {
        let found = read.iter().filter(|read| one["server"] == read.server && one["method"] == read.method && one["path"] == read.path);
        let found: Vec<_> = found.collect();
        assert!(!found.is_empty(), "{pcap:?}: {one} was not read");
        let equal = |read: &&&common::bodies::Read| {
            ["sent", "got"].iter().zip(&read.bodies).all(|(key, (digest, whole))| one[*key].is_null() || *whole && one[*key] == *digest)
        };
        assert!(found.iter().any(|read| equal(&read)), "{pcap:?}: {one} has other bodies: {:?}", found[0].bodies);
        compared += 1;
    }
    println!("{}: bodies of {compared} exchanges are equal", pcap.display());
}

fn full((client, server): (u64, u64), one: &Shown) -> Said {
    let word = |key: &str| one.0[key].as_str().unwrap_or("?").to_owned();
    (client, server, word("method"), word("path"), one.0["status"].as_i64().unwrap_or(-2))
}

/// What is shown of an exchange, whether it is whole, and its first frame.
type Shown = (Value, bool, u64);

/// The exchanges of a capture, by the ports of their connection.
fn exchanges(pcap: &Path, bytes: &[u8]) -> BTreeMap<(u64, u64), Vec<Shown>> {
    let file = tempfile::Builder::new().suffix(".pcap").tempfile().expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("a capture is written");
    let (capture, keys) = (file.path().to_str().expect("a path").to_owned(), pcap.with_extension("keys"));
    let mut args = vec!["exchanges", "--format", "ndjson", &capture];
    if keys.exists() {
        args.extend(["--keylog", keys.to_str().expect("a path")]);
    }
    let out = gatewitness(&args);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    let mut all = BTreeMap::<_, Vec<_>>::new();
    for line in out.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let record: Value = serde_json::from_slice(line).expect("a record");
        if record["record"] == "exchange" {
            let port = |side: &str| record[side].as_str().and_then(|text| text.rsplit_once(':')?.1.parse().ok()).expect("a port");
            let complete = record["complete"] == true || record["http"]["path"].as_str().is_some_and(|path| path.starts_with("/reset"));
            let shown = (record["http"].clone(), complete, record["frames"][0].as_u64().unwrap_or(0));
            all.entry((port("client"), port("server"))).or_default().push(shown);
        }
    }
    all
}

/// The capture without its first packets, for many cuts: exchanges that begin behind the cut are all there (if not always their names,
/// which HPACK's lost table may hold), and what is said of any is true.
fn late(pcap: &Path) {
    let bytes = std::fs::read(pcap).expect("a capture");
    let whole = exchanges(pcap, &bytes);
    let starts = packets(&bytes);
    let tls = pcap.with_extension("keys").exists();
    let (mut after, mut known) = (0, 0);
    let step = starts.len() / 40 + 1;
    for cut in (1..starts.len()).step_by(step) {
        let part = [&bytes[..24], &bytes[starts[cut]..]].concat();
        for (ports, said) in exchanges(pcap, &part) {
            let truth = whole.get(&ports).unwrap_or_else(|| panic!("{pcap:?} from packet {cut}: no such connection {ports:?}"));
            let mut free: Vec<&Shown> = truth.iter().collect();
            // Those that say most find theirs first.
            let mut said = said;
            said.sort_by_key(|one| KEYS.iter().filter(|key| one.0[**key].is_null()).count());
            for one in &said {
                let true_of = |of: &&Shown| KEYS.iter().all(|key| one.0[*key].is_null() || one.0[*key] == of.0[*key]);
                let near = free.iter().position(|of| true_of(of) && of.2 == one.2 + cut as u64);
                let place = near.or_else(|| free.iter().position(true_of));
                // A request and its answer may be told apart, where the answer could be read first.
                let half = |of: &&Shown| true_of(of) && (one.0["status"].is_null() || one.0["method"].is_null() && one.0["path"].is_null());
                let of = match place {
                    Some(place) => free.remove(place),
                    None => truth
                        .iter()
                        .find(half)
                        .unwrap_or_else(|| panic!("{pcap:?} from packet {cut}: {:?} is not true on {ports:?}", one.0)),
                };
                if of.2 > cut as u64 {
                    known += KEYS.iter().filter(|key| one.0[**key] == of.0[**key]).count();
                }
            }
        }
        after += whole.values().flatten().filter(|one| one.2 > cut as u64).count() * KEYS.len();
    }
    println!("{}: {known} of {after} methods, paths and statuses behind a cut", pcap.display());
    // Without its handshake a TLS connection may stay closed. Else the first exchange behind a cut may pay for the search for frames.
    assert!(tls || known * 100 >= after * 94, "{pcap:?}: {known} of {after}");
}

/// Where each packet begins in a classic capture.
fn packets(bytes: &[u8]) -> Vec<usize> {
    let (mut at, mut starts) = (24, Vec::new());
    while let Some(len) = bytes.get(at + 8..at + 12) {
        starts.push(at);
        at += 16 + u32::from_le_bytes(len.try_into().expect("four bytes")) as usize;
    }
    starts
}

fn bundled(name: &str) -> PathBuf {
    Path::new(ROOT).join(format!("captures/h2/{name}.pcap"))
}

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const KEYS: &[&str] = &["method", "path", "status"];
