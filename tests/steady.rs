//! A busy gateway for half a minute: what waits for its pair stays as much as it was. Traffic of `tests/accuracy/traffic.py`.
#![cfg(feature = "live")]

use std::process::Command;

use gatewitness::base::{Keyer, Limits, Stamp, Ts};
use gatewitness::correlate::Leg;
use gatewitness::packet::Frame;
use gatewitness::pipeline::{Engine, Loss, Options, Output};
use gatewitness::verdict::{Finding, Judged};

struct Nobody;

impl Output for Nobody {
    fn pair(&mut self, _: Judged) {}
    fn loss(&mut self, _: Loss) {}
    fn finding(&mut self, _: Finding) {}
    fn exchange(&mut self, _: Leg) {}
}

#[test]
fn what_waits_for_its_pair_does_not_grow_with_traffic() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("busy");
    let words = "--seed 1 --bytes 1G --requests 6000 --clients 24 --think-ms 40 --body small --llm 0 --noise 0 --fanout 2 --forward-token";
    let mut traffic = Command::new("python3");
    traffic.arg("tests/accuracy/traffic.py").arg("-o").arg(&out).args(words.split(' ')).current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(traffic.output().unwrap().status.success());
    let options = Options { limits: Limits::default(), keyer: Keyer::new([7; 32]), gateways: Vec::new(), stall_after: 60_000_000_000 };
    let mut engine = Engine::new(options, Nobody);
    engine.secrets_complete();
    let mut capture = pcap::Capture::from_file(out.with_extension("pcap")).unwrap();
    let (mut ord, mut waiting) = (0, Vec::new());
    while let Ok(packet) = capture.next_packet() {
        ord += 1;
        let ts = Ts(packet.header.ts.tv_sec * 1_000_000_000 + packet.header.ts.tv_usec * 1_000);
        let at = Stamp { ord, ts, frame: ord, file: 0 };
        engine.frame(Frame { link: 1, data: packet.data, orig_len: packet.header.len, iface: 0, at });
        if ord % 1_000 == 0 {
            waiting.push(engine.open().1);
        }
    }
    let (first, second) = waiting.split_at(waiting.len() / 2);
    let (first, second) = (first.iter().max().unwrap(), second.iter().max().unwrap());
    assert!(*second * 10 < *first * 14, "at most {first} exchanges wait in the first half, and {second} in the second: {waiting:?}");
}
