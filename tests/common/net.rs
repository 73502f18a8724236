//! Network namespaces in a row, a gateway with its upstreams and clients in them, and `gatewitness live` beside them. Takes root.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

const SCENE: &str = "tests/live/scene.py";

/// Records but for `capture` ones, without frame and pair numbers and what else belongs to the run and not to the traffic; in order.
pub fn comparable(text: &str) -> Vec<String> {
    let mut all: Vec<String> = records(text)
        .into_iter()
        .filter(|record| record["record"] != "capture" && record["record"] != "summary")
        .map(|mut record| {
            strip(&mut record);
            record.to_string()
        })
        .collect();
    all.sort();
    all
}

/// Digits of times made the same.
pub fn without_times(record: &str) -> String {
    let parts = record.split("\"2").map(|part| if part.get(3..4) == Some("-") { part.get(29..).unwrap_or(part) } else { part });
    parts.collect::<Vec<_>>().join("\"2")
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            ["frames", "pair", "pairs", "candidates", "finding"].iter().for_each(|key| drop(map.remove(*key)));
            map.values_mut().for_each(strip);
        }
        Value::Array(all) => all.iter_mut().for_each(strip),
        _ => {}
    }
}

pub fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

pub fn verdicts(text: &str) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for record in records(text).iter().filter(|record| record["record"] == "pair") {
        *all.entry(record["verdict"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    all
}

/// Three network namespaces in a row: clients, the gateway's host, upstreams.
pub struct Net {
    id: String,
    sides: Vec<&'static str>,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Net {
    /// None without the privilege, which is said.
    pub fn new(what: &str) -> Option<Net> {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let held = status.lines().find_map(|line| line.strip_prefix("CapEff:")).and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
        let (admin, raw, net) = (1 << 21, 1 << 13, 1 << 12);
        let ip = Command::new("ip").arg("-V").output().is_ok_and(|out| out.status.success());
        if held.is_none_or(|held| held & (admin | raw | net) != admin | raw | net) || !ip {
            eprintln!("SKIPPED, not shown by this run: {what} (it takes root and the program `ip`)");
            return None;
        }
        let mut net = Net { id: format!("gwt{}x{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)), sides: Vec::new() };
        ["c", "g", "u"].into_iter().for_each(|side| net.side(side));
        for (side, ours, n) in [("c", "vc", "1"), ("u", "vu", "2")] {
            net.veth(side, ours, n);
        }
        Some(net)
    }

    fn side(&mut self, side: &'static str) {
        self.sides.push(side);
        self.ip(&["netns", "add", &self.name(side)]);
        self.ip(&["-n", &self.name(side), "link", "set", "lo", "up"]);
    }

    /// A further side as container engines make them: on a bridge of the gateway's host, which forwards. Its address is 172.30.0.HOST.
    pub fn contained(&mut self, side: &'static str, host: &str) {
        self.side(side);
        let (outer, ours) = (self.name("g"), format!("v{side}"));
        if !Command::new("ip").args(["-n", &outer, "link", "show", "br0"]).output().unwrap().status.success() {
            self.ip(&["-n", &outer, "link", "add", "br0", "type", "bridge"]);
            self.ip(&["-n", &outer, "addr", "add", "172.30.0.1/24", "dev", "br0"]);
            self.ip(&["-n", &outer, "link", "set", "br0", "up"]);
            assert!(self.inside("g", &["sysctl", "-qw", "net.ipv4.ip_forward=1"]).status().unwrap().success());
        }
        self.ip(&["-n", &outer, "link", "add", &ours, "type", "veth", "peer", "name", "v0", "netns", &self.name(side)]);
        self.ip(&["-n", &outer, "link", "set", &ours, "master", "br0", "up"]);
        self.ip(&["-n", &self.name(side), "addr", "add", &format!("172.30.0.{host}/24"), "dev", "v0"]);
        self.ip(&["-n", &self.name(side), "link", "set", "v0", "up"]);
        self.ip(&["-n", &self.name(side), "route", "add", "default", "via", "172.30.0.1"]);
    }

    /// Ties a side to the gateway's host, where the pair's end is called `ours`.
    pub fn veth(&self, side: &str, ours: &str, n: &str) {
        self.ip(&["-n", &self.name("g"), "link", "add", ours, "type", "veth", "peer", "name", "v0", "netns", &self.name(side)]);
        for (place, link, host) in [("g", ours, "1"), (side, "v0", "2")] {
            self.ip(&["-n", &self.name(place), "addr", "add", &format!("10.77.{n}.{host}/24"), "dev", link]);
            self.ip(&["-n", &self.name(place), "link", "set", link, "up"]);
        }
    }

    pub fn name(&self, side: &str) -> String {
        format!("{}{side}", self.id)
    }

    pub fn ip(&self, words: &[&str]) {
        let out = Command::new("ip").args(words).output().unwrap();
        assert!(out.status.success(), "ip {words:?}: {}", String::from_utf8_lossy(&out.stderr));
    }

    pub fn inside(&self, side: &str, words: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(side)]).args(words).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
        command
    }

    /// The gateway first, then two upstreams, all listening.
    pub fn gateway_and_upstreams(&self) -> Servers {
        let scene = |side: &str, words: &[&str]| self.scene(side, words);
        let (weather, docs) = ("weather=10.77.2.2:9001", "docs=10.77.2.2:9002");
        Servers(vec![
            scene("g", &["gateway", "10.77.1.1:4000", weather, docs]),
            scene("u", &["upstream", "10.77.2.2:9001", "weather"]),
            scene("u", &["upstream", "10.77.2.2:9002", "docs"]),
        ])
    }

    /// One of the scene's servers, listening.
    pub fn scene(&self, side: &str, words: &[&str]) -> Child {
        let mut child = self.inside(side, &[&["python3", SCENE], words].concat()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        assert!(wait_for(&mut said, "ready").is_some());
        child
    }

    pub fn client_command(&self, token: &str, count: &str) -> Command {
        let mut command = self.inside("c", &["timeout", "30", "python3", SCENE, "client", "10.77.1.1:4000", token, count]);
        command.stdout(Stdio::piped());
        command
    }

    /// What the client printed of each request.
    pub fn client(&self, token: &str, count: &str) -> Vec<Value> {
        let out = self.client_command(token, count).output().unwrap();
        assert!(out.status.success());
        records(&String::from_utf8(out.stdout).unwrap())
    }

    pub fn live(&self, words: &[&str]) -> Live {
        let binary = env!("CARGO_BIN_EXE_gatewitness");
        Live::start(self.inside("g", &[&["timeout", "--foreground", "60", binary, "live"], words].concat()))
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for side in &self.sides {
            let _ = Command::new("ip").args(["netns", "del", &self.name(side)]).status();
        }
    }
}

pub struct Servers(pub Vec<Child>);

impl std::ops::Deref for Servers {
    type Target = [Child];

    fn deref(&self) -> &[Child] {
        &self.0
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A running `gatewitness live` that has begun to capture.
pub struct Live {
    child: Child,
    lines: std::sync::mpsc::Receiver<(String, u64)>,
    errors: std::thread::JoinHandle<String>,
}

impl Live {
    pub fn start(mut command: Command) -> Live {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut said = BufReader::new(child.stderr.take().unwrap());
        assert!(wait_for(&mut said, "watching").is_some(), "it begins");
        let errors = std::thread::spawn(move || {
            let mut rest = String::new();
            said.read_to_string(&mut rest).unwrap();
            rest
        });
        let (to, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
                let _ = to.send((line, now));
            }
        });
        Live { child, lines, errors }
    }

    /// The next line, and when it came.
    pub fn next_line(&mut self) -> Option<(String, u64)> {
        self.lines.recv_timeout(Duration::from_secs(10)).ok()
    }

    /// Whether it has ended by itself.
    pub fn is_over(&self) -> bool {
        self.errors.is_finished()
    }

    /// Sends it a signal, and gives its exit code, output and errors.
    pub fn end(self, kind: &str) -> (Option<i32>, String, String) {
        signal(&self.child, kind);
        self.ended()
    }

    pub fn ended(mut self) -> (Option<i32>, String, String) {
        let out: String = self.lines.iter().map(|(line, _)| line + "\n").collect();
        let code = self.child.wait().unwrap().code();
        (code, out, self.errors.join().unwrap())
    }
}

pub fn signal(child: &Child, kind: &str) {
    Command::new("kill").args([&format!("-{kind}"), &child.id().to_string()]).status().unwrap();
}

pub fn wait_for(from: &mut impl BufRead, text: &str) -> Option<String> {
    let mut line = String::new();
    while from.read_line(&mut line).ok()? > 0 {
        if line.contains(text) {
            return Some(line);
        }
        line.clear();
    }
    None
}
