//! The accuracy table: one row a setting, with its seeds, interval, solved runs and chance.

use super::{
    Align, Cell, Table, Value,
    build::{self, Show, column, distinct, estimate, integer, number_cell, success, word},
    fairness, number, training,
};
use crate::{
    statistics::LEVEL,
    summary::{AccuracyGroup, Setting, Summary, higher_is_better, metric_name},
};
use seqbench_record::Reference;
use std::collections::BTreeSet;

/// Accuracy of every setting.
pub fn accuracy_table(summary: &Summary) -> Table {
    let rows = &summary.accuracy;
    let settings: Vec<&Setting> = rows.iter().map(|row| &row.setting).collect();
    let all_accuracy = rows.iter().all(|row| row.metric == "accuracy");
    let heading = if all_accuracy { "accuracy" } else { "value" };
    let title = if all_accuracy { "Accuracy" } else { "Score" };

    // With one scored position a sequence, the two are the same number.
    let exact_differs = rows.iter().any(|row| row.exact_match.n > 0 && row.exact_match != row.value);

    let mixed = mixed_chance(rows);
    let clips = sweeps_clipping(rows);

    let mut columns = build::setting_columns(&settings, |row: &AccuracyGroup| &row.setting);
    columns.extend([
        column(
            "metric",
            Align::Left,
            if all_accuracy { Show::Never } else { Show::Always },
            &["metric"],
            |row: &AccuracyGroup| word(&row.metric),
        ),
        column("length", Align::Right, Show::Never, &["evaluated_length"], |row: &AccuracyGroup| {
            whole(row.length)
        }),
        column("n", Align::Right, Show::Common, &["n"], |row: &AccuracyGroup| integer(row.value.n as u64)),
        column(
            heading,
            Align::Right,
            Show::Always,
            &["mean", "mean_low", "mean_high"],
            |row: &AccuracyGroup| estimate(&row.value, |x| value_text(&row.metric, x)),
        ),
        column(
            "extrapolation",
            Align::Right,
            Show::Filled,
            &["extrapolation", "extrapolation_low", "extrapolation_high", "extrapolation_lengths"],
            |row: &AccuracyGroup| extrapolation(row),
        )
        .secondary(),
        column(
            "solved",
            Align::Right,
            Show::Filled,
            &["solved", "solved_of", "solved_low", "solved_high"],
            |row: &AccuracyGroup| success(row.solved),
        ),
        column("threshold", Align::Right, Show::Never, &["solved_threshold"], |row: &AccuracyGroup| {
            number_cell(row.threshold, number::short)
        }),
        column(
            "exact match",
            Align::Right,
            if exact_differs { Show::Filled } else { Show::Never },
            &["exact_match", "exact_match_low", "exact_match_high"],
            |row: &AccuracyGroup| {
                let text = row.exact_match.mean.map_or("–".into(), number::accuracy);
                Cell { text, ..estimate(&row.exact_match, number::accuracy) }
            },
        )
        .secondary(),
        column("chance", Align::Right, Show::Varied, &["chance"], |row: &AccuracyGroup| {
            number_cell(row.chance(), |x| value_text(&row.metric, x))
        }),
        column("trivial", Align::Right, Show::Filled, &["trivial", "trivial_name"], |row: &AccuracyGroup| {
            reference(row, row.trivial())
        })
        .secondary(),
        column(
            "scaled",
            Align::Right,
            if mixed { Show::Filled } else { Show::Never },
            &["scaled", "scaled_low", "scaled_high"],
            |row: &AccuracyGroup| estimate(&row.scaled, number::accuracy),
        )
        .secondary(),
        column(
            "steps to solve",
            Align::Right,
            Show::Filled,
            &["steps_to_solve_median", "steps_to_solve_known"],
            steps_to_solve,
        )
        .secondary(),
        column(
            "clipped",
            Align::Right,
            if clips { Show::Filled } else { Show::Never },
            &["clipped_share", "clipped_share_low", "clipped_share_high"],
            |row: &AccuracyGroup| {
                let text = row.clipped.mean.map_or("–".into(), |share| format!("{:.0} %", 100.0 * share));
                Cell { text, ..estimate(&row.clipped, number::short) }
            },
        ),
        column("budget", Align::Right, Show::Never, &["steps"], |row: &AccuracyGroup| {
            number_cell(row.steps, number::count)
        }),
        column("params", Align::Right, Show::Filled, &["parameters"], |row: &AccuracyGroup| {
            build::counted(row.parameters)
        })
        .secondary(),
        column("not done", Align::Left, Show::Filled, &["diverged", "failed", "skipped"], not_done),
        column("why", Align::Left, Show::Never, &["reasons"], |row: &AccuracyGroup| {
            word(&row.reasons.join("; "))
        }),
    ]);
    build::table("accuracy", format!("{title}{}", build::on_task(&settings)), notes(summary), rows, columns)
}

/// Whether clipping is what a row differs from another in.
fn sweeps_clipping(rows: &[AccuracyGroup]) -> bool {
    rows.iter().flat_map(|row| &row.setting.coordinates).any(|own| own.key == "train.clip")
}

fn notes(summary: &Summary) -> Vec<String> {
    let rows = &summary.accuracy;
    let percent = 100.0 * LEVEL;
    let mut notes = vec![format!(
        "n seeds, on the test stream; ± half the {percent} % t interval of their mean, absent for one seed; \
         in parentheses the {percent} % Wilson interval of the share solved."
    )];
    // One chance for all rows has no column.
    if let Some(first) = rows.first()
        && let Some(chance) = first.chance()
        && rows.iter().all(|row| row.chance() == Some(chance))
    {
        notes.push(format!("Chance: {}.", value_text(&first.metric, chance)));
    }
    if sweeps_clipping(rows) {
        notes.push(
            "Clipped: share of optimizer steps whose gradient clipping changed, mean over seeds.".into(),
        );
    }
    notes.extend(reference_notes(rows.iter()));
    if mixed_chance(rows) {
        notes.push(
            "Scaled: (accuracy − chance)/(1 − chance), so that tasks of different chance compare.".into(),
        );
    }
    if let Some(thresholds) = distinct(rows.iter().filter_map(|row| row.threshold)) {
        notes.push(format!(
            "Solved: accuracy ≥ {thresholds}; steps to solve is a Kaplan–Meier median, ≥ where more than half did not."
        ));
    }
    let beyond: BTreeSet<String> = rows.iter().filter_map(|row| spelled_range(&row.beyond)).collect();
    if !beyond.is_empty() {
        let list = beyond.into_iter().collect::<Vec<_>>().join("; ");
        notes.push(format!("Extrapolation: mean over lengths beyond the one trained for, {list}."));
    }
    notes.push(
        "A diverged run counts as unsolved and has no value in the mean; failed and skipped cells count nowhere."
            .into(),
    );
    notes.extend(training::selection(rows.iter()));
    notes.extend(training::budget(rows.iter()));
    notes.extend(fairness::of_accuracy(rows));
    notes.extend(summary.warnings.iter().map(|warning| format!("Beware: {warning}.")));
    notes.extend(build::provenance_note(&summary.provenances, false));
    notes
}

fn extrapolation(row: &AccuracyGroup) -> Cell {
    let mut cell = estimate(&row.extrapolation, |x| value_text(&row.metric, x));
    let count = row.beyond.len() as u64;
    cell.values.push(if count == 0 { Value::Missing } else { Value::Integer(count) });
    cell
}

/// `4 lengths from 9 to 12`; none for none.
pub(super) fn spelled_range(lengths: &[u64]) -> Option<String> {
    match lengths {
        [] => None,
        [one] => Some(format!("length {one}")),
        [first, .., last] => Some(format!("{} lengths from {first} to {last}", lengths.len())),
    }
}

pub(super) fn value_text(metric: &str, x: f64) -> String {
    if higher_is_better(metric) { number::accuracy(x) } else { number::short(x) }
}

fn reference(row: &AccuracyGroup, reference: Option<&Reference>) -> Cell {
    match reference {
        Some(reference) => Cell {
            text: value_text(&row.metric, reference.value),
            values: vec![Value::Number(reference.value), Value::Text(reference.name.clone())],
        },
        None => Cell { text: "–".into(), values: vec![Value::Missing; 2] },
    }
}

/// What the losses of each task compare with, such as `On text: unigram 4.12, entropy 2.30 bits per byte.`
pub(super) fn reference_notes<'a>(rows: impl Iterator<Item = &'a AccuracyGroup>) -> BTreeSet<String> {
    let losses = rows.filter(|row| !higher_is_better(&row.metric));
    let note = |row: &AccuracyGroup| {
        let own = row.references.iter().filter(|reference| reference.metric == row.metric);
        let words: Vec<_> =
            own.map(|own| format!("{} {}", own.name, value_text(&row.metric, own.value))).collect();
        let place = row.setting.coordinates_text();
        let place = if place.is_empty() { String::new() } else { format!(" at {place}") };
        let (task, metric) = (&row.setting.task, metric_name(&row.metric));
        (!words.is_empty())
            .then(|| format!("On {task}{place}: {} ({metric}, lower is better).", words.join(", ")))
    };
    losses.filter_map(note).collect()
}

fn mixed_chance(rows: &[AccuracyGroup]) -> bool {
    build::mixed_chance(rows, |row| (&row.setting.task, row.chance()))
}

fn steps_to_solve(row: &AccuracyGroup) -> Cell {
    let Some(steps) = row.steps_to_solve else {
        return Cell { text: "–".into(), values: vec![Value::Missing; 2] };
    };
    let text = match (steps.median, steps.at_least) {
        (Some(median), _) => number::count(median),
        (None, Some(bound)) if bound.is_infinite() => "never".into(),
        (None, Some(bound)) => format!("≥ {}", number::count(bound)),
        (None, None) => "–".into(),
    };
    Cell { text, values: vec![build::number_value(steps.median), Value::Integer(steps.solved as u64)] }
}

pub(super) fn not_done(row: &AccuracyGroup) -> Cell {
    let counts =
        [(row.counts.diverged, "diverged"), (row.counts.failed, "failed"), (row.counts.skipped, "skipped")];
    let words: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    let text = if words.is_empty() { "–".into() } else { words.join(", ") };
    // Nothing but zeros leaves the column out of sight.
    let value = |count: usize| if words.is_empty() { Value::Missing } else { Value::Integer(count as u64) };
    Cell { text, values: counts.iter().map(|(count, _)| value(*count)).collect() }
}

fn whole(x: Option<u64>) -> Cell {
    x.map_or(word(""), integer)
}
