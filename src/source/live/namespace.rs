//! Other network namespaces of this host, by process, name or container.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace, held open.
#[derive(Debug)]
pub struct Namespace {
    file: File,
    /// As the user named it.
    pub name: String,
}

/// Why it cannot be entered.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {why}")]
pub struct NoNamespace {
    name: String,
    why: String,
}

impl Namespace {
    /// `--netns`: a process id, a name as `ip netns` keeps it, or a path.
    pub fn named(name: &str) -> Result<Namespace, NoNamespace> {
        let path = if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
            PathBuf::from(format!("/proc/{name}/ns/net"))
        } else if name.contains('/') {
            PathBuf::from(name)
        } else {
            PathBuf::from("/run/netns").join(name)
        };
        let file = File::open(&path).map_err(|error| no(name, format!("no network namespace at {}: {error}", path.display())))?;
        Ok(Namespace { file, name: name.to_owned() })
    }

    /// `--container`: the first process whose control group bears the id, or its beginning.
    pub fn container(id: &str) -> Result<Namespace, NoNamespace> {
        let hex = id.len() >= SHORTEST_ID && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !hex {
            return Err(no(id, format!("expected a container's id, at least its first {SHORTEST_ID} hex digits (docker ps, crictl ps)")));
        }
        let pid = processes().into_iter().find(|pid| {
            let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            containers(&groups).any(|container| container.starts_with(&id.to_ascii_lowercase()))
        });
        let Some(pid) = pid else { return Err(no(id, "no process of such a container on this host".to_owned())) };
        let file = File::open(format!("/proc/{pid}/ns/net")).map_err(|error| no(id, format!("process {pid}: {error}")))?;
        Ok(Namespace { file, name: id.to_owned() })
    }

    /// Its number, as the links of `/proc/PID/ns` show it.
    pub fn number(&self) -> Option<u64> {
        rustix::fs::fstat(&self.file).ok().map(|stat| stat.st_ino)
    }

    /// The same once more, for another thread.
    pub(super) fn again(&self) -> Result<Namespace, NoNamespace> {
        let file = self.file.try_clone().map_err(|error| no(&self.name, error.to_string()))?;
        Ok(Namespace { file, name: self.name.clone() })
    }

    /// Moves the calling thread there, and only that.
    pub fn enter(&self) -> Result<(), NoNamespace> {
        move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|error| no(&self.name, format!("the network namespace cannot be entered (it takes CAP_SYS_ADMIN): {error}")))
    }
}

/// Container ids in a `/proc/PID/cgroup`: 64 hex digits, as docker, podman, containerd and CRI-O name their groups. conmon, which holds a
/// container from outside, bears its id as well (`libpod-conmon-ID.scope`).
pub fn containers(groups: &str) -> impl Iterator<Item = &str> {
    let inside = groups.split(['/', '\n']).filter(|group| !group.contains("conmon-"));
    inside.flat_map(|group| group.split(|c: char| !c.is_ascii_hexdigit())).filter(|word| word.len() == 64)
}

/// Process ids, ascending.
fn processes() -> Vec<u32> {
    let folder = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let mut pids: Vec<u32> = folder.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

fn no(name: &str, why: String) -> NoNamespace {
    NoNamespace { name: name.to_owned(), why }
}

const SHORTEST_ID: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_ids_are_found_in_control_groups() {
        let id = "4f".repeat(32);
        for group in [
            format!("0::/system.slice/docker-{id}.scope"),
            format!("12:memory:/docker/{id}\n0::/"),
            format!("0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-{id}.scope"),
            format!("0::/machine.slice/libpod-{id}.scope/container"),
        ] {
            assert_eq!(containers(&group).collect::<Vec<_>>(), [id.as_str()], "{group}");
        }
        for group in ["0::/user.slice/user-0.slice".to_owned(), format!("0::/machine.slice/libpod-conmon-{id}.scope")] {
            assert_eq!(containers(&group).count(), 0, "{group}");
        }
    }

    #[test]
    fn what_is_not_there_is_said() {
        assert!(Namespace::named("no-such-one").unwrap_err().to_string().contains("/run/netns/no-such-one"));
        assert!(Namespace::container("web").unwrap_err().to_string().contains("expected a container's id"));
        assert!(Namespace::container(&"ab".repeat(32)).unwrap_err().to_string().contains("no process"));
    }
}
