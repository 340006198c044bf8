//! The crossover table: from which length on which of two models is faster.

use super::{
    Align, Cell, Table, Value,
    build::{self, Show, column, integer, number_value, word},
    number,
};
use crate::{
    statistics::LEVEL,
    summary::{Crossover, Summary},
};

/// One row for every pair of models in every mode.
pub fn crossover_table(summary: &Summary) -> Table {
    let rows = &summary.crossovers;
    let name = |first: Option<bool>, row: &Crossover| match first {
        Some(true) => row.first.model.clone(),
        Some(false) => row.second.model.clone(),
        None => "–".into(),
    };
    let columns = vec![
        column("experiment", Align::Left, Show::Varied, &["experiment"], |row: &Crossover| {
            word(&row.first.experiment)
        }),
        column("mode", Align::Left, Show::Always, &["mode"], |row: &Crossover| word(&row.mode)),
        column("batch", Align::Right, Show::Varied, &["batch"], |row: &Crossover| integer(row.batch)),
        column("threads", Align::Right, Show::Varied, &["threads"], |row: &Crossover| {
            integer(row.threads.into())
        }),
        column("model", Align::Left, Show::Always, &["model"], |row: &Crossover| word(&row.first.model)),
        column("against", Align::Left, Show::Always, &["against"], |row: &Crossover| word(&row.second.model)),
        column(
            "same time at",
            Align::Right,
            Show::Always,
            &["length", "length_low", "length_high", "crossings", "from_length", "to_length"],
            length,
        )
        .in_unit("steps"),
        column("faster below", Align::Left, Show::Always, &["faster_below"], move |row: &Crossover| {
            word(&name(row.first_is_faster_below, row))
        }),
        column("faster above", Align::Left, Show::Always, &["faster_above"], move |row: &Crossover| {
            word(&name(row.first_is_faster_above, row))
        }),
    ];
    let notes = vec![
        format!(
            "Where median times meet last, on a straight line between neighbouring lengths; in parentheses where they could, \
             each median within its {} % order statistics (which is wider than {0} % for the two together).",
            100.0 * LEVEL
        ),
        "Below, above: at the shortest and at the longest of them; – where no difference is shown. –: no crossing is."
            .into(),
    ];
    build::table("crossovers", "Which model is faster".into(), notes, rows, columns)
}

fn length(row: &Crossover) -> Cell {
    let end = |value: Option<f64>| value.map_or("…".into(), |length| number::count(length.round()));
    let text = match (row.length, row.low, row.high) {
        (None, ..) => "–".into(),
        (Some(length), None, None) => end(Some(length)),
        (Some(length), low, high) => format!("{} ({}–{})", end(Some(length)), end(low), end(high)),
    };
    let mut values = [row.length, row.low, row.high].map(number_value).to_vec();
    values.push(Value::Integer(row.crossings as u64));
    values.extend([row.from_length, row.to_length].map(Value::Integer));
    Cell { text, values }
}
