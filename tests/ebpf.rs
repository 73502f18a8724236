//! TLS plaintext at OpenSSL's own calls, for real: programs that are not ours, this machine's kernel, probes that are set and go again.
//! What is read is held byte for byte against what the programs sent. Needs root; says loudly where it is left out for want of it.
#![cfg(all(feature = "ebpf", target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::tap::{Conn, Host, Running, await_port, collect, free_port, open, pattern, python, which};
use common::tmux::{Tmux, watch};
use gatewitness::base::Limits;
use gatewitness::source::ebpf::Choice;
use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const SIZE: usize = 1_000_000;

#[test]
fn fifty_connections_at_once_are_read_whole() {
    let Some(host) = Host::start() else { return };
    for how in ["sync", "async"] {
        let mut client = host.client(how, 50, 100_000);
        let mut tap = open(Choice { pids: vec![client.pid], ..Choice::default() }, &Limits::default());
        client.go();
        let read = collect(&mut tap, |all| all.values().filter(|conn| conn.freed.is_some()).count() == 50);
        assert_eq!(read.len(), 50, "{how}: {:?}", tap.health());
        read.values().for_each(|conn| conn.is_whole(100_000));
        assert_eq!((tap.health().dropped_events, tap.health().faults), (0, 0));
    }
}

#[test]
fn a_megabyte_in_one_call_is_read_whole_and_a_full_ring_is_an_exact_hole() {
    let Some(host) = Host::start() else { return };
    let mut client = host.client("sync", 4, SIZE);
    let mut tap = open(Choice { pids: vec![client.pid], ..Choice::default() }, &Limits::default());
    client.go();
    let read = collect(&mut tap, |all| all.values().filter(|conn| conn.freed.is_some()).count() == 4);
    assert_eq!(read.len(), 4);
    read.values().for_each(|conn| conn.is_whole(SIZE));
    drop(tap);

    // A ring for a fraction of it, that nobody empties meanwhile.
    let mut client = host.client("sync", 4, SIZE);
    let mut tap = open(Choice { pids: vec![client.pid], ..Choice::default() }, &Limits { tap_ring_bytes: 1 << 18, ..Limits::default() });
    client.go();
    client.wait_for("done");
    let first = collect(&mut tap, |_| false);
    let bytes: usize = first.values().flat_map(|conn| &conn.halves).flatten().map(|(_, bytes)| bytes.len()).sum();
    let health = tap.health();
    assert!(health.dropped_events > 0 && bytes > 100_000, "{health:?}");
    // Everything written and read is there, or counted as dropped; what is there stands where it belongs.
    let head = 55 + SIZE.to_string().len();
    let all = pattern(SIZE);
    for conn in first.values() {
        for (off, bytes) in &conn.halves[0] {
            let place = usize::try_from(*off).unwrap();
            for (n, byte) in bytes.iter().enumerate() {
                let body = (place + n).checked_sub(head).and_then(|at| all.get(at));
                assert!(body.is_none_or(|expected| expected == byte), "wrong byte at {}", place + n);
            }
        }
    }
    let total = 4 * (2 * SIZE) as u64;
    let seen = bytes as u64 + health.dropped_bytes;
    assert!(seen >= total && seen < total + 4 * 1_000, "{seen} of {total} and a little: {health:?}");
}

#[test]
fn forks_and_restarts_are_followed_and_others_are_left_alone() {
    let Some(host) = Host::start() else { return };
    // Children that are forked after the probes are set.
    let mut client = host.client("fork", 5, 1_000);
    let mut stranger = host.client("sync", 3, 1_000);
    let mut tap = open(Choice { pids: vec![client.pid], ..Choice::default() }, &Limits::default());
    stranger.go();
    client.go();
    stranger.wait_for("done");
    client.wait_for("done");
    let read = collect(&mut tap, |all| all.len() >= 5 && all.values().all(Conn::has_answer));
    assert_eq!(read.len(), 5, "{read:?}");
    assert!(read.keys().all(|id| id.pid != stranger.pid && id.pid != client.pid));
    assert!(tap.health().strangers > 0, "the stranger passed the probes, and was let go");
    drop(tap);

    // Every process of a program, as it comes and goes.
    let program = std::fs::read_link(format!("/proc/{}/exe", client.pid)).expect("a program");
    let mut tap = open(Choice { exes: vec![program], ..Choice::default() }, &Limits::default());
    for _ in 0..3 {
        let mut client = host.client("async", 1, 1_000);
        client.go();
        client.wait_for("done");
    }
    let read = collect(&mut tap, |all| all.values().filter(|conn| conn.has_answer()).count() >= 3);
    let clients = read.iter().filter(|(_, conn)| conn.text(0).starts_with(b"POST ")).count();
    assert_eq!(clients, 3, "{read:?}");
}

#[test]
fn curl_and_node_are_read() {
    let Some(host) = Host::start() else { return };
    let url = format!("https://localhost:{}/401", host.port);
    let node =
        "require('https').request(process.argv[1], {method: 'POST', rejectUnauthorized: false}, r => r.on('data', () => {})).end('n')";
    let programs: [(&str, Vec<&str>); 2] = [("curl", vec!["-sk", "-d", "c", "-o", "/dev/null", &url]), ("node", vec!["-e", node, &url])];
    for (name, words) in programs {
        let Some(path) = which(name) else {
            assert!(!common::need_all(name), "{name} is not installed");
            continue;
        };
        let mut tap = open(Choice { exes: vec![path.clone()], ..Choice::default() }, &Limits::default());
        let ran = Command::new(&path).args(&words).status().expect("it runs");
        assert!(ran.success());
        let read = collect(&mut tap, |all| all.values().any(Conn::has_answer));
        let conn = read.values().find(|conn| conn.has_answer()).unwrap_or_else(|| panic!("{name}: {read:?} {:?}", tap.health()));
        assert!(conn.text(0).starts_with(b"POST /401 HTTP/1.1\r\n") && conn.text(1).starts_with(b"HTTP/1.1 401 "), "{name}: {conn:?}");
    }
}

#[test]
fn the_dashboard_reads_inside_tls_and_says_so() {
    let Some(host) = Host::start() else { return };
    let port = free_port();
    let gateway = Running(python("gateway.py", &[&port.to_string(), &host.port.to_string()]).spawn().expect("a gateway"));
    await_port(port);
    let words = format!("--tls-pid {} --gateway 127.0.0.1:{port} -i lo --filter 'tcp port {port}'", gateway.0.id());
    let Some(tmux) = Tmux::start(120, 30, &watch(&words)) else { return };
    tmux.wait("Nothing is judged yet");
    tmux.keys(&["5"]);
    tmux.wait("TLS plaintext of 1 processes");
    tmux.keys(&["1"]);
    ask(port, 0);
    let shown = tmux.wait("YES, NOW");
    assert!(shown.contains("swallowed") && shown.contains("unauthorized"), "{shown}");
    tmux.keys(&["q", "q"]);
    assert!(tmux.wait("EXIT 1").contains("TLS calls read"));
}

#[test]
fn a_gateway_that_swallows_is_named_while_it_runs() {
    let Some(host) = Host::start() else { return };
    let port = free_port();
    let gateway = Running(python("gateway.py", &[&port.to_string(), &host.port.to_string()]).spawn().expect("a gateway"));
    await_port(port);
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out.ndjson");
    let mut live = live(&["--tls-pid", &gateway.0.id().to_string(), "--gateway", &format!("127.0.0.1:{port}"), "--duration", "60"], &out);
    let clients: Vec<_> = (0..20).map(|n| std::thread::spawn(move || ask(port, n))).collect();
    clients.into_iter().for_each(|client| client.join().expect("an answer"));
    std::thread::sleep(Duration::from_secs(3));
    end(&mut live.0);
    let records = records(&out);
    let pairs: Vec<&Value> = records.iter().filter(|record| record["record"] == "pair").collect();
    assert_eq!(pairs.len(), 20, "{records:#?}");
    for pair in pairs {
        assert_eq!((pair["verdict"].as_str(), pair["failure"].as_str()), (Some("swallowed"), Some("unauthorized")), "{pair:#}");
        let upstream = pair["upstream"].as_array().expect("upstream");
        // The packets hold the same connection, encrypted: it is one exchange, at its address.
        assert_eq!(upstream.len(), 1, "{pair:#}");
        assert_eq!(upstream[0]["via"], "tls-ebpf");
        assert_eq!(upstream[0]["server"], format!("127.0.0.1:{}", host.port));
        assert_eq!((&upstream[0]["http"]["status"], &upstream[0]["mcp"]["method"]), (&401.into(), &"initialize".into()));
        assert_eq!(pair["downstream"]["token"], upstream[0]["token"]);
    }
    let text = std::fs::read_to_string(&out).expect("output");
    assert!(!text.contains("secret-"), "no credential is shown");
}

/// No packet shows the hello of a connection that was open before: the lengths of its records tell which one it is.
#[test]
fn a_connection_that_was_open_before_gets_its_addresses_after_a_few_requests() {
    let Some(host) = Host::start() else { return };
    for how in ["kept", "kept-socket"] {
        let port = free_port();
        let words = [port.to_string(), host.port.to_string(), how.to_owned()];
        let gateway = Running(python("gateway.py", &words.each_ref().map(String::as_str)).spawn().expect("a gateway"));
        await_port(port);
        ask(port, 1);
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("out.ndjson");
        let mut live =
            live(&["--tls-pid", &gateway.0.id().to_string(), "--gateway", &format!("127.0.0.1:{port}"), "--duration", "60"], &out);
        for n in 2..10 {
            ask(port, n);
            std::thread::sleep(Duration::from_millis(300));
        }
        std::thread::sleep(Duration::from_secs(2));
        end(&mut live.0);
        let records = records(&out);
        let counts = &records.last().expect("a summary")["counts"];
        assert_eq!((&counts["tapped_sized"], &counts["tapped_ambiguous"]), (&1.into(), &0.into()), "{how}: {counts:#}");
        let pairs: Vec<&Value> = records.iter().filter(|record| record["record"] == "pair").collect();
        assert_eq!(pairs.len(), 8, "{how}: {records:#?}");
        let servers: Vec<&str> = pairs.iter().filter_map(|pair| pair["upstream"][0]["server"].as_str()).collect();
        let upstream = format!("127.0.0.1:{}", host.port);
        assert!(servers.len() == 8 && servers[4..].iter().all(|server| *server == upstream), "{how}: {servers:?}");
        for pair in pairs {
            assert_eq!((pair["verdict"].as_str(), pair["failure"].as_str()), (Some("swallowed"), Some("unauthorized")), "{pair:#}");
            assert_eq!(pair["upstream"].as_array().map(Vec::len), Some(1), "the encrypted copy is no exchange: {pair:#}");
        }
    }
}

#[test]
fn killed_it_leaves_no_probe_behind() {
    let Some(host) = Host::start() else { return };
    let client = host.client("sync", 1, 1_000);
    let (address, before) = first_byte(client.pid, "SSL_write");
    let folder = tempfile::tempdir().expect("a folder");
    let mut live = live(&["--tls-pid", &client.pid.to_string(), "--duration", "60"], &folder.path().join("out"));
    assert_ne!(byte_at(client.pid, address), before, "a probe is set while it runs");
    live.0.kill().and_then(|()| live.0.wait()).expect("SIGKILL");
    let gone = Instant::now();
    while byte_at(client.pid, address) != before {
        assert!(gone.elapsed() < Duration::from_secs(5), "the probe is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut client = client;
    client.go();
    client.wait_for("done");
}

#[test]
fn the_least_privileges_are_enough_and_what_lacks_is_named() {
    let Some(_host) = Host::start() else { return };
    if which("setpriv").is_none() {
        return eprintln!("left out: setpriv is not installed");
    }
    // A program and a folder that user 65534 can reach.
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("gatewitness");
    std::fs::copy(env!("CARGO_BIN_EXE_gatewitness"), &program).expect("a copy");
    Command::new("chmod").args(["-R", "a+rX"]).arg(folder.path()).status().expect("chmod");
    let sleeper = Running(Command::new("setpriv").args(["--reuid=65534", "--clear-groups", "sleep", "60"]).spawn().expect("sleep"));
    let run = |capabilities: &str| {
        let caps = format!("--ambient-caps={capabilities}");
        let inheritable = format!("--inh-caps={capabilities}");
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", &inheritable, &caps]).arg(&program);
        command.args(["live", "-i", "lo", "--duration", "1", "--tls-pid", &sleeper.0.id().to_string()]);
        let done = command.output().expect("it runs");
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let (code, said) = run("-all,+net_raw,+bpf,+perfmon");
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run("-all,+net_raw,+bpf");
    assert!(code == Some(2) && said.contains("CAP_PERFMON"), "{code:?} {said}");
    let (code, said) = run("-all,+net_raw");
    assert!(code == Some(2) && said.contains("CAP_BPF"), "{code:?} {said}");
}

#[test]
fn the_committed_object_is_the_source() {
    let folder = Path::new(ROOT).join("src/source/ebpf");
    let made = std::fs::read_to_string(folder.join("ssl.bpf.made")).expect("ssl.bpf.made");
    use sha2::Digest;
    let sum = sha2::Sha256::digest(std::fs::read(folder.join("ssl.bpf.c")).expect("the source"));
    let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(made.contains(&sum), "ssl.bpf.c has changed since `src/source/ebpf/build` last ran");
    let version = Command::new("clang").arg("--version").output().map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    let compiler = made.split(',').next().and_then(|compiler| compiler.strip_prefix("clang ")).expect("a compiler");
    match version {
        Ok(version) if version.contains(&format!("version {compiler}")) => {
            let built = Command::new(folder.join("build")).arg("--check").status().expect("it runs");
            assert!(built.success(), "the committed objects are not what this source compiles to");
        }
        _ => eprintln!("left out: clang {compiler} is not here, so that only the source's sum was compared"),
    }
}

/// No function of the kernel's side may use 64 bytes of stack: from there on, Linux 6.13 and later give it a stack that tasks share.
#[test]
fn the_programs_need_no_private_stack() {
    for cpu in ["x86_64", "aarch64"] {
        let object = std::fs::read(Path::new(ROOT).join(format!("src/source/ebpf/ssl.{cpu}.bpf.o"))).expect("an object");
        let parsed = aya_obj::Object::parse(&object).expect("it is an object");
        let mut most = 0;
        for function in parsed.functions.values() {
            let mut pointers = [Some(0i64); 11].map(|_| None);
            pointers[10] = Some(0i64);
            for ins in &function.instructions {
                let (to, from, off) = (usize::from(ins.dst_reg()), usize::from(ins.src_reg()), i64::from(ins.off));
                match ins.code & 7 {
                    // Loads and stores.
                    1 => most = most.max(pointers.get(from).copied().flatten().map_or(0, |at| -(at + off))),
                    2 | 3 => most = most.max(pointers.get(to).copied().flatten().map_or(0, |at| -(at + off))),
                    // 64-bit moves and additions make pointers.
                    7 if ins.code == 0xbf => pointers[to] = pointers[from],
                    7 if ins.code == 0x07 => {
                        pointers[to] = pointers[to].map(|at| at + i64::from(ins.imm));
                        most = most.max(pointers[to].map_or(0, |at| -at));
                    }
                    _ if to < 10 => pointers[to] = None,
                    _ => {}
                }
            }
        }
        assert!(most > 0, "the programs do use their stack: otherwise this test does not see it");
        assert!(most <= 48, "{cpu}: a function uses {most} bytes of stack");
    }
}

fn live(words: &[&str], out: &Path) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewitness"));
    command.args(["live", "-i", "lo", "--format", "ndjson"]).args(words).stdout(std::fs::File::create(out).expect("output"));
    let mut child = command.stderr(Stdio::piped()).spawn().expect("gatewitness");
    let mut said = BufReader::new(child.stderr.take().expect("its words"));
    let mut line = String::new();
    while !line.contains("watching") {
        line.clear();
        assert!(said.read_line(&mut line).expect("it speaks") > 0, "it ended");
        eprint!("{line}");
    }
    std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::stderr()));
    Running(child)
}

fn end(child: &mut Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("SIGINT");
    let begun = Instant::now();
    while child.try_wait().expect("it ends").is_none() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not end");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn records(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("output");
    text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}

/// One client of the gateway, with a credential of its own.
fn ask(port: u16, n: usize) {
    let body = format!(r#"{{"jsonrpc":"2.0","id":{n},"method":"tools/list"}}"#);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the gateway");
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: gw.example\r\nAuthorization: Bearer secret-{n}-{n}-{n}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).expect("it is sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"}}") {
        let mut more = [0; 4_096];
        let n = stream.read(&mut more).expect("an answer");
        assert!(n > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend(&more[..n]);
    }
}

/// Where a function of libssl lies in a process, and the first byte of its code.
fn first_byte(pid: u32, function: &str) -> (u64, u8) {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("maps");
    let line = maps.lines().find(|line| line.contains("libssl") && line.contains("r-xp")).expect("libssl is mapped");
    let mut words = line.split_whitespace();
    let begin = u64::from_str_radix(words.next().and_then(|range| range.split('-').next()).expect("a range"), 16).expect("hex");
    let offset = u64::from_str_radix(words.nth(1).expect("an offset"), 16).expect("hex");
    let path = words.next_back().expect("a path");
    let symbols = Command::new("nm").args(["-D", path]).output().expect("nm");
    let symbols = String::from_utf8_lossy(&symbols.stdout).into_owned();
    let symbol = symbols.lines().find(|line| line.split(' ').next_back().is_some_and(|name| name.split('@').next() == Some(function)));
    let value = u64::from_str_radix(symbol.and_then(|line| line.split(' ').next()).expect("a symbol"), 16).expect("hex");
    let address = begin + value - offset;
    (address, byte_at(pid, address))
}

fn byte_at(pid: u32, address: u64) -> u8 {
    use std::os::unix::fs::FileExt;
    let mut byte = [0];
    std::fs::File::open(format!("/proc/{pid}/mem")).and_then(|memory| memory.read_exact_at(&mut byte, address)).expect("memory");
    byte[0]
}
