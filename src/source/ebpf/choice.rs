//! Which processes are watched. Words of the user come in, processes, programs and containers go out.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::process::{self, Process, kernel_id};

/// What the user chose, or what was found to be the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// These processes and their children.
    pub pids: Vec<u32>,
    /// Every process that runs one of these programs, now or later.
    pub exes: Vec<PathBuf>,
    /// Every process of containers whose id begins so, or that have this name.
    pub containers: Vec<String>,
    /// The processes that listen there, and their children.
    pub listening: Vec<(IpAddr, Option<u16>)>,
    /// The processes of gateways that are known by their command line, and their children.
    pub known: bool,
}

/// What that comes to at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chosen {
    /// Chosen themselves; their children are watched as well.
    pub(super) roots: Vec<Process>,
    /// Device and inode of programs.
    pub(super) exes: BTreeSet<(u32, u64)>,
    /// Control groups of containers.
    pub(super) cgroups: BTreeSet<u64>,
    /// All processes that are watched, as far as they run already.
    pub(super) watched: Vec<Process>,
}

impl Choice {
    /// Whether nothing was chosen.
    pub fn is_empty(&self) -> bool {
        *self == Choice::default()
    }

    /// Looks at the host.
    pub(super) fn look(&self) -> Chosen {
        let all = Process::all();
        let mut chosen = Chosen::default();
        chosen.roots.extend(all.iter().filter(|process| self.pids.contains(&process.pid)).cloned());
        if !self.listening.is_empty() {
            for (at, owners) in process::listeners(&all) {
                let wanted = |(ip, port): &(IpAddr, Option<u16>)| {
                    let anywhere = at.ip().is_unspecified() || at.ip() == *ip;
                    anywhere && port.is_none_or(|port| port == at.port())
                };
                if self.listening.iter().any(wanted) {
                    chosen.roots.extend(owners);
                }
            }
        }
        if self.known {
            chosen.roots.extend(all.iter().filter(|process| is_known(&process.command)).cloned());
        }
        let exes = self.exes.iter().filter_map(|path| kernel_id(&std::fs::metadata(path).ok()?));
        chosen.exes.extend(exes);
        for process in &all {
            let Some(path) = process.cgroups().into_iter().find(|path| self.containers.iter().any(|name| is_of(path, name))) else {
                continue;
            };
            chosen.cgroups.extend(cgroup_id(&path));
            // Where the host has no unified hierarchy, processes are chosen one by one.
            chosen.roots.push(process.clone());
        }
        chosen.roots.sort_by_key(|process| process.pid);
        chosen.roots.dedup();
        let me = std::process::id();
        chosen.roots.retain(|process| process.pid != me);
        chosen.watched = watched(&all, &chosen);
        chosen
    }

    /// What was asked for and does not exist.
    pub(super) fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for pid in self.pids.iter().filter(|pid| Process::of(**pid).is_none()) {
            missing.push(format!("there is no process {pid}"));
        }
        for path in self.exes.iter().filter(|path| !path.exists()) {
            missing.push(format!("there is no program {}", path.display()));
        }
        missing
    }
}

fn watched(all: &[Process], chosen: &Chosen) -> Vec<Process> {
    let roots: BTreeSet<u32> = chosen.roots.iter().map(|process| process.pid).collect();
    let parent = |pid: u32| all.iter().find(|process| process.pid == pid).and_then(Process::parent);
    let descends = |process: &Process| std::iter::successors(Some(process.pid), |pid| parent(*pid)).take(6).any(|pid| roots.contains(&pid));
    let runs = |process: &Process| !chosen.exes.is_empty() && process.exe().is_some_and(|exe| chosen.exes.contains(&exe));
    all.iter().filter(|process| descends(process) || runs(process)).cloned().collect()
}

/// Gateways that are known by how they are started.
fn is_known(command: &[String]) -> bool {
    let named = |word: &String| Path::new(word).file_name().is_some_and(|name| name == "litellm");
    command.iter().take(3).any(named)
        || command.windows(2).any(|words| matches!(words, [m, module] if m == "-m" && module.starts_with("litellm")))
}

/// Whether a control group is that of a container: its id stands in the path, whoever made it.
fn is_of(path: &str, container: &str) -> bool {
    let id = by_name(container).unwrap_or_else(|| container.to_owned());
    id.len() >= SHORTEST && path.rsplit(['/', '-', ':']).any(|part| part.starts_with(&id))
}

/// The id of a Docker container of that name.
fn by_name(name: &str) -> Option<String> {
    let containers = std::fs::read_dir("/var/lib/docker/containers").ok()?;
    containers.filter_map(Result::ok).find_map(|entry| {
        let text = std::fs::read_to_string(entry.path().join("config.v2.json")).ok()?;
        let config: serde_json::Value = serde_json::from_str(&text).ok()?;
        let called = config.get("Name")?.as_str()?.trim_start_matches('/');
        (called == name).then(|| entry.file_name().to_string_lossy().into_owned())
    })
}

/// The number by which the kernel knows a control group of the unified hierarchy: the inode of its folder.
fn cgroup_id(path: &str) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    Ok(std::fs::metadata(format!("/sys/fs/cgroup{path}"))?.ino())
}

/// A shorter id could be anybody's.
const SHORTEST: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_are_known_by_their_command_line() {
        let command = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert!(is_known(&command(&["/venv/bin/python", "/venv/bin/litellm", "--config", "x.yaml"])));
        assert!(is_known(&command(&["python", "-m", "litellm.proxy.proxy_cli"])));
        assert!(!is_known(&command(&["tail", "-f", "/var/log/x", "litellm"])) && !is_known(&command(&["vim", "litellm.py"])));
    }

    #[test]
    fn containers_are_found_in_control_groups_of_all_makers() {
        let id = "8c1f0a7be0d14d9b8f8f6d5f0f6f3c1a".repeat(2);
        for path in
            [format!("/docker/{id}"), format!("/system.slice/docker-{id}.scope"), format!("/kubepods/pod1/cri-containerd-{id}.scope")]
        {
            assert!(is_of(&path, &id[..12]) && is_of(&path, &id), "{path}");
            assert!(!is_of(&path, "7be0d14d9b8f") && !is_of(&path, "8c1"), "{path}");
        }
    }
}
