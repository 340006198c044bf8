//! What can be done with a checkpoint and a task: training from there, and probing its gradients.

use super::Checkpoint;
use crate::data::Data;
use crate::evaluate::evaluate;
use crate::metrics::Tally;
use crate::plan::{NUMERICS_VERSION, Posed, Training};
use crate::probe::{Probe, Probed};
use crate::spec::GradientSpec;
use crate::train::{Decay, StepReport};
use candle_core::DType;
use seqbench_core::{Error, InputKind, OutputKind, Registry, Result, Split};
use seqbench_record::{Cell, CellFiles, Labels, Provenance, Purpose, SCHEMA_VERSION, Status, digest, hash};
use std::collections::BTreeMap;

/// The stage that rows of a probed checkpoint name.
pub const STAGE: &str = "checkpoint";

/// A checkpoint after training.
#[derive(Debug)]
pub struct Learnt {
    /// It.
    pub checkpoint: Checkpoint,
    /// How it answers fresh samples of the validation stream.
    pub validation: Tally,
}

/// Trains from a checkpoint; `progress` is told of every step. Where loss or gradient stop being finite, the step that
/// happened at comes instead.
///
/// # Errors
/// The task's sequences do not fit the model.
pub fn learn(
    checkpoint: &Checkpoint,
    task: &Posed,
    training: &Training,
    samples: usize,
    seed: u64,
    registry: &Registry,
    progress: &mut dyn FnMut(u64, &StepReport),
) -> Result<std::result::Result<Learnt, u64>> {
    fits(checkpoint, task)?;
    let mut trainer = checkpoint.trainer(training, Decay::Flagged, registry)?;
    let mut data = Data::new(&task.instance, seed);
    for step in 0..training.spec.steps {
        let report = trainer.step(&data.training_batch(step, &training.spec), step)?;
        if !report.is_finite() {
            return Ok(Err(step + 1));
        }
        progress(step + 1, &report);
    }
    let length = task.instance.nominal_length();
    let batches = data.evaluation(Split::Validation, length, samples, Some(samples));
    let validation = evaluate(trainer.evaluated(), checkpoint.signature.output, batches)?;
    let parameters = trainer.parameters().to_dtype(DType::F32)?;
    Ok(Ok(Learnt { checkpoint: Checkpoint { parameters, ..checkpoint.clone() }, validation }))
}

/// Probes a checkpoint's gradients on a task. The rows name their stage [`STAGE`].
///
/// # Errors
/// The task's sequences do not fit the model.
pub fn gradients(
    checkpoint: &Checkpoint,
    task: &Posed,
    spec: &GradientSpec,
    seed: u64,
    registry: &Registry,
) -> Result<Probed> {
    fits(checkpoint, task)?;
    let data = Data::new(&task.instance, seed);
    let Checkpoint { model, parameters, signature, horizon } = checkpoint;
    let probe = Probe::new(model, parameters, &data, *signature, *horizon, registry, spec)?;
    probe.run(STAGE, 0)
}

/// What was found, as the cell of an experiment holds it: for tables, figures and files. `label` is what legends call it.
///
/// # Errors
/// A weight cannot be read.
pub fn as_cell(
    checkpoint: &Checkpoint,
    task: &Posed,
    spec: &GradientSpec,
    seed: u64,
    label: &str,
    found: Probed,
    provenance: Provenance,
) -> Result<CellFiles> {
    let config = serde_json::json!({
        "model": checkpoint.model, "task": task.spec, "gradients": spec, "seed": seed,
        "weights": digest(&checkpoint.to_bytes()?),
    });
    let id = hash(&config, NUMERICS_VERSION);
    let facts = BTreeMap::from([("parameters".to_owned(), checkpoint.parameters.count() as f64)]);
    let cell = Cell {
        schema: SCHEMA_VERSION,
        numerics: NUMERICS_VERSION,
        group: id.clone(),
        id,
        experiment: "model-gradients".into(),
        purpose: Purpose::Final,
        status: Status::Done,
        reason: None,
        labels: Labels {
            architecture: checkpoint.architecture(),
            model: label.to_owned(),
            task: task.spec.kind.clone(),
            coordinates: Vec::new(),
            seed,
        },
        config,
        facts,
        references: Vec::new(),
        provenance,
    };
    Ok(CellFiles {
        cell,
        scores: Vec::new(),
        curves: found.curves,
        profiles: found.profiles,
        spectra: found.spectra,
        traces: found.traces,
        timings: Vec::new(),
        memory: Vec::new(),
        conditions: Vec::new(),
    })
}

/// Whether the model reads and answers what the task asks.
fn fits(checkpoint: &Checkpoint, task: &Posed) -> Result<()> {
    let (own, asked) = (checkpoint.signature, task.instance.signature());
    let says = |what: &str, own: String, asked: String| {
        let kind = &task.spec.kind;
        Err(Error::invalid(format!(
            "the model {what} {own}, the task `{kind}` as set {asked}: `model init --task {kind}` makes one that fits"
        )))
    };
    if own.input != asked.input {
        return says("reads", inputs(own.input), inputs(asked.input));
    }
    let same = match (own.output, asked.output) {
        (OutputKind::Regression { dim, .. }, OutputKind::Regression { dim: other, .. }) => dim == other,
        (own, asked) => own == asked,
    };
    if !same {
        return says("answers with", outputs(own.output), outputs(asked.output));
    }
    Ok(())
}

fn inputs(kind: InputKind) -> String {
    match kind {
        InputKind::Tokens(count) => format!("{count} symbols"),
        InputKind::Features(count) => format!("{count} features a step"),
    }
}

fn outputs(kind: OutputKind) -> String {
    match kind {
        OutputKind::Classes(count) => format!("{count} classes"),
        OutputKind::Regression { dim, .. } => format!("{dim} real values"),
    }
}
