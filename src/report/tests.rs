//! Every record against its schema, and what a person sees as snapshots.

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

use super::fixtures::{Build, CLIENT, GATEWAY, judged};
use super::fixtures::{each, finding, leg, link, listing, loss, pair, refused, result, rpc, rpc_error, summary, swallowed, tools};
use super::{Json, Lines, Ndjson, Report, Shape, Text};
use crate::base::Count;
use crate::correlate::Leg;
use crate::http::Version;
use crate::mcp::Asked;
use crate::pipeline::Summary;
use crate::verdict::{Finding, Judged, Verdict};

/// Runs everything through a report and gives back what it wrote.
fn shown(make: impl FnOnce(&mut Vec<u8>) -> Box<dyn Report + '_>, judged: &[Judged], findings: &[Finding], summary: &Summary) -> String {
    let mut out = Vec::new();
    let mut report = make(&mut out);
    judged.iter().cloned().for_each(|one| report.pair(one));
    summary.losses.iter().cloned().for_each(|one| report.loss(one));
    findings.iter().cloned().for_each(|one| report.finding(one));
    report.finish(summary).unwrap();
    drop(report);
    String::from_utf8(out).unwrap()
}

fn text(judged: &[Judged], findings: &[Finding], summary: &Summary) -> String {
    shown(|out| Box::new(Text::new(out, Shape::default(), false)), judged, findings, summary)
}

fn explained(pair: u64, judged: &[Judged]) -> String {
    shown(|out| Box::new(Text::new(out, Shape::default(), false).explaining(Some(pair))), judged, &[finding(1)], &summary(&[], 0))
}

fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn schema(schemas: &mut Schemas) -> SchemaIndex {
    let mut compiler = Compiler::new();
    let source = serde_json::from_str(include_str!("../../docs/output.schema.json")).unwrap();
    compiler.add_resource("output.schema.json", source).unwrap();
    compiler.compile("output.schema.json", schemas).unwrap()
}

fn snapshot(name: &str, text: &str) {
    // What a server said is never broken.
    let fits = |line: &str| line.chars().count() <= 100 || line.trim_start().starts_with("WWW-Authenticate:");
    assert!(text.lines().all(fits), "wider than 100 columns:\n{text}");
    kept(name, text);
}

fn kept(name: &str, text: &str) {
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn with_losses(mut summary: Summary) -> Summary {
    summary.losses = vec![loss()];
    summary.counts.add(Count::Gaps, 3);
    summary.counts.add(Count::MidConnections, 1);
    summary.counts.add(Count::TlsConnections, 2);
    summary
}

#[test]
fn every_record_fits_the_schema() {
    let (mut schemas, all) = (Schemas::new(), each());
    let index = schema(&mut schemas);
    let text = shown(|out| Box::new(Ndjson::new(out, Shape::default())), &all, &[finding(1)], &with_losses(summary(&all, 1)));
    let records = records(&text);
    let kinds: Vec<&str> = records.iter().map(|record| record["record"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "pair").count(), all.len());
    assert_eq!((kinds.last(), kinds.contains(&"finding"), kinds.contains(&"capture")), (Some(&"summary"), true, true));
    for record in &records {
        schemas.validate(record, index).unwrap_or_else(|error| panic!("{error:#}\n{record:#}"));
    }
    let seen: std::collections::BTreeSet<&str> = records.iter().filter_map(|record| record["verdict"].as_str()).collect();
    assert_eq!(seen.len(), Verdict::ALL.len());
}

#[test]
fn the_schema_can_say_no() {
    let (mut schemas, all) = (Schemas::new(), each());
    let index = schema(&mut schemas);
    let text = shown(|out| Box::new(Ndjson::new(out, Shape::default())), &all, &[finding(1)], &summary(&all, 1));
    let spoil = |record: usize, pointer: &str, value: Value| {
        let mut record = records(&text).swap_remove(record);
        *record.pointer_mut(pointer).unwrap() = value;
        record
    };
    let bad = [
        spoil(0, "/verdict", "masked".into()),
        spoil(0, "/downstream/token", "Bearer secret".into()),
        spoil(0, "/downstream/start", "2026-11-22 21:51:45".into()),
        spoil(0, "/upstream/0/link/score", 1.5.into()),
        spoil(0, "/record", "pear".into()),
        spoil(all.len(), "/count", Value::Null),
    ];
    for record in bad {
        assert!(schemas.validate(&record, index).is_err(), "{record:#}");
    }
}

#[test]
fn a_pair_reads_as_the_contract_says() {
    let text = shown(|out| Box::new(Ndjson::new(out, Shape::default())), &[swallowed(1)], &[], &summary(&[], 0));
    let line = text.lines().next().unwrap();
    let order = [
        "record",
        "pair",
        "verdict",
        "rule",
        "failure",
        "declared",
        "confidence",
        "downstream",
        "upstream",
        "authorization",
        "notes",
        "cause",
    ];
    let places: Vec<usize> = order.iter().map(|key| line.find(&format!("\"{key}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
    let pair = &records(&text)[0];
    assert_eq!(pair["confidence"], 0.998);
    assert_eq!(pair["downstream"]["mcp"]["items"], 0);
    assert_eq!(pair["downstream"]["frames"], serde_json::json!([4, 24]));
    assert_eq!(pair["downstream"]["token"], "tok:5f1c9a0b1c2d3e4f");
    assert_eq!(pair["upstream"][0]["http"]["status"], 401);
    assert_eq!(pair["upstream"][0]["link"]["because"], serde_json::json!(["token", "contained", "only-candidate"]));
    assert!(pair["downstream"].get("client_aliases").is_none() && pair["downstream"].get("file").is_none());
}

#[test]
fn elements_of_a_batch_share_http_and_have_their_own_answer() {
    let all = each();
    let second = all.iter().find(|judged| judged.pair.element == 1).unwrap();
    let mut first = second.clone();
    first.pair.element = 0;
    let text = shown(|out| Box::new(Ndjson::new(out, Shape::default())), &[first, second.clone()], &[], &summary(&[], 0));
    let records = records(&text);
    assert_eq!(records[0]["downstream"]["http"], records[1]["downstream"]["http"]);
    let mcp = |n: usize| &records[n]["downstream"]["mcp"];
    assert_eq!((&mcp(0)["id"], &mcp(0)["lists"], &mcp(0)["items"]), (&1.into(), &"tools".into(), &3.into()));
    assert_eq!((&mcp(1)["id"], &mcp(1)["lists"], &mcp(1)["items"]), (&"p-2".into(), &"prompts".into(), &0.into()));
}

#[test]
fn several_files_are_named_and_one_is_not() {
    let mut down = listing().status(200, 2).says(tools(3), 20);
    down.done.as_mut().unwrap().last.file = 1;
    let one = judged(1, Verdict::Healthy, "healthy", pair(down, Vec::new()));
    let shape = Shape { files: vec!["a.pcap".to_owned(), "b.pcap".to_owned()], ..Shape::default() };
    let text = shown(|out| Box::new(Ndjson::new(out, shape)), &[one], &[], &summary(&[], 0));
    let down = &records(&text)[0]["downstream"];
    assert_eq!((&down["file"], &down["last_file"]), (&"a.pcap".into(), &"b.pcap".into()));
}

#[test]
fn one_document_holds_the_same_records() {
    let all = each();
    let whole = with_losses(summary(&all, 1));
    let lines = records(&shown(|out| Box::new(Ndjson::new(out, Shape::default())), &all, &[finding(1)], &whole));
    let text = shown(|out| Box::new(Json::new(out, Shape::default())), &all, &[finding(1)], &whole);
    let document: Value = serde_json::from_str(&text).unwrap();
    let lists = ["pairs", "findings", "captures"].map(|key| document[key].as_array().unwrap().clone());
    let mut of_document = lists.concat();
    of_document.push(document["summary"].clone());
    let order = |record: &Value| ["pair", "finding", "capture", "summary"].iter().position(|kind| record["record"] == **kind);
    let mut lines = lines;
    lines.sort_by_key(order);
    assert_eq!(of_document, lines);
    let empty = shown(|out| Box::new(Json::new(out, Shape::default())), &[], &[], &summary(&[], 0));
    assert_eq!(serde_json::from_str::<Value>(&empty).unwrap()["pairs"], serde_json::json!([]));
}

#[test]
fn only_findings_leaves_findings_and_the_summary() {
    let all = each();
    let shape = || Shape { only_findings: true, ..Shape::default() };
    let text = shown(|out| Box::new(Ndjson::new(out, shape())), &all, &[finding(1)], &with_losses(summary(&all, 1)));
    let kinds: Vec<Value> = records(&text).iter().map(|record| record["record"].clone()).collect();
    assert_eq!(kinds, ["finding", "summary"]);
    let text = shown(|out| Box::new(Text::new(out, shape(), false)), &all, &[finding(1)], &summary(&all, 1));
    assert!(text.starts_with("FINDINGS") && !text.contains("VERDICTS"), "{text}");
}

fn exchanges() -> Vec<Leg> {
    let mut answer_only = leg(CLIENT, GATEWAY, "/x", Asked::Other, 4).status(200, 5);
    answer_only.request = None;
    let mut h2 = rpc(CLIENT, GATEWAY, "/mcp", "tools/list", 1, 6).status(200, 7).says(tools(2), 9);
    h2.request.as_mut().unwrap().head.common.version = Version::Http2;
    vec![leg(CLIENT, GATEWAY, "/health", Asked::Other, 0).status(200, 2), listing(), refused(), answer_only, h2]
}

#[test]
fn exchanges_fit_the_schema_and_read_one_a_line() {
    let mut schemas = Schemas::new();
    let index = schema(&mut schemas);
    let shape = || Shape { exchanges: true, ..Shape::default() };
    let run = |mut report: Box<dyn Report + '_>| {
        assert!(report.wants_exchanges());
        exchanges().into_iter().for_each(|leg| report.exchange(leg));
        report.finish(&Summary { exchanges: 5, ..Summary::default() }).unwrap();
    };
    let mut out = Vec::new();
    run(Box::new(Ndjson::new(&mut out, shape())));
    let lines = records(&String::from_utf8(out).unwrap());
    for record in &lines {
        schemas.validate(record, index).unwrap_or_else(|error| panic!("{error:#}\n{record:#}"));
    }
    assert_eq!((&lines[0]["complete"], &lines[1]["complete"], &lines[3]["complete"]), (&true.into(), &false.into(), &false.into()));
    assert_eq!(
        (&lines[1]["http"]["status"], &lines[3]["http"]["method"], &lines[4]["http"]["version"]),
        (&Value::Null, &Value::Null, &"2".into())
    );
    let mut out = Vec::new();
    run(Box::new(Json::new(&mut out, shape())));
    let document: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(document["exchanges"].as_array().unwrap().as_slice(), &lines[..5]);
    let mut out = Vec::new();
    run(Box::new(Lines::new(&mut out, shape())));
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count(), 6);
    kept("exchanges", &text);
}

#[test]
fn the_swallowed_401_as_a_person_reads_it() {
    let mut alone = finding(1);
    (alone.count, alone.at_least, alone.at_most, alone.clients) = (1, 1, 1, 1);
    (alone.last, alone.recovered, alone.pairs, alone.candidates) = (alone.first, None, vec![1], Vec::new());
    snapshot("text-swallowed-401", &text(&[swallowed(1)], &[alone], &summary(&[swallowed(1)], 1)));
}

#[test]
fn every_verdict_as_a_person_reads_it() {
    let all = each();
    let of = |n: u64, pair: &Judged| {
        let mut one = finding(n);
        (one.verdict, one.rule, one.failure, one.pairs, one.candidates) =
            (pair.verdict, pair.rule, pair.failure, vec![pair.number], Vec::new());
        (one.count, one.at_least, one.at_most, one.declared, one.route) = (1, 1, 1, pair.declared, pair.pair.down.path().to_owned());
        one
    };
    let mut certain = finding(5);
    (certain.count, certain.at_least, certain.at_most, certain.pairs, certain.candidates) = (0, 11, 11, Vec::new(), (10..34).collect());
    let findings = [finding(1), of(2, &all[1]), of(3, &all[2]), of(4, &all[10]), certain];
    snapshot("text-every-verdict", &text(&all, &findings, &with_losses(summary(&all, 5))));
}

#[test]
fn nothing_found_is_said_plainly() {
    let all: Vec<Judged> = each().into_iter().filter(|judged| matches!(judged.number, 6 | 7 | 10)).collect();
    snapshot("text-nothing-found", &text(&all, &[], &summary(&all, 0)));
}

#[test]
fn no_gateway_says_what_was_seen_and_what_to_do() {
    let mut none = summary(&[], 0);
    none.gateways.clear();
    none.exchanges = 12;
    snapshot("text-no-gateway", &text(&[], &[], &none));
    none.exchanges = 0;
    none.counts.add(Count::TlsConnections, 4);
    assert!(text(&[], &[], &none).contains("--keylog"));
    let nothing = Summary { captures: none.captures, ..Summary::default() };
    assert!(text(&[], &[], &nothing).contains("no packets"));
}

#[test]
fn one_pair_explained() {
    let mut one = each().swap_remove(3);
    one.pair
        .authorization
        .push(std::sync::Arc::new(leg("127.0.0.1:40400", "127.0.0.14:9004", "/token", Asked::Authorization, 3).status(400, 4)));
    snapshot("text-explain", &explained(4, &[swallowed(1), one]));
}

#[test]
fn many_findings_stay_readable() {
    let findings: Vec<Finding> = (1..=300).map(finding).collect();
    let text = text(&[swallowed(1)], &findings, &summary(&[swallowed(1)], 300));
    assert!(text.lines().count() < 500, "{}", text.lines().count());
    assert!(text.contains("280 more findings") && text.contains("--format ndjson"));
}

#[test]
fn a_hostile_upstream_cannot_speak_to_the_terminal() {
    let hostile = "\x1b]0;owned\x07\x1b[2J\r\u{202e}";
    let mut one = swallowed(1);
    let mut up = refused();
    up.response.as_mut().unwrap().head.www_authenticate = Some(hostile.to_owned());
    let mut down = listing().status(200, 2).says(rpc_error(), 20);
    down.request.as_mut().unwrap().head.path = format!("/{hostile}");
    one.pair = pair(down, vec![link(up, 0)]);
    let mut of = finding(1);
    (of.route, of.advice) = (format!("/{hostile}"), hostile.to_owned());
    let mut whole = with_losses(summary(std::slice::from_ref(&one), 1));
    (whole.losses[0].detail, whole.captures[0], whole.gateways[0].software) =
        (hostile.to_owned(), hostile.to_owned(), Some(hostile.to_owned()));
    for text in [text(std::slice::from_ref(&one), &[of], &whole), explained(1, &[one])] {
        assert!(!text.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text:?}");
    }
}

#[test]
fn the_first_error_of_writing_is_kept() {
    struct Broken;
    impl std::io::Write for Broken {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut report = Ndjson::new(Broken, Shape::default());
    assert!(!report.failed());
    crate::pipeline::Output::pair(&mut report, swallowed(1));
    assert!(report.failed());
    assert_eq!(report.finish(&summary(&[], 0)).unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
}

#[test]
fn answers_without_a_list_say_so() {
    let call = rpc(CLIENT, GATEWAY, "/mcp", "tools/call", 3, 0).status(200, 2).says(result(None, Some(true)), 4);
    let text = shown(
        |out| Box::new(Ndjson::new(out, Shape::default())),
        &[judged(1, Verdict::Healthy, "healthy", pair(call, Vec::new()))],
        &[],
        &summary(&[], 0),
    );
    let mcp = &records(&text)[0]["downstream"]["mcp"];
    assert_eq!((&mcp["items"], &mcp["lists"], &mcp["is_error"]), (&Value::Null, &Value::Null, &true.into()));
}

#[test]
fn findings_hold_what_is_certain_of_pairs_whose_pairing_is_not() {
    use crate::base::Limits;
    use crate::verdict::{FindingKey, Findings};
    let mut findings = Findings::new(&Limits::default());
    let certain = swallowed(1);
    assert_eq!(findings.add(&certain), Some((1, true)));
    let key = FindingKey {
        verdict: certain.verdict,
        rule: certain.rule,
        failure: certain.failure,
        cause: certain.cause.as_ref().map(|cause| cause.kind),
        route: certain.pair.down.path().to_owned(),
        server: certain.server,
    };
    for number in 2..=6 {
        let doubtful = Judged { number, verdict: Verdict::Unresolved, may_be: Some(key.clone()), ..certain.clone() };
        assert_eq!(findings.add(&doubtful), Some((1, false)));
    }
    let bounds = |findings: &Findings| {
        let all = findings.all();
        (all.len(), all[0].count, all[0].at_least, all[0].at_most, all[0].pairs.clone(), all[0].candidates.clone())
    };
    assert_eq!(bounds(&findings), (1, 1, 1, 6, vec![1], vec![2, 3, 4, 5, 6]));
    findings.bound(&key, 4, 2, 3);
    assert_eq!(bounds(&findings), (1, 1, 3, 5, vec![1], vec![2, 3, 4, 5, 6]));
    // No set can hold more than is there.
    findings.bound(&key, 9, 9, 9);
    assert_eq!(bounds(&findings), (1, 1, 4, 5, vec![1], vec![2, 3, 4, 5, 6]));
    findings.add(&judged(7, Verdict::Unresolved, "unresolved", certain.pair.clone()));
    assert_eq!(bounds(&findings).0, 1);
}
