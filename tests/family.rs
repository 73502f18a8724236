//! The whole family of masked failures through the binary, and what looks like it and must stay quiet: each case is a conversation of a
//! few lines in `tests/family/` (see `tests/common/scenario.rs`), written as real TCP and HTTP into a capture, replayed and judged.
//! `FAMILY_CAPTURES=folder` keeps the captures.

mod common;

use std::collections::BTreeSet;

use common::{command, scenario};
use gatewitness::verdict::{CauseKind, FAMILY, Failure, NOTES, RULES, Verdict};
use serde_json::Value;

#[test]
fn every_member_of_the_family_is_judged_and_explained() {
    let mut wrong = Vec::new();
    for (file, one) in all() {
        if let Some(folder) = std::env::var_os("FAMILY_CAPTURES") {
            let path = std::path::Path::new(&folder).join(format!("{}.pcap", one.name.replace([' ', ','], "-")));
            std::fs::write(path, &one.capture).expect("the capture is kept");
        }
        let pairs = pairs(&one.capture);
        let judged: Vec<&Value> = pairs.iter().filter(|pair| pair["verdict"] != "background").collect();
        let said: Vec<String> = judged.iter().map(|pair| said(pair)).collect();
        if said != one.expected {
            wrong.push(format!("{file}: {}\n   is {}\n  not {}", one.name, said.join("\n      "), one.expected.join("\n      ")));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_rule_failure_cause_and_note_has_a_case() {
    let cases = all();
    let words: BTreeSet<&str> = cases.iter().flat_map(|(_, one)| &one.expected).flat_map(|line| line.split([' ', '+'])).collect();
    let due = Verdict::ALL.iter().map(|one| one.as_str()).filter(|one| *one != "background");
    let due = due.chain(RULES.iter().map(|one| one.id).filter(|one| *one != "background"));
    let due = due.chain(NOTES.iter().map(|one| one.id));
    let due = due.chain(CauseKind::ALL.iter().map(|one| one.as_str()));
    // A handshake that fails is in the captures with TLS (tests/tls.rs).
    let due = due.chain(Failure::ALL.iter().map(|one| one.as_str()).filter(|one| *one != "tls"));
    let missing: Vec<&str> = due.filter(|one| !words.contains(one)).collect();
    assert!(missing.is_empty(), "no case shows {missing:?}");
}

#[test]
fn every_member_of_the_table_has_its_cases() {
    let cases = all();
    for one in FAMILY.iter().filter(|one| !one.told.is_empty()) {
        let find = |name: &str| cases.iter().find(|(_, case)| case.name == name).unwrap_or_else(|| panic!("no case is called {name}"));
        let tells = |name: &str| find(name).1.expected.iter().any(|line| line.split([' ', '+']).any(|word| word == one.told));
        assert!(tells(one.case), "{}: {} does not show {}", one.number, one.case, one.told);
        assert!(one.quiet.is_empty() || one.told == "propagated" || !tells(one.quiet), "{}: {} shows {}", one.number, one.quiet, one.told);
    }
}

#[test]
fn what_is_certain_only_of_a_set_is_a_finding_with_candidates() {
    let (_, case) = all().into_iter().find(|(_, case)| case.name.starts_with("two requests, one visit that failed")).expect("the case");
    let findings: Vec<Value> = records(&case.capture).into_iter().filter(|record| record["record"] == "finding").collect();
    assert_eq!(findings.len(), 1, "{findings:?}");
    let one = &findings[0];
    assert_eq!((&one["verdict"], &one["count"], &one["candidates"]), (&"swallowed".into(), &0.into(), &serde_json::json!([1, 2])));
    let (least, most) = (one["at_least"].as_u64().expect("a number"), one["at_most"].as_u64().expect("a number"));
    assert!((0..=1).contains(&least) && (1..=2).contains(&most), "one was swallowed: {least} to {most}");
}

#[test]
fn exchanges_are_shown_with_what_was_answered() {
    let (_, case) = all().into_iter().find(|(_, case)| case.name == "a good list").expect("the case");
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), &case.capture).expect("the capture is written");
    let run = |form: &str| {
        let out = command(&["exchanges", "--format", form]).arg(file.path()).output().expect("the binary runs");
        String::from_utf8(out.stdout).expect("text")
    };
    let text = run("text");
    assert_eq!(text.matches("200 with 2 tools").count(), 2, "{text}");
    let items =
        run("ndjson").lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["mcp"]["items"].clone()).collect::<Vec<_>>();
    assert_eq!(items.iter().filter(|items| **items == 2).count(), 2, "{items:?}");
}

fn all() -> Vec<(String, scenario::Scenario)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/family");
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("cases").map(|file| file.expect("a file").path()).collect();
    files.sort();
    let name = |file: &std::path::Path| file.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
    let cases = |file: &std::path::PathBuf| scenario::read(&std::fs::read_to_string(file).expect("text"));
    files.iter().flat_map(|file| cases(file).into_iter().map(|one| (name(file), one))).collect()
}

fn pairs(capture: &[u8]) -> Vec<Value> {
    let mut pairs: Vec<Value> = records(capture).into_iter().filter(|record| record["record"] == "pair").collect();
    pairs.sort_by_key(|pair| pair["downstream"]["start"].as_str().map(str::to_owned));
    pairs
}

fn records(capture: &[u8]) -> Vec<Value> {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), capture).expect("the capture is written");
    let out =
        command(&["replay", "--format", "ndjson", "--gateway", scenario::GATEWAY]).arg(file.path()).output().expect("the binary runs");
    assert!(matches!(out.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&out.stderr));
    out.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok()).collect()
}

/// A pair in the words of the cases: what is not there is not said.
fn said(pair: &Value) -> String {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let flag = |key: &str, word: &str| (pair[key] == true).then(|| word.to_owned());
    let notes = pair["notes"].as_array().expect("notes").iter().filter_map(text).map(|note| format!("+{note}"));
    let words = [text(&pair["verdict"]), text(&pair["rule"]), text(&pair["failure"]), text(&pair["cause"]["kind"])];
    let because = text(&pair["unresolved_because"]).map(|because| format!("because={because}"));
    let rest = because.into_iter().chain(flag("declared", "declared")).chain(flag("in_band", "in-band"));
    words.into_iter().flatten().chain(notes).chain(rest).collect::<Vec<_>>().join(" ")
}
