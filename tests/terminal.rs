//! On a terminal: a bar while it takes long, and Ctrl-C shows what was found so far. Python's standard library plays the terminal.

mod common;

use std::process::Command;

const SCRIPT: &str = r#"
import os, pty, signal, subprocess, sys, time
binary, first = sys.argv[1], open(sys.argv[2], 'rb').read()
master, slave = pty.openpty()
run = subprocess.Popen([binary, 'replay', '--format', 'ndjson', '-'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=slave)
os.close(slave)
os.set_blocking(master, False)
shown = b''
def look():
    global shown
    try: shown += os.read(master, 65536)
    except (BlockingIOError, OSError): pass
run.stdin.write(first)
# Bare ACKs of nobody, for as long as it takes to grow impatient.
ack = bytes.fromhex('020000000002020000000001080045000028000040004006000001010101020202021111222200000001000000015010ffff00000000')
last = int.from_bytes(first[24:28], 'little') + 60
record = last.to_bytes(4, 'little') + bytes(4) + len(ack).to_bytes(4, 'little') * 2 + ack
begun = time.time()
while b'reading' not in shown and time.time() - begun < 30:
    run.stdin.write(record * 500)
    run.stdin.flush()
    look()
    time.sleep(0.005)
run.send_signal(signal.SIGINT)
try:
    # It is asked between two packets.
    run.stdin.write(record * 500)
    run.stdin.flush()
except BrokenPipeError: pass
out = run.stdout.read()
code = run.wait()
time.sleep(0.05)
look()
sys.stdout.buffer.write(b'%d\n' % code + out)
sys.stderr.buffer.write(shown)
"#;

#[test]
fn a_bar_is_shown_and_ctrl_c_prints_what_was_found_so_far() {
    let capture = common::file("litellm-swallowed-401");
    let out = Command::new("python3").args(["-c", SCRIPT, env!("CARGO_BIN_EXE_gatewitness"), &capture]).output().expect("python3 runs");
    let (said, shown) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(shown.contains("reading "), "a bar on the terminal: {shown:?}");
    assert!(shown.contains("gatewitness: interrupted; this is what was found until then"), "{shown:?}");
    let (code, records) = said.split_once('\n').expect("an exit code");
    assert_eq!(code, "1", "what was found counts: {said}");
    assert!(records.contains(r#""verdict":"swallowed""#) && records.contains(r#""record":"finding""#), "{said}");
    assert!(records.trim_end().lines().last().is_some_and(|line| line.starts_with(r#"{"record":"summary""#)), "{said}");
}

#[test]
fn there_is_no_bar_where_nobody_looks() {
    let out = common::gatewitness(&["replay", "--format", "ndjson", &common::file("p04-concurrent-24")]);
    assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
}
