//! What a live run can do once it has given its rights up: the table of docs/service.md, each row a test, each cell tried for real.
//!
//! A cell is a process of its own (this very test binary), which settles by the function that every thread of a live run settles by and
//! then tries. Each attempt is also made without that, so that one that could not succeed anyway shows nothing. Takes root.
#![cfg(all(feature = "live", target_os = "linux"))]

mod common;

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::space::{Space, is_root, wait};
use gatewitness::service::confine::{Confinement, Needs};

/// Columns of the table, and the control.
const MODES: [&str; 6] = ["any", "-i IF", "--config", "--record", "--tls", "--otlp"];
const CONTROL: &str = "unconfined";
/// Owns the directory of the recording.
const OWNER: u32 = 12_345;

macro_rules! rows {
    ($($test:ident: $row:literal;)+) => {
        $(#[test]
        fn $test() {
            row($row);
        })+

        #[test]
        fn the_table_has_no_other_rows() {
            let tested = [$($row),+];
            let rows: Vec<String> = table().into_iter().map(|cells| cells[0].clone()).collect();
            assert_eq!(rows, tested);
        }
    };
}

rows! {
    read_a_file: "read a file (`/etc/passwd`)";
    make_a_file: "make a file in `/tmp`";
    read_the_configuration: "read in the directory of `--config`";
    write_the_recording: "make, rename and remove files in the directory of `--record`";
    connect_out: "connect to another server (TCP)";
    connect_to_the_receiver: "connect to the receiver of `--otlp`";
    connect_to_its_port: "connect to the same port of another host";
    listen: "listen for connections";
    make_a_socket: "send a datagram through a socket of its own (UDP)";
    send_a_datagram: "send a datagram through a socket that is open already";
    capture_more: "open another socket that captures";
    send_a_frame: "send a frame through the socket that captures";
    run_a_program: "run another program";
    trace_a_process: "attach to another process (ptrace)";
    load_a_program: "load a BPF program";
    become_root: "become root again";
    start_a_thread: "start a thread";
    make_code: "make memory executable";
    kill_a_process: "send a signal to another process";
}

/// Holds one row of the table to what happens.
fn row(row: &str) {
    if !is_root() {
        eprintln!("SKIPPED, not shown by this run: whether a confined run can {row} (it takes root)");
        return;
    }
    let rows = table();
    let cells = rows.iter().find(|cells| cells[0] == row).unwrap_or_else(|| panic!("docs/service.md has no row `{row}`"));
    let (managed, said) = tried(row, CONTROL);
    assert!(managed, "{row}: the attempt fails even without confinement, and shows nothing: {said}");
    for (mode, cell) in MODES.iter().zip(&cells[1..]) {
        let (managed, said) = tried(row, mode);
        assert_eq!(managed, cell == "yes", "{row}, {mode}: {said}");
    }
}

/// The rows of the table, each with its cells.
fn table() -> Vec<Vec<String>> {
    let page = fs::read_to_string("docs/service.md").unwrap();
    let head = format!("| could it … | {} |", MODES.map(|mode| format!("`{mode}`")).join(" | "));
    let (_, rest) = page.split_once(&head).unwrap_or_else(|| panic!("docs/service.md has no table `{head}`"));
    let lines = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    lines.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// Makes an attempt in a process of its own. Whether it succeeded, and what it said.
fn tried(row: &str, mode: &str) -> (bool, String) {
    let folder = tempfile::Builder::new().prefix("gatewitness-").tempdir_in("/tmp").unwrap();
    let inside = |name: &str, owner: u32| {
        let path = folder.path().join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), "text").unwrap();
        [&path, &path.join("file")].into_iter().for_each(|path| chown(path, Some(owner), Some(owner)).unwrap());
        path
    };
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (config, record) = (inside("config", 0), inside("record", OWNER));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let receiver = TcpListener::bind("0.0.0.0:0").unwrap();
    let receiver = (receiver.local_addr().unwrap().port(), receiver);
    let out = Command::new(env::current_exe().unwrap())
        .args(["--exact", "inside", "--nocapture", "--test-threads", "1"])
        .envs([("GATEWITNESS_PROBE", row), ("GATEWITNESS_MODE", mode)])
        .env("GATEWITNESS_CONFIG", &config)
        .env("GATEWITNESS_RECORD", &record)
        .env("GATEWITNESS_SERVER", listener.local_addr().unwrap().to_string())
        .env("GATEWITNESS_RECEIVER", format!("127.0.0.1:{}", receiver.0))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let told = said.lines().find_map(|line| line.split_once("ATTEMPT ").map(|(_, told)| told.to_owned()));
    let told = told.unwrap_or_else(|| panic!("{row}, {mode}: {said} {}", String::from_utf8_lossy(&out.stderr)));
    (told == "managed", told)
}

/// What the process of a cell does; nothing in the run that starts them.
#[test]
fn inside() {
    let (Ok(row), Ok(mode)) = (env::var("GATEWITNESS_PROBE"), env::var("GATEWITNESS_MODE")) else { return };
    let folder = |name: &str| PathBuf::from(env::var_os(name).unwrap());
    let mut needs = Needs::default();
    match mode.as_str() {
        "-i IF" => needs.reopen = true,
        "--config" => needs.reads.push(folder("GATEWITNESS_CONFIG")),
        "--record" => needs.writes.push(folder("GATEWITNESS_RECORD")),
        "--tls" => needs.probes = true,
        "--otlp" => needs.connect = Some(env::var("GATEWITNESS_RECEIVER").unwrap().parse().unwrap()),
        _ => {}
    }
    let before = Before::new(mode == "-i IF" || mode == CONTROL);
    if mode != CONTROL {
        let confinement = Confinement::plan(needs, None).unwrap();
        confinement.settle().unwrap();
    }
    let done = attempt(&row, before, &folder("GATEWITNESS_CONFIG"), &folder("GATEWITNESS_RECORD"));
    println!("ATTEMPT {}", done.map_or_else(|why| format!("refused: {why}"), |()| "managed".to_owned()));
    std::process::exit(0);
}

/// What a run has open when it gives its rights up, and somebody to attack.
struct Before {
    datagrams: UdpSocket,
    device: pcap::Capture<pcap::Active>,
    victim: Child,
}

impl Before {
    fn new(named: bool) -> Before {
        let device = pcap::Capture::from_device(if named { "lo" } else { "any" }).unwrap().open().unwrap();
        let victim = Command::new("sleep").arg("10").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Before { datagrams: UdpSocket::bind("127.0.0.1:0").unwrap(), device, victim }
    }
}

type Tried = Result<(), Box<dyn std::error::Error>>;

fn attempt(row: &str, mut before: Before, config: &Path, record: &Path) -> Tried {
    let server = env::var("GATEWITNESS_SERVER")?;
    let victim = i32::try_from(before.victim.id())?;
    match row {
        "read a file (`/etc/passwd`)" => drop(fs::read("/etc/passwd")?),
        "make a file in `/tmp`" => {
            let path = format!("/tmp/gatewitness-probe-{}", std::process::id());
            File::create(&path)?.write_all(b"was here")?;
            fs::remove_file(path)?;
        }
        "read in the directory of `--config`" => drop(fs::read(config.join("file"))?),
        "make, rename and remove files in the directory of `--record`" => {
            fs::write(record.join("one"), "packets")?;
            fs::rename(record.join("one"), record.join("two"))?;
            fs::remove_file(record.join("two"))?;
        }
        "connect to another server (TCP)" => drop(TcpStream::connect(server)?),
        "connect to the receiver of `--otlp`" => drop(TcpStream::connect(env::var("GATEWITNESS_RECEIVER")?)?),
        "connect to the same port of another host" => {
            drop(TcpStream::connect(env::var("GATEWITNESS_RECEIVER")?.replace("127.0.0.1", "127.0.0.2"))?);
        }
        "listen for connections" => drop(TcpListener::bind("127.0.0.1:0")?),
        "send a datagram through a socket of its own (UDP)" => drop(UdpSocket::bind("127.0.0.1:0")?.send_to(b"secret", "127.0.0.1:9")?),
        "send a datagram through a socket that is open already" => drop(before.datagrams.send_to(b"secret", "127.0.0.1:9")?),
        "open another socket that captures" => {
            use rustix::net::{AddressFamily, SocketType, socket};
            drop(socket(AddressFamily::PACKET, SocketType::RAW, None)?);
        }
        "send a frame through the socket that captures" => before.device.sendpacket([0_u8; 60])?,
        "run another program" => drop(Command::new("/bin/true").status()?),
        "attach to another process (ptrace)" => nix::sys::ptrace::attach(nix::unistd::Pid::from_raw(victim))?,
        "load a BPF program" => return load(),
        "become root again" => {
            let other = rustix::process::Uid::from_raw(1);
            rustix::thread::set_thread_res_uid(other, other, rustix::process::Uid::ROOT)?;
            rustix::thread::set_thread_res_uid(rustix::process::Uid::ROOT, None, None)?;
        }
        "start a thread" => drop(std::thread::Builder::new().spawn(|| ())?),
        "make memory executable" => drop(memmap2::MmapMut::map_anon(4_096)?.make_exec()?),
        "send a signal to another process" => {
            let victim = rustix::process::Pid::from_raw(victim).ok_or("a process")?;
            rustix::process::kill_process(victim, rustix::process::Signal::TERM)?;
        }
        other => panic!("no attempt is known for `{other}`"),
    }
    Ok(())
}

#[cfg(all(feature = "ebpf", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn load() -> Tried {
    let loaded = aya::sys::is_program_supported(aya::programs::ProgramType::KProbe)?;
    if loaded { Ok(()) } else { Err("not loaded".into()) }
}

#[cfg(not(all(feature = "ebpf", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn load() -> Tried {
    Err("built without eBPF".into())
}

/// What the kernel says of every thread of a running `gatewitness live`.
fn threads(pid: u32) -> Vec<(String, String)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|task| task.unwrap().path());
    let told = tasks.map(|task| {
        let status = fs::read_to_string(task.join("status")).unwrap();
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let names = ["Uid:", "Gid:", "Groups:", "CapInh:", "CapPrm:", "CapEff:", "CapAmb:", "NoNewPrivs:", "Seccomp:"];
        (value("Name:"), names.map(|name| format!("{name} {}", value(name))).join("\n"))
    });
    told.collect()
}

fn expected(user: u32, capabilities: u64) -> String {
    let ids = format!("{user} {user} {user} {user}");
    let none = "0000000000000000";
    let held = format!("{capabilities:016x}");
    format!("Uid: {ids}\nGid: {ids}\nGroups: \nCapInh: {none}\nCapPrm: {held}\nCapEff: {held}\nCapAmb: {none}\nNoNewPrivs: 1\nSeccomp: 2")
}

const NET_RAW: u64 = 1 << 13;
const NOBODY: u32 = 65_534;

#[test]
fn every_thread_of_a_run_has_settled() {
    let Some(space) = Space::new("the rights of a run's threads") else { return };
    let at = "127.0.0.1:19001";
    for (words, user, capabilities, says) in [
        (&["--metrics", at][..], NOBODY, 0, "user nobody; no capabilities; no_new_privs; Landlock"),
        (&["--metrics", at, "--user", "12345"], OWNER, 0, "user 12345; no capabilities"),
        (&["-i", "lo"], NOBODY, NET_RAW, "CAP_NET_RAW (an interface named with -i may have to be opened again)"),
    ] {
        let live = space.live(words);
        let threads = threads(live.pid());
        assert!(threads.iter().any(|(name, _)| name.starts_with("capture-")), "{threads:?}");
        assert_eq!(threads.iter().any(|(name, _)| name == "metrics"), words.contains(&"--metrics"), "{threads:?}");
        for (name, told) in threads {
            assert_eq!(told, expected(user, capabilities), "{words:?}, thread {name}");
        }
        assert!(live.said.contains(says) && live.said.contains("seccomp on"), "{}", live.said);
        live.end();
    }
    let live = space.live(&["--unconfined"]);
    assert!(threads(live.pid()).iter().all(|(_, told)| told.starts_with("Uid: 0 0 0 0") && told.ends_with("Seccomp: 0")));
    assert!(live.said.contains("all rights are kept"), "{}", live.said);
    live.end();
}

#[test]
fn a_recording_goes_on_as_who_owns_its_directory() {
    let Some(mut space) = Space::new("--record by an unprivileged user") else { return };
    let folder = tempfile::Builder::new().prefix("gatewitness-").tempdir_in("/tmp").unwrap();
    chown(folder.path(), Some(OWNER), Some(OWNER)).unwrap();
    let path = folder.path().join("kept.pcapng");
    let live = space.live(&["--record", path.to_str().unwrap(), "--record-size", "65536", "--record-files", "3"]);
    threads(live.pid()).iter().for_each(|(name, told)| assert_eq!(told, &expected(OWNER, 0), "{name}"));
    space.gateway();
    let files = || fs::read_dir(folder.path()).unwrap().count();
    for _ in 0..20 {
        space.ask("good-1", 20);
        if files() == 3 && folder.path().join("kept-000004.pcapng").exists() {
            break;
        }
    }
    let (_, out, errors) = live.end();
    assert!(files() == 3 && !out.contains("not kept any more"), "{out} {errors}");
    // Root's own directory: root, but without its capabilities.
    chown(folder.path(), Some(0), Some(0)).unwrap();
    let live = space.live(&["--record", path.to_str().unwrap()]);
    threads(live.pid()).iter().for_each(|(name, told)| assert_eq!(told, &expected(0, 0), "{name}"));
    live.end();
    // Somebody who may not write there is told so before anything is captured.
    let refused = space.inside(&[env!("CARGO_BIN_EXE_gatewitness"), "live", "--user", "nobody", "--record"]).arg(&path).output().unwrap();
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(2) && errors.contains("cannot be written by uid 65534"), "{errors}");
}

#[test]
fn the_capability_to_capture_is_enough() {
    let Some(mut space) = Space::new("a run with CAP_NET_RAW alone") else { return };
    let (folder, copy) = copied();
    // As a file that was given the capability, and as systemd's AmbientCapabilities= gives it.
    assert!(Command::new("setcap").arg("cap_net_raw+ep").arg(&copy).status().unwrap().success());
    space.gateway();
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    for (n, given) in [&[][..], &["--inh-caps", "+net_raw", "--ambient-caps", "+net_raw"]].into_iter().enumerate() {
        if n == 1 {
            assert!(Command::new("setcap").arg("-r").arg(&copy).status().unwrap().success());
        }
        let words = [&nobody[..], given, &["--", copy.to_str().unwrap(), "live", "--format", "ndjson"]].concat();
        let live = common::space::Live::start(space.inside(&words));
        threads(live.pid()).iter().for_each(|(name, told)| assert_eq!(told, &expected(NOBODY, 0), "{name}"));
        space.ask("bad-1", 2);
        std::thread::sleep(std::time::Duration::from_millis(500));
        let (code, out, errors) = live.end();
        assert_eq!(code, Some(1), "{out} {errors}");
    }
    drop(folder);
}

#[test]
fn captures_are_judged_without_any_right() {
    if !is_root() {
        eprintln!("SKIPPED, not shown by this run: replay as nobody (it takes root to become nobody)");
        return;
    }
    let (folder, copy) = copied();
    let capture = folder.path().join("incident.pcap");
    fs::copy("captures/litellm-swallowed-401.pcap", &capture).unwrap();
    fs::set_permissions(&capture, fs::Permissions::from_mode(0o644)).unwrap();
    let nobody =
        ["--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"];
    let out = Command::new("setpriv").args(nobody).arg(&copy).arg("replay").arg(&capture).current_dir("/").output().unwrap();
    assert_eq!(out.status.code(), Some(1), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn probes_keep_what_they_need_and_say_why() {
    let Some(space) = Space::new("the rights of --tls") else { return };
    let live = space.live(&["--tls-pid", &std::process::id().to_string()]);
    // CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, CAP_PERFMON, CAP_BPF.
    let kept = 1 << 2 | 1 << 19 | 1 << 38 | 1 << 39;
    wait("the thread that reads plaintext", || threads(live.pid()).iter().any(|(name, _)| name == "tls"));
    threads(live.pid()).iter().for_each(|(name, told)| assert_eq!(told, &expected(NOBODY, kept), "{name}"));
    for says in ["CAP_BPF", "--tls sets probes in processes that start later", "Landlock none: it would hide other processes from --tls"] {
        assert!(live.said.contains(says), "{}", live.said);
    }
    live.end();
}

/// The program where anybody may run it.
fn copied() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::Builder::new().prefix("gatewitness-").tempdir_in("/tmp").unwrap();
    let copy = folder.path().join("gatewitness");
    fs::copy(env!("CARGO_BIN_EXE_gatewitness"), &copy).unwrap();
    [folder.path(), &copy].into_iter().for_each(|path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap());
    (folder, copy)
}
