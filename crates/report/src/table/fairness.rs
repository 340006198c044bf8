//! In what the models of a table are equal, and in what they are not: one line below it.

use super::{digest::distinct, number};
use crate::statistics::median;
use crate::summary::{AccuracyGroup, RunCost, Setting, ThroughputRow};

/// Largest value over smallest up to which models count as equal.
const EQUAL: f64 = 1.05;

/// Most models that are named one by one.
const NAMED: usize = 6;

/// What models have between a least and a most of.
struct Range {
    what: String,
    /// None where they are equal, of something that is another number elsewhere.
    ends: Option<(f64, f64)>,
    text: fn(f64) -> String,
}

/// The line of a timed table; none where nothing is known of two models or more.
pub(crate) fn fairness(rows: &[ThroughputRow]) -> Option<String> {
    let parameters = compared(rows.iter(), |row| row.parameters);
    let states: Vec<&ThroughputRow> = rows.iter().filter(|row| row.state_bytes.is_some()).collect();
    let operations: Vec<&ThroughputRow> = rows.iter().filter(|row| row.operations.is_some()).collect();
    let ranges = [
        parameters.map(|ends| Range { what: "parameters".into(), ends: Some(ends), text: number::count }),
        at_longest(&states, |row| row.state_bytes).map(|(row, ends)| {
            let what = format!("state of a sequence at length {}", row.length);
            Range { what, ends: Some(ends), text: number::bytes }
        }),
        at_longest(&operations, |row| row.operations).map(|(row, ends)| {
            let what = format!("operations ({} at length {}, batch {})", row.mode, row.length, row.batch);
            Range { what, ends: Some(ends), text: number::count }
        }),
    ];
    sentences(ranges.into_iter().flatten())
}

/// The line of a table of accuracy. What a training step computes is no fact of its cells; how many there are, and of how many
/// sequences, is.
pub(super) fn of_accuracy(rows: &[AccuracyGroup]) -> Option<String> {
    let trials = |row: &AccuracyGroup| row.selected.map(|rule| rule.candidates as f64 * rule.trials as f64);
    let ranges = [
        farthest(rows, "parameters", |row| row.parameters, number::count),
        farthest(rows, "state at the trained length", |row| row.state_bytes, number::bytes),
        farthest(rows, "optimizer steps", |row| row.steps, number::count),
        farthest(rows, "sequences a step", |row| row.batch, number::count),
        farthest(rows, "trials of the learning rate", trials, number::count),
    ];
    sentences(ranges.into_iter().flatten())
}

/// The line of what training took, in CPU time: medians over the runs of each model at the tasks and coordinates that all have.
/// None below two models.
pub(super) fn of_training(costs: &[RunCost]) -> Option<String> {
    let models = distinct(costs.iter().map(|cost| cost.setting.model.as_str()));
    let timed = || costs.iter().filter(|cost| cost.training.n > 0);
    let is_common = |cost: &&RunCost| {
        let others = timed().filter(|other| point(&other.setting) == point(&cost.setting));
        distinct(others.map(|other| other.setting.model.as_str())).len() == models.len()
    };
    let common: Vec<&RunCost> = timed().filter(is_common).collect();
    let of = |model: &str| {
        let own = common.iter().filter(|cost| cost.setting.model == model);
        let seconds: Vec<f64> = own.flat_map(|cost| &cost.training.values).map(|seed| seed.value).collect();
        median(&seconds)
    };
    let mark = if common.iter().any(|cost| cost.training_estimated) { "~ " } else { "" };
    let mut known: Vec<(&str, f64)> = models.iter().filter_map(|model| Some((*model, of(model)?))).collect();
    let (low, high) = ends(known.iter().map(|(_, seconds)| *seconds))?;
    let named = |(model, seconds): &(&str, f64)| format!("{model} {mark}{}", number::duration(1e9 * seconds));
    let list = if known.len() <= NAMED {
        known.iter().map(named).collect::<Vec<_>>().join(", ")
    } else {
        known.sort_by(|a, b| a.1.total_cmp(&b.1));
        format!("{} to {}", named(known.first()?), named(known.last()?))
    };
    let are = if is_equal(low, high) { "are equal within 5 %" } else { "differ" };
    Some(format!("Models {are} in CPU time of training, median over runs: {list}."))
}

fn is_equal(low: f64, high: f64) -> bool {
    high <= EQUAL * low
}

fn sentences(ranges: impl Iterator<Item = Range>) -> Option<String> {
    let (mut equal, mut apart) = (Vec::new(), Vec::new());
    for Range { what, ends, text } in ranges {
        let Some((low, high)) = ends else {
            equal.push(what);
            continue;
        };
        let (from, to) = (text(low), text(high));
        let range = if from == to { from } else { format!("{from} to {to}") };
        let list = if is_equal(low, high) { &mut equal } else { &mut apart };
        list.push(format!("{what}: {range}"));
    }
    let differ = if equal.is_empty() { "Models differ in" } else { "They differ in" };
    let sentences: Vec<String> = [("Models are equal within 5 % in", equal), (differ, apart)]
        .into_iter()
        .filter(|(_, words)| !words.is_empty())
        .map(|(start, words)| format!("{start} {}.", words.join("; ")))
        .collect();
    (!sentences.is_empty()).then(|| sentences.join(" "))
}

/// What two rows share that differ in their models alone.
fn point(setting: &Setting) -> (&str, &str, String) {
    (&setting.experiment, &setting.task, setting.coordinates_text())
}

/// Least and largest; none below two values.
fn ends(values: impl Iterator<Item = f64> + Clone) -> Option<(f64, f64)> {
    let ends = (values.clone().fold(f64::INFINITY, f64::min), values.clone().fold(0.0, f64::max));
    (values.count() > 1).then_some(ends)
}

/// The range over models where they are farthest apart: what differs at one task and coordinate only is not equal. Where it is not
/// the range of all, its place is named.
fn farthest(
    rows: &[AccuracyGroup],
    what: &str,
    value: impl Fn(&AccuracyGroup) -> Option<f64>,
    text: fn(f64) -> String,
) -> Option<Range> {
    let ranges: Vec<(&Setting, (f64, f64))> = distinct(rows.iter().map(|row| point(&row.setting)))
        .into_iter()
        .filter_map(|place| {
            let own = rows.iter().filter(|row| point(&row.setting) == place);
            let values: Vec<f64> = own.clone().filter_map(&value).collect();
            Some((&own.clone().next()?.setting, ends(values.into_iter())?))
        })
        .collect();
    let ratio = |(low, high): (f64, f64)| if high > low { high / low } else { 1.0 };
    let (setting, ends) =
        ranges.iter().copied().reduce(|a, b| if ratio(b.1) > ratio(a.1) { b } else { a })?;
    let tasks = distinct(ranges.iter().map(|(own, _)| own.task.as_str())).len();
    let words = [if tasks > 1 { setting.task.clone() } else { String::new() }, setting.coordinates_text()];
    let place = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if ranges.iter().all(|(_, other)| *other == ends) {
        return Some(Range { what: what.into(), ends: Some(ends), text });
    }
    if is_equal(ends.0, ends.1) {
        return Some(Range { what: format!("{what} of each task and coordinate"), ends: None, text });
    }
    let what = if place.is_empty() { what.into() } else { format!("{what} ({place})") };
    Some(Range { what, ends: Some(ends), text })
}

/// Least and largest value over models; none below two.
fn compared<'a>(
    rows: impl Iterator<Item = &'a ThroughputRow>,
    value: fn(&ThroughputRow) -> Option<f64>,
) -> Option<(f64, f64)> {
    let mut models: Vec<(&Setting, f64)> = Vec::new();
    for row in rows {
        let Some(value) = value(row) else { continue };
        match models.iter_mut().find(|(known, _)| **known == row.setting) {
            Some((_, largest)) => *largest = largest.max(value),
            None => models.push((&row.setting, value)),
        }
    }
    ends(models.iter().map(|(_, value)| *value))
}

/// The same of the mode, batch and threads of the first row that two models share, at their longest common length.
fn at_longest<'a>(
    rows: &[&'a ThroughputRow],
    value: fn(&ThroughputRow) -> Option<f64>,
) -> Option<(&'a ThroughputRow, (f64, f64))> {
    let most = |row: &ThroughputRow| {
        rows.iter().filter(|other| other.is_measured_as(row) && other.length == row.length).count()
    };
    let common = rows.iter().map(|row| most(row)).max().filter(|most| *most > 1)?;
    let first = rows.iter().find(|row| most(row) == common)?;
    let alike = rows.iter().filter(|row| row.is_measured_as(first) && most(row) == common);
    let longest = alike.clone().max_by_key(|row| row.length)?;
    let own = alike.copied().filter(|row| row.length == longest.length);
    Some((longest, compared(own, value)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(model: &str, mode: &str, length: u64, state: f64, operations: f64) -> ThroughputRow {
        ThroughputRow {
            setting: Setting { model: model.into(), ..Setting::default() },
            mode: mode.into(),
            length,
            batch: 8,
            threads: 1,
            parameters: Some(if model == "rnn" { 98_000.0 } else { 101_000.0 }),
            state_bytes: (mode == "decode").then_some(state),
            operations: Some(operations),
            ..ThroughputRow::default()
        }
    }

    #[test]
    fn what_is_equal_is_told_from_what_is_not_at_the_longest_common_length() {
        let rows = [
            row("rnn", "train", 64, 0.0, 1e9),
            row("rnn", "train", 128, 0.0, 2e9),
            row("rnn", "decode", 128, 512.0, 1.0),
            row("transformer", "train", 64, 0.0, 1.5e9),
            row("transformer", "decode", 128, 2048.0, 1.0),
        ];
        assert_eq!(
            fairness(&rows).unwrap(),
            "Models are equal within 5 % in parameters: 98.0 k to 101 k. They differ in state of a sequence at length 128: \
             512 B to 2.05 kB; operations (train at length 64, batch 8): 1.00 G to 1.50 G."
        );
        assert_eq!(fairness(&rows[..3]), None, "one model is equal to nobody");
    }
}
