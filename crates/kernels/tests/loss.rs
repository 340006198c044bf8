//! Cross entropy and mean squared error against their plain formulations and against finite differences.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use candle_core::{DType, Device, Tensor, Var};
use common::{
    assert_close, assert_finite_differences, assert_same_on_any_threads, flat, gradients, on_every_isa,
    tensor, values, var, weighted,
};
use seqbench_kernels::{
    cross_entropy, cross_entropy_rows, mean_squared_error, mean_squared_error_rows, reference,
};

fn classes(n: usize, classes: usize) -> Vec<u32> {
    (0..n).map(|row| (row * row % classes) as u32).collect()
}

fn numbers(count: usize) -> Vec<f32> {
    values(9, count).into_iter().map(|value| value as f32).collect()
}

fn agrees(dtype: DType, tolerance: f64) {
    for (n, width) in [(1, 1), (1, 7), (5, 17), (149, 37)] {
        let xs = Var::from_tensor(&(tensor(1, (n, width), dtype) * 5.0).unwrap()).unwrap();
        let (targets, numbers) = (classes(n, width), numbers(n * width));
        let pairs = [
            (
                cross_entropy_rows(&xs, &targets).unwrap(),
                cross_entropy(&xs, &targets).unwrap(),
                reference::loss::cross_entropy_rows(&xs, &targets).unwrap(),
            ),
            (
                mean_squared_error_rows(&xs, &numbers).unwrap(),
                mean_squared_error(&xs, &numbers).unwrap(),
                reference::loss::mean_squared_error_rows(&xs, &numbers).unwrap(),
            ),
        ];
        for (which, (rows, mean, plain)) in pairs.iter().enumerate() {
            let what = format!("loss {which} at [{n}, {width}]");
            assert_eq!((rows.dims(), mean.rank()), (&[n][..], 0));
            let plain_mean = plain.mean_all().unwrap();
            assert_close(&what, rows, plain, tolerance);
            assert_close(&what, mean, &plain_mean, tolerance);
            let gradient = |loss: &Tensor| gradients(loss, &[&xs]).remove(0);
            let (got, want) = (gradient(&weighted(&[rows]).unwrap()), gradient(&weighted(&[plain]).unwrap()));
            assert_close(&what, &got, &want, tolerance);
            assert_close(&what, &gradient(mean), &gradient(&plain_mean), tolerance);
        }
    }
}

#[test]
fn values_and_gradients_agree_with_the_plain_formulation() {
    on_every_isa("values_and_gradients_agree_with_the_plain_formulation", || {
        agrees(DType::F64, 1e-13);
        agrees(DType::F32, 2e-6);
    });
}

#[test]
fn gradients_agree_with_finite_differences() {
    let xs = var(1, (5, 7), DType::F64);
    let (targets, numbers) = (classes(5, 7), numbers(35));
    assert_finite_differences(&[&xs], |inputs| cross_entropy(&inputs[0], &targets), 1e-8);
    assert_finite_differences(&[&xs], |inputs| weighted(&[&cross_entropy_rows(&inputs[0], &targets)?]), 1e-8);
    assert_finite_differences(&[&xs], |inputs| mean_squared_error(&inputs[0], &numbers), 1e-8);
    assert_finite_differences(
        &[&xs],
        |inputs| weighted(&[&mean_squared_error_rows(&inputs[0], &numbers)?]),
        1e-8,
    );
}

#[test]
fn equal_logits_cost_the_logarithm_of_the_classes_whatever_their_level() {
    for level in [-1e4f32, 0.0, 1e4] {
        let logits = Tensor::full(level, (3, 10), &Device::Cpu).unwrap();
        let loss = cross_entropy(&logits, &[0, 4, 9]).unwrap().to_scalar::<f32>().unwrap();
        assert!((f64::from(loss) - 10f64.ln()).abs() < 1e-6, "{loss}");
    }
}

#[test]
fn extreme_logits_give_finite_losses_and_gradients() {
    for dtype in [DType::F32, DType::F64] {
        let logits = Tensor::new(&[[1e4f32, -1e4, 0.0], [-1e4, 1e4, 0.0]], &Device::Cpu).unwrap();
        let logits = Var::from_tensor(&logits.to_dtype(dtype).unwrap()).unwrap();
        let losses = cross_entropy_rows(&logits, &[0, 0]).unwrap();
        assert_eq!(flat(&losses), [0.0, 2e4]);
        let gradient = gradients(&losses.sum_all().unwrap(), &[&logits]).remove(0);
        assert_eq!(flat(&gradient), [0.0, 0.0, 0.0, -1.0, 1.0, 0.0]);
    }
}

#[test]
fn a_logit_that_is_not_a_number_is_not_hidden() {
    let logits = Tensor::new(&[[0f32, f32::NAN, 1.0]], &Device::Cpu).unwrap();
    assert!(cross_entropy(&logits, &[0]).unwrap().to_scalar::<f32>().unwrap().is_nan());
}

#[test]
fn strided_logits_give_what_contiguous_ones_give() {
    let xs = var(1, (7, 5), DType::F64);
    let turned = xs.t().unwrap();
    let got = cross_entropy(&turned, &classes(5, 7)).unwrap();
    let want = cross_entropy(&turned.contiguous().unwrap(), &classes(5, 7)).unwrap();
    assert_close("loss", &got, &want, 0.0);
    assert_close("gradient", &gradients(&got, &[&xs])[0], &gradients(&want, &[&xs])[0], 0.0);
}

#[test]
fn bits_do_not_depend_on_threads() {
    assert_same_on_any_threads(|| {
        let xs = var(1, (1009, 53), DType::F32);
        let losses = [
            cross_entropy(&xs, &classes(1009, 53)).unwrap(),
            weighted(&[&cross_entropy_rows(&xs, &classes(1009, 53)).unwrap()]).unwrap(),
            mean_squared_error(&xs, &numbers(1009 * 53)).unwrap(),
        ];
        losses.into_iter().flat_map(|loss| [gradients(&loss, &[&xs]).remove(0), loss]).collect()
    });
}

#[test]
fn targets_that_do_not_fit_are_named() {
    let xs = tensor(1, (2, 3), DType::F32);
    let error = cross_entropy(&xs, &[0, 3]).unwrap_err().to_string();
    assert!(error.contains("target 3 of row 1") && error.contains("3 classes"), "{error}");
    assert!(cross_entropy_rows(&xs, &[0]).unwrap_err().to_string().contains("1 targets"));
    assert!(mean_squared_error(&xs, &[0.0; 5]).unwrap_err().to_string().contains("5 targets"));
    let empty = Tensor::zeros((0, 3), DType::F32, &Device::Cpu).unwrap();
    assert!(cross_entropy(&empty, &[]).unwrap_err().to_string().contains("[0, 3]"));
}
