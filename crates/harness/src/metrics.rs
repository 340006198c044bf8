//! Scores of a model's answers: accuracy over scored positions, whole-sequence exact match, loss, and accuracy
//! against the lag of each position. Micro-averaged: every scored position weighs the same.

use seqbench_core::{Batch, OutputKind, Targets};
use seqbench_record::ScoreRow;
use std::collections::BTreeMap;

/// More distinct lags than this are gathered in bands that end at powers of two.
const EXACT_LAGS: usize = 8;

/// Name of the metric that is the mean loss in bits, where the classes are bytes.
pub const BITS: &str = "bits_per_byte";

/// Running totals over batches of one split and length.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    positions: u64,
    right: u64,
    sequences: u64,
    exact: u64,
    loss: f64,
    by_lag: BTreeMap<u32, (u64, u64)>,
}

impl Tally {
    /// Adds a batch, given the predictions `[n, outputs]` at its scored positions, in their order.
    pub fn add(&mut self, batch: &Batch, output: OutputKind, predictions: &[f32]) {
        let mut wrong_rows = std::collections::BTreeSet::new();
        let mut rows = std::collections::BTreeSet::new();
        let width = output.width();
        for (scored, prediction) in batch.scored.iter().zip(predictions.chunks_exact(width)) {
            let at = scored.row as usize * batch.inputs.time + scored.step as usize;
            let (right, loss) = judge(&batch.targets, at, output, prediction);
            self.positions += 1;
            self.right += u64::from(right);
            self.loss += loss;
            let lag = self.by_lag.entry(scored.lag).or_default();
            lag.0 += u64::from(right);
            lag.1 += 1;
            rows.insert(scored.row);
            if !right {
                wrong_rows.insert(scored.row);
            }
        }
        self.sequences += rows.len() as u64;
        self.exact += (rows.len() - wrong_rows.len()) as u64;
    }

    /// Share of scored positions answered rightly.
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.positions.max(1) as f64
    }

    /// Mean loss over scored positions: cross-entropy in nats, or squared error.
    pub fn loss(&self) -> f64 {
        self.loss / self.positions.max(1) as f64
    }

    /// Mean loss in bits, for classes that are bytes: bits per byte.
    pub fn bits(&self) -> f64 {
        self.loss() / std::f64::consts::LN_2
    }

    /// The rows of `score.csv`; `metric` is the task's primary one. Without right and wrong there is the loss alone.
    pub fn rows(&self, split: &str, length: usize, output: OutputKind, metric: &str) -> Vec<ScoreRow> {
        let row = |lag: Option<u32>, metric: &str, value: f64, n: u64| ScoreRow {
            split: split.to_owned(),
            length: length as u64,
            lag: lag.map(u64::from),
            metric: metric.to_owned(),
            value,
            n,
        };
        let mut rows = Vec::new();
        if output.has_accuracy() {
            let exact = self.exact as f64 / self.sequences.max(1) as f64;
            rows.push(row(None, "accuracy", self.accuracy(), self.positions));
            rows.push(row(None, "exact_match", exact, self.sequences));
        }
        rows.push(row(None, loss_name(output), self.loss(), self.positions));
        if metric == BITS {
            rows.push(row(None, BITS, self.bits(), self.positions));
        }
        if output.has_accuracy() {
            for (lag, (right, n)) in self.bands() {
                rows.push(row(Some(lag), "accuracy", right as f64 / n as f64, n));
            }
        }
        rows
    }

    fn bands(&self) -> BTreeMap<u32, (u64, u64)> {
        if self.by_lag.len() <= EXACT_LAGS {
            return self.by_lag.clone();
        }
        let mut bands: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        for (lag, (right, n)) in &self.by_lag {
            let band = bands.entry(lag.next_power_of_two()).or_default();
            band.0 += right;
            band.1 += n;
        }
        bands
    }
}

/// Name of the loss metric of an output.
pub fn loss_name(output: OutputKind) -> &'static str {
    match output {
        OutputKind::Classes(_) => "loss_nats",
        OutputKind::Regression { .. } => "mse",
    }
}

fn judge(targets: &Targets, at: usize, output: OutputKind, prediction: &[f32]) -> (bool, f64) {
    match (targets, output) {
        (Targets::Classes(classes), _) => {
            let target = classes[at] as usize;
            let best = prediction
                .iter()
                .enumerate()
                .fold(0, |best, (i, x)| if *x > prediction[best] { i } else { best });
            let peak = prediction.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
            let sum: f64 = prediction.iter().map(|x| libm::exp(f64::from(x - peak))).sum();
            let loss = libm::log(sum) + f64::from(peak) - f64::from(prediction[target]);
            // A NaN among the logits compares false everywhere, so it is asked for.
            (best == target && loss.is_finite(), loss)
        }
        (Targets::Values { dim, values }, output) => {
            let tolerance = match output {
                OutputKind::Regression { tolerance, .. } => tolerance,
                OutputKind::Classes(_) => 0.0,
            };
            let errors =
                values[at * dim..(at + 1) * dim].iter().zip(prediction).map(|(y, p)| f64::from(*y - *p));
            let right = errors.clone().all(|error| error.abs() < tolerance);
            (right, errors.map(|error| error * error).sum::<f64>() / *dim as f64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seqbench_core::{Evidence, InputData, Inputs, Scored};

    /// Row 0 is scored three times, row 1 once: averaging over rows, or over classes, would give other numbers.
    fn unbalanced() -> Batch {
        let scored = |row, step, lag| Scored { row, step, lag, evidence: Evidence::Steps(vec![0]) };
        Batch {
            inputs: Inputs { batch: 2, time: 4, data: InputData::Tokens(vec![0; 8]) },
            targets: Targets::Classes(vec![0, 1, 1, 1, 0, 0, 0, 0]),
            loss_mask: vec![true; 8],
            scored: vec![scored(0, 1, 1), scored(0, 2, 2), scored(0, 3, 2), scored(1, 3, 3)],
            lengths: vec![4, 4],
        }
    }

    #[test]
    fn accuracy_averages_over_positions_and_exact_match_over_sequences() {
        let mut tally = Tally::default();
        // Right at three positions: two of row 0 and the one of row 1.
        let predictions = [0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0];
        tally.add(&unbalanced(), OutputKind::Classes(2), &predictions);
        assert_eq!(tally.accuracy(), 0.75);
        let rows = tally.rows("test", 4, OutputKind::Classes(2), "accuracy");
        assert_eq!((rows[1].value, rows[1].n), (0.5, 2));
        let lags: Vec<_> = rows[3..].iter().map(|row| (row.lag, row.value, row.n)).collect();
        assert_eq!(lags, [(Some(1), 1.0, 1), (Some(2), 0.5, 2), (Some(3), 1.0, 1)]);
    }

    #[test]
    fn uniform_logits_cost_the_logarithm_of_the_classes() {
        let mut tally = Tally::default();
        tally.add(&unbalanced(), OutputKind::Classes(2), &[0.0; 8]);
        assert!((tally.loss() - std::f64::consts::LN_2).abs() < 1e-12);
    }

    #[test]
    fn nan_is_never_right() {
        let mut tally = Tally::default();
        tally.add(&unbalanced(), OutputKind::Classes(2), &[f32::NAN; 8]);
        assert_eq!(tally.accuracy(), 0.0);
    }

    #[test]
    fn a_regression_is_right_within_its_tolerance() {
        let mut batch = unbalanced();
        batch.targets = Targets::Values { dim: 1, values: vec![1.0; 8] };
        let output = OutputKind::Regression { dim: 1, tolerance: 0.04 };
        let mut tally = Tally::default();
        tally.add(&batch, output, &[1.03, 0.97, 1.05, 1.5]);
        assert_eq!(tally.accuracy(), 0.5);
        let mse = (0.03f64.powi(2) * 2.0 + 0.05f64.powi(2) + 0.25) / 4.0;
        assert!((tally.loss() - mse).abs() < 1e-6);
    }

    #[test]
    fn bits_stand_beside_nats_where_they_are_the_metric() {
        let mut tally = Tally::default();
        tally.add(&unbalanced(), OutputKind::Classes(2), &[0.0; 8]);
        let names = |metric| -> Vec<String> {
            let rows = tally.rows("test", 4, OutputKind::Classes(2), metric);
            rows.into_iter().filter(|row| row.lag.is_none()).map(|row| row.metric).collect()
        };
        assert_eq!(names("accuracy"), ["accuracy", "exact_match", "loss_nats"]);
        assert_eq!(names(BITS), ["accuracy", "exact_match", "loss_nats", "bits_per_byte"]);
        // A coin tells one bit.
        let rows = tally.rows("test", 4, OutputKind::Classes(2), BITS);
        assert!((rows[3].value - 1.0).abs() < 1e-12 && rows[3].n == 4);
    }

    #[test]
    fn without_a_tolerance_the_squared_error_is_the_one_score() {
        let mut batch = unbalanced();
        batch.targets = Targets::Values { dim: 1, values: vec![1.0; 8] };
        let output = OutputKind::Regression { dim: 1, tolerance: 0.0 };
        let mut tally = Tally::default();
        tally.add(&batch, output, &[1.0, 1.0, 1.0, 3.0]);
        let rows = tally.rows("test", 4, output, "mse");
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].metric.as_str(), rows[0].value, rows[0].n, rows[0].lag), ("mse", 1.0, 4, None));
    }

    #[test]
    fn many_lags_are_gathered_in_bands() {
        let scored = |step| Scored { row: 0, step, lag: step, evidence: Evidence::Steps(vec![0]) };
        let batch = Batch {
            inputs: Inputs { batch: 1, time: 20, data: InputData::Tokens(vec![0; 20]) },
            targets: Targets::Classes(vec![0; 20]),
            loss_mask: vec![true; 20],
            scored: (1..=12).map(scored).collect(),
            lengths: vec![20],
        };
        let mut tally = Tally::default();
        tally.add(&batch, OutputKind::Classes(2), &[1.0, 0.0].repeat(12));
        let lags: Vec<_> = tally.bands().into_iter().map(|(lag, (_, n))| (lag, n)).collect();
        assert_eq!(lags, [(1, 1), (2, 1), (4, 2), (8, 4), (16, 4)]);
    }
}
