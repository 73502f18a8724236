//! `gatewitness completions`: for packagers and shells.

use std::io::{self, Write};

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::Cli;
use super::exit::Exit;

/// Print a shell's completion script
#[derive(Clone, Debug, Args)]
pub(super) struct Completions {
    /// Which shell
    shell: Shell,
}

impl Completions {
    /// Writes it to standard output.
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        // `generate` panics where it cannot write: give it memory.
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "gatewitness", &mut script);
        io::stdout().write_all(&script)?;
        Ok(Exit::Clean)
    }
}
