//! The optimizers against scalar double-precision rules, and clipping against its definition.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use candle_core::{DType, Device, Tensor, Var};
use common::{assert_close, assert_same_on_any_threads, flat, on_every_isa, tensor, var};
use seqbench_kernels::optimizer::{Adamw, AdamwSettings, Clip, Optimizer, Sgd, SgdSettings, global_norm};

const SHAPES: [&[usize]; 3] = [&[13, 7], &[17], &[1]];
const DECAYS: [bool; 3] = [true, false, true];

fn parameters(dtype: DType) -> Vec<Var> {
    SHAPES.iter().enumerate().map(|(at, shape)| var(at as u64, *shape, dtype)).collect()
}

fn gradients_of_step(step: u64, dtype: DType) -> Vec<Tensor> {
    let one = |(at, shape): (usize, &&[usize])| tensor(100 + 10 * step + at as u64, *shape, dtype);
    SHAPES.iter().enumerate().map(one).collect()
}

fn some(gradients: &[Tensor]) -> Vec<Option<&Tensor>> {
    gradients.iter().map(Some).collect()
}

/// Five steps of a rule on single numbers: `rule(parameter, gradient, step, moments, decays)`.
fn plain(rule: impl Fn(f64, f64, i32, &mut [f64; 2], bool) -> f64) -> Vec<Vec<f64>> {
    let mut values: Vec<Vec<f64>> = parameters(DType::F64).iter().map(|var| flat(var)).collect();
    let mut moments: Vec<Vec<[f64; 2]>> = values.iter().map(|v| vec![[0.0; 2]; v.len()]).collect();
    for step in 0..5 {
        for (at, gradient) in gradients_of_step(step, DType::F64).iter().enumerate() {
            for (i, gradient) in flat(gradient).into_iter().enumerate() {
                values[at][i] =
                    rule(values[at][i], gradient, step as i32 + 1, &mut moments[at][i], DECAYS[at]);
            }
        }
    }
    values
}

fn fused(optimizer: &mut dyn Optimizer, dtype: DType, rate: f64) -> Vec<Var> {
    let parameters = parameters(dtype);
    for step in 0..5 {
        let gradients = gradients_of_step(step, dtype);
        let norms = optimizer.step(&parameters, &some(&gradients), rate, 0.5, Clip::None).unwrap();
        assert!(norms.is_finite() && norms.before == norms.after);
        assert!((norms.before - 0.5 * global_norm(&some(&gradients)).unwrap()).abs() < 1e-12);
    }
    parameters
}

fn assert_values(got: &[Var], want: &[Vec<f64>], tolerance: f64) {
    for (got, want) in got.iter().zip(want) {
        let want = Tensor::from_slice(want, got.dims(), &Device::Cpu).unwrap();
        assert_close("parameter", got, &want, tolerance);
    }
}

#[test]
fn adamw_agrees_with_the_rule_on_single_numbers() {
    on_every_isa("adamw_agrees_with_the_rule_on_single_numbers", || {
        let settings = AdamwSettings { weight_decay: 0.1, ..AdamwSettings::default() };
        let want = plain(|value, gradient, step, [first, second], decays| {
            let gradient = 0.5 * gradient;
            *first = 0.9 * *first + 0.1 * gradient;
            *second = 0.999 * *second + 0.001 * gradient * gradient;
            let mean = *first / (1.0 - 0.9f64.powi(step));
            let variance = *second / (1.0 - 0.999f64.powi(step));
            let decay = if decays { 0.1 * value } else { 0.0 };
            value - 0.03 * (mean / (variance.sqrt() + 1e-8) + decay)
        });
        for dtype in [DType::F32, DType::F64] {
            let mut optimizer = Adamw::new(settings, &parameters(dtype), &DECAYS).unwrap();
            assert_values(&fused(&mut optimizer, dtype, 0.03), &want, 2e-6);
            assert_eq!(optimizer.moments().steps, [5, 5, 5]);
        }
    });
}

#[test]
fn sgd_agrees_with_the_rule_on_single_numbers() {
    on_every_isa("sgd_agrees_with_the_rule_on_single_numbers", || {
        let want = plain(|value, gradient, _, [buffer, _], decays| {
            let gradient = 0.5 * gradient + if decays { 0.1 * value } else { 0.0 };
            *buffer = 0.9 * *buffer + gradient;
            value - 0.03 * *buffer
        });
        for dtype in [DType::F32, DType::F64] {
            let settings = SgdSettings { momentum: 0.9, weight_decay: 0.1 };
            let mut optimizer = Sgd::new(settings, &parameters(dtype), &DECAYS).unwrap();
            assert_values(&fused(&mut optimizer, dtype, 0.03), &want, 1e-6);
        }
    });
}

/// Worked by hand. β₁ 0.9, β₂ 0.999, ε → 0, rate 0.1, decay 0.5, so a step keeps 1 − 0.1 · 0.5 = 0.95.
/// Step 1, gradient 2: both corrected moments are exact (2 and 4), so θ = 1 · 0.95 − 0.1 · 2/√4 = 0.85.
/// Step 2, gradient −1: m = 0.9 · 0.2 − 0.1 = 0.08, over 1 − 0.81 = 0.19 gives 0.421052632;
/// v = 0.999 · 0.004 + 0.001 = 0.004996, over 1 − 0.998001 = 0.001999 gives 2.499249625, root 1.580901523;
/// θ = 0.85 · 0.95 − 0.1 · 0.421052632/1.580901523 = 0.8075 − 0.026633704 = 0.780866296.
#[test]
fn adamw_gives_the_numbers_worked_by_hand() {
    let parameter = Var::new(&[1f64], &Device::Cpu).unwrap();
    let settings = AdamwSettings { epsilon: 1e-300, weight_decay: 0.5, ..AdamwSettings::default() };
    let mut optimizer = Adamw::new(settings, std::slice::from_ref(&parameter), &[true]).unwrap();
    for (gradient, want) in [(2f64, 0.85), (-1.0, 0.780_866_296)] {
        let gradient = Tensor::new(&[gradient], &Device::Cpu).unwrap();
        let parameters = std::slice::from_ref(&parameter);
        let norms = optimizer.step(parameters, &[Some(&gradient)], 0.1, 1.0, Clip::None).unwrap();
        assert!(norms.is_finite());
        let got = flat(&parameter)[0];
        assert!((got - want).abs() < 1e-8, "{got} against {want}");
    }
}

/// What one plain step of rate 1 subtracts is the gradient as it was consumed.
fn consumed(gradients: &[Tensor], clip: Clip) -> (Vec<Vec<f64>>, f64, f64) {
    let parameters: Vec<Var> =
        gradients.iter().map(|g| Var::zeros(g.shape(), g.dtype(), &Device::Cpu).unwrap()).collect();
    let decays = vec![false; parameters.len()];
    let mut optimizer = Sgd::new(SgdSettings::default(), &parameters, &decays).unwrap();
    let norms = optimizer.step(&parameters, &some(gradients), 1.0, 1.0, clip).unwrap();
    let taken = parameters.iter().map(|p| flat(p).into_iter().map(|value| -value).collect()).collect();
    (taken, norms.before, norms.after)
}

fn norm(values: &[Vec<f64>]) -> f64 {
    values.iter().flatten().map(|value| value * value).sum::<f64>().sqrt()
}

#[test]
fn clipping_by_norm_keeps_the_direction_and_makes_the_norm_the_limit() {
    for (dtype, tolerance) in [(DType::F32, 1e-6), (DType::F64, 1e-14)] {
        let gradients = gradients_of_step(0, dtype);
        let (whole, before, after) = consumed(&gradients, Clip::Norm(1e6));
        assert!(before == after && (before - norm(&whole)).abs() < 1e-6, "a norm below the limit is kept");
        let (clipped, before, after) = consumed(&gradients, Clip::Norm(0.75));
        assert!(before > 1.0 && after == 0.75);
        assert!((norm(&clipped) - 0.75).abs() < tolerance);
        for (whole, clipped) in whole.iter().flatten().zip(clipped.iter().flatten()) {
            assert!((clipped / whole - 0.75 / before).abs() < tolerance);
        }
    }
}

#[test]
fn clipping_by_value_clamps_each_element() {
    let gradients = gradients_of_step(0, DType::F64);
    let (clipped, before, after) = consumed(&gradients, Clip::Value(0.25));
    for (gradient, clipped) in gradients.iter().flat_map(flat).zip(clipped.iter().flatten()) {
        assert_eq!(gradient.clamp(-0.25, 0.25), *clipped);
    }
    assert!((after - norm(&clipped)).abs() < 1e-12 && before > after);
    assert!((before - global_norm(&some(&gradients)).unwrap()).abs() < 1e-12);
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing_and_is_reported() {
    for bad in [f32::NAN, f32::INFINITY] {
        for clip in [Clip::None, Clip::Norm(1.0), Clip::Value(1.0)] {
            let parameters = parameters(DType::F32);
            let before: Vec<_> = parameters.iter().map(|var| flat(var)).collect();
            let mut gradients = gradients_of_step(0, DType::F32);
            gradients[2] = Tensor::new(&[bad], &Device::Cpu).unwrap();
            let mut optimizer = Adamw::new(AdamwSettings::default(), &parameters, &DECAYS).unwrap();
            let untouched = optimizer.moments().clone();
            let norms = optimizer.step(&parameters, &some(&gradients), 0.1, 1.0, clip).unwrap();
            assert!(!norms.is_finite() && !norms.before.is_finite());
            assert_eq!(before, parameters.iter().map(|var| flat(var)).collect::<Vec<_>>());
            assert_eq!(*optimizer.moments(), untouched);
        }
    }
}

#[test]
fn the_loss_of_a_quadratic_falls() {
    let start = || vec![var(1, (5, 7), DType::F32)];
    let decays = [false];
    let optimizers: [Box<dyn Optimizer>; 2] = [
        Box::new(Adamw::new(AdamwSettings::default(), &start(), &decays).unwrap()),
        Box::new(Sgd::new(SgdSettings { momentum: 0.5, weight_decay: 0.0 }, &start(), &decays).unwrap()),
    ];
    for mut optimizer in optimizers {
        let parameters = start();
        let mut losses = Vec::new();
        for _ in 0..60 {
            let loss = parameters[0].sqr().unwrap().sum_all().unwrap();
            losses.push(loss.to_scalar::<f32>().unwrap());
            let store = loss.backward().unwrap();
            let norms = optimizer
                .step(&parameters, &[store.get(&parameters[0])], 0.02, 1.0, Clip::Norm(5.0))
                .unwrap();
            assert!(norms.after <= 5.0);
        }
        assert!(losses[59] < 0.1 * losses[0], "{} to {}", losses[0], losses[59]);
        assert!(losses.windows(2).all(|pair| pair[1] < pair[0]));
    }
}

#[test]
fn a_restored_optimizer_continues_bit_for_bit() {
    let run = |break_at: Option<u64>| {
        let parameters = parameters(DType::F32);
        let fresh = || Adamw::new(AdamwSettings::default(), &parameters, &DECAYS).unwrap();
        let mut optimizer = fresh();
        for step in 0..5 {
            if Some(step) == break_at {
                let moments = optimizer.moments().clone();
                optimizer = fresh();
                optimizer.restore(moments).unwrap();
            }
            let gradients = gradients_of_step(step, DType::F32);
            let norms = optimizer.step(&parameters, &some(&gradients), 0.01, 1.0, Clip::Norm(1.0)).unwrap();
            assert!(norms.is_finite());
        }
        parameters.iter().map(|var| flat(var)).collect::<Vec<_>>()
    };
    assert_eq!(run(None), run(Some(3)));
}

#[test]
fn a_parameter_without_a_gradient_and_a_strided_gradient_are_handled() {
    let parameters = [var(1, (3, 5), DType::F32), var(2, (3, 5), DType::F32)];
    let before = flat(&parameters[1]);
    let turned = tensor(3, (5, 3), DType::F32).t().unwrap();
    let step = |gradient: &Tensor| {
        let parameter = [var(1, (3, 5), DType::F32), parameters[1].clone()];
        let mut optimizer = Adamw::new(AdamwSettings::default(), &parameter, &[true, true]).unwrap();
        let norms = optimizer.step(&parameter, &[Some(gradient), None], 0.1, 1.0, Clip::None).unwrap();
        assert!(norms.is_finite());
        assert_eq!(optimizer.moments().steps, [1, 0]);
        flat(&parameter[0])
    };
    assert_eq!(step(&turned), step(&turned.contiguous().unwrap()));
    assert_eq!(flat(&parameters[1]), before);
}

#[test]
fn arguments_that_do_not_fit_are_named() {
    let parameters = parameters(DType::F32);
    let gradients = gradients_of_step(0, DType::F32);
    let mut optimizer = Adamw::new(AdamwSettings::default(), &parameters, &DECAYS).unwrap();
    let mut message = |gradients: &[Tensor], rate, clip| {
        optimizer.step(&parameters, &some(gradients), rate, 1.0, clip).unwrap_err().to_string()
    };
    assert!(message(&gradients[..2], 0.1, Clip::None).contains("2 gradients"));
    assert!(message(&gradients, f64::NAN, Clip::None).contains("NaN"));
    assert!(message(&gradients, 0.1, Clip::Norm(0.0)).contains("limit"));
    let turned = vec![gradients[0].t().unwrap(), gradients[1].clone(), gradients[2].clone()];
    assert!(message(&turned, 0.1, Clip::None).contains("[7, 13]"));
    assert!(Adamw::new(AdamwSettings::default(), &parameters, &[true]).is_err());
    let wild = SgdSettings { momentum: 1.0, weight_decay: 0.0 };
    assert!(Sgd::new(wild, &parameters, &DECAYS).unwrap_err().to_string().contains("momentum"));
    let other = Sgd::new(SgdSettings::default(), &parameters, &DECAYS).unwrap();
    assert!(optimizer.restore(other.moments().clone()).is_err());
}

/// Large enough to be split, and several blocks of a norm.
#[test]
fn threads_change_no_bit() {
    assert_same_on_any_threads(|| {
        let shapes: [&[usize]; 4] = [&[301, 307], &[17], &[], &[129, 131]];
        let parameters: Vec<Var> = (0..4).map(|at| var(at, shapes[at as usize], DType::F32)).collect();
        let gradients: Vec<Tensor> =
            (0..4).map(|at| tensor(9 + at, shapes[at as usize], DType::F32)).collect();
        let mut optimizer = Adamw::new(AdamwSettings::default(), &parameters, &[true; 4]).unwrap();
        let mut found = Vec::new();
        for clip in [Clip::Norm(0.5), Clip::Value(0.3), Clip::None] {
            let norms = optimizer.step(&parameters, &some(&gradients), 0.1, 1.0, clip).unwrap();
            found.push(Tensor::new(&[norms.before, norms.after], &Device::Cpu).unwrap());
        }
        found.extend(parameters.iter().map(|parameter| parameter.as_tensor().clone()));
        found
    });
}

/// Each gradient element is 1, so that the norm is the root of their number, whatever blocks they are summed in.
#[test]
fn the_norm_counts_every_element_once() {
    for count in [1, 63, 64, 65, 1 << 14, (1 << 14) + 1, 100_003] {
        for dtype in [DType::F32, DType::F64] {
            let ones = Tensor::ones(count, dtype, &Device::Cpu).unwrap();
            let norm = global_norm(&[Some(&ones), None, Some(&ones)]).unwrap();
            assert_eq!(norm, (2.0 * count as f64).sqrt());
        }
    }
}

#[test]
fn a_parameter_that_joins_late_is_corrected_by_its_own_count() {
    let parameters = [var(1, 5, DType::F64), var(1, 5, DType::F64)];
    let gradient = tensor(2, 5, DType::F64);
    let mut optimizer = Adamw::new(AdamwSettings::default(), &parameters, &[true, true]).unwrap();
    let mut step = |gradients: &[Option<&Tensor>]| {
        assert!(optimizer.step(&parameters, gradients, 0.1, 1.0, Clip::None).unwrap().is_finite());
    };
    step(&[Some(&gradient), None]);
    let after_one = flat(&parameters[0]);
    step(&[Some(&gradient), Some(&gradient)]);
    assert_eq!(flat(&parameters[1]), after_one);
}
