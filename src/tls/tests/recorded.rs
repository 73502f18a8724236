//! Recorded connections with their key logs: what comes out is held against what was sent, and against tshark where there is one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::capture::{Tcp, captures, key_log, read};
use super::*;
use crate::base::{Cause, Count};
use crate::tls::{Probe, sniff};

fn tls(name: &str) -> PathBuf {
    captures().join("tls").join(format!("{name}.pcap"))
}

fn all() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = [captures(), captures().join("tls")]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "pcap") && path.with_extension("keys").exists())
        // Behind a gateway, handshakes fail among others that do not: tests/tls.rs holds what becomes of them.
        .filter(|path| !path.to_string_lossy().contains("/gateway-"))
        .collect();
    all.sort();
    assert!(all.len() > 55, "{}", all.len());
    all
}

fn keys_of(path: &Path) -> KeyLog {
    key_log(&std::fs::read(path.with_extension("keys")).unwrap())
}

/// Runs a connection. `lost`: which segments with data are not there.
fn run(tcp: &Tcp, keys: &KeyLog, lost: impl Fn(usize) -> bool) -> Rig {
    let mut rig = Rig::new();
    let mut hole = [0u64; 2];
    let mut last = Stamp::default();
    let mut ends = 0;
    for (segment, n) in tcp.segments.iter().zip(0..) {
        last = segment.at;
        let missing = &mut hole[segment.dir.index()];
        if !segment.bytes.is_empty() {
            if lost(n) {
                *missing += segment.bytes.len() as u64;
            } else {
                if *missing > 0 {
                    let gap = Gap { len: Some(std::mem::take(missing)), cause: Cause::Lost };
                    rig.gap(keys, segment.dir, gap, segment.at);
                }
                rig.data(keys, segment.dir, &segment.bytes, segment.at);
            }
        }
        for dir in [Dir::AtoB, Dir::BtoA].into_iter().filter(|dir| segment.rst || segment.fin && segment.dir == *dir) {
            let missing = std::mem::take(&mut hole[dir.index()]);
            if missing > 0 {
                rig.gap(keys, dir, Gap { len: Some(missing), cause: Cause::Lost }, segment.at);
            }
        }
        if segment.fin {
            rig.finished(keys, segment.dir, segment.at);
            ends += 1;
        }
        if segment.rst {
            rig.closed(keys, Close::Reset(segment.dir), segment.at);
            return rig;
        }
    }
    for (dir, missing) in [Dir::AtoB, Dir::BtoA].into_iter().zip(hole).filter(|(_, missing)| *missing > 0) {
        rig.gap(keys, dir, Gap { len: Some(missing), cause: Cause::After }, last);
    }
    rig.closed(keys, if ends == 2 { Close::Finished } else { Close::CaptureEnd }, last);
    rig
}

/// The TLS connections of a capture.
fn connections(path: &Path) -> Vec<Tcp> {
    let is_tls =
        |tcp: &Tcp| tcp.segments.iter().find(|segment| !segment.bytes.is_empty()).is_some_and(|first| sniff(&first.bytes) == Probe::Hello);
    read(path).into_iter().filter(is_tls).collect()
}

fn runs(name: &str) -> Vec<Rig> {
    let path = tls(name);
    let keys = keys_of(&path);
    connections(&path).iter().map(|tcp| run(tcp, &keys, |_| false)).collect()
}

fn count(bytes: &[u8], what: &[u8]) -> usize {
    memchr::memmem::find_iter(bytes, what).count()
}

#[test]
fn the_gateway_recordings_hold_the_messages_of_their_truth() {
    for (name, version) in [("p40-tls13-keylog", "TLS 1.3"), ("p41-tls12-keylog", "TLS 1.2")] {
        let path = captures().join(format!("{name}.pcap"));
        let truth: serde_json::Value = serde_json::from_slice(&std::fs::read(path.with_extension("truth.json")).unwrap()).unwrap();
        let mut expected = BTreeMap::new();
        for request in truth["upstream_requests"].as_array().unwrap() {
            *expected.entry(request["status"].as_u64().unwrap()).or_insert(0) += 1;
        }
        let keys = keys_of(&path);
        let (mut seen, mut requests) = (BTreeMap::new(), 0);
        for tcp in connections(&path) {
            let rig = run(&tcp, &keys, |_| false);
            let facts = rig.facts();
            assert!(facts.decrypted && facts.version == Some(version) && facts.failed.is_none(), "{name} {} {facts:?}", tcp.name);
            let [up, down] = [Dir::AtoB, Dir::BtoA].map(|dir| rig.whole(dir));
            requests += [&b"POST /"[..], b"GET /", b"DELETE /"].iter().map(|method| count(&up, method)).sum::<usize>();
            for place in memchr::memmem::find_iter(&down, b"HTTP/1.1 ") {
                let status = std::str::from_utf8(&down[place + 9..place + 12]).unwrap().parse::<u64>().unwrap();
                *seen.entry(status).or_insert(0) += 1;
            }
        }
        assert_eq!((requests, &seen), (expected.values().sum(), &expected), "{name}");
    }
}

#[test]
fn each_suite_is_read_or_named() {
    for (name, suite) in [
        ("tls13-aes128", "TLS_AES_128_GCM_SHA256"),
        ("tls13-aes256", "TLS_AES_256_GCM_SHA384"),
        ("tls13-chacha20", "TLS_CHACHA20_POLY1305_SHA256"),
        ("tls12-aes128", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        ("tls12-aes256", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
        ("tls12-chacha20", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
        ("tls12-dhe", "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"),
        ("tls12-rsa", "TLS_RSA_WITH_AES_128_GCM_SHA256"),
        ("tls12-cbc-sha1", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"),
        ("tls12-cbc-sha256", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256"),
        ("tls12-cbc-sha384", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384"),
        ("tls12-cbc-mac-first", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"),
        ("tls13-padding", "TLS_AES_256_GCM_SHA384"),
        ("tls13-fragments", "TLS_AES_256_GCM_SHA384"),
        ("tls13-retry", "TLS_AES_256_GCM_SHA384"),
        ("tls13-no-middlebox", "TLS_AES_256_GCM_SHA384"),
    ] {
        let rigs = runs(name);
        assert_eq!(rigs.len(), 2, "{name}");
        for (rig, len) in rigs.iter().zip([46, 6001]) {
            let facts = rig.facts();
            assert_eq!((facts.suite.as_deref(), facts.server_name.as_deref()), (Some(suite), Some("upstream.test")), "{name}");
            assert!(rig.whole(Dir::AtoB).starts_with(b"GET /l"), "{name}");
            let answer = rig.whole(Dir::BtoA);
            let body = answer.split_at(memchr::memmem::find(&answer, b"\r\n\r\n").unwrap() + 4).1;
            assert_eq!(body.len(), len, "{name} {:?}", String::from_utf8_lossy(&answer));
            assert!(rig.said.contains(&Said::Finished(Dir::BtoA)) && rig.bench.counts.get(Count::TlsOpaqueRecords) == 0, "{name}");
        }
    }
    for (name, why) in [("tls13-ccm", "TLS_AES_128_CCM_SHA256"), ("tls12-ccm", "TLS_DHE_RSA_WITH_AES_128_CCM"), ("tls11", "TLS 1.1")] {
        for rig in runs(name) {
            assert_eq!(rig.facts().unsupported.as_deref(), Some(why), "{name}");
            assert!(rig.bench.counts.get(Count::TlsUnsupported) == 1 && rig.pieces(Dir::BtoA).concat().is_empty());
        }
    }
}

#[test]
fn what_a_session_can_do_is_followed() {
    let text = |rig: &Rig, dir| String::from_utf8(rig.whole(dir)).unwrap();
    let rig = runs("tls13-key-update").remove(0);
    assert_eq!((text(&rig, Dir::AtoB).as_str(), text(&rig, Dir::BtoA).as_str()), ("one\ntwo\nthree\nfour\n", "eno\nowt\n"));
    let rig = runs("tls12-renegotiated").remove(0);
    assert_eq!((text(&rig, Dir::AtoB).as_str(), text(&rig, Dir::BtoA).as_str()), ("one\ntwo\n", "eno\n"));
    for name in ["tls13-resumed", "tls12-resumed"] {
        let rigs = runs(name);
        assert!(rigs.len() == 2 && rigs.iter().all(|rig| text(rig, Dir::BtoA).contains("\"tools\":[]")), "{name}");
    }
    let rigs = runs("tls13-early");
    let up = text(&rigs[1], Dir::AtoB);
    assert!(up.starts_with("GET /list.json ") && count(up.as_bytes(), b"GET /") == 2, "{up}");
    assert!(matches!(&rigs[1].said[0], Said::Data(Dir::AtoB, bytes, _) if bytes.starts_with(b"GET /list.json")));
    let rigs = runs("tls13-early-refused");
    assert!(text(&rigs[1], Dir::AtoB).starts_with("GET /large.txt "), "{:?}", rigs[1].said);
    let rig = runs("python-alpn").remove(0);
    assert_eq!(rig.facts().alpn.as_deref(), Some("http/1.1"));
}

#[test]
fn failed_handshakes_are_named() {
    let failed = |name: &str, keys: bool| {
        let path = tls(name);
        let keys = if keys { keys_of(&path) } else { key_log(b"") };
        run(&connections(&path)[0], &keys, |_| false).facts().failed
    };
    assert_eq!(failed("tls13-unknown-ca", true).as_deref(), Some("unknown_ca"));
    // OpenSSL's client has not changed its keys yet: the alert is in the open.
    assert_eq!(failed("tls13-unknown-ca", false).as_deref(), Some("unknown_ca"));
    assert_eq!(failed("tls12-unknown-ca", false).as_deref(), Some("unknown_ca"));
    assert_eq!(failed("tls13-no-shared-suite", false).as_deref(), Some("handshake_failure"));
    for path in all() {
        let without = key_log(b"");
        for tcp in connections(&path) {
            let facts = run(&tcp, &without, |_| false).facts();
            let fails = path.to_string_lossy().contains("-unknown-ca") || path.to_string_lossy().contains("no-shared");
            assert_eq!(facts.failed.is_some(), fails, "{} {} {facts:?}", path.display(), tcp.name);
            assert!(!facts.decrypted && (fails || facts.bytes[1] > 0 || facts.unsupported.is_some()), "{} {facts:?}", path.display());
        }
    }
}

/// Whether the pieces come one after another in the whole, and nothing else does.
fn assert_parts(pieces: &[Vec<u8>], whole: &[u8], what: &str) {
    let mut from = 0;
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        let place = memchr::memmem::find(&whole[from..], piece).unwrap_or_else(|| panic!("{what}: not a part"));
        from += place + piece.len();
    }
}

#[test]
fn lost_segments_cost_what_they_touch_and_never_make_wrong_bytes() {
    for path in all() {
        let keys = keys_of(&path);
        for tcp in connections(&path) {
            let truth = run(&tcp, &keys, |_| false);
            for (every, first) in [(40, 20), (7, 3), (7, 5), (3, 2)] {
                let rig = run(&tcp, &keys, |n| n % every == first);
                for dir in [Dir::AtoB, Dir::BtoA] {
                    let what = format!("{} {} {every} {first}", path.display(), tcp.name);
                    assert_parts(&rig.pieces(dir), &truth.pieces(dir).concat(), &what);
                    // Whatever is missing was said to be.
                    let same = rig.pieces(dir).concat() == truth.pieces(dir).concat();
                    assert!(same || rig.pieces(dir).len() > 1, "{what} {:?}", rig.said);
                }
                assert_eq!(rig.bench.held_bytes(), 0);
            }
        }
    }
}

#[test]
fn a_cut_start_is_recovered_for_tls_1_3_and_named_for_tls_1_2() {
    for (name, readable) in [("tls13-huge", true), ("tls13-fragments", true), ("tls13-chacha20", true), ("tls12-huge", false)] {
        let path = tls(name);
        let keys = keys_of(&path);
        let tcp = connections(&path).pop().unwrap();
        let truth = run(&tcp, &keys, |_| false);
        // All of the handshake, and the first segments of what follows.
        let mut tcp = tcp;
        tcp.segments.retain(|segment| segment.at.ts > truth_start(&truth));
        let rig = run(&tcp, &keys, |_| false);
        for dir in [Dir::AtoB, Dir::BtoA] {
            assert_parts(&rig.pieces(dir), &truth.pieces(dir).concat(), name);
        }
        assert_eq!(!rig.pieces(Dir::BtoA).concat().is_empty(), readable, "{name} {:?}", rig.said);
        assert_eq!(rig.facts().unsupported.as_deref(), (!readable).then_some("no handshake"), "{name}");
        assert!(rig.pieces(Dir::BtoA).len() > 1, "{name}");
    }
}

/// When the request was sent.
fn truth_start(rig: &Rig) -> crate::base::Ts {
    rig.said.iter().find_map(|said| if let Said::Data(Dir::AtoB, _, at) = said { Some(at.ts) } else { None }).unwrap()
}

#[test]
fn keys_of_others_open_nothing() {
    let strange = keys_of(&captures().join("p40-tls13-keylog.pcap"));
    for name in ["tls13-aes128", "tls13-chacha20", "tls12-cbc-sha1"] {
        for tcp in connections(&tls(name)) {
            let rig = run(&tcp, &strange, |_| false);
            assert!(!rig.facts().decrypted && rig.pieces(Dir::BtoA).concat().is_empty());
        }
    }
}

/// What tshark reads from the streams of a capture: client's and server's bytes of each.
fn tshark(path: &Path, tcps: &[Tcp]) -> Option<Vec<[Vec<u8>; 2]>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(path).arg("-o").arg(format!("tls.keylog_file:{}", path.with_extension("keys").display())).arg("-q");
    for Tcp { number, name, .. } in tcps {
        let port = name.rsplit(':').next().unwrap();
        command.arg("-d").arg(format!("tcp.port=={port},tls")).arg("-z").arg(format!("follow,tls,raw,{number}"));
    }
    let output = command.output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut all = Vec::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        if line.starts_with("Follow: tls,raw") {
            all.push([Vec::new(), Vec::new()]);
        }
        let (side, hex) = line.strip_prefix('\t').map_or((0, line), |hex| (1, hex));
        if !hex.is_empty() && hex.len() % 2 == 0 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
            all.last_mut().unwrap()[side].extend(bytes);
        }
    }
    Some(all)
}

fn compare_with_tshark(paths: &[PathBuf]) {
    for path in paths {
        let keys = keys_of(path);
        let tcps = connections(path);
        let Some(theirs) = tshark(path, &tcps) else {
            eprintln!("SKIPPED: tshark is not installed, decrypted streams were not compared with it");
            return;
        };
        assert_eq!(theirs.len(), tcps.len());
        // tshark has an order of its own for streams and sides.
        for tcp in &tcps {
            let rig = run(tcp, &keys, |_| false);
            if rig.facts().unsupported.is_some() {
                continue;
            }
            let ours = [rig.pieces(Dir::AtoB).concat(), rig.pieces(Dir::BtoA).concat()];
            let [up, down] = &ours;
            // tshark also shows early data that the server refused to read.
            let refused = path.to_string_lossy().contains("early-refused");
            let same = |one: &[u8], ours: &[u8]| one == ours || refused && one.ends_with(ours);
            let what = format!("{} {}: {} and {} bytes", path.display(), tcp.name, up.len(), down.len());
            let found = theirs.iter().find_map(|[one, other]| match () {
                () if same(one, up) && same(other, down) => Some([one, other]),
                () if same(one, down) && same(other, up) => Some([other, one]),
                () => None,
            });
            let theirs = found.unwrap_or_else(|| panic!("{what}: not what tshark reads"));
            // What is left of them when segments are missing, or the beginning.
            let lossy = [(40, 1), (40, 20), (40, 39)].map(|(every, first)| run(tcp, &keys, |n| n % every == first));
            let cut = [3, 5, 8, 13, 21, 34].map(|from| run(tcp, &keys, |n| n < from));
            for rig in lossy.iter().chain(&cut) {
                for (dir, theirs) in [Dir::AtoB, Dir::BtoA].into_iter().zip(theirs) {
                    assert_parts(&rig.pieces(dir), theirs, &what);
                    assert!(
                        rig.pieces(dir).concat() == *theirs || rig.pieces(dir).len() > 1 || refused,
                        "{what}: no hole is said: {:?}",
                        rig.said
                    );
                }
            }
        }
    }
}

#[test]
fn streams_are_equal_to_those_of_tshark() {
    compare_with_tshark(&["tls13-aes128", "tls13-key-update"].map(tls));
}

#[test]
fn all_streams_are_equal_to_those_of_tshark() {
    if std::env::var_os("GATEWITNESS_TEST_ALL").is_none() {
        return;
    }
    compare_with_tshark(&all());
}
