//! The operations of a residual block that are several in one: norm and map, map and residual, and the
//! position-wise network, against their parts one after another and against the plain formulations.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use candle_core::{DType, Result, Tensor, Var};
use common::*;
use seqbench_kernels::tape::Tape;
use seqbench_kernels::{Norm, add, feed_forward, gelu, linear, linear_onto, normed_linear, reference};

const EPS: f64 = 1e-5;

/// xs, the norm's weight and bias, W₁, b₁, W₂, b₂: dim `d` to `hidden` and back.
fn variables(rows: (usize, usize), [d, hidden]: [usize; 2], dtype: DType) -> Vec<Var> {
    let xs = var(1, (rows.0, rows.1, d), dtype);
    let shaped = [var(2, d, dtype), var(3, d, dtype), var(4, (hidden, d), dtype), var(5, hidden, dtype)];
    let back = [var(6, (d, hidden), dtype), var(7, d, dtype)];
    std::iter::once(xs).chain(shaped).chain(back).collect()
}

fn norm<'a>(of: &'a [Tensor], centred: bool) -> Norm<'a> {
    Norm { weight: &of[1], bias: centred.then_some(&of[2]), eps: EPS }
}

/// A block of both halves: `r = x + W₂ (W₁ norm(x) + b₁) + b₂`, and the network after it.
fn fused(of: &[Tensor], centred: bool, biased: bool) -> Result<Tensor> {
    let norm = norm(of, centred);
    let bias = |at: usize| biased.then_some(&of[at]);
    let inner = normed_linear(&of[0], &norm, &of[3], bias(4))?;
    let xs = linear_onto(&inner, &of[5], bias(6), &of[0])?;
    feed_forward(&xs, &norm, (&of[3], &of[4]), (&of[5], &of[6]))
}

/// The same of single operations.
fn composed(of: &[Tensor], centred: bool, biased: bool) -> Result<Tensor> {
    let norm = norm(of, centred);
    let bias = |at: usize| biased.then_some(&of[at]);
    let inner = linear(&norm.forward(&of[0])?, &of[3], bias(4))?;
    let xs = add(&of[0], &linear(&inner, &of[5], bias(6))?)?;
    let hidden = gelu(&linear(&norm.forward(&xs)?, &of[3], Some(&of[4]))?)?;
    add(&xs, &linear(&hidden, &of[5], Some(&of[6]))?)
}

fn plain(variables: &[Var]) -> Vec<Tensor> {
    variables.iter().map(|variable| variable.as_tensor().detach()).collect()
}

/// Value and gradients on the tape.
fn taped(variables: &[Var], work: impl Fn(&[Tensor]) -> Result<Tensor>) -> (Tensor, Vec<Option<Tensor>>) {
    let tracked: Vec<Tensor> = variables.iter().map(|variable| variable.as_tensor().clone()).collect();
    let tape = Tape::record().unwrap();
    let ys = work(&tracked).unwrap();
    let found = tape.backward(&weighted(&[&ys]).unwrap()).unwrap();
    (ys, tracked.iter().map(|of| found.get(of).cloned()).collect())
}

#[test]
fn values_and_gradients_are_those_of_the_parts() {
    on_every_isa("values_and_gradients_are_those_of_the_parts", || {
        // Blocks of 64 and 128 rows and their remainders, several shares, widths of no whole register.
        let shapes = [(1, 1), (5, 2), (1, 63), (1, 65), (2, 129), (3, 1000)];
        for (dtype, tolerance) in [(DType::F64, 1e-10), (DType::F32, 2e-4)] {
            for (rows, widths) in
                shapes.into_iter().zip([[1, 1], [3, 17], [17, 3], [100, 17], [16, 64], [7, 5]])
            {
                for (centred, biased) in [(true, true), (false, true), (true, false)] {
                    let variables = variables(rows, widths, dtype);
                    let wanted = composed(&plain(&variables), centred, biased).unwrap();
                    let untracked = fused(&plain(&variables), centred, biased).unwrap();
                    let (ys, found) = taped(&variables, |of| fused(of, centred, biased));
                    let (_, parts) = taped(&variables, |of| composed(of, centred, biased));
                    assert_eq!(bits(&untracked), bits(&wanted), "{rows:?} {widths:?} {dtype:?}");
                    assert_eq!(bits(&ys), bits(&wanted), "{rows:?} {widths:?} {dtype:?}");
                    for (which, (found, part)) in found.iter().zip(&parts).enumerate() {
                        assert_eq!(found.is_some(), part.is_some(), "operand {which}");
                        if let (Some(found), Some(part)) = (found, part) {
                            let what =
                                format!("operand {which}, {rows:?} {widths:?} {dtype:?} {centred} {biased}");
                            assert_close(&what, found, part, tolerance);
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn the_tape_agrees_with_candle_and_with_the_plain_formulations() {
    for centred in [true, false] {
        let variables = variables((2, 3), [5, 7], DType::F64);
        let (ys, found) = taped(&variables, |of| fused(of, centred, true));
        let tracked: Vec<Tensor> = variables.iter().map(|variable| variable.as_tensor().clone()).collect();
        let ways = [fused(&tracked, centred, true), reference::alone(|| fused(&tracked, centred, true))];
        for other in ways {
            let other = other.unwrap();
            assert_close("values", &ys, &other, 1e-12);
            let store = weighted(&[&other]).unwrap().backward().unwrap();
            for (found, variable) in found.iter().zip(&tracked) {
                match (found, store.get(variable)) {
                    (Some(found), Some(other)) => assert_close("a gradient", found, other, 1e-10),
                    (found, other) => assert_eq!(found.is_some(), other.is_some()),
                }
            }
        }
    }
}

#[test]
fn gradients_are_finite_differences() {
    let variables = variables((2, 2), [3, 4], DType::F64);
    let all: Vec<&Var> = variables.iter().collect();
    assert_finite_differences(&all, |of| weighted(&[&fused(of, true, true)?]), 1e-6);
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let variables = variables((3, 700), [16, 33], DType::F32);
    assert_same_on_any_threads(|| {
        let (ys, found) = taped(&variables, |of| fused(of, true, true));
        std::iter::once(ys).chain(found.into_iter().flatten()).collect()
    });
}

#[test]
fn what_does_not_fit_is_named() {
    let of = plain(&variables((2, 3), [5, 7], DType::F64));
    let norm = norm(&of, true);
    let message = |result: Result<Tensor>| result.unwrap_err().to_string();
    let found = message(feed_forward(&of[0], &norm, (&of[3], &of[4]), (&of[3], &of[6])));
    assert!(found.contains("down.weight is [7, 5], expected [5, 7]"), "{found}");
    let found = message(linear_onto(&of[0], &of[3], None, &of[0]));
    assert!(found.contains("residual is [2, 3, 5], expected [2, 3, 7]"), "{found}");
    let found = message(normed_linear(&of[0], &Norm { weight: &of[4], ..norm }, &of[3], None));
    assert!(found.contains("norm.weight must be [5]"), "{found}");
    let single = of[1].to_dtype(DType::F32).unwrap();
    let found = message(feed_forward(&of[0], &norm, (&of[3], &of[4]), (&of[5], &single)));
    assert!(found.contains("F32") && found.contains("F64"), "{found}");
}
