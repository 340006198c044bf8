//! The hidden `seqbench worker`: the child's side of `run`.

use crate::failure::Outcome;
use crate::signals;
use anyhow::Context;
use seqbench_core::Registry;
use seqbench_harness::run::{Cells, end_with_parent, serve};
use std::io;

/// Serves requests on standard input until the parent has no more. A signal that stops a run reaches all of its processes;
/// this one keeps its cell and leaves the rest to its parent.
pub(crate) fn run(registry: &Registry) -> Outcome {
    end_with_parent();
    let stop = signals::stop_flag().context("cannot listen to signals")?;
    let work = Cells::until(registry, stop);
    serve(&work, &mut io::stdin().lock(), &mut io::stdout().lock()).context("lost the parent process")?;
    Ok(())
}
