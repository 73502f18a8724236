//! Landlock: which files a thread may still open. Directories are opened while there are rights to do so; rules hold for what lies below.

use std::io;
use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, NetPort, PathBeneath, PathFd, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use super::Error;

/// Directories that stay open to a thread.
pub(super) struct Open {
    reads: Vec<PathFd>,
    writes: Vec<PathFd>,
    /// The one port that may be connected to.
    port: Option<u16>,
}

/// Opens them.
pub(super) fn open(reads: &[PathBuf], writes: &[PathBuf], port: Option<u16>) -> Result<Open, Error> {
    let all = |folders: &[PathBuf]| -> Result<Vec<PathFd>, Error> {
        folders.iter().map(|folder| PathFd::new(folder).map_err(|error| Error::Folder(folder.clone(), error.to_string()))).collect()
    };
    Ok(Open { reads: all(reads)?, writes: all(writes)?, port })
}

impl Open {
    /// The calling thread opens nothing else any more, and neither listens nor connects but to that port. Gives what the kernel made of that.
    pub(super) fn restrict(&self) -> io::Result<String> {
        let restricted = self.rules().map_err(io::Error::other)?;
        let LandlockStatus::Available { effective_abi, .. } = restricted.landlock else {
            return Ok("none: this kernel has it not, or not enabled".to_owned());
        };
        let what = match (self.reads.len(), self.writes.len()) {
            (0, 0) => "no file can be opened".to_owned(),
            (0, n) => format!("files can be opened in {n} directories only"),
            (n, 0) => format!("files can be read in {n} directories only"),
            (n, m) => format!("files can be read in {n} directories, written in {m}, and opened nowhere else"),
        };
        let part = if restricted.ruleset == RulesetStatus::NotEnforced { "not enforced".to_owned() } else { what };
        Ok(format!("ABI {} ({part})", effective_abi as i32))
    }

    fn rules(&self) -> Result<RestrictionStatus, RulesetError> {
        // What the kernel does not know of is left out by itself.
        let rules = Ruleset::default()
            .handle_access(AccessFs::from_all(LATEST))?
            .handle_access(AccessNet::from_all(LATEST))?
            .scope(Scope::from_all(LATEST))?
            .create()?;
        let read = |folder| Ok::<_, RulesetError>(PathBeneath::new(folder, AccessFs::ReadFile | AccessFs::ReadDir));
        let write = |folder| {
            let make = AccessFs::MakeReg | AccessFs::MakeDir | AccessFs::RemoveFile | AccessFs::Truncate;
            Ok::<_, RulesetError>(PathBeneath::new(folder, AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::WriteFile | make))
        };
        let connect = |port| Ok::<_, RulesetError>(NetPort::new(port, AccessNet::ConnectTcp));
        let rules = rules.add_rules(self.port.into_iter().map(connect))?;
        rules.add_rules(self.reads.iter().map(read))?.add_rules(self.writes.iter().map(write))?.restrict_self()
    }
}

/// For `doctor`: tries on a thread that ends.
pub(super) fn prospect() -> String {
    let tried = std::thread::spawn(|| Open { reads: Vec::new(), writes: Vec::new(), port: None }.restrict()).join();
    match tried {
        Ok(Ok(told)) => format!("Landlock {told}"),
        Ok(Err(error)) => format!("no Landlock: {error}"),
        Err(_) => "no Landlock".to_owned(),
    }
}

const LATEST: ABI = ABI::V7;
