//! A network namespace with nothing in it but `lo`, and a gateway with its upstreams and clients there.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Removed when it is dropped.
pub struct Space {
    pub name: String,
    started: Vec<Child>,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);
const SCENE: &str = "tests/live/scene.py";

impl Space {
    /// None without the privilege, which is said.
    pub fn new(what: &str) -> Option<Space> {
        if !is_root() {
            eprintln!("SKIPPED, not shown by this run: {what} (it takes root and the program `ip`)");
            return None;
        }
        let space = Space { name: format!("svct{}x{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)), started: Vec::new() };
        ip(&["netns", "add", &space.name]);
        ip(&["-n", &space.name, "link", "set", "lo", "up"]);
        Some(space)
    }

    /// A command in it, not yet started.
    pub fn inside(&self, words: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).args(words).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
        command
    }

    /// Starts a server of the scene; it listens when this returns. Gives its number.
    pub fn serve(&mut self, words: &[&str]) -> usize {
        let mut child = self.inside(&[&["python3", SCENE], words].concat()).stdout(Stdio::piped()).spawn().expect("python3 runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says so");
        assert_eq!(line, "ready\n");
        self.started.push(child);
        self.started.len() - 1
    }

    /// A gateway on 127.0.0.1:4000 in front of one upstream on 127.0.0.1:9001.
    pub fn gateway(&mut self) -> usize {
        self.serve(&["upstream", "127.0.0.1:9001", "weather"]);
        self.serve(&["gateway", "127.0.0.1:4000", "weather=127.0.0.1:9001"])
    }

    /// Ends a server.
    pub fn stop(&mut self, number: usize) {
        let child = &mut self.started[number];
        child.kill().expect("it ran");
        child.wait().expect("it ended");
    }

    /// Lists tools so often; a token that begins with `bad` is refused upstream, which the gateway hides.
    pub fn ask(&self, token: &str, count: u32) {
        let count = count.to_string();
        let out = self.inside(&["python3", SCENE, "client", "127.0.0.1:4000", token, &count]).output().expect("python3 runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }

    /// Runs `gatewitness live` in it until it is told to end, and at most a minute and a half.
    pub fn live(&self, words: &[&str]) -> Live {
        self.live_of(env!("CARGO_BIN_EXE_gatewitness"), words)
    }

    /// The same with another file of the program.
    pub fn live_of(&self, binary: &str, words: &[&str]) -> Live {
        Live::start(self.inside(&[&["timeout", "--foreground", "90", binary, "live"], words].concat()))
    }

    /// What an address in it answers to GET, head and body.
    pub fn get(&self, address: &str, path: &str, accept: &str) -> (u16, String, String) {
        let script = "import sys, http.client as h\n\
                      c = h.HTTPConnection(sys.argv[1], timeout=20); c.request(sys.argv[4], sys.argv[2], headers={'Accept': sys.argv[3]})\n\
                      r = c.getresponse(); print(r.status); print(r.getheader('content-type')); print(r.read().decode(), end='')";
        let (path, method) = path.split_once(' ').map_or((path, "GET"), |(method, path)| (path, method));
        let out = self.inside(&["python3", "-c", script, address, path, accept, method]).output().expect("python3 runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let text = String::from_utf8(out.stdout).expect("text");
        let mut parts = text.splitn(3, '\n');
        let mut next = || parts.next().unwrap_or_default().to_owned();
        (next().parse().expect("a status"), next(), next())
    }

    /// The value of a sample at `/metrics`, by its whole name with labels.
    pub fn sample(&self, address: &str, name: &str) -> Option<f64> {
        let (status, _, text) = self.get(address, "/metrics", "text/plain");
        assert_eq!(status, 200);
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// Waits until a sample has that value or more.
    pub fn until(&self, address: &str, name: &str, least: f64) {
        wait(&format!("{name} {least}"), || self.sample(address, name).is_some_and(|value| value >= least));
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        for child in &mut self.started {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// Whether this test may do what root may, and has the program `ip`.
pub fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let held = status.lines().find_map(|line| line.strip_prefix("CapEff:")).and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    let needed = 1 << 21 | 1 << 13 | 1 << 12;
    held.is_some_and(|held| held & needed == needed) && Command::new("ip").arg("-V").output().is_ok_and(|out| out.status.success())
}

pub fn ip(words: &[&str]) {
    let out = Command::new("ip").args(words).output().expect("ip runs");
    assert!(out.status.success(), "ip {words:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Asks again and again, for as long as a busy machine may need.
pub fn wait(what: &str, mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} does not come");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A running `gatewitness live` that has begun to capture.
pub struct Live {
    child: Option<Child>,
    /// What it said up to then.
    pub said: String,
    errors: Option<std::thread::JoinHandle<String>>,
    out: Option<std::thread::JoinHandle<String>>,
}

impl Live {
    pub fn start(mut command: Command) -> Live {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut from = BufReader::new(child.stderr.take().expect("piped"));
        let mut said = String::new();
        while !said.contains("watching") {
            assert!(from.read_line(&mut said).expect("it says something") > 0, "{said}");
        }
        let mut out = child.stdout.take().expect("piped");
        let errors = std::thread::spawn(move || {
            let mut rest = String::new();
            from.read_to_string(&mut rest).expect("text");
            rest
        });
        let out = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = out.read_to_string(&mut text);
            text
        });
        Live { child: Some(child), said, errors: Some(errors), out: Some(out) }
    }

    fn child(&self) -> &Child {
        self.child.as_ref().expect("it runs")
    }

    /// The process that captures, behind `ip netns exec` and `timeout`.
    pub fn pid(&self) -> u32 {
        let mut pid = self.child().id();
        loop {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            match children.split_whitespace().next() {
                Some(child) => pid = child.parse().expect("a number"),
                None => return pid,
            }
        }
    }

    pub fn signal(&self, kind: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([&format!("-{kind}"), &pid]).status().expect("kill runs").success());
    }

    /// Asks it to end, and gives its exit code, output and errors.
    pub fn end(self) -> (Option<i32>, String, String) {
        self.signal("INT");
        self.ended()
    }

    /// The same for one that ends by itself.
    pub fn ended(mut self) -> (Option<i32>, String, String) {
        let code = self.child.take().expect("it runs").wait().expect("it ended").code();
        let text = |from: Option<std::thread::JoinHandle<String>>| from.expect("once").join().expect("text");
        (code, text(self.out.take()), text(self.errors.take()))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if self.child.is_some() {
            let _ = Command::new("kill").args(["-KILL", &self.pid().to_string()]).status();
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }
}
