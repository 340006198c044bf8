//! What every registered architecture promises besides values: bits that depend on the seed alone, any length, clear
//! errors, and the costs its formulas state.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use candle_core::{DType, Tensor};
use common::{BATCH, TIME, bits, entries, floats, loss, normal};
use seqbench_core::parameter::Params;
use seqbench_core::state::State;
use seqbench_kernels::reference::counted;

#[test]
fn a_seed_gives_the_same_bits_and_another_seed_others() {
    for entry in entries() {
        let all = |seed| {
            let store = entry.store_from(seed, DType::F32);
            store.iter().flat_map(|parameter| bits(parameter.var.as_tensor())).collect::<Vec<_>>()
        };
        assert_eq!(all(1), all(1), "{}", entry.label);
        assert_ne!(all(1), all(2), "{}", entry.label);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for entry in entries() {
        let store = entry.store(DType::F32);
        let work = || {
            let core = entry.tracked(&store);
            // Long enough that kernels do split their work.
            let (ys, state) = core.forward(&entry.xs(131, DType::F32), None, None).unwrap();
            let gradients = loss(&ys, &state).backward().unwrap();
            let mut all = bits(&ys);
            floats(&state).iter().for_each(|(_, tensor)| all.extend(bits(tensor)));
            store.iter().for_each(|each| all.extend(bits(gradients.get(each.var.as_tensor()).unwrap())));
            all
        };
        let on =
            |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work);
        let one = on(1);
        assert!(one == on(2) && one == on(3), "{}", entry.label);
    }
}

#[test]
fn any_length_works() {
    for entry in entries() {
        let core = entry.detached();
        for time in [1, 2, 63, 65, 200] {
            let (ys, _) = core.forward(&entry.xs(time, DType::F32), None, None).unwrap();
            assert_eq!(ys.dims(), [BATCH, time, entry.dim], "{}", entry.label);
            assert!(ys.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|y| y.is_finite()));
        }
    }
}

#[test]
fn wrong_shapes_are_errors_that_name_both() {
    for entry in entries() {
        let core = entry.detached();
        let d = entry.dim;
        let message = |shape: &[usize], state: Option<&State>, lengths: Option<&[usize]>| {
            let xs = normal(shape, 0, DType::F32);
            core.forward(&xs, state, lengths).expect_err(&entry.label).to_string()
        };
        for shape in [&[BATCH, d][..], &[BATCH, TIME, d + 1], &[BATCH, 0, d], &[1, BATCH, TIME, d]] {
            let text = message(shape, None, None);
            assert!(text.contains(&format!("{shape:?}")) && text.contains(&format!(", {d}]")), "{text}");
        }
        let state = core.initial_state(BATCH + 1).unwrap();
        let text = message(&[BATCH, TIME, d], Some(&state), None);
        assert!(text.contains(&format!("[{}", BATCH + 1)) && text.contains(&format!("[{BATCH}")), "{text}");
        let text = message(&[BATCH, TIME, d], Some(&State::empty()), None);
        assert!(text.contains("the state has no"), "{text}");
        let text = message(&[BATCH, TIME, d], None, Some(&[1]));
        assert!(text.contains("[1]") && text.contains(&format!("[{BATCH}]")), "{text}");
        let text = message(&[BATCH, TIME, d], None, Some(&[TIME + 1; BATCH]));
        assert!(text.contains("8") && text.contains("7"), "{text}");
        let text = core.step(&entry.xs(1, DType::F32), &core.initial_state(BATCH).unwrap()).err().unwrap();
        assert!(text.to_string().contains("[batch, dim]"), "{text}");
        let mut decoder = core.decoder(BATCH, TIME).unwrap();
        let text =
            decoder.step(&vec![0.0; BATCH * d - 1], &mut vec![0.0; BATCH * d]).unwrap_err().to_string();
        assert!(text.contains(&format!("{}", BATCH * d - 1)), "{text}");
        assert!(decoder.load(&state).is_err() && decoder.load(&State::empty()).is_err(), "{}", entry.label);
    }
}

#[test]
fn a_decoder_of_double_precision_is_refused() {
    for entry in entries() {
        let core = entry.tracked(&entry.store(DType::F64));
        let text = core.decoder(1, 4).err().expect("double precision").to_string();
        assert!(text.contains("F64") && text.contains("single precision"), "{text}");
    }
}

#[test]
fn parameters_are_counted_by_the_formula_and_a_store_builds_them_again() {
    for entry in entries() {
        let store = entry.store(DType::F32);
        assert_eq!(store.count(), entry.configured.parameter_count(entry.dim), "{}", entry.label);
        let again = Params::detached(&store);
        entry.configured.build(entry.dims(), &again).unwrap();
        assert_eq!(again.store().len(), store.len());
        for parameter in store.iter().filter(|parameter| parameter.var.rank() == 1) {
            assert!(parameter.flags.no_decay, "{}: {}", entry.label, parameter.name);
        }
    }
}

#[test]
fn multiply_adds_are_those_of_the_plain_formulation() {
    for entry in entries() {
        let core = entry.detached();
        for length in [1, 2, 13] {
            let xs = entry.xs(length, DType::F32);
            let (_, count) = counted(|| core.forward(&xs, None, None).unwrap());
            let formula = entry.configured.forward_operations(entry.dim, length);
            assert_eq!(
                count.total() as f64,
                BATCH as f64 * formula,
                "{} at {length}: {count:?}",
                entry.label
            );
        }
    }
}

#[test]
fn state_bytes_follow_the_formula_and_grow_only_where_a_context_is_kept() {
    for entry in entries() {
        let core = entry.detached();
        let of = |context| entry.configured.state_bytes(entry.dim, context);
        let mut live = vec![core.initial_state(BATCH).unwrap().bytes()];
        for context in [1, 6, 17] {
            let (_, state) = core.forward(&entry.xs(context, DType::F32), None, None).unwrap();
            assert_eq!(state.bytes(), BATCH * of(context), "{} at {context}", entry.label);
            live.push(state.bytes());
        }
        assert_eq!(live[0], BATCH * of(0), "{}", entry.label);
        let keeps_all = entry.configured.info().name == "transformer";
        assert!(live.windows(2).all(|pair| (pair[1] > pair[0]) == keeps_all), "{}: {live:?}", entry.label);
    }
}

#[test]
fn a_decoder_holds_its_capacity_and_no_more_where_a_context_is_kept() {
    for entry in entries() {
        let core = entry.detached();
        let mut decoder = core.decoder(1, 2).unwrap();
        let (x, mut y) = (vec![0.5; entry.dim], vec![0.0; entry.dim]);
        assert!((0..2).all(|_| decoder.step(&x, &mut y).is_ok()), "{}", entry.label);
        let grows =
            entry.configured.state_bytes(1 + entry.dim, 9) > entry.configured.state_bytes(1 + entry.dim, 8);
        assert_eq!(decoder.step(&x, &mut y).is_err(), grows, "{}", entry.label);
    }
}

#[test]
fn the_gradient_of_a_long_sequence_needs_no_deep_stack() {
    for entry in entries() {
        let work = move || {
            let store = entry.store(DType::F32);
            let xs = Tensor::ones((1, 3000, entry.dim), DType::F32, &candle_core::Device::Cpu).unwrap();
            let (ys, _) = entry.tracked(&store).forward(&(xs * 0.01).unwrap(), None, None).unwrap();
            ys.sum_all().unwrap().backward().unwrap();
        };
        let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap();
        assert!(thread.join().is_ok());
    }
}
