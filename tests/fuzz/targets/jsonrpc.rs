//! A JSON request and a JSON answer, parted by a byte that UTF-8 does not use: the same is seen, however they are cut.
#![no_main]

use gatewitness::base::Dir;
use gatewitness::tcp::Close;
use gatewitness_fuzz::script::Step;
use gatewitness_fuzz::tape::Bench;
use gatewitness_fuzz::{Cuts, wire};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == 0xff);
    let (ask, answer) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let [client, server] = wire::exchange("application/json", ask, "application/json", answer);
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
