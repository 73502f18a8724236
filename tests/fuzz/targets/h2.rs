//! HTTP/2 frames with sound heads and any content, holes between them; seen from the beginning or from the middle.
#![no_main]

use gatewitness::base::Dir;
use gatewitness_fuzz::script::{self, Step};
use gatewitness_fuzz::tape::Bench;
use gatewitness_fuzz::{Cuts, wire};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    // Each piece of the script is a frame: its type, its flags, its stream, its payload. With bit 2, bytes as they are.
    let framed = |step| {
        let mut out = Vec::new();
        match step {
            Step::Data(_, [kind, flags, stream, payload @ ..]) if first & 2 == 0 => {
                wire::frame(kind % 12, *flags, u32::from(*stream) % 16, payload, &mut out);
            }
            Step::Data(_, bytes) => out.extend(bytes),
            _ => {}
        }
        (step, out)
    };
    let owned: Vec<(Step<'_>, Vec<u8>)> = script::binary(data).into_iter().map(framed).collect();
    let (client, mut server) = (wire::preface(), Vec::new());
    wire::frame(4, 0, 0, &[], &mut server);
    let mut steps = Vec::new();
    if first & 1 == 0 {
        steps.extend([Step::Data(Dir::AtoB, &client), Step::Data(Dir::BtoA, &server)]);
    }
    steps.extend(owned.iter().map(|(step, bytes)| match step {
        Step::Data(dir, _) => Step::Data(*dir, bytes),
        step => *step,
    }));
    let mut cuts = Cuts::new(data);
    Bench::same(first & 5 == 0, &steps, |_| cuts.upto(40));
});
