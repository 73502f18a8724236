//! `gatewitness man`: for packagers.

use std::io::{self, Write};

use anyhow::Context;
use clap::{Args, CommandFactory};

use super::Cli;
use super::exit::Exit;

/// Print the manual page, of the tool or of one command
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  gatewitness man replay | man -l -")]
pub(super) struct Man {
    /// A command's page instead of the tool's
    command: Option<String>,
}

impl Man {
    /// Writes it to standard output.
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let mut tool = Cli::command().disable_help_subcommand(true);
        tool.build();
        let page = match &self.command {
            None => tool,
            Some(name) => {
                let found = tool.find_subcommand(name).with_context(|| format!("there is no command `{name}`"))?;
                found.clone()
            }
        };
        let mut text = Vec::new();
        clap_mangen::Man::new(page).render(&mut text)?;
        io::stdout().write_all(&text)?;
        Ok(Exit::Clean)
    }
}
