//! The table of what solving a task takes: how many seeds do, after how many steps and how much computing.

use super::{
    Align, Cell, Table, Value,
    build::{self, Show, column, distinct, number_value, success},
    fairness, number,
};
use crate::{
    statistics::MedianTime,
    summary::{Setting, Summary, ToSolve},
};

/// A setting with a threshold and steps.
struct Row<'a> {
    setting: &'a Setting,
    own: &'a ToSolve,
}

/// Steps and CPU seconds until solved of every setting that has a threshold.
pub fn time_to_accuracy_table(summary: &Summary) -> Table {
    let rows: Vec<Row<'_>> = summary
        .run_costs
        .iter()
        .filter_map(|cost| Some(Row { setting: &cost.setting, own: cost.to_solve.as_ref()? }))
        .collect();
    let settings: Vec<&Setting> = rows.iter().map(|row| row.setting).collect();
    let mut columns = build::setting_columns(&settings, |row: &Row<'_>| row.setting);
    columns.extend([
        column(
            "solved",
            Align::Right,
            Show::Always,
            &["solved", "solved_of", "solved_low", "solved_high"],
            |row: &Row<'_>| success(Some(row.own.solved)),
        ),
        column("steps", Align::Right, Show::Always, &["steps_median", "steps_at_least"], |row: &Row<'_>| {
            median(row.own.steps, "", number::count)
        }),
        column(
            "CPU time",
            Align::Right,
            Show::Filled,
            &["cpu_seconds_median", "cpu_seconds_at_least"],
            |row: &Row<'_>| {
                let mark = if row.own.estimated { "~ " } else { "" };
                median(row.own.cpu_seconds, mark, |seconds| number::duration(1e9 * seconds))
            },
        ),
        column("estimated", Align::Left, Show::Never, &["cpu_seconds_estimated"], |row: &Row<'_>| Cell {
            text: "–".into(),
            values: vec![Value::Flag(row.own.estimated)],
        }),
        column("threshold", Align::Right, Show::Never, &["threshold"], |row: &Row<'_>| Cell {
            text: Value::Number(row.own.threshold).plain(),
            values: vec![Value::Number(row.own.threshold)],
        }),
    ]);
    let mut notes = Vec::new();
    if let Some(thresholds) = distinct(rows.iter().map(|row| row.own.threshold)) {
        notes.push(format!(
            "Solved: validation accuracy ≥ {thresholds} at a point of the learning curve, of all runs done or diverged."
        ));
    }
    notes.push(
        "Medians by Kaplan–Meier: the first time by which half of the runs had solved it. A run that stopped early unsolved \
         counts up to its end, one that spent its budget as longer than any, a diverged one as never solving it; ≥, never: more \
         than half had not. CPU time: wall-clock times threads."
            .into(),
    );
    notes.extend(fairness::of_training(&summary.run_costs));
    if rows.iter().any(|row| row.own.estimated) {
        notes.push(
            "~: the run's whole time by the share of its steps, which includes validation, probes and scoring.".into(),
        );
    }
    let title = format!("Steps and computing until solved{}", build::on_task(&settings));
    build::table("time-to-accuracy", title, notes, &rows, columns)
}

/// `~ 12.0 s`, `≥ 40.0 s`, `never`, with fields median and what it is no less than.
fn median(own: MedianTime, mark: &str, text: impl Fn(f64) -> String) -> Cell {
    let words = match (own.median, own.at_least) {
        (Some(median), _) => format!("{mark}{}", text(median)),
        (None, Some(bound)) if bound.is_infinite() => "never".into(),
        (None, Some(bound)) => format!("≥ {mark}{}", text(bound)),
        (None, None) => "–".into(),
    };
    Cell { text: words, values: [own.median, own.at_least].map(number_value).into() }
}
