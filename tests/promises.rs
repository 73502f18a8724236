//! What holds for every input: no secret comes out, the same bytes give the same bytes, a cut capture claims nothing more.

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::{captures, command, file, gatewitness, secrets};
use serde_json::Value;

#[test]
fn no_secret_of_any_capture_comes_out_in_any_form() {
    let mut leaks = Vec::new();
    for name in captures() {
        let path = file(&name);
        let secrets = secrets(&path);
        assert!(!secrets.is_empty() || name.contains("tls") || name.contains("h2"), "{name}: the test finds the secrets it looks for");
        for args in [
            vec!["replay", "--format", "ndjson"],
            vec!["replay", "--format", "json"],
            vec!["replay", "--format", "text"],
            vec!["exchanges"],
            vec!["exchanges", "--format", "ndjson"],
        ] {
            let keys = format!("captures/{name}.keys");
            let mut args: Vec<&str> = args;
            if fs::exists(&keys).unwrap_or(false) {
                args.extend(["--keylog", &keys]);
            }
            args.push(&path);
            let out = gatewitness(&args);
            let text = [out.stdout, out.stderr].concat();
            for secret in &secrets {
                if memchr::memmem::find(&text, secret.as_bytes()).is_some() {
                    leaks.push(format!("{name} {args:?}: {secret}"));
                }
            }
        }
    }
    assert!(leaks.is_empty(), "secrets came out:\n{}", leaks.join("\n"));
}

#[test]
fn the_same_bytes_give_the_same_bytes() {
    let key = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(key.path(), "a key of this test's own").expect("the key is written");
    for name in captures() {
        let path = file(&name);
        let run = |form: &str| {
            let out = command(&["replay", "--format", form, "--fingerprint-key"]).arg(key.path()).arg(&path).output();
            out.expect("the binary runs").stdout
        };
        for form in ["ndjson", "text"] {
            assert_eq!(run(form), run(form), "{name} differs from run to run as {form}");
        }
    }
}

#[test]
fn another_key_changes_fingerprints_and_nothing_else() {
    let path = file("p13-shared-tokens");
    let run = || {
        let out = gatewitness(&["replay", "--format", "ndjson", &path]).stdout;
        let text = String::from_utf8(out).expect("records are UTF-8");
        let mut plain = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("\"tok:") {
            plain.push_str(before);
            rest = after.get(16..).unwrap_or_default();
        }
        plain + rest
    };
    assert_eq!(run(), run());
}

#[test]
fn a_prefix_of_a_capture_flags_nothing_that_the_whole_does_not() {
    for name in ["litellm-swallowed-401", "p05-fanout-partial", "p06-empty-legit", "p08-failures", "p16-trap-empty-vs-401"] {
        let bytes = fs::read(file(name)).expect("a capture is read");
        let whole = verdicts(&bytes);
        let mut step = 24;
        // Every record boundary, and some places within records.
        while step < bytes.len() {
            let part = verdicts(bytes.get(..step).unwrap_or_default());
            for (pair, verdict) in part {
                let flagged = matches!(verdict.as_str(), "swallowed" | "partial" | "stalled");
                if flagged {
                    assert_eq!(whole.get(&pair), Some(&verdict), "{name} cut at {step}: {pair:?}");
                }
            }
            step += 1 + bytes.len() / 150;
        }
    }
}

/// Verdicts by client address and time of a capture given as bytes.
fn verdicts(bytes: &[u8]) -> BTreeMap<(String, String), String> {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), bytes).expect("the capture is written");
    let out = command(&["replay", "--format", "ndjson"]).arg(file.path()).output().expect("the binary runs");
    assert!(matches!(out.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&out.stderr));
    let records = out.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let pairs = records.filter(|record| record["record"] == "pair");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    pairs.map(|pair| ((text(&pair["downstream"]["client"]), text(&pair["downstream"]["start"])), text(&pair["verdict"]))).collect()
}
