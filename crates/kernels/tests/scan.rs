//! The diagonal scan against its plain formulation, finite differences and its closed form.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use candle_core::{DType, Device, Tensor, Var};
use common::{assert_close, assert_same_on_any_threads, bits, flat, gradients, weighted};
use seqbench_kernels::{
    RealScanParameters, ScanCell, ScanOutput, ScanParameters, diagonal_scan, diagonal_scan_gelu, reference,
};

const NAMES: [&str; 9] = ["us", "lambda_re", "lambda_im", "b_re", "b_im", "c_re", "c_im", "d", "state"];

/// All nine inputs, |λ| below 1.
fn inputs(batch: usize, time: usize, dim: usize, n: usize, dtype: DType) -> Vec<Tensor> {
    let mut all = vec![common::tensor(1, (batch, time, dim), dtype)];
    all.extend((2..4).map(|seed| common::tensor(seed, (dim, n), dtype).affine(0.69, 0.0).unwrap()));
    all.extend((4..8).map(|seed| common::tensor(seed, (dim, n), dtype)));
    all.push(common::tensor(8, dim, dtype));
    all.push(common::tensor(9, (batch, dim, n, 2), dtype));
    all
}

fn parameters(all: &[Tensor]) -> ScanParameters {
    ScanParameters {
        lambda_re: all[1].clone(),
        lambda_im: all[2].clone(),
        b_re: all[3].clone(),
        b_im: all[4].clone(),
        c_re: all[5].clone(),
        c_im: all[6].clone(),
        d: all[7].clone(),
    }
}

type Scan = fn(&Tensor, &ScanParameters, &Tensor, Option<&[usize]>) -> candle_core::Result<(Tensor, Tensor)>;

/// Outputs, returned state and the nine gradients.
fn everything(scan: Scan, all: &[Tensor], lengths: Option<&[usize]>) -> Vec<Tensor> {
    let vars: Vec<Var> = all.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
    let leaves: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let (ys, last) = scan(&leaves[0], &parameters(&leaves), &leaves[8], lengths).unwrap();
    let loss = weighted(&[&ys, &last]).unwrap();
    let mut found = vec![ys.detach(), last.detach()];
    found.extend(gradients(&loss, &vars.iter().collect::<Vec<_>>()));
    found
}

fn gelu(ys: (Tensor, Tensor)) -> candle_core::Result<(Tensor, Tensor)> {
    Ok((reference::activation::gelu(&ys.0)?, ys.1))
}

fn plain_gelu(
    us: &Tensor,
    p: &ScanParameters,
    state: &Tensor,
    lengths: Option<&[usize]>,
) -> candle_core::Result<(Tensor, Tensor)> {
    gelu(reference::diagonal_scan(us, p, state, lengths)?)
}

/// Each fused scan beside its plain formulation.
const SCANS: [(&str, Scan, Scan); 2] = [
    ("diagonal_scan", diagonal_scan::<ScanParameters>, reference::diagonal_scan),
    ("diagonal_scan_gelu", diagonal_scan_gelu::<ScanParameters>, plain_gelu),
];

const SIZES: [(usize, usize, usize, usize); 10] = [
    (3, 7, 5, 2),
    (3, 67, 5, 2),
    (2, 131, 37, 3),
    (1, 64, 32, 1),
    (1, 1, 5, 2),
    (2, 1, 1, 1),
    (5, 65, 17, 1),
    (1, 2, 100, 1),
    (5, 63, 3, 5),
    (1, 65, 100, 2),
];

#[test]
fn values_and_gradients_equal_the_reference() {
    let test = "values_and_gradients_equal_the_reference";
    common::on_every_isa(test, || {
        for (batch, time, dim, n) in SIZES {
            for dtype in [DType::F32, DType::F64] {
                let all = inputs(batch, time, dim, n, dtype);
                let ends: Vec<usize> = (0..batch).map(|row| row * time / batch).collect();
                for lengths in [None, Some(&ends[..])] {
                    for (scan, fused, plain) in SCANS {
                        let got = everything(fused, &all, lengths);
                        let want = everything(plain, &all, lengths);
                        let tolerance = if dtype == DType::F32 { 5e-6 } else { 1e-13 };
                        for (at, (got, want)) in got.iter().zip(&want).enumerate() {
                            let name = if at < 2 { ["ys", "last"][at] } else { NAMES[at - 2] };
                            let what =
                                format!("{scan}: {name} at {batch} {time} {dim} {n} {dtype:?} {lengths:?}");
                            assert_close(&what, got, want, tolerance);
                        }
                    }
                }
            }
        }
    });
}

/// Outputs, returned state and the gradients of `us`, λ, b, c, d and the state of a real scan.
fn everything_real(
    scan: impl Fn(&Tensor, &RealScanParameters, &Tensor) -> candle_core::Result<(Tensor, Tensor)>,
    all: &[Tensor],
) -> Vec<Tensor> {
    let state = all[8].narrow(3, 0, 1).unwrap().squeeze(3).unwrap();
    let chosen = [&all[0], &all[1], &all[3], &all[5], &all[7], &state];
    let vars: Vec<Var> = chosen.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
    let [us, lambda, b, c, d, state] = std::array::from_fn(|at| vars[at].as_tensor().clone());
    let (ys, last) = scan(&us, &RealScanParameters { lambda, b, c, d }, &state).unwrap();
    let loss = weighted(&[&ys, &last]).unwrap();
    let mut found = vec![ys.detach(), last.detach()];
    found.extend(gradients(&loss, &vars.iter().collect::<Vec<_>>()));
    found
}

#[test]
fn a_real_scan_equals_its_reference() {
    common::on_every_isa("a_real_scan_equals_its_reference", || {
        for (batch, time, dim, n) in SIZES {
            for (dtype, tolerance) in [(DType::F32, 5e-6), (DType::F64, 1e-13)] {
                let all = inputs(batch, time, dim, n, dtype);
                let ends: Vec<usize> = (0..batch).map(|row| row * time / batch).collect();
                for lengths in [None, Some(&ends[..])] {
                    let plain = |us: &Tensor, p: &RealScanParameters, state: &Tensor| {
                        reference::real_diagonal_scan(us, p, state, lengths)
                    };
                    let pairs = [
                        (
                            everything_real(|us, p, state| diagonal_scan(us, p, state, lengths), &all),
                            everything_real(plain, &all),
                        ),
                        (
                            everything_real(|us, p, state| diagonal_scan_gelu(us, p, state, lengths), &all),
                            everything_real(|us, p, state| gelu(plain(us, p, state)?), &all),
                        ),
                    ];
                    for (got, want) in pairs {
                        for (at, (got, want)) in got.iter().zip(&want).enumerate() {
                            let what = format!("{at} at {batch} {time} {dim} {n} {dtype:?} {lengths:?}");
                            assert_close(&what, got, want, tolerance);
                        }
                    }
                }
            }
        }
    });
}

/// A state that no gradient comes through.
fn alone(ys: (Tensor, Tensor)) -> candle_core::Result<(Tensor, Tensor)> {
    Ok((ys.0, (ys.1 * 0.0)?))
}

#[test]
fn a_complex_scan_without_imaginary_parts_is_the_real_one() {
    let mut all = inputs(3, 67, 37, 2, DType::F32);
    for at in [2, 4, 6] {
        all[at] = all[at].zeros_like().unwrap();
    }
    let re = all[8].narrow(3, 0, 1).unwrap();
    all[8] = Tensor::cat(&[&re, &re.zeros_like().unwrap()], 3).unwrap();
    // The states' gradients are left out: the weights of a state of other shape are others.
    let complex = everything(|us, p, s, l| alone(diagonal_scan(us, p, s, l)?), &all, None);
    let real = everything_real(|us, p, state| alone(diagonal_scan(us, p, state, None)?), &all);
    for (at, of) in [(0, 0), (2, 2), (3, 3), (4, 5), (5, 7), (6, 9)] {
        assert_close(&format!("{at} of the real"), &real[at], &complex[of], 0.0);
    }
}

#[test]
fn gradients_equal_finite_differences() {
    let vars: Vec<Var> =
        inputs(2, 67, 3, 2, DType::F64).iter().map(|t| Var::from_tensor(t).unwrap()).collect();
    // One row ends inside the second chunk, the other before it begins.
    for (_, scan, _) in SCANS {
        let function = |all: &[Tensor]| {
            let (ys, last) = scan(&all[0], &parameters(all), &all[8], Some(&[66, 0]))?;
            weighted(&[&ys, &last])
        };
        common::assert_finite_differences(&vars.iter().collect::<Vec<_>>(), function, 1e-6);
    }
}

#[test]
fn an_impulse_decays_as_powers_of_lambda() {
    // λ = ±i/2: every power is exact, so the closed form holds to the last bit.
    let one = |value: f32| Tensor::from_vec(vec![value], (1, 1), &Device::Cpu).unwrap();
    let exact = ScanParameters {
        lambda_re: one(0.0),
        lambda_im: one(0.5),
        b_re: one(3.0),
        b_im: one(-1.0),
        c_re: one(2.0),
        c_im: one(0.25),
        d: Tensor::from_vec(vec![7f32], 1, &Device::Cpu).unwrap(),
    };
    let mut impulse = vec![0f32; 70];
    impulse[0] = 1.0;
    let us = Tensor::from_vec(impulse, (1, 70, 1), &Device::Cpu).unwrap();
    let state = Tensor::zeros((1, 1, 1, 2), DType::F32, &Device::Cpu).unwrap();
    let (ys, _) = diagonal_scan(&us, &exact, &state, None).unwrap();
    let ys = flat(&ys);
    let (mut re, mut im) = (3.0f64, -1.0f64);
    for (k, y) in ys.iter().enumerate() {
        let want = 2.0 * re - 0.25 * im + if k == 0 { 7.0 } else { 0.0 };
        assert_eq!(*y, want, "step {k}");
        (re, im) = (-0.5 * im, 0.5 * re);
    }

    // Any λ, against polar powers: y_k = Re(c · r^k e^{iθk} · b).
    let all = inputs(1, 131, 1, 1, DType::F64);
    let parameters = parameters(&all);
    let value = |t: &Tensor| flat(t)[0];
    let (re, im) = (value(&parameters.lambda_re), value(&parameters.lambda_im));
    let (radius, angle) = (libm::hypot(re, im), libm::atan2(im, re));
    let (br, bi) = (value(&parameters.b_re), value(&parameters.b_im));
    let (cr, ci) = (value(&parameters.c_re), value(&parameters.c_im));
    let (pr, pi) = (cr * br - ci * bi, cr * bi + ci * br);
    let mut impulse = vec![0f64; 131];
    impulse[0] = 1.0;
    let us = Tensor::from_vec(impulse, (1, 131, 1), &Device::Cpu).unwrap();
    let state = Tensor::zeros((1, 1, 1, 2), DType::F64, &Device::Cpu).unwrap();
    let (ys, _) = diagonal_scan(&us, &parameters, &state, None).unwrap();
    let ys = flat(&ys);
    for k in 1..131 {
        let size = libm::pow(radius, k as f64);
        let want = size * (pr * libm::cos(angle * k as f64) - pi * libm::sin(angle * k as f64));
        assert!((ys[k] - want).abs() < 1e-12 * size, "step {k}: {} against {want}", ys[k]);
    }
}

#[test]
fn two_chunks_equal_one_pass() {
    for split in [1, 64, 70, 130] {
        let all = inputs(3, 131, 5, 2, DType::F32);
        let whole = everything(diagonal_scan, &all, None);
        let chunked: Scan = match split {
            1 => |us, p, state, _| in_two(us, p, state, 1),
            64 => |us, p, state, _| in_two(us, p, state, 64),
            70 => |us, p, state, _| in_two(us, p, state, 70),
            _ => |us, p, state, _| in_two(us, p, state, 130),
        };
        let parts = everything(chunked, &all, None);
        assert_eq!(bits(&whole[0]), bits(&parts[0]));
        assert_eq!(bits(&whole[1]), bits(&parts[1]));
        for (name, (whole, parts)) in NAMES.iter().zip(whole[2..].iter().zip(&parts[2..])) {
            assert_close(&format!("{name} at {split}"), parts, whole, 5e-6);
        }
    }
}

fn in_two(
    us: &Tensor,
    parameters: &ScanParameters,
    state: &Tensor,
    split: usize,
) -> candle_core::Result<(Tensor, Tensor)> {
    let rest = us.dim(1)? - split;
    let (first, state) = diagonal_scan(&us.narrow(1, 0, split)?, parameters, state, None)?;
    let (second, state) = diagonal_scan(&us.narrow(1, split, rest)?, parameters, &state, None)?;
    Ok((Tensor::cat(&[first, second], 1)?, state))
}

#[test]
fn lengths_take_the_state_at_each_rows_own_end() {
    let all = inputs(3, 131, 5, 2, DType::F32);
    let p = parameters(&all);
    let lengths = [0, 70, 131];
    let (_, last) = diagonal_scan(&all[0], &p, &all[8], Some(&lengths)).unwrap();
    for (row, length) in lengths.into_iter().enumerate() {
        let us = all[0].narrow(0, row, 1).unwrap().narrow(1, 0, length).unwrap();
        let (_, alone) = diagonal_scan(&us, &p, &all[8].narrow(0, row, 1).unwrap(), None).unwrap();
        assert_eq!(bits(&alone), bits(&last.narrow(0, row, 1).unwrap()), "row {row}");
    }
}

#[test]
fn the_cell_equals_the_scan_on_every_instruction_set() {
    common::on_every_isa("the_cell_equals_the_scan_on_every_instruction_set", the_cell_equals_the_scan);
}

fn the_cell_equals_the_scan() {
    for (dim, n) in [(5, 2), (37, 3), (100, 1)] {
        let (batch, time) = (3, 67);
        let all = inputs(batch, time, dim, n, DType::F32);
        let p = parameters(&all);
        for (output, (_, scan, _)) in [ScanOutput::Linear, ScanOutput::Gelu].into_iter().zip(SCANS) {
            let (ys, last) = scan(&all[0], &p, &all[8], None).unwrap();
            let mut cell = ScanCell::<f32>::new(&p, output, &all[8]).unwrap();
            assert_eq!(cell.batch(), batch);
            assert_eq!(bits(&cell.state().unwrap()), bits(&all[8]));
            let mut y = vec![0f32; batch * dim];
            for step in 0..time {
                let u = all[0].narrow(1, step, 1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
                cell.step(&u, &mut y).unwrap();
                let want = ys.narrow(1, step, 1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
                assert_eq!(y, want, "step {step}");
            }
            assert_eq!(bits(&cell.state().unwrap()), bits(&last));
            assert!(cell.step(&y[1..], &mut vec![0f32; batch * dim]).is_err());
        }
    }
}

#[test]
fn threads_change_no_bit() {
    let all = inputs(5, 131, 37, 2, DType::F32);
    let alone = inputs(1, 2803, 100, 1, DType::F32);
    for (_, scan, _) in SCANS {
        assert_same_on_any_threads(|| everything(scan, &all, Some(&[0, 1, 64, 100, 131])));
        // One row is divided by its channels, and long enough that the next chunk is asked for.
        assert_same_on_any_threads(|| everything(scan, &alone, Some(&[1000])));
    }
}

#[test]
fn rows_do_not_see_each_other() {
    let all = inputs(3, 67, 5, 2, DType::F32);
    let p = parameters(&all);
    let (ys, _) = diagonal_scan(&all[0], &p, &all[8], None).unwrap();
    let poison = Tensor::full(f32::NAN, (1, 67, 5), &Device::Cpu).unwrap();
    let us = Tensor::cat(&[&all[0].narrow(0, 0, 1).unwrap(), &poison, &all[0].narrow(0, 2, 1).unwrap()], 0);
    let (mixed, _) = diagonal_scan(&us.unwrap(), &p, &all[8], None).unwrap();
    for row in [0, 2] {
        assert_eq!(bits(&ys.narrow(0, row, 1).unwrap()), bits(&mixed.narrow(0, row, 1).unwrap()));
    }
    assert!(bits(&mixed.narrow(0, 1, 1).unwrap()).iter().all(|b| f64::from_bits(*b).is_nan()));
}

#[test]
fn strided_inputs_give_the_same_bits() {
    let all = inputs(3, 67, 5, 2, DType::F32);
    // The same values seen through a transposition.
    let strided: Vec<Tensor> = all
        .iter()
        .map(|t| match t.rank() {
            1 => t.clone(),
            r => t.transpose(r - 2, r - 1).unwrap().contiguous().unwrap().transpose(r - 2, r - 1).unwrap(),
        })
        .collect();
    assert!(strided[0].is_contiguous() != all[0].is_contiguous());
    let (ys, last) = diagonal_scan(&all[0], &parameters(&all), &all[8], None).unwrap();
    let (same, same_last) = diagonal_scan(&strided[0], &parameters(&strided), &strided[8], None).unwrap();
    assert_eq!(bits(&ys), bits(&same));
    assert_eq!(bits(&last), bits(&same_last));
}

#[test]
fn a_second_backward_gives_the_same_gradient() {
    let all = inputs(2, 67, 5, 2, DType::F32);
    let us = Var::from_tensor(&all[0]).unwrap();
    let (ys, last) = diagonal_scan(us.as_tensor(), &parameters(&all), &all[8], None).unwrap();
    let loss = weighted(&[&ys, &last]).unwrap();
    assert_eq!(bits(&gradients(&loss, &[&us])[0]), bits(&gradients(&loss, &[&us])[0]));
}

#[test]
fn a_long_sequence_has_a_finite_gradient_at_its_start() {
    let (time, dim) = (65_536, 2);
    let full = |value: f32| Tensor::full(value, (dim, 1), &Device::Cpu).unwrap();
    let us = Var::from_tensor(&common::tensor(5, (1, time, dim), DType::F32)).unwrap();
    let p = ScanParameters {
        lambda_re: full(1.0 - 1.0 / 65_536.0),
        lambda_im: full(0.0),
        b_re: full(1.0),
        b_im: full(0.0),
        c_re: full(1.0),
        c_im: full(0.0),
        d: Tensor::zeros(dim, DType::F32, &Device::Cpu).unwrap(),
    };
    let state = Tensor::zeros((1, dim, 1, 2), DType::F32, &Device::Cpu).unwrap();
    let (ys, _) = diagonal_scan(us.as_tensor(), &p, &state, None).unwrap();
    let last = ys.narrow(1, time - 1, 1).unwrap().sum_all().unwrap();
    // (1 − 1/T)^(T−1) is close to 1/e.
    for value in flat(&gradients(&last, &[&us])[0].narrow(1, 0, 1).unwrap()) {
        assert!((value - 0.367_88).abs() < 1e-3, "{value}");
    }
}

#[test]
fn errors_name_the_argument_and_both_shapes() {
    let all = inputs(2, 3, 5, 2, DType::F32);
    let p = parameters(&all);
    let message = |us: &Tensor, p: &ScanParameters, state: &Tensor, lengths: Option<&[usize]>| {
        diagonal_scan(us, p, state, lengths).unwrap_err().to_string()
    };
    let narrow = all[0].narrow(2, 0, 4).unwrap();
    assert!(message(&narrow, &p, &all[8], None).contains("us is [2, 3, 4]"));
    let state = all[8].narrow(2, 0, 1).unwrap();
    let text = message(&all[0], &p, &state, None);
    assert!(text.contains("state is [2, 5, 1, 2]") && text.contains("[2, 5, 2, 2]"), "{text}");
    let wrong = ScanParameters { c_im: all[5].narrow(1, 0, 1).unwrap(), ..p.clone() };
    let text = message(&all[0], &wrong, &all[8], None);
    assert!(text.contains("c_im is [5, 1]") && text.contains("[5, 2]"), "{text}");
    assert!(message(&all[0], &p, &all[8], Some(&[4, 0])).contains("lengths has 4"));
    assert!(message(&all[0], &p, &all[8], Some(&[1])).contains("lengths has 1 entries"));
    let double = all[8].to_dtype(DType::F64).unwrap();
    assert!(message(&all[0], &p, &double, None).contains("state is F64"));
}
