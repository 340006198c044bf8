//! `seqbench model`: weights in, numbers out, so that another program can check what a model computes, or start from the
//! same weights.

use crate::arguments::{Forward, Init, Model, ModelCommand};
use crate::commands::laboratory;
use crate::failure::{Failure, Outcome};
use crate::single;
use anyhow::Context;
use seqbench_core::Registry;
use seqbench_harness::checkpoint::{outputs, write_whole};
use seqbench_record::RealDisk;
use std::path::Path;

/// Makes weights, or computes with them.
pub(crate) fn run(arguments: &Model, registry: &Registry) -> Outcome {
    match &arguments.command {
        ModelCommand::Init(init) => make(init, registry),
        ModelCommand::Forward(forward) => compute(forward, registry),
        ModelCommand::Train(train) => laboratory::train(train, registry),
        ModelCommand::Gradients(gradients) => laboratory::gradients(gradients, registry),
    }
}

fn make(arguments: &Init, registry: &Registry) -> Outcome {
    is_safetensors(&arguments.output)?;
    let (model, shape) = (&arguments.model, &arguments.shape);
    let subject = match &arguments.task {
        None => single::fresh(model, shape, arguments.length as usize, registry)?,
        Some(task) => {
            let task = single::pose(task, &arguments.task_set, registry)?;
            single::fresh_of(model, shape, task.instance.signature(), task.instance.steps(), registry)?
        }
    };
    write(&arguments.output, &subject.checkpoint.to_bytes().map_err(single::failure)?)
}

fn compute(arguments: &Forward, registry: &Registry) -> Outcome {
    is_safetensors(&arguments.output)?;
    for (option, path) in [("--checkpoint", &arguments.checkpoint), ("--input", &arguments.input)] {
        if same(path, &arguments.output) {
            return Err(Failure::usage(format!(
                "error: --output is the file of {option}, and would replace it"
            )));
        }
    }
    if single::with_threads(arguments.threads)?.is_none() {
        return Ok(());
    }
    let checkpoint = single::checkpoint(&arguments.checkpoint, registry)?;
    let examples = single::examples(&arguments.input, checkpoint.signature)?;
    if arguments.gradients && examples.targets.is_none() {
        return Err(Failure::usage(format!(
            "error: --gradients needs a loss, and {} has no `targets`",
            arguments.input.display()
        )));
    }
    let found = outputs(&checkpoint, &examples, arguments.gradients, registry);
    let bytes = found.and_then(|found| found.into_bytes());
    write(&arguments.output, &bytes.context("cannot compute the outputs")?)
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Outcome {
    let written = write_whole(&RealDisk, path, bytes);
    Ok(written.with_context(|| format!("cannot write {}", path.display()))?)
}

/// What is written is one format, whatever the name promises.
pub(super) fn is_safetensors(path: &Path) -> Outcome {
    if path.extension().is_some_and(|extension| extension == "safetensors") {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "error: --output is {}, but safetensors is what is written: let its name end in .safetensors",
        path.display()
    )))
}

/// Whether two paths lead to one file that is there.
pub(super) fn same(a: &Path, b: &Path) -> bool {
    a == b || a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
}
