//! What the operations allocate: memory linear in time, and nothing for a decoder's step.
//!
//! One test, because the peak is the whole process's.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use candle_core::{DType, Tensor};
use common::{tensor, weighted};
use seqbench_kernels::memory::Counting;
use seqbench_kernels::{
    AttentionCell, AttentionOptions, Rope, ScanCell, ScanOutput, ScanParameters, SelectiveInputs,
    SelectiveParameters, SelectiveScanCell, attention, diagonal_scan, selective_scan,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn parameters(dim: usize, n: usize) -> ScanParameters {
    let [lambda_re, lambda_im, b_re, b_im, c_re, c_im] =
        [1, 2, 3, 4, 5, 6].map(|seed| tensor(seed, (dim, n), DType::F32).affine(0.6, 0.0).unwrap());
    ScanParameters { lambda_re, lambda_im, b_re, b_im, c_re, c_im, d: tensor(7, dim, DType::F32) }
}

fn selective() -> SelectiveParameters {
    let a = tensor(8, (5, 3), DType::F32).affine(1.0, -1.0).unwrap();
    SelectiveParameters { a, d: tensor(9, 5, DType::F32) }
}

#[test]
fn memory_is_linear_in_time_and_a_step_allocates_nothing() {
    let attend = |time: usize| {
        Counting::peak(|| {
            let [q, k, v] = [1, 2, 3].map(|seed| common::var(seed, (1, time, 2, 8), DType::F32));
            let ys =
                attention(q.as_tensor(), k.as_tensor(), v.as_tensor(), &AttentionOptions::default()).unwrap();
            common::gradients(&weighted(&[&ys]).unwrap(), &[&q, &k, &v]);
        })
    };
    let scan = |time: usize| {
        Counting::peak(|| {
            let us = common::var(1, (1, time, 5), DType::F32);
            let state = tensor(2, (1, 5, 3, 2), DType::F32);
            let (ys, last) = diagonal_scan(us.as_tensor(), &parameters(5, 3), &state, None).unwrap();
            common::gradients(&weighted(&[&ys, &last]).unwrap(), &[&us]);
        })
    };
    let select = |time: usize| {
        Counting::peak(|| {
            let us = common::var(1, (1, time, 5), DType::F32);
            let [b, c] = [2, 3].map(|seed| tensor(seed, (1, time, 3), DType::F32));
            let inputs = SelectiveInputs { delta: us.as_tensor().clone(), b, c };
            let state = tensor(4, (1, 5, 3), DType::F32);
            let (ys, last) = selective_scan(us.as_tensor(), &inputs, &selective(), &state, None).unwrap();
            common::gradients(&weighted(&[&ys, &last]).unwrap(), &[&us]);
        })
    };
    for (name, bytes) in [
        ("attention", [1000, 2000].map(attend)),
        ("diagonal_scan", [4096, 8192].map(scan)),
        ("selective_scan", [4096, 8192].map(select)),
    ] {
        assert!(bytes[1] < 2 * bytes[0] + bytes[0] / 10, "{name}: twice the time took {bytes:?} bytes");
    }

    let tokens = [1f32; 2 * 5];
    let mut ys = [0f32; 2 * 5];
    let mut cell =
        ScanCell::<f32>::new(&parameters(5, 3), ScanOutput::Linear, &tensor(2, (2, 5, 3, 2), DType::F32))
            .unwrap();
    cell.step(&tokens, &mut ys).unwrap();
    assert_eq!(Counting::allocations(|| (0..100).for_each(|_| cell.step(&tokens, &mut ys).unwrap())), 0);

    let mixes = [1f32; 2 * 3];
    let mut cell = SelectiveScanCell::<f32>::new(&selective(), &tensor(2, (2, 5, 3), DType::F32)).unwrap();
    cell.step(&tokens, &tokens, &mixes, &mixes, &mut ys).unwrap();
    let steps = || (0..100).for_each(|_| cell.step(&tokens, &tokens, &mixes, &mixes, &mut ys).unwrap());
    assert_eq!(Counting::allocations(steps), 0);

    let nothing = Tensor::zeros((2, 0, 1, 5), DType::F32, &candle_core::Device::Cpu).unwrap();
    let mut cell = AttentionCell::<f32>::new(&nothing, &nothing, 101, &AttentionOptions::default()).unwrap();
    cell.step(&tokens, &tokens, &tokens, &mut ys).unwrap();
    let steps = || (0..100).for_each(|_| cell.step(&tokens, &tokens, &tokens, &mut ys).unwrap());
    assert_eq!(Counting::allocations(steps), 0);

    let turner = Rope::new(10, 10_000.0).unwrap();
    assert_eq!(Counting::allocations(|| turner.rotate(&mut ys, 12)), 0);
}
