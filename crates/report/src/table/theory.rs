//! The theory table: what each theory predicts of a gradient's decay, and how far it is off.

use super::{
    Align, Cell, Table, Value,
    build::{self, Show, column, integer, number_cell, word},
    gradients::decades,
    number,
};
use crate::{
    statistics::LEVEL,
    summary::{Decay, Setting, Summary, TheoryProfile},
};

/// Per cent below which a difference is printed as none.
const NOTHING: f64 = 0.005;

/// Predicted beside measured decay of every profile that has a theory.
pub fn theory_table(summary: &Summary) -> Table {
    let rows = &summary.theories;
    let settings: Vec<&Setting> = rows.iter().map(|row| &row.setting).collect();
    let mut columns = build::setting_columns(&settings, |row: &TheoryProfile| &row.setting);
    columns.extend([
        column("stage", Align::Left, Show::Common, &["stage"], |row: &TheoryProfile| word(&row.stage)),
        column("layer", Align::Right, Show::Common, &["layer"], |row: &TheoryProfile| {
            integer(row.layer.into())
        }),
        column("of", Align::Left, Show::Common, &["entry"], |row: &TheoryProfile| word(&row.entry)),
        column("theory", Align::Left, Show::Always, &["theory"], |row: &TheoryProfile| word(&row.theory)),
        column("n", Align::Right, Show::Common, &["n"], |row: &TheoryProfile| integer(row.gain_gap.n as u64)),
        column(
            "predicted",
            Align::Right,
            Show::Always,
            &["predicted", "predicted_low", "predicted_high"],
            |row: &TheoryProfile| slope(row.predicted.as_ref()),
        ),
        column(
            "measured",
            Align::Right,
            Show::Always,
            &["measured", "measured_low", "measured_high"],
            |row: &TheoryProfile| slope(row.measured.as_ref()),
        ),
        column(
            "gain off by",
            Align::Right,
            Show::Always,
            &["gain_gap", "gain_gap_low", "gain_gap_high"],
            |row: &TheoryProfile| percent(row),
        ),
        column("largest", Align::Right, Show::Always, &["largest_log10_gap"], |row: &TheoryProfile| {
            number_cell(row.largest_log10_gap, number::short)
        })
        .in_unit("decades"),
    ]);
    let notes = vec![
        "Slopes of log10 gradient norm, decades a step. Predicted: from the weights and activations of the same samples, \
         starting from the measured gradient at the nearest distance."
            .into(),
        "Gain off by: predicted over measured gain per step, less 1. Largest: |log10| of predicted over measured norm, at \
         its worst distance and seed."
            .into(),
        format!("n seeds; ± half the {} % t interval of their mean, absent for one seed.", 100.0 * LEVEL),
    ];
    build::table("theory", format!("Gradients and theory{}", build::on_task(&settings)), notes, rows, columns)
}

fn slope(decay: Option<&Decay>) -> Cell {
    decay.map_or_else(
        || Cell { text: "–".into(), values: vec![Value::Missing; 3] },
        |decay| decades(&decay.decades_per_step),
    )
}

/// `+1.2 ± 0.3 %`
pub(super) fn percent(row: &TheoryProfile) -> Cell {
    let gap = &row.gain_gap;
    let cell = build::estimate(gap, number::short);
    let is_nothing = |value: f64| (100.0 * value).abs() < NOTHING;
    let text = match (gap.mean, gap.half_width()) {
        (Some(mean), half) if is_nothing(mean) && half.is_none_or(is_nothing) => "0.00 %".into(),
        (Some(mean), Some(half)) => format!("{} %", number::with_spread(100.0 * mean, 100.0 * half)),
        (Some(mean), None) => format!("{} %", number::short(100.0 * mean)),
        _ => "–".into(),
    };
    Cell { text, ..cell }
}
