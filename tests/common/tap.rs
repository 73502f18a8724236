//! An HTTPS server and its clients, and what a tap reads of them, held byte for byte against what they sent. Takes root.
#![cfg(all(feature = "ebpf", target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gatewitness::base::{Limits, PlainId};
use gatewitness::source::ebpf::{Choice, Tap, What, safety};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What is read of one connection: written, read; pieces by their places.
#[derive(Debug, Default)]
pub struct Conn {
    pub born: bool,
    pub halves: [Vec<(u64, Vec<u8>)>; 2],
    pub freed: Option<[u64; 2]>,
}

impl Conn {
    pub fn text(&self, half: usize) -> Vec<u8> {
        let mut text: Vec<u8> = Vec::new();
        for (off, bytes) in &self.halves[half] {
            assert_eq!(*off, text.len() as u64, "in order, without a hole");
            text.extend(bytes);
        }
        text
    }

    pub fn has_answer(&self) -> bool {
        !self.halves[1].is_empty()
    }

    /// The request with its body, and the second answer with its own: as the client and the server made them.
    pub fn is_whole(&self, size: usize) {
        let (written, read, body) = (self.text(0), self.text(1), pattern(size));
        assert!(self.born);
        assert_eq!(self.freed, Some([written.len() as u64, read.len() as u64]));
        let place = written.windows(4).position(|end| end == b"\r\n\r\n").expect("a head") + 4;
        assert!(written.get(place..place + size) == Some(body.as_slice()), "the body that was sent");
        assert!(written[place + size..].starts_with(b"GET /pattern/"));
        assert!(read.ends_with(&body) && read.starts_with(b"HTTP/1.1 200 OK\r\n"), "the body that came back");
    }
}

pub fn collect(tap: &mut Tap, enough: impl Fn(&BTreeMap<PlainId, Conn>) -> bool) -> BTreeMap<PlainId, Conn> {
    let mut all: BTreeMap<PlainId, Conn> = BTreeMap::new();
    let begun = Instant::now();
    let mut quiet = Instant::now();
    while quiet.elapsed() < Duration::from_secs(3) && begun.elapsed() < Duration::from_secs(60) && !enough(&all) {
        let taken = tap.drain(usize::MAX, |event| {
            let conn = all.entry(event.key).or_default();
            conn.born = event.born;
            match event.what {
                What::Data { written, off, len, bytes } => {
                    let bytes = bytes.expect("it can be read");
                    assert_eq!(bytes.len(), len as usize);
                    conn.halves[usize::from(!written)].push((off, bytes.to_vec()));
                }
                What::Freed { written, read } => conn.freed = Some([written, read]),
                _ => {}
            }
        });
        if taken > 0 {
            quiet = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    all.retain(|_, conn| conn.halves.iter().any(|half| !half.is_empty()));
    all
}

pub fn open(choice: Choice, limits: &Limits) -> Tap {
    Tap::open(choice, false, limits).unwrap_or_else(|error| panic!("{error}"))
}

/// An HTTPS server, where probes may be set at all.
pub struct Host {
    pub port: u16,
    /// A probe is set for all processes that use a library: one test at a time.
    #[allow(dead_code, reason = "held")]
    alone: std::sync::MutexGuard<'static, ()>,
    #[allow(dead_code, reason = "ends with this")]
    server: Running,
    /// `cert.pem` and `key.pem`.
    pub folder: tempfile::TempDir,
}

impl Host {
    pub fn start() -> Option<Host> {
        let root = rustix::process::geteuid().is_root();
        let safety = safety();
        if !root || !safety.safe {
            let why = if root { safety.why } else { "not root".to_owned() };
            assert!(std::env::var_os("GATEWITNESS_TEST_ALL").is_none() || !root, "GATEWITNESS_TEST_ALL is set: {why}");
            eprintln!("left out: probes can't be set here: {why}");
            return None;
        }
        static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let folder = tempfile::tempdir().expect("a folder");
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let words =
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=localhost"];
        let made = Command::new("openssl").args(words).arg("-keyout").arg(&key).arg("-out").arg(&cert).output().expect("openssl");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let paths = [cert, key].map(|path| path.to_str().expect("a path").to_owned());
        let server = python("upstream.py", &[&port.to_string(), &paths[0], &paths[1]]).spawn().expect("a server");
        await_port(port);
        Some(Host { port, alone, server: Running(server), folder })
    }

    pub fn client(&self, how: &str, count: usize, size: usize) -> Client {
        self.client_of(Path::new("python3"), self.port, how, count, size)
    }

    /// The same by another Python, to another port.
    pub fn client_of(&self, interpreter: &Path, port: u16, how: &str, count: usize, size: usize) -> Client {
        let words = [port.to_string(), how.to_owned(), count.to_string(), size.to_string(), "go".to_owned()];
        let mut command = Command::new(interpreter);
        command.arg(Path::new(ROOT).join("tests/tap/client.py")).args(words);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a client");
        let out = BufReader::new(child.stdout.take().expect("its output"));
        let mut client = Client { pid: 0, child: Running(child), out };
        client.pid = client.wait_for("ready").trim().parse().expect("its number");
        client
    }
}

pub struct Client {
    pub pid: u32,
    pub child: Running,
    out: BufReader<std::process::ChildStdout>,
}

impl Client {
    pub fn go(&mut self) {
        self.child.0.stdin.as_mut().expect("its input").write_all(b"go\n").expect("it reads");
    }

    pub fn wait_for(&mut self, word: &str) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("it speaks");
        line.strip_prefix(word).unwrap_or_else(|| panic!("expected {word}, got {line}")).to_owned()
    }
}

/// Ends with its owner.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().unwrap_or_default();
        self.0.wait().expect("it ends");
    }
}

pub fn python(script: &str, words: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.arg(Path::new(ROOT).join("tests/tap").join(script)).args(words).stdin(Stdio::null());
    command
}

/// Bytes that tell their own place: the same as in tests/tap/upstream.py.
pub fn pattern(size: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..size.div_ceil(4)).flat_map(|place| u32::try_from(place).expect("small").to_le_bytes()).collect();
    bytes.truncate(size);
    bytes
}

pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file()).and_then(|path| path.canonicalize().ok())
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port()
}

pub fn await_port(port: u16) {
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody listens on {port}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
