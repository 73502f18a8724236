//! NSS key log text comes in, from files that may still grow or from decryption secrets blocks; secrets by client random go
//! out. Knows no files and no records.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use foldhash::fast::FixedState;
use zeroize::Zeroizing;

use crate::base::{Count, Counts, Limits};

/// What names a connection in a key log: the random of its ClientHello.
pub(super) type Random = [u8; 32];

/// All secrets that were given, bounded by [`Limits::tls_secrets`]: the oldest are dropped. Wiped from memory when dropped.
///
/// The format is that of SSLKEYLOGFILE, which NSS, OpenSSL, BoringSSL, GnuTLS, rustls and Go write.
pub struct KeyLog {
    /// In blocks that never move, so that no copies of secrets stay behind in freed memory.
    blocks: VecDeque<Vec<Line>>,
    /// Number of the first line still held.
    base: u64,
    /// Number of the next line.
    next: u64,
    /// The newest line of each client random.
    newest: HashMap<Random, u64, FixedState>,
    /// Whether more may come.
    complete: bool,
    limit: u64,
}

impl KeyLog {
    /// Without secrets.
    pub fn new(limits: &Limits) -> KeyLog {
        let limit = u64::try_from(limits.tls_secrets).unwrap_or(u64::MAX);
        KeyLog { blocks: VecDeque::new(), base: 0, next: 0, newest: HashMap::default(), complete: false, limit }
    }

    /// Reads the next bytes of one source. `tail` belongs to that source and keeps its last line until the rest of it comes.
    pub fn feed(&mut self, tail: &mut Tail, bytes: &[u8], counts: &mut Counts) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            rest = after.get(1..).unwrap_or(&[]);
            tail.keep(line);
            self.line(tail.take(), counts);
        }
        tail.keep(rest);
    }

    /// Reads what is left of a source that has ended: a last line without a newline.
    pub fn end(&mut self, tail: &mut Tail, counts: &mut Counts) {
        self.line(tail.take(), counts);
    }

    /// Reads a whole text, such as the one in a decryption secrets block of a pcapng file.
    pub fn block(&mut self, text: &[u8], counts: &mut Counts) {
        let mut tail = Tail::default();
        self.feed(&mut tail, text, counts);
        self.end(&mut tail, counts);
    }

    /// No more secrets will come: records that no key fits need not be kept.
    pub fn complete(&mut self) {
        self.complete = true;
    }

    /// Whether [`KeyLog::complete`] was said.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Grows with each secret: tells whether there is news.
    pub fn version(&self) -> u64 {
        self.next
    }

    /// Secrets held.
    pub fn len(&self) -> usize {
        usize::try_from(self.next.saturating_sub(self.base)).unwrap_or(usize::MAX)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.next == self.base
    }

    /// The secret of this kind for the connection with this client random; of several, the newest.
    pub(super) fn secret(&self, random: &Random, label: Label) -> Option<Secret> {
        self.of(random).find(|line| line.label == label).map(|line| line.secret.clone())
    }

    /// Application traffic secrets of TLS 1.3, the newest first.
    pub(super) fn traffic(&self) -> impl Iterator<Item = (&Random, Label, &Secret)> {
        let lines = self.blocks.iter().rev().flat_map(|block| block.iter().rev());
        lines
            .filter(|line| matches!(line.label, Label::ClientTraffic | Label::ServerTraffic))
            .map(|line| (&line.random, line.label, &line.secret))
    }

    /// All lines of a connection, the newest first. Their number is bounded by the number of labels: equal ones are not kept twice.
    fn of(&self, random: &Random) -> impl Iterator<Item = &Line> {
        let mut at = self.newest.get(random).copied();
        std::iter::from_fn(move || {
            let line = self.at(at?)?;
            at = line.earlier;
            Some(line)
        })
        .take(CHAIN)
    }

    fn at(&self, number: u64) -> Option<&Line> {
        let place = usize::try_from(number.checked_sub(self.base)?).ok()?;
        self.blocks.get(place / BLOCK)?.get(place % BLOCK)
    }

    fn line(&mut self, mut text: Zeroizing<Vec<u8>>, counts: &mut Counts) {
        while text.last().is_some_and(u8::is_ascii_whitespace) {
            text.pop();
        }
        match parse(&text) {
            Parsed::Nothing => {}
            Parsed::Malformed => counts.bump(Count::TlsBadSecrets),
            Parsed::Secret(random, label, secret) => self.add(random, label, secret, counts),
        }
    }

    fn add(&mut self, random: Random, label: Label, secret: Secret, counts: &mut Counts) {
        if self.of(&random).any(|line| line.label == label && line.secret.bytes() == secret.bytes()) {
            return;
        }
        counts.bump(Count::TlsSecrets);
        while self.next.saturating_sub(self.base) >= self.limit.max(1) {
            self.drop_oldest(counts);
        }
        let earlier = self.newest.insert(random, self.next);
        if self.blocks.back().is_none_or(|block| block.len() >= BLOCK) {
            self.blocks.push_back(Vec::with_capacity(BLOCK));
        }
        if let Some(block) = self.blocks.back_mut() {
            block.push(Line { random, label, secret, earlier });
            self.next = self.next.saturating_add(1);
        }
    }

    /// A block at a time.
    fn drop_oldest(&mut self, counts: &mut Counts) {
        let Some(block) = self.blocks.pop_front() else { return };
        let end = self.base.saturating_add(u64::try_from(block.len()).unwrap_or(0));
        for line in &block {
            if self.newest.get(&line.random).is_some_and(|newest| *newest < end) {
                self.newest.remove(&line.random);
            }
        }
        counts.add(Count::TlsSecretsDropped, end.saturating_sub(self.base));
        self.base = end;
    }
}

/// Says how many, never which.
impl fmt::Debug for KeyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLog").field("secrets", &self.len()).field("complete", &self.complete).finish_non_exhaustive()
    }
}

/// The unfinished last line of one source of key log text.
#[derive(Default)]
pub struct Tail {
    line: Zeroizing<Vec<u8>>,
    /// The line is longer than any that matters: the rest of it is not kept.
    long: bool,
}

impl Tail {
    fn keep(&mut self, bytes: &[u8]) {
        if self.line.capacity() == 0 && !bytes.is_empty() {
            self.line.reserve_exact(LONGEST);
        }
        let room = LONGEST.saturating_sub(self.line.len());
        self.long |= bytes.len() > room;
        self.line.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// The line, or for one that is too long something that is no line (a comment stays one).
    fn take(&mut self) -> Zeroizing<Vec<u8>> {
        let line = std::mem::take(&mut self.line);
        let comment = line.first() == Some(&b'#');
        if std::mem::take(&mut self.long) && !comment { Zeroizing::new(b"?".to_vec()) } else { line }
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("bytes", &self.line.len()).finish_non_exhaustive()
    }
}

/// What a secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// The master secret of TLS 1.2 (`CLIENT_RANDOM`).
    Master,
    ClientEarly,
    ClientHandshake,
    ServerHandshake,
    ClientTraffic,
    ServerTraffic,
}

/// A secret of at most 48 bytes, wiped when dropped.
#[derive(Clone)]
pub(super) struct Secret {
    bytes: Zeroizing<[u8; 48]>,
    len: u8,
}

impl Secret {
    /// `None` where there is no such secret: only hashes of 32 and 48 bytes are used.
    pub(super) fn new(from: &[u8]) -> Option<Secret> {
        if !matches!(from.len(), 32 | 48) {
            return None;
        }
        let mut bytes = Zeroizing::new([0; 48]);
        for (to, from) in bytes.iter_mut().zip(from) {
            *to = *from;
        }
        Some(Secret { bytes, len: u8::try_from(from.len()).ok()? })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret(~)")
    }
}

struct Line {
    random: Random,
    label: Label,
    secret: Secret,
    /// The number of the line before it with the same random.
    earlier: Option<u64>,
}

enum Parsed {
    Nothing,
    Malformed,
    Secret(Random, Label, Secret),
}

fn parse(line: &[u8]) -> Parsed {
    if line.is_empty() || line.starts_with(b"#") {
        return Parsed::Nothing;
    }
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(label), Some(random), Some(secret), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Parsed::Malformed;
    };
    let label = match label {
        b"CLIENT_RANDOM" => Label::Master,
        b"CLIENT_EARLY_TRAFFIC_SECRET" => Label::ClientEarly,
        b"CLIENT_HANDSHAKE_TRAFFIC_SECRET" => Label::ClientHandshake,
        b"SERVER_HANDSHAKE_TRAFFIC_SECRET" => Label::ServerHandshake,
        b"CLIENT_TRAFFIC_SECRET_0" => Label::ClientTraffic,
        b"SERVER_TRAFFIC_SECRET_0" => Label::ServerTraffic,
        // EXPORTER_SECRET, EARLY_EXPORTER_SECRET, RSA, ECH_SECRET and what may come: of no use here.
        other if other.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_') => return Parsed::Nothing,
        _ => return Parsed::Malformed,
    };
    let mut bytes = Zeroizing::new([0; 48]);
    let mut of = Random::default();
    if unhex(random, &mut of) != Some(32) {
        return Parsed::Malformed;
    }
    let secret = unhex(secret, bytes.as_mut_slice()).and_then(|len| Secret::new(bytes.get(..len)?));
    match secret {
        Some(secret) if label != Label::Master || secret.len == 48 => Parsed::Secret(of, label, secret),
        _ => Parsed::Malformed,
    }
}

/// How many bytes the hexadecimal text holds; `None` where it is none or too long.
fn unhex(text: &[u8], out: &mut [u8]) -> Option<usize> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    if pairs.len() > out.len() {
        return None;
    }
    for (to, [high, low]) in out.iter_mut().zip(pairs) {
        *to = digit(*high)? << 4 | digit(*low)?;
    }
    Some(pairs.len())
}

/// Secrets in one block: what is dropped at the limit at once.
const BLOCK: usize = 256;

/// Lines of one connection that are looked at.
const CHAIN: usize = 16;

/// The longest line that is read: label, random and secret of 48 bytes fit well.
const LONGEST: usize = 512;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(n: u8) -> String {
        let random = format!("{n:02x}").repeat(32);
        format!(
            "# a comment\r\nCLIENT_RANDOM {random} {}\nCLIENT_TRAFFIC_SECRET_0 {random} {}\r\nEXPORTER_SECRET {random} {}\n\nSERVER_TRAFFIC_SECRET_0 {random} {}\n",
            "AB".repeat(48),
            "0c".repeat(32),
            "0d".repeat(32),
            "0e".repeat(48)
        )
    }

    #[test]
    fn lines_are_read_by_label_and_random() {
        let (mut log, mut counts) = (KeyLog::new(&Limits::default()), Counts::default());
        log.block(text(7).as_bytes(), &mut counts);
        log.block(text(7).as_bytes(), &mut counts);
        assert_eq!((log.len(), counts.get(Count::TlsSecrets), counts.get(Count::TlsBadSecrets)), (3, 3, 0));
        assert_eq!(log.secret(&[7; 32], Label::Master).unwrap().bytes(), [0xab; 48]);
        assert_eq!(log.secret(&[7; 32], Label::ClientTraffic).unwrap().bytes(), [0x0c; 32]);
        assert_eq!(log.secret(&[7; 32], Label::ServerTraffic).unwrap().bytes(), [0x0e; 48]);
        assert!(log.secret(&[7; 32], Label::ClientEarly).is_none());
        assert!(log.secret(&[8; 32], Label::Master).is_none());
        assert_eq!(log.traffic().map(|(_, label, _)| label).collect::<Vec<_>>(), [Label::ServerTraffic, Label::ClientTraffic]);
    }

    #[test]
    fn the_last_line_waits_for_its_rest() {
        let (mut log, mut tail, mut counts) = (KeyLog::new(&Limits::default()), Tail::default(), Counts::default());
        let line = format!("CLIENT_RANDOM {} {}", "01".repeat(32), "02".repeat(48));
        log.feed(&mut tail, &line.as_bytes()[..100], &mut counts);
        assert!(log.is_empty());
        log.feed(&mut tail, &line.as_bytes()[100..], &mut counts);
        assert!(log.is_empty());
        log.end(&mut tail, &mut counts);
        assert_eq!(log.len(), 1);
    }

    #[test]
    fn malformed_lines_are_counted_and_cost_nothing_else() {
        let random = "01".repeat(32);
        for bad in [
            "hello".into(),
            "CLIENT_RANDOM".into(),
            format!("CLIENT_RANDOM {random} {}", "02".repeat(32)),
            format!("CLIENT_RANDOM {random} {} x", "02".repeat(48)),
            format!("CLIENT_RANDOM {random} {}", "0g".repeat(48)),
            format!("CLIENT_RANDOM 01 {}", "02".repeat(48)),
            format!("CLIENT_RANDOM {random} {}", "02".repeat(47)),
            "x".repeat(5000),
            format!("CLIENT_TRAFFIC_SECRET_0 {random} {}", "02".repeat(33)),
            "\u{7f}\0 a b".into(),
        ] {
            let (mut log, mut counts) = (KeyLog::new(&Limits::default()), Counts::default());
            log.block(format!("{bad}\n{}", text(1)).as_bytes(), &mut counts);
            assert_eq!((log.len(), counts.get(Count::TlsBadSecrets)), (3, 1), "{bad}");
        }
    }

    #[test]
    fn the_oldest_secrets_make_room() {
        let limits = Limits { tls_secrets: 1000, ..Limits::default() };
        let (mut log, mut counts) = (KeyLog::new(&limits), Counts::default());
        for n in 0..5000u32 {
            let line = format!("CLIENT_RANDOM {n:08x}{} {}\n", "00".repeat(28), "02".repeat(48));
            log.block(line.as_bytes(), &mut counts);
            assert!(log.len() <= 1000);
        }
        let random = |n: u32| std::array::from_fn(|at| n.to_be_bytes().get(at).copied().unwrap_or(0));
        let knows = |n| log.secret(&random(n), Label::Master).is_some();
        assert!(knows(4999) && knows(4500) && !knows(3000));
        assert_eq!(log.newest.len(), log.len());
        assert_eq!(counts.get(Count::TlsSecretsDropped), 5000 - log.len() as u64);
    }

    #[test]
    fn secrets_are_never_shown() {
        let (mut log, mut tail) = (KeyLog::new(&Limits::default()), Tail::default());
        log.feed(&mut tail, text(7).as_bytes(), &mut Counts::default());
        log.feed(&mut tail, b"CLIENT_RANDOM abab", &mut Counts::default());
        let shown = format!("{log:?} {tail:?} {:?}", log.secret(&[7; 32], Label::Master));
        assert!(!shown.to_lowercase().contains("abab") && !shown.contains("171, 171"), "{shown}");
    }

    proptest! {
        #[test]
        fn cuts_change_nothing_and_nothing_panics(noise in prop::collection::vec(any::<u8>(), 0..200), cuts in prop::collection::vec(1usize..60, 1..40)) {
            let mut whole = text(1).into_bytes();
            whole.extend_from_slice(&noise);
            whole.extend_from_slice(text(2).as_bytes());
            let (mut one, mut counts) = (KeyLog::new(&Limits::default()), Counts::default());
            one.block(&whole, &mut counts);
            let (mut other, mut tail, mut others) = (KeyLog::new(&Limits::default()), Tail::default(), Counts::default());
            let mut rest = &whole[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                other.feed(&mut tail, now, &mut others);
                rest = later;
            }
            other.end(&mut tail, &mut others);
            prop_assert_eq!(counts, others);
            prop_assert_eq!(one.len(), other.len());
        }
    }
}
