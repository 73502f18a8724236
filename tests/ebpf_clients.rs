//! Plaintext of the HTTP clients that gateways are made of, and of nginx with many large bodies: byte for byte what was sent. Needs root;
//! says loudly where it is left out for want of it, or of the programs.
#![cfg(all(feature = "ebpf", target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::tap::{Conn, Host, Running, await_port, collect, free_port, open, pattern, which};
use gatewitness::base::{Limits, PlainId};
use gatewitness::source::ebpf::{Choice, Health};

#[test]
fn python_http_clients_are_read_whole() {
    let Some(host) = Host::start() else { return };
    if !common::need_all("plaintext of httpx, aiohttp and uvloop") {
        return;
    }
    let python = common::venv(&["httpx", "aiohttp", "uvloop"]);
    for how in ["httpx", "httpx-async", "aiohttp", "uvloop"] {
        for (count, size) in [(20, 20_000), (2, 1_000_000)] {
            let mut client = host.client_of(&python, host.port, how, count, size);
            let mut tap = open(Choice { pids: vec![client.pid], ..Choice::default() }, &Limits::default());
            client.go();
            client.wait_for("done");
            let read = collect(&mut tap, |_| false);
            assert_eq!(read.len(), count, "{how}: {:?}", tap.health());
            read.values().for_each(|conn| conn.carries(size));
            assert_eq!((tap.health().dropped_events, tap.health().faults), (0, 0), "{how}");
        }
    }
}

#[test]
fn nginx_with_fifty_connections_and_a_megabyte_each_is_read_whole() {
    let Some(host) = Host::start() else { return };
    let Some(nginx) = Nginx::start(&host) else { return };
    let (read, health) = nginx.serve(&host, &Limits::default());
    assert_eq!((read.len(), health.dropped_events), (50, 0), "{health:?}");
    let body = pattern(SIZE);
    for conn in read.values() {
        let (written, asked) = (conn.text(0), conn.text(1));
        assert!(asked.starts_with(b"GET /body HTTP/1.1\r\n") && written.starts_with(b"HTTP/1.1 200 OK\r\n"));
        assert!(written.ends_with(&body), "the body that was sent");
        assert_eq!(conn.freed, Some([written.len() as u64, asked.len() as u64]));
    }
}

#[test]
fn whatever_the_size_of_the_ring_each_byte_is_read_or_counted_as_dropped() {
    let Some(host) = Host::start() else { return };
    let Some(nginx) = Nginx::start(&host) else { return };
    for ring in [1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24] {
        let (read, health) = nginx.serve(&host, &Limits { tap_ring_bytes: ring, ..Limits::default() });
        let seen: usize = read.values().flat_map(|conn| &conn.halves).flatten().map(|(_, bytes)| bytes.len()).sum();
        let (seen, total) = (seen as u64, (50 * SIZE) as u64);
        eprintln!("ring of {} KiB, emptied every 10 ms: {} of {} kB dropped", ring >> 10, health.dropped_bytes / 1_000, total / 1_000);
        assert!((total..total + 50 * 1_000).contains(&(seen + health.dropped_bytes)), "{seen} {health:?}");
    }
}

const SIZE: usize = 1_000_000;

/// A server that hands a megabyte to OpenSSL for whoever asks.
struct Nginx {
    program: PathBuf,
    port: u16,
    #[allow(dead_code, reason = "ends with this")]
    server: Running,
}

impl Nginx {
    fn start(host: &Host) -> Option<Nginx> {
        let program = which("nginx").or_else(|| Path::new("/usr/sbin/nginx").canonicalize().ok());
        let Some(program) = program else {
            assert!(!common::need_all("plaintext of nginx"), "nginx is not installed");
            return None;
        };
        let (folder, port) = (host.folder.path(), free_port());
        fs::write(folder.join("body"), pattern(SIZE)).expect("a body");
        fs::write(folder.join("nginx.conf"), configuration(folder, port)).expect("a configuration");
        let mut command = Command::new(&program);
        command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf")).stdin(Stdio::null()).stderr(Stdio::null());
        let server = Running(command.spawn().expect("nginx"));
        await_port(port);
        Some(Nginx { program, port, server })
    }

    /// To fifty clients at once; what was read of it.
    fn serve(&self, host: &Host, limits: &Limits) -> (BTreeMap<PlainId, Conn>, Health) {
        let mut client = host.client_of(Path::new("python3"), self.port, "get", 50, SIZE);
        let mut tap = open(Choice { exes: vec![self.program.clone()], ..Choice::default() }, limits);
        client.go();
        let read = collect(&mut tap, |all| all.values().filter(|conn| conn.freed.is_some()).count() == 50);
        client.wait_for("done");
        (read, tap.health())
    }
}

/// One process that ends when it is killed, TLS, and no way around OpenSSL's calls.
fn configuration(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    let places: String =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|name| format!("{name}_temp_path {folder}/{name};\n")).concat();
    format!(
        "daemon off; master_process off; user root; pid {folder}/nginx.pid; error_log {folder}/error.log;\n\
         events {{ worker_connections 256; }}\n\
         http {{ access_log off; sendfile off; {places}\n\
         server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem; root {folder}; }} }}\n"
    )
}

trait Carries {
    fn carries(&self, size: usize);
}

impl Carries for Conn {
    /// A request with a body, and a second answer with the same: whatever pieces the client makes of them.
    fn carries(&self, size: usize) {
        let (written, read, body) = (self.text(0), self.text(1), pattern(size));
        assert!(self.born && written.starts_with(b"POST /") && read.starts_with(b"HTTP/1.1 200 OK\r\n"));
        assert!(read.ends_with(&body), "the body that came back");
        let place = written.windows(4).position(|end| end == b"\r\n\r\n").expect("a head") + 4;
        assert!(written.get(place..place + size) == Some(body.as_slice()), "the body that was sent");
        assert!(written[place + size..].starts_with(b"GET /pattern/"));
    }
}
