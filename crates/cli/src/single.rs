//! One model outside an experiment, from its options to its weights; and the process it is measured in.

use crate::arguments::Shape;
use crate::experiments;
use crate::failure::{Failure, Outcome};
use anyhow::Context;
use seqbench_core::{Error, InputKind, OutputKind, Registry, Signature};
use seqbench_harness::checkpoint::{Checkpoint, Examples};
use seqbench_harness::plan::{self, Posed, Request, Single, Training};
use seqbench_harness::run::environment;
use seqbench_harness::train::{Decay, Trainer};
use std::path::Path;
use std::process::Command;

const WIDTH: u32 = 128;
const LAYERS: u32 = 2;
const VOCABULARY: u32 = 64;
/// An answer within this of its target counts as right; nothing here scores answers.
const TOLERANCE: f64 = 0.04;
/// Encoder and readout of more weights than this are refused.
const MOST_WEIGHTS: u64 = 1_000_000_000;

/// A model with its weights, and how it is trained.
pub(crate) struct Subject {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) training: Training,
    pub(crate) decay: Decay,
}

/// A model as its options say, with fresh weights, for sequences of at most `horizon` steps.
pub(crate) fn fresh(
    architecture: &str,
    shape: &Shape,
    horizon: usize,
    registry: &Registry,
) -> Result<Subject, Failure> {
    fresh_of(architecture, shape, signature(shape)?, horizon, registry)
}

/// As [`fresh`], of a signature that is not said by the options.
pub(crate) fn fresh_of(
    architecture: &str,
    shape: &Shape,
    signature: Signature,
    horizon: usize,
    registry: &Registry,
) -> Result<Subject, Failure> {
    let single = resolve(architecture, shape, horizon, registry)?;
    let width = single.model.width as u64;
    let (inputs, outputs) = (inputs(signature.input) as u64, signature.output.width() as u64);
    if width * (inputs + outputs) > MOST_WEIGHTS {
        return Err(Failure::usage(format!(
            "error: encoder and readout of width {width} would have {} weights; the limit is {MOST_WEIGHTS}",
            width * (inputs + outputs)
        )));
    }
    let checkpoint =
        Checkpoint::fresh(single.model.clone(), signature, horizon, shape.seed, registry).map_err(failure)?;
    Ok(Subject { checkpoint, training: single.training, decay: decay(shape.as_peers) })
}

/// The model of a file with the weights in it; options may say again what it is, and nothing else.
pub(crate) fn read(
    path: &Path,
    architecture: Option<&str>,
    shape: &Shape,
    registry: &Registry,
) -> Result<Subject, Failure> {
    let checkpoint = checkpoint(path, registry)?;
    let model = &checkpoint.model;
    let Signature { input, output } = checkpoint.signature;
    let (vocabulary, features) = match input {
        InputKind::Tokens(count) => (Some(count), None),
        InputKind::Features(count) => (None, Some(count)),
    };
    let (classes, values) = match output {
        OutputKind::Classes(count) => (Some(count), None),
        OutputKind::Regression { dim, .. } => (None, Some(dim)),
    };
    let said = [
        ("--dim", shape.dim, Some(model.width)),
        ("--layers", shape.layers, Some(model.layers.len())),
        ("--vocab", shape.vocab, vocabulary),
        ("--features", shape.features, features),
        ("--classes", shape.classes, classes),
        ("--values", shape.values, values),
    ];
    for (option, said, own) in said {
        if let Some(said) = said.filter(|said| Some(*said as usize) != own) {
            let own = own.map_or("none".to_owned(), |own| own.to_string());
            return Err(Failure::usage(format!(
                "error: {option} is {said}, that of {} {own}",
                path.display()
            )));
        }
    }
    let own = checkpoint.architecture();
    if let Some(said) = architecture.filter(|said| *said != own) {
        return Err(Failure::usage(format!(
            "error: --model is `{said}`, that of {} `{own}`",
            path.display()
        )));
    }
    Ok(Subject { checkpoint, training: training(shape.as_peers)?, decay: decay(shape.as_peers) })
}

/// The checkpoint in a file.
pub(crate) fn checkpoint(path: &Path, registry: &Registry) -> Result<Checkpoint, Failure> {
    let bytes = bytes(path)?;
    let read =
        Checkpoint::from_bytes(&bytes, registry).with_context(|| format!("cannot use {}", path.display()));
    Ok(read?)
}

/// The inputs in a file, for a model of this signature.
pub(crate) fn examples(path: &Path, signature: Signature) -> Result<Examples, Failure> {
    let bytes = bytes(path)?;
    let read = Examples::read(&bytes, signature).with_context(|| format!("cannot use {}", path.display()));
    Ok(read?)
}

fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    Ok(std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?)
}

/// A task as its options say.
pub(crate) fn pose(name: &str, settings: &[String], registry: &Registry) -> Result<Posed, Failure> {
    plan::pose(name, settings, registry).map_err(|error| Failure::Usage(error.to_string()))
}

/// How peers train, or what every experiment does by default.
fn training(as_peers: bool) -> Result<Training, Failure> {
    plan::training(as_peers.then(experiments::yardstick)).map_err(|error| Failure::Usage(error.to_string()))
}

/// A trainer of a checkpoint as peers train theirs.
pub(crate) fn peers_trainer(checkpoint: &Checkpoint, registry: &Registry) -> Result<Trainer, Failure> {
    checkpoint.trainer(&training(true)?, decay(true), registry).map_err(failure)
}

/// The specification that options give; as peers, that of the yardstick.
fn resolve(
    architecture: &str,
    shape: &Shape,
    horizon: usize,
    registry: &Registry,
) -> Result<Single, Failure> {
    let request = Request {
        architecture,
        width: shape.dim.unwrap_or(WIDTH) as usize,
        layers: shape.layers.unwrap_or(LAYERS) as usize,
        settings: &shape.set,
        horizon,
        yardstick: shape.as_peers.then(experiments::yardstick),
    };
    plan::single(&request, registry).map_err(|error| Failure::Usage(error.to_string()))
}

/// Peers hand all parameters of a module to their optimizer.
fn decay(as_peers: bool) -> Decay {
    if as_peers { Decay::All } else { Decay::Flagged }
}

fn signature(shape: &Shape) -> Result<Signature, Failure> {
    let vocabulary = shape.vocab.unwrap_or(VOCABULARY) as usize;
    let input = match shape.features {
        Some(features) => InputKind::Features(features as usize),
        None => InputKind::Tokens(vocabulary),
    };
    let output = match (shape.values, shape.classes, shape.features) {
        (Some(dim), ..) => OutputKind::Regression { dim: dim as usize, tolerance: TOLERANCE },
        (None, Some(classes), _) => OutputKind::Classes(classes as usize),
        (None, None, None) => OutputKind::Classes(vocabulary),
        (None, None, Some(_)) => {
            return Err(Failure::usage(
                "error: --features needs --classes or --values: features say nothing of the answer",
            ));
        }
    };
    Ok(Signature { input, output })
}

fn inputs(kind: InputKind) -> usize {
    match kind {
        InputKind::Tokens(count) | InputKind::Features(count) => count,
    }
}

/// Settings that make no model are a matter of usage, all else of the environment.
pub(crate) fn failure(error: Error) -> Failure {
    match error {
        Error::Invalid(_) | Error::Config(_) => Failure::usage(format!("error: {error}")),
        other => Failure::Environment(other.into()),
    }
}

/// Goes on where this process computes with that many threads as a worker does, and else starts it again so: threads and
/// allocator read their settings once, before anything can be said to them here. `None`: all cores.
///
/// Returns their number, or nothing where another process has done the work.
pub(crate) fn with_threads(threads: Option<u32>) -> Result<Option<u32>, Failure> {
    let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let threads = threads.unwrap_or_else(cores);
    let wanted = environment(threads);
    if wanted.iter().all(|(name, value)| std::env::var(name).is_ok_and(|own| own == *value)) {
        return Ok(Some(threads));
    }
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).envs(wanted);
    again(command).map(|()| None)
}

/// Takes this process's place.
#[cfg(unix)]
fn again(mut command: Command) -> Outcome {
    let error = std::os::unix::process::CommandExt::exec(&mut command);
    Err(anyhow::Error::new(error).context("cannot start this program again").into())
}

/// Waits for the other process, and ends as it did.
#[cfg(not(unix))]
fn again(mut command: Command) -> Outcome {
    match command.status().context("cannot start this program again")?.code() {
        Some(0) => Ok(()),
        Some(1) => Err(Failure::Incomplete),
        code => Err(anyhow::anyhow!("the measuring process ended with {code:?}").into()),
    }
}
