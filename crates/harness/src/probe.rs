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

use crate::data::Data;
use crate::inputs::windows;
use crate::model::{Model, ModelState};
use crate::spec::{GradientSpec, ModelSpec};
use candle_core::{DType, Tensor, Var};
use seqbench_core::{Batch, OutputKind, ParameterStore, Params, Registry, Result, Signature, State, Targets};
use seqbench_kernels::{cross_entropy_rows, mean_squared_error_rows};
use seqbench_record::ProfileRow;

/// Below this a double-precision norm may have lost digits to gradual underflow.
const TRUSTED_ABOVE: f64 = 1e-290;

/// Distances from `first` to `last`, every one up to ten and then `per_decade` a factor of ten, the last included.
pub fn distances(first: usize, last: usize, per_decade: usize) -> Vec<usize> {
    let mut grid: Vec<usize> = (first..=last.min(10)).collect();
    let step = 1.0 / per_decade.max(1) as f64;
    let mut exponent = 1.0 + step;
    while grid.last().is_none_or(|d| *d < last) && first <= last {
        let next = (libm::round(libm::exp10(exponent)) as usize).clamp(first, last);
        if grid.last().is_none_or(|d| next > *d) {
            grid.push(next);
        }
        exponent += step;
    }
    grid
}

/// The probe of one cell.
pub struct Probe<'a> {
    model: Model,
    batch: Batch,
    /// The scored step each row is probed at.
    steps: Vec<usize>,
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
        Ok(Probe { model, batch, steps, spec, output: signature.output })
    }

    /// The rows of `profile.csv` for one stage: `input` for every layer, `state` for every layer that carries one.
    ///
    /// # Errors
    /// A tensor operation failed.
    pub fn profile(&self, stage: &str) -> Result<Vec<ProfileRow>> {
        let mut rows = self.input_profile(stage)?;
        rows.extend(self.state_profile(stage)?);
        Ok(rows)
    }

    fn farthest(&self) -> usize {
        let last = self.steps.iter().copied().max().unwrap_or(0);
        self.spec.max_distance.map_or(last, |limit| limit.min(last))
    }

    fn input_profile(&self, stage: &str) -> Result<Vec<ProfileRow>> {
        let (batch, width) = (self.batch.inputs.batch, self.model.width());
        let time = self.steps.iter().copied().max().unwrap_or(0) + 1;
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
        let mut rows = Vec::new();
        for (layer, tap) in taps.iter().enumerate() {
            let Some(gradient) = gradients.get(tap.as_tensor()) else { continue };
            let values = gradient.flatten_all()?.to_vec1::<f64>()?;
            let curve = grid.iter().map(|distance| {
                let reachable = self.steps.iter().enumerate().filter(|(_, step)| *step >= distance);
                let norms = reachable.map(|(row, step)| {
                    let first = (row * time + step - distance) * width;
                    norm(values[first..first + width].iter().copied())
                });
                (*distance, norms.collect())
            });
            rows.extend(summarise(stage, layer, "input", curve));
        }
        Ok(rows)
    }

    fn state_profile(&self, stage: &str) -> Result<Vec<ProfileRow>> {
        let grid = distances(1, self.farthest(), self.spec.per_decade);
        let mut curves: Vec<Vec<(usize, Vec<f64>)>> = vec![Vec::new(); self.model.depth()];
        for distance in grid {
            for (layer, norms) in self.state_norms(distance)?.into_iter().enumerate() {
                curves[layer].push((distance, norms));
            }
        }
        let rows = curves.into_iter().enumerate();
        Ok(rows.flat_map(|(layer, curve)| summarise(stage, layer, "state", curve.into_iter())).collect())
    }

    /// Norms for every layer, over the rows that reach back this far; none for a layer that carries no state.
    fn state_norms(&self, distance: usize) -> Result<Vec<Vec<f64>>> {
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
        let mut all = Vec::new();
        for leaves in leaves {
            let mut parts = Vec::new();
            for (_, leaf) in &leaves {
                let values = match gradients.get(leaf.as_tensor()) {
                    Some(gradient) => gradient.flatten_all()?.to_vec1::<f64>()?,
                    None => vec![0.0; leaf.elem_count()],
                };
                parts.push(values);
            }
            let reaching = (0..batch).filter(|row| self.steps[*row] >= distance);
            let joint = reaching.map(|row| {
                norm(parts.iter().flat_map(|values| {
                    let size = values.len() / batch;
                    values[row * size..(row + 1) * size].iter().copied()
                }))
            });
            all.push(if leaves.is_empty() { Vec::new() } else { joint.collect() });
        }
        Ok(all)
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

/// Euclidean norm without overflow or avoidable underflow of the squares.
fn norm(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let peak = values
        .clone()
        .fold(0.0_f64, |peak, value| if value.abs() > peak || value.is_nan() { value.abs() } else { peak });
    if peak == 0.0 || !peak.is_finite() {
        return peak;
    }
    peak * values.map(|value| (value / peak) * (value / peak)).sum::<f64>().sqrt()
}

fn summarise(
    stage: &str,
    layer: usize,
    wrt: &str,
    curve: impl Iterator<Item = (usize, Vec<f64>)>,
) -> Vec<ProfileRow> {
    const SUMMARIES: [&str; 4] = ["geometric_mean", "q10", "median", "q90"];
    let mut rows = Vec::new();
    let mut origin: Option<[f64; 4]> = None;
    for (distance, norms) in curve.filter(|(_, norms)| !norms.is_empty()) {
        let trusted = norms.iter().all(|norm| *norm > TRUSTED_ABOVE && norm.is_finite());
        let mut logs: Vec<f64> = norms.iter().map(|norm| libm::log10(*norm)).collect();
        logs.sort_by(f64::total_cmp);
        let quantile = |share: f64| {
            let at = share * (logs.len() - 1) as f64;
            let (low, high) = (logs[at as usize], logs[at.ceil() as usize]);
            // Between −∞ and anything there is nothing to interpolate.
            if low.is_finite() { low + (high - low) * at.fract() } else { low }
        };
        let mean = logs.iter().sum::<f64>() / logs.len() as f64;
        let values = [mean, quantile(0.1), quantile(0.5), quantile(0.9)];
        let origin = *origin.get_or_insert(values);
        for ((summary, value), at_origin) in SUMMARIES.iter().zip(values).zip(origin) {
            rows.push(ProfileRow {
                stage: stage.to_owned(),
                layer: layer as u32,
                wrt: wrt.to_owned(),
                distance: distance as u64,
                summary: (*summary).to_owned(),
                log10_norm: value,
                log10_relative: value - at_origin,
                trusted,
            });
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_holds_its_ends_and_grows() {
        assert_eq!(distances(0, 4, 8), [0, 1, 2, 3, 4]);
        let grid = distances(1, 1000, 4);
        assert_eq!((grid[0], grid[grid.len() - 1]), (1, 1000));
        assert!(grid.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(grid.iter().filter(|d| (100..1000).contains(*d)).count(), 4);
        assert!(distances(1, 0, 4).is_empty());
        assert_eq!(distances(0, 0, 4), [0]);
    }

    #[test]
    fn norms_survive_tiny_and_huge_values() {
        for scale in [1e-200, 1e-300, 1.0, 1e200] {
            let found = norm([3.0 * scale, 4.0 * scale].into_iter()) / scale;
            assert!((found - 5.0).abs() < 1e-12, "{scale}: {found}");
        }
        assert_eq!(norm([0.0, 0.0].into_iter()), 0.0);
        assert!(norm([1.0, f64::NAN].into_iter()).is_nan());
    }

    #[test]
    fn a_summary_is_relative_to_the_nearest_distance_and_marks_underflow() {
        let curve = [(0, vec![1.0, 100.0]), (5, vec![1e-2, 1.0]), (9, vec![1e-300, 1e-300])];
        let rows = summarise("init", 0, "input", curve.into_iter());
        let means: Vec<_> = rows.iter().filter(|row| row.summary == "geometric_mean").collect();
        assert_eq!((means[0].log10_norm, means[0].log10_relative), (1.0, 0.0));
        assert!((means[1].log10_relative + 2.0).abs() < 1e-12);
        assert!(means[1].trusted && !means[2].trusted);
    }
}
