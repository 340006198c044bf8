//! Rotary positions against the plain formulation, finite differences and the property they exist for.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use candle_core::{DType, Tensor, Var};
use common::{
    assert_close, assert_finite_differences, assert_same_on_any_threads, bits, flat, gradients, tensor,
    weighted,
};
use seqbench_kernels::{Rope, RopeCell, reference, rope};

const BASE: f64 = 10_000.0;

#[test]
fn values_and_gradients_equal_the_reference() {
    for (batch, time, starts) in [(3, 7, vec![0, 5, 5]), (1, 1, vec![1_000_003]), (2, 67, vec![11, 0])] {
        for (dtype, tolerance) in [(DType::F32, 1e-6), (DType::F64, 1e-14)] {
            let xs = common::var(1, (batch, time, 3, 10), dtype);
            let got = rope(xs.as_tensor(), &starts, BASE).unwrap();
            let want = reference::rope(xs.as_tensor(), &starts, BASE).unwrap();
            assert_close("ys", &got, &want, tolerance);
            let grads = [got, want].map(|ys| gradients(&weighted(&[&ys]).unwrap(), &[&xs]).remove(0));
            assert_close("gradient", &grads[0], &grads[1], tolerance);
        }
    }
}

#[test]
fn gradients_equal_finite_differences() {
    let xs = common::var(1, (2, 3, 2, 6), DType::F64);
    assert_finite_differences(&[&xs], |x| weighted(&[&rope(&x[0], &[4, 9], BASE)?]), 1e-8);
}

#[test]
fn pairs_are_neighbours_that_turn_by_position_times_frequency() {
    let xs = Tensor::from_vec(vec![1.0, 0.0, 0.0, 2.0], (1, 1, 1, 4), &candle_core::Device::Cpu).unwrap();
    let ys = flat(&rope(&xs, &[3], 100.0).unwrap());
    // Frequencies 100^0 and 100^(−1/2).
    let want = [libm::cos(3.0), libm::sin(3.0), -2.0 * libm::sin(0.3), 2.0 * libm::cos(0.3)];
    for (y, want) in ys.iter().zip(want) {
        assert!((y - want).abs() < 1e-15, "{y} {want}");
    }
}

#[test]
fn products_depend_on_the_distance_only() {
    let (q, k) = (tensor(1, (1, 1, 1, 10), DType::F64), tensor(2, (1, 1, 1, 10), DType::F64));
    let product = |at_q: u32, at_k: u32| {
        let (q, k) = (rope(&q, &[at_q], BASE).unwrap(), rope(&k, &[at_k], BASE).unwrap());
        (q * k).unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap()
    };
    assert!((product(17, 5) - product(1_000_012, 1_000_000)).abs() < 1e-8);
    assert!((product(17, 5) - product(18, 5)).abs() > 1e-3);
}

#[test]
fn chunks_rows_and_single_tokens_equal_one_pass() {
    let xs = tensor(1, (2, 67, 3, 10), DType::F32);
    let whole = rope(&xs, &[2, 9], BASE).unwrap();
    let (first, rest) = (xs.narrow(1, 0, 40).unwrap(), xs.narrow(1, 40, 27).unwrap());
    let parts = [rope(&first, &[2, 9], BASE).unwrap(), rope(&rest, &[42, 49], BASE).unwrap()];
    assert_eq!(bits(&whole), bits(&Tensor::cat(&parts, 1).unwrap()));
    let alone = rope(&xs.narrow(0, 1, 1).unwrap(), &[9], BASE).unwrap();
    assert_eq!(bits(&whole.narrow(0, 1, 1).unwrap()), bits(&alone));

    let turner = Rope::new(10, BASE).unwrap();
    let mut cell = RopeCell::new(turner.clone());
    for at in [0, 1, 66] {
        let token = |t: &Tensor| {
            t.narrow(0, 1, 1)
                .unwrap()
                .narrow(1, at, 1)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()
        };
        let mut one = token(&xs);
        turner.rotate(&mut one, 9 + at as u32);
        assert_eq!(one, token(&whole));
        // Twice at one position, whose angles it keeps.
        for _ in 0..2 {
            let mut one = token(&xs);
            cell.rotate(&mut one, 9 + at as u32);
            assert_eq!(one, token(&whole));
        }
    }
}

#[test]
fn far_positions_of_several_rows_equal_the_reference() {
    // Beyond what one table serves, each start has its own.
    let xs = common::var(1, (3, 5, 2, 22), DType::F32);
    let starts = [70_000, 3, 70_000];
    let (got, want) = (rope(xs.as_tensor(), &starts, BASE), reference::rope(xs.as_tensor(), &starts, BASE));
    assert_close("ys", &got.unwrap(), &want.unwrap(), 1e-6);
}

#[test]
fn threads_and_strides_change_no_bit() {
    let xs = tensor(1, (3, 41, 3, 10), DType::F32);
    let starts = [0, 7, 7];
    assert_same_on_any_threads(|| {
        let xs = Var::from_tensor(&xs).unwrap();
        let ys = rope(xs.as_tensor(), &starts, BASE).unwrap();
        let grad = gradients(&weighted(&[&ys]).unwrap(), &[&xs]).remove(0);
        vec![ys.detach(), grad]
    });
    let strided = xs.transpose(1, 2).unwrap().contiguous().unwrap().transpose(1, 2).unwrap();
    assert!(!strided.is_contiguous());
    let (plain, strided) = (rope(&xs, &starts, BASE).unwrap(), rope(&strided, &starts, BASE).unwrap());
    assert_eq!(bits(&plain), bits(&strided));
}

#[test]
fn errors_say_what_was_expected() {
    let message = |shape: (usize, usize, usize, usize), starts: &[u32], base: f64| {
        rope(&tensor(1, shape, DType::F32), starts, base).unwrap_err().to_string()
    };
    assert!(message((1, 2, 3, 5), &[0], BASE).contains("head_dim is 5, expected an even number"));
    assert!(message((2, 2, 3, 4), &[0], BASE).contains("starts has 1 entries, but xs is [2, 2, 3, 4]"));
    assert!(message((1, 2, 3, 4), &[0], f64::NAN).contains("base is NaN"));
    let flat = tensor(1, (2, 4), DType::F32);
    assert!(rope(&flat, &[0, 0], BASE).unwrap_err().to_string().contains("xs is [2, 4]"));
}
