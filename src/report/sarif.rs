//! SARIF 2.1.0 (OASIS): a result for each finding. Its place is the route of the gateway (a logical location) and the capture with its
//! frames; it has no line of source to point at.

use std::io;

use serde::Serialize;
use serde_json::{Value, json};

use super::digest::{Digest, Told};
use super::view::{extent, health, versions};
use crate::pipeline::Summary;
use crate::verdict::{RULES, Verdict};

/// The whole document.
pub(super) fn document(digest: &Digest, summary: &Summary) -> io::Result<String> {
    let rules: Vec<Value> = RULES
        .iter()
        .filter(|rule| rule.verdict.flagged())
        .map(|rule| {
            json!({
                "id": rule.id,
                "name": pascal(rule.id),
                "shortDescription": { "text": rule.title },
                "fullDescription": { "text": rule.doc },
                "defaultConfiguration": { "level": level(rule.verdict) },
            })
        })
        .collect();
    let artifacts: Vec<Value> =
        summary.captures.iter().map(|name| json!({ "location": { "uri": uri(name) }, "roles": ["analysisTarget"] })).collect();
    let results: Vec<Value> = digest.findings.iter().map(|told| result(digest, summary, told)).collect();
    let notes: Vec<Value> = health(summary).into_iter().map(|line| json!({ "level": "warning", "message": { "text": line } })).collect();
    let software: serde_json::Map<String, Value> =
        versions(digest, summary).into_iter().map(|(label, names)| (label, names.into())).collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "gatewitness",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "artifacts": artifacts,
            "invocations": [{
                "executionSuccessful": true,
                "toolExecutionNotifications": notes,
            }],
            "results": results,
            "properties": { "pairs": summary.pairs, "verdicts": words(summary), "software": software },
        }],
    });
    let mut text = Vec::new();
    let mut pretty = serde_json::Serializer::pretty(&mut text);
    document.serialize(&mut pretty)?;
    text.push(b'\n');
    String::from_utf8(text).map_err(io::Error::other)
}

fn result(digest: &Digest, summary: &Summary, told: &Told) -> Value {
    let finding = &told.finding;
    let failure = finding.failure.map(|failure| failure.to_string()).unwrap_or_default();
    let server = finding.server.map(|server| server.to_string()).unwrap_or_default();
    let text = format!("{}: {} of {failure} from {server}. {}. {}", finding.route, finding.verdict, extent(told), finding.advice);
    let mut place = json!({
        "logicalLocations": [{ "name": finding.route, "fullyQualifiedName": format!("{} <- {server}", finding.route), "kind": "resource" }],
    });
    if let (Some(name), Some(place)) = (summary.captures.first(), place.as_object_mut()) {
        place.insert("physicalLocation".to_owned(), json!({ "artifactLocation": { "uri": uri(name), "index": 0 } }));
    }
    let ladder = told.ladder.and_then(|place| digest.ladders.get(place));
    // SARIF 2.1.0, 3.27.9: "open" is what there was too little information to decide; its level is "none" (3.27.10).
    let (kind, level) = if finding.at_least >= 1 { ("fail", level(finding.verdict)) } else { ("open", "none") };
    json!({
        "ruleId": finding.rule,
        "level": level,
        "kind": kind,
        "message": { "text": text.trim() },
        "locations": [place],
        "occurrenceCount": finding.count.max(finding.at_least).max(1),
        // Equal from run to run for the same fault, so that a CI system sees what is new.
        "partialFingerprints": { "gatewitness/v1": format!("{}|{}|{failure}|{}|{server}", finding.verdict, finding.rule, finding.route) },
        "properties": {
            "finding": finding.number,
            "verdict": finding.verdict,
            "failure": finding.failure,
            "cause": finding.cause,
            "declared": finding.declared,
            "first": finding.first.to_string(),
            "last": finding.last.to_string(),
            "recovered": finding.recovered.map(|at| at.to_string()),
            "at_least": finding.at_least,
            "at_most": finding.at_most,
            "pairs": finding.pairs,
            "ladder": ladder.map(super::ladder::Ladder::text),
        },
    })
}

fn level(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Swallowed | Verdict::Stalled => "error",
        _ => "warning",
    }
}

fn words(summary: &Summary) -> Value {
    let count = |verdict: &Verdict| (verdict.to_string(), Value::from(summary.verdicts.get(verdict).copied().unwrap_or(0)));
    Value::Object(Verdict::ALL.iter().map(count).collect())
}

/// A file's name as a relative reference (RFC 3986, 4.2): what is no unreserved character is escaped.
fn uri(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn pascal(id: &str) -> String {
    let capital = |word: &str| word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect::<String>();
    id.split('-').map(capital).collect()
}
