//! The short convolution against its plain formulation and finite differences, in chunks, steps, threads and
//! instruction sets; and the gate that stands at the other end of the layer.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use candle_core::{DType, Result, Tensor, Var};
use common::*;
use seqbench_kernels::tape::Tape;
use seqbench_kernels::{ConvolutionCell, gate_slice, gated, reference, short_convolution};

/// xs, weight, bias and past for `[batch, time, dim, taps]`.
fn variables([batch, time, dim, taps]: [usize; 4], dtype: DType) -> Vec<Var> {
    vec![
        var(1, (batch, time, dim), dtype),
        var(2, (dim, taps), dtype),
        var(3, dim, dtype),
        var(4, (batch, taps - 1, dim), dtype),
    ]
}

fn tracked(variables: &[Var]) -> Vec<Tensor> {
    variables.iter().map(|variable| variable.as_tensor().clone()).collect()
}

fn detached(variables: &[Var]) -> Vec<Tensor> {
    variables.iter().map(|variable| variable.as_tensor().detach()).collect()
}

fn run(of: &[Tensor], lengths: Option<&[usize]>) -> Result<(Tensor, Tensor)> {
    short_convolution(&of[0], &of[1], &of[2], &of[3], lengths)
}

/// Outputs, last inputs and the four gradients on the tape.
fn taped(variables: &[Var], lengths: Option<&[usize]>) -> Vec<Tensor> {
    let of = tracked(variables);
    let tape = Tape::record().unwrap();
    let (ys, last) = run(&of, lengths).unwrap();
    let found = tape.backward(&weighted(&[&ys, &last]).unwrap()).unwrap();
    let mut all = vec![ys, last];
    all.extend(of.iter().map(|of| found.get(of).unwrap().clone()));
    all
}

#[test]
fn values_and_gradients_equal_the_plain_formulation() {
    on_every_isa("values_and_gradients_equal_the_plain_formulation", || {
        for sizes in
            [[1, 1, 1, 2], [3, 7, 5, 4], [2, 65, 17, 3], [5, 2, 100, 4], [1, 63, 16, 2], [2, 2, 3, 7]]
        {
            for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 2e-5)] {
                let ends: Vec<usize> = (0..sizes[0]).map(|row| row * sizes[1] / sizes[0]).collect();
                for lengths in [None, Some(&ends[..])] {
                    let variables = variables(sizes, dtype);
                    let got = taped(&variables, lengths);
                    let of = tracked(&variables);
                    let (ys, last) =
                        reference::short_convolution(&of[0], &of[1], &of[2], &of[3], lengths).unwrap();
                    let mut want =
                        gradients(&weighted(&[&ys, &last]).unwrap(), &variables.iter().collect::<Vec<_>>());
                    want.splice(0..0, [ys, last]);
                    for (which, (got, want)) in got.iter().zip(&want).enumerate() {
                        assert_close(
                            &format!("{which} of {sizes:?} {dtype:?} {lengths:?}"),
                            got,
                            want,
                            tolerance,
                        );
                    }
                    let (ys, last) = run(&detached(&variables), lengths).unwrap();
                    assert_eq!((bits(&ys), bits(&last)), (bits(&got[0]), bits(&got[1])));
                }
            }
        }
    });
}

#[test]
fn gradients_are_finite_differences() {
    let variables = variables([2, 4, 3, 3], DType::F64);
    let all: Vec<&Var> = variables.iter().collect();
    assert_finite_differences(
        &all,
        |of| {
            let (ys, last) = run(of, Some(&[3, 0]))?;
            weighted(&[&ys, &last])
        },
        1e-7,
    );
}

#[test]
fn one_tap_has_no_past() {
    let variables = variables([2, 3, 5, 1], DType::F64);
    let (ys, last) = run(&detached(&variables), None).unwrap();
    assert_eq!(last.dims(), [2, 0, 5]);
    let of = detached(&variables);
    let plain = of[0].broadcast_mul(&of[1].squeeze(1).unwrap()).unwrap().broadcast_add(&of[2]).unwrap();
    assert_close("one tap", &ys, &plain.silu().unwrap(), 1e-12);
}

#[test]
fn chunks_and_steps_are_the_whole() {
    on_every_isa("chunks_and_steps_are_the_whole", || {
        let of = detached(&variables([3, 23, 37, 4], DType::F32));
        let (ys, last) = run(&of, None).unwrap();
        for cut in [1, 2, 11] {
            let part = |first: usize, count: usize| of[0].narrow(1, first, count).unwrap();
            let (head, past) = short_convolution(&part(0, cut), &of[1], &of[2], &of[3], None).unwrap();
            let (tail, end) = short_convolution(&part(cut, 23 - cut), &of[1], &of[2], &past, None).unwrap();
            assert_eq!(bits(&Tensor::cat(&[&head, &tail], 1).unwrap()), bits(&ys), "{cut}");
            assert_eq!(bits(&end), bits(&last), "{cut}");
        }
        let mut cell = ConvolutionCell::<f32>::new(&of[1], &of[2], &of[3]).unwrap();
        let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let mut y = vec![0.0; 3 * 37];
        for step in 0..23 {
            cell.step(&values(&of[0].narrow(1, step, 1).unwrap()), &mut y);
            assert_eq!(y, values(&ys.narrow(1, step, 1).unwrap()), "step {step}");
        }
        assert_eq!(cell.past(), values(&last));
    });
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let variables = variables([5, 130, 33, 4], DType::F32);
    assert_same_on_any_threads(|| taped(&variables, None));
}

#[test]
fn what_does_not_fit_is_named() {
    let of = detached(&variables([2, 3, 5, 4], DType::F64));
    let message = |result: Result<(Tensor, Tensor)>| result.unwrap_err().to_string();
    let long = tensor(5, (2, 4, 5), DType::F64);
    let found = message(short_convolution(&of[0], &of[1], &of[2], &long, None));
    assert!(found.contains("past is [2, 4, 5], expected [2, 3, 5]"), "{found}");
    let found = message(short_convolution(&of[0], &of[1], &of[1], &of[3], None));
    assert!(found.contains("bias is [5, 4], expected [5]"), "{found}");
    let found = message(run(&of, Some(&[1])));
    assert!(found.contains("1 lengths for a batch of 2"), "{found}");
    let found = message(run(&of, Some(&[1, 4])));
    assert!(found.contains("exceeds the 3 steps"), "{found}");
}

#[test]
fn a_gate_is_a_product_with_silu() {
    on_every_isa("a_gate_is_a_product_with_silu", || {
        for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 1e-6)] {
            for sizes in [(1, 1), (3, 17), (5, 100), (130, 257)] {
                let (ys, zs) = (var(1, sizes, dtype), var(2, sizes, dtype));
                let got = gated(&ys, &zs).unwrap();
                let want = (ys.as_tensor() * zs.silu().unwrap()).unwrap();
                assert_close("a gate", &got, &want, tolerance);
                let of = |outputs| gradients(&weighted(&[outputs]).unwrap(), &[&ys, &zs]);
                for (got, want) in of(&got).iter().zip(&of(&want)) {
                    assert_close("a gradient of a gate", got, want, tolerance * 10.0);
                }
            }
        }
        let (ys, zs) = (tensor(1, (3, 37), DType::F32), tensor(2, (3, 37), DType::F32));
        let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let mut slice = values(&ys);
        gate_slice(&mut slice, &values(&zs));
        assert_eq!(slice, values(&gated(&ys, &zs).unwrap()));
    });
}
