//! Header blocks: each piece is the block of one HEADERS frame, client and server in turn.
#![no_main]

use gatewitness::base::Dir;
use gatewitness_fuzz::script::Step;
use gatewitness_fuzz::tape::Bench;
use gatewitness_fuzz::wire;
use gatewitness::tcp::Close;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (mut client, mut server) = (wire::preface(), Vec::new());
    wire::frame(4, 0, 0, &[], &mut server);
    let (mut rest, mut stream) = (data, 1);
    while let [len, after @ ..] = rest {
        let (block, later) = after.split_at(usize::from(*len).min(after.len()));
        rest = later;
        // END_HEADERS and END_STREAM; an answer is on the stream of the request before it.
        let out = if stream % 2 == 1 { &mut client } else { &mut server };
        wire::frame(1, 5, (stream - 1) | 1, block, out);
        stream += 1;
    }
    let mut sizes = Vec::new();
    // The peer's table size, which the other side's encoder may then use.
    wire::frame(4, 0, 0, &[0, 1, 0, 0, 0, data.first().copied().unwrap_or(0)], &mut sizes);
    let steps = [
        Step::Data(Dir::AtoB, &client),
        Step::Data(Dir::BtoA, &server),
        Step::Data(Dir::BtoA, &sizes),
        Step::Closed(Close::CaptureEnd),
    ];
    Bench::same(true, &steps, |_| 1);
});
