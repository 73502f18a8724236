//! The kernel's side, loaded: its maps, and its programs in the form in which this kernel and these privileges can attach them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use aya::maps::{Array, HashMap as BpfMap, Map, MapData, MapError, PerCpuArray, RingBuf};
use aya::programs::uprobe::{UProbeLinkId, UProbeScope};
use aya::programs::{ProgramError, UProbe};
use aya::{Btf, Ebpf, EbpfError, EbpfLoader};

use super::library::Probe;
use super::sys;

/// Everything that lives in the kernel.
pub(super) struct Object {
    programs: Programs,
    /// Plaintext on its way here.
    pub(super) ring: RingBuf<MapData>,
    /// One number for each `enum count`.
    pub(super) counts: PerCpuArray<MapData, u64>,
    pids: BpfMap<MapData, u32, u64>,
    exes: BpfMap<MapData, [u8; 16], u32>,
    cgroups: BpfMap<MapData, u64, u32>,
    epoch: Array<MapData, u32>,
}

/// Programs by their names.
enum Programs {
    /// For links that set many probes at once.
    Multi(BTreeMap<String, OwnedFd>),
    /// For perf events, one for each probe.
    Perf(Box<Ebpf>),
}

/// Probes on one file; they are taken off when this goes.
#[derive(Debug)]
pub(super) enum Link {
    /// Closed, it is gone.
    #[allow(dead_code, reason = "held, not read")]
    Multi(OwnedFd),
    Perf(&'static str, UProbeLinkId),
}

/// Why it could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("{0}")]
    Ebpf(#[from] EbpfError),
    #[error("{0}")]
    Map(#[from] MapError),
    #[error("{0}")]
    Program(#[from] ProgramError),
    #[error("a part of the program is missing: {0}")]
    Missing(&'static str),
}

impl Object {
    /// Loads maps and programs. `ring`: its size in bytes, a power of two.
    pub(super) fn load(ring: u32) -> Result<Object, LoadError> {
        let mut ebpf = EbpfLoader::new().map_max_entries("ring", ring).load(OBJECT)?;
        let multi = multi(&ebpf);
        let mut take = |name: &'static str| ebpf.take_map(name).ok_or(LoadError::Missing(name));
        let ring = RingBuf::try_from(take("ring")?)?;
        let counts = PerCpuArray::try_from(take("counts")?)?;
        let pids = BpfMap::try_from(take("pids")?)?;
        let exes = BpfMap::try_from(take("exes")?)?;
        let cgroups = BpfMap::try_from(take("cgroups")?)?;
        let epoch = Array::try_from(take("epoch")?)?;
        let programs = match multi {
            Ok(programs) => Programs::Multi(programs),
            Err(_) => {
                for (_, program) in ebpf.programs_mut() {
                    let program: &mut UProbe = program.try_into()?;
                    program.load()?;
                }
                Programs::Perf(Box::new(ebpf))
            }
        };
        Ok(Object { programs, ring, counts, pids, exes, cgroups, epoch })
    }

    /// How probes are set here.
    pub(super) fn way(&self) -> &'static str {
        match self.programs {
            Programs::Multi(_) => "uprobe_multi",
            Programs::Perf(_) => "perf",
        }
    }

    /// Sets all probes of a file.
    pub(super) fn attach(&mut self, file: &Path, probes: &[(Probe, u64)]) -> io::Result<Vec<Link>> {
        let mut wanted: BTreeMap<(&'static str, bool), Vec<u64>> = BTreeMap::new();
        for (probe, offset) in probes {
            // The return first: a call that begins in between is then only missed.
            wanted.entry((probe.end.unwrap_or_default(), true)).or_default().push(*offset);
            wanted.entry((probe.entry.unwrap_or_default(), false)).or_default().push(*offset);
        }
        let mut links = Vec::new();
        for ((name, at_return), offsets) in wanted.into_iter().filter(|((name, _), _)| !name.is_empty()) {
            match &mut self.programs {
                Programs::Multi(programs) => {
                    let program = programs.get(name).ok_or(io::ErrorKind::NotFound)?;
                    links.push(Link::Multi(sys::link(program.as_fd(), file, &offsets, at_return)?));
                }
                Programs::Perf(ebpf) => {
                    let program = ebpf.program_mut(name).ok_or(io::ErrorKind::NotFound)?;
                    let program: &mut UProbe = program.try_into().map_err(io::Error::other)?;
                    for offset in offsets {
                        let id = program.attach(offset, file, UProbeScope::AllProcesses).map_err(os_error)?;
                        links.push(Link::Perf(name, id));
                    }
                }
            }
        }
        Ok(links)
    }

    /// Takes probes off.
    pub(super) fn detach(&mut self, link: Link) {
        if let (Link::Perf(name, id), Programs::Perf(ebpf)) = (link, &mut self.programs)
            && let Some(Ok(program)) = ebpf.program_mut(name).map(<&mut UProbe>::try_from)
        {
            // It can only fail when it is off already.
            program.detach(id).unwrap_or_default();
        }
    }

    /// Tells the kernel's side whom to watch: processes with their start, programs, control groups.
    pub(super) fn choose(
        &mut self,
        pids: &HashMap<u32, u64>,
        exes: impl Iterator<Item = (u32, u64)>,
        cgroups: impl Iterator<Item = u64>,
    ) -> Result<(), MapError> {
        let old: Vec<u32> = self.pids.keys().filter_map(Result::ok).filter(|pid| !pids.contains_key(pid)).collect();
        for pid in old {
            self.pids.remove(&pid)?;
        }
        for (pid, start) in pids {
            self.pids.insert(pid, start, 0)?;
        }
        for (dev, ino) in exes {
            let mut key = [0; 16];
            key[..8].copy_from_slice(&ino.to_ne_bytes());
            key[8..12].copy_from_slice(&dev.to_ne_bytes());
            self.exes.insert(key, 1, 0)?;
        }
        for cgroup in cgroups {
            self.cgroups.insert(cgroup, 1, 0)?;
        }
        let now = self.epoch.get(&0, 0)?;
        self.epoch.set(0, now.wrapping_add(1), 0)
    }
}

/// The programs once more, for links that set many probes at once: aya knows these from 0.15 on, which needs a newer Rust than we do.
fn multi(ebpf: &Ebpf) -> io::Result<BTreeMap<String, OwnedFd>> {
    let mut object = aya_obj::Object::parse(OBJECT).map_err(io::Error::other)?;
    object.relocate_btf(&Btf::from_sys_fs().map_err(io::Error::other)?).map_err(io::Error::other)?;
    let text: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
    let fds: HashMap<&str, RawFd> = ebpf.maps().filter_map(|(name, map)| Some((name, fd(map)?))).collect();
    let maps = std::mem::take(&mut object.maps);
    let known = maps.iter().filter_map(|(name, map)| Some((name.as_str(), *fds.get(name.as_str())?, map)));
    object.relocate_maps(known, &text).map_err(io::Error::other)?;
    object.relocate_calls(&text).map_err(io::Error::other)?;
    let mut loaded = BTreeMap::new();
    for (name, program) in &object.programs {
        let function = object.functions.get(&program.function_key()).ok_or(io::ErrorKind::NotFound)?;
        loaded.insert(name.clone(), sys::load(&function.instructions, &program.license)?);
    }
    Ok(loaded)
}

fn fd(map: &Map) -> Option<RawFd> {
    match map {
        Map::Array(data) | Map::HashMap(data) | Map::LruHashMap(data) | Map::PerCpuArray(data) | Map::RingBuf(data) => {
            Some(data.fd().as_fd().as_raw_fd())
        }
        _ => None,
    }
}

fn os_error(error: ProgramError) -> io::Error {
    match error {
        ProgramError::SyscallError(error) => error.io_error,
        other => io::Error::other(other),
    }
}

#[cfg(target_arch = "x86_64")]
static OBJECT: &[u8] = aya::include_bytes_aligned!("ssl.x86_64.bpf.o");
#[cfg(target_arch = "aarch64")]
static OBJECT: &[u8] = aya::include_bytes_aligned!("ssl.aarch64.bpf.o");
