//! Selection of a learning rate. It sees validation scores and nothing else, by type.

use crate::metrics::BITS;
use seqbench_record::{CellFiles, Status};

/// What one trial tells a selection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValidationScore {
    /// The rate it tried.
    pub rate: f64,
    /// How good it is on the validation stream, higher being better: its accuracy, or minus its bits per byte or its mean
    /// squared error, whichever is the task's primary metric; none where it diverged.
    pub merit: Option<f64>,
    /// Its mean validation loss, which decides between equal merits.
    pub loss: Option<f64>,
}

impl ValidationScore {
    /// The validation score of a finished trial: its validation rows, or else the last point of its curve. A trial is
    /// judged by bits per byte where it has them, else by accuracy, else by mean squared error.
    pub fn of(rate: f64, files: &CellFiles) -> Self {
        if files.cell.status == Status::Diverged {
            return ValidationScore { rate, merit: None, loss: None };
        }
        let validated = |metric| validated(files, metric);
        let error = validated("mse");
        let merit = validated(BITS).map(|bits| -bits);
        let merit = merit.or_else(|| validated("accuracy")).or_else(|| error.map(|error| -error));
        let loss = validated("loss_nats").or(error);
        let finite = |value: &f64| value.is_finite();
        ValidationScore { rate, merit: merit.filter(finite), loss: loss.filter(finite) }
    }
}

fn validated(files: &CellFiles, metric: &str) -> Option<f64> {
    let rows = files.scores.iter();
    let rows = rows.filter(|row| row.split == "validation" && row.metric == metric && row.lag.is_none());
    mean(rows.map(|row| row.value).collect()).or_else(|| {
        let points = files.curves.iter().filter(|row| row.metric.strip_prefix("validation_") == Some(metric));
        points.max_by_key(|row| row.step).map(|row| row.value)
    })
}

/// The rate with the best mean merit over its trials. A rate of which any trial diverged loses to any of which none
/// did; between equals the lower mean validation loss wins, then the smaller rate. Nothing for no scores.
pub fn best(scores: &[ValidationScore]) -> Option<f64> {
    let mut rates: Vec<f64> = scores.iter().map(|score| score.rate).collect();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    let of = |rate: f64, value: fn(&ValidationScore) -> Option<f64>| {
        let own: Option<Vec<f64>> = scores.iter().filter(|score| score.rate == rate).map(value).collect();
        own.and_then(mean)
    };
    let mut chosen: Option<(f64, f64, f64)> = None;
    for rate in rates {
        let merit = of(rate, |score| score.merit).unwrap_or(f64::NEG_INFINITY);
        let loss = of(rate, |score| score.loss).unwrap_or(f64::INFINITY);
        if chosen.is_none_or(|(_, best, least)| merit > best || (merit == best && loss < least)) {
            chosen = Some((rate, merit, loss));
        }
    }
    chosen.map(|(rate, ..)| rate)
}

/// The mean, whatever order the trials ended in: a sum in another order may differ in its last bit.
fn mean(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(rate: f64, merit: impl Into<Option<f64>>) -> ValidationScore {
        ValidationScore { rate, merit: merit.into(), loss: None }
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
        // Minus an error is a merit too, however large the error.
        assert_eq!(best(&[score(0.01, None), score(0.1, -1e300)]), Some(0.1));
    }

    #[test]
    fn between_equal_merits_the_lower_loss_wins() {
        let with = |rate, loss: f64| ValidationScore { rate, merit: Some(1.0), loss: Some(loss) };
        assert_eq!(best(&[with(0.1, 0.2), with(0.3, 0.1), with(0.2, 0.1)]), Some(0.2));
        let mean = [with(0.1, 0.0), with(0.1, 0.5), with(0.2, 0.2), with(0.2, 0.2)];
        assert_eq!(best(&mean), Some(0.2));
        // Merit comes first.
        assert_eq!(
            best(&[with(0.1, 0.0), ValidationScore { merit: Some(1.1), ..with(0.2, 9.0) }]),
            Some(0.2)
        );
    }

    #[test]
    fn the_order_of_the_trials_decides_nothing() {
        let merits = [0.1, 0.7, 0.3, 0.6, 0.2];
        for first in 0..merits.len() {
            let mut turned = merits;
            turned.rotate_left(first);
            let of = |rate| move |merit: f64| score(rate, merit);
            let scores: Vec<_> =
                merits.into_iter().map(of(0.1)).chain(turned.into_iter().map(of(0.2))).collect();
            assert_eq!(best(&scores), Some(0.1));
        }
    }
}
