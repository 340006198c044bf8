//! `seqbench model train` and `seqbench model gradients`: a person's own weights, trained on a task and probed on it.

use crate::arguments::{Gradients, Train};
use crate::commands::model::{is_safetensors, same, write};
use crate::commands::run::write_report;
use crate::failure::{Failure, Outcome};
use crate::{single, terminal};
use anyhow::Context;
use seqbench_core::Registry;
use seqbench_harness::checkpoint;
use seqbench_harness::spec::GradientSpec;
use seqbench_harness::train::StepReport;
use seqbench_harness::{instruction_set, plan};
use seqbench_record::{CellFiles, Store, provenance};
use seqbench_report::table::{Format, tables};
use std::path::Path;
use std::time::Instant;

/// Losses that are told of on the way.
const TOLD: u64 = 10;

/// Trains from a checkpoint and writes the weights.
pub(crate) fn train(arguments: &Train, registry: &Registry) -> Outcome {
    is_safetensors(&arguments.output)?;
    if same(&arguments.checkpoint, &arguments.output) {
        return Err(Failure::usage("error: --output is the file of the checkpoint, and would replace it"));
    }
    let training = plan::trained(&arguments.set).map_err(|error| Failure::Usage(error.to_string()))?;
    let task = single::pose(&arguments.posed.task, &arguments.posed.task_set, registry)?;
    if single::with_threads(arguments.threads)?.is_none() {
        return Ok(());
    }
    let read = single::checkpoint(&arguments.checkpoint, registry)?;
    let steps = training.spec.steps;
    let mut tell = |taken: u64, report: &StepReport| {
        if taken == steps || taken.is_multiple_of(steps.div_ceil(TOLD)) {
            terminal::note(&format!("step {taken} of {steps}: loss {:.4}", report.loss));
        }
    };
    let samples = arguments.samples as usize;
    let seed = arguments.posed.seed;
    let learnt = checkpoint::learn(&read, &task, &training, samples, seed, registry, &mut tell)
        .map_err(single::failure)?;
    let learnt = match learnt {
        Ok(learnt) => learnt,
        Err(step) => {
            terminal::error(&format!(
                "error: training diverged: loss or gradient stopped being finite at step {step}; nothing was written\n\
                 help: a smaller `--set lr=…`, or a `clip` that holds it"
            ));
            return Err(Failure::Incomplete);
        }
    };
    write(&arguments.output, &learnt.checkpoint.to_bytes().map_err(single::failure)?)?;
    let score = match task.instance.signature().output.has_accuracy() {
        true => format!("accuracy {:.4}", learnt.validation.accuracy()),
        false => format!("loss {:.4}", learnt.validation.loss()),
    };
    terminal::print(&format!("{score} on {samples} fresh samples (validation stream, seed {seed})"));
    Ok(())
}

/// Probes checkpoints, prints the tables, and writes everything where that was asked for.
pub(crate) fn gradients(arguments: &Gradients, registry: &Registry) -> Outcome {
    let task = single::pose(&arguments.posed.task, &arguments.posed.task_set, registry)?;
    let Some(threads) = single::with_threads(arguments.threads)? else { return Ok(()) };
    let spec = GradientSpec {
        samples: arguments.samples as usize,
        max_distance: arguments.max_distance.map(|distance| distance as usize),
        per_decade: arguments.per_decade as usize,
        theory: true,
        jacobians: true,
        signals: true,
        trace: true,
        ..GradientSpec::default()
    };
    let isa = instruction_set().map_err(|error| Failure::usage(format!("error: {error}")))?;
    let seed = arguments.posed.seed;
    let mut cells: Vec<CellFiles> = Vec::new();
    for path in &arguments.checkpoints {
        let start = Instant::now();
        let read = single::checkpoint(path, registry)?;
        let found = checkpoint::gradients(&read, &task, &spec, seed, registry).map_err(single::failure)?;
        let provenance = provenance(isa, threads, start.elapsed().as_secs_f64());
        let label = label(path, &read.architecture(), arguments.checkpoints.len());
        let cell = checkpoint::as_cell(&read, &task, &spec, seed, &label, found, provenance);
        cells.push(cell.map_err(single::failure)?);
    }
    let written = arguments.out.as_ref().map(|folder| keep(&cells, folder)).transpose()?;
    let text: Vec<String> = tables(&cells).iter().map(|table| table.render(Format::Text)).collect();
    terminal::print(text.join("\n").trim_end());
    if let (Some(figures), Some(folder)) = (written, &arguments.out) {
        terminal::note(&format!(
            "\nRows, the full tables and {figures} figures are in {} (cells/, tables/, plots/).",
            folder.display()
        ));
    }
    Ok(())
}

/// What legends call a checkpoint: its architecture, and its file's name where there are several.
fn label(path: &Path, architecture: &str, checkpoints: usize) -> String {
    match path.file_stem() {
        Some(stem) if checkpoints > 1 => format!("{architecture} {}", stem.to_string_lossy()),
        _ => architecture.to_owned(),
    }
}

/// Writes cells, tables and figures; returns the number of figures.
fn keep(cells: &[CellFiles], folder: &Path) -> Result<usize, Failure> {
    let store = Store::open(folder);
    for files in cells {
        store.write(files).with_context(|| format!("cannot keep results in {}", folder.display()))?;
    }
    Ok(write_report(cells, folder)?.len())
}
