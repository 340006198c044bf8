//! The selective scan against its plain formulation, finite differences, and the diagonal scan it becomes where
//! nothing depends on the input.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use candle_core::{DType, Device, Result, Tensor, Var};
use common::{assert_close, assert_same_on_any_threads, bits, flat, gradients, on_every_isa, weighted};
use seqbench_kernels::{
    RealScanParameters, SelectiveInputs, SelectiveParameters, SelectiveScanCell, diagonal_scan, reference,
    selective_scan,
};

const NAMES: [&str; 7] = ["us", "delta", "b", "c", "a", "d", "state"];

/// All seven inputs: Δ in (0, 1), Re A in (−2, 0).
fn inputs(batch: usize, time: usize, dim: usize, n: usize, complex: bool, dtype: DType) -> Vec<Tensor> {
    let parts: &[usize] = if complex { &[2] } else { &[] };
    let tensor = |seed, shape: &[usize]| common::tensor(seed, [shape, parts].concat(), dtype);
    let a = common::tensor(5, (dim, n), dtype).affine(1.0, -1.0).unwrap();
    let phase = (common::tensor(6, (dim, n), dtype) * 3.0).unwrap();
    vec![
        common::tensor(1, (batch, time, dim), dtype),
        common::tensor(2, (batch, time, dim), dtype).affine(0.5, 0.5).unwrap(),
        tensor(3, &[batch, time, n]),
        tensor(4, &[batch, time, n]),
        if complex { Tensor::stack(&[a, phase], 2).unwrap() } else { a },
        common::tensor(7, dim, dtype),
        tensor(8, &[batch, dim, n]),
    ]
}

type Scan = fn(
    &Tensor,
    &SelectiveInputs,
    &SelectiveParameters,
    &Tensor,
    Option<&[usize]>,
) -> Result<(Tensor, Tensor)>;

fn run(scan: Scan, all: &[Tensor], lengths: Option<&[usize]>) -> Result<(Tensor, Tensor)> {
    let [us, delta, b, c, a, d, state] = std::array::from_fn(|at| all[at].clone());
    scan(&us, &SelectiveInputs { delta, b, c }, &SelectiveParameters { a, d }, &state, lengths)
}

/// Outputs, returned state and the seven gradients.
fn everything(scan: Scan, all: &[Tensor], lengths: Option<&[usize]>) -> Vec<Tensor> {
    let vars: Vec<Var> = all.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
    let leaves: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let (ys, last) = run(scan, &leaves, lengths).unwrap();
    let mut found = vec![ys.detach(), last.detach()];
    found.extend(gradients(&weighted(&[&ys, &last]).unwrap(), &vars.iter().collect::<Vec<_>>()));
    found
}

#[test]
fn values_and_gradients_equal_the_reference() {
    on_every_isa("values_and_gradients_equal_the_reference", || {
        for (batch, time, dim, n) in
            [(3, 7, 5, 2), (5, 65, 17, 3), (2, 63, 3, 16), (1, 1, 1, 1), (2, 2, 100, 2), (1, 33, 131, 1)]
        {
            for (dtype, tolerance) in [(DType::F32, 1e-5), (DType::F64, 1e-13)] {
                for complex in [false, true] {
                    let all = inputs(batch, time, dim, n, complex, dtype);
                    let ends: Vec<usize> = (0..batch).map(|row| row * time / batch).collect();
                    for lengths in [None, Some(&ends[..])] {
                        let got = everything(selective_scan, &all, lengths);
                        let want = everything(reference::selective_scan, &all, lengths);
                        for (at, (got, want)) in got.iter().zip(&want).enumerate() {
                            let name = if at < 2 { ["ys", "last"][at] } else { NAMES[at - 2] };
                            let what = format!(
                                "{name} at {batch} {time} {dim} {n} {dtype:?} {lengths:?}, complex: {complex}"
                            );
                            assert_close(&what, got, want, tolerance);
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn gradients_equal_finite_differences() {
    for complex in [false, true] {
        let all = inputs(2, 35, 3, 2, complex, DType::F64);
        let vars: Vec<Var> = all.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
        // One row ends inside the second chunk, the other before it begins.
        let function = |all: &[Tensor]| {
            let (ys, last) = run(selective_scan, all, Some(&[34, 0]))?;
            weighted(&[&ys, &last])
        };
        common::assert_finite_differences(&vars.iter().collect::<Vec<_>>(), function, 1e-6);
    }
}

#[test]
fn with_constant_coefficients_it_is_the_diagonal_scan() {
    let (batch, time, dim, n) = (2, 67, 5, 3);
    let mut all = inputs(batch, time, dim, n, false, DType::F64);
    let delta = 0.25;
    all[1] = Tensor::full(delta, (batch, time, dim), &Device::Cpu).unwrap();
    for (at, seed) in [(2, 20), (3, 21)] {
        let step = common::tensor(seed, (1, 1, n), DType::F64);
        all[at] = step.broadcast_as((batch, time, n)).unwrap().contiguous().unwrap();
    }
    let wide = |seed| common::tensor(seed, (1, n), DType::F64).broadcast_as((dim, n)).unwrap();
    let constant = RealScanParameters {
        lambda: (&all[4] * delta).unwrap().exp().unwrap(),
        b: (wide(20) * delta).unwrap(),
        c: wide(21).contiguous().unwrap(),
        d: all[5].clone(),
    };
    let (ys, last) = run(selective_scan, &all, None).unwrap();
    let (want, want_last) = diagonal_scan(&all[0], &constant, &all[6], None).unwrap();
    assert_close("ys", &ys, &want, 1e-13);
    assert_close("last", &last, &want_last, 1e-13);
}

#[test]
fn two_chunks_equal_one_pass() {
    for complex in [false, true] {
        let all = inputs(3, 71, 19, 2, complex, DType::F32);
        let whole = everything(selective_scan, &all, None);
        for split in [1, 32, 40, 70] {
            let vars: Vec<Var> = all.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
            let leaves: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
            let part = |first: usize, count: usize, state: &Tensor| {
                let mut part = leaves.clone();
                for at in 0..4 {
                    part[at] = leaves[at].narrow(1, first, count).unwrap();
                }
                part[6] = state.clone();
                run(selective_scan, &part, None).unwrap()
            };
            let (first, state) = part(0, split, &leaves[6]);
            let (second, last) = part(split, 71 - split, &state);
            let ys = Tensor::cat(&[first, second], 1).unwrap();
            assert_eq!(bits(&ys), bits(&whole[0]));
            assert_eq!(bits(&last), bits(&whole[1]));
            let found = gradients(&weighted(&[&ys, &last]).unwrap(), &vars.iter().collect::<Vec<_>>());
            for (name, (whole, parts)) in NAMES.iter().zip(whole[2..].iter().zip(&found)) {
                assert_close(&format!("{name} at {split}"), parts, whole, 5e-6);
            }
        }
    }
}

#[test]
fn lengths_take_the_state_at_each_rows_own_end() {
    let all = inputs(3, 67, 5, 2, false, DType::F32);
    let lengths = [0, 40, 67];
    let (_, last) = run(selective_scan, &all, Some(&lengths)).unwrap();
    for (row, length) in lengths.into_iter().enumerate() {
        let mut alone = all.clone();
        for at in 0..4 {
            alone[at] = all[at].narrow(0, row, 1).unwrap().narrow(1, 0, length).unwrap();
        }
        alone[6] = all[6].narrow(0, row, 1).unwrap();
        let (_, alone) = run(selective_scan, &alone, None).unwrap();
        assert_eq!(bits(&alone), bits(&last.narrow(0, row, 1).unwrap()), "row {row}");
    }
}

#[test]
fn the_cell_equals_the_scan_on_every_instruction_set() {
    on_every_isa("the_cell_equals_the_scan_on_every_instruction_set", || {
        for (dim, n, complex) in [(5, 2, false), (100, 3, false), (37, 2, true)] {
            let (batch, time) = (3, 35);
            let all = inputs(batch, time, dim, n, complex, DType::F32);
            let (ys, last) = run(selective_scan, &all, None).unwrap();
            let parameters = SelectiveParameters { a: all[4].clone(), d: all[5].clone() };
            let mut cell = SelectiveScanCell::<f32>::new(&parameters, &all[6]).unwrap();
            assert_eq!(cell.batch(), batch);
            assert_eq!(bits(&cell.state().unwrap()), bits(&all[6]));
            let mut y = vec![0f32; batch * dim];
            for step in 0..time {
                let [u, delta, b, c, want] = [&all[0], &all[1], &all[2], &all[3], &ys]
                    .map(|t| t.narrow(1, step, 1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap());
                cell.step(&u, &delta, &b, &c, &mut y).unwrap();
                assert_eq!(y, want, "step {step}");
            }
            assert_eq!(bits(&cell.state().unwrap()), bits(&last));
            assert!(cell.step(&y, &y, &y[1..], &y, &mut vec![0f32; batch * dim]).is_err());
        }
    });
}

#[test]
fn threads_change_no_bit() {
    for (batch, time, dim) in [(5, 67, 37), (1, 301, 200)] {
        let all = inputs(batch, time, dim, 3, false, DType::F32);
        assert_same_on_any_threads(|| everything(selective_scan, &all, None));
    }
}

#[test]
fn rows_do_not_see_each_other() {
    let all = inputs(3, 35, 5, 2, false, DType::F32);
    let (ys, _) = run(selective_scan, &all, None).unwrap();
    let mut mixed = all.clone();
    let poison = Tensor::full(f32::NAN, (1, 35, 5), &Device::Cpu).unwrap();
    let rows = [all[0].narrow(0, 0, 1).unwrap(), poison, all[0].narrow(0, 2, 1).unwrap()];
    mixed[0] = Tensor::cat(&rows, 0).unwrap();
    let (mixed, _) = run(selective_scan, &mixed, None).unwrap();
    for row in [0, 2] {
        assert_eq!(bits(&ys.narrow(0, row, 1).unwrap()), bits(&mixed.narrow(0, row, 1).unwrap()));
    }
    assert!(flat(&mixed.narrow(0, 1, 1).unwrap()).iter().all(|y| y.is_nan()));
}

#[test]
fn errors_name_the_argument_and_both_shapes() {
    let all = inputs(2, 3, 5, 2, false, DType::F32);
    let message = |at: usize, tensor: Tensor, lengths: Option<&[usize]>| {
        let mut wrong = all.clone();
        wrong[at] = tensor;
        run(selective_scan, &wrong, lengths).unwrap_err().to_string()
    };
    for (at, name) in NAMES.iter().enumerate().filter(|(_, name)| !["us", "a"].contains(name)) {
        let text = message(at, all[at].narrow(0, 0, 1).unwrap(), None);
        let (found, expected) = (all[at].narrow(0, 0, 1).unwrap(), all[at].dims());
        assert!(text.contains(&format!("{name} is {:?}", found.dims())), "{text}");
        assert!(text.contains(&format!("{expected:?}")), "{text}");
    }
    assert!(message(0, all[0].narrow(2, 0, 4).unwrap(), None).contains("us is [2, 3, 4]"));
    assert!(message(4, all[5].clone(), None).contains("a is [5], expected [dim, n]"));
    assert!(message(0, all[0].clone(), Some(&[4, 0])).contains("lengths has 4"));
    assert!(message(1, all[1].to_dtype(DType::F64).unwrap(), None).contains("delta is F64"));
}
