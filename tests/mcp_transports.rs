//! Every revision's way of moving messages, client to gateway to upstream: what the binary says of each request stands beside the
//! capture (`tests/captures/make_mcp.py` writes both). The official SDK on all three sides is recorded by `make_mcp_sdk.py`, once for all
//! and, under `GATEWITNESS_TEST_ALL`, afresh.

mod common;

use std::path::Path;
use std::process::Command;

use common::{gatewitness, need_all, venv};
use serde_json::Value;

#[test]
fn every_transport_ends_in_the_right_verdict_with_its_upstream_requests() {
    let (mut names, mut wrong) = (0, Vec::new());
    for name in recordings() {
        let expected: Value =
            serde_json::from_slice(&std::fs::read(folder().join(format!("{name}.expect.json"))).expect("it is there")).expect("JSON");
        let gateway = expected["gateway"].as_str().expect("an address");
        let pairs = pairs(&["replay", "--format", "ndjson", "--gateway", gateway, &format!("captures/mcp/{name}.pcap")]);
        for one in expected["pairs"].as_array().expect("pairs") {
            let Some(pair) = pairs.iter().find(|pair| is(pair, one)) else {
                wrong.push(format!("{name}: no pair for {one}"));
                continue;
            };
            let got = said(pair);
            for (key, value) in &got {
                if !one[*key].is_null() && one[*key] != *value
                    || one[*key].is_null() && matches!(*key, "failure" | "items") && !value.is_null()
                {
                    wrong.push(format!("{name}: {} {}: {key} is {value}, should be {}", one["method"], one["id"], one[*key]));
                }
            }
        }
        names += 1;
    }
    assert!(names >= 8, "{names} recordings");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_gateway_is_found_without_being_named() {
    let expected: Value = serde_json::from_slice(&std::fs::read(folder().join("all.expect.json")).expect("it is there")).expect("JSON");
    let found = pairs(&["replay", "--format", "ndjson", "captures/mcp/all.pcap"]);
    for one in expected["pairs"].as_array().expect("pairs") {
        let pair = found.iter().find(|pair| is(pair, one)).unwrap_or_else(|| panic!("no pair for {one}"));
        assert_eq!(pair["verdict"], one["verdict"], "{one}");
    }
}

#[test]
fn recordings_are_what_the_script_writes() {
    let made = tempfile::tempdir().expect("a temporary folder");
    let run = Command::new("python3").arg("tests/captures/make_mcp.py").arg(made.path()).current_dir(env!("CARGO_MANIFEST_DIR")).status();
    assert!(run.expect("python3 runs").success());
    for name in recordings() {
        for file in [format!("{name}.pcap"), format!("{name}.expect.json")] {
            assert_eq!(std::fs::read(made.path().join(&file)).ok(), std::fs::read(folder().join(&file)).ok(), "{file}");
        }
    }
}

#[test]
fn the_official_sdk_is_understood() {
    sdk(&folder());
}

#[test]
fn the_official_sdk_is_understood_today() {
    if !need_all("the official MCP SDK as client, gateway and server") {
        return;
    }
    let made = tempfile::tempdir().expect("a temporary folder");
    let python = venv(&["mcp>=2.3", "uvicorn"]);
    let run = Command::new(python).arg("tests/captures/make_mcp_sdk.py").arg(made.path()).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let run = run.expect("it runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    sdk(made.path());
}

/// Each list that an SDK client asked for: the verdict, the entries that it got, and the requests in the upstream servers' own logs.
fn sdk(folder: &Path) {
    let truth: Value = serde_json::from_slice(&std::fs::read(folder.join("sdk.truth.json")).expect("a truth")).expect("JSON");
    let capture = folder.join("sdk.pcap");
    let mut lists = pairs(&["replay", "--format", "ndjson", capture.to_str().expect("a path")]);
    lists.retain(|pair| pair["downstream"]["mcp"]["method"] == "tools/list");
    lists.sort_by_key(|pair| pair["downstream"]["start"].as_str().map(str::to_owned));
    let asked = truth["asked"].as_array().expect("lists");
    assert_eq!(lists.len(), asked.len());
    let mut exact = 0;
    for (pair, one) in lists.iter().zip(asked) {
        let about = format!("{} to {} of port {}", one["down"], one["up"], one["port"]);
        assert_eq!((&pair["verdict"], &pair["downstream"]["mcp"]["items"]), (&one["verdict"], &one["items"]), "{about}");
        let words = |list: &Value, word: &dyn Fn(&Value) -> String| {
            let mut words: Vec<String> = list.as_array().expect("a list").iter().map(word).collect();
            words.sort();
            words
        };
        let got = words(&pair["upstream"], &|leg| format!("{} {}", leg["http"]["method"].as_str().unwrap_or("?"), leg["http"]["status"]));
        let mut logged = words(&one["logged"], &|entry| entry.as_str().expect("a word").to_owned());
        exact += usize::from(got == logged);
        // A version probe that was refused may be left without a pair: it is never given to a wrong one.
        if let (true, Some(probe)) = (one["up"] == "auto" && got.len() < logged.len(), logged.iter().position(|entry| entry == "POST 401"))
        {
            logged.remove(probe);
        }
        assert_eq!(got, logged, "{about}");
    }
    assert!(exact * 10 >= asked.len() * 9, "{exact} of {} with every upstream request", asked.len());
}

/// What a pair says, under the names of the expectation.
fn said(pair: &Value) -> Vec<(&'static str, Value)> {
    let up = pair["upstream"].as_array().expect("upstream").iter().map(|leg| {
        let (http, mcp) = (&leg["http"], &leg["mcp"]);
        format!("{} {} {}", http["method"].as_str().unwrap_or("?"), mcp["method"].as_str().unwrap_or("stream"), http["status"])
    });
    vec![
        ("verdict", pair["verdict"].clone()),
        ("failure", pair["failure"].clone()),
        ("items", pair["downstream"]["mcp"]["items"].clone()),
        ("notes", pair["notes"].clone()),
        ("up", up.collect()),
    ]
}

fn is(pair: &Value, one: &Value) -> bool {
    let down = &pair["downstream"];
    let port = down["client"].as_str().and_then(|client| client.rsplit_once(':')).map(|(_, port)| port.to_owned());
    port == Some(one["client"].to_string()) && down["mcp"]["method"] == one["method"] && down["mcp"]["id"] == one["id"]
}

fn pairs(args: &[&str]) -> Vec<Value> {
    let out = gatewitness(args);
    assert!(matches!(out.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&out.stderr));
    let lines = out.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).expect("a record")).filter(|record: &Value| record["record"] == "pair").collect()
}

fn recordings() -> Vec<String> {
    let files = std::fs::read_dir(folder()).expect("recordings").filter_map(Result::ok);
    let mut names: Vec<_> = files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".expect.json")?.to_owned())).collect();
    names.sort();
    names
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/mcp")
}
