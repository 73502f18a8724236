//! The same bytes on the wire give the same records, however they were cut into segments, repeated and reordered.

mod common;

use common::pcap::{Record, read, write};
use common::{command, file};
use proptest::prelude::*;
use serde_json::Value;

/// How a capture is spoiled without losing anything.
#[derive(Clone, Debug)]
struct Spoil {
    /// Every n-th payload is cut in two, at this share of its length (of 256).
    cut: (usize, u8),
    /// Every n-th packet is repeated.
    repeat: usize,
    /// Every n-th packet changes places with the next.
    swap: usize,
}

fn spoil() -> impl Strategy<Value = Spoil> {
    ((1usize..6, any::<u8>()), 2usize..12, 2usize..12).prop_map(|(cut, repeat, swap)| Spoil { cut, repeat, swap })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_do_not_depend_on_how_bytes_were_cut(spoil in spoil(), which in 0usize..4) {
        let name = ["litellm-swallowed-401", "p08-failures", "p05-fanout-partial", "p12-gzip"][which];
        let bytes = std::fs::read(file(name)).expect("a capture is read");
        let (head, records) = read(&bytes);
        let spoiled = write(head, &change(&records, &spoil));
        let (whole, spoiled) = (pairs(&bytes), pairs(&spoiled));
        let differ = whole.iter().zip(&spoiled).find(|(a, b)| a != b);
        prop_assert!(whole.len() == spoiled.len() && differ.is_none(), "{} {:?}: {:#?}", name, spoil, differ);
    }
}

fn change(records: &[Record], spoil: &Spoil) -> Vec<Record> {
    let mut out = Vec::new();
    for (n, record) in records.iter().enumerate() {
        let pieces = if n % spoil.cut.0 == 0 { cut(record, spoil.cut.1) } else { vec![record.clone()] };
        out.extend(pieces);
        if n % spoil.repeat == 1 {
            out.push(record.clone());
        }
    }
    // An RST that overtakes data is another story: it ends the connection.
    let resets = |record: &Record| record.bytes[14 + usize::from(record.bytes[14] & 15) * 4 + 13] & 4 != 0;
    for n in (0..out.len().saturating_sub(1)).step_by(spoil.swap) {
        if !resets(&out[n]) && !resets(&out[n + 1]) {
            out.swap(n, n + 1);
        }
    }
    out
}

/// An Ethernet, IPv4, TCP packet as two with half of its payload each.
fn cut(record: &Record, share: u8) -> Vec<Record> {
    let bytes = &record.bytes;
    let ip = 14;
    let tcp = ip + usize::from(bytes[ip] & 15) * 4;
    let payload = tcp + usize::from(bytes[tcp + 12] >> 4) * 4;
    let end = ip + usize::from(u16::from_be_bytes([bytes[ip + 2], bytes[ip + 3]]));
    let flags = bytes[tcp + 13];
    let (syn_fin_rst, len) = (flags & 7, end.saturating_sub(payload));
    if syn_fin_rst != 0 || len < 2 {
        return vec![record.clone()];
    }
    let at = 1 + (len - 2) * usize::from(share) / 256;
    let seq = u32::from_be_bytes(bytes[tcp + 4..tcp + 8].try_into().expect("four bytes"));
    let piece = |from: usize, to: usize| {
        let mut piece = bytes[..payload].to_vec();
        piece.extend(&bytes[payload + from..payload + to]);
        piece[tcp + 4..tcp + 8].copy_from_slice(&seq.wrapping_add(from as u32).to_be_bytes());
        let total = (piece.len() - ip) as u16;
        piece[ip + 2..ip + 4].copy_from_slice(&total.to_be_bytes());
        Record { time: record.time, bytes: piece }
    };
    vec![piece(0, at), piece(at, len)]
}

/// Pair records without what depends on the cutting: frame numbers.
fn pairs(bytes: &[u8]) -> Vec<Value> {
    let key = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(key.path(), "key").expect("the key is written");
    let capture = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(capture.path(), bytes).expect("the capture is written");
    let out = command(&["replay", "--format", "ndjson", "--fingerprint-key"]).arg(key.path()).arg(capture.path()).output();
    let out = out.expect("the binary runs").stdout;
    let records = out.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let mut pairs: Vec<Value> = records.filter(|record| record["record"] == "pair").collect();
    pairs.iter_mut().for_each(strip);
    pairs
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("frames");
            map.values_mut().for_each(strip);
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        _ => {}
    }
}
