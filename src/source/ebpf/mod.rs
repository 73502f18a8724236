//! The plaintext of chosen processes, read at OpenSSL's own calls, comes out: ordered by place in its stream, with every loss said aloud.
//! Knows nothing of what the bytes mean. The program that runs in the kernel lies beside its loader (`ssl.bpf.c`, compiled by `build`).
//!
//! Every executable mapping that defines OpenSSL's functions is probed, once for all processes that use it; which of them are chosen is
//! decided in the kernel, so that plaintext of others never leaves them. Probes hang on open files of this process: however it ends, the
//! kernel takes them off.

mod choice;
mod clock;
mod event;
mod health;
mod kernel;
mod library;
mod object;
mod process;
mod reader;
#[allow(unsafe_code)]
mod sys;
mod tap;

pub use choice::Choice;
pub use event::{Event, What};
pub use health::{Blind, Health};
pub use kernel::{Safety, safety};
pub use process::Process;
pub use reader::Running;
pub use tap::{Error, Tap};
