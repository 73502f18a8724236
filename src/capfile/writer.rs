//! Blocks become a pcapng file again: nanoseconds, comments, secrets and counters included.

use std::borrow::Cow;
use std::io::{self, Write};

use pcap_parser::pcapng::{
    BOM_MAGIC, DSB_MAGIC, DecryptionSecretsBlock, EPB_MAGIC, EnhancedPacketBlock, IDB_MAGIC, ISB_MAGIC, InterfaceDescriptionBlock,
    InterfaceStatisticsBlock, OptionCode, PcapNGOption, SHB_MAGIC, SecretsType, SectionHeaderBlock,
};
use pcap_parser::{Linktype, ToVec};

use crate::base::Ts;

/// Writes a pcapng file of one section.
pub struct Writer<W> {
    out: W,
    interfaces: u32,
}

impl<W: Write> Writer<W> {
    /// Begins the file; `application` names the program, `comment` says what the file is.
    pub fn new(out: W, application: &str, comment: Option<&str>) -> io::Result<Writer<W>> {
        let mut options = Vec::new();
        options.extend(comment.map(|text| text_option(OptionCode::Comment, text)));
        options.push(text_option(OptionCode::ShbUserAppl, application));
        let mut writer = Writer { out, interfaces: 0 };
        writer.put(&mut SectionHeaderBlock {
            block_type: SHB_MAGIC,
            block_len1: 0,
            bom: BOM_MAGIC,
            major_version: 1,
            minor_version: 0,
            section_len: -1,
            options,
            block_len2: 0,
        })?;
        Ok(writer)
    }

    /// Describes an interface and returns its number. Its packets have nanoseconds.
    pub fn interface(&mut self, link: u16, snaplen: u32, name: Option<&str>) -> io::Result<u32> {
        self.put(&mut InterfaceDescriptionBlock {
            block_type: IDB_MAGIC,
            block_len1: 0,
            linktype: Linktype(i32::from(link)),
            reserved: 0,
            snaplen,
            options: name.map(|text| text_option(OptionCode::IfName, text)).into_iter().collect(),
            block_len2: 0,
            if_tsresol: 9,
            if_tsoffset: 0,
        })?;
        self.interfaces += 1;
        Ok(self.interfaces - 1)
    }

    /// One packet of an interface that was described.
    pub fn packet(&mut self, iface: u32, ts: Ts, data: &[u8], orig_len: u32, comment: Option<&str>) -> io::Result<()> {
        let (ts_high, ts_low) = halves(ts);
        self.put(&mut EnhancedPacketBlock {
            block_type: EPB_MAGIC,
            block_len1: 0,
            if_id: iface,
            ts_high,
            ts_low,
            caplen: length(data)?,
            origlen: orig_len,
            data,
            options: comment.map(|text| text_option(OptionCode::Comment, text)).into_iter().collect(),
            block_len2: 0,
        })
    }

    /// The text of an NSS key log. It belongs before the packets that need it.
    pub fn secrets(&mut self, text: &[u8]) -> io::Result<()> {
        self.put(&mut DecryptionSecretsBlock {
            block_type: DSB_MAGIC,
            block_len1: 0,
            secrets_type: SecretsType::TlsKeyLog,
            secrets_len: length(text)?,
            data: text,
            options: Vec::new(),
            block_len2: 0,
        })
    }

    /// What one interface received and lost.
    pub fn stats(&mut self, iface: u32, ts: Ts, received: u64, dropped: u64) -> io::Result<()> {
        let (ts_high, ts_low) = halves(ts);
        let options = vec![number_option(OptionCode::IsbIfRecv, received), number_option(OptionCode::IsbOsDrop, dropped)];
        self.put(&mut InterfaceStatisticsBlock {
            block_type: ISB_MAGIC,
            block_len1: 0,
            if_id: iface,
            ts_high,
            ts_low,
            options,
            block_len2: 0,
        })
    }

    /// Ends the file and gives the stream back.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn put(&mut self, block: &mut impl ToVec) -> io::Result<()> {
        let bytes = block.to_vec().map_err(|e| io::Error::other(format!("{e:?}")))?;
        self.out.write_all(&bytes)
    }
}

fn text_option(code: OptionCode, text: &str) -> PcapNGOption<'_> {
    // An option's length has sixteen bits; what is longer ends at a whole character.
    let end = (0..=text.len().min(MAX_TEXT)).rev().find(|end| text.is_char_boundary(*end));
    let text = text.get(..end.unwrap_or(0)).unwrap_or_default();
    PcapNGOption { code, len: text.len() as u16, value: Cow::Borrowed(text.as_bytes()) }
}

fn number_option(code: OptionCode, number: u64) -> PcapNGOption<'static> {
    PcapNGOption { code, len: 8, value: Cow::Owned(number.to_le_bytes().to_vec()) }
}

/// pcapng counts from 1970 without a sign: an earlier time is written as 1970.
fn halves(ts: Ts) -> (u32, u32) {
    let nanos = u64::try_from(ts.0).unwrap_or(0);
    ((nanos >> 32) as u32, nanos as u32)
}

fn length(bytes: &[u8]) -> io::Result<u32> {
    u32::try_from(bytes.len()).map_err(io::Error::other)
}

const MAX_TEXT: usize = 65_532;
