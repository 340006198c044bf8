//! Gradients reach every parameter, and are the slopes of the function that the forward pass computes.

use super::subject::{Subject, TIME};
use super::tensors::{agree, loss, states_agree, values};
use super::{Check, Contract, Fault, Found, ensure};
use candle_core::{DType, Tensor};
use seqbench_core::{Params, State};

/// The contracts of this file.
pub(crate) const CONTRACTS: &[Check<Subject>] = &[
    (
        Contract {
            name: "every parameter learns",
            meaning: "a parameter's gradient is cut, zero or not finite: it stays at its initial value, and gradient \
                      norms leave it out. Where that is so by construction, declare it with `Flags::gradient_free`",
        },
        every_parameter_learns,
    ),
    (
        Contract {
            name: "gradients are slopes",
            meaning: "a gradient is not the slope that finite differences of the forward pass find: training follows, \
                      and probes report, the gradient of another function",
        },
        gradients_are_slopes,
    ),
    (
        Contract {
            name: "evaluation is training's function",
            meaning: "on detached parameters the outputs differ, or still carry a graph: scores belong to another model \
                      than the trained one, or evaluation keeps every step in memory",
        },
        evaluation_is_trainings_function,
    ),
];

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()))
}

fn every_parameter_learns(subject: &Subject) -> Found {
    let store = subject.store(11, DType::F64)?;
    let core = subject.tracked(&store)?;
    // Outputs alone: a key that is carried in the state would give its bias a gradient there.
    let (ys, _) = core.forward(&subject.xs(TIME, DType::F64)?, None, None)?;
    let found = loss(&ys, &State::empty())?.backward()?;
    let mut gradients = Vec::new();
    for parameter in store.iter() {
        let gradient = found.get(parameter.var.as_tensor()).map(values).transpose()?;
        if let Some(gradient) = &gradient {
            let finite = gradient.iter().all(|value| value.is_finite());
            ensure!(finite, "the gradient of `{}` is not finite", parameter.name);
        }
        gradients.push(gradient.map(|gradient| largest(&gradient)));
    }
    let scale = gradients.iter().flatten().copied().fold(0.0f64, f64::max);
    for (parameter, largest) in store.iter().zip(gradients) {
        let name = &parameter.name;
        match (parameter.flags.gradient_free, largest) {
            (None, None) => ensure!(false, "no gradient reaches `{name}`"),
            (None, Some(largest)) => {
                ensure!(largest > 1e-12 * scale, "the gradient of `{name}` is zero at {TIME} steps");
            }
            (Some(reason), Some(largest)) => {
                ensure!(
                    largest < 1e-9 * scale,
                    "`{name}` is declared free of gradient ({reason}), yet it has one"
                );
            }
            (Some(_), None) => {}
        }
    }
    Ok(())
}

fn gradients_are_slopes(subject: &Subject) -> Found {
    let store = subject.store(11, DType::F64)?;
    let core = subject.tracked(&store)?;
    let xs = subject.xs(TIME, DType::F64)?;
    let evaluate = || -> Result<Tensor, Fault> {
        let (ys, state) = core.forward(&xs, None, None)?;
        Ok(loss(&ys, &state)?)
    };
    let found = evaluate()?.backward()?;
    for parameter in store.iter() {
        let start = parameter.var.as_detached_tensor().copy()?;
        let count = start.elem_count();
        let gradient = match found.get(parameter.var.as_tensor()) {
            Some(gradient) => values(gradient)?,
            None => vec![0.0; count],
        };
        for at in [0, count / 3, count.saturating_sub(1)].into_iter().filter(|at| *at < count) {
            let slope = |distance: f64| -> Result<f64, Fault> {
                let moved = |by: f64| -> Result<f64, Fault> {
                    let mut all = values(&start)?;
                    all[at] += by;
                    parameter.var.set(&Tensor::from_vec(all, start.dims(), start.device())?)?;
                    Ok(evaluate()?.to_scalar::<f64>()?)
                };
                Ok((moved(distance)? - moved(-distance)?) / (2.0 * distance))
            };
            // The shorter distance decides where a kink lies within the longer one.
            let mut slopes = [0.0; 2];
            for (found, distance) in slopes.iter_mut().zip([1e-5, 1e-7]) {
                *found = slope(distance)?;
            }
            parameter.var.set(&start)?;
            let own = gradient[at];
            let near = |slope: f64| (slope - own).abs() <= 1e-5 * slope.abs().max(1.0);
            ensure!(
                slopes.into_iter().any(near),
                "`{}`[{at}] has the gradient {own}, its slope is {}",
                parameter.name,
                slopes[0]
            );
        }
    }
    Ok(())
}

fn evaluation_is_trainings_function(subject: &Subject) -> Found {
    let store = subject.store(11, DType::F32)?;
    let xs = subject.xs(TIME, DType::F32)?;
    let still = subject.configured.build(subject.dims(), &Params::detached(&store))?;
    let (ys, state) = subject.tracked(&store)?.forward(&xs, None, None)?;
    let (still_ys, still_state) = still.forward(&xs, None, None)?;
    agree("outputs on detached parameters", &ys, &still_ys, 1e-6)?;
    states_agree("on detached parameters", &state, &still_state, 1e-6)?;
    ensure!(!still_ys.track_op(), "outputs on detached parameters carry a graph");
    for (name, tensor) in still_state.iter() {
        ensure!(!tensor.track_op(), "on detached parameters the state `{name}` carries a graph");
    }
    Ok(())
}
