//! What every registered architecture promises: all its forms are one causal function of the past, row by row, in
//! values and in gradients, and it costs what its formulas say.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use candle_core::{DType, Tensor};
use common::{
    BATCH, Entry, TIME, assert_states_agree, bits, difference, entries, floats, leaf, loss, normal, values,
};
use seqbench_core::architecture::SequenceCore;
use seqbench_core::parameter::ParameterStore;
use seqbench_core::state::State;

#[test]
fn changing_a_step_changes_no_earlier_output() {
    for entry in entries() {
        let core = entry.detached();
        let xs = entry.xs(TIME, DType::F32);
        let (ys, _) = core.forward(&xs, None, None).unwrap();
        for step in 1..TIME {
            let changed = Tensor::cat(
                &[
                    &xs.narrow(1, 0, step).unwrap(),
                    &(xs.narrow(1, step, TIME - step).unwrap() + 1e3).unwrap(),
                ],
                1,
            );
            let (other, _) = core.forward(&changed.unwrap(), None, None).unwrap();
            let before = |ys: &Tensor| bits(&ys.narrow(1, 0, step).unwrap());
            assert_eq!(before(&ys), before(&other), "{} at step {step}", entry.label);
            assert!(difference(&ys, &other) > 0.0, "{}: step {step} has no effect", entry.label);
        }
    }
}

#[test]
fn rows_of_a_batch_do_not_see_each_other() {
    for entry in entries() {
        let core = entry.detached();
        let xs = entry.xs(TIME, DType::F32);
        let (ys, state) = core.forward(&xs, None, None).unwrap();
        for row in 0..BATCH {
            let (alone, own) = core.forward(&xs.narrow(0, row, 1).unwrap(), None, None).unwrap();
            assert_eq!(bits(&alone), bits(&ys.narrow(0, row, 1).unwrap()), "{} row {row}", entry.label);
            for ((name, own), (_, all)) in floats(&own).iter().zip(floats(&state)) {
                assert_eq!(bits(own), bits(&all.narrow(0, row, 1).unwrap()), "{} {name}", entry.label);
            }
        }
    }
}

#[test]
fn forward_repeated_steps_and_the_decoder_are_the_same_function() {
    for entry in entries() {
        let core = entry.detached();
        let xs = entry.xs(TIME, DType::F32);
        let (ys, _) = core.forward(&xs, None, None).unwrap();
        let mut state = core.initial_state(BATCH).unwrap();
        let mut decoder = core.decoder(BATCH, TIME).unwrap();
        // A second decoder starts from a state that forward returned.
        let prefill = 3;
        let (_, prefix) = core.forward(&xs.narrow(1, 0, prefill).unwrap(), None, None).unwrap();
        let mut later = core.decoder(BATCH, TIME).unwrap();
        later.load(&prefix).unwrap();
        for step in 0..TIME {
            let x = xs.narrow(1, step, 1).unwrap().squeeze(1).unwrap();
            let expected = bits(&ys.narrow(1, step, 1).unwrap());
            let (y, next) = core.step(&x, &state).unwrap();
            state = next;
            assert_eq!(bits(&y), expected, "{} step {step}", entry.label);
            let x = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let decode = |decoder: &mut dyn seqbench_core::architecture::Decoder| {
                let mut y = vec![f32::NAN; BATCH * entry.dim];
                decoder.step(&x, &mut y).unwrap();
                y.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            assert_eq!(decode(&mut *decoder), expected, "{} decoding step {step}", entry.label);
            assert_eq!(decoder.state_bytes(), state.bytes(), "{} step {step}", entry.label);
            if step >= prefill {
                assert_eq!(decode(&mut *later), expected, "{} prefill, step {step}", entry.label);
            }
        }
    }
}

/// Gradients of xs and every parameter, after running `pieces` steps at a time.
fn gradients(
    entry: &Entry,
    store: &ParameterStore,
    pieces: &[usize],
) -> (Tensor, State, Vec<Option<Tensor>>) {
    let core = entry.tracked(store);
    let xs = leaf(&entry.xs(pieces.iter().sum(), DType::F64));
    let (ys, state) = run(&*core, xs.as_tensor(), core.initial_state(BATCH).unwrap(), pieces);
    let gradients = loss(&ys, &state).backward().unwrap();
    let of = |tensor: &Tensor| gradients.get(tensor).cloned();
    let all = std::iter::once(of(xs.as_tensor())).chain(store.iter().map(|each| of(each.var.as_tensor())));
    (ys, state, all.collect())
}

fn run(core: &dyn SequenceCore, xs: &Tensor, mut state: State, pieces: &[usize]) -> (Tensor, State) {
    let mut ys = Vec::new();
    let mut from = 0;
    for piece in pieces {
        let (part, next) = core.forward(&xs.narrow(1, from, *piece).unwrap(), Some(&state), None).unwrap();
        ys.push(part);
        state = next;
        from += piece;
    }
    (Tensor::cat(&ys, 1).unwrap(), state)
}

#[test]
fn steps_and_chunks_equal_the_whole_in_values_and_gradients() {
    for entry in entries() {
        let store = entry.store(DType::F64);
        let (ys, state, whole) = gradients(&entry, &store, &[TIME]);
        for pieces in [&[1; TIME][..], &[3, 4], &[5, 1, 1]] {
            let label = format!("{} in {pieces:?}", entry.label);
            let (other, end, parts) = gradients(&entry, &store, pieces);
            assert!(difference(&ys, &other) < 1e-12, "{label}");
            assert_states_agree(&state, &end, 1e-12, &label);
            let names = std::iter::once("xs").chain(store.iter().map(|each| each.name.as_str()));
            for ((name, whole), part) in names.zip(&whole).zip(&parts) {
                let (whole, part) = (whole.as_ref().unwrap(), part.as_ref().unwrap());
                assert!(difference(whole, part) < 1e-9, "{label}: {name} by {}", difference(whole, part));
            }
        }
    }
}

/// The chain rule across a boundary: the gradient of the first chunk's input, by way of leaves at the carried state,
/// equals the one of the whole.
#[test]
fn the_gradient_of_the_carried_state_is_what_the_first_chunk_needs() {
    for entry in entries() {
        let core = entry.tracked(&entry.store(DType::F64));
        let xs = leaf(&entry.xs(TIME, DType::F64));
        let (head, tail) = (xs.narrow(1, 0, 4).unwrap(), xs.narrow(1, 4, TIME - 4).unwrap().detach());
        let (ys, end) = core.forward(&xs, None, None).unwrap();
        let last = |ys: &Tensor| ys.narrow(1, ys.dims()[1] - 1, 1).unwrap();
        let whole = loss(&last(&ys), &State::empty()).backward().unwrap();
        let whole = whole.get(xs.as_tensor()).unwrap().narrow(1, 0, 4).unwrap();

        let (_, carried) = core.forward(&head, None, None).unwrap();
        let (leaves, vars) = carried.leaves().unwrap();
        let (ys, other) = core.forward(&tail, Some(&leaves), None).unwrap();
        assert_states_agree(&end, &other, 1e-12, &entry.label);
        let suffix = loss(&last(&ys), &State::empty()).backward().unwrap();
        let mut total = Tensor::zeros((), DType::F64, xs.device()).unwrap();
        for ((name, tensor), (_, var)) in floats(&carried).iter().zip(&vars) {
            // h of an LSTM and every other entry are read by the next step, so each has a gradient.
            let gradient = suffix.get(var.as_tensor()).unwrap_or_else(|| panic!("{}: {name}", entry.label));
            total = (total + (tensor * gradient.detach()).unwrap().sum_all().unwrap()).unwrap();
        }
        let prefix = total.backward().unwrap();
        let split = prefix.get(xs.as_tensor()).unwrap().narrow(1, 0, 4).unwrap();
        assert!(difference(&whole, &split) < 1e-9, "{}: {}", entry.label, difference(&whole, &split));
        assert!(values(&whole).iter().any(|value| value.abs() > 1e-9), "{}: nothing flows", entry.label);
    }
}

#[test]
fn lengths_give_each_row_its_own_end_and_continuing_from_there_equals_unpadded_runs() {
    let lengths = [TIME, 2, 5];
    for entry in entries() {
        let core = entry.detached();
        let xs = entry.xs(TIME, DType::F32);
        let more = normal(&[BATCH, 4, entry.dim], 77, DType::F32);
        let (_, state) = core.forward(&xs, None, Some(&lengths)).unwrap();
        let seconds = [1, 4, 3];
        let (ys, second) = core.forward(&more, Some(&state), Some(&seconds)).unwrap();
        let (third, _) = core.forward(&more, Some(&second), None).unwrap();
        let mut decoder = core.decoder(BATCH, 64).unwrap();
        decoder.load(&state).unwrap();
        let mut decoded = vec![0.0; BATCH * entry.dim];
        let token = more.narrow(1, 0, 1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        decoder.step(&token, &mut decoded).unwrap();
        for (row, length) in lengths.iter().enumerate() {
            let own = |tensor: &Tensor, time| tensor.narrow(0, row, 1).unwrap().narrow(1, 0, time).unwrap();
            let rows = [own(&xs, *length), own(&more, seconds[row]), own(&more, 4)];
            let (alone, _) = core.forward(&Tensor::cat(&rows, 1).unwrap(), None, None).unwrap();
            let part = |from, count| bits(&alone.narrow(1, from, count).unwrap());
            let valid = bits(&own(&ys, seconds[row]));
            assert_eq!(valid, part(*length, seconds[row]), "{} row {row}", entry.label);
            assert_eq!(bits(&own(&third, 4)), part(*length + seconds[row], 4), "{} row {row}", entry.label);
            let token: Vec<u32> =
                decoded[row * entry.dim..][..entry.dim].iter().map(|value| value.to_bits()).collect();
            assert_eq!(token, part(*length, 1), "{} row {row}, decoded", entry.label);
        }
        // Entries past a row's end may differ, and nothing may read them.
        let (_, unmoved) = core.forward(&more, Some(&state), Some(&[0; BATCH])).unwrap();
        let (again, _) = core.forward(&more, Some(&unmoved), None).unwrap();
        assert_eq!(bits(&again), bits(&ys), "{}: lengths of 0 move the state", entry.label);
    }
}

/// Gradients through ragged states: the loss of each row's own steps, joined, against rows run alone.
#[test]
fn ragged_chunks_have_the_gradients_of_unpadded_runs() {
    let lengths = [4, 1, 3];
    for entry in entries() {
        let core = entry.tracked(&entry.store(DType::F64));
        let (first, second) = (leaf(&entry.xs(4, DType::F64)), leaf(&entry.xs(5, DType::F64)));
        let (_, state) = core.forward(&first, None, Some(&lengths)).unwrap();
        let (ys, _) = core.forward(&second, Some(&state), None).unwrap();
        let joined = loss(&ys, &State::empty()).backward().unwrap();
        let weights = normal(ys.dims(), 101, DType::F64);
        let mut total = Tensor::zeros((), DType::F64, ys.device()).unwrap();
        for (row, length) in lengths.iter().enumerate() {
            let head = first.narrow(0, row, 1).unwrap().narrow(1, 0, *length).unwrap();
            let whole = Tensor::cat(&[&head, &second.narrow(0, row, 1).unwrap()], 1).unwrap();
            let (ys, _) = core.forward(&whole, None, None).unwrap();
            let own = (ys.narrow(1, *length, 5).unwrap() * weights.narrow(0, row, 1).unwrap()).unwrap();
            total = (total + own.sum_all().unwrap()).unwrap();
        }
        let alone = total.backward().unwrap();
        for xs in [&first, &second] {
            let (a, b) = (joined.get(xs.as_tensor()).unwrap(), alone.get(xs.as_tensor()).unwrap());
            assert!(difference(a, b) < 1e-9, "{}: {}", entry.label, difference(a, b));
        }
    }
}

#[test]
fn every_parameter_has_a_finite_gradient_that_is_zero_only_where_declared() {
    for entry in entries() {
        let store = entry.store(DType::F64);
        let core = entry.tracked(&store);
        let (ys, state) = core.forward(&entry.xs(TIME, DType::F64), None, None).unwrap();
        // Outputs alone: a key that is carried in the state would give its bias a gradient there.
        let gradients = loss(&ys, &State::empty()).backward().unwrap();
        for parameter in store.iter() {
            let label = format!("{}: {}", entry.label, parameter.name);
            let gradient =
                gradients.get(parameter.var.as_tensor()).unwrap_or_else(|| panic!("{label}: cut off"));
            let largest = values(gradient).iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
            assert!(values(gradient).iter().all(|value| value.is_finite()), "{label}");
            match parameter.flags.gradient_free {
                None => assert!(largest > 1e-8, "{label}: {largest}"),
                Some(_) => assert!(largest < 1e-12, "{label}: {largest}"),
            }
        }
        assert!(state.iter().count() > 0);
    }
}

#[test]
fn gradients_are_the_slopes_that_finite_differences_find() {
    let step = 1e-5;
    for entry in entries() {
        let store = entry.store(DType::F64);
        let core = entry.tracked(&store);
        let xs = entry.xs(TIME, DType::F64);
        let evaluate = || {
            let (ys, state) = core.forward(&xs, None, None).unwrap();
            loss(&ys, &state)
        };
        let gradients = evaluate().backward().unwrap();
        for parameter in store.iter() {
            let start = parameter.var.as_detached_tensor().copy().unwrap();
            let gradient = values(gradients.get(parameter.var.as_tensor()).unwrap());
            let count = start.elem_count();
            for at in [0, count / 3, count - 1] {
                let slope = |distance: f64| {
                    let mut moved = values(&start);
                    moved[at] += distance;
                    let moved = Tensor::from_vec(moved, start.dims(), start.device()).unwrap();
                    parameter.var.set(&moved).unwrap();
                    evaluate().to_scalar::<f64>().unwrap()
                };
                let found = (slope(step) - slope(-step)) / (2.0 * step);
                let error = (found - gradient[at]).abs() / found.abs().max(1.0);
                assert!(error < 1e-6, "{}: {}[{at}]: {found} {}", entry.label, parameter.name, gradient[at]);
            }
            parameter.var.set(&start).unwrap();
        }
    }
}
