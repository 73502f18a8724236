//! Whether probes are safe on the running kernel. Uprobes have crashed kernels: where that may be, they are refused.

use std::fs;

/// What was decided, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Safety {
    /// Whether probes may be set.
    pub safe: bool,
    /// The reason, for people.
    pub why: String,
}

/// Looks at the running kernel.
pub fn safety() -> Safety {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let preemption = preemption(
        &fs::read_to_string("/sys/kernel/debug/sched/preempt").unwrap_or_default(),
        &fs::read_to_string("/proc/cmdline").unwrap_or_default(),
        &fs::read_to_string("/proc/sys/kernel/version").unwrap_or_default(),
        &config(release.trim()),
    );
    let own = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    if own.as_os_str() != "pid:[4026531836]" {
        let why = "this process is not in the host's PID namespace, so that process numbers mean others to the kernel: run it on the host \
                   (docker run --pid=host)";
        return Safety { safe: false, why: why.to_owned() };
    }
    judge(release.trim(), preemption)
}

/// Whether a task that runs in the kernel may be replaced by another there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Preemption {
    No,
    Yes,
    Unknown,
}

fn judge(release: &str, preemption: Preemption) -> Safety {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let said = match preemption {
        Preemption::No => "not preemptible",
        Preemption::Yes => "preemptible",
        Preemption::Unknown => "perhaps preemptible (neither debugfs nor its configuration can be read)",
    };
    let (safe, because) = if version < (5, 8) {
        (false, "it lacks the ring buffer (5.8). A capture with a key log (--keylog) works there")
    } else if version < (6, 13) {
        (true, "no fault is known there")
    } else if preemption == Preemption::No {
        (true, "the fault of preemptible kernels from 6.13 on cannot occur")
    } else {
        let why = "from 6.13 on, preemptible kernels have crashed under uprobes of other tools (two tasks on one private BPF stack, \
                   open-telemetry/opentelemetry-ebpf-instrumentation issue 3056). These programs use too little stack to be given a \
                   private one, but that was never tried on such a kernel: --tls-force sets them all the same";
        (false, why)
    };
    Safety { safe, why: format!("Linux {release}, {said}: {because}") }
}

fn preemption(debug: &str, cmdline: &str, version: &str, config: &str) -> Preemption {
    // `none voluntary (full) lazy`
    let mode = debug.split('(').nth(1).and_then(|rest| rest.split(')').next());
    let mode = mode.or_else(|| cmdline.split_whitespace().filter_map(|word| word.strip_prefix("preempt=")).next_back());
    let of = |mode: &str| if matches!(mode, "none" | "voluntary") { Preemption::No } else { Preemption::Yes };
    if let Some(mode) = mode {
        return of(mode);
    }
    if !version.contains("PREEMPT") {
        return if version.is_empty() { Preemption::Unknown } else { Preemption::No };
    }
    let has = |option: &str| config.lines().any(|line| line.strip_suffix("=y") == Some(option));
    if has("CONFIG_PREEMPT_NONE") || has("CONFIG_PREEMPT_VOLUNTARY") {
        Preemption::No
    } else if config.is_empty() && version.contains("PREEMPT_DYNAMIC") {
        Preemption::Unknown
    } else {
        Preemption::Yes
    }
}

/// The kernel's configuration, where it can be read.
fn config(release: &str) -> String {
    let packed = fs::File::open("/proc/config.gz").ok().and_then(|file| std::io::read_to_string(flate2::read::GzDecoder::new(file)).ok());
    packed.or_else(|| fs::read_to_string(format!("/boot/config-{release}")).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_is_read_where_it_stands() {
        let dynamic = "#1 SMP PREEMPT_DYNAMIC Fri";
        assert_eq!(preemption("none voluntary (full) lazy", "", dynamic, ""), Preemption::Yes);
        assert_eq!(preemption("(none) voluntary full", "", dynamic, ""), Preemption::No);
        assert_eq!(preemption("", "quiet preempt=voluntary", dynamic, ""), Preemption::No);
        assert_eq!(preemption("", "quiet preempt=lazy", dynamic, ""), Preemption::Yes);
        assert_eq!(preemption("", "", dynamic, "CONFIG_PREEMPT_NONE=y\nCONFIG_PREEMPT_DYNAMIC=y"), Preemption::No);
        assert_eq!(preemption("", "", dynamic, "CONFIG_PREEMPT_LAZY=y\n# CONFIG_PREEMPT_NONE is not set"), Preemption::Yes);
        assert_eq!(preemption("", "", dynamic, ""), Preemption::Unknown);
        assert_eq!(preemption("", "", "#1 SMP PREEMPT_RT Fri", ""), Preemption::Yes);
        assert_eq!(preemption("", "", "#1 SMP Debian 6.1.1", ""), Preemption::No);
    }

    #[test]
    fn kernels_that_may_crash_are_refused() {
        assert!(!judge("5.4.0-200-generic", Preemption::No).safe);
        assert!(judge("5.15.0-100-generic", Preemption::Yes).safe);
        assert!(judge("6.12.48+deb13-amd64", Preemption::Yes).safe);
        assert!(judge("6.18.44-fc", Preemption::No).safe);
        for preemption in [Preemption::Yes, Preemption::Unknown] {
            let refused = judge("7.0.0-22-generic", preemption);
            assert!(!refused.safe && refused.why.contains("3056") && refused.why.contains("--tls-force"), "{refused:?}");
        }
    }
}
