//! The two system calls that aya 0.14 does not make: loading a program for `uprobe_multi` links (Linux 6.6), and making such a link.
//! They set many probes at once, and need CAP_BPF and CAP_PERFMON only, where the older way needs CAP_SYS_ADMIN.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use aya_obj::generated::{bpf_attach_type, bpf_attr, bpf_cmd, bpf_insn, bpf_prog_type};

/// Loads a program that [`link`] can attach.
pub(super) fn load(instructions: &[bpf_insn], license: &CStr) -> io::Result<OwnedFd> {
    // SAFETY: all members of the union are plain numbers, for which zero is a value.
    let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
    // SAFETY: of the union's members this is the one that BPF_PROG_LOAD reads.
    let load = unsafe { &mut attr.__bindgen_anon_3 };
    load.prog_type = bpf_prog_type::BPF_PROG_TYPE_KPROBE as u32;
    load.expected_attach_type = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
    load.insns = instructions.as_ptr() as u64;
    load.insn_cnt = u32::try_from(instructions.len()).map_err(io::Error::other)?;
    load.license = license.as_ptr() as u64;
    bpf(bpf_cmd::BPF_PROG_LOAD, &attr)
}

/// Sets a program at these places of a file, for all processes that run it. The probes go when the link is closed.
pub(super) fn link(program: BorrowedFd<'_>, file: &Path, offsets: &[u64], at_return: bool) -> io::Result<OwnedFd> {
    let path = CString::new(file.as_os_str().as_bytes()).map_err(io::Error::other)?;
    // SAFETY: as above.
    let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
    // SAFETY: of the union's members these are the ones that BPF_LINK_CREATE reads.
    unsafe {
        attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd().unsigned_abs();
        attr.link_create.attach_type = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
        let multi = &mut attr.link_create.__bindgen_anon_3.uprobe_multi;
        multi.path = path.as_ptr() as u64;
        multi.offsets = offsets.as_ptr() as u64;
        multi.cnt = u32::try_from(offsets.len()).map_err(io::Error::other)?;
        multi.flags = u32::from(at_return);
    }
    bpf(bpf_cmd::BPF_LINK_CREATE, &attr)
}

fn bpf(command: bpf_cmd, attr: &bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads `attr`, and through it buffers that live in the callers until this returns.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command as libc::c_int, std::ptr::from_ref(attr), size_of::<bpf_attr>()) };
    match i32::try_from(fd) {
        // SAFETY: both commands return a descriptor that nobody else has.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}
