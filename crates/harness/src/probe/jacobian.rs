//! Jacobians of a layer's carried state, whole: ∂s_T/∂s_{T−k} with T the end of the scored step of the first sample.
//!
//! The sample is repeated once for every component of the state along the batch, each row with a one-hot cotangent, so
//! that one backward gives all rows of the matrix. From the same for single steps, Lyapunov exponents: the mean
//! logarithms of the diagonal of R in a chain of QR decompositions of the transposed steps (Benettin et al. 1980).

use super::summary::distances;
use super::{Probe, Probed};
use crate::inputs::windows;
use candle_core::{DType, Tensor, Var};
use faer::Mat;
use seqbench_core::{Error, Result, SequenceCore, State};
use seqbench_record::SpectrumRow;

/// Components of a state above which its Jacobian is not formed.
pub(crate) const MOST_COMPONENTS: usize = 512;

/// Rows of a batch that step Jacobians are taken in at once.
const MOST_ROWS: usize = 8192;

impl Probe<'_> {
    /// Singular values at every distance and Lyapunov exponents, of every layer whose state has a fixed size of at most
    /// [`MOST_COMPONENTS`].
    pub(super) fn jacobians(&self, stage: &str, found: &mut Probed) -> Result<()> {
        let batch = self.batch.inputs.batch;
        let inputs = windows(&self.batch.inputs, &vec![0; batch], self.time());
        let state = self.model.initial_state(batch)?;
        let layers = self.model.core_inputs(&inputs, &state)?;
        for (layer, (core, xs)) in self.model.cores().zip(layers).enumerate() {
            let xs = xs.narrow(0, 0, 1)?.narrow(1, 0, self.steps[0] + 1)?.contiguous()?.detach();
            let sequence = Sequence { core, xs, last: self.steps[0] };
            let Some(size) = sequence.components()? else { continue };
            let row = |quantity: &str, distance: usize, index: usize, re: f64| SpectrumRow {
                stage: stage.to_owned(),
                layer: layer as u32,
                quantity: quantity.to_owned(),
                distance: distance as u64,
                index: index as u32,
                re,
                im: 0.0,
            };
            let grid = distances(1, self.farthest().min(self.steps[0]), self.spec.per_decade);
            for distance in grid {
                let values = singular_values(&sequence.jacobian(distance, size)?, size)?;
                let values = clear_of_rounding(&values).iter().enumerate();
                found.spectra.extend(
                    values.map(|(index, value)| row("singular", distance, index, libm::log10(*value))),
                );
            }
            let (exponents, steps) = sequence.exponents(size)?;
            let exponents = exponents.iter().enumerate();
            found.spectra.extend(exponents.map(|(index, value)| row("lyapunov", steps, index, *value)));
        }
        Ok(())
    }
}

/// What one layer reads of one sample.
struct Sequence<'a> {
    core: &'a dyn SequenceCore,
    /// `[1, last + 1, dim]`
    xs: Tensor,
    /// The scored step.
    last: usize,
}

impl Sequence<'_> {
    /// Components of the state, if it has some, the same number at every step, and not too many.
    fn components(&self) -> Result<Option<usize>> {
        let count = |state: &State| floats(state).map(|tensor| tensor.elem_count()).sum::<usize>();
        let before = count(&self.core.initial_state(1)?);
        let (_, after) = self.core.forward(&self.xs, None, None)?;
        let fixed = before == count(&after) && (1..=MOST_COMPONENTS).contains(&before);
        Ok(fixed.then_some(before))
    }

    /// ∂s_T/∂s_{T−distance}, `[size, size]` in row-major order.
    fn jacobian(&self, distance: usize, size: usize) -> Result<Vec<f64>> {
        let kept = self.last + 1 - distance;
        let state = match kept {
            0 => self.core.initial_state(1)?,
            _ => self.core.forward(&self.xs.narrow(1, 0, kept)?.contiguous()?, None, None)?.1,
        };
        let suffix = self.xs.narrow(1, kept, distance)?;
        self.rows(&suffix.repeat((size, 1, 1))?, &repeated(&state, size)?, size)
    }

    /// The gradient of component `row mod size` of the state that each row of `xs` `[rows, time, dim]` ends in, with respect
    /// to the state it began in: `[rows, size]`.
    fn rows(&self, xs: &Tensor, state: &State, size: usize) -> Result<Vec<f64>> {
        let rows = xs.dim(0)?;
        let (state, leaves) = state.leaves()?;
        let (_, end) = self.core.forward(xs, Some(&state), None)?;
        let flat = floats(&end).map(|tensor| Ok(tensor.reshape((rows, tensor.elem_count() / rows))?));
        let end = Tensor::cat(&flat.collect::<Result<Vec<_>>>()?, 1)?;
        let mut chosen = vec![0.0; rows * size];
        (0..rows).for_each(|row| chosen[row * size + row % size] = 1.0);
        let chosen = Tensor::from_vec(chosen, (rows, size), end.device())?;
        let gradients = (end * chosen)?.sum_all()?.backward()?;
        let of = |(_, leaf): &(&'static str, Var)| -> Result<Tensor> {
            let width = leaf.elem_count() / rows;
            Ok(match gradients.get(leaf.as_tensor()) {
                Some(gradient) => gradient.reshape((rows, width))?,
                None => Tensor::zeros((rows, width), DType::F64, leaf.device())?,
            })
        };
        let parts = leaves.iter().map(of).collect::<Result<Vec<_>>>()?;
        Ok(Tensor::cat(&parts, 1)?.flatten_all()?.to_vec1()?)
    }

    /// Lyapunov exponents in nats a step, from the largest, and the steps they are means over: all but the first, whose
    /// state is the initial one.
    fn exponents(&self, size: usize) -> Result<(Vec<f64>, usize)> {
        let steps = self.last;
        let mut sums = vec![0.0; size];
        let mut q = Mat::<f64>::identity(size, size);
        let at_once = (MOST_ROWS / size).max(1);
        // From the last step to the first, some of them at once.
        let mut end = self.last + 1;
        while end > 1 {
            let start = end.saturating_sub(at_once).max(1);
            let jacobians = self.step_jacobians(start, end, size)?;
            for jacobian in jacobians.chunks_exact(size * size).rev() {
                let transposed = Mat::from_fn(size, size, |i, j| jacobian[j * size + i]);
                let decomposed = (transposed * &q).qr();
                let r = decomposed.thin_R();
                (0..size).for_each(|at| sums[at] += libm::log(r[(at, at)].abs()));
                q = decomposed.compute_thin_Q();
            }
            end = start;
        }
        let mut exponents: Vec<f64> = sums.iter().map(|sum| sum / steps.max(1) as f64).collect();
        exponents.sort_by(|a, b| b.total_cmp(a));
        Ok((exponents, steps))
    }

    /// ∂s_t/∂s_{t−1} of the steps from `start` to before `end`, `[end − start, size, size]`.
    fn step_jacobians(&self, start: usize, end: usize, size: usize) -> Result<Vec<f64>> {
        let count = end - start;
        // Every state that a step begins in, each as the end of a row of its own.
        let lengths: Vec<usize> = (start..end).collect();
        let prefix = self.xs.narrow(1, 0, end - 1)?.repeat((count, 1, 1))?;
        let (_, states) = self.core.forward(&prefix, None, Some(&lengths))?;
        let xs = self.xs.narrow(1, start, count)?.transpose(0, 1)?.contiguous()?;
        self.rows(&interleaved(&xs, size)?, &repeated(&states, size)?, size)
    }
}

/// The floating-point entries of a state, in order.
fn floats(state: &State) -> impl Iterator<Item = &Tensor> {
    state.iter().map(|(_, tensor)| tensor).filter(|tensor| tensor.dtype().is_float())
}

/// Every row of a state `times` over, one after another.
fn repeated(state: &State, times: usize) -> Result<State> {
    let mut all = State::empty();
    for (name, tensor) in state.iter() {
        all = all.with(name, interleaved(&tensor.detach(), times)?);
    }
    Ok(all)
}

/// Every row of `[rows, …]` `times` over, one after another: `[rows · times, …]`.
fn interleaved(tensor: &Tensor, times: usize) -> Result<Tensor> {
    let mut dims = tensor.dims().to_vec();
    let wide = tensor.unsqueeze(1)?;
    let mut shape = wide.dims().to_vec();
    shape[1] = times;
    dims[0] *= times;
    Ok(wide.broadcast_as(shape)?.contiguous()?.reshape(dims)?)
}

fn square(values: &[f64], size: usize) -> Mat<f64> {
    Mat::from_fn(size, size, |i, j| values[i * size + j])
}

/// Singular values of a matrix `[size, size]` in row-major order, from the largest.
///
/// # Errors
/// It holds what is no number.
fn singular_values(values: &[f64], size: usize) -> Result<Vec<f64>> {
    square(values, size).singular_values().map_err(|error| {
        Error::invalid(format!("the singular values of a Jacobian did not converge: {error:?}"))
    })
}

/// The singular values that stand clear of the rounding of a decomposition, which is some units in the last place of the
/// largest.
fn clear_of_rounding(values: &[f64]) -> &[f64] {
    let floor = values.first().map_or(0.0, |largest| 16.0 * values.len() as f64 * f64::EPSILON * largest);
    &values[..values.iter().take_while(|value| **value > floor).count()]
}

/// Eigenvalues (real, imaginary) of a matrix `[size, size]` in row-major order.
///
/// # Errors
/// It holds what is no number.
pub(super) fn eigenvalues(values: &[f64], size: usize) -> Result<Vec<[f64; 2]>> {
    let found = square(values, size).eigenvalues().map_err(|error| {
        Error::invalid(format!("the eigenvalues of a recurrent matrix did not converge: {error:?}"))
    })?;
    Ok(found.iter().map(|value| [value.re, value.im]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `scripts/golden/spectrum.py`.
    const GOLDEN: &str = include_str!("../../tests/golden/spectrum.json");

    fn numbers(value: &serde_json::Value) -> Vec<f64> {
        value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    }

    #[test]
    fn eigenvalues_and_singular_values_are_those_of_scipy() {
        let golden: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
        for case in golden["matrices"].as_array().unwrap() {
            let (name, size) = (case["name"].as_str().unwrap(), case["size"].as_u64().unwrap() as usize);
            let values = numbers(&case["values"]);
            let mut left: Vec<Vec<f64>> =
                case["eigenvalues"].as_array().unwrap().iter().map(numbers).collect();
            // A defective matrix moves its eigenvalues by the cube root of what rounding moves its entries by.
            let close = if name == "defective" { 1e-4 } else { 1e-12 };
            for [re, im] in eigenvalues(&values, size).unwrap() {
                let at = left.iter().position(|other| libm::hypot(re - other[0], im - other[1]) < close);
                left.swap_remove(at.unwrap_or_else(|| panic!("{name}: {re} + {im} i is none of {left:?}")));
            }
            let found = singular_values(&values, size).unwrap();
            let expected = numbers(&case["singular_values"]);
            assert_eq!(found.len(), expected.len());
            let largest = expected[0];
            assert!(
                found.iter().zip(&expected).all(|(own, other)| (own - other).abs() < 1e-13 * largest),
                "{name}"
            );
        }
    }

    #[test]
    fn singular_values_within_rounding_of_the_largest_are_left_out() {
        assert_eq!(clear_of_rounding(&[1e-200, 1e-205, 1e-213, 1e-216]), [1e-200, 1e-205, 1e-213]);
        assert!(clear_of_rounding(&[0.0, 0.0]).is_empty());
    }

    #[test]
    fn what_is_no_number_is_an_error() {
        assert!(eigenvalues(&[f64::NAN; 9], 3).is_err());
        assert!(singular_values(&[f64::INFINITY; 9], 3).is_err());
    }

    #[test]
    fn rows_are_repeated_one_after_another() {
        let rows = Tensor::new(&[[1f64, 2.0], [3.0, 4.0]], &candle_core::Device::Cpu).unwrap();
        let found = interleaved(&rows, 3).unwrap().to_vec2::<f64>().unwrap();
        assert_eq!(found, [[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [3.0, 4.0], [3.0, 4.0], [3.0, 4.0]]);
    }
}
