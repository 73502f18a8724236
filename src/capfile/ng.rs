//! The pcapng file: sections, interfaces, and blocks of many kinds (draft-ietf-opsawg-pcapng). The library takes all
//! blocks but the packets apart, this file says what they mean. Options are read here, since their numbers follow the section's byte
//! order and their ticks may be binary.

use std::borrow::Cow;
use std::ops::Range;

use pcap_parser::pcapng::{Block as Raw, OptionCode, PcapNGOption, SecretsType, parse_block_be, parse_block_le};

use super::block::{Flaw, Stats};
use super::names;
use super::reader::{Found, Head};
use super::ticks::Ticks;
use crate::base::Ts;

/// What must be remembered between blocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Ng {
    big: bool,
    interfaces: Vec<Interface>,
    /// Interfaces of earlier sections.
    earlier: u32,
    last: Ts,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: u16,
    snaplen: u32,
    ticks: Ticks,
}

impl Ng {
    /// The length of the block at the start of `bytes` (12 bytes at least), where it can be one.
    #[inline]
    pub(super) fn size(&mut self, bytes: &[u8]) -> Result<usize, Flaw> {
        let len = size(bytes, &mut self.big)?;
        if len < 12 || len % 4 != 0 { Err(Flaw::Length(len)) } else { Ok(len as usize) }
    }

    /// The byte order of the section at hand.
    pub(super) fn big(&self) -> bool {
        self.big
    }

    /// What one whole block says. `None`: nothing that concerns us.
    pub(super) fn block(&mut self, bytes: &[u8]) -> Result<Option<Found>, Flaw> {
        if word(bytes, bytes.len().saturating_sub(4), self.big) as usize != bytes.len() {
            return Err(Flaw::Malformed);
        }
        let kind = word(bytes, 0, self.big);
        if kind == ENHANCED_PACKET || kind == OBSOLETE_PACKET {
            return self.packet(bytes, kind).map(Some);
        }
        let parsed = if self.big { parse_block_be(bytes) } else { parse_block_le(bytes) };
        let Ok((_, raw)) = parsed else { return Err(Flaw::Malformed) };
        Ok(match raw {
            Raw::SimplePacket(spb) => {
                let iface = self.interface(0)?;
                let limit = if iface.snaplen == 0 { u32::MAX } else { iface.snaplen };
                let data = within(bytes, spb.data);
                let kept = data.start..data.end.min(data.start.saturating_add(spb.origlen.min(limit) as usize));
                Some(Found::Packet(self.head(iface, 0, kept, spb.origlen, 0..0, 0)))
            }
            Raw::SectionHeader(shb) => {
                self.earlier = self.earlier.saturating_add(self.interfaces.len() as u32);
                self.interfaces.clear();
                comment(bytes, &shb.options).map(Found::Comment)
            }
            Raw::InterfaceDescription(idb) => {
                if self.interfaces.len() >= MAX_INTERFACES {
                    return Err(Flaw::Interfaces);
                }
                let tsresol = value(&idb.options, OptionCode::IfTsresol).and_then(|v| v.first().copied());
                let tsoffset = self.number(&idb.options, OptionCode::IfTsoffset).map(u64::cast_signed);
                let link = idb.linktype.0 as u16;
                self.interfaces.push(Interface { link, snaplen: idb.snaplen, ticks: Ticks::new(tsresol, tsoffset) });
                comment(bytes, &idb.options).map(Found::Comment)
            }
            Raw::DecryptionSecrets(dsb) if dsb.secrets_type == SecretsType::TlsKeyLog => {
                let at = within(bytes, dsb.data);
                Some(Found::Secrets(at.start..at.end.min(at.start.saturating_add(dsb.secrets_len as usize))))
            }
            Raw::NameResolution(nrb) => Some(Found::Names(names::of(&nrb.nr))),
            Raw::InterfaceStatistics(isb) => {
                let iface = self.interface(isb.if_id)?;
                let lost = |code| self.number(&isb.options, code).filter(|n| *n != u64::MAX).unwrap_or(0);
                Some(Found::Stats(Stats {
                    iface: self.earlier.saturating_add(isb.if_id),
                    ts: iface.ticks.ts(u64::from(isb.ts_high) << 32 | u64::from(isb.ts_low)),
                    since: self.time(&isb.options, OptionCode::IsbStartTime).map(|ticks| iface.ticks.ts(ticks)),
                    dropped: lost(OptionCode::IsbIfDrop).saturating_add(lost(OptionCode::IsbOsDrop)),
                }))
            }
            _ => None,
        })
    }

    /// An Enhanced Packet Block, or the Packet Block that it replaced (draft-ietf-opsawg-pcapng, 4.3 and appendix A), which differs
    /// in its first word. By hand: it is nearly all of a file, and the library costs 730 instructions for one, 1,300 with a comment.
    fn packet(&mut self, bytes: &[u8], kind: u32) -> Result<Found, Flaw> {
        let (mut id, mut dropped) = (word(bytes, 8, self.big), 0);
        if kind == OBSOLETE_PACKET {
            let (first, second) = if self.big { (id >> 16, id & 0xffff) } else { (id & 0xffff, id >> 16) };
            // 0xffff: the number is not known.
            (id, dropped) = (first, if second == 0xffff { 0 } else { u64::from(second) });
        }
        let (caplen, orig_len) = (word(bytes, 20, self.big), word(bytes, 24, self.big));
        let data = 28..28usize.saturating_add(caplen as usize);
        let end = bytes.len().saturating_sub(4);
        if data.end > end {
            return Err(Flaw::Malformed);
        }
        let iface = self.interface(id)?;
        self.last = iface.ticks.ts(u64::from(word(bytes, 12, self.big)) << 32 | u64::from(word(bytes, 16, self.big)));
        let (mut comments, mut at) = (0..0, data.end.next_multiple_of(4));
        while let Some((code, value)) = option(bytes.get(..end).unwrap_or_default(), at, self.big) {
            if code == COMMENT && comments.is_empty() {
                comments = at..end;
            } else if code == EPB_DROPCOUNT && kind == ENHANCED_PACKET && value.len() == 8 {
                dropped = self.long(bytes.get(value.clone()).unwrap_or_default()).unwrap_or(0);
            }
            at = value.end.next_multiple_of(4);
        }
        Ok(Found::Packet(self.head(iface, id, data, orig_len, comments, dropped)))
    }

    #[inline]
    fn head(&self, iface: Interface, id: u32, data: Range<usize>, orig_len: u32, comments: Range<usize>, dropped: u64) -> Head {
        Head { ts: self.last, link: iface.link, iface: self.earlier.saturating_add(id), data, orig_len, comments, dropped }
    }

    fn interface(&self, id: u32) -> Result<Interface, Flaw> {
        self.interfaces.get(id as usize).copied().ok_or(Flaw::Interface(id))
    }

    /// An option's 64-bit number.
    fn number(&self, options: &[PcapNGOption<'_>], code: OptionCode) -> Option<u64> {
        self.long(value(options, code)?)
    }

    fn long(&self, bytes: &[u8]) -> Option<u64> {
        let raw = bytes.first_chunk()?;
        Some(if self.big { u64::from_be_bytes(*raw) } else { u64::from_le_bytes(*raw) })
    }

    /// An option's time: the upper half comes first in either byte order.
    fn time(&self, options: &[PcapNGOption<'_>], code: OptionCode) -> Option<u64> {
        let raw: &[u8; 8] = value(options, code)?.first_chunk()?;
        Some(u64::from(word(raw, 0, self.big)) << 32 | u64::from(word(raw, 4, self.big)))
    }
}

/// The option at `at` of a packet's options: its code, and where its value stands. `None` behind the last.
fn option(bytes: &[u8], at: usize, big: bool) -> Option<(u32, Range<usize>)> {
    bytes.get(at..at.checked_add(4)?)?;
    let head = word(bytes, at, big);
    let (code, len) = if big { (head >> 16, head & 0xffff) } else { (head & 0xffff, head >> 16) };
    let value = at + 4..at + 4 + len as usize;
    (code != 0 && value.end <= bytes.len()).then_some((code, value))
}

/// The comments among options that begin with one.
pub(super) fn comments(options: &[u8], big: bool) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    let options = std::iter::from_fn(move || {
        let (code, value) = option(options, at, big)?;
        at = value.end.next_multiple_of(4);
        Some((code, options.get(value)?))
    });
    options.filter(|(code, _)| *code == COMMENT).map(|(_, text)| text)
}

/// The length of the block at the start of `bytes` if it looks like one to somebody who does not know where blocks begin. `big`: the
/// byte order, which a section's header may change.
pub(super) fn likely(bytes: &[u8], big: &mut bool) -> Option<usize> {
    let known = bytes.first_chunk() == Some(&SHB) || matches!(word(bytes, 0, *big), 1..=6 | 10 | 0xbad | 0x4000_0bad);
    let len = if known { size(bytes, big).ok()? as usize } else { return None };
    let whole = len >= 12 && len % 4 == 0 && word(bytes, len - 4, *big) as usize == len;
    whole.then_some(len)
}

/// A section header brings its own byte order; it shows in the third word.
#[inline]
fn size(bytes: &[u8], big: &mut bool) -> Result<u32, Flaw> {
    if bytes.first_chunk() == Some(&SHB) {
        *big = match bytes.get(8..12) {
            Some(order) if order == BOM_BIG => true,
            Some(order) if order == BOM_LITTLE => false,
            _ => return Err(Flaw::Malformed),
        };
    }
    Ok(word(bytes, 4, *big))
}

/// The 32-bit number at `at`; 0 where there is none.
#[inline]
fn word(bytes: &[u8], at: usize, big: bool) -> u32 {
    match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(raw) if big => u32::from_be_bytes(*raw),
        Some(raw) => u32::from_le_bytes(*raw),
        None => 0,
    }
}

/// Where `inner`, which was borrowed from `outer`, lies in it.
#[inline]
fn within(outer: &[u8], inner: &[u8]) -> Range<usize> {
    let start = (inner.as_ptr() as usize).wrapping_sub(outer.as_ptr() as usize);
    start..start.wrapping_add(inner.len())
}

fn value<'o>(options: &'o [PcapNGOption<'_>], code: OptionCode) -> Option<&'o [u8]> {
    options.iter().find(|option| option.code == code)?.as_bytes().ok()
}

fn comment(bytes: &[u8], options: &[PcapNGOption<'_>]) -> Option<Range<usize>> {
    let option = options.iter().find(|option| option.code == OptionCode::Comment)?;
    let Cow::Borrowed(padded) = &option.value else { return None };
    Some(within(bytes, padded.get(..usize::from(option.len))?))
}

pub(super) const SHB: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
pub(super) const BOM_BIG: [u8; 4] = [0x1a, 0x2b, 0x3c, 0x4d];
pub(super) const BOM_LITTLE: [u8; 4] = [0x4d, 0x3c, 0x2b, 0x1a];
const OBSOLETE_PACKET: u32 = 2;
const ENHANCED_PACKET: u32 = 6;
const COMMENT: u32 = 1;
const EPB_DROPCOUNT: u32 = 4;
const MAX_INTERFACES: usize = 65_536;
