//! What this host says of itself: privileges, interfaces, the clock, and the processes that accept connections and open others. Reads
//! `/proc` and `/sys` and keeps no value of any environment but a path.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use procfs::net::{TcpNetEntry, TcpState};
use procfs::process::{FDTarget, MMPermissions, MMapPath, Process, all_processes};

use super::live::containers;
use super::reach::Reach;

/// A capability of this process, and what is lost without it.
#[derive(Clone, Copy, Debug)]
pub struct Capability {
    /// As capabilities(7) calls it.
    pub name: &'static str,
    /// Whether this process has it.
    pub held: bool,
    /// What goes without it.
    pub without: &'static str,
}

/// A process that accepts connections.
#[derive(Clone, Debug)]
pub struct Server {
    /// Process id.
    pub pid: i32,
    /// What it is called.
    pub name: String,
    /// Where it listens.
    pub listens: BTreeSet<SocketAddr>,
    /// Addresses by which it can be asked: those, with every address of its network namespace where it listens on all.
    pub reached: BTreeSet<SocketAddr>,
    /// Connections that others have with it now.
    pub clients: usize,
    /// Where it has connections of its own now.
    pub upstreams: BTreeSet<SocketAddr>,
    /// Gateway software and its version, where those can be read.
    pub software: Option<String>,
    /// The container's id.
    pub container: Option<String>,
    /// TLS libraries that it has loaded; those deleted on disk say so.
    pub tls: BTreeSet<String>,
    /// Where it writes TLS keys, if it was started so.
    pub keylog: Option<PathBuf>,
    /// Whether its network namespace is another than ours.
    pub elsewhere: bool,
    /// The number of its network namespace.
    pub namespace: Option<u64>,
}

impl Server {
    /// Whether it looks like a gateway: by name, or since it has connections on both sides.
    pub fn is_gateway(&self) -> bool {
        self.software.is_some() || self.clients > 0 && !self.upstreams.is_empty()
    }
}

/// The kernel's release and the machine.
pub fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {} {}", release.trim(), std::env::consts::ARCH)
}

/// Those that matter here.
pub fn capabilities() -> Vec<Capability> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:")).and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    let held = |bit: u32| mask.unwrap_or(0) & (1 << bit) != 0;
    let one = |name, bit, without| Capability { name, held: held(bit), without };
    // Numbers of include/uapi/linux/capability.h.
    vec![
        one("CAP_NET_RAW", 13, "no live capture; captures made by others can be replayed"),
        one("CAP_SYS_ADMIN", 21, "no --netns and --container; packets of this process's own network namespace alone"),
        one("CAP_SYS_PTRACE", 19, "other users' processes keep their sockets and libraries to themselves"),
        one("CAP_DAC_READ_SEARCH", 2, "other users' files, as a gateway's key log, may not be readable"),
        one("CAP_BPF", 39, "no TLS plaintext through eBPF: give TLS keys with --keylog instead"),
        one("CAP_PERFMON", 38, "no TLS plaintext through eBPF: give TLS keys with --keylog instead"),
    ]
}

/// Interfaces of this network namespace, and whether each is up.
pub fn interfaces() -> Vec<(String, bool)> {
    let folder = fs::read_dir("/sys/class/net").into_iter().flatten().filter_map(Result::ok);
    let mut all: Vec<(String, bool)> = folder
        .filter_map(|entry| {
            let flags = fs::read_to_string(entry.path().join("flags")).ok()?;
            let flags = u32::from_str_radix(flags.trim().strip_prefix("0x")?, 16).ok()?;
            Some((entry.file_name().into_string().ok()?, flags & IFF_UP != 0))
        })
        .collect();
    all.sort();
    all
}

/// The clock that packets are stamped by, and whether somebody keeps it right, where that can be told.
pub fn clock() -> (String, Option<bool>) {
    let source = fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource").unwrap_or_default();
    let timesyncd = Path::new("/run/systemd/timesync/synchronized").exists();
    let daemon = || {
        let names = all_processes().into_iter().flatten().filter_map(Result::ok).filter_map(|process| process.stat().ok());
        names.into_iter().any(|stat| matches!(stat.comm.as_str(), "chronyd" | "ntpd" | "ptp4l" | "phc2sys" | "ntpd-rs"))
    };
    (source.trim().to_owned(), (timesyncd || daemon()).then_some(true))
}

/// Every process that accepts TCP connections; `hidden` counts those whose sockets may not be read.
pub fn servers() -> (Vec<Server>, usize) {
    let own = namespace("self");
    let mut tables: BTreeMap<PathBuf, Vec<TcpNetEntry>> = BTreeMap::new();
    let (mut found, mut hidden) = (Vec::new(), 0);
    for process in all_processes().into_iter().flatten().filter_map(Result::ok) {
        let Ok(fds) = process.fd() else {
            hidden += usize::from(!process.stat().is_ok_and(|stat| stat.ppid == KTHREADD || stat.pid == KTHREADD));
            continue;
        };
        let sockets: BTreeSet<u64> =
            fds.filter_map(Result::ok).filter_map(|fd| if let FDTarget::Socket(inode) = fd.target { Some(inode) } else { None }).collect();
        if sockets.is_empty() {
            continue;
        }
        let space = namespace(&process.pid().to_string());
        let table = tables.entry(space.clone()).or_insert_with(|| {
            let mut all = process.tcp().unwrap_or_default();
            all.extend(process.tcp6().unwrap_or_default());
            all
        });
        let mine: Vec<&TcpNetEntry> = table.iter().filter(|entry| sockets.contains(&entry.inode)).collect();
        found.extend(server(&process, &mine, space != own));
    }
    found.sort_by_key(|server| server.pid);
    (found, hidden)
}

fn server(process: &Process, sockets: &[&TcpNetEntry], elsewhere: bool) -> Option<Server> {
    let of = |state: TcpState| sockets.iter().filter(move |entry| entry.state == state);
    let listens: BTreeSet<SocketAddr> = of(TcpState::Listen).map(|entry| entry.local_address).collect();
    if listens.is_empty() {
        return None;
    }
    let reach = Reach::of(process.pid());
    let ports: BTreeSet<u16> = listens.iter().map(SocketAddr::port).collect();
    let inward = |entry: &&&TcpNetEntry| ports.contains(&entry.local_address.port());
    let words = process.cmdline().unwrap_or_default();
    let groups = fs::read_to_string(format!("/proc/{}/cgroup", process.pid())).unwrap_or_default();
    let keylog = process.environ().ok().and_then(|all| all.get(std::ffi::OsStr::new("SSLKEYLOGFILE")).map(PathBuf::from));
    Some(Server {
        pid: process.pid(),
        name: process.stat().map(|stat| stat.comm).unwrap_or_default(),
        clients: of(TcpState::Established).filter(inward).count(),
        upstreams: of(TcpState::Established).filter(|entry| !inward(entry)).map(|entry| entry.remote_address).collect(),
        software: litellm(process, &words),
        container: containers(&groups).next().map(|id| id.chars().take(12).collect()),
        tls: libraries(process),
        keylog,
        elsewhere,
        namespace: namespace_number(&process.pid().to_string()),
        reached: listens.iter().flat_map(|listen| reach.reached(*listen)).collect(),
        listens,
    })
}

/// LiteLLM by its command, its version by what pip left beside it.
fn litellm(process: &Process, words: &[String]) -> Option<String> {
    let mut programs = words.iter().take(3);
    let program = programs.find(|word| Path::new(word).file_name().is_some_and(|name| name == "litellm") || word.starts_with("litellm"))?;
    let root = PathBuf::from(format!("/proc/{}/root", process.pid()));
    // /venv/bin/litellm and /venv/bin/python lie beside /venv/lib/python3.N/site-packages.
    let places = [Some(PathBuf::from(program)), words.first().map(PathBuf::from), process.exe().ok()];
    let prefixes = places.into_iter().flatten().filter_map(|path| path.parent()?.parent().map(Path::to_owned));
    let version = prefixes.into_iter().find_map(|prefix| version(&root.join(prefix.strip_prefix("/").ok()?).join("lib")));
    Some(version.map_or_else(|| "LiteLLM, version not found".to_owned(), |version| format!("LiteLLM {version}")))
}

fn version(lib: &Path) -> Option<String> {
    let pythons = fs::read_dir(lib).ok()?.filter_map(Result::ok);
    pythons.filter(|entry| entry.file_name().to_string_lossy().starts_with("python")).find_map(|python| {
        let packages = ["site-packages", "dist-packages"].map(|name| python.path().join(name));
        let entries = packages.into_iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().filter_map(Result::ok);
        entries.into_iter().find_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_prefix("litellm-")?.strip_suffix(".dist-info").map(str::to_owned)
        })
    })
}

/// Executable mappings of files that are TLS libraries by name.
fn libraries(process: &Process) -> BTreeSet<String> {
    let maps = process.maps().into_iter().flatten().filter(|map| map.perms.contains(MMPermissions::EXECUTE));
    let paths = maps.filter_map(|map| if let MMapPath::Path(path) = map.pathname { Some(path) } else { None });
    let known = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        ["libssl", "libgnutls", "libnss3", "libboringssl", "libwolfssl", "libmbedtls"].iter().any(|known| name.starts_with(known))
    };
    paths.filter(known).map(|path| path.display().to_string()).collect()
}

fn namespace(pid: &str) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/ns/net")).unwrap_or_default()
}

/// The number of a process's network namespace, from `net:[4026531992]`; `self` is this one.
pub fn namespace_number(pid: &str) -> Option<u64> {
    let name = namespace(pid);
    name.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

/// include/uapi/linux/if.h
const IFF_UP: u32 = 1;
/// Kernel threads have no sockets of their own.
const KTHREADD: i32 = 2;
