//! The hidden `seqbench worker`: the child's side of `run`.

use crate::failure::Outcome;
use anyhow::Context;
use seqbench_core::Registry;
use seqbench_harness::run::{Cells, end_with_parent, serve};
use std::io;

/// Serves requests on standard input until the parent has no more.
pub(crate) fn run(registry: &Registry) -> Outcome {
    end_with_parent();
    let work = Cells::new(registry);
    serve(&work, &mut io::stdin().lock(), &mut io::stdout().lock()).context("lost the parent process")?;
    Ok(())
}
