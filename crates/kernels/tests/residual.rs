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
fn what_differs_is_named() {
    let (a, b) = (tensor(1, (2, 3), DType::F32), tensor(2, (3, 2), DType::F32));
    let message = add(&a, &b).unwrap_err().to_string();
    assert!(message.contains("b is [3, 2], expected [2, 3]"), "{message}");
    let message = add(&a, &tensor(2, (2, 3), DType::F64)).unwrap_err().to_string();
    assert!(message.contains("F64"), "{message}");
}
