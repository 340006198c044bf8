//! Token look-up and the gathering of scored steps.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use candle_core::DType;
use common::{
    assert_close, assert_finite_differences, assert_same_on_any_threads, flat, gradients, tensor, var,
    weighted,
};
use seqbench_kernels::{embedding, gather_steps, reference};

#[test]
fn tokens_find_their_vectors_and_repeated_ones_add_their_gradients() {
    for dtype in [DType::F32, DType::F64] {
        let table = var(1, (5, 3), dtype);
        let ids = [4, 0, 4, 4, 1, 0];
        let found = embedding(&table, &ids, (2, 3)).unwrap();
        assert_eq!(found.dims(), [2, 3, 3]);
        let rows = flat(&table);
        let want: Vec<f64> = ids.iter().flat_map(|&id| rows[id as usize * 3..][..3].to_vec()).collect();
        assert_eq!(flat(&found), want);

        let gradient = &gradients(&weighted(&[&found]).unwrap(), &[&table])[0];
        let index: Vec<usize> = ids.iter().map(|&id| id as usize).collect();
        let plain = reference::gather::gather_rows(&table, &index).unwrap().reshape((2, 3, 3)).unwrap();
        assert_close("gradient", gradient, &gradients(&weighted(&[&plain]).unwrap(), &[&table])[0], 1e-6);
        // Tokens 2 and 3 never occur.
        assert!(flat(gradient)[6..12].iter().all(|value| *value == 0.0));
    }
}

#[test]
fn steps_are_gathered_in_order_and_repeats_add() {
    let ys = var(1, (2, 5, 3), DType::F64);
    let at = [(1, 4), (0, 0), (1, 4), (0, 3)];
    let found = gather_steps(&ys, &at).unwrap();
    assert_eq!(found.dims(), [4, 3]);
    for (n, (row, step)) in at.iter().enumerate() {
        let want = ys.get(*row).unwrap().get(*step).unwrap();
        assert_eq!(flat(&found.get(n).unwrap()), flat(&want));
    }
    assert_finite_differences(&[&ys], |inputs| weighted(&[&gather_steps(&inputs[0], &at)?]), 1e-9);
}

#[test]
fn the_smallest_table_and_sequence_work() {
    let table = var(1, (1, 1), DType::F64);
    let found = embedding(&table, &[0], (1, 1)).unwrap();
    assert_eq!(flat(&found), flat(&table));
    assert_eq!(flat(&gather_steps(&found, &[(0, 0)]).unwrap()), flat(&table));
}

#[test]
fn strided_tables_and_sequences_give_what_contiguous_ones_give() {
    let table = var(1, (3, 5), DType::F64);
    let turned = table.t().unwrap();
    let got = embedding(&turned, &[4, 1], (1, 2)).unwrap();
    assert_close("embedding", &got, &embedding(&turned.contiguous().unwrap(), &[4, 1], (1, 2)).unwrap(), 0.0);
    let gradient = &gradients(&weighted(&[&got]).unwrap(), &[&table])[0];
    assert_eq!(gradient.dims(), [3, 5]);
    assert!(flat(gradient).iter().filter(|value| **value != 0.0).count() == 6);

    let ys = tensor(2, (5, 2, 3), DType::F64).transpose(0, 1).unwrap();
    let got = gather_steps(&ys, &[(1, 4)]).unwrap();
    assert_eq!(flat(&got), flat(&ys.get(1).unwrap().get(4).unwrap()));
}

#[test]
fn bits_do_not_depend_on_threads() {
    assert_same_on_any_threads(|| {
        let table = var(1, (7, 53), DType::F32);
        let ids: Vec<u32> = (0..1009).map(|i| i * i % 7).collect();
        let found = embedding(&table, &ids, (1, 1009)).unwrap();
        gradients(&weighted(&[&found]).unwrap(), &[&table])
    });
}

#[test]
fn what_lies_outside_is_named() {
    let table = tensor(1, (5, 3), DType::F32);
    let message = |ids: &[u32], shape| embedding(&table, ids, shape).unwrap_err().to_string();
    assert!(message(&[0, 5], (1, 2)).contains("token 5 at position 1"));
    assert!(message(&[0, 1, 2], (1, 2)).contains("3 tokens"));
    let ys = tensor(1, (2, 5, 3), DType::F32);
    let message = |at: &[(usize, usize)]| gather_steps(&ys, at).unwrap_err().to_string();
    assert!(message(&[(0, 5)]).contains("(0, 5)"));
    assert!(message(&[(2, 0)]).contains("(2, 0)"));
    assert!(message(&[]).contains("no positions"));
    assert!(gather_steps(&table, &[(0, 0)]).unwrap_err().to_string().contains("[batch, time, dim]"));
}

/// Few symbols taken often are split by columns, many rows taken seldom by rows; the widths are no whole lines.
#[test]
fn either_split_adds_what_one_thread_adds() {
    for (vocabulary, dim, count) in [(7, 39, 1500), (2000, 39, 1500), (3, 1, 40_000), (5, 17, 3)] {
        let ids: Vec<u32> = (0..count).map(|at| (at * at % vocabulary) as u32).collect();
        let sums = || {
            let table = var(1, (vocabulary, dim), DType::F32);
            let found = embedding(&table, &ids, (1, count)).unwrap();
            gradients(&weighted(&[&found]).unwrap(), &[&table]).remove(0)
        };
        assert_same_on_any_threads(|| vec![sums()]);
        let table = var(1, (vocabulary, dim), DType::F32);
        let index: Vec<usize> = ids.iter().map(|id| *id as usize).collect();
        let plain = reference::gather::gather_rows(&table, &index).unwrap();
        let plain = plain.reshape((1, count, dim)).unwrap();
        assert_close("gradient", &sums(), &gradients(&weighted(&[&plain]).unwrap(), &[&table])[0], 1e-4);
    }
}
