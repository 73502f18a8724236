//! seccomp: which system calls a thread may still make. What is not listed fails with EPERM, so that a library that tries more than it
//! needs goes on. No thread is started after this, no program is run, no memory becomes code, and no socket is made unless interfaces
//! have to be opened again or a receiver is told.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompFilter, SeccompRule,
};

use super::Needs;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The program for a thread with these needs.
pub(super) fn filter(needs: &Needs) -> Result<BpfProgram, BackendError> {
    let mut rules: Rules = ALWAYS.iter().map(|call| (*call, Vec::new())).collect();
    // Memory that is written never becomes code.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![rule(&[(2, Op::MaskedEq(bits(libc::PROT_EXEC)), 0)])?]);
    }
    // Signals to this process alone: what abort() does.
    rules.insert(libc::SYS_tgkill, vec![rule(&[(0, Op::Eq, u64::from(std::process::id()))])?]);
    let flags = [libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_SETFL];
    rules.insert(libc::SYS_fcntl, flags.iter().map(|what| rule(&[(1, Op::Eq, bits(*what))])).collect::<Result<_, _>>()?);
    // Whether something is a terminal, and how large; never TIOCSTI, which types into it.
    let mut asks = vec![rule(&[(1, Op::Eq, libc::TCGETS as _)])?, rule(&[(1, Op::Eq, libc::TIOCGWINSZ as _)])?];
    // Connected sockets alone: with an address given, a packet could be sent through the sockets that capture.
    let mut sends = vec![rule(&[(4, Op::Eq, 0)])?];
    // Sockets that may still be made.
    let mut sockets = Vec::new();
    if needs.reopen {
        // What libpcap asks of interfaces (SIOC*, 0x89..), and the families it asks through. Others fail.
        asks.push(rule(&[(1, Op::MaskedEq(0xff00), 0x8900)])?);
        let families = [libc::AF_PACKET, libc::AF_NETLINK, libc::AF_UNIX, libc::AF_INET];
        let datagrams = |family: i32| {
            let kind = if matches!(family, libc::AF_UNIX | libc::AF_INET) { Some(libc::SOCK_DGRAM) } else { None };
            let mut conditions = vec![(0, Op::Eq, bits(family))];
            conditions.extend(kind.map(|kind| (1, Op::MaskedEq(0xf), bits(kind))));
            rule(&conditions)
        };
        sockets = families.into_iter().map(datagrams).collect::<Result<_, _>>()?;
        sends = Vec::new();
        REOPEN.iter().for_each(|call| drop(rules.insert(*call, Vec::new())));
    }
    if let Some(server) = needs.connect {
        let family = if server.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        sockets.push(rule(&[(0, Op::Eq, bits(family)), (1, Op::MaskedEq(0xf), bits(libc::SOCK_STREAM))])?);
        rules.insert(libc::SYS_connect, Vec::new());
    }
    if !sockets.is_empty() {
        rules.insert(libc::SYS_socket, sockets);
    }
    if needs.log {
        sends = Vec::new();
    }
    if needs.probes {
        // Programs and links of the kernel's (PERF_EVENT_IOC_*, '$').
        asks.push(rule(&[(1, Op::MaskedEq(0xff00), 0x2400)])?);
        PROBES.iter().for_each(|call| drop(rules.insert(*call, Vec::new())));
    }
    if needs.probes || needs.reopen || !needs.reads.is_empty() {
        let writes = libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC;
        rules.insert(libc::SYS_openat, vec![rule(&[(2, Op::MaskedEq(bits(writes)), 0)])?]);
    }
    if !needs.writes.is_empty() {
        WRITES.iter().for_each(|call| drop(rules.insert(*call, Vec::new())));
    }
    rules.insert(libc::SYS_ioctl, asks);
    rules.insert(libc::SYS_sendto, sends);
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow, arch)?.try_into()
}

/// All of the conditions: argument, comparison, value.
fn rule(conditions: &[(u8, Op, u64)]) -> Result<SeccompRule, BackendError> {
    let all = conditions.iter().map(|(argument, op, value)| SeccompCondition::new(*argument, Len::Dword, op.clone(), *value));
    SeccompRule::new(all.collect::<Result<_, _>>()?)
}

fn bits(flags: i32) -> u64 {
    u64::from(flags as u32)
}

/// Reading and writing what is open, waiting, memory, time, the end.
const ALWAYS: &[i64] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_getdents64,
    libc::SYS_close,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_ctl,
    libc::SYS_accept4,
    libc::SYS_recvfrom,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_shutdown,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Opening an interface, and asking the kernel which there are.
const REOPEN: &[i64] =
    &[libc::SYS_bind, libc::SYS_recvmsg, libc::SYS_sendmsg, libc::SYS_eventfd2, libc::SYS_readlinkat, libc::SYS_faccessat];

/// Setting probes, and finding the processes that they are for.
const PROBES: &[i64] = &[
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_readlinkat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    libc::SYS_faccessat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    libc::SYS_epoll_create1,
    libc::SYS_dup,
];

/// Files of a recording, a rotated output, evidence: made, renamed, removed, and read again.
const WRITES: &[i64] = &[
    libc::SYS_openat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    libc::SYS_mkdirat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    libc::SYS_readlinkat,
];
