//! What the host tells of a process: who it is, which files it executes, which sockets it has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use procfs::process::{FDTarget, MMPermissions, MMapPath};

use crate::base::Addr;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since boot: numbers are used again.
    pub start: u64,
    /// Its command line.
    pub command: Vec<String>,
}

/// A file that a process executes code of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapped {
    /// Device and inode: one file, however many processes map it.
    pub(super) id: (u64, u64),
    /// As its process calls it.
    pub(super) name: String,
    /// Ways to open it from here, best first.
    pub(super) ways: Vec<PathBuf>,
}

impl Mapped {
    /// OpenSSL where systems keep it.
    pub(super) fn of_system() -> Vec<Mapped> {
        let folders = [format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH), "/usr/lib64".to_owned(), "/usr/lib".to_owned()];
        let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().filter_map(Result::ok);
        let named = |name: &str| ["libssl.so.", "libcrypto.so."].iter().any(|begin| name.starts_with(begin));
        entries.filter(|entry| named(&entry.file_name().to_string_lossy())).filter_map(|entry| Mapped::at(&entry.path())).collect()
    }

    /// A file that may be mapped later.
    pub(super) fn at(path: &Path) -> Option<Mapped> {
        let file = std::fs::metadata(path).ok()?;
        let device = u64::from(rustix::fs::major(file.dev())) << 32 | u64::from(rustix::fs::minor(file.dev()));
        Some(Mapped { id: (device, file.ino()), name: path.display().to_string(), ways: vec![path.to_owned()] })
    }

    /// Opens it by the first way that works.
    pub(super) fn open(&self) -> io::Result<(PathBuf, File)> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for way in &self.ways {
            match File::open(way) {
                Ok(file) => return Ok((way.clone(), file)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Process {
    /// The process of a number.
    pub(super) fn of(pid: u32) -> Option<Process> {
        let process = procfs::process::Process::new(i32::try_from(pid).ok()?).ok()?;
        let start = process.stat().ok()?.starttime;
        Some(Process { pid, start, command: process.cmdline().unwrap_or_default() })
    }

    /// All that there are; threads of the kernel have no command line.
    pub(super) fn all() -> Vec<Process> {
        let Ok(all) = procfs::process::all_processes() else { return Vec::new() };
        let pids = all.filter_map(|process| u32::try_from(process.ok()?.pid).ok());
        pids.filter_map(Process::of).filter(|process| !process.command.is_empty()).collect()
    }

    fn procfs(&self) -> Option<procfs::process::Process> {
        procfs::process::Process::new(i32::try_from(self.pid).ok()?).ok()
    }

    /// Its parent.
    pub(super) fn parent(&self) -> Option<u32> {
        u32::try_from(self.procfs()?.stat().ok()?.ppid).ok()
    }

    /// Device, as the kernel numbers it, and inode of the program that it runs.
    pub(super) fn exe(&self) -> Option<(u32, u64)> {
        kernel_id(&std::fs::metadata(format!("/proc/{}/exe", self.pid)).ok()?)
    }

    /// The files that it executes code of. Each has two ways: the mapping itself, which also leads to files of other mount namespaces and
    /// to deleted ones, and its path below the process's own root.
    pub(super) fn mapped(&self) -> io::Result<Vec<Mapped>> {
        let pid = self.pid;
        let maps = self.procfs().ok_or(io::ErrorKind::NotFound)?.maps().map_err(io::Error::other)?;
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for map in maps.into_iter().filter(|map| map.perms.contains(MMPermissions::EXECUTE) && map.inode != 0) {
            let MMapPath::Path(path) = map.pathname else { continue };
            let device = u64::try_from(map.dev.0).unwrap_or(0) << 32 | u64::try_from(map.dev.1).unwrap_or(0);
            if !seen.insert((device, map.inode)) {
                continue;
            }
            let (from, to) = map.address;
            let name = path.display().to_string();
            let below = name.trim_end_matches(" (deleted)").trim_start_matches('/').to_owned();
            let ways = vec![format!("/proc/{pid}/map_files/{from:x}-{to:x}").into(), format!("/proc/{pid}/root/{below}").into()];
            found.push(Mapped { id: (device, map.inode), name, ways });
        }
        Ok(found)
    }

    /// Its control groups, as paths.
    pub(super) fn cgroups(&self) -> Vec<String> {
        let text = std::fs::read_to_string(format!("/proc/{}/cgroup", self.pid)).unwrap_or_default();
        text.lines().filter_map(|line| line.splitn(3, ':').nth(2)).map(str::to_owned).collect()
    }

    /// Inodes of its sockets by their descriptors.
    fn sockets(&self) -> BTreeMap<i32, u64> {
        let Some(fds) = self.procfs().and_then(|process| process.fd().ok()) else { return BTreeMap::new() };
        let socket = |fd: procfs::process::FDInfo| match fd.target {
            FDTarget::Socket(inode) => Some((fd.fd, inode)),
            _ => None,
        };
        fds.filter_map(Result::ok).filter_map(socket).collect()
    }

    fn tcp(&self) -> Vec<procfs::net::TcpNetEntry> {
        let Some(process) = self.procfs() else { return Vec::new() };
        process.tcp().unwrap_or_default().into_iter().chain(process.tcp6().unwrap_or_default()).collect()
    }

    /// The ends of a socket: its own, the other.
    pub(super) fn ends(&self, fd: u32) -> Option<(Addr, Addr)> {
        let inode = *self.sockets().get(&i32::try_from(fd).ok()?)?;
        let entry = self.tcp().into_iter().find(|entry| entry.inode == inode && !entry.remote_address.ip().is_unspecified())?;
        let addr = |at: std::net::SocketAddr| Addr::new(at.ip().to_canonical(), at.port());
        Some((addr(entry.local_address), addr(entry.remote_address)))
    }
}

/// Processes by the addresses on which they accept connections, those of one socket together.
pub(super) fn listeners(all: &[Process]) -> Vec<(Addr, Vec<Process>)> {
    let mut owners: BTreeMap<u64, Vec<&Process>> = BTreeMap::new();
    let mut spaces = BTreeMap::new();
    for process in all {
        let sockets = process.sockets();
        if sockets.is_empty() {
            continue;
        }
        if let Ok(space) = std::fs::metadata(format!("/proc/{}/ns/net", process.pid)) {
            spaces.entry(space.ino()).or_insert(process);
        }
        for inode in sockets.into_values() {
            owners.entry(inode).or_default().push(process);
        }
    }
    let mut found = Vec::new();
    for process in spaces.into_values() {
        for entry in process.tcp().into_iter().filter(|entry| entry.state == procfs::net::TcpState::Listen) {
            let at = Addr::new(entry.local_address.ip().to_canonical(), entry.local_address.port());
            if let Some(owners) = owners.get(&entry.inode) {
                found.push((at, owners.iter().map(|process| (*process).clone()).collect()));
            }
        }
    }
    found
}

/// Device and inode, as the kernel keeps them: its device numbers have 20 bits for the minor.
pub(super) fn kernel_id(file: &std::fs::Metadata) -> Option<(u32, u64)> {
    let (major, minor) = (rustix::fs::major(file.dev()), rustix::fs::minor(file.dev()));
    Some((major.checked_shl(20)? | minor, file.ino()))
}
