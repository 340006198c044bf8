//! `[match]`: widths at which models are equal in parameters, state or operations.

use super::error::{Result, refuse};
use super::expand::TaskFacts;
use super::model::Model;
use super::section::{Limits, Section, found, real};
use crate::model::parameter_count;
use crate::spec::{Block, ModelSpec};
use seqbench_core::config::{ConfigError, Data, Span, Value};
use seqbench_core::{ConfiguredCore, InputKind};

/// A deviation above this is told as one that could not be removed.
const TOLERANCE: f64 = 0.05;
/// Widths beyond this are not tried.
const MAX_WIDTH: usize = 16_384;
/// Widths tried on either side of the best, which not every architecture can be built at.
const NEIGHBOURS: usize = 16;
/// The MLP may become this many times as wide or narrow as its stated ratio.
const STRETCH: f64 = 2.0;

/// What is made equal, and to what.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Match {
    quantity: Quantity,
    pub(super) goal: Goal,
    pub(super) span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Quantity {
    /// Parameters of the whole model.
    Parameters,
    /// Bytes of the state of one sequence after a context; the task's sequence where none is given.
    StateBytes { context: Option<usize> },
    /// Multiply-adds of one training step, a sequence.
    Operations,
}

/// A number, or the model that is left as it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Goal {
    Number(f64),
    Model(String),
}

/// Reads `[match]`; `labels` are those of the models, one of which may be the goal.
pub(super) fn resolve(value: Option<&Value>, labels: &[String]) -> Result<Option<Match>> {
    if value.is_none() {
        return Ok(None);
    }
    let mut section = Section::new(value, "match")?;
    let span = section.span().clone();
    let mut stated = Vec::new();
    for key in ["parameters", "state_bytes", "operations"] {
        stated.extend(section.take(key));
    }
    let context = section.size("context", 1..=1 << 30)?;
    section.finish()?;
    let [entry] = stated.as_slice() else {
        return refuse("`match` needs exactly one of `parameters`, `state_bytes` and `operations`", &span);
    };
    let quantity = match entry.key.as_str() {
        "parameters" => Quantity::Parameters,
        "operations" => Quantity::Operations,
        _ => Quantity::StateBytes { context },
    };
    if context.is_some() && !matches!(quantity, Quantity::StateBytes { .. }) {
        return refuse("`context` belongs to `state_bytes`: drop it", &span);
    }
    let goal = match entry.value.as_str() {
        Some(label) if labels.iter().any(|own| own == label) => Goal::Model(label.to_owned()),
        Some(label) => return Err(ConfigError::unknown("model", label, labels, entry.value.span.clone())),
        None if matches!(entry.value.data, Data::Integer(_) | Data::Float(_)) => {
            Goal::Number(real(entry, Limits::above(0.0, 1e15))?)
        }
        None => {
            let message =
                format!("`{}` must be a number or a model's label, found {}", entry.key, found(&entry.value));
            return refuse(message, &entry.value.span);
        }
    };
    Ok(Some(Match { quantity, goal, span: entry.value.span.clone() }))
}

impl Match {
    /// How much of the quantity a model has on a task.
    pub(super) fn of(&self, model: &Model, task: &TaskFacts) -> f64 {
        self.at(&model.spec, &model.cores, task)
    }

    fn at(&self, spec: &ModelSpec, cores: &[Box<dyn ConfiguredCore>], task: &TaskFacts) -> f64 {
        match self.quantity {
            Quantity::Parameters => parameter_count(spec, cores, task.signature) as f64,
            Quantity::StateBytes { context } => {
                let context = context.unwrap_or(task.steps);
                cores.iter().map(|core| core.state_bytes(spec.width, context) as f64).sum()
            }
            Quantity::Operations => training_operations(spec, cores, task),
        }
    }

    /// Gives a model the width, and then the MLP, that come nearest to the goal; returns what it has then.
    pub(super) fn fit(&self, model: &mut Model, goal: f64, task: &TaskFacts, span: &Span) -> Result<f64> {
        let at = |width: usize, mlp: f64| {
            let spec = ModelSpec { width, mlp, ..model.spec.clone() };
            self.at(&spec, &model.cores, task)
        };
        let mlp = model.spec.mlp;
        let below = (1..=MAX_WIDTH.ilog2()).rev().fold(0, |width, bit| {
            if at(width + (1 << bit), mlp) <= goal { width + (1 << bit) } else { width }
        });
        let below = if at(below + 1, mlp) <= goal { below + 1 } else { below };
        let mut widths: Vec<usize> =
            (below.saturating_sub(NEIGHBOURS).max(1)..=(below + NEIGHBOURS).min(MAX_WIDTH)).collect();
        widths.sort_by(|a, b| distance(at(*a, mlp), goal).total_cmp(&distance(at(*b, mlp), goal)));
        let Some(width) = widths.into_iter().find(|width| model.can_be_built(*width, task.steps)) else {
            return refuse(
                format!("no width near {below} suits this model, so that it cannot be matched"),
                span,
            );
        };
        let stated = (mlp * width as f64).round();
        let (least, most) = ((stated / STRETCH).ceil() as usize, (stated * STRETCH) as usize);
        let ratios = (least.max(1)..=most).map(|hidden| hidden as f64 / width as f64);
        let ratio = std::iter::once(mlp)
            .chain(ratios.filter(|_| model.spec.block == Block::Residual && stated > 0.0))
            .min_by(|a, b| distance(at(width, *a), goal).total_cmp(&distance(at(width, *b), goal)));
        model.spec.width = width;
        model.spec.mlp = ratio.unwrap_or(mlp);
        Ok(self.of(model, task))
    }

    /// What a person is told of a model that was fitted.
    pub(super) fn note(&self, label: &str, task: &str, model: &ModelSpec, reached: f64, goal: f64) -> String {
        let deviation = reached / goal - 1.0;
        let what = match self.quantity {
            Quantity::Parameters => "parameters",
            Quantity::StateBytes { .. } => "bytes of state",
            Quantity::Operations => "multiply-adds a training sequence",
        };
        let mlp = if model.mlp > 0.0 { format!(", mlp {:.3}", model.mlp) } else { String::new() };
        let warning = if deviation.abs() > TOLERANCE { "; no width comes nearer" } else { "" };
        format!(
            "match: {label} on {task}: width {}{mlp}, {reached} {what} ({:+.1} %){warning}",
            model.width,
            100.0 * deviation
        )
    }
}

/// How far a quantity is from the goal: the logarithm of their ratio, so that twice and half are equally far.
fn distance(quantity: f64, goal: f64) -> f64 {
    (quantity.max(f64::MIN_POSITIVE) / goal).ln().abs()
}

/// Multiply-adds of one sequence forward and, at twice that, backward: encoder, cores, MLPs, and the readout where answers
/// are in the loss. Norms, activations and the optimizer are left out.
fn training_operations(spec: &ModelSpec, cores: &[Box<dyn ConfiguredCore>], task: &TaskFacts) -> f64 {
    let (width, steps) = (spec.width as f64, task.steps as f64);
    let encoder = match task.signature.input {
        InputKind::Tokens(_) => 0.0,
        InputKind::Features(features) => features as f64 * width * steps,
    };
    let hidden = (spec.mlp * width).round();
    let layers: f64 = cores
        .iter()
        .map(|core| core.forward_operations(spec.width, task.steps) + 2.0 * hidden * width * steps)
        .sum();
    let readout = width * task.signature.output.width() as f64 * task.answers as f64;
    3.0 * (encoder + layers + readout)
}
