//! Batches of symbol sequences with a class at some steps: their construction by the tasks that draw them, and
//! their traversal by the tasks' oracles.

use seqbench_core::{Batch, Evidence, InputData, Inputs, Scored, Targets};

/// A batch of equally long symbol sequences in the making.
pub(crate) struct Sequences {
    batch: usize,
    time: usize,
    /// Symbols, `[batch, time]`.
    tokens: Vec<u32>,
    /// Classes, `[batch, time]`.
    classes: Vec<u32>,
    loss_mask: Vec<bool>,
    scored: Vec<Scored>,
}

impl Sequences {
    /// `[batch, time]` of one symbol, with room for `answers` scored steps a row.
    pub(crate) fn new(batch: usize, time: usize, symbol: u32, answers: usize) -> Self {
        let cells = batch * time;
        Sequences {
            batch,
            time,
            tokens: vec![symbol; cells],
            classes: vec![0; cells],
            loss_mask: vec![false; cells],
            scored: Vec::with_capacity(batch * answers),
        }
    }

    /// The symbols of a row, `[time]`.
    pub(crate) fn row(&mut self, row: usize) -> &mut [u32] {
        &mut self.tokens[row * self.time..(row + 1) * self.time]
    }

    /// Puts every step into the loss with this class as its target; what [`Sequences::score`] sets later stays.
    pub(crate) fn expect_everywhere(&mut self, class: u32) {
        self.classes.fill(class);
        self.loss_mask.fill(true);
    }

    /// Puts a step into the loss and scores it. Rows and steps come in ascending order.
    pub(crate) fn score(&mut self, row: usize, step: usize, class: u32, evidence: Evidence) {
        let first = match &evidence {
            Evidence::Steps(steps) => steps.iter().min().copied().unwrap_or(0),
            Evidence::Span(range) => range.start,
        };
        let at = row * self.time + step;
        self.classes[at] = class;
        self.loss_mask[at] = true;
        let lag = (step as u32).saturating_sub(first);
        self.scored.push(Scored { row: row as u32, step: step as u32, lag, evidence });
    }

    /// The finished batch.
    pub(crate) fn into_batch(self) -> Batch {
        Batch {
            inputs: Inputs { batch: self.batch, time: self.time, data: InputData::Tokens(self.tokens) },
            targets: Targets::Classes(self.classes),
            loss_mask: self.loss_mask,
            scored: self.scored,
            lengths: vec![self.time; self.batch],
        }
    }
}

/// An oracle's answers: `answer` sees the symbols of one row without padding and writes the classes of its steps.
pub(crate) fn answer_rows(
    inputs: &Inputs,
    lengths: &[usize],
    mut answer: impl FnMut(&[u32], &mut [u32]),
) -> Targets {
    let mut classes = vec![0; inputs.batch * inputs.time];
    if let InputData::Tokens(tokens) = &inputs.data {
        let time = inputs.time.max(1);
        let rows = tokens.chunks(time).zip(classes.chunks_mut(time));
        for (row, (tokens, classes)) in rows.enumerate() {
            let length = lengths.get(row).map_or(tokens.len(), |length| (*length).min(tokens.len()));
            answer(&tokens[..length], &mut classes[..length]);
        }
    }
    Targets::Classes(classes)
}

#[cfg(test)]
pub(crate) mod golden {
    //! A digest of everything a batch holds, so that a test notices a draw that moved.

    use super::*;
    use seqbench_core::{Finite, Generated, Purpose, Split, Stream};
    use sha2::{Digest, Sha256};

    /// SHA-256 of a batch, in hexadecimal.
    pub(crate) fn digest(batch: &Batch) -> String {
        let mut hash = Sha256::new();
        let mut put = |bytes: &[u8]| hash.update(bytes);
        put(&(batch.inputs.batch as u64).to_le_bytes());
        put(&(batch.inputs.time as u64).to_le_bytes());
        match &batch.inputs.data {
            InputData::Tokens(tokens) => tokens.iter().for_each(|token| put(&token.to_le_bytes())),
            InputData::Features { values, .. } => values.iter().for_each(|value| put(&value.to_le_bytes())),
        }
        match &batch.targets {
            Targets::Classes(classes) => classes.iter().for_each(|class| put(&class.to_le_bytes())),
            Targets::Values { values, .. } => values.iter().for_each(|value| put(&value.to_le_bytes())),
        }
        batch.loss_mask.iter().for_each(|yes| put(&[u8::from(*yes)]));
        batch.lengths.iter().for_each(|length| put(&(*length as u64).to_le_bytes()));
        for scored in &batch.scored {
            for number in [scored.row, scored.step, scored.lag] {
                put(&number.to_le_bytes());
            }
            match &scored.evidence {
                Evidence::Steps(steps) => steps.iter().for_each(|step| put(&step.to_le_bytes())),
                Evidence::Span(range) => {
                    [range.start, range.end].iter().for_each(|at| put(&at.to_le_bytes()))
                }
            }
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Digests of the first training batch, of four samples at the nominal length, for seeds 0 and 1.
    pub(crate) fn first_batches(task: &dyn Generated) -> [String; 2] {
        [0, 1].map(|seed| {
            let mut stream = Stream::new(seed, Purpose::Train, 0);
            digest(&task.sample(&mut stream, 4, task.nominal_length()))
        })
    }

    /// Digests of the first four examples of training and test.
    pub(crate) fn first_examples(task: &dyn Finite) -> [String; 2] {
        [Split::Train, Split::Test].map(|split| digest(&task.batch(split, &[0, 1, 2, 3])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scored_steps_enter_the_loss_and_get_their_lag() {
        let mut sequences = Sequences::new(2, 3, 7, 1);
        sequences.row(1)[0] = 5;
        sequences.score(0, 2, 4, Evidence::Steps(vec![1, 0]));
        sequences.score(1, 1, 3, Evidence::Span(1..2));
        let batch = sequences.into_batch();
        assert_eq!(batch.fault(), None);
        assert_eq!(batch.inputs.data, InputData::Tokens(vec![7, 7, 7, 5, 7, 7]));
        assert_eq!(batch.loss_steps(), batch.scored_steps());
        assert_eq!(batch.scored.iter().map(|scored| scored.lag).collect::<Vec<_>>(), [2, 0]);
        assert_eq!(batch.targets, Targets::Classes(vec![0, 0, 4, 0, 3, 0]));
    }

    #[test]
    fn an_oracle_sees_rows_without_their_padding() {
        let inputs = Inputs { batch: 2, time: 2, data: InputData::Tokens(vec![1, 2, 3, 4]) };
        let answers = answer_rows(&inputs, &[2, 1], |tokens, answers| {
            *answers.last_mut().unwrap() = tokens.iter().sum();
        });
        assert_eq!(answers, Targets::Classes(vec![0, 3, 3, 0]));
    }
}
