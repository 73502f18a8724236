//! Hostile captures of any length: memory stays under a stated figure, time is bounded, and a counter says which limit was reached.
//!
//! Each flood is written to the binary's standard input as it is made. With `GATEWITNESS_TEST_ALL=1` (`tests/run --all`) they are
//! longer by the factor that each names.

mod common;

use std::fs;
use std::io::{self, BufWriter, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::command;
use common::pcap::{Record, head, put, segment};
use serde_json::Value;

/// What a flood left behind.
struct Outcome {
    /// Most memory that was resident, MiB; 0 where `/proc` does not tell.
    rss: u64,
    summary: Value,
}

impl Outcome {
    fn count(&self, name: &str) -> u64 {
        self.summary["counts"][name].as_u64().unwrap_or_else(|| panic!("a counter {name}"))
    }

    #[track_caller]
    fn within(&self, mebibytes: u64) {
        assert!(self.rss <= mebibytes, "{} MiB are more than {mebibytes}", self.rss);
    }
}

/// Writes packets of a capture, ten microseconds apart.
struct Pen {
    out: BufWriter<ChildStdin>,
    time: u64,
    scratch: Vec<u8>,
}

impl Pen {
    fn frame(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.time += 10;
        self.scratch.clear();
        put(&mut self.scratch, &Record { time: self.time, bytes });
        self.out.write_all(&self.scratch)
    }
}

/// One connection's two sides.
struct Talk {
    ends: [([u8; 4], u16); 2],
    seq: [u32; 2],
}

impl Talk {
    /// The `n`th of many.
    fn open(n: u32, pen: &mut Pen) -> io::Result<Talk> {
        let [_, a, b, c] = n.to_be_bytes();
        // Sequence numbers of its own: equal ones at the same time would be one connection seen before and after NAT.
        let seq = [n.wrapping_mul(0x9e37_79b1), n.wrapping_mul(0x85eb_ca6b)];
        let mut talk = Talk { ends: [([10, a, b, c], 40_000), ([10, 255, 0, 1], 4_000)], seq };
        talk.raw(0, SYN, &[], 0, pen)?;
        talk.raw(1, SYN | ACK, &[], 0, pen)?;
        talk.seq = seq.map(|seq| seq.wrapping_add(1));
        talk.raw(0, ACK, &[], 0, pen)?;
        Ok(talk)
    }

    /// A packet of `side`, `ahead` of what it has sent; nothing moves on.
    fn raw(&self, side: usize, flags: u8, data: &[u8], ahead: u32, pen: &mut Pen) -> io::Result<()> {
        let seq = self.seq[side].wrapping_add(if flags & SYN == 0 { ahead } else { 0 });
        let ack = self.seq[1 - side].wrapping_add(u32::from(flags & SYN != 0));
        pen.frame(segment(self.ends[side], self.ends[1 - side], seq, ack, flags, data))
    }

    /// Data in packets as large as offload makes them, each acknowledged.
    fn send(&mut self, side: usize, data: &[u8], pen: &mut Pen) -> io::Result<()> {
        for piece in data.chunks(60_000) {
            self.raw(side, ACK, piece, 0, pen)?;
            self.seq[side] = self.seq[side].wrapping_add(piece.len() as u32);
            self.raw(1 - side, ACK, &[], 0, pen)?;
        }
        Ok(())
    }

    fn ask(&mut self, pen: &mut Pen) -> io::Result<()> {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: gw\r\nAccept: application/json, text/event-stream\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.send(0, (head + body).as_bytes(), pen)
    }
}

const SYN: u8 = 2;
const ACK: u8 = 16;

/// Runs `make` against the binary. Whatever happens, the run ends in order and in time.
fn flood(make: impl FnOnce(&mut Pen) -> io::Result<()> + Send + 'static) -> Outcome {
    let begun = Instant::now();
    let mut child = command(&["replay", "--format", "ndjson", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut pen = Pen { out: BufWriter::new(child.stdin.take().expect("a pipe")), time: 1_790_000_000_000_000, scratch: Vec::new() };
    let status = format!("/proc/{}/status", child.id());
    let writer = thread::spawn(move || {
        pen.out.write_all(&head())?;
        make(&mut pen)?;
        pen.out.flush()
    });
    let mut stdout = child.stdout.take().expect("a pipe");
    let reader = thread::spawn(move || {
        let mut last = Vec::new();
        let mut all = io::BufReader::new(&mut stdout);
        let mut line = Vec::new();
        while io::BufRead::read_until(&mut all, b'\n', &mut line).is_ok_and(|n| n > 0) {
            last = std::mem::take(&mut line);
        }
        last
    });
    let mut rss = 0;
    let code = loop {
        rss = rss.max(resident(&status).unwrap_or(0));
        if let Some(code) = child.try_wait().expect("it is waited for") {
            break code;
        }
        thread::sleep(Duration::from_millis(3));
    };
    writer.join().expect("the writer ends").expect("everything is read");
    assert!(code.success(), "{code}");
    let summary = serde_json::from_slice(&reader.join().expect("the reader ends")).expect("the last line is a record");
    let all = std::env::var_os("GATEWITNESS_TEST_ALL").is_some();
    let (most, taken) = (Duration::from_secs(if all { 600 } else { 60 }), begun.elapsed());
    eprintln!("{rss} MiB, {:.1} s", taken.as_secs_f64());
    assert!(taken < most, "{taken:?}");
    Outcome { rss, summary }
}

/// The kernel's own high-water mark.
fn resident(status: &str) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()?.div_ceil(1024))
}

/// `n`, or so many times more in the long run.
fn many(n: u32, factor: u32) -> u32 {
    if std::env::var_os("GATEWITNESS_TEST_ALL").is_some() { n * factor } else { n }
}

/// A busy gateway's traffic, of so many requests of clients.
fn traffic(requests: u32) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("busy");
    let mut python = Command::new("python3");
    python.arg("tests/accuracy/traffic.py").arg("-o").arg(&out).args(["--requests", &requests.to_string(), "--bytes", "9G"]);
    python.args("--forward-token --body small --fanout 2 --clients 24 --think-ms 40 --masked 0 --noise 0".split(' '));
    let made = python.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("python3");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let capture = fs::read(out.with_extension("pcap")).expect("a capture");
    let (own, records) = capture.split_at(24);
    assert_eq!(own[..4], head()[..4], "the same format");
    let records = records.to_vec();
    flood(move |pen| pen.out.write_all(&records))
}

#[test]
fn a_capture_ten_times_as_long_takes_no_more_memory() {
    let requests = many(60, 20);
    let (short, long) = (traffic(requests), traffic(requests * 10));
    assert!(long.count("packets") > 8 * short.count("packets") && long.summary["pairs"].as_u64() > short.summary["pairs"].as_u64());
    // What is learned of the traffic grows to its own bounds.
    assert!(long.rss <= short.rss + 24, "{} MiB for {requests} requests, {} MiB for ten times as many", short.rss, long.rss);
}

#[test]
fn a_gzip_bomb_stops_at_the_ratio() {
    let outcome = flood(|pen| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        for _ in 0..many(64, 16) {
            packed.write_all(&[b' '; 1 << 20])?;
        }
        let packed = packed.finish()?;
        for n in 0..8 {
            let mut talk = Talk::open(n, pen)?;
            talk.ask(pen)?;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
                packed.len()
            );
            talk.send(1, head.as_bytes(), pen)?;
            talk.send(1, &packed, pen)?;
        }
        Ok(())
    });
    assert_eq!((outcome.count("responses"), outcome.count("undecoded_bodies"), outcome.count("over_limit")), (8, 8, 8));
    outcome.within(40);
}

#[test]
fn a_zstd_bomb_stops_at_the_ratio() {
    let outcome = flood(|pen| {
        // A window of 64 KiB, and blocks that say "this byte, 1000 times" in four bytes (RFC 8878, 3.1.1): many small steps, each of which
        // once made the body's beginning be read again.
        let mut packed = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x30];
        for _ in 0..many(20_000, 20) {
            packed.extend(&((1_000u32 << 3) | 2).to_le_bytes()[..3]);
            packed.push(b' ');
        }
        for n in 0..8 {
            let mut talk = Talk::open(n, pen)?;
            talk.ask(pen)?;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: zstd\r\nContent-Length: {}\r\n\r\n",
                packed.len()
            );
            talk.send(1, head.as_bytes(), pen)?;
            talk.send(1, &packed, pen)?;
        }
        Ok(())
    });
    assert_eq!((outcome.count("responses"), outcome.count("undecoded_bodies"), outcome.count("over_limit")), (8, 8, 8));
    outcome.within(40);
}

#[test]
fn ten_gigabytes_announced_are_not_waited_for() {
    let outcome = flood(|pen| {
        let mut talk = Talk::open(1, pen)?;
        talk.ask(pen)?;
        talk.send(1, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10737418240\r\n\r\n", pen)?;
        let piece = vec![b' '; 1 << 20];
        for _ in 0..many(64, 160) {
            talk.send(1, &piece, pen)?;
        }
        Ok(())
    });
    assert_eq!((outcome.count("responses"), outcome.count("over_limit")), (1, 1));
    outcome.within(40);
}

#[test]
fn a_million_header_lines_are_no_head() {
    let outcome = flood(|pen| {
        for n in 0..many(2, 8) {
            let mut talk = Talk::open(n, pen)?;
            talk.send(0, b"POST /mcp HTTP/1.1\r\nHost: gw\r\n", pen)?;
            talk.send(0, "x: y\r\n".repeat(1_000_000).as_bytes(), pen)?;
        }
        Ok(())
    });
    assert!(outcome.count("over_limit") >= 2 && outcome.count("garbled_streams") >= 2, "{}", outcome.summary["counts"]);
    assert_eq!(outcome.count("requests"), 0);
    outcome.within(24);
}

#[test]
fn a_million_tiny_flows() {
    let flows = many(20_000, 50);
    let outcome = flood(move |pen| {
        for n in 0..flows {
            let mut talk = Talk::open(n, pen)?;
            talk.send(0, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", pen)?;
            // Half of them are never heard of again.
            if n % 2 == 0 {
                talk.send(1, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", pen)?;
                talk.raw(0, 4 | ACK, &[], 0, pen)?;
            }
        }
        Ok(())
    });
    assert_eq!(outcome.count("connections"), u64::from(flows));
    assert_eq!(outcome.summary["exchanges"], flows);
    if u64::from(flows) / 2 > 262_144 {
        assert!(outcome.count("evicted_connections") > 0);
    }
    outcome.within(if flows > 20_000 { 1_024 } else { 64 });
}

#[test]
fn a_connection_of_only_holes() {
    let outcome = flood(|pen| {
        let mut talk = Talk::open(1, pen)?;
        for n in 0..many(30_000, 20) {
            talk.seq[0] = talk.seq[0].wrapping_add(1_000);
            talk.raw(0, ACK, b"GET / HTTP", 0, pen)?;
            talk.seq[0] = talk.seq[0].wrapping_add(10);
            if n % 3 == 0 {
                talk.raw(1, ACK, &[], 0, pen)?;
            }
        }
        Ok(())
    });
    assert!(outcome.count("gaps") > 20_000 && outcome.count("gap_bytes") > 20_000_000, "{}", outcome.summary["counts"]);
    outcome.within(24);
}

#[test]
fn fragments_without_an_end() {
    let outcome = flood(|pen| {
        for n in 0..many(30_000, 20) {
            let mut frame = segment(([10, 0, 0, 1], 1), ([10, 0, 0, 2], 2), 1, 0, ACK, &[0; 1_024]);
            let [_, _, a, b] = n.to_be_bytes();
            // Identification, and "more fragments".
            frame[18..20].copy_from_slice(&[a, b]);
            frame[20..22].copy_from_slice(&[0x20, 0]);
            frame[29] = (n >> 16) as u8;
            pen.frame(frame)?;
        }
        Ok(())
    });
    assert!(outcome.count("fragments") >= 30_000 && outcome.count("fragments_lost") > 29_000, "{}", outcome.summary["counts"]);
    outcome.within(24);
}

#[test]
fn early_segments_of_many_connections() {
    let connections = many(100, 10);
    let outcome = flood(move |pen| {
        let piece = vec![b'x'; 60_000];
        for n in 0..connections {
            let talk = Talk::open(n, pen)?;
            // A hole at the beginning that nobody acknowledges, and 1.2 MB behind it.
            for k in 0..20 {
                talk.raw(0, ACK, &piece, 1_000 + k * 60_000, pen)?;
            }
        }
        Ok(())
    });
    assert!(outcome.count("reorder_limit") >= 100, "{}", outcome.summary["counts"]);
    // `reorder_bytes_total` is 64 MiB.
    outcome.within(100);
}

#[test]
fn requests_that_nobody_answers() {
    let outcome = flood(|pen| {
        let mut talk = Talk::open(0, pen)?;
        for _ in 0..many(3_000, 20) {
            talk.send(0, b"GET /pipelined HTTP/1.1\r\nHost: h\r\n\r\n", pen)?;
        }
        for n in 1..many(10_000, 40) {
            Talk::open(n, pen)?.ask(pen)?;
        }
        Ok(())
    });
    // `pipelined` is 1024.
    assert!(outcome.count("over_limit") >= 3_000 - 1_024, "{}", outcome.summary["counts"]);
    assert!(outcome.count("requests") >= 12_999);
    outcome.within(if many(1, 2) > 1 { 1_536 } else { 96 });
}

#[test]
fn a_compressed_capture_that_wants_gigabytes_of_memory_is_refused() {
    // A zstd frame with a window of 2 GiB (RFC 8878, 3.1.1.1.2), and a capture's first bytes in it.
    let mut packed = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3];
    packed.extend(&((24u32 << 3) | 1).to_le_bytes()[..3]);
    packed.extend(head());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bomb.pcap.zst");
    fs::write(&path, packed).expect("a file is written");
    let out = command(&["replay"]).arg(&path).output().expect("it runs");
    let errors = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{errors}");
    assert!(errors.contains("bomb.pcap.zst") && errors.contains("window"), "{errors}");
}
