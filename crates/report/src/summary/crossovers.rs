//! Lengths at which two models take the same time.

use super::{Setting, ThroughputRow};
use crate::statistics::{Interval, LEVEL, median_interval};
use serde::Serialize;

/// Two models in one mode: which is faster at the shortest length that both were timed at, which at the longest, and where
/// that changes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Crossover {
    /// One model.
    pub first: Setting,
    /// The other.
    pub second: Setting,
    /// `train`, `forward` or `decode`.
    pub mode: String,
    /// Sequences at once.
    pub batch: u64,
    /// Threads.
    pub threads: u32,
    /// Shortest common length.
    pub from_length: u64,
    /// Longest common length.
    pub to_length: u64,
    /// Whether the first is faster at the shortest; none where the ratio could be 1 there.
    pub first_is_faster_below: Option<bool>,
    /// Whether the first is faster at the longest; none where the ratio could be 1 there.
    pub first_is_faster_above: Option<bool>,
    /// How often the medians cross between.
    pub crossings: usize,
    /// Where they last do, on a straight line of log ratio against log length between two neighbours; none where not one model
    /// is faster at one end and the other at the other.
    pub length: Option<f64>,
    /// From where on that line the ratio could first be 1, and up to where it could last be: medians lie within order
    /// statistics, each of [`LEVEL`] or more. An end that is beyond all lengths timed is absent; both are where there are
    /// too few rounds.
    pub low: Option<f64>,
    /// See [`Crossover::low`].
    pub high: Option<f64>,
}

/// log10 of the ratio of the first's time to the second's at a length, with its ends.
struct Ratio {
    log_length: f64,
    value: f64,
    interval: Option<Interval>,
}

/// Every pair of settings of one experiment, mode, batch and number of threads, with two common lengths or more.
pub(crate) fn crossovers(rows: &[ThroughputRow]) -> Vec<Crossover> {
    let mut found = Vec::new();
    let mut curves: Vec<Vec<&ThroughputRow>> = Vec::new();
    for row in rows.iter().filter(|row| row.sound_ns().is_some()) {
        match curves.iter_mut().find(|curve| curve[0].is_on_curve_of(row)) {
            Some(curve) => curve.push(row),
            None => curves.push(vec![row]),
        }
    }
    for (at, first) in curves.iter().enumerate() {
        for second in curves[at + 1..].iter().filter(|second| comparable(first[0], second[0])) {
            found.extend(crossover(first, second));
        }
    }
    // Modes one after another, in the order of the rows.
    let place = |mode: &str| rows.iter().position(|row| row.mode == mode);
    found.sort_by_key(|own| place(&own.mode));
    found
}

fn comparable(a: &ThroughputRow, b: &ThroughputRow) -> bool {
    a.setting.experiment == b.setting.experiment && a.is_measured_as(b)
}

fn crossover(first: &[&ThroughputRow], second: &[&ThroughputRow]) -> Option<Crossover> {
    let mut pairs: Vec<(&ThroughputRow, &ThroughputRow)> = first
        .iter()
        .filter_map(|own| Some((*own, *second.iter().find(|other| other.length == own.length)?)))
        .collect();
    pairs.sort_by_key(|(own, _)| own.length);
    let ratios: Vec<Ratio> = pairs.iter().filter_map(|(own, other)| ratio(own, other)).collect();
    let (shortest, longest) = (ratios.first()?, ratios.last().filter(|_| ratios.len() > 1)?);
    let values: Vec<f64> = ratios.iter().map(|own| own.value).collect();
    let changes = |values: &[f64]| -> Vec<usize> {
        (1..values.len()).filter(|at| (values[at - 1] < 0.0) != (values[*at] < 0.0)).collect()
    };
    let crossings = changes(&values);
    // The ends of the interval are where the lower and the upper bounds of the ratio cross last.
    let last = |values: &[f64]| {
        let at = *changes(values).last()?;
        let (before, after) = (values[at - 1], values[at]);
        let (from, to) = (ratios[at - 1].log_length, ratios[at].log_length);
        Some(10f64.powf(from + (to - from) * before / (before - after)))
    };
    let bound = |of: fn(&Interval) -> f64| -> Option<Vec<f64>> {
        ratios.iter().map(|own| own.interval.as_ref().map(of)).collect()
    };
    // Medians that cross and cross back differ by noise.
    let (below, above) = (shortest.first_is_faster(), longest.first_is_faster());
    let length = last(&values).filter(|_| below.zip(above).is_some_and(|(below, above)| below != above));
    let ends = [bound(|own| own.low), bound(|own| own.high)]
        .map(|values| values.and_then(|values| last(&values)).filter(|_| length.is_some()));
    // A ratio that rises meets 1 with its upper bound first, one that falls with its lower.
    let rises = longest.value > 0.0;
    let (low, high) = if rises { (ends[1], ends[0]) } else { (ends[0], ends[1]) };
    let (own, other) = pairs[0];
    Some(Crossover {
        first: own.setting.clone(),
        second: other.setting.clone(),
        mode: own.mode.clone(),
        batch: own.batch,
        threads: own.threads,
        from_length: own.length,
        to_length: pairs.last()?.0.length,
        first_is_faster_below: below,
        first_is_faster_above: above,
        crossings: crossings.len(),
        length,
        low,
        high,
    })
}

impl Ratio {
    /// None where it could be 1; by the medians alone where too few rounds have no interval.
    fn first_is_faster(&self) -> Option<bool> {
        let could_be_one = self.interval.is_some_and(|ends| ends.low <= 0.0 && ends.high >= 0.0);
        (!could_be_one).then_some(self.value < 0.0)
    }
}

fn ratio(own: &ThroughputRow, other: &ThroughputRow) -> Option<Ratio> {
    let value = own.median_ns?.log10() - other.median_ns?.log10();
    let ends = |row: &ThroughputRow| {
        let ns: Vec<f64> = row.ns.iter().map(|ns| *ns as f64).collect();
        median_interval(&ns, LEVEL)
    };
    let interval = ends(own).zip(ends(other)).map(|(own, other)| Interval {
        low: own.low.log10() - other.high.log10(),
        high: own.high.log10() - other.low.log10(),
    });
    Some(Ratio { log_length: (own.length as f64).log10(), value, interval })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::median;

    fn rows(model: &str, time: impl Fn(f64) -> f64) -> Vec<ThroughputRow> {
        let setting = Setting {
            experiment: "quick".into(),
            architecture: model.into(),
            model: model.into(),
            ..Setting::default()
        };
        let row = |length: u64| {
            // Nine rounds, the second and the eighth a tenth off.
            let spread = [0.8, 0.9, 1.0, 1.0, 1.0, 1.0, 1.0, 1.1, 1.2];
            let ns: Vec<u64> =
                spread.iter().map(|own| (1e6 * own * time(length as f64)).round() as u64).collect();
            let times: Vec<f64> = ns.iter().map(|ns| *ns as f64).collect();
            ThroughputRow {
                setting: setting.clone(),
                mode: "train".into(),
                length,
                batch: 8,
                threads: 1,
                rounds: ns.len(),
                median_ns: median(&times),
                ns,
                ..ThroughputRow::default()
            }
        };
        [16, 64, 256, 1024].map(row).into()
    }

    #[test]
    fn powers_of_length_cross_where_algebra_says() {
        // L and L²/100 meet at 100, whichever comes first; times a tenth off move that by 0.9/1.1 and 1.1/0.9.
        let (linear, quadratic) = (rows("linear", |l| l), rows("quadratic", |l| l * l / 100.0));
        for (first, second) in [(&linear, &quadratic), (&quadratic, &linear)] {
            let both: Vec<ThroughputRow> = first.iter().chain(second).cloned().collect();
            let [found] = &crossovers(&both)[..] else { panic!("one pair") };
            assert_eq!(found.crossings, 1);
            assert!((found.length.unwrap() / 100.0 - 1.0).abs() < 1e-4, "{found:?}");
            assert!((found.low.unwrap() / (100.0 * 0.9 / 1.1) - 1.0).abs() < 1e-4, "{found:?}");
            assert!((found.high.unwrap() / (100.0 * 1.1 / 0.9) - 1.0).abs() < 1e-4, "{found:?}");
            let linear_first = found.first.model == "linear";
            assert_eq!(found.first_is_faster_above, Some(linear_first));
            assert_eq!(found.first_is_faster_below, Some(!linear_first));
            assert_eq!((found.from_length, found.to_length), (16, 1024));
        }
    }

    #[test]
    fn what_never_crosses_says_who_is_faster_and_other_modes_are_not_compared() {
        let (slow, fast) = (rows("slow", |l| 2.0 * l), rows("fast", |l| l));
        let both: Vec<ThroughputRow> = slow.iter().chain(&fast).cloned().collect();
        let [found] = &crossovers(&both)[..] else { panic!("one pair") };
        assert_eq!((found.crossings, found.length, found.low, found.high), (0, None, None, None));
        assert_eq!([found.first_is_faster_below, found.first_is_faster_above], [Some(false), Some(false)]);
        // Noise: across and back.
        let back = rows("back", |l| {
            if l < 100.0 {
                1.1 * l
            } else if l < 300.0 {
                0.9 * l
            } else {
                1.1 * l
            }
        });
        let found = crossovers(&[back, fast.clone()].concat()).remove(0);
        assert_eq!((found.crossings, found.length), (2, None));
        let mut other = fast.clone();
        other.iter_mut().for_each(|row| row.mode = "forward".into());
        assert!(crossovers(&[slow, other].concat()).is_empty());
    }

    #[test]
    fn too_few_rounds_leave_the_interval_out() {
        let mut both = [rows("a", |l| l), rows("b", |l| l * l / 100.0)].concat();
        both.iter_mut().for_each(|row| row.ns.truncate(5));
        let found = crossovers(&both).remove(0);
        assert!(found.length.is_some() && found.low.is_none() && found.high.is_none(), "{found:?}");
    }
}
