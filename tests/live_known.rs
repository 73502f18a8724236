//! What a host knows of its gateway beside the packets: `doctor`, and a gateway that is known by its process before its first request.
//! Takes root; says so where it has none.
#![cfg(all(feature = "live", target_os = "linux"))]

mod common;

use std::fs;
use std::io::BufReader;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::net::{Net, Servers, records, wait_for};
use serde_json::Value;

#[test]
fn a_gateway_that_is_known_by_its_process_is_judged_from_its_first_request() {
    let Some(net) = Net::new("a gateway that is known by its process") else { return };
    let folder = tempfile::tempdir().unwrap();
    let servers = litellm(&net, folder.path());
    let mut live = net.live(&["--format", "ndjson", "--heartbeat", "3600"]);
    assert_eq!(net.client("bad-1", "1").len(), 1);
    // No second request and no end of the run tells of the gateway.
    let (line, _) = live.next_line().expect("the pair is told");
    let pair: Value = serde_json::from_str(&line).unwrap();
    assert!(pair["record"] == "pair" && pair["verdict"] == "swallowed", "{pair}");
    let (_, out, errors) = live.end("INT");
    let who = format!("LiteLLM 9.8.7 (process {})", servers[0].id());
    assert!(errors.contains("packets received"), "{errors}");
    let summary = records(&out).pop().unwrap();
    let gateway = &summary["gateways"][0];
    assert!(gateway["named"] == false && gateway["how"] == format!("{who} listens there"), "{gateway}");
    drop(servers);
}

#[test]
fn the_doctor_reads_the_version_beside_the_program() {
    let Some(net) = Net::new("doctor beside LiteLLM's layout") else { return };
    let folder = tempfile::tempdir().unwrap();
    let servers = litellm(&net, folder.path());
    let told = doctor(&mut common::command(&["doctor", "--format", "json"]), 0);
    let one = told["servers"].as_array().unwrap().iter().find(|one| one["pid"] == servers[0].id()).expect("it is listed");
    assert!(one["gateway"] == true && one["software"] == "LiteLLM 9.8.7", "{one}");
    drop(servers);
}

#[test]
fn the_doctor_tells_a_user_without_rights_what_is_missing() {
    if !Command::new("setpriv").arg("--version").output().is_ok_and(|out| out.status.success()) || !is_root() {
        eprintln!("SKIPPED, not shown by this run: doctor without rights (it takes root and the program `setpriv`)");
        return;
    }
    let folder = tempfile::Builder::new().prefix("gatewitness-").tempdir_in("/tmp").unwrap();
    let copy = folder.path().join("gatewitness");
    fs::copy(env!("CARGO_BIN_EXE_gatewitness"), &copy).unwrap();
    assert!(Command::new("chmod").arg("a+rx").arg(folder.path()).arg(&copy).status().unwrap().success());
    let told = doctor(
        Command::new("setpriv")
            .args(["--reuid", "65534", "--clear-groups", "--inh-caps=-all", "--"])
            .arg(&copy)
            .args(["doctor", "--format", "json"]),
        1,
    );
    assert_eq!(told["usable"], false, "{told}");
    assert!(told["capture"]["why"].as_str().unwrap().contains("CAP_NET_RAW"), "{told}");
    assert!(told["capabilities"].as_array().unwrap().iter().all(|one| one["held"] == false && one["without"] != ""), "{told}");
    assert!(told["hidden_processes"].as_u64().unwrap() > 0 && told["tls_plaintext"]["possible"] == false, "{told}");
}

fn doctor(command: &mut Command, code: i32) -> Value {
    let out = command.output().unwrap();
    assert_eq!(out.status.code(), Some(code), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.trim_ascii() == b"0")
}

/// The test's gateway, installed as pip installs LiteLLM: `bin/litellm`, and its version beside it. It listens on every address.
fn litellm(net: &Net, folder: &Path) -> Servers {
    let program = folder.join("bin/litellm");
    fs::create_dir_all(folder.join("bin")).unwrap();
    fs::create_dir_all(folder.join("lib/python3.12/site-packages/litellm-9.8.7.dist-info")).unwrap();
    fs::copy("tests/live/scene.py", &program).unwrap();
    let start = |side: &str, words: &[&str]| -> Child {
        let mut child = net.inside(side, words).stdout(Stdio::piped()).spawn().unwrap();
        assert!(wait_for(&mut BufReader::new(child.stdout.take().unwrap()), "ready").is_some());
        child
    };
    let upstream = start("u", &["python3", "tests/live/scene.py", "upstream", "10.77.2.2:9001", "weather"]);
    let gateway = start("g", &["python3", program.to_str().unwrap(), "gateway", "0.0.0.0:4000", "weather=10.77.2.2:9001"]);
    Servers(vec![gateway, upstream])
}
