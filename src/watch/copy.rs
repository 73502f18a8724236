//! A pair in words that other tools read.

use std::collections::BTreeSet;

use crate::base::Addr;
use crate::pipeline::Output;
use crate::report::{Ndjson, Shape};
use crate::verdict::Judged;

/// Its NDJSON record, as `replay --format ndjson` writes it.
pub(super) fn record(judged: &Judged, files: &[String]) -> String {
    records(std::iter::once(judged), files)
}

/// The records of several pairs.
pub fn records<'a>(pairs: impl Iterator<Item = &'a Judged>, files: &[String]) -> String {
    let mut bytes = Vec::new();
    let mut report = Ndjson::new(&mut bytes, Shape { files: files.to_vec(), ..Shape::default() });
    pairs.for_each(|judged| report.pair(judged.clone()));
    drop(report);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A Wireshark display filter for its connections: `(tcp.port == 51514 && tcp.port == 4000 && ip.addr == 10.0.0.7 ...) || ...`.
pub(super) fn display_filter(judged: &Judged) -> String {
    let pair = &judged.pair;
    let legs = std::iter::once(&pair.down).chain(pair.up.iter().map(|link| &link.leg)).chain(&pair.authorization);
    let mut ends: BTreeSet<(Addr, Addr)> = legs.map(|leg| (leg.peers.client, leg.peers.server)).collect();
    ends.extend(pair.conduits.iter().map(|conduit| (conduit.peers.client, conduit.peers.server)));
    let one = |(a, b): &(Addr, Addr)| {
        let host = |addr: &Addr| format!("{}.addr == {}", if addr.ip().is_ipv4() { "ip" } else { "ipv6" }, addr.ip());
        format!("({} && {} && tcp.port == {} && tcp.port == {})", host(a), host(b), a.port(), b.port())
    };
    ends.iter().map(one).collect::<Vec<_>>().join(" || ")
}
