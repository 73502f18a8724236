//! What goes wrong beside a live run, and what it says and loses then: docs/service.md tells it in words. Takes root.
#![cfg(all(feature = "live", target_os = "linux"))]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use common::space::{Space, ip, wait};
use serde_json::Value;

const AT: &str = "127.0.0.1:19003";
const SWALLOWED: &str = "gatewitness_pairs_total{verdict=\"swallowed\"}";

#[test]
fn an_interface_goes_away_and_comes_back() {
    let Some(mut space) = Space::new("an interface that goes away under a confined run") else { return };
    let name = space.name.clone();
    let add = || {
        ip(&["-n", &name, "link", "add", "w0", "type", "veth", "peer", "name", "w1"]);
        ip(&["-n", &name, "link", "set", "w0", "up"]);
    };
    add();
    let live = space.live(&["-i", "lo", "-i", "w0", "--metrics", AT, "--format", "ndjson"]);
    assert!(live.said.contains("CAP_NET_RAW"), "{}", live.said);
    space.gateway();
    let lost = "gatewitness_losses_total{kind=\"interface\"}";
    ip(&["-n", &name, "link", "del", "w0"]);
    space.until(AT, lost, 1.0);
    space.ask("bad-1", 2);
    space.until(AT, SWALLOWED, 2.0);
    add();
    space.until(AT, lost, 2.0);
    let (_, out, errors) = live.end();
    let told = captured(&out, "interface");
    assert!(told[0].contains("nothing is seen there any more") && told[1].contains("it is back; what passed in the"), "{told:?} {errors}");
}

#[test]
fn a_full_disk_ends_the_recording_and_not_the_run() {
    let Some(mut space) = Space::new("a full disk under --record") else { return };
    let disk = Disk::new("256k");
    let kept = disk.path("kept.pcapng");
    let live = space.live(&["--record", &kept, "--metrics", AT, "--format", "ndjson"]);
    space.gateway();
    let lost = "gatewitness_losses_total{kind=\"record\"}";
    wait("the disk to be full", || {
        space.ask("good-1", 50);
        space.sample(AT, lost).unwrap() > 0.0
    });
    let before = space.sample(AT, SWALLOWED).unwrap();
    space.ask("bad-1", 2);
    space.until(AT, SWALLOWED, before + 2.0);
    let (code, out, errors) = live.end();
    assert_eq!(code, Some(1), "{errors}");
    let told = captured(&out, "record");
    assert!(told.len() == 1 && told[0].contains("not kept any more") && told[0].contains("No space left"), "{told:?}");
    // What was written until then is a capture.
    let replayed = common::gatewitness(&["replay", &kept, "--format", "ndjson"]);
    assert!(matches!(replayed.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&replayed.stderr));
}

#[test]
fn a_full_disk_under_the_output_ends_the_run_and_is_told() {
    let Some(mut space) = Space::new("a full disk under -o") else { return };
    let disk = Disk::new("64k");
    let told = disk.path("told.ndjson");
    let live = space.live(&["-o", &told, "--format", "ndjson", "--metrics", AT]);
    space.gateway();
    let asking = std::thread::spawn(move || {
        // The run may end while it is asked.
        for _ in 0..10 {
            space.ask("bad-1", 20);
        }
        space
    });
    let (code, _, errors) = live.ended();
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("No space left"), "{errors}");
    let text = fs::read_to_string(&told).unwrap();
    let whole = text.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count();
    assert!(whole > 0 && text.lines().count() - whole <= 1, "all but the last line are records: {text}");
    drop(asking.join().unwrap());
}

#[test]
fn a_reader_that_goes_ends_the_run_quietly() {
    let Some(mut space) = Space::new("an output pipe that is closed") else { return };
    space.gateway();
    let words = [env!("CARGO_BIN_EXE_gatewitness"), "live", "--format", "ndjson", "--duration", "80"];
    let mut child = space.inside(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("watching") {
        assert!(errors.read_line(&mut said).unwrap() > 0, "{said}");
    }
    space.ask("bad-1", 1);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("swallowed"), "{line}");
    for _ in 0..20 {
        space.ask("bad-1", 5);
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    wait("its end, once nobody reads", || child.try_wait().unwrap().is_some());
    errors.read_to_string(&mut said).unwrap();
    assert!(!said.contains("panicked") && !said.contains("Broken pipe"), "{said}");
}

#[test]
fn a_gateway_that_is_restarted_is_watched_on() {
    let Some(mut space) = Space::new("a gateway that is restarted") else { return };
    let live = space.live(&["--metrics", AT, "--format", "ndjson"]);
    let gateway = space.gateway();
    space.ask("bad-1", 2);
    space.until(AT, SWALLOWED, 2.0);
    space.stop(gateway);
    space.serve(&["gateway", "127.0.0.1:4000", "weather=127.0.0.1:9001"]);
    space.ask("bad-2", 2);
    space.until(AT, SWALLOWED, 4.0);
    assert_eq!(space.sample(AT, "gatewitness_gateways"), Some(1.0));
    let (_, out, errors) = live.end();
    let lost = out.lines().filter(|line| line.contains("\"record\":\"capture\"") && !line.contains("heartbeat")).count();
    assert_eq!(lost, 0, "{out} {errors}");
}

#[test]
fn a_clock_that_is_set_back_costs_no_verdict() {
    // A live run's time is the packets' own, which the kernel stamps by the same clock: a capture with a step in it shows the same, and
    // leaves the clock of this machine alone.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stepped.pcap");
    let script = "import struct, sys\n\
                  out = open(sys.argv[1], 'wb')\n\
                  for n, name in enumerate(sys.argv[2:]):\n\
                  \x20   data = open(name, 'rb').read(); at = 24\n\
                  \x20   if n == 0: out.write(data[:24])\n\
                  \x20   first = struct.unpack('<I', data[24:28])[0]\n\
                  \x20   if n == 0: base = first\n\
                  \x20   while at + 16 <= len(data):\n\
                  \x20       s, u, c, o = struct.unpack('<IIII', data[at:at + 16])\n\
                  \x20       out.write(struct.pack('<IIII', s - first + base - 3600 * n, u, c, o) + data[at + 16:at + 16 + c]); at += 16 + c\n";
    let captures = ["captures/litellm-swallowed-401.pcap", "captures/p16-trap-empty-vs-401.pcap"];
    let made = Command::new("python3").args(["-c", script]).arg(&path).args(captures).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let out = common::gatewitness(&["replay", path.to_str().unwrap(), "--format", "ndjson"]);
    let text = String::from_utf8(out.stdout).unwrap();
    let summary: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert!(summary["counts"]["time_steps"].as_u64().unwrap() > 0, "{summary}");
    // One in the first, two in the second, and two lists there that are truly empty.
    assert_eq!((&summary["verdicts"]["swallowed"], &summary["verdicts"]["empty"]), (&3.into(), &2.into()), "{summary}");
}

#[test]
fn memory_near_its_budget_is_won_back_from_the_oldest_and_the_run_goes_on() {
    let Some(mut space) = Space::new("--max-memory") else { return };
    let live = space.live(&["--max-memory", "64MiB", "--ring", "8MiB", "--metrics", AT, "--format", "ndjson"]);
    let budget = space.sample(AT, "gatewitness_memory_budget_bytes");
    assert_eq!(budget, Some(f64::from(64 << 20)));
    space.gateway();
    space.ask("bad-1", 1);
    // Bodies that are announced, sent to a third and never ended: each is held until it is whole or too long.
    let flood = "import socket, threading, time\n\
                 listener = socket.socket(); listener.bind(('127.0.0.1', 4100)); listener.listen(512)\n\
                 def drain(c):\n\
                 \x20   while c.recv(1 << 20): pass\n\
                 def accept():\n\
                 \x20   while True: threading.Thread(target=drain, args=(listener.accept()[0],), daemon=True).start()\n\
                 threading.Thread(target=accept, daemon=True).start()\n\
                 kept = []\n\
                 for n in range(80):\n\
                 \x20   s = socket.create_connection(('127.0.0.1', 4100)); kept.append(s)\n\
                 \x20   s.sendall(b'POST /mcp HTTP/1.1\\r\\nHost: x\\r\\nContent-Type: application/json\\r\\nContent-Length: 4000000\\r\\n\\r\\n{\"a\":\"')\n\
                 \x20   for _ in range(40): s.sendall(b'x' * 32768)\n\
                 \x20   time.sleep(0.05)\n\
                 time.sleep(2)\n";
    assert!(space.inside(&["python3", "-c", flood]).status().unwrap().success());
    space.until(AT, "gatewitness_memory_relieved_total", 1.0);
    wait("memory to be within its budget", || space.sample(AT, "process_resident_memory_bytes").unwrap() < f64::from(64 << 20));
    assert!(space.sample(AT, "gatewitness_seen_total{what=\"evicted_connections\"}").unwrap() > 0.0);
    let before = space.sample(AT, SWALLOWED).unwrap();
    space.ask("bad-2", 2);
    space.until(AT, SWALLOWED, before + 2.0);
    let (code, out, errors) = live.end();
    assert_eq!(code, Some(1), "{errors}");
    let told = captured(&out, "memory");
    assert!(!told.is_empty() && told[0].contains("near --max-memory (64 MiB)"), "{out}");
}

#[test]
fn a_budget_that_cannot_be_kept_ends_the_run_with_a_code_of_its_own() {
    let Some(space) = Space::new("a --max-memory that cannot be kept") else { return };
    // The ring alone takes more.
    let words = ["live", "--max-memory", "48MiB", "--ring", "96MiB", "--duration", "60"];
    let out = space.inside(&[&[env!("CARGO_BIN_EXE_gatewitness")], &words[..]].concat()).output().unwrap();
    let errors = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(4), "{errors}");
    assert!(errors.contains("--max-memory is 48 MiB, whatever was given up: this run ends"), "{errors}");
    let refused = common::gatewitness(&["live", "--max-memory", "1MiB"]);
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
}

/// What `capture` records of a kind say.
fn captured(out: &str, kind: &str) -> Vec<String> {
    let records = out.lines().map(|line| serde_json::from_str::<Value>(line).expect("a record"));
    let of_kind = records.filter(|record| record["record"] == "capture" && record["kind"] == kind);
    of_kind.map(|record| record["detail"].as_str().expect("text").to_owned()).collect()
}

/// A small disk.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(size: &str) -> Disk {
        let folder = tempfile::Builder::new().prefix("gatewitness-").tempdir_in("/tmp").unwrap();
        let options = format!("size={size},mode=777");
        assert!(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path()).status().unwrap().success());
        Disk(folder)
    }

    fn path(&self, name: &str) -> String {
        Path::new(self.0.path()).join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}
