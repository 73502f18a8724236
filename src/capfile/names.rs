//! Name resolution records become addresses with names.

use std::net::IpAddr;

use pcap_parser::pcapng::{NameRecord, NameRecordType};

/// The addresses and names of a Name Resolution Block. One address may have several names.
pub(super) fn of(records: &[NameRecord<'_>]) -> Vec<(IpAddr, String)> {
    let mut found = Vec::new();
    for record in records {
        let (ip, names) = match record.record_type {
            NameRecordType::Ipv4 => match record.record_value.split_first_chunk::<4>() {
                Some((ip, names)) => (IpAddr::from(*ip), names),
                None => continue,
            },
            NameRecordType::Ipv6 => match record.record_value.split_first_chunk::<16>() {
                Some((ip, names)) => (IpAddr::from(*ip), names),
                None => continue,
            },
            _ => continue,
        };
        // Each name ends in a zero byte; the padding after the last one is zeros as well.
        for name in names.split(|byte| *byte == 0) {
            if let Ok(name) = str::from_utf8(name)
                && !name.is_empty()
            {
                found.push((ip, name.to_owned()));
            }
        }
    }
    found
}
