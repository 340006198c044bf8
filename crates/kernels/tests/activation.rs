//! GELU and SiLU against their definitions and against finite differences.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use candle_core::{DType, Device, Result, Tensor, Var};
use common::{
    assert_close, assert_finite_differences, assert_same_on_any_threads, flat, gradients, on_every_isa, var,
    weighted,
};
use seqbench_kernels::{gelu, reference, silu, softplus};

type Map = fn(&Tensor) -> Result<Tensor>;

fn exact_gelu(x: f64) -> f64 {
    x * 0.5 * (1.0 + libm::erf(x / std::f64::consts::SQRT_2))
}

fn exact_silu(x: f64) -> f64 {
    x / (1.0 + libm::exp(-x))
}

fn exact_softplus(x: f64) -> f64 {
    x.max(0.0) + libm::log1p(libm::exp(-x.abs()))
}

const ACTIVATIONS: [(&str, Map, Map, fn(f64) -> f64); 3] = [
    ("gelu", gelu, reference::activation::gelu, exact_gelu),
    ("silu", silu, reference::activation::silu, exact_silu),
    ("softplus", softplus, reference::activation::softplus, exact_softplus),
];

/// A tracked tensor of values in (−8, 8), where both functions bend and saturate.
fn wide(seed: u64, shape: (usize, usize), dtype: DType) -> Var {
    Var::from_tensor(&(common::tensor(seed, shape, dtype) * 8.0).unwrap()).unwrap()
}

#[test]
fn values_agree_with_the_definition_and_gradients_with_the_plain_formulation() {
    on_every_isa("values_agree_with_the_definition_and_gradients_with_the_plain_formulation", || {
        for (dtype, tolerance) in [(DType::F64, 1e-14), (DType::F32, 1e-6)] {
            for (name, fused, plain, exact) in ACTIVATIONS {
                for shape in [(1, 1), (7, 13), (1, 37)] {
                    let xs = wide(1, shape, dtype);
                    let got = fused(&xs).unwrap();
                    let want: Vec<f64> = flat(&xs).into_iter().map(exact).collect();
                    assert_close(
                        name,
                        &got,
                        &Tensor::from_vec(want, shape, &Device::Cpu).unwrap(),
                        tolerance,
                    );
                    let want = plain(&xs).unwrap();
                    let got = gradients(&weighted(&[&got]).unwrap(), &[&xs]);
                    let want = gradients(&weighted(&[&want]).unwrap(), &[&xs]);
                    assert_close(&format!("{name} gradient"), &got[0], &want[0], tolerance * 10.0);
                }
            }
        }
    });
}

#[test]
fn gradients_agree_with_finite_differences() {
    for (_, fused, _, _) in ACTIVATIONS {
        let xs = wide(1, (5, 7), DType::F64);
        assert_finite_differences(&[&xs], |inputs| weighted(&[&fused(&inputs[0])?]), 1e-8);
    }
}

#[test]
fn extremes_saturate_without_nan() {
    for (name, fused, _, exact) in ACTIVATIONS {
        let xs = Var::new(&[-1e30f32, -1e4, -100.0, 0.0, 100.0, 1e4, 1e30], &Device::Cpu).unwrap();
        let ys = fused(&xs).unwrap();
        let middle = exact(0.0) as f32;
        assert_eq!(ys.to_vec1::<f32>().unwrap(), [0.0, 0.0, 0.0, middle, 100.0, 1e4, 1e30], "{name}");
        let slopes = gradients(&ys.sum_all().unwrap(), &[&xs]);
        assert_eq!(slopes[0].to_vec1::<f32>().unwrap(), [0.0, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0]);
    }
}

#[test]
fn strided_inputs_give_what_contiguous_ones_give() {
    for (name, fused, _, _) in ACTIVATIONS {
        let xs = wide(1, (5, 7), DType::F64);
        let turned = xs.t().unwrap();
        let (got, want) = (fused(&turned).unwrap(), fused(&turned.contiguous().unwrap()).unwrap());
        assert_close(name, &got, &want, 0.0);
        let got = gradients(&weighted(&[&got.t().unwrap()]).unwrap(), &[&xs]);
        let want = gradients(&weighted(&[&want.t().unwrap()]).unwrap(), &[&xs]);
        assert_close(name, &got[0], &want[0], 0.0);
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    assert_same_on_any_threads(|| {
        let xs = var(1, (1009, 53), DType::F32);
        let mut found = Vec::new();
        for (_, fused, _, _) in ACTIVATIONS {
            let ys = fused(&xs).unwrap();
            found.extend(gradients(&weighted(&[&ys]).unwrap(), &[&xs]));
            found.push(ys);
        }
        found
    });
}
