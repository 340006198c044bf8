//! What every recurrence must satisfy, whatever its gates: agreement with its unrolled form and with finite
//! differences, chunks, steps, batch independence, threads, long sequences.

use super::common::*;
use candle_core::{DType, Result, Tensor, Var};
use seqbench_kernels::tape::Tape;

/// A recurrence under test. Inputs are xs, w_ih, w_hh, b_ih, b_hh and the states; results the outputs and
/// the states.
pub(crate) struct Layer {
    pub(crate) gates: usize,
    pub(crate) states: usize,
    pub(crate) fused: fn(&[Tensor], Option<&[usize]>) -> Result<Vec<Tensor>>,
    pub(crate) plain: fn(&[Tensor], Option<&[usize]>) -> Result<Vec<Tensor>>,
}

impl Layer {
    /// Seeded inputs for the sizes `[batch, time, input, hidden]`.
    pub(crate) fn inputs(&self, [batch, time, input, hidden]: [usize; 4], dtype: DType) -> Vec<Var> {
        let width = self.gates * hidden;
        // Of the usual size 1/√hidden, so that long sequences neither die out nor explode.
        let scaled = |seed, shape: &[usize]| {
            let scale = 1.0 / (hidden as f64).sqrt();
            Var::from_tensor(&(tensor(seed, shape, dtype) * scale).unwrap()).unwrap()
        };
        let mut all = vec![
            var(1, (batch, time, input), dtype),
            scaled(2, &[width, input]),
            scaled(3, &[width, hidden]),
            scaled(4, &[width]),
            scaled(5, &[width]),
        ];
        all.extend((0..self.states).map(|state| var(6 + state as u64, (batch, hidden), dtype)));
        all
    }
}

fn plain_tensors(inputs: &[Var]) -> Vec<Tensor> {
    inputs.iter().map(|input| input.as_tensor().clone()).collect()
}

fn detached(inputs: &[Var]) -> Vec<Tensor> {
    inputs.iter().map(|input| input.as_tensor().detach()).collect()
}

fn loss(outputs: &[Tensor]) -> Result<Tensor> {
    weighted(&outputs.iter().collect::<Vec<_>>())
}

/// The outputs and all gradients of the weighted loss.
fn outputs_and_gradients(inputs: &[Var], outputs: Vec<Tensor>) -> Vec<Tensor> {
    let mut all = gradients(&loss(&outputs).unwrap(), &inputs.iter().collect::<Vec<_>>());
    all.extend(outputs);
    all
}

/// The sizes at which tiles, registers, blocks and chunks end in the middle, as candle's graph and on a tape.
pub(crate) fn odd_sizes_equal_the_unrolled_form(layer: &Layer) {
    let mut sizes = Vec::new();
    for width in [1, 3, 17, 100] {
        for batch in [1, 5] {
            sizes.extend([1, 2, 63, 65].map(|time| [batch, time, width, width]));
        }
    }
    // Blocks of 8 rows and a rest; a long sequence; input wider than the state.
    sizes.extend([[19, 9, 5, 11], [1, 1000, 3, 3], [2, 5, 40, 7]]);
    for sizes in sizes {
        let inputs = layer.inputs(sizes, DType::F32);
        let tensors = plain_tensors(&inputs);
        let want = outputs_and_gradients(&inputs, (layer.plain)(&tensors, None).unwrap());
        let got = outputs_and_gradients(&inputs, (layer.fused)(&tensors, None).unwrap());
        let tape = Tape::record().unwrap();
        let outputs = (layer.fused)(&tensors, None).unwrap();
        let found = tape.backward(&loss(&outputs).unwrap()).unwrap();
        let mut taped: Vec<Tensor> =
            inputs.iter().map(|input| found.get(input.as_tensor()).unwrap().clone()).collect();
        taped.extend(outputs);
        for (which, ((got, taped), want)) in got.iter().zip(&taped).zip(&want).enumerate() {
            assert_close(&format!("{sizes:?} {which}"), got, want, 1e-4);
            // Equal but for the sign of a zero, to which candle adds another.
            assert_close(&format!("{sizes:?} {which} on a tape"), taped, got, 0.0);
        }
    }
}

pub(crate) fn equals_the_unrolled_form(layer: &Layer) {
    let cases: [([usize; 4], Option<&[usize]>); 6] = [
        ([3, 7, 5, 11], None),
        ([3, 7, 5, 11], Some(&[7, 0, 4])),
        ([3, 1, 5, 11], None),
        ([1, 7, 5, 11], Some(&[3])),
        ([1, 1, 1, 1], None),
        // More steps than a chunk, more columns than a tile.
        ([2, 37, 3, 41], Some(&[17, 37])),
    ];
    for (dtype, tolerance) in [(DType::F64, 1e-11), (DType::F32, 1e-4)] {
        for (sizes, lengths) in cases {
            let inputs = layer.inputs(sizes, dtype);
            let tensors = plain_tensors(&inputs);
            let got = outputs_and_gradients(&inputs, (layer.fused)(&tensors, lengths).unwrap());
            let want = outputs_and_gradients(&inputs, (layer.plain)(&tensors, lengths).unwrap());
            assert_eq!(got.len(), want.len());
            for (which, (got, want)) in got.iter().zip(&want).enumerate() {
                assert_close(&format!("{sizes:?} {lengths:?} {dtype:?} {which}"), got, want, tolerance);
            }
        }
    }
}

pub(crate) fn gradients_are_finite_differences(layer: &Layer) {
    for lengths in [None, Some(&[3_usize, 0][..])] {
        let inputs = layer.inputs([2, 4, 3, 5], DType::F64);
        let function = |given: &[Tensor]| loss(&(layer.fused)(given, lengths)?);
        assert_finite_differences(&inputs.iter().collect::<Vec<_>>(), function, 1e-7);
    }
}

/// With tracking and without it are different paths through memory and must give the same values.
pub(crate) fn tracking_does_not_change_the_values(layer: &Layer) {
    let inputs = layer.inputs([3, 37, 5, 11], DType::F32);
    let lengths = [0, 37, 19];
    let tracked = (layer.fused)(&plain_tensors(&inputs), Some(&lengths)).unwrap();
    let free = (layer.fused)(&detached(&inputs), Some(&lengths)).unwrap();
    for (tracked, free) in tracked.iter().zip(&free) {
        assert!(tracked.track_op() && !free.track_op());
        assert_eq!(bits(tracked), bits(free));
    }
}

pub(crate) fn two_chunks_equal_one_pass(layer: &Layer) {
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-4)] {
        let inputs = layer.inputs([3, 23, 5, 11], dtype);
        let tensors = plain_tensors(&inputs);
        let whole = (layer.fused)(&tensors, None).unwrap();
        let mut first = tensors.clone();
        first[0] = tensors[0].narrow(1, 0, 9).unwrap();
        let first = (layer.fused)(&first, None).unwrap();
        let mut second = tensors.clone();
        second[0] = tensors[0].narrow(1, 9, 14).unwrap();
        second[5..].clone_from_slice(&first[1..]);
        let second = (layer.fused)(&second, None).unwrap();
        let mut joined = vec![Tensor::cat(&[&first[0], &second[0]], 1).unwrap()];
        joined.extend_from_slice(&second[1..]);
        for (whole, joined) in whole.iter().zip(&joined) {
            assert_eq!(bits(whole), bits(joined));
        }
        let whole = outputs_and_gradients(&inputs, whole);
        let joined = outputs_and_gradients(&inputs, joined);
        for (which, (whole, joined)) in whole.iter().zip(&joined).enumerate() {
            assert_close(&format!("{dtype:?} {which}"), joined, whole, tolerance);
        }
    }
}

/// `lengths` gives each row the state of a run over just its own steps, and padding cannot be seen in it.
pub(crate) fn padding_does_not_reach_the_state(layer: &Layer) {
    let inputs = layer.inputs([3, 7, 5, 11], DType::F32);
    let lengths = [4, 7, 1];
    let padded = (layer.fused)(&detached(&inputs), Some(&lengths)).unwrap();
    for (b, length) in lengths.into_iter().enumerate() {
        let mut own = detached(&inputs);
        own[0] = own[0].narrow(0, b, 1).unwrap().narrow(1, 0, length).unwrap();
        for state in &mut own[5..] {
            *state = state.narrow(0, b, 1).unwrap();
        }
        let own = (layer.fused)(&own, None).unwrap();
        for (padded, own) in padded[1..].iter().zip(&own[1..]) {
            assert_eq!(bits(&padded.narrow(0, b, 1).unwrap()), bits(own), "row {b}");
        }
    }
}

pub(crate) fn a_row_depends_on_no_other_row(layer: &Layer) {
    let inputs = layer.inputs([13, 19, 5, 11], DType::F32);
    let all = (layer.fused)(&detached(&inputs), None).unwrap();
    for b in [0, 7, 12] {
        let mut own = detached(&inputs);
        own[0] = own[0].narrow(0, b, 1).unwrap();
        for state in &mut own[5..] {
            *state = state.narrow(0, b, 1).unwrap();
        }
        for (all, own) in all.iter().zip(&(layer.fused)(&own, None).unwrap()) {
            assert_eq!(bits(&all.narrow(0, b, 1).unwrap()), bits(own), "row {b}");
        }
    }
}

pub(crate) fn threads_do_not_change_the_bits(layer: &Layer) {
    assert_same_on_any_threads(|| {
        let inputs = layer.inputs([5, 29, 7, 37], DType::F32);
        let outputs = (layer.fused)(&plain_tensors(&inputs), Some(&[29, 3, 0, 28, 11])).unwrap();
        outputs_and_gradients(&inputs, outputs)
    });
}

pub(crate) fn long_sequences_need_no_deep_stack(layer: &Layer) {
    let inputs = layer.inputs([1, 4096, 3, 8], DType::F32);
    let outputs = (layer.fused)(&plain_tensors(&inputs), None).unwrap();
    for gradient in gradients(&loss(&outputs).unwrap(), &inputs.iter().collect::<Vec<_>>()) {
        let sum: f64 = flat(&gradient).iter().map(|value| value.abs()).sum();
        assert!(sum.is_finite() && sum > 0.0);
    }
}

pub(crate) fn strided_inputs_work(layer: &Layer) {
    let inputs = layer.inputs([3, 7, 5, 11], DType::F64);
    let mut strided = plain_tensors(&inputs);
    let straight = (layer.fused)(&strided, None).unwrap();
    for input in &mut strided {
        let last = input.rank() - 1;
        let other = last.saturating_sub(1);
        *input = input.transpose(other, last).unwrap().contiguous().unwrap().transpose(other, last).unwrap();
    }
    assert!(!strided[0].is_contiguous() && !strided[2].is_contiguous());
    let strided = (layer.fused)(&strided, None).unwrap();
    for (straight, strided) in straight.iter().zip(&strided) {
        assert_eq!(bits(straight), bits(strided));
    }
    let straight = outputs_and_gradients(&inputs, straight);
    let strided = outputs_and_gradients(&inputs, strided);
    for (straight, strided) in straight.iter().zip(&strided) {
        assert_eq!(bits(straight), bits(strided));
    }
}

/// The workspace is kept with the graph: a second backward gives the same numbers.
pub(crate) fn backward_may_run_twice(layer: &Layer) {
    let inputs = layer.inputs([3, 7, 5, 11], DType::F32);
    let scalar = loss(&(layer.fused)(&plain_tensors(&inputs), None).unwrap()).unwrap();
    let tracked: Vec<&Var> = inputs.iter().collect();
    for (first, second) in gradients(&scalar, &tracked).iter().zip(&gradients(&scalar, &tracked)) {
        assert_eq!(bits(first), bits(second));
    }
}

pub(crate) fn errors_name_the_argument_and_both_shapes(layer: &Layer, name: &str) {
    let good = detached(&layer.inputs([3, 7, 5, 11], DType::F32));
    let width = layer.gates * 11;
    let message = |which: usize, wrong: Tensor| {
        let mut inputs = good.clone();
        inputs[which] = wrong;
        (layer.fused)(&inputs, None).unwrap_err().to_string()
    };
    let f32s = |shape: &[usize]| tensor(1, shape, DType::F32);
    let cases = [
        (0, vec![3, 7, 4], format!("{name}: xs is [3, 7, 4], expected [batch, time, 5]")),
        (1, vec![width + 1, 5], format!("{name}: w_ih is [{}, 5], expected [{width}, 5]", width + 1)),
        (2, vec![width, 13], format!("{name}: w_hh is [{width}, 13], expected [{width}, 11]")),
        (2, vec![width + 1, 11], format!("{name}: w_hh is [{}, 11], expected [{width}, 11]", width + 1)),
        (3, vec![width + 2], format!("{name}: b_ih is [{}], expected [{width}]", width + 2)),
        (4, vec![width + 2], format!("{name}: b_hh is [{}], expected [{width}]", width + 2)),
        (5, vec![2, 11], format!("{name}: h0 is [2, 11], expected [3, 11]")),
        (0, vec![3, 0, 5], format!("{name}: xs is [3, 0, 5]")),
    ];
    for (which, shape, want) in cases {
        let got = message(which, f32s(&shape));
        assert!(got.contains(&want), "{got} does not say {want}");
    }
    let got = message(1, tensor(1, (width, 5), DType::F64));
    assert!(got.contains("w_ih is F64, expected F32"), "{got}");
    let got = (layer.fused)(&good, Some(&[8, 1, 1])).unwrap_err().to_string();
    assert!(got.contains("a length is 8, expected at most the 7 steps"), "{got}");
    let got = (layer.fused)(&good, Some(&[1, 1])).unwrap_err().to_string();
    assert!(got.contains("2 lengths for a batch of 3"), "{got}");
}
