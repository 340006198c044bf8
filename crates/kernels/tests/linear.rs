//! The affine map against its plain formulation, finite differences, threads and instruction sets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use candle_core::{DType, Tensor, Var};
use common::*;
use seqbench_kernels::{LinearCell, linear, reference};

fn inputs(dtype: DType) -> [Var; 3] {
    [var(1, (3, 7, 5), dtype), var(2, (11, 5), dtype), var(3, 11, dtype)]
}

#[test]
fn values_and_gradients_equal_the_plain_formulation() {
    for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 1e-5)] {
        let [xs, weight, bias] = inputs(dtype);
        for bias in [Some(&bias), None] {
            let tracked: Vec<&Var> = [&xs, &weight].into_iter().chain(bias).collect();
            let bias = bias.map(|bias| bias.as_tensor());
            let got = linear(&xs, &weight, bias).unwrap();
            let want = reference::linear(&xs, &weight, bias).unwrap();
            assert_close("ys", &got, &want, tolerance);
            let got = gradients(&weighted(&[&got]).unwrap(), &tracked);
            let want = gradients(&weighted(&[&want]).unwrap(), &tracked);
            for (which, (got, want)) in got.iter().zip(&want).enumerate() {
                assert_close(&format!("gradient {which}"), got, want, tolerance);
            }
        }
    }
}

/// Where tiles, blocks of rows and shares of the weight gradient end in the middle.
#[test]
fn odd_sizes_equal_the_plain_formulation() {
    let widths = [1, 3, 17, 100];
    let mut sizes: Vec<[usize; 3]> = widths.iter().flat_map(|a| widths.map(|b| [5, *a, b])).collect();
    sizes.extend([[1, 17, 3], [127, 3, 17], [129, 17, 3], [1000, 3, 17], [2500, 5, 3]]);
    on_every_isa("odd_sizes_equal_the_plain_formulation", || {
        for [rows, inputs, outputs] in &sizes {
            let (xs, weight) =
                (var(1, (*rows, *inputs), DType::F64), var(2, (*outputs, *inputs), DType::F64));
            let bias = var(3, *outputs, DType::F64);
            let got = linear(&xs, &weight, Some(&bias)).unwrap();
            let want = reference::linear(&xs, &weight, Some(&bias)).unwrap();
            assert_close(&format!("{rows} {inputs} {outputs}"), &got, &want, 1e-11);
            let of = |ys: &Tensor| gradients(&weighted(&[ys]).unwrap(), &[&xs, &weight, &bias]);
            for (which, (got, want)) in of(&got).iter().zip(&of(&want)).enumerate() {
                assert_close(&format!("{rows} {inputs} {outputs}: gradient {which}"), got, want, 1e-11);
            }
        }
    });
}

#[test]
fn gradients_are_finite_differences() {
    let [xs, weight, bias] = inputs(DType::F64);
    let loss = |given: &[Tensor]| weighted(&[&linear(&given[0], &given[1], Some(&given[2]))?.tanh()?]);
    assert_finite_differences(&[&xs, &weight, &bias], loss, 1e-8);
}

#[test]
fn strided_inputs_and_vectors_work() {
    let weight = tensor(2, (11, 5), DType::F64);
    let xs = tensor(1, (5, 7), DType::F64).t().unwrap();
    let got = linear(&xs, &weight, None).unwrap();
    assert_close("strided", &got, &reference::linear(&xs, &weight, None).unwrap(), 1e-13);
    let transposed = tensor(2, (5, 11), DType::F64).t().unwrap();
    let got = linear(&xs, &transposed, None).unwrap();
    assert_close("strided weight", &got, &reference::linear(&xs, &transposed, None).unwrap(), 1e-13);
    let one = xs.get(3).unwrap();
    let got = linear(&one, &weight, None).unwrap();
    assert_close("vector", &got, &reference::linear(&one, &weight, None).unwrap(), 1e-13);
}

#[test]
fn a_row_depends_on_no_other_row_and_on_no_threads() {
    let (weight, bias) = (tensor(2, (37, 41), DType::F32), tensor(3, 37, DType::F32));
    let xs = tensor(1, (29, 41), DType::F32);
    let all = linear(&xs, &weight, Some(&bias)).unwrap();
    let cell = LinearCell::<f32>::new(&weight, Some(&bias)).unwrap();
    for row in [0, 13, 28] {
        let one = linear(&xs.narrow(0, row, 1).unwrap(), &weight, Some(&bias)).unwrap();
        assert_eq!(bits(&one), bits(&all.narrow(0, row, 1).unwrap()));
        let mut ys = vec![0.0; 37];
        cell.step(&xs.get(row).unwrap().to_vec1().unwrap(), &mut ys);
        assert_eq!(ys, all.get(row).unwrap().to_vec1::<f32>().unwrap());
    }
    assert_same_on_any_threads(|| {
        let (xs, weight, bias) =
            (var(1, (29, 41), DType::F32), var(2, (37, 41), DType::F32), var(3, 37, DType::F32));
        let ys = linear(&xs, &weight, Some(&bias)).unwrap();
        let mut all = gradients(&weighted(&[&ys]).unwrap(), &[&xs, &weight, &bias]);
        all.push(ys);
        all
    });
}

#[test]
fn every_instruction_set_agrees_with_the_plain_formulation() {
    on_every_isa("every_instruction_set_agrees_with_the_plain_formulation", || {
        values_and_gradients_equal_the_plain_formulation();
    });
}

#[test]
fn errors_name_the_argument_and_both_shapes() {
    let xs = tensor(1, (3, 5), DType::F32);
    let message = |weight: &Tensor, bias: Option<&Tensor>| linear(&xs, weight, bias).unwrap_err().to_string();
    let text = message(&tensor(2, (11, 7), DType::F32), None);
    assert!(text.contains("xs is [3, 5], expected [.., 7]"), "{text}");
    let text = message(&tensor(2, (11, 5), DType::F32), Some(&tensor(2, 5, DType::F32)));
    assert!(text.contains("bias is [5], expected [11]"), "{text}");
    let text = message(&tensor(2, (11, 5), DType::F64), None);
    assert!(text.contains("weight is F64, expected F32"), "{text}");
}
