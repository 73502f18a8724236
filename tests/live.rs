//! Attached to real interfaces: client, gateway and upstreams in network namespaces of their own, over veth pairs.
//! Takes root; says so where it has none.
#![cfg(all(feature = "live", target_os = "linux"))]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::BufReader;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::net::{Live, Net, comparable, records, signal, verdicts, wait_for, without_times};
use serde_json::Value;

#[test]
fn what_was_told_live_is_what_the_recording_and_tcpdump_replay_to() {
    let Some(net) = Net::new("a live run against its replay") else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (key, kept, dumped) = (path("key"), path("kept.pcapng"), path("dumped.pcap"));
    fs::write(&key, "a key for tests").unwrap();
    let servers = net.gateway_and_upstreams();
    let tcpdump = common::need_all("the same against tcpdump -i any").then(|| {
        let mut child = net
            .inside("g", &["tcpdump", "-i", "any", "-s", "0", "--nano", "-U", "-w", &dumped, "tcp"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        assert!(wait_for(&mut said, "listening on").is_some());
        child
    });
    let live = net.live(&["--format", "ndjson", "--fingerprint-key", &key, "--record", &kept]);
    for (token, count) in [("good-1", "3"), ("bad-1", "4"), ("good-2", "2")] {
        assert_eq!(net.client(token, count).len(), count.parse::<usize>().unwrap());
    }
    let crowd: Vec<Child> = (0..6).map(|n| net.client_command(&format!("{}-{n}", ["bad", "good"][n % 2]), "5").spawn().unwrap()).collect();
    crowd.into_iter().for_each(|child| assert!(child.wait_with_output().unwrap().status.success()));
    let (code, live, errors) = live.end("INT");
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("packets received\n0 packets dropped by kernel\n"), "{errors}");
    let replay = |file: &str| {
        let out = common::gatewitness(&["replay", file, "--format", "ndjson", "--fingerprint-key", &key]);
        assert_eq!(out.status.code(), Some(1), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    let judged = comparable(&live);
    assert_eq!(verdicts(&live), BTreeMap::from([("healthy".to_owned(), 20), ("swallowed".to_owned(), 19)]), "{live}");
    assert_eq!(judged, comparable(&replay(&kept)), "the recording");
    if let Some(tcpdump) = tcpdump {
        // It takes blocks of the kernel that are up to a second old, and leaves what is in them at its end.
        std::thread::sleep(Duration::from_millis(2_100));
        signal(&tcpdump, "INT");
        tcpdump.wait_with_output().unwrap();
        // The kernel stamps a packet for each that listens, microseconds apart.
        let timeless = |text: &str| {
            let mut all: Vec<String> = comparable(text).iter().map(|record| without_times(record)).collect();
            all.sort();
            all
        };
        assert_eq!(timeless(&live), timeless(&replay(&dumped)), "tcpdump's capture");
    }
    drop(servers);
}

#[test]
fn an_idle_interface_is_left_within_a_second() {
    let Some(net) = Net::new("leaving an idle interface") else { return };
    for (kind, interface) in [("INT", "any"), ("TERM", "lo"), ("TERM", "vc")] {
        let live = net.live(&["-i", interface, "--format", "ndjson"]);
        std::thread::sleep(Duration::from_millis(300));
        let begun = Instant::now();
        let (code, out, errors) = live.end(kind);
        assert!(begun.elapsed() < Duration::from_secs(1), "{kind} on {interface}: {:?}", begun.elapsed());
        assert_eq!(code, Some(0), "{errors}");
        assert!(out.starts_with(r#"{"record":"summary""#), "{out}");
    }
    let begun = Instant::now();
    let words = ["live", "--duration", "0.5", "--strict", "--format", "ndjson", "--heartbeat", "0.1"];
    let out = net.inside("g", &[&[env!("CARGO_BIN_EXE_gatewitness")], &words[..]].concat()).output().unwrap();
    let beats = records(std::str::from_utf8(&out.stdout).unwrap());
    let beat = &beats[0];
    assert!(beats.len() >= 3 && beat["kind"] == "heartbeat" && beat["received"] == 0 && beat["kernel_drops"] == 0, "{beats:?}");
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(out.status.code(), Some(3), "nothing seen is no clean bill");
}

#[test]
fn a_find_ends_a_smoke_test_and_is_told_at_once() {
    let Some(net) = Net::new("--once, and how soon a find is told") else { return };
    let servers = net.gateway_and_upstreams();
    let mut live = net.live(&["--format", "ndjson", "--heartbeat", "3600"]);
    let asked: Vec<Value> = ["bad-1", "bad-2", "good-1", "bad-3"].iter().flat_map(|token| net.client(token, "5")).collect();
    let mut delays = Vec::new();
    for answer in &asked {
        let line = live.next_line().expect("a record for each request");
        let record: Value = serde_json::from_str(&line.0).unwrap();
        assert_eq!(record["record"], "pair", "{record}");
        // The client reads its answer after the packet was captured, so that this is too short by that, and by no more.
        delays.push(line.1.saturating_sub(answer["done"].as_u64().unwrap()) / 1_000);
    }
    delays.sort_unstable();
    let (median, worst) = (delays[delays.len() / 2], delays[delays.len() - 1]);
    eprintln!("from the client's answer to the record, microseconds: median {median}, worst {worst}");
    assert!(median < 200_000 && worst < 2_000_000, "{delays:?}");
    live.end("INT");
    let once = net.live(&["--once", "--duration", "20"]);
    net.client("good-1", "2");
    net.client("bad-1", "2");
    let (code, out, errors) = once.ended();
    assert_eq!(code, Some(1), "{errors}");
    assert!(out.contains("swallowed · unauthorized · /mcp"), "{out}");
    drop(servers);
}

#[test]
fn an_interface_that_goes_away_is_told_and_found_again() {
    let Some(net) = Net::new("an interface that goes down, up, away and comes back") else { return };
    let servers = net.gateway_and_upstreams();
    // Two interfaces: what the gateway's clients and what its upstreams use.
    let live = net.live(&["-i", "vc", "-i", "vu", "--format", "ndjson"]);
    net.client("bad-1", "2");
    for state in ["down", "up"] {
        net.ip(&["-n", &net.name("g"), "link", "set", "vu", state]);
        std::thread::sleep(Duration::from_millis(400));
    }
    net.client("bad-2", "2");
    net.ip(&["-n", &net.name("g"), "link", "del", "vu"]);
    std::thread::sleep(Duration::from_millis(400));
    net.veth("u", "vu", "2");
    std::thread::sleep(Duration::from_millis(600));
    net.client("bad-3", "2");
    let (_, out, errors) = live.end("TERM");
    assert_eq!(verdicts(&out).get("swallowed"), Some(&6), "{out} {errors}");
    let told: Vec<Value> = records(&out).into_iter().filter(|record| record["kind"] == "interface").collect();
    assert_eq!(told.len(), 2, "{out}");
    assert!(told.iter().all(|record| record["place"] == "vu"), "{told:?}");
    assert!(told[1]["detail"].as_str().unwrap().contains("it is back"), "{told:?}");
    drop(servers);
}

#[test]
fn another_namespace_is_attached_to_from_outside() {
    let Some(net) = Net::new("--netns from another namespace") else { return };
    let servers = net.gateway_and_upstreams();
    for named in [net.name("g"), servers[0].id().to_string()] {
        let live = Live::start(common::command(&["live", "--netns", &named, "--format", "ndjson"]));
        net.client("bad-1", "2");
        let (code, out, errors) = live.end("INT");
        assert_eq!((code, verdicts(&out).get("swallowed")), (Some(1), Some(&2)), "{out} {errors}");
    }
    drop(servers);
}

#[test]
fn what_cannot_be_captured_is_said_with_what_would_help() {
    let Some(net) = Net::new("errors of live capture") else { return };
    let says = |words: &[&str], expected: &[&str]| {
        let out = net.inside("g", &[&[env!("CARGO_BIN_EXE_gatewitness"), "live", "--duration", "5"], words].concat()).output().unwrap();
        let errors = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{words:?}: {errors}");
        assert!(expected.iter().all(|text| errors.contains(text)), "{words:?}: {errors}");
    };
    says(&["-i", "nothing0"], &["nothing0: cannot capture", "There are: ", "vc"]);
    says(&["--filter", "tcp prot 80"], &["--filter: ", "syntax error"]);
    says(&["--netns", "nowhere"], &["no network namespace at /run/netns/nowhere"]);
    says(&["--container", "zz"], &["expected a container's id"]);
    // A copy that nobody needs rights of ours to run.
    let folder = tempfile::Builder::new().prefix("gatewitness-").tempdir_in("/tmp").unwrap();
    let copy = folder.path().join("gatewitness");
    fs::copy(env!("CARGO_BIN_EXE_gatewitness"), &copy).unwrap();
    Command::new("chmod").args(["a+rx"]).arg(folder.path()).arg(&copy).status().unwrap();
    let out = Command::new("setpriv")
        .args(["--reuid", "65534", "--clear-groups", "--"])
        .arg(&copy)
        .args(["live", "--duration", "5"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{errors}");
    assert!(errors.contains("CAP_NET_RAW") && errors.contains("sudo"), "{errors}");
}

#[test]
fn the_doctor_names_who_listens_and_where() {
    let Some(net) = Net::new("doctor beside a gateway") else { return };
    let servers = net.gateway_and_upstreams();
    let out = common::gatewitness(&["doctor", "--format", "json"]);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    let told: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(told["usable"] == true && told["kernel"].as_str().unwrap().starts_with("Linux "), "{told}");
    let gateway = told["servers"].as_array().unwrap().iter().find(|one| one["listens"] == serde_json::json!(["10.77.1.1:4000"]));
    let gateway = gateway.unwrap_or_else(|| panic!("the gateway is among them: {told}"));
    assert!(gateway["name"] == "python3" && gateway["other_network_namespace"] == true, "{gateway}");
    let inside = net.inside("g", &[env!("CARGO_BIN_EXE_gatewitness"), "doctor"]).output().unwrap();
    let page = String::from_utf8(inside.stdout).unwrap();
    assert!(page.contains("can be captured here") && page.contains("vc, vu"), "{page}");
    drop(servers);
}
