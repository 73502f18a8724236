//! Where a live run tells what it finds: rotated files, the system's log, evidence. Takes root; says so where it has none.
#![cfg(all(feature = "live", target_os = "linux"))]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::net::{Net, records, verdicts};
use serde_json::Value;

#[test]
fn a_file_begins_anew_between_two_records_and_an_old_one_is_gone_on_with() {
    let Some(net) = Net::new("rotated output of a live run") else { return };
    let servers = net.gateway_and_upstreams();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("told.ndjson");
    fs::write(&path, "{\"record\":\"capture\",\"kind\":\"before\"}\n").unwrap();
    let live = net.live(&["--format", "ndjson", "-o", path.to_str().unwrap(), "--max-size", "4096", "--max-files", "50"]);
    net.client("bad-1", "12");
    net.client("good-1", "12");
    let (code, out, errors) = live.end("INT");
    assert_eq!((code, out.as_str()), (Some(1), ""), "{errors}");
    let mut all = Vec::new();
    for n in (1..50).rev() {
        all.extend(fs::read_to_string(folder.path().join(format!("told.ndjson.{n}"))).ok());
    }
    let last = fs::read_to_string(&path).unwrap();
    assert!(all.len() > 3 && all.iter().all(|text| text.len() < 4_096 + 40_000 && text.ends_with('\n')), "{} files", all.len());
    let text = all.concat() + &last;
    assert_eq!(records(&text)[0]["kind"], "before");
    assert_eq!(verdicts(&text).values().sum::<u64>(), 24);
    assert_eq!(records(&last).last().unwrap()["record"], "summary");
    drop(servers);
}

#[test]
fn the_systems_log_gets_one_line_for_each_kind() {
    let Some(net) = Net::new("syslog and the journal") else { return };
    let servers = net.gateway_and_upstreams();
    let run = |log: &str, more: &[&str]| {
        let binary = env!("CARGO_BIN_EXE_gatewitness");
        let live = ["timeout", "--foreground", "60", binary, "live", "--log", log, "--duration", "4", "--heartbeat", "1"];
        let words = [&["python3", "tests/live/logs.py"], more, &live].concat();
        let child = net.inside("g", &words).stdout(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(2) {
            net.client("bad-1", "3");
            std::thread::sleep(Duration::from_millis(300));
        }
        let out = child.wait_with_output().unwrap();
        records(std::str::from_utf8(&out.stdout).unwrap())
    };
    let texts = |said: &[Value], key: &str| -> Vec<String> { said.iter().filter_map(|one| one[key].as_str().map(str::to_owned)).collect() };
    let said = run("journald", &[]);
    assert_eq!(said.last().unwrap()["code"], 1, "{said:?}");
    // Both upstreams refuse, and the one that answered first is named: two kinds of pair, however often each comes.
    let kinds: Vec<&Value> = said.iter().filter(|one| one["PRIORITY"] == "4" && one["GATEWITNESS_VERDICT"] == "swallowed").collect();
    let servers_told: BTreeSet<&str> = kinds.iter().filter_map(|one| one["GATEWITNESS_SERVER"].as_str()).collect();
    assert!(!kinds.is_empty() && servers_told.len() == kinds.len(), "{said:?}");
    let first = said.iter().find(|one| one["GATEWITNESS_VERDICT"] == "swallowed").unwrap();
    assert!(first["SYSLOG_IDENTIFIER"] == "gatewitness" && first["GATEWITNESS_ROUTE"] == "/mcp", "{first}");
    assert!(first["MESSAGE"].as_str().unwrap().starts_with("swallowed · unauthorized · /mcp ← 10.77.2.2:900"), "{first}");
    let messages = texts(&said, "MESSAGE");
    assert!(messages.iter().filter(|text| text.starts_with("alive: ")).count() >= 2, "{messages:?}");
    assert!(messages.last().unwrap().starts_with("ended: "), "{messages:?}");
    // A daemon that is away for a while is told when it is back.
    let said = run("syslog", &["--late", "1"]);
    let lines = texts(&said, "text");
    assert!(lines.iter().all(|line| line.starts_with('<') && line.contains(">gatewitness[")), "{lines:?}");
    let flagged = lines.iter().filter(|line| line.starts_with("<28>") && line.contains("swallowed · unauthorized")).count();
    assert!((1..=2).contains(&flagged), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("<29>") && line.contains("ended: ")), "{lines:?}");
    drop(servers);
}

#[test]
fn what_cannot_be_told_is_refused_before_anything_is_captured() {
    let refused = |words: &[&str], expected: &str| {
        let out = common::gatewitness(&[&["live", "--duration", "0.1", "-i", "lo"], words].concat());
        let errors = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(2) && errors.contains(expected), "{words:?}: {errors}");
    };
    refused(&["--log", "syslog", "--format", "ndjson"], "cannot be used with");
    refused(&["--max-size", "1M"], "name a file with --output");
    refused(&["--max-size", "1M", "--format", "html", "-o", "/dev/null"], "whole in one file");
}

#[test]
fn evidence_of_a_live_run_is_judged_as_the_run_was() {
    let Some(net) = Net::new("evidence of a live run") else { return };
    let servers = net.gateway_and_upstreams();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence");
    let live = net.live(&["--evidence", path.to_str().unwrap(), "--format", "ndjson", "--max-packets", "400"]);
    for token in ["good-1", "bad-1", "good-2"] {
        net.client(token, "4");
    }
    while net.client("good-3", "4").len() == 4 && !live.is_over() {}
    let (code, out, errors) = live.ended();
    assert_eq!(code, Some(1), "{errors}");
    let findings = records(&out).iter().filter(|record| record["record"] == "finding").count();
    assert!(
        findings >= 1 && errors.contains(&format!("evidence for {findings} of {findings} findings; {findings} judged the same")),
        "{errors}"
    );
    let bundle = path.join("finding-0001");
    let told: Value = serde_json::from_slice(&fs::read(bundle.join("finding.json")).unwrap()).unwrap();
    assert_eq!(told["replay"]["same"], true, "{told}");
    let streams = fs::read(bundle.join("streams.pcapng")).unwrap();
    assert!(!streams.windows(5).any(|bytes| bytes == b"bad-1"), "no credential in it");
    drop(servers);
}
