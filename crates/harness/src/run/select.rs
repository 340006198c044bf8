//! Selection of a learning rate. It sees validation scores and nothing else, by type.

use seqbench_record::{CellFiles, Status};

/// What one trial tells a selection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValidationScore {
    /// The rate it tried.
    pub rate: f64,
    /// Its accuracy on the validation stream; none where it diverged.
    pub accuracy: Option<f64>,
}

impl ValidationScore {
    /// The validation score of a finished trial: its validation rows, or else the last point of its curve.
    pub fn of(rate: f64, files: &CellFiles) -> Self {
        if files.cell.status == Status::Diverged {
            return ValidationScore { rate, accuracy: None };
        }
        let rows = files.scores.iter();
        let rows =
            rows.filter(|row| row.split == "validation" && row.metric == "accuracy" && row.lag.is_none());
        let values: Vec<f64> = rows.map(|row| row.value).collect();
        let last = || {
            let points = files.curves.iter().filter(|row| row.metric == "validation_accuracy");
            points.max_by_key(|row| row.step).map(|row| row.value)
        };
        let accuracy = if values.is_empty() { last() } else { mean(&values) };
        ValidationScore { rate, accuracy: accuracy.filter(|accuracy| accuracy.is_finite()) }
    }
}

/// The rate with the best mean accuracy over its trials. A rate of which any trial diverged loses to any of which
/// none did; between equals the smaller rate wins. Nothing for no scores.
pub fn best(scores: &[ValidationScore]) -> Option<f64> {
    let mut rates: Vec<f64> = scores.iter().map(|score| score.rate).collect();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    let merit = |rate: f64| {
        let own: Vec<Option<f64>> =
            scores.iter().filter(|score| score.rate == rate).map(|score| score.accuracy).collect();
        let finite: Vec<f64> = own.iter().copied().flatten().collect();
        if finite.len() == own.len() { mean(&finite).unwrap_or(f64::NEG_INFINITY) } else { f64::NEG_INFINITY }
    };
    let mut chosen: Option<(f64, f64)> = None;
    for rate in rates {
        let merit = merit(rate);
        if chosen.is_none_or(|(_, best)| merit > best) {
            chosen = Some((rate, merit));
        }
    }
    chosen.map(|(rate, _)| rate)
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(rate: f64, accuracy: impl Into<Option<f64>>) -> ValidationScore {
        ValidationScore { rate, accuracy: accuracy.into() }
    }

    #[test]
    fn the_best_mean_wins_and_between_equals_the_smaller_rate() {
        let scores = [score(0.1, 0.9), score(0.1, 0.1), score(0.01, 0.6), score(0.01, 0.6)];
        assert_eq!(best(&scores), Some(0.01));
        assert_eq!(best(&[score(0.3, 1.0), score(0.1, 1.0), score(0.2, 1.0)]), Some(0.1));
        assert_eq!(best(&[]), None);
    }

    #[test]
    fn a_rate_that_diverged_once_loses() {
        assert_eq!(best(&[score(0.1, 1.0), score(0.1, None), score(0.01, 0.2)]), Some(0.01));
        assert_eq!(best(&[score(0.1, None), score(0.01, None)]), Some(0.01));
    }
}
