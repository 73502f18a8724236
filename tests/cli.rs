//! The program as a shell meets it: exit codes and where words go.

use std::fs;

use assert_cmd::Command;

fn gatewitness(words: &[&str]) -> (i32, String, String) {
    let output = Command::cargo_bin("gatewitness").unwrap().args(words).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn usage_errors_end_with_2_and_say_why_on_stderr() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (empty, wrong, capture) = (file("key", ""), file("config", "gatewey = '10.0.0.5'"), file("a.pcap", ""));
    let cases: [(&[&str], &str); 6] = [
        (&[], "Usage"),
        (&["replay"], "CAPTURE"),
        (&["replay", &capture, "--fail-on", "masked"], "possible values"),
        (&["replay", &capture, "--fingerprint-key", &empty], "is empty"),
        (&["replay", &capture, "--config", &wrong], "unknown field `gatewey`"),
        (&["replay", &capture, "--explain", "1", "--format", "json"], "--explain is for people"),
    ];
    for (words, said) in cases {
        let (code, out, error) = gatewitness(words);
        assert_eq!((code, out.as_str()), (2, ""), "{words:?}: {error}");
        assert!(error.contains(said), "{words:?}: {error}");
    }
}

#[test]
fn help_and_what_packagers_need_end_with_0() {
    for (words, said) in [
        (&["--help"][..], "Exit codes"),
        (&["replay", "--help"], "--fail-on"),
        (&["completions", "bash"], "complete -F _gatewitness"),
        (&["man"], ".TH gatewitness"),
        (&["man", "replay"], "--fail\\-on"),
    ] {
        let (code, out, error) = gatewitness(words);
        assert_eq!(code, 0, "{words:?}: {error}");
        assert!(out.replace("\\-\\-", "--").contains(said), "{words:?}: {out}");
    }
}
