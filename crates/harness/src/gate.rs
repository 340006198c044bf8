//! The gate before any time: what a model computes fast must be what its plain formulation computes, on a short stretch of
//! the inputs that are timed. A kernel that is wrong in the same way every time would pass all later comparisons.

use crate::inputs::windows;
use crate::model::Model;
use crate::spec::Mode;
use crate::train::{PartNorm, StepReport, Trainer};
use seqbench_core::{Batch, Inputs, Result};
use seqbench_kernels::reference::alone;

/// Steps of the stretch: beyond every tile and chunk of 64, and odd.
pub(crate) const STRETCH: usize = 67;

/// Sequences of the stretch.
pub(crate) const ROWS: usize = 3;

/// Difference over the largest value that rounding in single precision may make over the stretch.
const TOLERANCE: f64 = 2e-3;

/// What differs from the plain formulation, if anything. `batch` is a stretch; `build` makes the same trainer each time.
pub(crate) fn against_plain(
    mode: Mode,
    batch: &Batch,
    build: impl Fn() -> Result<Trainer>,
) -> Result<Option<String>> {
    let wrong = match mode {
        Mode::Train => {
            let step = || build()?.step_in_parts(batch, 0);
            let ((fast, fast_parts), (plain, plain_parts)) = (step()?, alone(step)?);
            if differ(&[fast.loss], &[plain.loss]) {
                Some("the loss")
            } else if differ(&norms(&fast, &fast_parts), &norms(&plain, &plain_parts)) {
                Some("the gradient")
            } else {
                None
            }
        }
        Mode::Forward => {
            let trainer = build()?;
            let forward = || outputs(trainer.evaluated(), &batch.inputs);
            differ(&forward()?, &alone(forward)?).then_some("the outputs")
        }
        Mode::Decode => {
            let trainer = build()?;
            let decoded = decoded(trainer.evaluated(), &batch.inputs)?;
            let plain = alone(|| outputs(trainer.evaluated(), &batch.inputs))?;
            differ(&decoded, &plain).then_some("the decoded outputs")
        }
    };
    Ok(wrong
        .map(|what| format!("{what} over {} steps differ from the plain formulation's", batch.inputs.time)))
}

/// Answers at the last step of every sequence.
fn outputs(model: &Model, inputs: &Inputs) -> Result<Vec<f64>> {
    let (ys, _) = model.forward(inputs, None, None)?;
    let last: Vec<(usize, usize)> = (0..inputs.batch).map(|row| (row, inputs.time - 1)).collect();
    let answers = model.read_out(&ys, &last)?.flatten_all()?.to_vec1::<f32>()?;
    Ok(answers.into_iter().map(f64::from).collect())
}

/// The same after a context of all but the last steps, and as many steps decoded as there are in a round.
fn decoded(model: &Model, inputs: &Inputs) -> Result<Vec<f64>> {
    let context = inputs.time - inputs.time.min(1 + inputs.time / 4);
    let mut decoder = model.decoder(inputs.batch, inputs.time)?;
    if context > 0 {
        let (_, state) = model.forward(&windows(inputs, &vec![0; inputs.batch], context), None, None)?;
        decoder.load(&state)?;
    }
    let mut answers = Vec::new();
    for step in context..inputs.time {
        answers = decoder.step(&windows(inputs, &vec![step; inputs.batch], 1))?;
    }
    Ok(answers.into_iter().map(f64::from).collect())
}

/// Gradient norms of the whole and of its parts.
fn norms(report: &StepReport, parts: &[PartNorm]) -> Vec<f64> {
    std::iter::once(report.norm_before).chain(parts.iter().map(|part| part.before)).collect()
}

/// Whether two lists differ by more than rounding; anything that is not finite differs, unless both are the same.
fn differ(fast: &[f64], plain: &[f64]) -> bool {
    let scale =
        plain.iter().filter(|value| value.is_finite()).fold(0.0, |most: f64, value| most.max(value.abs()));
    let apart = |(fast, plain): (&f64, &f64)| {
        let same = fast.to_bits() == plain.to_bits() || (fast.is_nan() && plain.is_nan());
        let near = (fast - plain).abs() <= TOLERANCE * scale;
        !same && !near
    };
    fast.len() != plain.len() || fast.iter().zip(plain).any(apart)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_no_difference_and_a_percent_is() {
        assert!(!differ(&[1.0, -1e-9], &[1.001, 1e-9]));
        assert!(differ(&[1.0], &[1.01]) && differ(&[1.0], &[1.0, 1.0]));
        // Small beside the largest is rounding, whatever it is relative to itself.
        assert!(!differ(&[100.0, 1e-3], &[100.0, 2e-3]));
        assert!(differ(&[f64::NAN], &[1.0]) && !differ(&[f64::NAN], &[f64::NAN]));
        assert!(differ(&[f64::INFINITY], &[1.0]) && !differ(&[f64::INFINITY], &[f64::INFINITY]));
    }
}
