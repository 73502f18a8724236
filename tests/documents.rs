//! Documents stay true: what is generated from the code (`UPDATE_DOCS=1 cargo test --test documents` writes it anew), links, commands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gatewitness::base::{Count, Limits};
use gatewitness::verdict::{CauseKind, FAMILY, Failure, NOTES, RULES, Reason, Verdict};

#[test]
fn verdicts_are_documented_from_the_rules() {
    hold("docs/verdicts.md", &verdicts());
}

#[test]
fn limits_and_counters_are_documented_from_their_tables() {
    hold("docs/limits.md", &limits());
}

/// Every link in a document leads to something that is there.
#[test]
fn links_lead_somewhere() {
    let mut dead = Vec::new();
    for (path, text) in documents() {
        let folder = path.parent().expect("a folder");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            // What is elsewhere is not asked: tests need no network.
            if !file.is_empty() && !file.contains("://") && !folder.join(file).exists() {
                dead.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

/// Commands on captures that a reader is told to run are run, with recordings under the names that the documents use; what attaches to a
/// host or needs a terminal is held to what its help knows.
#[test]
fn the_guides_commands_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, capture) in [
        ("incident.pcap", "p05-fanout-partial.pcap"),
        ("before.pcap", "litellm-swallowed-401.pcap"),
        ("after.pcap", "p17-expiry-midrun.pcap"),
        ("keys.log", "p40-tls13-keylog.keys"),
    ] {
        fs::copy(root.join("captures").join(capture), folder.path().join(name)).expect("a recording");
    }
    let mut run = 0;
    for page in ["incident.md", "blind-spots.md", "security.md", "watch.md", "live.md", "tls.md"] {
        let text = fs::read_to_string(root.join("docs").join(page)).expect("a page");
        for line in text.lines().filter(|line| line.starts_with("    ")).map(str::trim) {
            let line = line.split("   ").next().unwrap_or_default();
            let words: Vec<&str> = line.strip_prefix("sudo ").unwrap_or(line).split(' ').collect();
            if words[0] != "gatewitness" || line.contains('|') {
                continue;
            }
            let attached = line.starts_with("sudo ") || matches!(words[1], "live" | "watch" | "doctor");
            let mut command = Command::new(env!("CARGO_BIN_EXE_gatewitness"));
            command.args(&words[1..]).args(attached.then_some("--help")).current_dir(&folder).stdin(Stdio::null());
            let out = command.output().expect("the binary runs");
            let code = out.status.code();
            let fine = if attached { code == Some(0) } else { matches!(code, Some(0 | 1)) };
            assert!(fine, "{page}: {line}: {code:?} {}", String::from_utf8_lossy(&out.stderr));
            run += 1;
        }
    }
    assert!(run >= 15, "{run} commands");
}

fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = vec![root.join("README.md"), root.join("CHANGELOG.md"), root.join("captures/README.md")];
    let docs = fs::read_dir(root.join("docs")).expect("docs").filter_map(Result::ok).map(|entry| entry.path());
    paths.extend(docs.filter(|path| path.extension().is_some_and(|end| end == "md")));
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(&path).expect("a document"))).collect()
}

fn hold(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, text).expect("the document is written");
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(written == text, "{path} is not what the code says: run UPDATE_DOCS=1 cargo test --test documents");
}

fn verdicts() -> String {
    let mut text = String::from(
        "# Verdicts\n\n\
         <!-- Generated from src/verdict: UPDATE_DOCS=1 cargo test --test documents -->\n\n\
         A pair is one client request with the upstream requests that the gateway made for it. Its verdict says what the pair shows about the\n\
         gateway. `swallowed`, `partial` and `stalled` are flagged: the gateway hid a failure.\n\n\
         | verdict | meaning |\n|---|---|\n",
    );
    for verdict in Verdict::ALL {
        text += &format!("| `{verdict}` |{} |\n", verdict.doc());
    }
    text += "\n## Rules\n\nAsked in this order; the first that holds decides. The ids are stable.\n";
    for rule in RULES {
        text += &format!("\n### `{}` → `{}`\n\n{}. {}\n\nStays quiet for:\n\n", rule.id, rule.verdict, capital(rule.title), rule.doc);
        for guard in rule.guards {
            text += &format!("* {guard}\n");
        }
    }
    text +=
        "\n## Failures\n\nHow an upstream failed. When several did, the first of this order is told.\n\n| failure | meaning |\n|---|---|\n";
    for failure in Failure::ALL {
        text += &format!("| `{failure}` |{} |\n", failure.doc());
    }
    text += "\n## Causes\n\nWhy it failed, as far as upstream, the credential itself and what went before tell.\n\n| cause | meaning |\n|---|---|\n";
    for cause in CauseKind::ALL {
        text += &format!("| `{cause}` |{} |\n", cause.doc());
    }
    text += "\n## Why a pair is unresolved\n\n| reason | meaning |\n|---|---|\n";
    for reason in Reason::ALL {
        text += &format!("| `{reason}` |{} |\n", reason.doc());
    }
    text += "\n## The family\n\nEvery known way in which a gateway hides a failure, what tells it here, and the cases (`tests/family/`) that \
             show it: one that is told, one that looks alike and stays quiet.\n\n\
             | number | upstream → client | rule or note | told | quiet |\n|---|---|---|---|---|\n";
    for one in FAMILY {
        let told = if one.told.is_empty() { "none: nothing of it is in the traffic".to_owned() } else { format!("`{}`", one.told) };
        text += &format!("| {} | {} | {told} | {} | {} |\n", one.number, one.what, one.case, one.quiet);
    }
    text += "\n## Notes\n\nNoticed without changing the verdict.\n\n| note | meaning | not for |\n|---|---|---|\n";
    for note in NOTES {
        text += &format!("| `{}` | {} | {} |\n", note.id, note.doc, note.guards.join("; "));
    }
    text
}

fn limits() -> String {
    let mut text = String::from(
        "# Limits and counters\n\n\
         <!-- Generated from src/base: UPDATE_DOCS=1 cargo test --test documents -->\n\n\
         Everything that traffic can make grow has a bound. Reaching one never ends a run: what is lost is counted and said.\n\n\
         | limit | default | unit | what happens there |\n|---|---|---|---|\n",
    );
    for (name, default, unit, then) in Limits::TABLE {
        text += &format!("| `{name}` | {default} | {unit} | {then} |\n");
    }
    text += "\n## Counters\n\nIn the `summary` record, under `counts`.\n\n| counter | what it counts |\n|---|---|\n";
    for count in Count::ALL {
        text += &format!("| `{}` |{} |\n", count.as_str(), count.doc());
    }
    text
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
