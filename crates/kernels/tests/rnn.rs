//! The simple recurrent network against its unrolled form, itself in parts, threads and instruction sets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;
#[path = "common/recurrence.rs"]
mod recurrence;

use candle_core::{DType, Tensor};
use common::*;
use recurrence::Layer;
use seqbench_kernels::{Activation, RnnCell, reference, rnn};

macro_rules! layer {
    ($activation:expr) => {
        Layer {
            gates: 1,
            states: 1,
            fused: |i, lengths| {
                let (ys, h) = rnn(&i[0], &i[1], &i[2], &i[3], &i[4], &i[5], lengths, $activation)?;
                Ok(vec![ys, h])
            },
            plain: |i, lengths| {
                let (ys, h) = reference::rnn(&i[0], &i[1], &i[2], &i[3], &i[4], &i[5], lengths, $activation)?;
                Ok(vec![ys, h])
            },
        }
    };
}

const LAYERS: [Layer; 3] = [layer!(Activation::Tanh), layer!(Activation::Relu), layer!(Activation::Identity)];

#[test]
fn values_and_gradients_equal_the_unrolled_form() {
    LAYERS.iter().for_each(recurrence::equals_the_unrolled_form);
}

#[test]
fn odd_sizes_equal_the_unrolled_form() {
    on_every_isa("odd_sizes_equal_the_unrolled_form", || {
        LAYERS.iter().for_each(recurrence::odd_sizes_equal_the_unrolled_form);
    });
}

#[test]
fn gradients_are_finite_differences() {
    LAYERS.iter().for_each(recurrence::gradients_are_finite_differences);
}

#[test]
fn tracking_does_not_change_the_values() {
    LAYERS.iter().for_each(recurrence::tracking_does_not_change_the_values);
}

#[test]
fn two_chunks_equal_one_pass() {
    LAYERS.iter().for_each(recurrence::two_chunks_equal_one_pass);
}

#[test]
fn padding_does_not_reach_the_state() {
    LAYERS.iter().for_each(recurrence::padding_does_not_reach_the_state);
}

#[test]
fn a_row_depends_on_no_other_row() {
    LAYERS.iter().for_each(recurrence::a_row_depends_on_no_other_row);
}

#[test]
fn threads_do_not_change_the_bits() {
    LAYERS.iter().for_each(recurrence::threads_do_not_change_the_bits);
}

#[test]
fn long_sequences_need_no_deep_stack() {
    recurrence::long_sequences_need_no_deep_stack(&LAYERS[0]);
}

#[test]
fn strided_inputs_work() {
    LAYERS.iter().for_each(recurrence::strided_inputs_work);
}

#[test]
fn backward_may_run_twice() {
    LAYERS.iter().for_each(recurrence::backward_may_run_twice);
}

#[test]
fn errors_name_the_argument_and_both_shapes() {
    recurrence::errors_name_the_argument_and_both_shapes(&LAYERS[0], "rnn");
}

#[test]
fn every_instruction_set_agrees_with_the_unrolled_form() {
    on_every_isa("every_instruction_set_agrees_with_the_unrolled_form", || {
        LAYERS.iter().for_each(recurrence::equals_the_unrolled_form);
        LAYERS.iter().for_each(recurrence::two_chunks_equal_one_pass);
        steps_equal_the_whole_pass();
    });
}

#[test]
fn steps_equal_the_whole_pass() {
    for activation in [Activation::Tanh, Activation::Relu, Activation::Identity] {
        let i: Vec<Tensor> =
            LAYERS[0].inputs([3, 23, 5, 37], DType::F32).iter().map(|input| input.detach()).collect();
        let (ys, h) = rnn(&i[0], &i[1], &i[2], &i[3], &i[4], &i[5], None, activation).unwrap();
        let mut cell = RnnCell::<f32>::new(&i[1], &i[2], &i[3], &i[4], activation, 3).unwrap();
        let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let mut state = values(&i[5]);
        for t in 0..23 {
            cell.step(&values(&i[0].narrow(1, t, 1).unwrap()), &mut state);
            assert_eq!(state, values(&ys.narrow(1, t, 1).unwrap()), "{activation:?}, step {t}");
        }
        assert_eq!(state, values(&h));
    }
}

#[test]
fn divergence_is_not_hidden_by_an_activation() {
    for activation in [Activation::Tanh, Activation::Relu, Activation::Identity] {
        let mut i: Vec<Tensor> =
            LAYERS[0].inputs([1, 3, 2, 4], DType::F32).iter().map(|input| input.detach()).collect();
        i[5] = (&i[5] * f64::NAN).unwrap();
        let (ys, _) = rnn(&i[0], &i[1], &i[2], &i[3], &i[4], &i[5], None, activation).unwrap();
        assert!(flat(&ys).iter().all(|value| value.is_nan()), "{activation:?}");
    }
}
