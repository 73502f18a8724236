//! One interface, opened through libpcap: what every option is for stands here, since each was learned from a trap.

use pcap::{Active, Capture, Linktype, Precision};

use super::Batch;
use crate::base::Ts;

/// An open interface.
pub(super) struct Device {
    pub(super) capture: Capture<Active>,
    link: u16,
    told: (u32, u32),
}

impl Device {
    /// Opens `name` with a kernel ring of `ring` bytes. `filter`: the user's own, else ours.
    pub(super) fn open(name: &str, ring: i32, filter: Option<&str>) -> Result<Device, Trouble> {
        let capture = Capture::from_device(name)
            .map_err(Trouble::Open)?
            // Offload shows frames of up to 64 KiB, and jumbo frames with headers before them are longer still.
            .snaplen(SNAPLEN)
            .buffer_size(ring)
            .precision(Precision::Nano)
            // A witness changes nothing, not even the card's mode: what is not for this host is none of its gateway's.
            .promisc(false)
            // Immediate mode would give every packet a slot of a whole snapshot length: a ring of 32 MiB would hold 128 packets.
            // Instead the kernel hands over a block when it is full or this old.
            .timeout(BLOCK_MILLIS)
            .open()
            .map_err(Trouble::Open)?
            // On an idle interface libpcap would wait for ever, whatever its timeout.
            .setnonblock()
            .map_err(Trouble::Open)?;
        let mut device = Device { capture, link: 0, told: (0, 0) };
        device.cooked();
        device.filter(filter)?;
        device.link = link_type(device.capture.get_datalink().0);
        Ok(device)
    }

    /// The LINKTYPE value.
    pub(super) fn link(&self) -> u16 {
        self.link
    }

    /// On `any`, the newer cooked header is asked for: it names the interface, which tells copies from retransmissions.
    fn cooked(&mut self) {
        let links = self.capture.list_datalinks().unwrap_or_default();
        if self.capture.get_datalink() == SLL && links.contains(&SLL2) {
            let _ = self.capture.set_datalink(SLL2);
        }
    }

    fn filter(&mut self, own: Option<&str>) -> Result<(), Trouble> {
        if let Some(own) = own {
            return self.capture.filter(own, true).map_err(Trouble::Filter);
        }
        // Not every link type knows every word.
        let known = FILTERS.iter().find(|text| self.capture.filter(text, true).is_ok());
        known.map(|_| ()).ok_or_else(|| Trouble::Filter(pcap::Error::PcapError("no filter of ours fits this link type".to_owned())))
    }

    /// Takes what is there, without waiting: a block at most.
    pub(super) fn take(&mut self, batch: &mut Batch) -> Result<usize, pcap::Error> {
        self.capture.dispatch(Some(MOST), |packet| {
            let time = packet.header.ts;
            // With nanosecond precision the field for microseconds holds nanoseconds.
            let ts = Ts(time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_usec));
            batch.push(ts, packet.header.len, packet.data);
        })
    }

    /// Packets that the kernel dropped, and the card, since this was last asked. What libpcap says was received counts twice on `lo`, so
    /// that it is no use.
    pub(super) fn dropped(&mut self) -> (u64, u64) {
        let Ok(stats) = self.capture.stats() else { return (0, 0) };
        let (kernel, card) = self.told;
        self.told = (stats.dropped, stats.if_dropped);
        (u64::from(stats.dropped.wrapping_sub(kernel)), u64::from(stats.if_dropped.wrapping_sub(card)))
    }
}

/// What failed.
#[derive(Debug)]
pub(super) enum Trouble {
    Open(pcap::Error),
    Filter(pcap::Error),
}

/// In files RAW has another number than in libpcap.
fn link_type(dlt: i32) -> u16 {
    match dlt {
        12 | 14 => 101,
        other => other as u16,
    }
}

/// What may carry TCP: TCP itself, and what fragments and tunnels hide from a filter.
macro_rules! plain {
    () => {
        "tcp or ip6 proto 44 or ip proto 4 or ip proto 41 or ip6 proto 4 or ip6 proto 41 or ip proto 47 or ip6 proto 47 \
         or udp port 4789 or udp port 8472 or udp port 6081"
    };
}

/// The first that fits. `vlan` moves all that follows it, so it stands last.
const FILTERS: &[&str] = &[concat!(plain!(), " or (vlan and (", plain!(), "))"), plain!(), "tcp", ""];

const SNAPLEN: i32 = 262_144;
/// How old a block gets before the kernel hands it over.
pub(super) const BLOCK_MILLIS: i32 = 10;
const MOST: usize = 1_024;
const SLL: Linktype = Linktype(113);
const SLL2: Linktype = Linktype(276);
