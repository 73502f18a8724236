//! What is handed over: every form of every capture, its schema, what it never holds, and evidence that says the same as the capture.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use boon::{Compiler, Schemas};
use common::{captures, command, file, gatewitness, need_all, scenario, secrets};
use serde_json::Value;

/// The command line of a capture: itself and its key log.
fn inputs(name: &str) -> Vec<String> {
    let keys = format!("captures/{name}.keys");
    let keys = if Path::new(env!("CARGO_MANIFEST_DIR")).join(&keys).exists() { vec!["--keylog".to_owned(), keys] } else { Vec::new() };
    [keys, vec![file(name)]].concat()
}

fn report(name: &str, format: &[&str]) -> String {
    let inputs = inputs(name);
    let mut args = vec!["replay"];
    args.extend(format);
    args.extend(inputs.iter().map(String::as_str));
    let out = gatewitness(&args);
    assert!(matches!(out.status.code(), Some(0 | 1)), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("a report is UTF-8")
}

#[test]
fn sarif_keeps_to_its_schema() {
    let mut compiler = Compiler::new();
    let schema = serde_json::from_str(include_str!("data/sarif-2.1.0.schema.json")).expect("the schema is JSON");
    compiler.add_resource("sarif.json", schema).expect("the schema is one");
    let mut schemas = Schemas::new();
    let index = compiler.compile("sarif.json", &mut schemas).expect("the schema compiles");
    let mut results = 0;
    for name in captures() {
        let document: Value = serde_json::from_str(&report(&name, &["--format", "sarif"])).expect("SARIF is JSON");
        if let Err(error) = schemas.validate(&document, index) {
            panic!("{name}: {error}");
        }
        results += document["runs"][0]["results"].as_array().map_or(0, Vec::len);
    }
    assert!(results > 50, "the captures hold findings: {results}");
}

#[test]
fn junit_is_read_back_and_fails_what_the_exit_code_fails() {
    for name in captures() {
        let inputs = inputs(&name);
        for options in [&[][..], &["--allow-declared"], &["--fail-on", "partial"]] {
            let mut args = vec!["replay", "--format", "junit"];
            args.extend(options);
            args.extend(inputs.iter().map(String::as_str));
            let out = gatewitness(&args);
            let text = String::from_utf8(out.stdout).expect("a report is UTF-8");
            let read = quick_junit::Report::deserialize_from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
            assert_eq!(read.failures > 0, out.status.code() == Some(1), "{name} {options:?}");
        }
    }
}

#[test]
fn what_no_pair_is_certain_of_fails_nothing() {
    let cases = scenario::read(include_str!("family/7-doubt.txt"));
    let doubt = cases.iter().find(|case| case.name.starts_with("two requests, one visit that failed")).expect("the case");
    let capture = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(capture.path(), &doubt.capture).expect("it is written");
    let run = |format: &str| {
        let out = command(&["replay", "--gateway", scenario::GATEWAY, "--format", format]).arg(capture.path()).output();
        let out = out.expect("the binary runs");
        (out.status.code(), String::from_utf8(out.stdout).expect("a report is UTF-8"))
    };
    let (code, lines) = run("ndjson");
    let finding = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")).find(|record| record["record"] == "finding");
    assert_eq!((finding.expect("a finding")["at_least"].as_u64(), code), (Some(0), Some(0)), "{lines}");
    let (_, junit) = run("junit");
    assert_eq!(quick_junit::Report::deserialize_from_str(&junit).expect("JUnit XML").failures, 0, "{junit}");
    let sarif: Value = serde_json::from_str(&run("sarif").1).expect("SARIF is JSON");
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!((&result["kind"], &result["level"]), (&"open".into(), &"none".into()), "{result}");
}

#[test]
fn markdown_tables_hold_and_an_issue_names_the_software() {
    for name in ["p05-fanout-partial", "p08-failures", "p70-snaplen-200", "p06-empty-legit"] {
        let text = report(name, &["--format", "markdown"]);
        let mut columns = 0;
        for line in text.lines() {
            let bars = line.replace("\\|", "").matches('|').count();
            if !line.starts_with('|') {
                columns = 0;
            } else if columns == 0 {
                columns = bars;
            }
            assert!(columns == 0 || bars == columns, "{name}: {line}");
        }
    }
    let issue = report("p22-postfix-still-swallows", &["--report-issue"]);
    for word in [
        "litellm/1.85.0",
        "serverInfo weather/1.26.0",
        "python-httpx/0.28.1",
        "2025-11-25",
        "unauthorized",
        "frames 4–69",
        "WWW-Authenticate",
    ] {
        assert!(issue.contains(word), "no {word} in\n{issue}");
    }
}

#[test]
fn no_secret_of_any_capture_is_in_any_report_or_bundle() {
    let mut leaks = Vec::new();
    for name in captures() {
        let secrets = secrets(&file(&name));
        let hunt = |what: &str, bytes: &[u8], leaks: &mut Vec<String>| {
            for secret in secrets.iter().filter(|secret| memchr::memmem::find(bytes, secret.as_bytes()).is_some()) {
                leaks.push(format!("{name} {what}: {secret}"));
            }
        };
        for form in ["html", "markdown", "junit", "sarif"] {
            hunt(form, report(&name, &["--format", form]).as_bytes(), &mut leaks);
        }
        hunt("issue", report(&name, &["--report-issue"]).as_bytes(), &mut leaks);
        let (folder, _) = bundles(&name);
        for path in files(folder.path()) {
            hunt(&path.display().to_string(), &fs::read(&path).expect("it is read"), &mut leaks);
        }
    }
    assert!(leaks.is_empty(), "secrets came out:\n{}", leaks.join("\n"));
}

#[test]
fn evidence_is_judged_as_its_capture_was() {
    let mut other = BTreeSet::new();
    let mut total = 0;
    for name in captures() {
        let (folder, _) = bundles(&name);
        for finding in files(folder.path()).into_iter().filter(|path| path.ends_with("finding.json")) {
            total += 1;
            let told: Value = serde_json::from_slice(&fs::read(&finding).expect("it is read")).expect("finding.json is JSON");
            if told["replay"]["same"] != true {
                other.insert(format!("{name} {}", told["finding"]["finding"]));
                continue;
            }
            // What finding.json says of itself is tried from outside.
            let options = told["replay"]["command"].as_str().expect("a command").trim_start_matches("gatewitness replay streams.pcapng");
            let streams = finding.with_file_name("streams.pcapng");
            let mut again = command(&["replay", "--format", "ndjson"]);
            let out = again.args(options.split_whitespace()).arg(&streams).output().expect("the binary runs");
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            let pairs: Vec<Value> = text
                .lines()
                .map(|line| serde_json::from_str(line).expect("a record"))
                .filter(|record: &Value| record["record"] == "pair")
                .collect();
            let brief = |pair: &Value| [pair["verdict"].clone(), pair["failure"].clone(), pair["downstream"]["client"].clone()];
            for pair in told["pairs"].as_array().expect("pairs") {
                assert!(pairs.iter().any(|found| brief(found) == brief(pair)), "{name}: {} is not in {}", pair["pair"], streams.display());
            }
        }
    }
    assert!(total > 80, "the captures hold findings: {total}");
    let known: BTreeSet<String> = KNOWN.iter().map(|one| (*one).to_owned()).collect();
    assert_eq!(other, known, "bundles that are judged otherwise than their captures");
}

/// Bundles that say themselves that they are judged otherwise; why stands in docs/reports.md.
const KNOWN: &[&str] = &["p87-streams 2"];

#[test]
fn a_bundle_names_its_pairs_and_its_sums_hold() {
    let (folder, said) = bundles("p40-tls13-keylog");
    assert!(said.contains("judged the same"), "{said}");
    let sums = Command::new("sha256sum").args(["--check", "--strict", "--quiet", "SHA256SUMS"]).current_dir(folder.path()).output();
    assert!(sums.expect("sha256sum runs").status.success(), "the sums hold");
    let told: Value =
        serde_json::from_slice(&fs::read(folder.path().join("finding-0001/finding.json")).expect("it is read")).expect("it is JSON");
    assert_eq!(told["finding"]["verdict"], "swallowed");
    assert!(told["run"]["version"].is_string() && told["run"]["counts"]["packets"].as_u64() > Some(0));
    let synthetic = told["streams"].as_array().expect("streams").iter().filter(|stream| stream["synthetic"] == true).count();
    assert!(synthetic > 0, "decrypted streams are labelled: {told}");
    let ladder = fs::read_to_string(folder.path().join("finding-0001/ladder.txt")).expect("it is read");
    assert!(ladder.contains("401") && ladder.contains("200 with 0 tools"), "{ladder}");
    // Evidence of two runs is never mixed.
    let out = command(&["replay", "--evidence"]).arg(folder.path()).arg(file("p40-tls13-keylog")).output().expect("the binary runs");
    assert_eq!(out.status.code(), Some(2));
}

#[test]
fn evidence_comes_from_a_pipe_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let capture = fs::File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(file("p05-fanout-partial"))).expect("it is there");
    let out =
        command(&["replay", "-", "--format", "ndjson", "--evidence"]).arg(folder.path()).stdin(capture).output().expect("the binary runs");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.contains("evidence for 2 of 2 findings; 2 judged the same"), "{said}");
}

#[test]
fn wireshark_finds_nothing_wrong_with_a_bundle() {
    if !need_all("bundles open in tshark without errors and with right checksums") {
        return;
    }
    for name in [
        "litellm-swallowed-401",
        "p05-fanout-partial",
        "p12-gzip",
        "p41-tls12-keylog",
        "p51-ipv6",
        "p72-vlan",
        "p80-dnat-container",
        "p85-h2-upstream",
    ] {
        let (folder, _) = bundles(name);
        for path in files(folder.path()).into_iter().filter(|path| path.ends_with("streams.pcapng")) {
            // JDWP guesses at any connection to port 9009.
            let tshark = |fields: &[&str]| {
                let out = Command::new("tshark")
                    .args(["-n", "--disable-protocol", "jdwp", "-r"])
                    .arg(&path)
                    .args(fields)
                    .output()
                    .expect("tshark runs");
                assert!(out.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&out.stderr));
                String::from_utf8_lossy(&out.stdout).into_owned()
            };
            let wrong = tshark(&[
                "-Y",
                "_ws.malformed or _ws.expert.severity == error",
                "-T",
                "fields",
                "-e",
                "frame.number",
                "-e",
                "_ws.expert.message",
            ]);
            assert_eq!(wrong, "", "{name} {}", path.display());
            let comments = tshark(&["-Y", "frame.comment contains \"gatewitness: pair\"", "-T", "fields", "-e", "frame.number"]);
            assert!(comments.lines().count() >= 2, "{name}: the packets name their pair");
            // What had a right checksum still has one.
            let bad =
                ["-o", "tcp.check_checksum:TRUE", "-Y", "tcp.checksum.status == 0 and tcp.len > 0", "-T", "fields", "-e", "frame.number"];
            let before = Command::new("tshark").args(["-n", "-r", &file(name)]).args(bad).current_dir(env!("CARGO_MANIFEST_DIR")).output();
            if before.expect("tshark runs").stdout.is_empty() {
                assert_eq!(tshark(&bad), "", "{name} {}: checksums", path.display());
            }
        }
    }
}

#[test]
fn a_comparison_tells_what_litellm_mended_left_and_broke() {
    let folder = tempfile::tempdir().expect("a folder");
    let side = |side: &str, names: &[&str]| -> PathBuf {
        let into = folder.path().join(side);
        fs::create_dir(&into).expect("a folder is made");
        for name in names {
            fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(file(name)), into.join(format!("{name}.pcap"))).expect("it is copied");
        }
        into
    };
    let before = side(
        "1.84.0",
        &["litellm-swallowed-401", "p02-healthy-single", "p05-fanout-partial", "p06-empty-legit", "p08-failures", "p09-rest-route"],
    );
    let fixed = side("1.85.0", &["p20-postfix-propagated", "p21-postfix-retry-refresh", "p22-postfix-still-swallows"]);
    let newest = side("1.109.1", &["p30-new-basics", "p31-new-fanout-rest"]);
    let changes = |before: &Path, after: &Path| -> (Option<i32>, BTreeSet<String>) {
        let out = command(&["compare", "--format", "json"]).args([before, after]).output().expect("the binary runs");
        let told: Value = serde_json::from_slice(&out.stdout).expect("a comparison is JSON");
        let word = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let rows = told["rows"].as_array().expect("rows").iter();
        let brief =
            |row: &Value| format!("{}: {} {} at {}", word(row, "change"), word(row, "route"), word(row, "failure"), word(row, "stage"));
        (out.status.code(), rows.map(brief).collect())
    };
    let (code, fix) = changes(&before, &fixed);
    assert_eq!(code, Some(1));
    for line in [
        "stopped: /mcp/weather unauthorized at initialize",
        "stopped: /mcp/weather forbidden at initialize",
        "still: /mcp/weather unauthorized at tools/list",
        "still: /mcp/weather server_error at initialize",
        "still: /mcp/weather reset at initialize",
        "still: /mcp-rest/tools/list unauthorized at initialize",
        "cannot-tell: /mcp/ghost refused at connecting",
    ] {
        assert!(fix.contains(line), "no {line} in {fix:#?}");
    }
    let (code, back) = changes(&fixed, &newest);
    assert_eq!(code, Some(1));
    for line in [
        "broken: /mcp/weather unauthorized at initialize",
        "broken: /mcp/weather forbidden at initialize",
        "still: /mcp/weather unauthorized at tools/list",
        "stopped: /mcp/weather server_error at initialize",
        "stopped: /mcp/weather reset at initialize",
    ] {
        assert!(back.contains(line), "no {line} in {back:#?}");
    }
    let one = |name: &str| PathBuf::from(file(name));
    assert_eq!(changes(&one("litellm-swallowed-401"), &one("p20-postfix-propagated")).0, Some(0), "mended");
    assert_eq!(changes(&one("litellm-swallowed-401"), &one("p06-empty-legit")).0, Some(3), "not put to the test");
}

/// The step of docs/ci.md that decides, as it stands there, in the shell that GitHub runs it in.
#[test]
fn the_recipe_for_ci_fails_what_swallows_and_passes_what_does_not() {
    let page = include_str!("../docs/ci.md");
    let step = page.split_once("- name: Judge\n        run: |\n").expect("the step").1.split_once("      - if:").expect("the next step").0;
    let tool = Path::new(env!("CARGO_BIN_EXE_gatewitness")).parent().expect("a folder");
    let path = format!("{}:{}", tool.display(), std::env::var("PATH").expect("a PATH"));
    // LiteLLM 1.84.0, 1.109.1, 1.85.0 where an upstream refuses at tools/list, and 1.85.0 where it refuses at initialize.
    for (after, code) in
        [("litellm-swallowed-401", 1), ("p30-new-basics", 1), ("p22-postfix-still-swallows", 1), ("p20-postfix-propagated", 0)]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let copy = |name: &str, to: &str| {
            fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(file(name)), folder.path().join(to)).expect("it is copied")
        };
        copy("litellm-swallowed-401", "before.pcap");
        copy(after, "after.pcap");
        let summary = folder.path().join("summary.md");
        let mut shell = Command::new("bash");
        shell.args(["-e", "-o", "pipefail", "-c", step]).current_dir(folder.path());
        let out = shell.env("PATH", &path).env("GITHUB_STEP_SUMMARY", &summary).output().expect("bash runs");
        assert_eq!(out.status.code(), Some(code), "{after}: {}", String::from_utf8_lossy(&out.stderr));
        let text = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_else(|error| panic!("{after} {name}: {error}"));
        let read = quick_junit::Report::deserialize_from_str(&text("gatewitness.xml")).expect("JUnit XML");
        assert_eq!(read.failures > 0, code == 1, "{after}");
        assert!(serde_json::from_str::<Value>(&text("gatewitness.sarif")).is_ok(), "{after}: SARIF");
        assert!(text("summary.md").contains("/mcp/weather"), "{after}: {}", text("summary.md"));
        assert_eq!(folder.path().join("evidence/SHA256SUMS").exists(), code == 1, "{after}: evidence");
    }
}

/// The bundles of a capture, and what was said of them.
fn bundles(name: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let out =
        command(&["replay", "--format", "ndjson", "--evidence"]).arg(folder.path()).args(inputs(name)).output().expect("the binary runs");
    assert!(matches!(out.status.code(), Some(0 | 1)), "{name}: {}", String::from_utf8_lossy(&out.stderr));
    (folder, String::from_utf8_lossy(&out.stderr).into_owned())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder is read").filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}
