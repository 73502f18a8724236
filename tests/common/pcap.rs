//! Classic little-endian captures, as the tests take them apart and put them together.

/// A packet record.
#[derive(Clone, Debug)]
pub struct Record {
    /// Microseconds.
    pub time: u64,
    /// The frame.
    pub bytes: Vec<u8>,
}

/// The file's header and its records.
pub fn read(bytes: &[u8]) -> (&[u8], Vec<Record>) {
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    assert_eq!(number(0), 0xa1b2_c3d4, "a little-endian microsecond capture");
    let (mut at, mut records) = (24, Vec::new());
    while at + 16 <= bytes.len() {
        let len = number(at + 8) as usize;
        let time = u64::from(number(at)) * 1_000_000 + u64::from(number(at + 4));
        records.push(Record { time, bytes: bytes[at + 16..at + 16 + len].to_vec() });
        at += 16 + len;
    }
    (&bytes[..24], records)
}

/// A file of these records.
pub fn write(head: &[u8], records: &[Record]) -> Vec<u8> {
    let mut out = head.to_vec();
    for record in records {
        put(&mut out, record);
    }
    out
}

/// One more record.
pub fn put(out: &mut Vec<u8>, Record { time, bytes }: &Record) {
    for number in [(time / 1_000_000) as u32, (time % 1_000_000) as u32, bytes.len() as u32, bytes.len() as u32] {
        out.extend(number.to_le_bytes());
    }
    out.extend(bytes);
}

/// The header of an Ethernet capture.
pub fn head() -> Vec<u8> {
    let mut out = 0xa1b2_c3d4u32.to_le_bytes().to_vec();
    out.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.extend([0xff, 0xff, 0, 0, 1, 0, 0, 0]);
    out
}

/// A TCP segment over IPv4 and Ethernet, without checksums, as offload leaves it.
pub fn segment(src: ([u8; 4], u16), dst: ([u8; 4], u16), seq: u32, ack: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    out.extend([0x45, 0]);
    out.extend((40 + payload.len() as u16).to_be_bytes());
    out.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    out.extend(src.0);
    out.extend(dst.0);
    out.extend(src.1.to_be_bytes());
    out.extend(dst.1.to_be_bytes());
    out.extend(seq.to_be_bytes());
    out.extend(ack.to_be_bytes());
    out.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    out.extend(payload);
    out
}
