//! In what the models of a timed table are equal, and in what they are not: one line below it.

use super::number;
use crate::summary::{Setting, ThroughputRow};

/// Largest value over smallest up to which models count as equal.
const EQUAL: f64 = 1.05;

/// The line; none where nothing is known of two models or more.
pub(crate) fn fairness(rows: &[ThroughputRow]) -> Option<String> {
    let parameters = compared(rows.iter(), |row| row.parameters);
    let states: Vec<&ThroughputRow> = rows.iter().filter(|row| row.state_bytes.is_some()).collect();
    let operations: Vec<&ThroughputRow> = rows.iter().filter(|row| row.operations.is_some()).collect();
    let parts = [
        parameters
            .map(|(low, high)| (low, high, "parameters".to_string(), number::count as fn(f64) -> String)),
        at_longest(&states, |row| row.state_bytes).map(|(row, (low, high))| {
            (low, high, format!("state of a sequence at length {}", row.length), number::bytes as _)
        }),
        at_longest(&operations, |row| row.operations).map(|(row, (low, high))| {
            let what = format!("operations ({} at length {}, batch {})", row.mode, row.length, row.batch);
            (low, high, what, number::count as _)
        }),
    ];
    let (mut equal, mut apart) = (Vec::new(), Vec::new());
    for (low, high, what, text) in parts.into_iter().flatten() {
        let (from, to) = (text(low), text(high));
        let range = if from == to { from } else { format!("{from} to {to}") };
        let list = if high <= EQUAL * low { &mut equal } else { &mut apart };
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
    let values = models.iter().map(|(_, value)| *value);
    let ends = (values.clone().fold(f64::INFINITY, f64::min), values.fold(0.0, f64::max));
    (models.len() > 1).then_some(ends)
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
