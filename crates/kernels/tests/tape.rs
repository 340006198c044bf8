//! The tape against candle's own backward pass: the same gradients, whatever stands between our operations.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use candle_core::{DType, Tensor, Var};
use common::*;
use seqbench_kernels::tape::{Tape, reshape};
use seqbench_kernels::{add, embedding, gather_steps, gelu, layer_norm, linear, lstm, rms_norm};

/// A network in which every kind of edge occurs: one operand used twice, a view, candle's operations between
/// ours, a state that reaches the loss, and one that does not.
fn network(variables: &[Var]) -> Tensor {
    let [table, w_ih, w_hh, b, h0, c0, weight, gain] =
        [0, 1, 2, 3, 4, 5, 6, 7].map(|i| variables[i].as_tensor());
    let xs = embedding(table, &[0, 3, 1, 1, 2, 0], (2, 3)).unwrap();
    let (ys, h, _) = lstm(&xs, w_ih, w_hh, b, b, h0, c0, None).unwrap();
    let mixed =
        linear(&layer_norm(&ys, gain, b_of(gain).as_ref().unwrap(), 1e-5).unwrap(), weight, None).unwrap();
    let joined = add(&ys, &gelu(&mixed).unwrap()).unwrap();
    // Candle's own operations, and ours behind them.
    let scaled = (joined.narrow(1, 0, 2).unwrap() * 0.5).unwrap();
    let normed = rms_norm(&scaled, &gain.exp().unwrap(), 1e-5).unwrap();
    let chosen = gather_steps(&joined, &[(0, 2), (1, 1), (0, 2)]).unwrap();
    let flat = reshape(&normed, (4, 5)).unwrap();
    weighted(&[&h, &chosen, &flat]).unwrap()
}

/// A bias that depends on the gain through candle.
fn b_of(gain: &Tensor) -> candle_core::Result<Tensor> {
    gain.sqr()?.affine(0.3, 0.1)
}

fn variables(dtype: DType) -> Vec<Var> {
    vec![
        var(1, (4, 5), dtype),
        var(2, (20, 5), dtype),
        var(3, (20, 5), dtype),
        var(4, 20, dtype),
        var(5, (2, 5), dtype),
        var(6, (2, 5), dtype),
        var(7, (5, 5), dtype),
        var(8, 5, dtype),
    ]
}

#[test]
fn gradients_are_those_of_candle() {
    for dtype in [DType::F64, DType::F32] {
        let variables = variables(dtype);
        let all: Vec<&Var> = variables.iter().collect();
        let plain_loss = network(&variables);
        let plain = gradients(&plain_loss, &all);
        let tape = Tape::record().unwrap();
        let loss = network(&variables);
        let found = tape.backward(&loss).unwrap();
        assert_close(&loss, &plain_loss, dtype);
        for (variable, plain) in variables.iter().zip(&plain) {
            assert_close(found.get(variable.as_tensor()).unwrap(), plain, dtype);
        }
    }
}

fn assert_close(got: &Tensor, want: &Tensor, dtype: DType) {
    assert_eq!(got.dims(), want.dims());
    let tolerance = if dtype == DType::F64 { 1e-12 } else { 1e-5 };
    let flat = |t: &Tensor| t.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
    for (got, want) in flat(got).into_iter().zip(flat(want)) {
        assert!((got - want).abs() <= tolerance * (1.0 + want.abs()), "{got} against {want}");
    }
}

#[test]
fn a_variable_the_loss_does_not_reach_has_no_gradient() {
    let (a, b) = (var(1, (2, 3), DType::F64), var(2, (2, 3), DType::F64));
    let tape = Tape::record().unwrap();
    let unused = gelu(b.as_tensor()).unwrap();
    let loss = gelu(a.as_tensor()).unwrap().sum_all().unwrap();
    let found = tape.backward(&loss).unwrap();
    assert!(found.get(b.as_tensor()).is_none() && found.get(&unused).is_none());
    assert!(found.get(a.as_tensor()).is_some());
}

#[test]
fn one_tape_records_at_a_time_and_a_dropped_one_leaves_nothing() {
    let tape = Tape::record().unwrap();
    assert!(Tape::record().unwrap_err().to_string().contains("records on this thread already"));
    let xs = var(1, (2, 3), DType::F64);
    gelu(xs.as_tensor()).unwrap();
    drop(tape);
    // candle's graph again.
    let loss = gelu(xs.as_tensor()).unwrap().sum_all().unwrap();
    assert!(loss.backward().unwrap().get(xs.as_tensor()).is_some());
    let tape = Tape::record().unwrap();
    let message = tape.backward(xs.as_tensor()).unwrap_err().to_string();
    assert!(message.contains("expected one element"), "{message}");
    assert!(Tape::record().is_ok());
}
