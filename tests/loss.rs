//! A capture that lacks packets gives fewer verdicts, not wrong ones.

mod common;

use std::collections::HashMap;
use std::path::Path;

use common::pcap::{read, write};
use common::{command, file};
use serde_json::Value;

/// Every k-th packet is taken away. Whatever is flagged or called healthy then must be so in the whole capture too.
#[test]
fn lost_packets_make_no_false_flag_and_nothing_healthy() {
    let cases: &[(&str, &[usize])] = &[
        ("p05-fanout-partial", &[5, 40]),
        ("p09-rest-route", &[5]),
        ("p10-other-methods", &[5, 13]),
        ("p11-any-sll2", &[13]),
        ("p12-gzip", &[13]),
        ("p13-shared-tokens", &[5, 7, 13]),
        ("p16-trap-empty-vs-401", &[7, 13]),
        ("p17-expiry-midrun", &[5]),
        ("p51-ipv6", &[3, 5, 7]),
        ("p72-vlan", &[40]),
        ("p81-nginx-keepalive", &[5, 40]),
        ("p82-nginx-tls", &[5]),
        ("p83-workers-startup", &[7]),
        ("p85-h2-upstream", &[3, 5, 7, 13, 40]),
        ("p86-h2c-downstream", &[7, 13, 40, 100]),
        ("p89-oauth-m2m", &[7, 13]),
    ];
    for (name, every) in cases {
        let bytes = std::fs::read(file(name)).expect("a capture is read");
        let (head, records) = read(&bytes);
        let whole: HashMap<String, Value> = pairs(name, &bytes).into_iter().map(|pair| (key(&pair), pair)).collect();
        let mut compared = 0;
        for every in *every {
            let kept: Vec<_> = records.iter().enumerate().filter(|(n, _)| n % every != 0).map(|(_, record)| record.clone()).collect();
            for pair in pairs(name, &write(head, &kept)) {
                let Some(was) = whole.get(&key(&pair)) else { continue };
                compared += 1;
                let claims =
                    matches!(pair["verdict"].as_str(), Some("swallowed" | "partial" | "stalled" | "healthy" | "empty" | "unexplained"));
                assert!(!claims || pair["verdict"] == was["verdict"], "{name} without every {every}th packet:\n{pair:#}\nwas {was:#}");
            }
        }
        assert!(compared > 0, "{name}: no pair is left to compare");
    }
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
