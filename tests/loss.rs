//! A capture that lacks packets gives fewer verdicts, not wrong ones.

mod common;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use common::pcap::{Record, read, write};
use common::{captures, command, file};
use serde_json::Value;

/// Every k-th packet is taken away. Whatever is flagged or called healthy then must be so in the whole capture too.
#[test]
fn lost_packets_make_no_false_flag_and_nothing_healthy() {
    compare(&[3, 5, 7, 13, 40], |records, every| {
        records.iter().enumerate().filter(|(n, _)| n % every != 0).map(|(_, r)| r.clone()).collect()
    });
}

/// The witness comes late: the first packets are gone, and with them requests whose effects are seen. No upstream is taken for the
/// gateway, and what others caused is not laid at the door of the requests that were seen.
#[test]
fn a_late_start_makes_no_false_flag_and_nothing_healthy() {
    compare(&[1, 2, 3, 4, 5, 6, 7, 8, 9], |records, tenth| records.iter().skip(records.len() * tenth / 10).cloned().collect());
}

/// Judges every recording whole and in `parts` of it, and compares what is claimed.
fn compare(parts: &[usize], part: impl Fn(&[Record], usize) -> Vec<Record>) {
    let mut compared = 0;
    for name in captures() {
        let bytes = std::fs::read(file(&name)).expect("a capture is read");
        if !bytes.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]) {
            continue; // nanoseconds, or pcapng: the same packets are there in the classic format
        }
        let (head, records) = read(&bytes);
        let whole: HashMap<String, Value> = pairs(&name, &bytes).into_iter().map(|pair| (key(&pair), pair)).collect();
        for n in parts {
            for pair in pairs(&name, &write(head, &part(&records, *n))) {
                let verdict = pair["verdict"].as_str().expect("a pair has a verdict");
                let Some(was) = whole.get(&key(&pair)) else {
                    // One whose beginning was not seen has another name. If it is flagged, then for what was flagged in the whole as well.
                    let flagged = matches!(verdict, "swallowed" | "partial" | "stalled" | "unexplained");
                    let same = |was: &Value| was["verdict"] == verdict && !upstream(was).is_disjoint(&upstream(&pair));
                    assert!(!flagged || whole.values().any(same), "{name}, part {n}: flagged, and not so in the whole capture:\n{pair:#}");
                    continue;
                };
                compared += 1;
                let claims = matches!(verdict, "swallowed" | "partial" | "stalled" | "healthy" | "empty" | "unexplained");
                assert!(!claims || pair["verdict"] == was["verdict"], "{name}, part {n}:\n{pair:#}\nwas {was:#}");
            }
        }
    }
    assert!(compared > 1_000, "only {compared} pairs are left to compare");
}

/// `tcpdump -s 200`: heads are cut. What is there of them is read, and nothing is concluded from what is not.
#[test]
fn heads_cut_by_the_snapshot_length_give_unresolved_pairs() {
    let pairs = pairs("p70-snaplen-200", &std::fs::read(file("p70-snaplen-200")).expect("a capture is read"));
    assert_eq!(pairs.len(), 48);
    for pair in pairs {
        assert_eq!((&pair["verdict"], &pair["unresolved_because"]), (&"unresolved".into(), &"missing".into()), "{pair:#}");
        let http = &pair["downstream"]["http"];
        assert_eq!((&http["method"], &http["status"]), (&"POST".into(), &200.into()), "{pair:#}");
        assert!(http["path"].as_str().is_some_and(|path| path.contains("mcp")), "{pair:#}");
    }
}

/// The request, by who sent it and when its first byte was seen.
fn key(pair: &Value) -> String {
    let down = &pair["downstream"];
    format!("{} {} {}", down["client"], down["start"], down["mcp"]["id"])
}

/// The connections on which the gateway asked.
fn upstream(pair: &Value) -> HashSet<&str> {
    pair["upstream"].as_array().into_iter().flatten().filter_map(|leg| leg["client"].as_str()).collect()
}

fn pairs(name: &str, bytes: &[u8]) -> Vec<Value> {
    let capture = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(capture.path(), bytes).expect("the capture is written");
    let keys = format!("captures/{name}.keys");
    let mut command = command(&["replay", "--format", "ndjson"]);
    if Path::new(env!("CARGO_MANIFEST_DIR")).join(&keys).exists() {
        command.args(["--keylog", &keys]);
    }
    let out = command.arg(capture.path()).output().expect("the binary runs").stdout;
    let records = out.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    records.filter(|record| record["record"] == "pair").collect()
}
