//! Accuracy with one row a model and one column a value of the sweep, and the reach beside it.

use super::distinct;
use crate::statistics::LEVEL;
use crate::summary::{AccuracyGroup, Reaches, Setting, Summary};
use crate::table::{
    Align, Cell, Table, Value,
    accuracy::{accuracy_table, reference_notes, value_text},
    build::{self, Build, Show, column, estimate},
    reach::{reach_cell, reach_table},
    text, training,
};

/// Most values of a sweep that become columns.
const MOST_COLUMNS: usize = 6;

/// One model at every value of the sweep.
struct Row<'a> {
    setting: Setting,
    /// By value of the sweep.
    groups: Vec<(f64, &'a AccuracyGroup)>,
    reach: Option<&'a Reaches>,
}

/// One table a task; the full table of all tasks that do not fit one.
pub(super) fn tables(summary: &Summary) -> Vec<Table> {
    let place = |setting: &Setting| (setting.experiment.clone(), setting.task.clone());
    let mut found = Vec::new();
    let mut rest = Summary { warnings: summary.warnings.clone(), ..Summary::default() };
    for own in distinct(summary.accuracy.iter().map(|group| place(&group.setting))) {
        let groups: Vec<_> = summary.accuracy.iter().filter(|group| place(&group.setting) == own).collect();
        let reaches: Vec<_> = summary.reaches.iter().filter(|reach| place(&reach.setting) == own).collect();
        let several = distinct(summary.accuracy.iter().map(|group| &group.setting.experiment)).len() > 1;
        match pivot(&groups, &reaches, several).filter(text::fits) {
            Some(table) => found.push(table),
            None => {
                rest.accuracy.extend(groups.into_iter().cloned());
                rest.reaches.extend(reaches.into_iter().cloned());
            }
        }
    }
    if rest.accuracy.is_empty() {
        let beware = summary.warnings.iter().map(|warning| format!("Beware: {warning}."));
        if let Some(first) = found.first_mut() {
            first.notes.extend(beware);
        }
    } else {
        found.push(accuracy_table(&rest));
        found.extend(Some(reach_table(&rest)).filter(|table| !table.rows.is_empty()));
    }
    found
}

/// None where nothing numeric is swept, too many values are, metrics differ, or two settings share a place.
fn pivot(groups: &[&AccuracyGroup], reaches: &[&Reaches], several_experiments: bool) -> Option<Table> {
    let first = groups.first()?;
    let (key, _) = first.setting.sweep()?;
    let metric = first.metric.as_str();
    let mut rows: Vec<Row<'_>> = Vec::new();
    for group in groups.iter().filter(|group| group.value.n > 0 || group.metric == metric) {
        let (_, value) = group.setting.sweep().filter(|(own, _)| *own == key && group.metric == metric)?;
        let setting = group.setting.without(key);
        let place = rows.iter().position(|row| row.setting == setting).unwrap_or_else(|| {
            let reach = reaches.iter().copied().find(|reach| reach.setting == setting && reach.key == key);
            rows.push(Row { setting, groups: Vec::new(), reach });
            rows.len() - 1
        });
        if rows[place].groups.iter().any(|(known, _)| *known == value) {
            return None;
        }
        rows[place].groups.push((value, group));
    }
    let mut values = distinct(rows.iter().flat_map(|row| row.groups.iter().map(|(value, _)| *value)));
    values.sort_by(f64::total_cmp);
    if values.len() > MOST_COLUMNS {
        return None;
    }

    let word = key.rsplit('.').next().unwrap_or(key);
    let settings: Vec<&Setting> = rows.iter().map(|row| &row.setting).collect();
    let mut columns = build::setting_columns(&settings, |row: &Row<'_>| &row.setting);
    columns.extend(values.iter().map(|value| value_column(word, *value, metric)));
    if rows.iter().any(|row| row.reach.is_some()) {
        columns.push(column(
            "reach (all seeds)",
            Align::Right,
            Show::Always,
            &["reach_all", "reach_all_censored"],
            |row: &Row<'_>| match row.reach {
                Some(reach) => reach_cell(reach, &reach.all),
                None => Cell { text: "–".into(), values: vec![Value::Missing; 2] },
            },
        ));
    }
    let mut title = format!("Test {}{} by {word}", metric.replace('_', " "), build::on_task(&settings));
    if several_experiments {
        title = format!("{title} in {}", first.setting.experiment);
    }
    Some(build::table("accuracy", title, notes(groups, &rows, word), &rows, columns))
}

fn value_column<'a>(word: &str, value: f64, metric: &'a str) -> Build<'a, Row<'a>> {
    let plain = Value::Number(value).plain();
    let fields =
        ["n", "mean", "mean_low", "mean_high", "solved", "solved_of"].map(|f| format!("{f}_{plain}"));
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    column(&format!("{word} {plain}"), Align::Right, Show::Always, &fields, move |row: &Row<'_>| {
        match row.groups.iter().find(|(own, _)| *own == value) {
            Some((_, group)) => value_cell(group, metric),
            None => Cell { text: "–".into(), values: vec![Value::Missing; 6] },
        }
    })
}

/// `0.743 ± 0.282 (0/3)`; runs without a value, such as diverged ones, are spelled out.
fn value_cell(group: &AccuracyGroup, metric: &str) -> Cell {
    let mean = estimate(&group.value, |x| value_text(metric, x));
    let n = group.value.n;
    let (text, solved) = match group.solved {
        Some(solved) if solved.n == n || n == 0 => {
            (format!("{} ({}/{})", mean.text, solved.k, solved.n), [Some(solved.k), Some(solved.n)])
        }
        Some(solved) => {
            (format!("{} of {n} ({}/{})", mean.text, solved.k, solved.n), [Some(solved.k), Some(solved.n)])
        }
        None => (format!("{} (n {n})", mean.text), [None, None]),
    };
    let mut values = vec![Value::Integer(n as u64)];
    values.extend(mean.values);
    values.extend(solved.map(|count| count.map_or(Value::Missing, |count| Value::Integer(count as u64))));
    Cell { text, values }
}

fn notes(groups: &[&AccuracyGroup], rows: &[Row<'_>], word: &str) -> Vec<String> {
    let mut note = format!("± half the {} % t interval", 100.0 * LEVEL);
    match build::distinct(groups.iter().filter_map(|group| group.threshold)) {
        Some(thresholds) => {
            note.push_str(&format!("; k/n seeds solved (accuracy ≥ {thresholds}"));
            if let Some(steps) = build::distinct(groups.iter().filter_map(|group| group.steps)) {
                note.push_str(&format!(" in {steps} steps"));
            }
            note.push_str(").");
        }
        None => note.push('.'),
    }
    if let Some(chance) = build::distinct(groups.iter().filter_map(|group| group.chance())) {
        note.push_str(&format!(" Chance: {chance}."));
    }
    let mut notes = vec![note];
    notes.extend(reference_notes(groups.iter().copied()));
    let all = groups.iter().copied();
    notes.extend(training::early(all.clone()).map(|limit| format!("Runs stop early at {limit}.")));
    notes.extend(training::selection(all));
    if rows.iter().any(|row| row.reach.is_some()) {
        notes.push(format!(
            "Reach: the largest {word} that all seeds solve, as all smaller ones; ≥: no larger one was measured."
        ));
    }
    let lost = |count: fn(&AccuracyGroup) -> usize| groups.iter().map(|group| count(group)).sum::<usize>();
    let (diverged, failed, skipped) =
        (lost(|g| g.counts.diverged), lost(|g| g.counts.failed), lost(|g| g.counts.skipped));
    if diverged > 0 {
        notes.push(format!(
            "{diverged} runs diverged: unsolved, and in no mean (“of” counts those that are)."
        ));
    }
    if failed + skipped > 0 {
        notes.push(format!("{failed} runs failed and {skipped} were skipped: they count nowhere."));
    }
    notes
}
