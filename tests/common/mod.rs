//! What the end-to-end tests share: the binary, the recordings, the scorer.
#![allow(dead_code, unreachable_pub)]

pub mod bodies;
pub mod net;
pub mod pcap;
pub mod scenario;
#[cfg(all(feature = "live", target_os = "linux"))]
pub mod space;
pub mod tap;
pub mod tmux;

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs the binary in the repository's root.
pub fn gatewitness(args: &[&str]) -> Output {
    command(args).output().expect("the binary runs")
}

/// The binary with arguments, not yet started.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewitness"));
    command.args(args).current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

/// Names of all bundled recordings with a truth, in order.
pub fn captures() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let files = std::fs::read_dir(folder).expect("captures are there").filter_map(Result::ok);
    let mut names: Vec<String> =
        files.filter_map(|file| file.file_name().to_str()?.strip_suffix(".truth.json").map(str::to_owned)).collect();
    names.sort();
    names
}

/// The capture file of a recording.
pub fn file(name: &str) -> String {
    let path = |ending: &str| format!("captures/{name}.{ending}");
    let there = |path: &String| Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists();
    Some(path("pcap")).filter(there).unwrap_or_else(|| path("pcapng"))
}

/// Scores the tool's records on a recording, with its key log where it has one.
pub fn score(name: &str) -> serde_json::Value {
    let (capture, keys) = (file(name), format!("captures/{name}.keys"));
    let mut args = vec!["replay", "--format", "ndjson", &capture];
    if Path::new(env!("CARGO_MANIFEST_DIR")).join(&keys).exists() {
        args.extend(["--keylog", &keys]);
    }
    let out = gatewitness(&args);
    assert!(matches!(out.status.code(), Some(0 | 1)), "{name}: {}", String::from_utf8_lossy(&out.stderr));
    score_records(name, &out.stdout)
}

/// Scores records that were made elsewhere.
pub fn score_records(name: &str, records: &[u8]) -> serde_json::Value {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), records).expect("records are written");
    let scored = Command::new("python3")
        .args(["tests/score.py", &format!("captures/{name}.truth.json")])
        .arg(file.path())
        .args(["--json", "--misses", "5"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("python3 runs the scorer");
    assert!(scored.status.code() != Some(2), "{name}: {}", String::from_utf8_lossy(&scored.stderr));
    serde_json::from_slice(&scored.stdout).expect("the scorer prints JSON")
}

/// Whether the tests that need other programs are wanted (`tests/run --all`); says so where they are not.
pub fn need_all(what: &str) -> bool {
    let wanted = std::env::var_os("GATEWITNESS_TEST_ALL").is_some();
    if !wanted {
        eprintln!("SKIPPED, not shown by this run: {what} (tests/run --all)");
    }
    wanted
}

/// A Python with packages from its registry, in an environment of its own under `target/`.
pub fn venv(packages: &[&str]) -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-venv");
    let run = |command: &mut Command| assert!(command.status().expect("it runs").success(), "{command:?}");
    if !folder.join("bin/python").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(Command::new(folder.join("bin/python")).args(pip).args(packages));
    folder.join("bin/python")
}

/// Credentials, cookies, session ids, query values and token endpoints' bodies, as they stand in a capture's bytes.
pub fn secrets(path: &str) -> std::collections::BTreeSet<String> {
    let script = r#"
import re, sys
data = open(sys.argv[1], 'rb').read()
found = set()
for name in (rb'authorization', rb'x-litellm-api-key', rb'x-api-key', rb'x-mcp-auth', rb'cookie', rb'set-cookie', rb'mcp-session-id', rb'last-event-id'):
    for m in re.finditer(rb'(?i)\r\n' + name + rb': *([^\r\n]{6,})', data):
        value = m.group(1)
        found.add(value)
        found.update(part for part in value.split() if len(part) >= 12)
for m in re.finditer(rb'(?:GET|POST|DELETE) [^ \r\n]*\?([^ \r\n]+) HTTP/1', data):
    for pair in m.group(1).split(b'&'):
        value = pair.partition(b'=')[2]
        if len(value) >= 6: found.add(value)
for m in re.finditer(rb'(?:client_secret|access_token|refresh_token|client_assertion|code_verifier)["=: ]+([A-Za-z0-9._~+/-]{8,})', data):
    found.add(m.group(1))
for value in sorted(found):
    try: print(value.decode('ascii'))
    except UnicodeDecodeError: pass
"#;
    let out = Command::new("python3").args(["-c", script, path]).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("python3 runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).lines().filter(|line| *line != "Bearer").map(str::to_owned).collect()
}
