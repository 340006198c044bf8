//! The reach table: how far each model looks back, beside every count behind it.

use super::{
    Align, Cell, Table, Value,
    build::{self, Show, column, distinct, number_cell, word},
    number, training,
};
use crate::summary::{AccuracyGroup, Reach, Reaches, Setting, Summary};

/// Reach of every model.
pub fn reach_table(summary: &Summary) -> Table {
    let rows = &summary.reaches;
    let settings: Vec<&Setting> = rows.iter().map(|row| &row.setting).collect();
    let key = rows.first().filter(|first| rows.iter().all(|row| row.key == first.key));
    let key = key.map_or("value", |row| row.key.rsplit('.').next().unwrap_or_default());

    let mut columns = build::setting_columns(&settings, |row: &Reaches| &row.setting);
    columns.extend([
        column("over", Align::Left, Show::Varied, &["key"], |row: &Reaches| word(&row.key)),
        reach_column("any seed", ["reach_any", "reach_any_censored"], |row: &Reaches| &row.any),
        reach_column("≥ 80 % of seeds", ["reach_80", "reach_80_censored"], |row: &Reaches| &row.eighty),
        reach_column("all seeds", ["reach_all", "reach_all_censored"], |row: &Reaches| &row.all),
        column(
            &format!("solved at each {key}"),
            Align::Left,
            Show::Always,
            &["solved_at"],
            |row: &Reaches| word(&solved_at(row)),
        ),
        column("steps", Align::Right, Show::Filled, &["steps"], |row: &Reaches| {
            number_cell(row.steps, number::count)
        }),
    ]);
    let mut notes = vec![
        format!(
            "The largest {key} such that it and every smaller one measured is solved; ≥ where a larger one was \
             not measured, < where the smallest is not solved."
        ),
        "k/n runs solved at each value; a diverged run counts as unsolved; n seeds.".into(),
    ];
    if let Some(thresholds) = distinct(summary.accuracy.iter().filter_map(|row| row.threshold)) {
        notes.push(format!("Solved: accuracy ≥ {thresholds} on the test stream within the steps given."));
    }
    let swept = |group: &&AccuracyGroup| group.solved.is_some() && group.setting.sweep().is_some();
    notes.extend(training::budget(summary.accuracy.iter().filter(swept)));
    build::table("reach", format!("Reach in {key}{}", build::on_task(&settings)), notes, rows, columns)
}

fn reach_column<'a>(name: &str, fields: [&str; 2], of: fn(&Reaches) -> &Reach) -> build::Build<'a, Reaches> {
    column(name, Align::Right, Show::Always, &fields, move |row: &Reaches| reach_cell(row, of(row)))
}

/// `30`, `≥ 100`, `< 10`, with fields value and whether it is censored.
pub(super) fn reach_cell(row: &Reaches, reach: &Reach) -> Cell {
    let plain = |x: f64| Value::Number(x).plain();
    let text = match (reach.value, reach.censored) {
        (Some(value), true) => format!("≥ {}", plain(value)),
        (Some(value), false) => plain(value),
        (None, true) => "–".into(),
        (None, false) => row.points.first().map_or("–".into(), |point| format!("< {}", plain(point.value))),
    };
    Cell { text, values: vec![build::number_value(reach.value), Value::Flag(reach.censored)] }
}

/// `10: 3/3, 30: 1/3`.
fn solved_at(row: &Reaches) -> String {
    let words: Vec<_> = row
        .points
        .iter()
        .map(|point| format!("{}: {}/{}", Value::Number(point.value).plain(), point.solved.k, point.solved.n))
        .collect();
    words.join(", ")
}
