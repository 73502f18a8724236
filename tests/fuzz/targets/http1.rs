//! A dialogue in text: however its bytes are cut, the same messages come out, and each ends once.
#![no_main]

use gatewitness_fuzz::tape::Bench;
use gatewitness_fuzz::{Cuts, script};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (known, data) = data.split_first().map_or((true, data), |(first, rest)| (first & 1 == 0, rest));
    let steps = script::text(data);
    let mut cuts = Cuts::new(data);
    // No more than a few: what waits for a head is bounded in pieces, too.
    let mut few = 0..40;
    Bench::same(known, &steps, |all| if few.next().is_some() { cuts.upto(12) } else { all });
});
