//! The HTML report in a real browser: it opens without an error or a request, filters and sorts, and can be read by everybody.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use common::{command, file, need_all, pcap};
use serde_json::Value;

#[test]
fn a_report_opens_filters_and_can_be_read_by_everybody() {
    if !need_all("the HTML report in headless Chromium") {
        return;
    }
    for name in ["p05-fanout-partial", "p08-failures", "p17-expiry-midrun", "p02-healthy-single"] {
        let folder = tempfile::tempdir().expect("a folder");
        let page = folder.path().join("report.html");
        let out = command(&["replay", &file(name), "--format", "html", "-o"]).arg(&page).output().expect("the binary runs");
        assert!(matches!(out.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&out.stderr));
        for dark in [false, true] {
            let told = probe(&page, dark);
            let of = |key: &str| told[key].as_array().cloned().unwrap_or_default();
            assert_eq!(of("errors"), [] as [Value; 0], "{name}: errors in the page");
            assert_eq!(told["requests"], 0, "{name}: the page asks for nothing");
            assert_eq!(of("nameless"), [] as [Value; 0], "{name}: everything has an accessible name");
            assert_eq!(of("faint"), [] as [Value; 0], "{name}, dark {dark}: contrast of at least 4.5 to 1 (WCAG 2.1, 1.4.3)");
            assert_eq!(told["wide"], false, "{name}: the page itself does not scroll sideways");
            if name != "p02-healthy-single" {
                let total = told["total"].as_u64().expect("findings");
                assert!(total > 0 && told["none"] == 0 && told["all"] == total, "{name}: {told}");
                assert_eq!(told["sorted"], true, "{name}: most pairs first");
            }
        }
    }
}

#[test]
fn ten_thousand_findings_still_open() {
    if !need_all("a report of 10,000 findings in headless Chromium") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (capture, page) = (folder.path().join("many.pcap"), folder.path().join("report.html"));
    fs::write(&capture, many(10_000)).expect("the capture is written");
    let out = command(&["replay", "--gateway", "10.0.0.5:4000", "--format", "html", "-o"]).arg(&page).arg(&capture).output();
    assert_eq!(out.expect("the binary runs").status.code(), Some(1));
    let size = fs::metadata(&page).expect("the page is there").len();
    assert!(size < 24_000_000, "{size} bytes");
    let start = Instant::now();
    let told = probe(&page, false);
    eprintln!("{size} bytes, probed in {:.1} s, loaded in {} ms", start.elapsed().as_secs_f64(), told["loaded"]);
    assert!(told["total"].as_u64() >= Some(9_000) && told["errors"] == Value::Array(Vec::new()), "{told}");
}

/// A client asks for each of so many routes, upstream refuses, and the client is told of an empty list.
fn many(findings: usize) -> Vec<u8> {
    let mut out = pcap::head();
    for n in 0..findings {
        let client = ([10, 0, (n >> 8) as u8, n as u8], 40_000);
        let (gateway, out_of) = (([10, 0, 0, 5], 4000), ([10, 0, 0, 5], 10_000 + (n % 50_000) as u16));
        let server = ([10, 1, 0, 9], 9001);
        let ask = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        // A gateway opens a session of its own: what passes unchanged went through a relay.
        let open = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"mcp","version":"0.1.0"}}}"#;
        let told = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#;
        let request = |path: &str, ask: &str| {
            format!(
                "POST {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer token-{n}-of-many\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{ask}",
                ask.len()
            )
        };
        let refused = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer error=\"invalid_token\"\r\nContent-Length: 0\r\n\r\n";
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{told}", told.len());
        let mut at = 1_795_384_305_000_000 + n as u64 * 1_000;
        let mut put = |src, dst, seq, ack, flags, payload: &str| {
            at += 50;
            pcap::put(&mut out, &pcap::Record { time: at, bytes: pcap::segment(src, dst, seq, ack, flags, payload.as_bytes()) });
        };
        let (down, up) = (request(&format!("/mcp/route{n}"), ask), request("/mcp", open));
        put(client, gateway, 0, 0, 2, "");
        put(gateway, client, 0, 1, 0x12, "");
        put(client, gateway, 1, 1, 0x18, &down);
        put(out_of, server, 0, 0, 2, "");
        put(server, out_of, 0, 1, 0x12, "");
        put(out_of, server, 1, 1, 0x18, &up);
        put(server, out_of, 1, 1 + up.len() as u32, 0x18, refused);
        put(server, out_of, 1 + refused.len() as u32, 1 + up.len() as u32, 0x11, "");
        put(out_of, server, 1 + up.len() as u32, 2 + refused.len() as u32, 0x11, "");
        put(gateway, client, 1, 1 + down.len() as u32, 0x18, &answer);
        put(gateway, client, 1 + answer.len() as u32, 1 + down.len() as u32, 0x11, "");
        put(client, gateway, 1 + down.len() as u32, 2 + answer.len() as u32, 0x11, "");
    }
    out
}

/// Opens a copy of the page with the probe in it, and gives back what that found.
fn probe(page: &Path, dark: bool) -> Value {
    let text = fs::read_to_string(page).expect("the page is read");
    let early = "<script>window.wrong=[];addEventListener('error',e=>wrong.push(e.message));addEventListener('securitypolicyviolation',e=>wrong.push(e.violatedDirective));for(const k of ['error','warn'])console[k]=m=>wrong.push(String(m));</script>";
    let text = text.replacen("<title>", &format!("{early}<title>"), 1);
    let text = text.replacen("</body>", &format!("<script>{PROBE}</script></body>"), 1);
    let copy = page.with_file_name("probed.html");
    fs::write(&copy, text).expect("the copy is written");
    let profile = tempfile::tempdir().expect("a profile");
    let mut chromium = Command::new("timeout");
    chromium.args(["100", "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom", "--window-size=1100,900"]);
    chromium.arg(format!("--user-data-dir={}", profile.path().display())).arg("--virtual-time-budget=20000");
    if dark {
        chromium.arg("--blink-settings=preferredColorScheme=0");
    }
    let out = chromium.arg(format!("file://{}", copy.display())).output().expect("chromium runs");
    let dom = String::from_utf8_lossy(&out.stdout);
    let told = dom.split("<pre id=\"probe\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    let told = told.unwrap_or_else(|| panic!("the probe said nothing: {}", String::from_utf8_lossy(&out.stderr)));
    let told = told.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let told: Value = serde_json::from_str(&told).expect("the probe speaks JSON");
    assert_eq!(told["dark"], dark, "the colour scheme that was asked for");
    told
}

const PROBE: &str = include_str!("browser/probe.js");
