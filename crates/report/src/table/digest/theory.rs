//! How far each theory's gain per step is off, theories side by side, at the lowest layer: one row a model, stage and entry
//! of the state.

use super::distinct;
use crate::summary::{Setting, TheoryProfile};
use crate::table::{
    Align, Cell, Table, Value,
    build::{self, Show, column, word},
    theory::percent,
};

/// One entry of one model's state at one stage.
struct Row<'a> {
    setting: &'a Setting,
    stage: &'a str,
    entry: &'a str,
    theories: Vec<&'a TheoryProfile>,
}

pub(super) fn table(theories: &[&TheoryProfile]) -> Table {
    let layer = theories.iter().map(|own| own.layer).min().unwrap_or(0);
    let mut rows: Vec<Row<'_>> = Vec::new();
    for own in theories.iter().filter(|own| own.layer == layer) {
        let same = |row: &&mut Row<'_>| {
            *row.setting == own.setting && row.stage == own.stage && row.entry == own.entry
        };
        match rows.iter_mut().find(same) {
            Some(row) => row.theories.push(own),
            None => rows.push(Row {
                setting: &own.setting,
                stage: &own.stage,
                entry: &own.entry,
                theories: vec![own],
            }),
        }
    }
    let settings: Vec<&Setting> = rows.iter().map(|row| row.setting).collect();
    let mut columns = build::setting_columns(&settings, |row: &Row<'_>| row.setting);
    columns.push(column("stage", Align::Left, Show::Common, &["stage"], |row: &Row<'_>| word(row.stage)));
    columns.push(column("of", Align::Left, Show::Common, &["entry"], |row: &Row<'_>| word(row.entry)));
    for name in distinct(theories.iter().map(|own| own.theory.as_str())) {
        let fields = ["gain_gap", "gain_gap_low", "gain_gap_high"].map(|field| format!("{name}_{field}"));
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        columns.push(column(name, Align::Right, Show::Always, &fields, move |row: &Row<'_>| {
            match row.theories.iter().find(|own| own.theory == name) {
                Some(own) => percent(own),
                None => Cell { text: "–".into(), values: vec![Value::Missing; 3] },
            }
        }));
    }
    let notes = vec!["Predicted over measured gain per step, less 1.".into()];
    let title = format!("How far theory's gain is off{}, layer {layer}", build::on_task(&settings));
    build::table("theory", title, notes, &rows, columns)
}
