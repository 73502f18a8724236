//! The bundled recordings, scored against what their client and upstream logs say happened.

mod common;

use common::{captures, gatewitness, score};

/// Recordings that must be judged and paired perfectly.
const PERFECT: &[&str] = &[
    "litellm-swallowed-401",
    "p02-healthy-single",
    "p03-sdk-sessions",
    "p05-fanout-partial",
    "p06-empty-legit",
    "p07-midconnection",
    "p08-failures",
    "p09-rest-route",
    "p12-gzip",
    "p15-startup-noise",
    "p20-postfix-propagated",
    "p21-postfix-retry-refresh",
    "p22-postfix-still-swallows",
    "p30-new-basics",
    "p31-new-fanout-rest",
    "p32-new-oauth-passthrough",
    "p50-netns-upstream-iface",
    "p51-ipv6",
    "p72-vlan",
    "p73-pcapng",
    "p74-nanosecond",
];

#[test]
fn recordings_are_judged_and_paired_perfectly() {
    let mut wrong = Vec::new();
    for name in PERFECT {
        let score = score(name);
        if score["verdict_accuracy"] != 1.0 || score["pair_f1"] != 1.0 || score["missing"] != 0 {
            wrong.push(format!("{name}: {score}"));
        }
    }
    assert!(wrong.is_empty(), "not perfect:\n{}", wrong.join("\n"));
}

#[test]
fn no_recording_makes_a_false_flag_or_a_false_all_clear() {
    let mut wrong = Vec::new();
    for name in captures() {
        let score = score(&name);
        if score["flag_precision"] != 1.0 || score["false_healthy"] != 0 {
            wrong.push(format!("{name}: {score}"));
        }
    }
    assert!(wrong.is_empty(), "false flags or false all-clears:\n{}", wrong.join("\n"));
}

#[test]
fn a_person_is_told_the_story_of_the_swallowed_401() {
    let out = gatewitness(&["replay", "captures/litellm-swallowed-401.pcap"]);
    assert_eq!(out.status.code(), Some(1), "a swallowed answer is exit code 1");
    let text = String::from_utf8(out.stdout).expect("text is UTF-8");
    for part in [
        "swallowed",
        "21:51:45.386",
        "127.0.0.1:35360",
        "tools/list",
        "/mcp/weather",
        "127.0.0.11:9001",
        "initialize",
        "401",
        r#"Bearer error="invalid_token", error_description="The access token expired""#,
        "0 tools",
        "same credential",
        "4",
        "24",
    ] {
        assert!(text.contains(part), "{part:?} is missing from:\n{text}");
    }
}
