//! A terminal that goes away under the screen. crossterm 0.29 reads on for ever once its terminal answers with end-of-file or EIO, as one
//! that has gone does: the screen's thread then burns a core and looks at no signal any more. So a thread beside it looks for the end of
//! both, and lets the rest of the run go on without the screen.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::watch::Post;

/// Rings when it is dropped, also by a thread that panics.
pub(super) struct Bell(pub(super) Sender<()>);

impl Drop for Bell {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// Starts looking. Where the screen does not leave by itself it is given up: the bell rings, so that the run can end without it, and the
/// process is ended where the run does not either.
pub(super) fn look(post: &Arc<Post>, end: &Arc<AtomicBool>, bell: Bell) -> anyhow::Result<()> {
    let (post, end) = (Arc::clone(post), Arc::clone(end));
    let looking = move || {
        let patience = match ending(&post, &end) {
            Ended::Screen => return,
            // It puts the terminal back, if it listens.
            Ended::Signal => MANNERS,
            Ended::Terminal => Duration::ZERO,
        };
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if post.closed() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        post.give_up();
        drop(bell);
        thread::sleep(GRACE);
        std::process::exit(BY_FORCE);
    };
    thread::Builder::new().name("hangup".to_owned()).spawn(looking).map(drop).context("no thread for the terminal's end")
}

/// Why nothing is to be looked for any more.
enum Ended {
    Screen,
    Signal,
    Terminal,
}

/// Waits for the first of them.
fn ending(post: &Post, end: &AtomicBool) -> Ended {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    // Where keys come from, as crossterm chooses it.
    let opened = if stdin.is_terminal() { None } else { File::open("/dev/tty").ok() };
    let keys = match &opened {
        Some(terminal) => terminal.as_fd(),
        None if stdin.is_terminal() => stdin.as_fd(),
        None => stdout.as_fd(),
    };
    loop {
        // An end is told whatever is asked for.
        let mut ends = [stdout.as_fd(), keys].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::empty()));
        let told = poll(&mut ends, Some(&PATIENCE));
        if ends.iter().any(|end| end.revents().intersects(PollFlags::HUP | PollFlags::ERR)) {
            return Ended::Terminal;
        }
        if post.closed() {
            return Ended::Screen;
        }
        if end.load(Ordering::Relaxed) {
            return Ended::Signal;
        }
        if !matches!(told, Ok(0)) {
            // A signal; or a system that cannot poll a terminal.
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// How often signals are looked at; the terminal's end is told at once.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// How long the screen may take to leave the terminal once a signal has come.
const MANNERS: Duration = Duration::from_secs(1);
/// How long a run may take to end once nobody looks any more.
pub(super) const GRACE: Duration = Duration::from_secs(2);
/// The exit code of a run that could not be ended in order.
const BY_FORCE: i32 = 2;
