//! A whole capture, from the file's bytes to every form of report.
#![no_main]

use gatewitness::base::{Keyer, Limits, Stamp};
use gatewitness::capfile::{Block, Reader};
use gatewitness::correlate::Leg;
use gatewitness::packet::Frame;
use gatewitness::pipeline::{Engine, Loss, Options, Output};
use gatewitness::report::{Ndjson, Report, Shape, Text};
use gatewitness::verdict::{Finding, Judged};
use libfuzzer_sys::fuzz_target;

/// Both forms at once.
struct Both {
    text: Text<Vec<u8>>,
    ndjson: Ndjson<std::io::Sink>,
}

impl Output for Both {
    fn pair(&mut self, judged: Judged) {
        self.text.pair(judged.clone());
        self.ndjson.pair(judged);
    }

    fn loss(&mut self, loss: Loss) {
        self.text.loss(loss.clone());
        self.ndjson.loss(loss);
    }

    fn finding(&mut self, finding: Finding) {
        self.text.finding(finding.clone());
        self.ndjson.finding(finding);
    }

    fn exchange(&mut self, leg: Leg) {
        self.ndjson.exchange(leg);
    }

    fn wants_exchanges(&self) -> bool {
        true
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(mut reader) = Reader::new(data, 1 << 20) else { return };
    let out = Both { text: Text::new(Vec::new(), Shape::default(), false), ndjson: Ndjson::new(std::io::sink(), Shape::default()) };
    let options = Options { limits: Limits::default(), keyer: Keyer::new([7; 32]), gateways: Vec::new(), stall_after: 60_000_000_000 };
    let mut engine = Engine::new(options, out);
    let mut ord = 0;
    while let Some(block) = reader.next() {
        match block {
            Block::Packet(packet) => {
                ord += 1;
                let at = Stamp { ord, ts: packet.ts, frame: ord, file: 0 };
                engine.frame(Frame { link: packet.link, data: packet.data, orig_len: packet.orig_len, iface: packet.iface, at });
            }
            Block::Secrets(text) => engine.secrets(text),
            Block::Damage(damage) => {
                engine.loss(Loss { kind: "damaged".to_owned(), place: String::new(), detail: damage.to_string(), at: None });
            }
            _ => {}
        }
    }
    let (summary, mut out) = engine.finish(Vec::new());
    out.text.finish(&summary).expect("memory can be written");
    out.ndjson.finish(&summary).expect("nowhere can be written");
});
