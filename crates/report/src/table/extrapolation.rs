//! The extrapolation table: lengths beyond any trained, beside the longest trained one.

use super::{
    Align, Table, Value,
    accuracy::{spelled_range, value_text},
    build::{self, Show, column, distinct, estimate, integer, number_cell, number_value, success, word},
    training,
};
use crate::{
    statistics::LEVEL,
    summary::{AccuracyGroup, EXTRAPOLATES, Extrapolation, Setting, Summary},
};
use std::collections::BTreeSet;

/// Scores at unseen lengths of every setting that has some.
pub fn extrapolation_table(summary: &Summary) -> Table {
    let rows = &summary.extrapolations;
    let settings: Vec<&Setting> = rows.iter().map(|row| &row.setting).collect();
    let all_accuracy = rows.iter().all(|row| row.metric == "accuracy");
    let mut columns = build::setting_columns(&settings, |row: &Extrapolation| &row.setting);
    columns.extend([
        column(
            "metric",
            Align::Left,
            if all_accuracy { Show::Never } else { Show::Always },
            &["metric"],
            |row: &Extrapolation| word(&row.metric),
        ),
        column("n", Align::Right, Show::Common, &["n"], |row: &Extrapolation| integer(row.value.n as u64)),
        column("trained to", Align::Right, Show::Varied, &["trained_length"], |row: &Extrapolation| {
            integer(row.trained)
        }),
        column(
            "at trained length",
            Align::Right,
            Show::Always,
            &["at_trained", "at_trained_low", "at_trained_high"],
            |row: &Extrapolation| estimate(&row.at_trained, |x| value_text(&row.metric, x)),
        ),
        column("unseen lengths", Align::Left, Show::Varied, &["lengths", "length_min", "length_max"], unseen),
        column(
            "at unseen lengths",
            Align::Right,
            Show::Always,
            &["extrapolation", "extrapolation_low", "extrapolation_high"],
            |row: &Extrapolation| estimate(&row.value, |x| value_text(&row.metric, x)),
        ),
        column(
            "scaled",
            Align::Right,
            if build::mixed_chance(rows, |row| (&row.setting.task, row.chance)) {
                Show::Filled
            } else {
                Show::Never
            },
            &["scaled", "scaled_low", "scaled_high"],
            |row: &Extrapolation| estimate(&row.scaled, |x| value_text(&row.metric, x)),
        ),
        column(
            "extrapolates",
            Align::Right,
            Show::Filled,
            &["extrapolates", "extrapolates_of", "extrapolates_low", "extrapolates_high"],
            |row: &Extrapolation| success(row.extrapolates),
        ),
        column("longest", Align::Right, Show::Filled, &["longest", "longest_censored"], longest),
        column("chance", Align::Right, Show::Varied, &["chance"], |row: &Extrapolation| {
            number_cell(row.chance, |x| value_text(&row.metric, x))
        }),
    ]);
    let title = format!("Extrapolation to unseen lengths{}", build::on_task(&settings));
    build::table("extrapolation", title, notes(summary), rows, columns)
}

fn notes(summary: &Summary) -> Vec<String> {
    let rows = &summary.extrapolations;
    let percent = 100.0 * LEVEL;
    let lengths: BTreeSet<String> = rows
        .iter()
        .filter_map(|row| {
            Some(format!("{} after training up to {}", spelled_range(&row.lengths)?, row.trained))
        })
        .collect();
    let lengths = lengths.into_iter().collect::<Vec<_>>().join("; ");
    let mut notes = vec![
        format!(
            "At unseen lengths: each seed's mean over the lengths evaluated beyond the longest trained, each length \
             weighing the same, then the mean over n seeds ± half its {percent} % t interval. Lengths: {lengths}."
        ),
        format!(
            "Extrapolates: seeds of at least {EXTRAPOLATES:.2} over the unseen lengths, with the {percent} % Wilson \
             interval of their share; a diverged run does not."
        ),
        format!(
            "Longest: the longest length evaluated at which the mean over seeds is at least {EXTRAPOLATES:.2}, as at \
             every shorter one from the longest trained on; ≥ where none longer was evaluated, < where it is not even \
             there."
        ),
    ];
    let chances = distinct(rows.iter().filter_map(|row| row.chance));
    if let Some(chance) = chances.filter(|_| rows.iter().all(|row| row.chance == rows[0].chance)) {
        notes.push(format!("Chance: {chance}."));
    }
    let own = |group: &&AccuracyGroup| !group.beyond.is_empty();
    notes.extend(training::budget(summary.accuracy.iter().filter(own)));
    notes.extend(build::provenance_note(&summary.provenances, false));
    notes
}

fn unseen(row: &Extrapolation) -> super::Cell {
    let end = |length: Option<&u64>| length.map_or(Value::Missing, |length| Value::Integer(*length));
    super::Cell {
        text: spelled_range(&row.lengths).unwrap_or("–".into()),
        values: vec![
            Value::Integer(row.lengths.len() as u64),
            end(row.lengths.first()),
            end(row.lengths.last()),
        ],
    }
}

fn longest(row: &Extrapolation) -> super::Cell {
    let Some(longest) = row.longest else {
        return super::Cell { text: "–".into(), values: vec![Value::Missing; 2] };
    };
    let text = match (longest.value, longest.censored) {
        (Some(value), true) => format!("≥ {}", Value::Number(value).plain()),
        (Some(value), false) => Value::Number(value).plain(),
        (None, _) => format!("< {}", row.trained),
    };
    super::Cell { text, values: vec![number_value(longest.value), Value::Flag(longest.censored)] }
}
