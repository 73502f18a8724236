//! The dashboard in a real terminal (tmux): keys are sent, screens are captured; it leaves the terminal as it was, whatever ends it.

mod common;

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::tmux::{Tmux, watch};
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

#[test]
fn the_incident_from_the_first_screen_to_the_evidence() {
    let Some(tmux) = Tmux::start(80, 24, &watch("captures/litellm-swallowed-401.pcap")) else { return };
    let first = tmux.wait("YES");
    for answer in ["1 of 1 pair", "1 client", "swallowed", "unauthorized", "127.0.0.11:9001"] {
        assert!(first.contains(answer), "{answer}:\n{first}");
    }
    tmux.keys(&["Enter"]);
    assert!(tmux.wait("filter: server:127.0.0.11:9001").contains("200 [0]"));
    tmux.keys(&["Enter"]);
    assert!(tmux.wait("◆ 200 headers").contains("401"));
    tmux.keys(&["Enter", "Tab"]);
    tmux.wait("authorization: bearer tok:");
    tmux.keys(&["2", "/"]);
    tmux.keys(&["-l", "verdict:hea"]);
    tmux.wait("not yet");
    tmux.keys(&["Tab", "Enter"]);
    tmux.wait("none of 1 pairs passes");
    tmux.command(&["resize-window", "-x", "120", "-y", "40"]).status().expect("it is resized");
    tmux.keys(&["1"]);
    tmux.wait(" gatewitness  1 Overview");
    tmux.keys(&["q"]);
    let after = tmux.wait("EXIT 1");
    assert!(!after.contains("Overview"), "the shell's own screen is back:\n{after}");
    let after = tmux.wait("icanon");
    assert!(!after.contains("-icanon"), "{after}");
}

#[test]
fn signals_put_the_terminal_back() {
    for signal in ["TERM", "INT", "HUP"] {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let line = format!(
            "sh -c 'echo $$ >{}; exec {} watch captures/p04-concurrent-24.pcap --speed 0.1x'",
            pid.display(),
            env!("CARGO_BIN_EXE_gatewitness")
        );
        let Some(tmux) = Tmux::start(80, 24, &line) else { return };
        std::os::unix::fs::symlink(&pid, tmux.path("pid")).unwrap();
        tmux.wait("REPLAY 0.1x");
        Command::new("kill").args(["-s", signal, &tmux.pid()]).status().expect("kill runs");
        let after = tmux.wait("EXIT 0");
        assert!(!after.contains("Overview"), "{signal}:\n{after}");
        assert!(!tmux.wait("icanon").contains("-icanon"), "{signal}");
    }
}

/// No shell in between, and no session whose terminal it is: nobody sends it SIGHUP.
#[test]
fn it_ends_with_its_terminal() {
    for words in [&["captures/p05-fanout-partial.pcap"][..], &["captures/p04-concurrent-24.pcap", "--speed", "0.1x"]] {
        let mut terminal = File::from(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal"));
        unlockpt(&terminal).expect("it opens");
        let name = ptsname(&terminal, Vec::new()).expect("it has a name").into_string().unwrap();
        let end = File::options().read(true).write(true).custom_flags(OFlags::NOCTTY.bits() as i32).open(name).expect("its other end");
        tcsetwinsize(&end, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).expect("a size");
        let mut tool = Command::new(env!("CARGO_BIN_EXE_gatewitness"))
            .arg("watch")
            .args(words)
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(end.try_clone().unwrap())
            .stdout(end)
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut screen = Vec::<u8>::new();
        let mut part = [0; 4096];
        while !screen.windows(8).any(|bytes| bytes == b"Overview") {
            let read = terminal.read(&mut part).expect("it draws");
            screen.extend(&part[..read]);
        }
        drop(terminal);
        let begun = Instant::now();
        let ended = loop {
            match tool.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if begun.elapsed() > Duration::from_secs(10) => break None,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let _ = tool.kill();
        assert!(ended.is_some_and(|status| matches!(status.code(), Some(0 | 1))), "{words:?}: {ended:?}");
        eprintln!("{words:?}: over {:?} after its terminal", begun.elapsed());
    }
}

#[test]
fn stopped_and_brought_back() {
    let line = format!("bash -ic '{} watch captures/p05-fanout-partial.pcap; echo STOPPED; fg'", env!("CARGO_BIN_EXE_gatewitness"));
    let Some(tmux) = Tmux::start(80, 24, &line) else { return };
    tmux.wait("YES");
    tmux.keys(&["2", "C-z"]);
    // `fg` follows at once: the list is there again, and works.
    tmux.keys(&["3"]);
    tmux.wait("127.0.0.13:9003");
    tmux.keys(&["q"]);
    let after = tmux.wait("EXIT 1");
    assert!(after.contains("STOPPED"), "{after}");
}

#[test]
fn a_pipe_that_brings_nothing_does_not_hold_it() {
    let Some(tmux) = Tmux::start(80, 24, &format!("bash -c '{} < <(head -c 3000 captures/p05-fanout-partial.pcap; sleep 30)'", watch("-")))
    else {
        return;
    };
    tmux.wait("Overview");
    let begun = Instant::now();
    tmux.keys(&["q"]);
    tmux.wait("EXIT 0");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn pairs_are_saved_once_and_nothing_is_overwritten() {
    let Some(tmux) = Tmux::start(100, 30, &watch("captures/p05-fanout-partial.pcap")) else { return };
    let file = tmux.path("saved.ndjson");
    tmux.wait("YES");
    for answer in ["2 pairs saved", "File exists"] {
        tmux.keys(&["s", "C-u"]);
        tmux.keys(&["-l", file.to_str().unwrap()]);
        tmux.keys(&["Enter"]);
        tmux.wait(answer);
    }
    let saved = std::fs::read_to_string(&file).expect("it is there");
    assert_eq!(saved.lines().count(), 2);
    assert!(saved.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok_and(|record| record["record"] == "pair")));
}

#[test]
fn packets_are_saved_without_their_secrets_and_judged_the_same() {
    let Some(tmux) = Tmux::start(100, 30, &watch("captures/p05-fanout-partial.pcap")) else { return };
    let file = tmux.path("saved.pcapng");
    tmux.wait("YES");
    tmux.keys(&["s", "C-u"]);
    tmux.keys(&["-l", file.to_str().unwrap()]);
    tmux.keys(&["Enter"]);
    tmux.wait("2 pairs saved");
    let out = common::gatewitness(&["replay", "--format", "ndjson", file.to_str().unwrap()]);
    let records: Vec<serde_json::Value> =
        String::from_utf8_lossy(&out.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let verdicts: Vec<&str> =
        records.iter().filter(|record| record["record"] == "pair").filter_map(|record| record["verdict"].as_str()).collect();
    assert_eq!(verdicts, ["partial", "swallowed"]);
    let token = |bytes: &[u8]| {
        let at = bytes.windows(7).position(|text| text == b"Bearer ")? + 7;
        Some(bytes[at..].split(|byte| *byte == b'\r').next().unwrap_or_default().to_vec())
    };
    let secret = token(&std::fs::read(common::file("p05-fanout-partial")).unwrap()).expect("a token in the capture");
    let saved = std::fs::read(&file).expect("it is there");
    assert!(secret.len() > 8 && !saved.windows(secret.len()).any(|bytes| bytes == secret), "a token in what was saved");
}

#[test]
fn the_background_is_told_by_option_by_configuration_and_by_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gatewitness.toml");
    std::fs::write(&config, "theme = 'light'\n[colours]\nbad = '201'\n").unwrap();
    let own = format!("--config {}", config.display());
    for (before, words, colour) in
        [("", "", "[38;5;9m"), ("", "--theme light", "[38;5;160m"), ("COLORFGBG='0;15'", "", "[38;5;160m"), ("", &own, "[38;5;201m")]
    {
        let line = format!("env {before} {}", watch(&format!("captures/p05-fanout-partial.pcap {words}")));
        let Some(tmux) = Tmux::start(100, 30, &line) else { return };
        tmux.wait("YES");
        let screen = tmux.command(&["capture-pane", "-e", "-p"]).output().expect("tmux answers");
        let screen = String::from_utf8_lossy(&screen.stdout).into_owned();
        assert!(screen.contains(colour), "{before} {words}: {screen:?}");
    }
    std::fs::write(&config, "[colours]\nbad = 'reddish'\n").unwrap();
    let Some(tmux) = Tmux::start(100, 30, &watch(&format!("captures/p05-fanout-partial.pcap {own}"))) else { return };
    assert!(tmux.wait("EXIT 2").contains("`reddish` is no colour"));
}

/// `tests/pictures` draws them.
#[test]
fn the_pictures_in_the_documents_are_what_is_shown() {
    if Tmux::start(80, 24, "true").is_none() {
        return;
    }
    let words = ["tests/pictures", "--check", env!("CARGO_BIN_EXE_gatewitness")];
    let out = Command::new("python3").args(words).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("python3 runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// asciinema's format, version 2: a header, then `[seconds, "o", output]`.
#[test]
fn the_recorded_session_can_be_played() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/watch.cast")).expect("docs/watch.cast");
    let mut lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let header = lines.next().expect("a header");
    assert_eq!((&header["version"], &header["width"], &header["height"]), (&2.into(), &100.into(), &28.into()));
    let mut before = 0.0;
    let mut all = String::new();
    for event in lines {
        let at = event[0].as_f64().expect("a time");
        assert!(at >= before && event[1] == "o", "{event}");
        before = at;
        all.push_str(event[2].as_str().expect("output"));
    }
    // It begins where the screen is entered, and ends where it is left.
    assert!(all.contains("\u{1b}[?1049h") && all.rfind("\u{1b}[?1049l") > all.rfind("Overview"), "a whole session");
    assert!(!all.contains("/tmp") && !all.contains("/home"), "no path of whoever recorded it");
}

#[test]
fn what_comes_from_traffic_cannot_speak_to_the_terminal() {
    // A tool's name with an escape sequence in it that would set the window's title.
    let capture = std::fs::read(common::file("litellm-swallowed-401")).unwrap();
    let evil = capture.windows(10).position(|bytes| bytes == b"tools/list").expect("a method");
    let mut capture = capture;
    capture[evil..evil + 10].copy_from_slice(b"\\u001b]2;X");
    let file = tempfile::NamedTempFile::with_suffix(".pcap").unwrap();
    std::fs::write(file.path(), capture).unwrap();
    let Some(tmux) = Tmux::start(100, 30, &watch(&file.path().display().to_string())) else { return };
    tmux.wait("END");
    tmux.keys(&["2"]);
    tmux.wait("]2;X");
    let title = tmux.command(&["display-message", "-p", "#{pane_title}"]).output().expect("tmux answers");
    assert_ne!(String::from_utf8_lossy(&title.stdout).trim(), "X");
}

/// Frames of a recording, sent at their own pace on an interface that leads nowhere.
#[cfg(feature = "live")]
const SEND: &str = r#"
import socket, struct, sys, time
data = open(sys.argv[1], 'rb').read()
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind((sys.argv[2], 0))
at, before = 24, None
while at + 16 <= len(data):
    seconds, micros, length, _ = struct.unpack('<IIII', data[at:at + 16])
    now = seconds + micros / 1e6
    if before is not None: time.sleep(max(0, min(now - before, 0.2)))
    before = now
    out.send(data[at + 16:at + 16 + length])
    at += 16 + length
"#;

/// A network namespace of our own, gone with this.
#[cfg(feature = "live")]
struct Namespace(String);

#[cfg(feature = "live")]
impl Namespace {
    fn new() -> Option<Namespace> {
        let name = format!("gww{}", std::process::id());
        let ip = |words: &[&str]| Command::new("ip").args(words).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        let made = ip(&["netns", "add", &name])
            && ip(&["-n", &name, "link", "add", "gw0", "mtu", "9000", "type", "veth", "peer", "name", "gw1", "mtu", "9000"])
            && ip(&["-n", &name, "link", "set", "gw1", "up"])
            && ip(&["-n", &name, "link", "set", "gw0", "up"]);
        let namespace = Namespace(name);
        if made {
            return Some(namespace);
        }
        assert!(std::env::var_os("GATEWITNESS_TEST_ALL").is_none(), "a network namespace is needed: root and `ip`");
        eprintln!("SKIPPED: no network namespace can be made here (root and `ip` are needed)");
        None
    }
}

#[cfg(feature = "live")]
impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).stderr(Stdio::null()).status();
    }
}

#[test]
#[cfg(feature = "live")]
fn live_traffic_is_shown_as_it_happens_and_leaving_asks() {
    let Some(namespace) = Namespace::new() else { return };
    let Some(tmux) = Tmux::start(100, 30, &watch(&format!("--netns {} -i gw0", namespace.0))) else { return };
    tmux.wait("LIVE");
    tmux.wait("Nothing is judged yet");
    let send = ["netns", "exec", &namespace.0, "python3", "-c", SEND, &common::file("litellm-swallowed-401"), "gw0"];
    let sent = Command::new("ip").args(send).current_dir(env!("CARGO_MANIFEST_DIR")).status();
    assert!(sent.is_ok_and(|status| status.success()), "frames are sent");
    let shown = tmux.wait("YES, NOW");
    assert!(shown.contains("swallowed") && shown.contains("127.0.0.11:9001"), "{shown}");
    tmux.keys(&["q"]);
    tmux.wait("1 finding not saved");
    tmux.keys(&["q"]);
    let after = tmux.wait("EXIT 1");
    assert!(after.contains("28 packets received") && after.contains("0 packets dropped by kernel"), "{after}");
}

#[test]
fn without_a_terminal_it_says_so() {
    let out = common::gatewitness(&["watch", "captures/p05-fanout-partial.pcap"]);
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2));
    assert!(said.contains("draws on a terminal"), "{said}");
}
