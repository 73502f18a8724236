//! Where the engine's thread leaves a snapshot when the screen has asked for one. Neither ever waits for the other: the engine looks at
//! one flag between packets, the screen takes what lies there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::snapshot::Snapshot;

/// Between two threads.
#[derive(Debug, Default)]
pub struct Post {
    wanted: AtomicBool,
    left: AtomicBool,
    told: AtomicBool,
    given_up: AtomicBool,
    slot: Mutex<Option<Arc<Snapshot>>>,
}

impl Post {
    /// The screen wants to know how the run stands.
    pub fn ask(&self) {
        self.wanted.store(true, Ordering::Release);
    }

    /// Whether it does: asked by the engine between packets, and true once for each time it was wanted.
    pub fn wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) && self.wanted.swap(false, Ordering::Acquire)
    }

    /// The engine leaves a snapshot in the place of an older one.
    pub fn leave(&self, snapshot: Snapshot) {
        let snapshot = Some(Arc::new(snapshot));
        // The old one is freed outside the lock.
        let _old = std::mem::replace(&mut *self.slot.lock().unwrap_or_else(PoisonError::into_inner), snapshot);
    }

    /// The screen takes it.
    pub fn take(&self) -> Option<Arc<Snapshot>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The run has ended and left its last snapshot.
    pub fn told(&self) {
        self.told.store(true, Ordering::Release);
    }

    /// Whether it has.
    pub fn ended(&self) -> bool {
        self.told.load(Ordering::Acquire)
    }

    /// The screen is gone for good: the run may end.
    pub fn close(&self) {
        self.left.store(true, Ordering::Release);
    }

    /// Whether it is.
    pub fn closed(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    /// The screen hangs in its terminal and is not waited for; the run may end.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
        self.close();
    }

    /// Whether it is given up.
    pub fn given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }
}
