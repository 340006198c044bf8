//! One optimizer step after another: forward, loss over the steps the task puts in it, backward, clipping, update.

use crate::inputs::{windows, without_padding};
use crate::model::Model;
use crate::schedule::learning_rate;
use crate::spec::{ClipSpec, ModelSpec, OptimizerSpec, TrainSpec};
use candle_core::{DType, Tensor, Var};
use seqbench_core::{Batch, Error, OutputKind, ParameterStore, Params, Registry, Result, Signature, Targets};
use seqbench_kernels::optimizer::{
    Adamw, AdamwSettings, Clip, Moments, Optimizer, Sgd, SgdSettings, global_norm,
};
use seqbench_kernels::tape::Tape;
use seqbench_kernels::{cross_entropy, mean_squared_error};

/// A model in training: its parameters, the two views of them, and the optimizer.
pub struct Trainer {
    store: ParameterStore,
    variables: Vec<Var>,
    model: Model,
    evaluated: Model,
    optimizer: Box<dyn Optimizer>,
    spec: TrainSpec,
    peak: f64,
    output: OutputKind,
}

/// Which parameters weight decay shrinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decay {
    /// Those whose flags allow it: no biases, norms or eigenvalues.
    Flagged,
    /// All of them, as PyTorch's optimizers do with the parameters of a module.
    All,
}

/// What a step says of itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Mean loss over the steps in the loss, before the update: nats or squared error.
    pub loss: f64,
    /// Global gradient norm before clipping.
    pub norm_before: f64,
    /// Global gradient norm as applied.
    pub norm_after: f64,
    /// Learning rate.
    pub rate: f64,
}

impl StepReport {
    /// Whether loss and gradient are finite. Where they are not, no parameter was changed.
    pub fn is_finite(&self) -> bool {
        self.loss.is_finite() && self.norm_before.is_finite()
    }
}

/// Gradient norms of one part of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct PartNorm {
    /// `encoder`, `layers.0`, …, `norm`, `readout`.
    pub part: String,
    /// Before clipping.
    pub before: f64,
    /// As applied.
    pub after: f64,
}

/// The part of a model that a parameter of this name belongs to.
fn part(name: &str) -> &str {
    let end = match name.strip_prefix("layers.").and_then(|rest| rest.find('.')) {
        Some(at) => "layers.".len() + at,
        None => name.find('.').unwrap_or(name.len()),
    };
    &name[..end]
}

/// Norms of every part's gradients, in the order of the parameters; `after` is right for clipping by value and for none.
fn part_norms(names: &[String], gradients: &[Option<&Tensor>], clip: ClipSpec) -> Result<Vec<PartNorm>> {
    let mut parts: Vec<(String, Vec<Option<&Tensor>>)> = Vec::new();
    for (name, gradient) in names.iter().zip(gradients) {
        match parts.iter_mut().find(|(part, _)| part == name) {
            Some((_, own)) => own.push(*gradient),
            None => parts.push((name.clone(), vec![*gradient])),
        }
    }
    parts
        .into_iter()
        .map(|(part, own)| {
            let before = global_norm(&own)?;
            let after = match clip {
                ClipSpec::Value(limit) => {
                    let clamp = |gradient: &&Tensor| gradient.clamp(-limit, limit);
                    let clamped = own.iter().flatten().map(clamp).collect::<candle_core::Result<Vec<_>>>()?;
                    global_norm(&clamped.iter().map(Some).collect::<Vec<_>>())?
                }
                ClipSpec::None | ClipSpec::Norm(_) => before,
            };
            Ok(PartNorm { part, before, after })
        })
        .collect()
}

impl Trainer {
    /// A fresh model and its optimizer. `peak` is the peak learning rate, `horizon` the steps of the longest sequence.
    ///
    /// # Errors
    /// Settings that do not fit together.
    pub fn new(
        model: &ModelSpec,
        train: &TrainSpec,
        peak: f64,
        signature: Signature,
        horizon: usize,
        seed: u64,
        registry: &Registry,
    ) -> Result<Self> {
        let store = Model::fresh(model, signature, horizon, seed, registry)?;
        Self::over(store, Decay::Flagged, model, train, peak, signature, horizon, registry)
    }

    /// A trainer of these parameters, which it changes; otherwise as [`Trainer::new`].
    ///
    /// # Errors
    /// Parameters of another model, or settings that do not fit together.
    pub fn over(
        store: ParameterStore,
        decay: Decay,
        model: &ModelSpec,
        train: &TrainSpec,
        peak: f64,
        signature: Signature,
        horizon: usize,
        registry: &Registry,
    ) -> Result<Self> {
        let variables: Vec<Var> = store.iter().map(|parameter| parameter.var.clone()).collect();
        let decays: Vec<bool> = store
            .iter()
            .map(|parameter| match decay {
                Decay::Flagged => !parameter.flags.no_decay,
                Decay::All => true,
            })
            .collect();
        let optimizer: Box<dyn Optimizer> = match train.optimizer {
            OptimizerSpec::Adamw { beta1, beta2, epsilon, weight_decay } => Box::new(Adamw::new(
                AdamwSettings { beta1, beta2, epsilon, weight_decay },
                &variables,
                &decays,
            )?),
            OptimizerSpec::Sgd { momentum, weight_decay } => {
                Box::new(Sgd::new(SgdSettings { momentum, weight_decay }, &variables, &decays)?)
            }
        };
        Ok(Trainer {
            model: Model::build(model, signature, horizon, registry, &Params::tracked(&store))?,
            evaluated: Model::build(model, signature, horizon, registry, &Params::detached(&store))?,
            store,
            variables,
            optimizer,
            spec: train.clone(),
            peak,
            output: signature.output,
        })
    }

    /// The parameters, shared with the model: a later step changes them.
    pub fn parameters(&self) -> &ParameterStore {
        &self.store
    }

    /// What the optimizer keeps between steps.
    pub(crate) fn moments(&self) -> &Moments {
        self.optimizer.moments()
    }

    /// Goes on from weights and moments of the same model.
    ///
    /// # Errors
    /// They are another model's.
    pub(crate) fn restore(&mut self, weights: &[(String, Tensor)], moments: Moments) -> Result<()> {
        for parameter in self.store.iter() {
            let found = weights.iter().find(|(name, _)| *name == parameter.name);
            let (_, tensor) =
                found.filter(|(_, tensor)| tensor.dims() == parameter.var.dims()).ok_or_else(|| {
                    Error::invalid(format!("`{}` is missing or of another shape", parameter.name))
                })?;
            parameter.var.set(tensor)?;
        }
        Ok(self.optimizer.restore(moments)?)
    }

    /// The model on detached parameters: it builds no graph, and sees every update.
    pub fn evaluated(&self) -> &Model {
        &self.evaluated
    }

    /// One optimizer step.
    ///
    /// # Errors
    /// A tensor operation failed. A loss or gradient that is not finite is no error: see [`StepReport::is_finite`].
    pub fn step(&mut self, batch: &Batch, step: u64) -> Result<StepReport> {
        Ok(self.step_with(batch, step, |_| Ok(()))?.0)
    }

    /// As [`Trainer::step`], and the gradient norms of its parts: encoder, layers, last norm, readout.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn step_in_parts(&mut self, batch: &Batch, step: u64) -> Result<(StepReport, Vec<PartNorm>)> {
        let names: Vec<String> =
            self.store.iter().map(|parameter| part(&parameter.name).to_owned()).collect();
        let clip = self.spec.clip;
        let (report, mut parts) =
            self.step_with(batch, step, |gradients| part_norms(&names, gradients, clip))?;
        if let ClipSpec::Norm(_) = clip {
            // All are scaled together.
            let factor = report.norm_after / report.norm_before;
            parts
                .iter_mut()
                .for_each(|part| part.after = part.before * if factor < 1.0 { factor } else { 1.0 });
        }
        Ok((report, parts))
    }

    fn step_with<T: Default>(
        &mut self,
        batch: &Batch,
        step: u64,
        look: impl FnOnce(&[Option<&Tensor>]) -> Result<T>,
    ) -> Result<(StepReport, T)> {
        let (loss, gradients) = self.gradients(batch)?;
        let rate = learning_rate(&self.spec, self.peak, step);
        if !loss.is_finite() {
            let report = StepReport { loss, norm_before: f64::NAN, norm_after: f64::NAN, rate };
            return Ok((report, T::default()));
        }
        let clip = match self.spec.clip {
            ClipSpec::None => Clip::None,
            ClipSpec::Norm(limit) => Clip::Norm(limit),
            ClipSpec::Value(limit) => Clip::Value(limit),
        };
        let borrowed: Vec<Option<&Tensor>> = gradients.iter().map(Option::as_ref).collect();
        let seen = look(&borrowed)?;
        let norms = self.optimizer.step(&self.variables, &borrowed, rate, 1.0, clip)?;
        Ok((StepReport { loss, norm_before: norms.before, norm_after: norms.after, rate }, seen))
    }

    /// Loss and gradients of a batch, in the order of the parameters. With `tbptt`, chunk by chunk: each chunk starts from
    /// the state the one before it ended in, cut from its graph, and gradients add up.
    fn gradients(&self, batch: &Batch) -> Result<(f64, Vec<Option<Tensor>>)> {
        let batch = without_padding(batch);
        let batch = &*batch;
        let time = batch.inputs.time;
        let chunk = self.spec.tbptt.unwrap_or(time).max(1);
        let steps = batch.loss_steps();
        let mut sums: Vec<Option<Tensor>> = vec![None; self.variables.len()];
        let mut total = 0.0;
        let mut state = None;
        for start in (0..time).step_by(chunk) {
            let width = chunk.min(time - start);
            let inputs = if width == time {
                batch.inputs.clone()
            } else {
                windows(&batch.inputs, &vec![start; batch.inputs.batch], width)
            };
            let tape = Tape::record()?;
            let (ys, end) = self.model.forward(&inputs, state.as_ref(), None)?;
            let within = |step: usize| (start..start + width).contains(&step);
            let here: Vec<(usize, usize)> = steps.iter().copied().filter(|(_, step)| within(*step)).collect();
            if !here.is_empty() {
                let local: Vec<_> = here.iter().map(|(row, step)| (*row, step - start)).collect();
                let outputs = self.model.read_out(&ys, &local)?;
                let mut loss = mean_loss(&outputs, &batch.targets, &here, time, self.output)?;
                if here.len() < steps.len() {
                    loss = loss.affine(here.len() as f64 / steps.len() as f64, 0.0)?;
                }
                total += loss.to_dtype(DType::F64)?.to_scalar::<f64>()?;
                let found = tape.backward(&loss)?;
                for (sum, variable) in sums.iter_mut().zip(&self.variables) {
                    let Some(gradient) = found.get(variable.as_tensor()) else { continue };
                    *sum = Some(match sum.take() {
                        Some(sum) => sum.add(gradient)?,
                        None => gradient.clone(),
                    });
                }
            }
            state = Some(end.detach());
        }
        Ok((total, sums))
    }
}

/// Mean loss over chosen steps of a batch: cross-entropy in nats, or squared error.
pub(crate) fn mean_loss(
    outputs: &Tensor,
    targets: &Targets,
    at: &[(usize, usize)],
    time: usize,
    output: OutputKind,
) -> Result<Tensor> {
    let index = |(row, step): &(usize, usize)| row * time + step;
    Ok(match (targets, output) {
        (Targets::Classes(classes), _) => {
            let chosen: Vec<u32> = at.iter().map(|at| classes[index(at)]).collect();
            cross_entropy(outputs, &chosen)?
        }
        (Targets::Values { dim, values }, _) => {
            let chosen = at.iter().flat_map(|at| &values[index(at) * dim..(index(at) + 1) * dim]);
            mean_squared_error(outputs, &chosen.copied().collect::<Vec<f32>>())?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn a_part_is_the_encoder_a_layer_or_the_readout() {
        let parts = ["encoder.weight", "layers.12.core.w.weight", "norm.weight", "readout.bias"].map(part);
        assert_eq!(parts, ["encoder", "layers.12", "norm", "readout"]);
    }

    #[test]
    fn parts_are_normed_together_and_clamped_apart() {
        let tensor = |values: &[f32]| Tensor::new(values, &Device::Cpu).unwrap();
        let (a, b, c) = (tensor(&[3.0, 0.0]), tensor(&[0.5]), tensor(&[-4.0]));
        let names = ["x", "y", "x", "z"].map(str::to_owned);
        let found = part_norms(&names, &[Some(&a), Some(&b), Some(&c), None], ClipSpec::Value(1.0)).unwrap();
        let expected = [("x", 5.0, 2f64.sqrt()), ("y", 0.5, 0.5), ("z", 0.0, 0.0)];
        assert_eq!(found.len(), 3);
        for (own, (part, before, after)) in found.iter().zip(expected) {
            assert_eq!(own.part, part);
            assert!((own.before - before).abs() < 1e-12 && (own.after - after).abs() < 1e-7, "{own:?}");
        }
        let free = part_norms(&names, &[Some(&a), Some(&b), Some(&c), None], ClipSpec::None).unwrap();
        assert!(free.iter().all(|part| part.before == part.after));
    }
}
