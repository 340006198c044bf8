//! Windows of inputs: chunks in time for truncated back-propagation, windows of their own for each row for probes, and
//! batches without the padding that no row needs.

use seqbench_core::{Batch, InputData, Inputs, Targets};
use std::borrow::Cow;

/// The batch cut to its longest sequence, or to its last step in the loss or scored where that is later: a batch whose
/// rows all end early must not pay for padding that is nobody's. Cores are causal, so the steps that stay keep their
/// outputs.
pub fn without_padding(batch: &Batch) -> Cow<'_, Batch> {
    let time = batch.inputs.time;
    let in_loss = batch.loss_mask.chunks_exact(time.max(1));
    let in_loss = in_loss.filter_map(|row| row.iter().rposition(|yes| *yes)).map(|last| last + 1);
    let scored = batch.scored.iter().map(|scored| scored.step as usize + 1);
    let needed = batch.lengths.iter().copied().chain(in_loss).chain(scored).max().unwrap_or(time);
    // A model is given one step at least.
    let width = needed.clamp(1.min(time), time);
    if width == time {
        return Cow::Borrowed(batch);
    }
    Cow::Owned(Batch {
        inputs: windows(&batch.inputs, &vec![0; batch.inputs.batch], width),
        targets: match &batch.targets {
            Targets::Classes(classes) => Targets::Classes(cut(classes, time, width)),
            Targets::Values { dim, values } => {
                Targets::Values { dim: *dim, values: cut(values, time * dim, width * dim) }
            }
        },
        loss_mask: cut(&batch.loss_mask, time, width),
        scored: batch.scored.clone(),
        lengths: batch.lengths.clone(),
    })
}

/// The first `width` of every `stride` values.
fn cut<T: Copy>(values: &[T], stride: usize, width: usize) -> Vec<T> {
    values.chunks_exact(stride.max(1)).flat_map(|row| &row[..width]).copied().collect()
}

/// For every row the `width` steps from `starts[row]` on: `[batch, time]` to `[batch, width]`. Steps past the end repeat
/// the last one; callers ask for none that count.
pub fn windows(inputs: &Inputs, starts: &[usize], width: usize) -> Inputs {
    let source = |row: usize, step: usize| row * inputs.time + (starts[row] + step).min(inputs.time - 1);
    let at = (0..inputs.batch).flat_map(|row| (0..width).map(move |step| (row, step)));
    let data = match &inputs.data {
        InputData::Tokens(tokens) => {
            InputData::Tokens(at.map(|(row, step)| tokens[source(row, step)]).collect())
        }
        InputData::Features { dim, values } => InputData::Features {
            dim: *dim,
            values: at
                .flat_map(|(row, step)| {
                    let first = source(row, step) * dim;
                    values[first..first + dim].iter().copied()
                })
                .collect(),
        },
    };
    Inputs { batch: inputs.batch, time: width, data }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seqbench_core::{Evidence, Scored};

    fn padded(lengths: [usize; 2], in_loss: (usize, usize)) -> Batch {
        let mut loss_mask = vec![false; 10];
        loss_mask[in_loss.0 * 5 + in_loss.1] = true;
        let step = lengths[0] as u32 - 1;
        Batch {
            inputs: Inputs { batch: 2, time: 5, data: InputData::Tokens((0..10).collect()) },
            targets: Targets::Values { dim: 2, values: (0..20u8).map(f32::from).collect() },
            loss_mask,
            scored: vec![Scored { row: 0, step, lag: 0, evidence: Evidence::Steps(vec![step]) }],
            lengths: lengths.to_vec(),
        }
    }

    #[test]
    fn a_batch_is_cut_to_its_longest_row() {
        let batch = padded([2, 3], (1, 2));
        let cut = without_padding(&batch);
        assert_eq!(cut.inputs.time, 3);
        assert_eq!(cut.inputs.data, InputData::Tokens(vec![0, 1, 2, 5, 6, 7]));
        let values = [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15].map(|x: u8| f32::from(x)).to_vec();
        assert_eq!(cut.targets, Targets::Values { dim: 2, values });
        assert_eq!(cut.loss_steps(), batch.loss_steps());
        assert_eq!(cut.scored_steps(), batch.scored_steps());
        assert_eq!((cut.fault(), &cut.lengths), (None, &batch.lengths));
    }

    #[test]
    fn a_step_in_the_loss_beyond_every_length_stays() {
        assert_eq!(without_padding(&padded([2, 3], (0, 3))).inputs.time, 4);
    }

    #[test]
    fn a_batch_that_is_full_is_not_copied() {
        assert!(matches!(without_padding(&padded([2, 5], (0, 1))), Cow::Borrowed(_)));
        assert!(matches!(without_padding(&padded([2, 3], (1, 4))), Cow::Borrowed(_)));
    }

    #[test]
    fn classes_are_cut_with_their_steps_and_a_step_is_left() {
        let mut batch = padded([1, 1], (0, 0));
        batch.targets = Targets::Classes((0..10).collect());
        assert_eq!(without_padding(&batch).targets, Targets::Classes(vec![0, 5]));
        batch.lengths = vec![0, 0];
        batch.scored.clear();
        batch.loss_mask.fill(false);
        assert_eq!(without_padding(&batch).inputs.time, 1);
    }

    #[test]
    fn every_row_gets_its_own_window() {
        let inputs = Inputs { batch: 2, time: 4, data: InputData::Tokens(vec![0, 1, 2, 3, 10, 11, 12, 13]) };
        assert_eq!(windows(&inputs, &[1, 2], 2).data, InputData::Tokens(vec![1, 2, 12, 13]));
        let values = (0..8).map(|x| x as f32).collect();
        let inputs = Inputs { batch: 1, time: 4, data: InputData::Features { dim: 2, values } };
        let expected = InputData::Features { dim: 2, values: vec![2.0, 3.0, 4.0, 5.0] };
        assert_eq!(windows(&inputs, &[1], 2).data, expected);
    }
}
