//! The study table: one row a task, one column a model, each entry the one number that tells most.

use super::{
    Align, Cell, Column, Table, Value,
    accuracy::{spelled_range, value_text},
    build::{distinct, number_value, provenance_note},
    reach::reach_cell,
    training,
};
use crate::{
    statistics::{Estimate, LEVEL},
    summary::{EXTRAPOLATES, Measure, StudyEntry, StudyRow, Summary, metric_name, spelled},
};
use std::collections::BTreeSet;

/// Fields of a model's column, each behind the model's name.
const FIELDS: [&str; 16] = [
    "reach_80",
    "reach_80_censored",
    "reach_any",
    "reach_all",
    "mean",
    "mean_low",
    "mean_high",
    "n",
    "solved",
    "solved_of",
    "solved_low",
    "solved_high",
    "scaled",
    "scaled_low",
    "scaled_high",
    "steps",
];

/// All tasks against all models; without a row for a single task of a single experiment.
pub fn study_table(summary: &Summary) -> Table {
    let study = &summary.study;
    let twice = |row: &StudyRow| {
        study.rows.iter().any(|other| other.task == row.task && other.experiment != row.experiment)
    };
    let fixed = |name: &str, shown, fields: &[&str]| Column {
        name: name.into(),
        unit: None,
        align: Align::Left,
        shown,
        secondary: false,
        fields: fields.iter().map(|field| field.to_string()).collect(),
    };
    let mut columns = vec![
        fixed("experiment", study.rows.iter().any(twice), &["experiment"]),
        fixed("task", true, &["task", "setting"]),
        Column {
            secondary: true,
            ..fixed(
                "shown",
                true,
                &["shown", "metric", "over", "values", "lengths", "chance", "solved_threshold"],
            )
        },
    ];
    columns.extend(study.models.iter().map(|(_, model)| Column {
        name: model.clone(),
        unit: None,
        align: Align::Left,
        shown: true,
        secondary: false,
        fields: FIELDS.iter().map(|field| format!("{model}_{field}")).collect(),
    }));
    let rows = study.rows.iter().map(|row| {
        let mut cells = vec![text_cell(row.experiment.clone()), task_cell(row), shown_cell(row)];
        cells.extend(study.models.iter().map(|(_, model)| {
            row.entries.iter().find(|entry| entry.model == *model).map_or_else(
                || Cell { text: "–".into(), values: vec![Value::Missing; FIELDS.len()] },
                |entry| entry_cell(row, entry),
            )
        }));
        cells
    });
    Table {
        name: "study".into(),
        title: "Study: tasks against models".into(),
        notes: notes(summary),
        rows: rows.collect(),
        columns,
    }
}

/// What people read of an entry: the number itself, and its count of runs where it has one.
pub(crate) fn entry_words(row: &StudyRow, entry: &StudyEntry) -> (String, Option<String>) {
    let number = match &entry.reach {
        Some(reach) => reach_cell(reach, &reach.eighty).text,
        None if row.measure == Measure::Reach => "–".into(),
        None => mean_text(&row.metric, &entry.value),
    };
    (number, entry.success.filter(|own| own.n > 0).map(|own| format!("{}/{}", own.k, own.n)))
}

/// Two decimals, and a word of its own for either number, so that seven models stand side by side and no number breaks.
fn mean_text(metric: &str, value: &Estimate) -> String {
    let bounded = crate::summary::higher_is_better(metric) || metric == "bits_per_byte";
    let text = |x: f64| if bounded { format!("{x:.2}") } else { value_text(metric, x) };
    match (value.mean, value.half_width()) {
        (Some(mean), Some(half)) => format!("{} ±{}", text(mean), super::number::like(&text(mean), half)),
        (Some(mean), None) => text(mean),
        (None, _) => "–".into(),
    }
}

/// The task with what sets its row apart, such as `word-problem group=S3`.
pub(crate) fn task_words(row: &StudyRow) -> String {
    let mut words = vec![row.task.clone()];
    words.extend(setting_words(row));
    words.join(" ")
}

/// What is shown: `reach in lag (10, 30, 100)`, `extrapolation (20 lengths from 41 to 500)`, `accuracy`.
pub(crate) fn shown_words(row: &StudyRow) -> String {
    let metric = metric_name(&row.metric);
    let over = row.key.as_deref().map(last_word);
    let values: Vec<_> = row.values.iter().map(|value| Value::Number(*value).plain()).collect();
    match (row.measure, over) {
        (Measure::Reach, Some(over)) => format!("reach in {over} ({})", values.join(", ")),
        (Measure::Extrapolation, _) => {
            let lengths = spelled_range(&row.lengths).unwrap_or_default();
            let metric = if row.metric == "accuracy" { String::new() } else { format!("{metric}, ") };
            format!("extrapolation ({metric}{lengths})")
        }
        (_, Some(over)) => format!("{metric} at {over} {}", values.last().cloned().unwrap_or_default()),
        (_, None) => metric,
    }
}

fn setting_words(row: &StudyRow) -> Vec<String> {
    let word = |own: &seqbench_record::Coordinate| format!("{}={}", last_word(&own.key), spelled(&own.value));
    row.coordinates.iter().map(word).collect()
}

fn last_word(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

fn text_cell(text: String) -> Cell {
    Cell { values: vec![Value::Text(text.clone())], text }
}

fn task_cell(row: &StudyRow) -> Cell {
    let setting = setting_words(row).join(" ");
    let setting = if setting.is_empty() { Value::Missing } else { Value::Text(setting) };
    Cell { text: task_words(row), values: vec![Value::Text(row.task.clone()), setting] }
}

fn shown_cell(row: &StudyRow) -> Cell {
    let measure = match row.measure {
        Measure::Reach => "reach",
        Measure::Extrapolation => "extrapolation",
        Measure::Score => "score",
    };
    let list =
        |words: Vec<String>| if words.is_empty() { Value::Missing } else { Value::Text(words.join(" ")) };
    Cell {
        text: shown_words(row),
        values: vec![
            Value::Text(measure.into()),
            Value::Text(row.metric.clone()),
            row.key.clone().map_or(Value::Missing, Value::Text),
            list(row.values.iter().map(|value| Value::Number(*value).plain()).collect()),
            list(row.lengths.iter().map(u64::to_string).collect()),
            number_value(row.chance),
            number_value(row.threshold),
        ],
    }
}

fn entry_cell(row: &StudyRow, entry: &StudyEntry) -> Cell {
    let (number, count) = entry_words(row, entry);
    let text = count.map_or(number.clone(), |count| format!("{number} ({count})"));
    let reach = entry.reach.as_ref();
    let counted = |count: Option<usize>| count.map_or(Value::Missing, |count| Value::Integer(count as u64));
    let ends = |own: &Estimate| own.interval.map(|ends| (ends.low, ends.high)).unzip();
    let (low, high) = ends(&entry.value);
    let (scaled_low, scaled_high) = ends(&entry.scaled);
    let (share_low, share_high) =
        entry.success.and_then(|own| own.interval).map(|ends| (ends.low, ends.high)).unzip();
    let values = vec![
        number_value(reach.and_then(|own| own.eighty.value)),
        reach.map_or(Value::Missing, |own| Value::Flag(own.eighty.censored)),
        number_value(reach.and_then(|own| own.any.value)),
        number_value(reach.and_then(|own| own.all.value)),
        number_value(entry.value.mean),
        number_value(low),
        number_value(high),
        Value::Integer(entry.value.n as u64),
        counted(entry.success.map(|own| own.k)),
        counted(entry.success.map(|own| own.n)),
        number_value(share_low),
        number_value(share_high),
        number_value(entry.scaled.mean),
        number_value(scaled_low),
        number_value(scaled_high),
        number_value(entry.steps),
    ];
    Cell { text, values }
}

fn notes(summary: &Summary) -> Vec<String> {
    let rows = &summary.study.rows;
    let has = |measure: Measure| rows.iter().any(|row| row.measure == measure);
    let seeds = rows.iter().flat_map(|row| &row.entries).filter(|entry| entry.value.n > 0);
    let counts: BTreeSet<usize> = seeds.map(|entry| entry.value.n).collect();
    let seeds = match (counts.first(), counts.last()) {
        (Some(least), Some(most)) if least < most => format!("{least} to {most}"),
        (Some(only), _) => only.to_string(),
        _ => "no".into(),
    };
    let mut notes = vec![format!(
        "Test stream, {seeds} seeds; ± half the {} % t interval of their mean. A diverged run is unsolved and in no \
         mean.",
        100.0 * LEVEL
    )];
    let threshold = distinct(rows.iter().filter_map(|row| row.threshold));
    let solved = threshold.map(|own| format!("Solved: accuracy ≥ {own}. ")).unwrap_or_default();
    if has(Measure::Reach) {
        notes.push(format!(
            "{solved}Reach: the largest value that at least 80 % of the seeds solve within the budget, as they do every \
             smaller one; ≥: no larger one was measured; <: not even the smallest is solved. In parentheses the seeds \
             that solve the largest value."
        ));
    } else if !solved.is_empty() {
        notes.push(format!("{solved}In parentheses the seeds that solve the task."));
    }
    if has(Measure::Extrapolation) {
        notes.push(format!(
            "Extrapolation: mean over lengths beyond the longest trained; in parentheses the seeds of at least \
             {EXTRAPOLATES:.2}."
        ));
    }
    if rows.iter().any(|row| row.metric == "bits_per_byte" || row.metric == "mse") {
        notes.push("Bits per byte and mean squared errors: lower is better.".into());
    }
    notes.extend(training::budget(summary.accuracy.iter()));
    notes.extend(training::selection(summary.accuracy.iter()));
    notes.extend(provenance_note(&summary.provenances, false));
    notes
}
