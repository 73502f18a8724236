//! As whom a run goes on that was started as root.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use nix::unistd::{Uid as NixUid, User as Entry};
use rustix::process::{Gid, Uid, geteuid};

/// A user and their own group; supplementary groups are given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct User {
    uid: Uid,
    gid: Gid,
}

/// Why there is nobody to become.
#[derive(Debug, thiserror::Error)]
pub enum NoUser {
    /// Not in the system's list.
    #[error("--user {0}: no such user here")]
    Unknown(String),
    /// Only root may become somebody else.
    #[error("--user {0}: this run was not started as root, and is somebody else already")]
    NotRoot(String),
    /// Several directories, several owners.
    #[error("{0} cannot be written by uid {1}, as which the run would go on: name a user who may write it with --user")]
    Foreign(PathBuf, u32),
}

/// Who to become; none where the run stays who it is.
pub(super) fn choose(named: Option<&str>, writes: &[PathBuf]) -> Result<Option<User>, NoUser> {
    let root = geteuid().is_root();
    let chosen = match named {
        Some(name) => {
            let user = lookup(name).ok_or_else(|| NoUser::Unknown(name.to_owned()))?;
            if !root && user.uid != geteuid() {
                return Err(NoUser::NotRoot(name.to_owned()));
            }
            Some(user).filter(|_| root)
        }
        None if !root => None,
        // What must be written is somebody's: whoever owns it may go on writing it, and nobody else needs to.
        None => writes.first().and_then(owner).or_else(fallback),
    };
    for folder in writes {
        if let Some(user) = chosen.filter(|user| !may_write(*user, folder)) {
            return Err(NoUser::Foreign(folder.clone(), user.uid.as_raw()));
        }
    }
    Ok(chosen)
}

impl User {
    /// The calling thread becomes it, for good.
    pub(super) fn become_it(self) -> rustix::io::Result<()> {
        rustix::thread::set_thread_groups(&[])?;
        rustix::thread::set_thread_res_gid(self.gid, self.gid, self.gid)?;
        rustix::thread::set_thread_res_uid(self.uid, self.uid, self.uid)
    }
}

/// Who the calling thread is.
pub(super) fn current() -> String {
    let uid = geteuid().as_raw();
    Entry::from_uid(NixUid::from_raw(uid)).ok().flatten().map_or_else(|| uid.to_string(), |entry| entry.name)
}

/// For `doctor`.
pub(super) fn prospect() -> String {
    match (geteuid().is_root(), fallback()) {
        (false, _) => format!("stays user {}", current()),
        (true, Some(user)) => {
            let name = Entry::from_uid(NixUid::from_raw(user.uid.as_raw())).ok().flatten().map(|entry| entry.name);
            format!("goes on as {}", name.unwrap_or_else(|| user.uid.as_raw().to_string()))
        }
        (true, None) => "stays root: there is neither a user gatewitness nor nobody here".to_owned(),
    }
}

fn fallback() -> Option<User> {
    USERS.iter().find_map(|name| lookup(name))
}

fn lookup(name: &str) -> Option<User> {
    let user = |entry: Entry| User { uid: Uid::from_raw(entry.uid.as_raw()), gid: Gid::from_raw(entry.gid.as_raw()) };
    if let Ok(number) = name.parse::<u32>() {
        let unlisted = User { uid: Uid::from_raw(number), gid: Gid::from_raw(number) };
        return Some(Entry::from_uid(NixUid::from_raw(number)).ok().flatten().map_or(unlisted, user));
    }
    Entry::from_name(name).ok().flatten().map(user)
}

fn owner(folder: &PathBuf) -> Option<User> {
    let folder = fs::metadata(folder).ok()?;
    Some(User { uid: Uid::from_raw(folder.uid()), gid: Gid::from_raw(folder.gid()) })
}

/// By its mode alone, which is what counts once capabilities are gone. Supplementary groups are given up.
fn may_write(user: User, folder: &PathBuf) -> bool {
    let Ok(folder) = fs::metadata(folder) else { return false };
    let shift = match () {
        () if folder.uid() == user.uid.as_raw() => 6,
        () if folder.gid() == user.gid.as_raw() => 3,
        () => 0,
    };
    folder.mode() >> shift & 0o3 == 0o3
}

/// The first that there is. `nobody` may also be others' fallback: a user of our own shares nothing with them.
const USERS: [&str; 2] = ["gatewitness", "nobody"];
