//! The gateway in a container, as engines lay them out: clients come through DNAT, upstreams stand behind masquerading and beside the
//! gateway on its bridge. `live` listens on `any` of the host. Takes root and nft or iptables; says so where it has none.
#![cfg(all(feature = "live", target_os = "linux"))]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::process::Child;

use common::net::{Net, Servers, comparable, records, verdicts};

#[test]
fn a_container_behind_dnat_and_a_bridge_is_judged_live_as_its_recording_is() {
    let what = "DNAT, masquerading and a bridge between client, gateway and upstreams";
    let Some(mut net) = Net::new(what) else { return };
    net.contained("p", "2");
    net.contained("d", "3");
    if !translated(&net) {
        eprintln!("SKIPPED, not shown by this run: {what} (it takes the program `nft` or `iptables`)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (key, kept) = (path("key"), path("kept.pcapng"));
    fs::write(&key, "a key for tests").unwrap();
    let (weather, docs) = ("weather=10.77.2.2:9001", "docs=172.30.0.3:9002");
    let servers = Servers(vec![
        net.scene("p", &["gateway", "172.30.0.2:4000", weather, docs]),
        net.scene("u", &["upstream", "10.77.2.2:9001", "weather"]),
        net.scene("d", &["upstream", "172.30.0.3:9002", "docs"]),
    ]);
    let live = net.live(&["--format", "ndjson", "--fingerprint-key", &key, "--record", &kept]);
    for (token, count) in [("good-1", "3"), ("bad-1", "4"), ("good-2", "2")] {
        assert_eq!(net.client(token, count).len(), count.parse::<usize>().unwrap());
    }
    let crowd: Vec<Child> = (0..4).map(|n| net.client_command(&format!("{}-{n}", ["bad", "good"][n % 2]), "5").spawn().unwrap()).collect();
    crowd.into_iter().for_each(|child| assert!(child.wait_with_output().unwrap().status.success()));
    let (code, live, errors) = live.end("INT");
    assert!(code == Some(1) && errors.contains("\n0 packets dropped by kernel\n"), "{errors}");
    assert_eq!(verdicts(&live), BTreeMap::from([("healthy".to_owned(), 15), ("swallowed".to_owned(), 14)]), "{live}");
    let out = common::gatewitness(&["replay", &kept, "--format", "ndjson", "--fingerprint-key", &key]);
    let replayed = String::from_utf8(out.stdout).unwrap();
    assert_eq!(comparable(&live), comparable(&replayed));
    // Each connection was seen before and after translation, and on both sides of the bridge: it is one all the same.
    let summary = records(&live).pop().unwrap();
    assert!(summary["counts"]["aliases"].as_u64() > Some(0) && summary["counts"]["sightings"].as_u64() > Some(0), "{summary}");
    assert_eq!(summary["gateways"].as_array().map(Vec::len), Some(1), "{summary}");
    drop(servers);
}

/// Clients ask the host's port 4000 and reach the container; what the container asks leaves with the host's address.
fn translated(net: &Net) -> bool {
    let done = |words: &[&str]| net.inside("g", words).output().is_ok_and(|out| out.status.success());
    let rules = "add table ip nat\n\
        add chain ip nat pre { type nat hook prerouting priority -100 ; }\n\
        add chain ip nat post { type nat hook postrouting priority 100 ; }\n\
        add rule ip nat pre ip daddr 10.77.1.1 tcp dport 4000 dnat to 172.30.0.2:4000\n\
        add rule ip nat post ip saddr 172.30.0.0/24 oifname != \"br0\" masquerade";
    let rule = |words: &str| done(&words.split(' ').collect::<Vec<_>>());
    done(&["nft", rules])
        || rule("iptables -t nat -A PREROUTING -d 10.77.1.1 -p tcp --dport 4000 -j DNAT --to-destination 172.30.0.2:4000")
            && rule("iptables -t nat -A POSTROUTING -s 172.30.0.0/24 ! -o br0 -j MASQUERADE")
}
