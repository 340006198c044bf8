//! Gradient probes: how much the loss at one scored step depends on what happened `distance` steps earlier.
//!
//! A probe is a separate pass over its own samples, on a double-precision copy of the parameters. It touches no training
//! kernel and changes no training bit. Norms are per sample, of the un-averaged loss at one scored step: samples share
//! a batch, but not a gradient, because every core is independent across the batch.
//!
//! - `input`: a zero leaf is added to each layer's input; its gradient at step s − d is ∂L/∂x_{s−d}, one backward for all
//!   distances.
//! - `state`: for each distance k the sequence is cut k steps before the end of the scored step, the carried state becomes
//!   a set of leaves, and the suffix runs. That is the derivative with respect to the joint carried state of the layer; for
//!   a lower layer it excludes the path upward within the steps of the prefix.
//! - `theory`: what a layer's weights and activations predict of that ([`theory`]).
//! - `jacobians`: ∂s_T/∂s_{T−k}, whole ([`jacobian`]).
//! - `signals`, `trace`: what gates, states and attention do ([`signals`]).

mod jacobian;
mod signals;
mod summary;
mod theory;

pub(crate) use jacobian::MOST_COMPONENTS;
pub use summary::distances;

use crate::data::Data;
use crate::inputs::windows;
use crate::model::{Model, ModelState};
use crate::spec::{GradientSpec, ModelSpec};
use candle_core::{DType, Tensor, Var};
use seqbench_core::{
    Batch, Inspection, OutputKind, ParameterStore, Params, Registry, Result, Signature, State, Targets,
};
use seqbench_kernels::{cross_entropy_rows, mean_squared_error_rows};
use seqbench_record::{CurveRow, ProfileRow, SpectrumRow, TraceRow};
use summary::{log_norm, summarise};

/// What one probe finds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Probed {
    /// `profile.csv`
    pub profiles: Vec<ProfileRow>,
    /// `spectrum.csv`
    pub spectra: Vec<SpectrumRow>,
    /// `curve.csv`
    pub curves: Vec<CurveRow>,
    /// `trace.csv`
    pub traces: Vec<TraceRow>,
}

/// The gradient with respect to one entry of a layer's carried state.
struct EntryGradient {
    name: &'static str,
    /// `[batch, size]`
    values: Vec<f64>,
}

/// The probe of one cell.
pub struct Probe<'a> {
    model: Model,
    batch: Batch,
    /// The scored step each row is probed at.
    steps: Vec<usize>,
    /// The rows that profiles summarise: all whose loss has a gradient at all, or all where none has. A loss that is flat to
    /// the last bit, as behind a saturated softmax, says nothing about distance.
    rows: Vec<usize>,
    spec: &'a GradientSpec,
    output: OutputKind,
}

impl<'a> Probe<'a> {
    /// A probe of the model with these parameters, on the cell's probe samples. Each row is probed at its last scored step.
    ///
    /// # Errors
    /// The parameters do not fit the model.
    pub fn new(
        model: &ModelSpec,
        parameters: &ParameterStore,
        data: &Data<'_>,
        signature: Signature,
        horizon: usize,
        registry: &Registry,
        spec: &'a GradientSpec,
    ) -> Result<Self> {
        let double = parameters.to_dtype(DType::F64)?;
        let model = Model::build(model, signature, horizon, registry, &Params::detached(&double))?;
        let batch = data.probe_batch(spec.samples);
        let mut steps = vec![0; batch.inputs.batch];
        for scored in &batch.scored {
            steps[scored.row as usize] = scored.step as usize;
        }
        let rows = (0..batch.inputs.batch).collect();
        let mut probe = Probe { model, batch, steps, rows, spec, output: signature.output };
        probe.rows = probe.sloped()?;
        Ok(probe)
    }

    /// The rows whose loss has a gradient with respect to what is read out, or all rows where none has.
    fn sloped(&self) -> Result<Vec<usize>> {
        let batch = self.batch.inputs.batch;
        let inputs = windows(&self.batch.inputs, &vec![0; batch], self.time());
        let (ys, _) = self.model.forward(&inputs, None, None)?;
        let at: Vec<_> = self.steps.iter().copied().enumerate().collect();
        let ys = Var::from_tensor(&ys.detach())?;
        let gradients = self.loss(ys.as_tensor(), &at)?.backward()?;
        let Some(gradient) = gradients.get(ys.as_tensor()) else { return Ok((0..batch).collect()) };
        let values = gradient.flatten_all()?.to_vec1::<f64>()?;
        let each = values.len() / batch;
        let is_flat = |row: &usize| values[row * each..(row + 1) * each].iter().all(|value| *value == 0.0);
        let (flat, sloped): (Vec<usize>, Vec<usize>) = (0..batch).partition(is_flat);
        Ok(if sloped.is_empty() { flat } else { sloped })
    }

    /// The rows that profiles summarise and that reach so far back.
    fn reaching(&self, distance: usize) -> impl Iterator<Item = usize> + '_ {
        self.rows.iter().copied().filter(move |row| self.steps[*row] >= distance)
    }

    /// Everything the specification asks for at one stage, which training reaches after `taken` steps.
    ///
    /// # Errors
    /// A tensor operation failed.
    pub fn run(&self, stage: &str, taken: u64) -> Result<Probed> {
        let mut found = Probed::default();
        let flat = self.batch.inputs.batch - self.rows.len();
        if flat > 0 {
            let value = flat as f64;
            found.curves.push(CurveRow { step: taken, metric: "flat_samples".into(), value });
        }
        self.input_profile(stage, taken, &mut found)?;
        let anchors = self.state_profile(stage, &mut found)?;
        let GradientSpec { theory, jacobians, signals, trace, .. } = *self.spec;
        if theory || signals || trace {
            let inspections = self.inspections()?;
            if theory {
                self.theory_profile(stage, &inspections, &anchors, &mut found);
            }
            if signals {
                self.spectra(stage, &inspections, &mut found)?;
                self.signals(taken, &inspections, &mut found);
            }
            if trace {
                self.trace(stage, &inspections, &mut found);
            }
        }
        if jacobians {
            self.jacobians(stage, &mut found)?;
        }
        Ok(found)
    }

    /// What happens inside every layer, over all samples.
    fn inspections(&self) -> Result<Vec<Inspection>> {
        let batch = self.batch.inputs.batch;
        let inputs = windows(&self.batch.inputs, &vec![0; batch], self.time());
        let state = self.model.initial_state(batch)?;
        let xs = self.model.core_inputs(&inputs, &state)?;
        let layers = self.model.cores().zip(&xs).zip(&state.layers);
        layers.map(|((core, xs), state)| core.inspect(xs, state)).collect()
    }

    /// Steps up to the last scored one.
    fn time(&self) -> usize {
        self.steps.iter().copied().max().unwrap_or(0) + 1
    }

    fn farthest(&self) -> usize {
        let last = self.time() - 1;
        self.spec.max_distance.map_or(last, |limit| limit.min(last))
    }

    /// Profiles of every layer's input.
    fn input_profile(&self, stage: &str, taken: u64, found: &mut Probed) -> Result<()> {
        let (batch, width, time) = (self.batch.inputs.batch, self.model.width(), self.time());
        let inputs = windows(&self.batch.inputs, &vec![0; batch], time);
        let state = self.model.initial_state(batch)?;
        let xs = self.model.encode(&inputs, &state.positions)?;
        let taps = (0..self.model.depth())
            .map(|_| Ok(Var::zeros((batch, time, width), DType::F64, xs.device())?))
            .collect::<Result<Vec<Var>>>()?;
        let leaves: Vec<Tensor> = taps.iter().map(|tap| tap.as_tensor().clone()).collect();
        let (ys, _) = self.model.run(xs, &state, None, &leaves)?;
        let at: Vec<_> = self.steps.iter().copied().enumerate().collect();
        let gradients = self.loss(&ys, &at)?.backward()?;
        let grid = distances(0, self.farthest(), self.spec.per_decade);
        for (layer, tap) in taps.iter().enumerate() {
            let Some(gradient) = gradients.get(tap.as_tensor()) else { continue };
            let values = gradient.flatten_all()?.to_vec1::<f64>()?;
            let norm = |row: usize, distance: usize| {
                let first = (row * time + self.steps[row] - distance) * width;
                log_norm(values[first..first + width].iter().copied())
            };
            let curve = grid.iter().map(|distance| {
                (*distance, self.reaching(*distance).map(|row| norm(row, *distance)).collect())
            });
            found.profiles.extend(summarise(stage, layer, "input", curve));
            if self.spec.signals {
                found.curves.extend(self.evidence(taken, layer, norm));
            }
        }
        Ok(())
    }

    /// Profiles of every layer that carries a state, and the gradients at distance 1, by layer.
    fn state_profile(&self, stage: &str, found: &mut Probed) -> Result<Vec<Vec<EntryGradient>>> {
        let grid = distances(1, self.farthest(), self.spec.per_decade);
        let batch = self.batch.inputs.batch;
        let mut curves: Vec<Vec<(String, Vec<(usize, Vec<f64>)>)>> = vec![Vec::new(); self.model.depth()];
        let mut nearest = Vec::new();
        for distance in grid {
            let layers = self.state_gradients(distance)?;
            for (layer, entries) in layers.iter().enumerate() {
                let mut parts: Vec<(String, &[EntryGradient])> = Vec::new();
                if !entries.is_empty() {
                    parts.push(("state".into(), entries));
                }
                if self.spec.theory && entries.len() > 1 {
                    parts.extend(
                        entries
                            .iter()
                            .map(|entry| (format!("state:{}", entry.name), std::slice::from_ref(entry))),
                    );
                }
                for (at, (wrt, entries)) in parts.into_iter().enumerate() {
                    let logs = self.reaching(distance).map(|row| row_norm(entries, row, batch)).collect();
                    if curves[layer].len() <= at {
                        curves[layer].push((wrt, Vec::new()));
                    }
                    curves[layer][at].1.push((distance, logs));
                }
            }
            if distance == 1 {
                nearest = layers;
            }
        }
        for (layer, curves) in curves.into_iter().enumerate() {
            for (wrt, curve) in curves {
                found.profiles.extend(summarise(stage, layer, &wrt, curve.into_iter()));
            }
        }
        Ok(nearest)
    }

    /// Gradients with respect to the state `distance` steps before the end of the scored step, by layer; none for a layer
    /// that carries no state.
    fn state_gradients(&self, distance: usize) -> Result<Vec<Vec<EntryGradient>>> {
        // The state after `kept` steps; the suffix of `distance` steps ends with the scored one.
        let kept: Vec<usize> = self.steps.iter().map(|step| (step + 1).saturating_sub(distance)).collect();
        let batch = self.batch.inputs.batch;
        let longest = kept.iter().copied().max().unwrap_or(0).max(1);
        let prefix = windows(&self.batch.inputs, &vec![0; batch], longest);
        let (_, state) = self.model.forward(&prefix, None, Some(&kept))?;
        let split = state.layers.iter().map(State::leaves).collect::<Result<Vec<_>>>()?;
        let (layers, leaves): (Vec<_>, Vec<_>) = split.into_iter().unzip();
        let state = ModelState { positions: state.positions, layers };
        let suffix = windows(&self.batch.inputs, &kept, distance);
        let xs = self.model.encode(&suffix, &state.positions)?;
        let (ys, _) = self.model.run(xs, &state, None, &[])?;
        let at: Vec<_> = (0..batch).map(|row| (row, distance - 1)).collect();
        let gradients = self.loss(&ys, &at)?.backward()?;
        let entry = |(name, leaf): &(&'static str, Var)| {
            let values = match gradients.get(leaf.as_tensor()) {
                Some(gradient) => gradient.flatten_all()?.to_vec1::<f64>()?,
                None => vec![0.0; leaf.elem_count()],
            };
            Ok(EntryGradient { name, values })
        };
        leaves.iter().map(|leaves| leaves.iter().map(entry).collect()).collect()
    }

    /// The sum over rows of each row's loss at its scored step; `at` says where that step stands in `ys`.
    fn loss(&self, ys: &Tensor, at: &[(usize, usize)]) -> Result<Tensor> {
        let outputs = self.model.read_out(ys, at)?;
        let index = |row: usize| row * self.batch.inputs.time + self.steps[row];
        let rows = match (&self.batch.targets, self.output) {
            (Targets::Classes(classes), _) => {
                let targets: Vec<u32> = at.iter().map(|(row, _)| classes[index(*row)]).collect();
                cross_entropy_rows(&outputs, &targets)?
            }
            (Targets::Values { dim, values }, _) => {
                let chosen =
                    at.iter().flat_map(|(row, _)| &values[index(*row) * dim..(index(*row) + 1) * dim]);
                mean_squared_error_rows(&outputs, &chosen.copied().collect::<Vec<f32>>())?
            }
        };
        Ok(rows.sum_all()?)
    }
}

/// log10 of the joint norm of one row's gradients.
fn row_norm(entries: &[EntryGradient], row: usize, batch: usize) -> f64 {
    log_norm(entries.iter().flat_map(|entry| {
        let size = entry.values.len() / batch;
        entry.values[row * size..(row + 1) * size].iter().copied()
    }))
}
