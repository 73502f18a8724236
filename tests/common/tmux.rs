//! A real terminal: keys are sent, screens are captured.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A tmux server of our own with one window, gone with this.
pub struct Tmux {
    socket: String,
    folder: tempfile::TempDir,
}

impl Tmux {
    /// Runs a shell line in a window of this size, in the repository's root. `None`, loudly, where there is no tmux.
    pub fn start(width: u16, height: u16, line: &str) -> Option<Tmux> {
        if Command::new("tmux").arg("-V").stdout(Stdio::null()).status().is_err() {
            assert!(std::env::var_os("GATEWITNESS_TEST_ALL").is_none(), "tmux is needed");
            eprintln!("SKIPPED: there is no tmux; tests/run installs it");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let socket = format!("gatewitness-{}", folder.path().file_name().unwrap().to_string_lossy());
        let tmux = Tmux { socket, folder };
        let (width, height) = (width.to_string(), height.to_string());
        let shell = format!("cd {}; {line}; echo EXIT $?; stty -a | grep -o -e '-\\?icanon'; exec sleep 60", env!("CARGO_MANIFEST_DIR"));
        let status = tmux.command(&["-f", "/dev/null", "new-session", "-d", "-x", &width, "-y", &height, &shell]).status();
        assert!(status.is_ok_and(|status| status.success()), "tmux starts");
        Some(tmux)
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-L").arg(&self.socket).args(words).env("LANG", "C.UTF-8").env("LC_ALL", "C.UTF-8").env_remove("NO_COLOR");
        command.env_remove("TMUX").stdin(Stdio::null());
        command
    }

    pub fn keys(&self, keys: &[&str]) {
        let words: Vec<&str> = ["send-keys"].into_iter().chain(keys.iter().copied()).collect();
        assert!(self.command(&words).status().is_ok_and(|status| status.success()), "{keys:?}");
    }

    pub fn screen(&self) -> String {
        let out = self.command(&["capture-pane", "-p"]).output().expect("tmux answers");
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// Waits until the screen shows it.
    pub fn wait(&self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            let screen = self.screen();
            if screen.contains(text) {
                return screen;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "`{text}` does not come:\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The process id that the line wrote.
    pub fn pid(&self) -> String {
        let path = self.path("pid");
        let begun = Instant::now();
        loop {
            match std::fs::read_to_string(&path) {
                Ok(pid) if pid.ends_with('\n') => return pid.trim().to_owned(),
                _ => assert!(begun.elapsed() < Duration::from_secs(10), "no process id"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = self.command(&["kill-server"]).status();
    }
}

/// The tool, never longer than a minute.
pub fn watch(words: &str) -> String {
    format!("timeout --foreground 60 {} watch {words}", env!("CARGO_BIN_EXE_gatewitness"))
}
