//! The selection table: which learning rate each model got, and whether its grid was wide enough.

use super::{
    Align, Cell, Table, Value,
    accuracy::value_text,
    build::{self, Show, column, estimate, integer, number_cell, word},
};
use crate::{
    statistics::Estimate,
    summary::{Edge, Selection, Setting, Summary},
};

/// The selection of every setting that had one.
pub fn selection_table(summary: &Summary) -> Table {
    let rows = &summary.selections;
    let settings: Vec<&Setting> = rows.iter().map(|row| &row.setting).collect();
    let mut columns = build::setting_columns(&settings, |row: &Selection| &row.setting);
    columns.extend([
        column("candidates", Align::Right, Show::Always, &["candidates", "candidate_rates"], candidates),
        column("trials each", Align::Right, Show::Always, &["trials"], trials),
        column("chosen rate", Align::Right, Show::Always, &["chosen_rate"], |row: &Selection| {
            number_cell(row.chosen, |rate| Value::Number(rate).plain())
        }),
        column("beware", Align::Left, Show::Filled, &["edge"], edge),
        column("metric", Align::Left, Show::Common, &["metric"], |row: &Selection| {
            word(&format!("validation {}", row.metric.replace('_', " ")))
        }),
        column(
            "validation at it",
            Align::Right,
            Show::Filled,
            &["validation", "validation_low", "validation_high"],
            |row: &Selection| {
                let none = Estimate::default();
                let value = row.winner().map_or(&none, |winner| &winner.value);
                // The interval of two or three trials would say nothing to a reader; programs get it.
                let text = value.mean.map_or("–".into(), |mean| value_text(&row.metric, mean));
                Cell { text, ..estimate(value, |x| value_text(&row.metric, x)) }
            },
        )
        .secondary(),
        column("diverged", Align::Right, Show::Filled, &["diverged"], |row: &Selection| {
            match row.candidates.iter().map(|candidate| candidate.diverged).sum::<usize>() {
                0 => word(""),
                count => integer(count as u64),
            }
        })
        .secondary(),
    ]);
    let title = format!("Selection of the learning rate{}", build::on_task(&settings));
    build::table("selection", title, notes(rows), rows, columns)
}

fn notes(rows: &[Selection]) -> Vec<String> {
    let mut notes = vec![
        "Every candidate is tried on tuning seeds and scored on the validation stream at the end of training; the best \
         mean is chosen, of equals that of the lower loss."
            .to_string(),
    ];
    if rows.iter().any(|row| row.edge.is_some()) {
        notes.push(
            "Edge of the grid: the smallest or the largest candidate was chosen, so a better one may lie beyond \
             what was tried."
                .into(),
        );
    }
    if rows.iter().any(|row| row.chosen.is_none()) {
        notes.push("Without a chosen rate: the runs to be reported have not ended.".into());
    }
    notes
}

fn candidates(row: &Selection) -> Cell {
    let rates: Vec<_> = row.candidates.iter().map(|own| Value::Number(own.rate).plain()).collect();
    let count = row.candidates.len() as u64;
    Cell { text: count.to_string(), values: vec![Value::Integer(count), Value::Text(rates.join(" "))] }
}

/// `2`, or `1–2` where not all candidates had the same number.
fn trials(row: &Selection) -> Cell {
    let counts = || row.candidates.iter().map(|candidate| candidate.trials as u64);
    let (low, high) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
    let text = if low == high { high.to_string() } else { format!("{low}–{high}") };
    Cell { text, values: vec![Value::Integer(low)] }
}

fn edge(row: &Selection) -> Cell {
    match row.edge {
        None => word(""),
        Some(edge) => Cell {
            text: "edge of the grid".into(),
            values: vec![Value::Text(if edge == Edge::Lowest { "lowest" } else { "highest" }.into())],
        },
    }
}
