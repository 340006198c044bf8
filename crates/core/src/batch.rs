//! A batch of sequences: what goes in, what should come out, which steps count, and on what each depends.

/// Inputs of a batch, right-padded to its longest sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Inputs {
    /// Sequences.
    pub batch: usize,
    /// Steps of the longest.
    pub time: usize,
    /// The values.
    pub data: InputData,
}

/// Values of the inputs, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum InputData {
    /// Symbols, `[batch, time]`.
    Tokens(Vec<u32>),
    /// Real features, `[batch, time, dim]`.
    Features {
        /// Features a step.
        dim: usize,
        /// The values.
        values: Vec<f32>,
    },
}

/// Targets, row-major, aligned with the inputs; values at steps that are neither scored nor in the loss mean
/// nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// Classes, `[batch, time]`.
    Classes(Vec<u32>),
    /// Real values, `[batch, time, dim]`.
    Values {
        /// Values a step.
        dim: usize,
        /// The values.
        values: Vec<f32>,
    },
}

/// The input steps an answer depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// These steps.
    Steps(Vec<u32>),
    /// All steps from the first of the range to the one before its end.
    Span(std::ops::Range<u32>),
}

impl Evidence {
    /// Whether the step is part of it.
    pub fn contains(&self, step: u32) -> bool {
        match self {
            Evidence::Steps(steps) => steps.contains(&step),
            Evidence::Span(range) => range.contains(&step),
        }
    }
}

/// One scored position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scored {
    /// Sequence within the batch.
    pub row: u32,
    /// Step within the sequence at which the answer is read.
    pub step: u32,
    /// Distance in steps from the farthest evidence the answer needs to the step it is read at.
    pub lag: u32,
    /// What the answer depends on.
    pub evidence: Evidence,
}

/// A batch of sequences of one task.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// What goes in.
    pub inputs: Inputs,
    /// What should come out.
    pub targets: Targets,
    /// Steps the training loss averages over, `[batch, time]`. Differs from the scored steps where the published
    /// protocol has it so.
    pub loss_mask: Vec<bool>,
    /// Steps that are scored, ordered by row, then step.
    pub scored: Vec<Scored>,
    /// Length of each sequence, without its padding.
    pub lengths: Vec<usize>,
}

impl Batch {
    /// (row, step) of every step in the loss, ordered by row, then step.
    pub fn loss_steps(&self) -> Vec<(usize, usize)> {
        let time = self.inputs.time.max(1);
        let in_loss = self.loss_mask.iter().enumerate().filter(|(_, yes)| **yes);
        in_loss.map(|(at, _)| (at / time, at % time)).collect()
    }

    /// (row, step) of every scored step, in the order of `scored`.
    pub fn scored_steps(&self) -> Vec<(usize, usize)> {
        self.scored.iter().map(|scored| (scored.row as usize, scored.step as usize)).collect()
    }

    /// What is inconsistent about the batch, if anything: sizes, order, evidence that does not precede its answer.
    pub fn fault(&self) -> Option<String> {
        let (batch, time) = (self.inputs.batch, self.inputs.time);
        let cells = batch * time;
        let inputs = match &self.inputs.data {
            InputData::Tokens(tokens) => tokens.len() == cells,
            InputData::Features { dim, values } => values.len() == cells * dim,
        };
        let targets = match &self.targets {
            Targets::Classes(classes) => classes.len() == cells,
            Targets::Values { dim, values } => values.len() == cells * dim,
        };
        if !inputs || !targets || self.loss_mask.len() != cells || self.lengths.len() != batch {
            return Some(format!("sizes do not fit [{batch}, {time}]"));
        }
        if self.lengths.iter().any(|length| *length > time) {
            return Some("a length exceeds the batch's time".into());
        }
        if !self.scored_steps().is_sorted() {
            return Some("scored positions are not ordered by row, then step".into());
        }
        for scored in &self.scored {
            let row = scored.row as usize;
            if row >= batch || scored.step as usize >= self.lengths[row] {
                return Some(format!("scored position {scored:?} lies outside its sequence"));
            }
            let last = match &scored.evidence {
                Evidence::Steps(steps) => steps.iter().max().copied(),
                Evidence::Span(range) => range.end.checked_sub(1),
            };
            if last.is_none_or(|last| last > scored.step) || scored.lag > scored.step {
                return Some(format!("the evidence of {scored:?} does not precede its answer"));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Batch {
        let scored = |row, step| Scored { row, step, lag: 1, evidence: Evidence::Steps(vec![step - 1]) };
        Batch {
            inputs: Inputs { batch: 2, time: 3, data: InputData::Tokens(vec![1; 6]) },
            targets: Targets::Classes(vec![0; 6]),
            loss_mask: vec![false, false, true, false, true, false],
            scored: vec![scored(0, 2), scored(1, 1)],
            lengths: vec![3, 2],
        }
    }

    #[test]
    fn steps_are_listed_by_row_then_step() {
        assert_eq!(small().loss_steps(), [(0, 2), (1, 1)]);
        assert_eq!(small().scored_steps(), [(0, 2), (1, 1)]);
        assert_eq!(small().fault(), None);
    }

    #[test]
    fn faults_are_found() {
        let mut batch = small();
        batch.scored[1].step = 2;
        assert!(batch.fault().unwrap().contains("outside"));
        let mut batch = small();
        batch.scored[0].evidence = Evidence::Span(0..4);
        assert!(batch.fault().unwrap().contains("precede"));
        let mut batch = small();
        batch.loss_mask.pop();
        assert!(batch.fault().unwrap().contains("sizes"));
    }
}
