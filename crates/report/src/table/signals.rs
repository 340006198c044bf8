//! The signals table: what gates, saturation and the gradient at the evidence were where training began and where it ended.

use super::{
    Align, Table,
    build::{self, Show, column, estimate, integer, word},
    number,
};
use crate::{
    statistics::{Estimate, LEVEL, SeedValue},
    summary::{CurveSeed, LearningCurve, Setting, Summary},
};

/// What the metrics of inspections begin with.
const SIGNALS: [&str; 3] = ["saturation:", "gate:", "evidence_log10_relative:"];

/// One signal of one setting.
struct Row<'a> {
    curve: &'a LearningCurve,
    /// `layers.0`.
    layer: &'a str,
    /// `gate forget`.
    signal: String,
}

impl<'a> Row<'a> {
    fn of(curve: &'a LearningCurve) -> Option<Self> {
        let kind = SIGNALS.iter().find(|kind| curve.metric.starts_with(*kind))?;
        let (layer, name) = match curve.metric[kind.len()..].split_once(':') {
            Some((layer, name)) => (layer, name),
            None => (&curve.metric[kind.len()..], ""),
        };
        let signal = match *kind {
            "saturation:" => format!("saturation of {name}"),
            "gate:" => format!("gate {name}"),
            _ => "gradient at the evidence (log10)".into(),
        };
        Some(Row { curve, layer, signal })
    }

    /// The value of every seed where its curve begins, or ends.
    fn at(&self, point: fn(&CurveSeed) -> Option<&(u64, f64)>) -> Estimate {
        let value = |seed: &CurveSeed| Some(SeedValue { seed: seed.seed, value: point(seed)?.1 });
        Estimate::new(self.curve.seeds.iter().filter_map(value).collect())
    }

    fn last_step(&self) -> u64 {
        let last = |seed: &CurveSeed| seed.points.last().map(|point| point.0);
        self.curve.seeds.iter().filter_map(last).max().unwrap_or(0)
    }
}

/// One row for every signal of every layer; none where no cell inspected any.
pub fn signals_table(summary: &Summary) -> Table {
    let rows: Vec<Row<'_>> = summary.learning_curves.iter().filter_map(Row::of).collect();
    let settings: Vec<&Setting> = rows.iter().map(|row| &row.curve.setting).collect();
    let mut columns = build::setting_columns(&settings, |row: &Row<'_>| &row.curve.setting);
    columns.extend([
        column("layer", Align::Left, Show::Common, &["layer"], |row: &Row<'_>| word(row.layer)),
        column("signal", Align::Left, Show::Always, &["signal"], |row: &Row<'_>| word(&row.signal)),
        column(
            "n",
            Align::Right,
            Show::Common,
            &["n"],
            |row: &Row<'_>| integer(row.curve.seeds.len() as u64),
        ),
        column(
            "first",
            Align::Right,
            Show::Always,
            &["first", "first_low", "first_high"],
            |row: &Row<'_>| estimate(&row.at(|seed| seed.points.first()), number::short),
        ),
        column("last", Align::Right, Show::Always, &["last", "last_low", "last_high"], |row: &Row<'_>| {
            estimate(&row.at(|seed| seed.points.last()), number::short)
        }),
        column("steps", Align::Right, Show::Common, &["last_step"], |row: &Row<'_>| integer(row.last_step())),
    ]);
    let notes = vec![
        "First: at the first moment probed; last: at the last, after that many steps. Saturation: share of tanh outputs beyond \
         ± 0.95; gate: its mean; gradient at the evidence: over that at the scored step."
            .into(),
        format!("n seeds; ± half the {} % t interval of their mean, absent for one seed.", 100.0 * LEVEL),
    ];
    build::table("signals", format!("Signals{}", build::on_task(&settings)), notes, &rows, columns)
}
