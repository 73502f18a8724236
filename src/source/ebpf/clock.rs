//! The kernel's side counts by the monotonic clock, packets are stamped by the wall clock.

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::base::Ts;

/// What to add to a monotonic time. The wall clock is set now and then: ask again each second.
pub(super) fn offset() -> i64 {
    // Of several tries the one during which least time passed: a thread may be stopped between two looks.
    let look = || {
        let before = nanos(clock_gettime(ClockId::Monotonic));
        let wall = nanos(clock_gettime(ClockId::Realtime));
        let after = nanos(clock_gettime(ClockId::Monotonic));
        (after - before, wall - before.midpoint(after))
    };
    (0..5).map(|_| look()).min().map_or(0, |(_, offset)| offset)
}

/// The wall clock's time now.
pub(super) fn now() -> Ts {
    Ts(nanos(clock_gettime(ClockId::Realtime)))
}

fn nanos(time: Timespec) -> i64 {
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}
