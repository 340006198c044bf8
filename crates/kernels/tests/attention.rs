//! Tiled attention against the dense formulation, finite differences, chunks and single steps.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use candle_core::{DType, Device, Result, Tensor, Var};
use common::{
    assert_close, assert_finite_differences, assert_same_on_any_threads, bits, gradients, tensor, weighted,
};
use seqbench_kernels::{AttentionCell, AttentionOptions, attention, reference};

type Attend = fn(&Tensor, &Tensor, &Tensor, &AttentionOptions<'_>) -> Result<Tensor>;

const HEADS: usize = 3;
const HEAD_DIM: usize = 10;

/// q, k and v; the scale of q makes the weights uneven.
fn inputs(batch: usize, time: usize, context: usize, dtype: DType) -> [Tensor; 3] {
    [
        tensor(1, (batch, time, HEADS, HEAD_DIM), dtype).affine(3.0, 0.0).unwrap(),
        tensor(2, (batch, context, HEADS, HEAD_DIM), dtype),
        tensor(3, (batch, context, HEADS, HEAD_DIM), dtype),
    ]
}

/// The result and the gradients of q, k and v.
fn everything(attend: Attend, inputs: &[Tensor; 3], options: &AttentionOptions<'_>) -> Vec<Tensor> {
    let vars = inputs.each_ref().map(|t| Var::from_tensor(t).unwrap());
    let [q, k, v] = vars.each_ref().map(Var::as_tensor);
    let ys = attend(q, k, v, options).unwrap();
    let loss = weighted(&[&ys]).unwrap();
    let mut found = vec![ys.detach()];
    found.extend(gradients(&loss, &[&vars[0], &vars[1], &vars[2]]));
    found
}

#[test]
fn values_and_gradients_equal_the_reference() {
    let slopes = [0.5, 0.25, 0.03];
    for (batch, time, context) in [(3, 7, 7), (2, 67, 67), (2, 37, 131), (1, 131, 131), (1, 1, 1), (3, 1, 41)]
    {
        for dtype in [DType::F32, DType::F64] {
            let inputs = inputs(batch, time, context, dtype);
            let past: Vec<usize> = (0..batch).map(|row| (context - time) * row / batch).collect();
            let cases = [
                AttentionOptions::default(),
                AttentionOptions { past: Some(&past), alibi: Some(&slopes), scale: Some(0.3) },
            ];
            for options in &cases {
                let got = everything(attention, &inputs, options);
                let want = everything(reference::attention, &inputs, options);
                let tolerance = if dtype == DType::F32 { 5e-6 } else { 1e-13 };
                for (name, (got, want)) in ["ys", "q", "k", "v"].iter().zip(got.iter().zip(&want)) {
                    let what = format!("{name} at {batch} {time} {context} {dtype:?} {options:?}");
                    assert_close(&what, got, want, tolerance);
                }
            }
        }
    }
}

#[test]
fn gradients_equal_finite_differences() {
    let vars =
        [(1, 3), (2, 37), (3, 37)].map(|(seed, length)| common::var(seed, (2, length, 2, 4), DType::F64));
    let options = AttentionOptions { past: Some(&[34, 29]), alibi: Some(&[0.5, 0.1]), scale: None };
    let function = |x: &[Tensor]| weighted(&[&attention(&x[0], &x[1], &x[2], &options)?]);
    assert_finite_differences(&[&vars[0], &vars[1], &vars[2]], function, 1e-8);
}

#[test]
fn chunks_equal_one_pass_bit_for_bit() {
    let slopes = [0.5, 0.25, 0.03];
    let alibi = Some(&slopes[..]);
    let [q, k, v] = inputs(2, 131, 131, DType::F32);
    let whole = attention(&q, &k, &v, &AttentionOptions { alibi, ..Default::default() }).unwrap();
    for ends in [&[1, 131][..], &[31, 33, 131], &[64, 96, 131], &[7, 20, 77, 130, 131]] {
        let mut first = 0;
        let mut parts = Vec::new();
        for end in ends {
            let part = |t: &Tensor| t.narrow(1, first, end - first).unwrap();
            let until = |t: &Tensor| t.narrow(1, 0, *end).unwrap();
            let options = AttentionOptions { alibi, ..Default::default() };
            let cut = attention(&part(&q), &until(&k), &until(&v), &options).unwrap();
            // With the whole cache behind it and the position said, the same bits.
            let past = [first; 2];
            let options = AttentionOptions { alibi, past: Some(&past), scale: None };
            assert_eq!(bits(&cut), bits(&attention(&part(&q), &k, &v, &options).unwrap()));
            parts.push(cut);
            first = *end;
        }
        assert_eq!(bits(&whole), bits(&Tensor::cat(&parts, 1).unwrap()), "{ends:?}");
    }
}

#[test]
fn gradients_of_chunks_add_up_to_those_of_one_pass() {
    let inputs = inputs(2, 67, 67, DType::F32);
    let whole = everything(attention, &inputs, &AttentionOptions::default());
    let halves: Attend = |q, k, v, options| {
        let (first, second) = (q.narrow(1, 0, 40)?, q.narrow(1, 40, 27)?);
        let first = attention(&first, &k.narrow(1, 0, 40)?, &v.narrow(1, 0, 40)?, options)?;
        Tensor::cat(&[first, attention(&second, k, v, options)?], 1)
    };
    let parts = everything(halves, &inputs, &AttentionOptions::default());
    for (name, (whole, parts)) in ["ys", "q", "k", "v"].iter().zip(whole.iter().zip(&parts)) {
        assert_close(name, parts, whole, 2e-6);
    }
}

fn steps_equal_one_pass() {
    let (batch, time) = (2, 71);
    let slopes = [0.5, 0.25, 0.03];
    let options = AttentionOptions { alibi: Some(&slopes), ..Default::default() };
    let [q, k, v] = inputs(batch, time, time, DType::F32);
    let whole = attention(&q, &k, &v, &options).unwrap();
    for prefill in [0, 1, 40] {
        let until = |t: &Tensor| t.narrow(1, 0, prefill).unwrap();
        let mut cell = AttentionCell::<f32>::new(&until(&k), &until(&v), time, &options).unwrap();
        let mut y = vec![0.0; batch * HEADS * HEAD_DIM];
        for at in prefill..time {
            let token =
                |t: &Tensor| t.narrow(1, at, 1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            cell.step(&token(&q), &token(&k), &token(&v), &mut y).unwrap();
            let y: Vec<u32> = y.iter().map(|y| y.to_bits()).collect();
            let want: Vec<u32> = token(&whole).iter().map(|y| y.to_bits()).collect();
            assert_eq!(y, want, "token {at} after {prefill}");
        }
        assert_eq!(cell.lengths(), [time; 2]);
        assert_eq!(cell.bytes(), batch * time * 2 * HEADS * HEAD_DIM * 4);
        let zeros = vec![0.0; y.len()];
        let full = cell.step(&zeros, &zeros, &zeros, &mut y).unwrap_err().to_string();
        assert!(full.contains("all 71 keys"), "{full}");
        assert!(cell.step(&zeros[1..], &zeros, &zeros, &mut y).unwrap_err().to_string().contains("q has 59"));
    }
}

#[test]
fn steps_equal_one_pass_on_every_instruction_set() {
    common::on_every_isa("steps_equal_one_pass_on_every_instruction_set", steps_equal_one_pass);
}

#[test]
fn rows_of_a_cell_may_differ_in_length() {
    let [q, k, v] = inputs(2, 1, 50, DType::F64);
    let past = [3, 44];
    let options = AttentionOptions { past: Some(&past), ..Default::default() };
    let mut cell = AttentionCell::<f64>::new(&k, &v, 50, &options).unwrap();
    assert_eq!(cell.lengths(), past);
    // The token appended to a row is the one that follows its past.
    let follow = |t: &Tensor| {
        let rows =
            past.iter().enumerate().map(|(row, at)| t.narrow(0, row, 1).unwrap().narrow(1, *at, 1).unwrap());
        common::flat(&Tensor::cat(&rows.collect::<Vec<_>>(), 0).unwrap())
    };
    let mut y = vec![0.0; 2 * HEADS * HEAD_DIM];
    cell.step(&common::flat(&q), &follow(&k), &follow(&v), &mut y).unwrap();
    assert_eq!(y, common::flat(&attention(&q, &k, &v, &options).unwrap()));
}

#[test]
fn a_step_over_a_long_context_is_the_same_on_any_threads() {
    let context = 4100;
    let z = tensor(1, (3, context, 2, 16), DType::F32);
    let steps = || {
        let mut cell = AttentionCell::<f32>::new(&z, &z, context + 1, &AttentionOptions::default()).unwrap();
        let token: Vec<f32> = common::values(2, 3 * 2 * 16).into_iter().map(|x| x as f32).collect();
        let mut y = vec![0.0; token.len()];
        cell.step(&token, &token, &token, &mut y).unwrap();
        vec![Tensor::from_vec(y, 3 * 2 * 16, &Device::Cpu).unwrap()]
    };
    assert_same_on_any_threads(steps);
}

#[test]
fn later_keys_are_never_touched() {
    let (time, context) = (70, 75);
    let [q, k, v] = inputs(2, time, context, DType::F32);
    let past = [0, 3];
    let options = AttentionOptions { past: Some(&past), ..Default::default() };
    let clean = everything(attention, &[q.clone(), k.clone(), v.clone()], &options);
    // Poison from key 40 on: queries before position 40 must not notice, not even by an infinity times zero.
    for poison in [f32::NAN, f32::INFINITY] {
        let spoil = |t: &Tensor, from: usize| {
            let rest = Tensor::full(poison, (2, context - from, HEADS, HEAD_DIM), &Device::Cpu).unwrap();
            Tensor::cat(&[&t.narrow(1, 0, from).unwrap(), &rest], 1).unwrap()
        };
        let ys = attention(&q, &spoil(&k, 40), &spoil(&v, 40), &options).unwrap();
        for (row, past) in past.into_iter().enumerate() {
            let seen = |t: &Tensor| bits(&t.narrow(0, row, 1).unwrap().narrow(1, 0, 40 - past).unwrap());
            assert_eq!(seen(&ys), seen(&clean[0]), "row {row}");
        }
        // Keys 73 and 74 lie after every query: not even the gradients read them.
        let spoiled = everything(attention, &[q.clone(), spoil(&k, 73), spoil(&v, 73)], &options);
        for (spoiled, clean) in spoiled.iter().zip(&clean) {
            assert_eq!(bits(spoiled), bits(clean));
        }
    }
    for grad in &clean[2..] {
        let beyond = grad.narrow(1, 73, 2).unwrap();
        assert!(common::flat(&beyond).iter().all(|g| *g == 0.0));
    }
}

#[test]
fn rows_do_not_see_each_other() {
    let inputs = inputs(3, 41, 41, DType::F32);
    let together = everything(attention, &inputs, &AttentionOptions::default());
    let middle = inputs.each_ref().map(|t| t.narrow(0, 1, 1).unwrap());
    let [q, k, v] = &middle;
    let alone = attention(q, k, v, &AttentionOptions::default()).unwrap();
    assert_eq!(bits(&alone), bits(&together[0].narrow(0, 1, 1).unwrap()));
}

#[test]
fn threads_change_no_bit() {
    let inputs = inputs(3, 131, 131, DType::F32);
    assert_same_on_any_threads(|| everything(attention, &inputs, &AttentionOptions::default()));
}

#[test]
fn strided_inputs_give_the_same_bits() {
    let inputs = inputs(2, 37, 37, DType::F32);
    let options = AttentionOptions::default();
    let plain = everything(attention, &inputs, &options);
    // The same values seen through a transposition, inside the graph.
    let strided: Attend = |q, k, v, options| {
        let view = |t: &Tensor| t.transpose(1, 2)?.contiguous()?.transpose(1, 2);
        assert!(!view(q)?.is_contiguous());
        attention(&view(q)?, &view(k)?, &view(v)?, options)
    };
    for (plain, strided) in plain.iter().zip(&everything(strided, &inputs, &options)) {
        assert_eq!(bits(plain), bits(strided));
    }
}

#[test]
fn large_scores_neither_overflow_nor_lose_the_gradient() {
    let [q, k, v] = inputs(1, 67, 67, DType::F32);
    let inputs = [q.affine(100.0, 0.0).unwrap(), k.affine(30.0, 0.0).unwrap(), v];
    let got = everything(attention, &inputs, &AttentionOptions::default());
    let wide = inputs.each_ref().map(|t| t.to_dtype(DType::F64).unwrap());
    let want = everything(attention, &wide, &AttentionOptions::default());
    assert_close("ys", &got[0], &want[0], 5e-3);
    for grad in &got {
        assert!(common::flat(grad).iter().all(|g| g.is_finite()));
    }
}

#[test]
fn a_long_sequence_equals_the_reference() {
    let inputs = [1, 2, 3].map(|seed| tensor(seed, (1, 1000, 2, 16), DType::F32));
    let got = everything(attention, &inputs, &AttentionOptions::default());
    let want = everything(reference::attention, &inputs, &AttentionOptions::default());
    for (name, (got, want)) in ["ys", "q", "k", "v"].iter().zip(got.iter().zip(&want)) {
        assert_close(name, got, want, 1e-5);
    }
}

#[test]
fn a_second_backward_gives_the_same_gradient() {
    let [q, k, v] = inputs(2, 37, 37, DType::F32);
    let q = Var::from_tensor(&q).unwrap();
    let loss = weighted(&[&attention(q.as_tensor(), &k, &v, &AttentionOptions::default()).unwrap()]).unwrap();
    assert_eq!(bits(&gradients(&loss, &[&q])[0]), bits(&gradients(&loss, &[&q])[0]));
}

#[test]
fn weights_are_a_causal_distribution() {
    let [q, k, _] = inputs(2, 5, 8, DType::F64);
    let past = [1, 3];
    let options = AttentionOptions { past: Some(&past), ..Default::default() };
    let weights = reference::attention_weights(&q, &k, &options).unwrap();
    assert_eq!(weights.dims(), [2, HEADS, 5, 8]);
    let weights = common::flat(&weights);
    for (row, past) in past.iter().enumerate() {
        for head in 0..HEADS {
            for query in 0..5 {
                let row = &weights[((row * HEADS + head) * 5 + query) * 8..][..8];
                assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                assert!(row.iter().enumerate().all(|(key, w)| (*w > 0.0) == (key <= past + query)));
            }
        }
    }
}

#[test]
fn errors_name_the_argument_and_both_shapes() {
    let [q, k, v] = inputs(2, 5, 8, DType::F32);
    let plain = AttentionOptions::default();
    let message = |q: &Tensor, k: &Tensor, v: &Tensor, options: &AttentionOptions<'_>| {
        attention(q, k, v, options).unwrap_err().to_string()
    };
    let text = message(&q, &k, &v.narrow(1, 0, 7).unwrap(), &plain);
    assert!(text.contains("v is [2, 7, 3, 10]") && text.contains("[2, 8, 3, 10]"), "{text}");
    let text = message(&q, &k.narrow(3, 0, 9).unwrap(), &v, &plain);
    assert!(text.contains("k is [2, 8, 3, 9]") && text.contains("[2, 8, 3, 10]"), "{text}");
    assert!(message(&k, &q, &q, &plain).contains("longer than k [2, 5, 3, 10]"));
    let far = AttentionOptions { past: Some(&[0, 4]), ..plain };
    assert!(message(&q, &k, &v, &far).contains("past 4"));
    let few = AttentionOptions { past: Some(&[0]), ..plain };
    assert!(message(&q, &k, &v, &few).contains("past has 1 entries"));
    let slopes = AttentionOptions { alibi: Some(&[0.5]), ..plain };
    assert!(message(&q, &k, &v, &slopes).contains("alibi has 1 slopes"));
    assert!(message(&q, &k.to_dtype(DType::F64).unwrap(), &v, &plain).contains("k is F64"));
    assert!(AttentionCell::<f32>::new(&k, &v, 7, &plain).unwrap_err().to_string().contains("capacity of 7"));
}
