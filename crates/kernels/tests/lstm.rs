//! Long short-term memory against its unrolled form, itself in parts, threads and instruction sets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;
#[path = "common/recurrence.rs"]
mod recurrence;

use candle_core::{DType, Tensor};
use common::*;
use recurrence::Layer;
use seqbench_kernels::{LstmCell, lstm, reference};

const LAYER: Layer = Layer {
    gates: 4,
    states: 2,
    fused: |i, lengths| {
        let (ys, h, c) = lstm(&i[0], &i[1], &i[2], &i[3], &i[4], &i[5], &i[6], lengths)?;
        Ok(vec![ys, h, c])
    },
    plain: |i, lengths| {
        let (ys, h, c) = reference::lstm(&i[0], &i[1], &i[2], &i[3], &i[4], &i[5], &i[6], lengths)?;
        Ok(vec![ys, h, c])
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
    recurrence::errors_name_the_argument_and_both_shapes(&LAYER, "lstm");
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
    let (ys, h, c) = lstm(&i[0], &i[1], &i[2], &i[3], &i[4], &i[5], &i[6], None).unwrap();
    let mut cell = LstmCell::<f32>::new(&i[1], &i[2], &i[3], &i[4], 3).unwrap();
    let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (mut hidden, mut carried) = (values(&i[5]), values(&i[6]));
    for t in 0..23 {
        cell.step(&values(&i[0].narrow(1, t, 1).unwrap()), &mut hidden, &mut carried);
        assert_eq!(hidden, values(&ys.narrow(1, t, 1).unwrap()), "step {t}");
    }
    assert_eq!((hidden, carried), (values(&h), values(&c)));
}

/// With every gate at a known value the cell is a hand calculation: this pins the order i, f, g, o.
#[test]
fn gates_stand_in_the_order_input_forget_cell_output() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F64, &candle_core::Device::Cpu).unwrap();
    let one = |values: Vec<f64>, shape: (usize, usize)| {
        Tensor::from_vec(values, shape, &candle_core::Device::Cpu).unwrap()
    };
    let (i, f, g, o) = (0.3, -0.7, 1.1, 0.4);
    let bias = Tensor::from_vec(vec![i, f, g, o], 4, &candle_core::Device::Cpu).unwrap();
    let (xs, w_ih, w_hh, b_hh) = (zeros(&[1, 1, 1]), zeros(&[4, 1]), zeros(&[4, 1]), zeros(&[4]));
    let (h0, c0) = (one(vec![0.0], (1, 1)), one(vec![2.0], (1, 1)));
    let (_, h, c) = lstm(&xs, &w_ih, &w_hh, &bias, &b_hh, &h0, &c0, None).unwrap();
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let cell = sigmoid(f) * 2.0 + sigmoid(i) * g.tanh();
    assert!((flat(&c)[0] - cell).abs() < 1e-14);
    assert!((flat(&h)[0] - sigmoid(o) * cell.tanh()).abs() < 1e-14);
}
