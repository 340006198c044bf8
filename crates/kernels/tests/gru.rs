//! Gated recurrent units against its unrolled form, itself in parts, threads and instruction sets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;
#[path = "common/recurrence.rs"]
mod recurrence;

use candle_core::{DType, Tensor};
use common::*;
use recurrence::Layer;
use seqbench_kernels::{GruCell, gru, reference};

const LAYER: Layer = Layer {
    gates: 3,
    states: 1,
    fused: |i, lengths| {
        let (ys, h) = gru(&i[0], &i[1], &i[2], &i[3], &i[4], &i[5], lengths)?;
        Ok(vec![ys, h])
    },
    plain: |i, lengths| {
        let (ys, h) = reference::gru(&i[0], &i[1], &i[2], &i[3], &i[4], &i[5], lengths)?;
        Ok(vec![ys, h])
    },
};

#[test]
fn values_and_gradients_equal_the_unrolled_form() {
    recurrence::equals_the_unrolled_form(&LAYER);
}

#[test]
fn odd_sizes_equal_the_unrolled_form() {
    on_every_isa("odd_sizes_equal_the_unrolled_form", || {
        recurrence::odd_sizes_equal_the_unrolled_form(&LAYER)
    });
}

#[test]
fn gradients_are_finite_differences() {
    recurrence::gradients_are_finite_differences(&LAYER);
}

#[test]
fn tracking_does_not_change_the_values() {
    recurrence::tracking_does_not_change_the_values(&LAYER);
}

#[test]
fn two_chunks_equal_one_pass() {
    recurrence::two_chunks_equal_one_pass(&LAYER);
}

#[test]
fn padding_does_not_reach_the_state() {
    recurrence::padding_does_not_reach_the_state(&LAYER);
}

#[test]
fn a_row_depends_on_no_other_row() {
    recurrence::a_row_depends_on_no_other_row(&LAYER);
}

#[test]
fn threads_do_not_change_the_bits() {
    recurrence::threads_do_not_change_the_bits(&LAYER);
}

#[test]
fn long_sequences_need_no_deep_stack() {
    recurrence::long_sequences_need_no_deep_stack(&LAYER);
}

#[test]
fn strided_inputs_work() {
    recurrence::strided_inputs_work(&LAYER);
}

#[test]
fn backward_may_run_twice() {
    recurrence::backward_may_run_twice(&LAYER);
}

#[test]
fn errors_name_the_argument_and_both_shapes() {
    recurrence::errors_name_the_argument_and_both_shapes(&LAYER, "gru");
}

#[test]
fn every_instruction_set_agrees_with_the_unrolled_form() {
    on_every_isa("every_instruction_set_agrees_with_the_unrolled_form", || {
        recurrence::equals_the_unrolled_form(&LAYER);
        recurrence::two_chunks_equal_one_pass(&LAYER);
        steps_equal_the_whole_pass();
    });
}

#[test]
fn steps_equal_the_whole_pass() {
    let i: Vec<Tensor> =
        LAYER.inputs([3, 23, 5, 37], DType::F32).iter().map(|input| input.detach()).collect();
    let (ys, h) = gru(&i[0], &i[1], &i[2], &i[3], &i[4], &i[5], None).unwrap();
    let mut cell = GruCell::<f32>::new(&i[1], &i[2], &i[3], &i[4], 3).unwrap();
    let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let mut hidden = values(&i[5]);
    for t in 0..23 {
        cell.step(&values(&i[0].narrow(1, t, 1).unwrap()), &mut hidden);
        assert_eq!(hidden, values(&ys.narrow(1, t, 1).unwrap()), "step {t}");
    }
    assert_eq!(hidden, values(&h));
}

/// With every gate at a known value the unit is a hand calculation: this pins the order r, z, n, and that the reset gate
/// multiplies the product with its bias.
#[test]
fn gates_stand_in_the_order_reset_update_new() {
    let of = |values: Vec<f64>, shape: &[usize]| {
        Tensor::from_vec(values, shape, &candle_core::Device::Cpu).unwrap()
    };
    let (xs, w_ih) = (of(vec![0.0], &[1, 1, 1]), of(vec![0.0; 3], &[3, 1]));
    let (b_ih, b_hh) = (of(vec![0.3, -0.7, 1.1], &[3]), of(vec![0.2, 0.1, -0.6], &[3]));
    let (w_hh, h0) = (of(vec![0.5, -0.4, 0.9], &[3, 1]), of(vec![2.0], &[1, 1]));
    let (_, h) = gru(&xs, &w_ih, &w_hh, &b_ih, &b_hh, &h0, None).unwrap();
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let (r, z) = (sigmoid(0.3 + 0.2 + 0.5 * 2.0), sigmoid(-0.7 + 0.1 - 0.4 * 2.0));
    let n = (1.1 + r * (0.9 * 2.0 - 0.6)).tanh();
    assert!((flat(&h)[0] - ((1.0 - z) * n + z * 2.0)).abs() < 1e-14);
}
