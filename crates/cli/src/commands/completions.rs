//! `seqbench completions` and `seqbench man`: generated from the arguments themselves.

use crate::arguments::{Arguments, Completions};
use crate::failure::Outcome;
use crate::terminal;
use anyhow::Context;
use clap::CommandFactory;

/// Prints a completion script.
pub(crate) fn run(arguments: &Completions) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "seqbench", &mut script);
    terminal::print(String::from_utf8_lossy(&script).trim_end());
    Ok(())
}

/// Prints the manual page, in roff.
pub(crate) fn man() -> Outcome {
    let mut page = Vec::new();
    clap_mangen::Man::new(Arguments::command()).render(&mut page).context("cannot render the manual page")?;
    terminal::print(String::from_utf8_lossy(&page).trim_end());
    Ok(())
}
