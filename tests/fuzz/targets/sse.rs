//! An event stream as an answer's body: the same is seen, however it is cut.
#![no_main]

use gatewitness::base::Dir;
use gatewitness::tcp::Close;
use gatewitness_fuzz::script::Step;
use gatewitness_fuzz::tape::Bench;
use gatewitness_fuzz::{Cuts, wire};
use libfuzzer_sys::fuzz_target;

const ASK: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

fuzz_target!(|data: &[u8]| {
    let [client, server] = wire::exchange("text/event-stream", ASK, "text/event-stream", data);
    let steps = [
        Step::Data(Dir::AtoB, &client),
        Step::Data(Dir::BtoA, &server),
        Step::Finished(Dir::BtoA),
        Step::Finished(Dir::AtoB),
        Step::Closed(Close::Finished),
    ];
    let whole = Bench::new(true).observe(&steps, |all| all);
    let mut cuts = Cuts::new(data);
    assert_eq!(whole, Bench::new(true).observe(&steps, |_| cuts.upto(16)));
});
