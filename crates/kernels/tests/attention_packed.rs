//! Attention over packed projections against its reference, against its parts, on threads and instruction sets.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use candle_core::{DType, Device, Result, Tensor, Var};
use common::{
    assert_close, assert_finite_differences, assert_same_on_any_threads, bits, gradients, tensor, weighted,
};
use seqbench_kernels::{
    AttentionOptions, PackedOptions, attention, attention_packed, attention_state, reference, rope,
};

type Attend = fn(&Tensor, usize, &PackedOptions<'_>) -> Result<Tensor>;

const BASE: f64 = 10_000.0;

fn projections(batch: usize, time: usize, width: usize, dtype: DType) -> Tensor {
    tensor(1, (batch, time, 3 * width), dtype).affine(1.7, 0.0).unwrap()
}

/// The result and the gradient of the projections.
fn everything(attend: Attend, qkv: &Tensor, heads: usize, options: &PackedOptions<'_>) -> [Tensor; 2] {
    let qkv = Var::from_tensor(qkv).unwrap();
    let ys = attend(qkv.as_tensor(), heads, options).unwrap();
    let grad = gradients(&weighted(&[&ys]).unwrap(), &[&qkv]).remove(0);
    [ys.detach(), grad]
}

fn assert_reference(batch: usize, time: usize, heads: usize, head_dim: usize, dtype: DType) {
    let qkv = projections(batch, time, heads * head_dim, dtype);
    let slopes = [0.5, 0.25, 0.03];
    let turned = head_dim.is_multiple_of(2).then_some(BASE);
    for options in [
        PackedOptions::default(),
        PackedOptions { scale: Some(0.3), alibi: Some(&slopes[..heads]), rope: turned },
    ] {
        let got = everything(attention_packed, &qkv, heads, &options);
        let want = everything(reference::attention_packed, &qkv, heads, &options);
        let tolerance = if dtype == DType::F32 { 1e-5 } else { 1e-13 };
        for (name, (got, want)) in ["ys", "qkv"].iter().zip(got.iter().zip(&want)) {
            let what = format!("{name} at {batch} {time} {heads} {head_dim} {dtype:?} {options:?}");
            assert_close(&what, got, want, tolerance);
        }
    }
}

#[test]
fn values_and_gradients_equal_the_reference_at_every_length() {
    for time in [1, 2, 31, 63, 65, 129] {
        for (batch, dtype) in [(1, DType::F32), (5, DType::F32), (5, DType::F64)] {
            assert_reference(batch, time, 3, 10, dtype);
        }
    }
}

fn every_width_equals_the_reference() {
    for head_dim in [1, 3, 8, 16, 17, 32, 37, 64, 100] {
        assert_reference(2, 71, 2, head_dim, DType::F32);
    }
}

#[test]
fn every_width_equals_the_reference_on_every_instruction_set() {
    common::on_every_isa(
        "every_width_equals_the_reference_on_every_instruction_set",
        every_width_equals_the_reference,
    );
}

#[test]
fn long_sequences_equal_the_reference() {
    // Long enough that the sums of a key are cut into shards.
    assert_reference(1, 1000, 2, 16, DType::F32);
    assert_reference(1, 600, 1, 6, DType::F64);
}

#[test]
fn gradients_equal_finite_differences() {
    let qkv = common::var(1, (2, 35, 3 * 2 * 2), DType::F64);
    let options = PackedOptions { scale: None, alibi: Some(&[0.5, 0.1]), rope: Some(BASE) };
    let function = |x: &[Tensor]| weighted(&[&attention_packed(&x[0], 2, &options)?]);
    assert_finite_differences(&[&qkv], function, 1e-8);
    let function = |x: &[Tensor]| weighted(&[&attention_state(&x[0], 2, Some(BASE))?]);
    assert_finite_differences(&[&qkv], function, 1e-8);
}

#[test]
fn the_parts_one_by_one_give_the_same_bits() {
    let (batch, time, heads, head_dim) = (2, 300, 3, 10);
    let slopes = [0.5, 0.25, 0.03];
    let qkv = projections(batch, time, heads * head_dim, DType::F32);
    let apart: Attend = |qkv, heads, options| {
        let (batch, time, width) = qkv.dims3()?;
        let part = |at: usize| {
            qkv.narrow(2, at * width / 3, width / 3)?.reshape((batch, time, heads, width / 3 / heads))
        };
        let turned = |at: usize| rope(&part(at)?, &vec![0; batch], BASE);
        let options = AttentionOptions { scale: options.scale, past: None, alibi: options.alibi };
        attention(&turned(0)?, &turned(1)?, &part(2)?, &options)?.reshape((batch, time, width / 3))
    };
    let options = PackedOptions { scale: None, alibi: Some(&slopes), rope: Some(BASE) };
    let [ys, grad] = everything(attention_packed, &qkv, heads, &options);
    let [ys_apart, grad_apart] = everything(apart, &qkv, heads, &options);
    assert_eq!(bits(&ys), bits(&ys_apart));
    // A sum of −0 and padding is 0.
    assert_close("qkv", &grad, &grad_apart, 0.0);
}

#[test]
fn the_state_is_the_rotated_keys_beside_the_values() {
    for dtype in [DType::F32, DType::F64] {
        for base in [None, Some(BASE)] {
            let qkv = Var::from_tensor(&projections(3, 37, 20, dtype)).unwrap();
            let found = [attention_state, reference::attention_state].map(|state| {
                let kv = state(qkv.as_tensor(), 2, base).unwrap();
                let grad = gradients(&weighted(&[&kv]).unwrap(), &[&qkv]).remove(0);
                (kv.detach(), grad)
            });
            assert_close("kv", &found[0].0, &found[1].0, 1e-6);
            assert_close("qkv", &found[0].1, &found[1].1, 1e-6);
        }
    }
    let qkv = projections(2, 19, 20, DType::F32);
    let keys = qkv.narrow(2, 20, 20).unwrap().reshape((2, 19, 2, 10)).unwrap();
    let turned = rope(&keys, &[0, 0], BASE).unwrap().reshape((2, 19, 20)).unwrap();
    let state = attention_state(&qkv, 2, Some(BASE)).unwrap();
    assert_eq!(bits(&state.narrow(2, 0, 20).unwrap()), bits(&turned));
}

#[test]
fn a_prefix_and_a_row_alone_give_the_same_bits() {
    let qkv = projections(3, 131, 20, DType::F32);
    let options = PackedOptions { rope: Some(BASE), ..Default::default() };
    let whole = attention_packed(&qkv, 2, &options).unwrap();
    for time in [1, 31, 64, 100] {
        let prefix = attention_packed(&qkv.narrow(1, 0, time).unwrap(), 2, &options).unwrap();
        assert_eq!(bits(&prefix), bits(&whole.narrow(1, 0, time).unwrap()), "{time}");
    }
    let middle: Attend = |qkv, heads, options| attention_packed(qkv, heads, options)?.narrow(0, 1, 1);
    let [ys, grad] = everything(middle, &qkv, 2, &options);
    let alone = everything(attention_packed, &qkv.narrow(0, 1, 1).unwrap(), 2, &options);
    assert_eq!(bits(&alone[0]), bits(&ys));
    assert_eq!(bits(&alone[1]), bits(&grad.narrow(0, 1, 1).unwrap()));
    assert!(common::flat(&grad.narrow(0, 0, 1).unwrap()).iter().all(|g| *g == 0.0));
}

#[test]
fn threads_change_no_bit() {
    // One head of one row, several, and more than threads; the first two are cut into pieces.
    for (batch, heads, time) in [(1, 1, 700), (1, 3, 700), (3, 2, 131)] {
        let qkv = projections(batch, time, heads * 10, DType::F32);
        let options = PackedOptions { rope: Some(BASE), ..Default::default() };
        assert_same_on_any_threads(|| everything(attention_packed, &qkv, heads, &options).to_vec());
    }
}

#[test]
fn strided_projections_give_the_same_bits() {
    let qkv = projections(2, 37, 20, DType::F32);
    let strided = qkv.transpose(0, 1).unwrap().contiguous().unwrap().transpose(0, 1).unwrap();
    assert!(!strided.is_contiguous());
    let options = PackedOptions { rope: Some(BASE), ..Default::default() };
    let both = [&qkv, &strided].map(|qkv| attention_packed(qkv, 2, &options).unwrap());
    assert_eq!(bits(&both[0]), bits(&both[1]));
    let both = [&qkv, &strided].map(|qkv| attention_state(qkv, 2, Some(BASE)).unwrap());
    assert_eq!(bits(&both[0]), bits(&both[1]));
}

#[test]
fn nothing_gives_nothing() {
    let none = Tensor::zeros((2, 0, 12), DType::F32, &Device::Cpu).unwrap();
    let options = PackedOptions { rope: Some(BASE), ..Default::default() };
    assert_eq!(attention_packed(&none, 2, &options).unwrap().dims(), [2, 0, 4]);
    assert_eq!(attention_state(&none, 2, Some(BASE)).unwrap().dims(), [2, 0, 8]);
}

#[test]
fn errors_name_what_was_found() {
    let qkv = projections(2, 5, 20, DType::F32);
    let message = |heads: usize, options: PackedOptions<'_>| {
        attention_packed(&qkv, heads, &options).unwrap_err().to_string()
    };
    assert!(
        message(3, PackedOptions::default())
            .contains("qkv is [2, 5, 60], whose width is no multiple of 3 · 3")
    );
    assert!(message(0, PackedOptions::default()).contains("3 · 0 heads"));
    assert!(message(4, PackedOptions { rope: Some(BASE), ..Default::default() }).contains("head_dim is 5"));
    let few = PackedOptions { alibi: Some(&[0.5]), ..Default::default() };
    assert!(message(2, few).contains("alibi has 1 slopes for 2 heads"));
    let flat = qkv.flatten_all().unwrap();
    let found = attention_packed(&flat, 2, &PackedOptions::default()).unwrap_err().to_string();
    assert!(found.contains("qkv is [600]"), "{found}");
    assert!(attention_state(&flat, 2, None).unwrap_err().to_string().contains("qkv is [600]"));
    assert!(attention_state(&qkv, 3, None).unwrap_err().to_string().contains("no multiple of 3 · 3"));
}
