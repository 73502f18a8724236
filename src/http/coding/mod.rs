//! Coded bytes of a body come in, decoded bytes go out as soon as they can be known (RFC 9110, 8.4). Bounded in size and ratio;
//! knows nothing of messages.

mod brotli;
mod deflate;
mod gzip;
mod zstd;

use crate::base::Limits;

/// Undoes the codings of one body.
pub(super) struct Decoder {
    /// In the order in which they are undone.
    stages: Vec<Box<dyn Stage>>,
    budget: Budget,
}

/// Why decoding stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The bytes are not what the coding says, or end too early.
    Damaged,
    /// A limit of ours.
    Limit,
}

/// Takes decoded bytes.
type Out<'a> = dyn FnMut(&[u8]) -> Result<(), Stop> + 'a;

/// One coding.
trait Stage: Send {
    /// The next coded bytes.
    fn push(&mut self, bytes: &[u8], out: &mut Out<'_>) -> Result<(), Stop>;
    /// Nothing more comes: whether that is well.
    fn finish(&mut self) -> Result<(), Stop>;
}

impl Decoder {
    /// From the values of `Content-Encoding` and `Transfer-Encoding`, in the order in which they were applied. `None` where nothing is to be
    /// undone; an error where one is not known.
    pub(super) fn new<'a>(codings: impl Iterator<Item = &'a [u8]>, limits: &Limits) -> Result<Option<Decoder>, Stop> {
        let mut stages: Vec<Box<dyn Stage>> = Vec::new();
        for coding in codings.flat_map(|list| list.split(|b| *b == b',')).map(<[u8]>::trim_ascii) {
            let is = |names: &[&str]| names.iter().any(|name| coding.eq_ignore_ascii_case(name.as_bytes()));
            let stage: Box<dyn Stage> = match () {
                () if coding.is_empty() || is(&["identity", "chunked"]) => continue,
                () if is(&["gzip", "x-gzip"]) => Box::new(gzip::Gzip::new()),
                () if is(&["deflate"]) => Box::new(deflate::Deflate::new()),
                () if is(&["br"]) => Box::new(brotli::Brotli::new()),
                () if is(&["zstd"]) => Box::new(zstd::Zstd::new(limits.body_bytes)),
                () => return Err(Stop::Damaged),
            };
            if stages.len() >= STACKED {
                return Err(Stop::Limit);
            }
            stages.insert(0, stage);
        }
        let budget = Budget { coded: 0, made: 0, most: limits.body_bytes as u64, ratio: limits.inflate_ratio as u64 };
        Ok((!stages.is_empty()).then_some(Decoder { stages, budget }))
    }

    /// The next coded bytes; what they yield goes to `out`, also where an error follows.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut dyn FnMut(&[u8])) -> Result<(), Stop> {
        self.budget.coded = self.budget.coded.saturating_add(bytes.len() as u64);
        run(&mut self.stages, bytes, &mut self.budget, out)
    }

    /// The body is over.
    pub(super) fn finish(&mut self) -> Result<(), Stop> {
        self.stages.iter_mut().try_for_each(|stage| stage.finish())
    }
}

fn run(stages: &mut [Box<dyn Stage>], bytes: &[u8], budget: &mut Budget, out: &mut dyn FnMut(&[u8])) -> Result<(), Stop> {
    let Some((stage, rest)) = stages.split_first_mut() else {
        out(bytes);
        return Ok(());
    };
    stage.push(bytes, &mut |made| {
        let (allowed, within) = budget.take(made);
        if !allowed.is_empty() {
            run(rest, allowed, budget, out)?;
        }
        within
    })
}

/// What decoding may still yield, over all codings of a body: nested bombs count at each layer.
struct Budget {
    coded: u64,
    made: u64,
    most: u64,
    ratio: u64,
}

impl Budget {
    fn take<'a>(&mut self, made: &'a [u8]) -> (&'a [u8], Result<(), Stop>) {
        let most = self.most.min(self.coded.saturating_mul(self.ratio).saturating_add(FREE));
        let left = usize::try_from(most.saturating_sub(self.made)).unwrap_or(usize::MAX);
        self.made = self.made.saturating_add(made.len() as u64);
        match made.split_at_checked(left) {
            Some((allowed, over)) if !over.is_empty() => (allowed, Err(Stop::Limit)),
            _ => (made, Ok(())),
        }
    }
}

/// Decoded bytes to which the ratio does not apply.
const FREE: u64 = 65_536;
/// Codings of one body.
const STACKED: usize = 4;

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    pub(crate) fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    pub(crate) fn zstd(text: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Uncompressed metablocks only (RFC 7932, 9.2), each with a byte-aligned header.
    fn brotli(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for (i, part) in text.chunks(65_536).enumerate() {
            let len = part.len() as u32 - 1;
            // WBITS 16 is one 0 bit, only at the beginning; ISLAST 0, MNIBBLES 0 (four), MLEN-1, ISUNCOMPRESSED 1
            let header = len << 3 | 1 << 19;
            let header = if i == 0 { header << 1 } else { header };
            out.extend_from_slice(&header.to_le_bytes()[..3]);
            out.extend_from_slice(part);
        }
        out.push(3); // ISLAST, ISLASTEMPTY
        out
    }

    fn decode(codings: &str, bytes: &[u8], piece: usize) -> (Vec<u8>, Result<(), Stop>) {
        let mut out = Vec::new();
        let mut decoder = Decoder::new([codings.as_bytes()].into_iter(), &Limits::default()).unwrap().unwrap();
        for piece in bytes.chunks(piece) {
            if let Err(stop) = decoder.push(piece, &mut |made| out.extend_from_slice(made)) {
                return (out, Err(stop));
            }
        }
        (out, decoder.finish())
    }

    fn text() -> Vec<u8> {
        (0..3000u32).flat_map(|i| format!("line {} of {}\n", i % 97, i.wrapping_mul(2_654_435_761)).into_bytes()).collect()
    }

    #[test]
    fn every_coding_is_undone_however_it_is_cut() {
        let text = text();
        for (name, coded) in [
            ("gzip", gzip(&text)),
            ("X-GZIP", gzip(&text)),
            ("deflate", zlib(&text)),
            ("deflate", deflate(&text)),
            ("br", brotli(&text)),
            ("zstd", zstd(&text)),
            ("gzip, zstd", zstd(&gzip(&text))),
            ("identity, deflate ,br", brotli(&zlib(&text))),
            ("gzip", [gzip(&text[..500]), gzip(&text[500..])].concat()),
            ("zstd", [zstd(&text[..500]), zstd(&text[500..])].concat()),
        ] {
            for piece in [1, 7, 1000, usize::MAX] {
                let (decoded, end) = decode(name, &coded, piece);
                assert!(decoded == text && end == Ok(()), "{name} in pieces of {piece}: {} bytes, {end:?}", decoded.len());
            }
        }
    }

    #[test]
    fn a_cut_body_yields_its_beginning_and_says_so() {
        let text = text();
        for (name, coded) in [("gzip", gzip(&text)), ("deflate", zlib(&text)), ("br", brotli(&text)), ("zstd", zstd(&text))] {
            let (decoded, end) = decode(name, &coded[..coded.len() - 5], 100);
            assert!(end == Err(Stop::Damaged) && text.starts_with(&decoded), "{name}: {} bytes, {end:?}", decoded.len());
        }
        assert_eq!(decode("gzip", b"not gzip at all", 100).1, Err(Stop::Damaged));
        let mut damaged = gzip(&text);
        let middle = damaged.len() / 2;
        damaged[middle] ^= 0xff;
        assert_eq!(decode("gzip", &damaged, 100).1, Err(Stop::Damaged));
        assert_eq!(decode("gzip", b"", 100), (vec![], Ok(())));
    }

    #[test]
    fn events_come_out_as_they_come_in() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        let mut decoder = Decoder::new([b"gzip".as_slice()].into_iter(), &Limits::default()).unwrap().unwrap();
        for i in 0..5 {
            let event = format!("data: {i}\n\n");
            encoder.write_all(event.as_bytes()).unwrap();
            encoder.flush().unwrap();
            let coded = std::mem::take(encoder.get_mut());
            let mut out = Vec::new();
            decoder.push(&coded, &mut |made| out.extend_from_slice(made)).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), event);
        }
    }

    #[test]
    fn bombs_stop_at_the_limits() {
        let zeros = vec![0; 40_000_000];
        let gzipped = gzip(&zeros);
        let (decoded, end) = decode("gzip", &gzipped, 1000);
        assert_eq!(end, Err(Stop::Limit));
        assert!(decoded.len() <= 65_536 + 200 * gzipped.len() && decoded.len() <= Limits::default().body_bytes);
        let (decoded, end) = decode("gzip, gzip", &gzip(&gzipped), usize::MAX);
        assert!(end == Err(Stop::Limit) && decoded.len() <= Limits::default().body_bytes);
        let (decoded, end) = decode("zstd", &zstd(&zeros), usize::MAX);
        assert!(end == Err(Stop::Limit) && decoded.len() <= Limits::default().body_bytes);
        let noise: Vec<u8> = (0..5_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let (decoded, end) = decode("br", &brotli(&noise), 10_000);
        assert!(end == Err(Stop::Limit) && decoded.len() == Limits::default().body_bytes);
    }

    #[test]
    fn unknown_codings_are_refused() {
        let new = |codings: &str| Decoder::new([codings.as_bytes()].into_iter(), &Limits::default()).map(|d| d.is_some());
        assert_eq!(new("compress"), Err(Stop::Damaged));
        assert_eq!(new("gzip, aes128gcm"), Err(Stop::Damaged));
        assert_eq!(new("gzip,gzip,gzip,gzip,gzip"), Err(Stop::Limit));
        assert_eq!(new("identity,"), Ok(false));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), flips in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4)) {
            let text = b"hello hello hello hello hello hello".repeat(9);
            for (name, mut coded) in [("gzip", gzip(&text)), ("deflate", zlib(&text)), ("br", brotli(&text)), ("zstd", zstd(&text))] {
                let _ = decode(name, &bytes, 50);
                for (at, flip) in &flips {
                    let at = at % coded.len();
                    coded[at] ^= flip;
                }
                let _ = decode(name, &coded, 50);
            }
        }
    }
}
