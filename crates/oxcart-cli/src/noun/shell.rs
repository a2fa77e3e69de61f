//! Completions and man pages.

use std::io;
use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::args::Cli;
use crate::trouble::Trouble;

/// For bash: `oxcart completions bash > ~/.local/share/bash-completion/completions/oxcart`
#[derive(Args)]
pub(crate) struct Completions {
    shell: clap_complete::Shell,
}

/// To read it: `oxcart man | man -l -`
#[derive(Args)]
pub(crate) struct Man {
    /// Write a page for each command into this folder instead
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Written at once: the generators take a closed pipe for a fault of the program.
fn print(text: &[u8]) -> Result<(), Trouble> {
    use io::Write;
    let mut stdout = io::stdout().lock();
    stdout.write_all(text)?;
    Ok(stdout.flush()?)
}

impl Completions {
    pub(crate) fn run(self) -> Result<(), Trouble> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "oxcart", &mut text);
        print(&text)
    }
}

impl Man {
    pub(crate) fn run(self) -> Result<(), Trouble> {
        let Some(folder) = self.out else {
            let mut text = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut text)?;
            return print(&text);
        };
        let written = std::fs::create_dir_all(&folder)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), &folder));
        written.map_err(|error| {
            Trouble::error(format!(
                "cannot write man pages into {}: {error}",
                folder.display()
            ))
        })
    }
}
