//! The system's log: syslog at `/dev/log`, or the journal by its own protocol with fields to search for. Nobody waits for either: what is
//! not taken is offered again later.

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::args::LogTo;
use crate::base::Limits;
use crate::report::{Level, Lined};

impl LogTo {
    fn path(self) -> &'static str {
        match self {
            LogTo::Syslog => "/dev/log",
            // https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
            LogTo::Journald => "/run/systemd/journal/socket",
        }
    }

    /// The datagram of a line.
    fn message(self, level: Level, text: &str, fields: &[(&str, String)]) -> Vec<u8> {
        let text = cut(text);
        let level = level as u8;
        match self {
            // RFC 3164 without its time and host: the daemon stamps what comes without, and knows its own time zone.
            LogTo::Syslog => format!("<{}>{NAME}[{}]: {text}", DAEMON * 8 + level, std::process::id()).into_bytes(),
            LogTo::Journald => {
                let mut message = format!("PRIORITY={level}\nSYSLOG_FACILITY={DAEMON}\nSYSLOG_IDENTIFIER={NAME}\n").into_bytes();
                put(&mut message, "MESSAGE", text);
                for (name, value) in fields {
                    put(&mut message, &format!("GATEWITNESS_{name}"), cut(value));
                }
                message
            }
        }
    }
}

fn cut(text: &str) -> &str {
    let end = (0..=MOST_LINE.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// A field whose value may hold anything: its length goes before it.
fn put(message: &mut Vec<u8>, name: &str, value: &str) {
    message.extend_from_slice(name.as_bytes());
    message.push(b'\n');
    message.extend_from_slice(&(value.len() as u64).to_le_bytes());
    message.extend_from_slice(value.as_bytes());
    message.push(b'\n');
}

/// A way into it.
pub(super) struct SystemLog {
    to: LogTo,
    socket: UnixDatagram,
    waiting: VecDeque<Vec<u8>>,
    most: usize,
    lost: u64,
}

impl SystemLog {
    /// Looks whether anybody listens.
    pub(super) fn open(to: LogTo, limits: &Limits) -> anyhow::Result<SystemLog> {
        let cannot = || format!("--log: nobody listens at {}", to.path());
        UnixDatagram::unbound().and_then(|socket| socket.connect(to.path())).with_context(cannot)?;
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(SystemLog { to, socket, waiting: VecDeque::new(), most: limits.log_lines, lost: 0 })
    }
}

impl Lined for SystemLog {
    fn line(&mut self, level: Level, text: &str, fields: &[(&str, String)]) {
        self.waiting.push_back(self.to.message(level, text, fields));
        self.flush();
        if self.waiting.len() > self.most {
            self.waiting.pop_front();
            self.lost += 1;
        }
    }

    fn flush(&mut self) {
        while let Some(message) = self.waiting.front() {
            // By name each time: a daemon that was started again is found again.
            if self.socket.send_to(message, self.to.path()).is_err() {
                break;
            }
            self.waiting.pop_front();
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        let end = Instant::now() + LAST;
        self.flush();
        while !self.waiting.is_empty() && Instant::now() < end {
            thread::sleep(LAST / 50);
            self.flush();
        }
        match self.lost + self.waiting.len() as u64 {
            0 => Ok(()),
            lost => Err(io::Error::other(format!("{}: {lost} lines were not taken", self.to.path()))),
        }
    }
}

const NAME: &str = "gatewitness";
/// System daemons (RFC 5424, section 6.2.1).
const DAEMON: u8 = 3;
/// What every receiver should take (RFC 5424, section 6.1).
const MOST_LINE: usize = 1_900;
/// How long a log that does not take the last lines is waited for.
const LAST: Duration = Duration::from_secs(1);
