//! A residual sum against candle's.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use candle_core::DType;
use common::*;
use seqbench_kernels::add;

#[test]
fn values_and_gradients_equal_the_plain_formulation() {
    on_every_isa("values_and_gradients_equal_the_plain_formulation", || {
        for dtype in [DType::F64, DType::F32] {
            // The last is more than one block of one thread.
            for sizes in [(1, 1, 1), (2, 3, 17), (5, 63, 100), (3, 65, 401)] {
                let (a, b) = (var(1, sizes, dtype), var(2, sizes, dtype));
                let (got, want) = (add(&a, &b).unwrap(), a.add(&b).unwrap());
                assert_eq!(bits(&got), bits(&want));
                let of = |ys| gradients(&weighted(&[ys]).unwrap(), &[&a, &b]);
                for (got, want) in of(&got).iter().zip(&of(&want)) {
                    assert_eq!(bits(got), bits(want));
                }
            }
        }
    });
}

#[test]
fn an_end_of_the_shape_is_added_to_every_part() {
    on_every_isa("an_end_of_the_shape_is_added_to_every_part", || {
        for dtype in [DType::F64, DType::F32] {
            // Of the last, a part is longer than a block of one thread, and blocks begin inside parts.
            for (sizes, end) in
                [((2, 3, 5), vec![3, 5]), ((4, 1, 17), vec![17]), ((3, 131, 257), vec![131, 257])]
            {
                let (a, b) = (var(1, sizes, dtype), var(2, end, dtype));
                let (got, want) = (add(&a, &b).unwrap(), a.broadcast_add(&b).unwrap());
                assert_eq!(bits(&got), bits(&want));
                let of = |ys| gradients(&weighted(&[ys]).unwrap(), &[&a, &b]);
                for (got, want) in of(&got).iter().zip(&of(&want)) {
                    assert_close("a gradient", got, want, if dtype == DType::F64 { 1e-12 } else { 1e-5 });
                }
            }
        }
    });
}

#[test]
fn what_differs_is_named() {
    let (a, b) = (tensor(1, (2, 3), DType::F32), tensor(2, (3, 2), DType::F32));
    let message = add(&a, &b).unwrap_err().to_string();
    assert!(message.contains("b is [3, 2], expected [2, 3]"), "{message}");
    let message = add(&a, &tensor(2, (2, 3), DType::F64)).unwrap_err().to_string();
    assert!(message.contains("F64"), "{message}");
}
