//! Layer and root-mean-square normalisation against their plain formulation and against finite differences.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use candle_core::{DType, Device, Result, Tensor};
use common::{
    assert_close, assert_finite_differences, assert_same_on_any_threads, flat, gradients, on_every_isa,
    tensor, var, weighted,
};
use seqbench_kernels::{layer_norm, reference, rms_norm};

type Norm = fn(&Tensor, &Tensor, &Tensor, f64) -> Result<Tensor>;

/// Each fused norm beside its plain formulation; the bias is unused by the second.
const NORMS: [(&str, Norm, Norm); 2] = [
    ("layer_norm", layer_norm, reference::norm::layer_norm),
    (
        "rms_norm",
        |xs, weight, bias, eps| rms_norm(xs, weight, eps)?.broadcast_add(bias),
        |xs, weight, bias, eps| reference::norm::rms_norm(xs, weight, eps)?.broadcast_add(bias),
    ),
];

fn agrees(dtype: DType, tolerance: f64) {
    for (name, fused, plain) in NORMS {
        // 149 rows cross two blocks; 1, 5, 17 and 37 leave every kind of remainder.
        for (rows, dim) in [(1, 1), (1, 5), (7, 17), (149, 37), (3, 16)] {
            let xs = var(1, (rows, dim), dtype);
            let (weight, bias) = (var(2, dim, dtype), var(3, dim, dtype));
            let got = fused(&xs, &weight, &bias, 1e-3).unwrap();
            let want = plain(&xs, &weight, &bias, 1e-3).unwrap();
            assert_close(name, &got, &want, tolerance);
            let inputs = [&xs, &weight, &bias];
            let got = gradients(&weighted(&[&got]).unwrap(), &inputs);
            let want = gradients(&weighted(&[&want]).unwrap(), &inputs);
            for (which, (got, want)) in got.iter().zip(&want).enumerate() {
                assert_close(
                    &format!("{name} gradient {which} at [{rows}, {dim}]"),
                    got,
                    want,
                    tolerance * 10.0,
                );
            }
        }
    }
}

#[test]
fn values_and_gradients_agree_with_the_plain_formulation() {
    on_every_isa("values_and_gradients_agree_with_the_plain_formulation", || {
        agrees(DType::F64, 1e-13);
        agrees(DType::F32, 5e-6);
    });
}

#[test]
fn gradients_agree_with_finite_differences() {
    for (_, fused, _) in NORMS {
        let (xs, weight, bias) =
            (var(1, (3, 2, 7), DType::F64), var(2, 7, DType::F64), var(3, 7, DType::F64));
        assert_finite_differences(
            &[&xs, &weight, &bias],
            |inputs| weighted(&[&fused(&inputs[0], &inputs[1], &inputs[2], 1e-5)?]),
            1e-7,
        );
    }
}

#[test]
fn a_normalised_row_has_mean_zero_and_deviation_one() {
    // An offset a thousand times the deviation: a one-pass variance would lose it in single precision.
    let xs = (tensor(1, (5, 101), DType::F32) + 1e3).unwrap();
    let (ones, zeros) = (
        tensor(1, 101, DType::F32).ones_like().unwrap(),
        Tensor::zeros(101, DType::F32, &Device::Cpu).unwrap(),
    );
    for row in flat(&layer_norm(&xs, &ones, &zeros, 0.0).unwrap()).chunks(101) {
        let mean = row.iter().sum::<f64>() / 101.0;
        let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 101.0;
        assert!(mean.abs() < 1e-4 && (variance - 1.0).abs() < 1e-4, "{mean} {variance}");
    }
}

#[test]
fn a_constant_row_keeps_finite_values_and_gradients() {
    let xs = candle_core::Var::from_tensor(&Tensor::full(3.0f32, (2, 5), &Device::Cpu).unwrap()).unwrap();
    let (weight, bias) = (var(2, 5, DType::F32), var(3, 5, DType::F32));
    let ys = layer_norm(&xs, &weight, &bias, 1e-5).unwrap();
    assert_eq!(flat(&ys)[..5], flat(&bias)[..]);
    for gradient in gradients(&weighted(&[&ys]).unwrap(), &[&xs, &weight, &bias]) {
        assert!(flat(&gradient).iter().all(|value| value.is_finite()));
    }
}

#[test]
fn strided_inputs_and_gradients_give_what_contiguous_ones_give() {
    for (name, fused, _) in NORMS {
        let xs = var(1, (13, 7), DType::F64);
        let (weight, bias) = (var(2, 13, DType::F64), var(3, 13, DType::F64));
        let run = |contiguous: bool| {
            let turned = xs.t().unwrap();
            let turned = if contiguous { turned.contiguous().unwrap() } else { turned };
            let ys = fused(&turned, &weight, &bias, 1e-5).unwrap();
            let gradients = gradients(&weighted(&[&ys.t().unwrap()]).unwrap(), &[&xs, &weight, &bias]);
            (ys, gradients)
        };
        let ((got, got_gradients), (want, want_gradients)) = (run(false), run(true));
        assert_close(name, &got, &want, 0.0);
        for (got, want) in got_gradients.iter().zip(&want_gradients) {
            assert_close(name, got, want, 0.0);
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    assert_same_on_any_threads(|| {
        let xs = var(1, (1009, 53), DType::F32);
        let (weight, bias) = (var(2, 53, DType::F32), var(3, 53, DType::F32));
        let mut found = Vec::new();
        for (_, fused, _) in NORMS {
            let ys = fused(&xs, &weight, &bias, 1e-5).unwrap();
            found.extend(gradients(&weighted(&[&ys]).unwrap(), &[&xs, &weight, &bias]));
            found.push(ys);
        }
        found
    });
}

#[test]
fn parameters_of_another_shape_or_type_are_named() {
    let xs = tensor(1, (3, 5), DType::F32);
    let (good, bad) = (tensor(2, 5, DType::F32), tensor(2, 3, DType::F32));
    let error = layer_norm(&xs, &good, &bad, 1e-5).unwrap_err().to_string();
    assert!(error.contains("bias") && error.contains("[5]") && error.contains("[3]"), "{error}");
    let error = rms_norm(&xs, &tensor(2, 5, DType::F64), 1e-5).unwrap_err().to_string();
    assert!(error.contains("F64") && error.contains("F32"), "{error}");
    let scalar = Tensor::new(1f32, &Device::Cpu).unwrap();
    assert!(rms_norm(&scalar, &good, 1e-5).unwrap_err().to_string().contains("[.., dim]"));
}
