//! Windows of inputs: chunks in time for truncated back-propagation, and windows of their own for each row for probes.

use seqbench_core::{InputData, Inputs};

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
