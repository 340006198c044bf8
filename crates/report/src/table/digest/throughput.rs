//! Time with one row a model and mode and one column a length, then its growth and the bytes of state.

use super::distinct;
use crate::summary::{FEWEST_ROUNDS, Scaling, Setting, Straightness, Summary, ThroughputRow};
use crate::table::{
    Align, Cell, Table, Value,
    build::{self, Show, column, integer, number_cell, word},
    number,
    throughput::{EXPONENT_NAMES, exponent_of, noisy_note},
};

/// Most lengths that become columns.
const MOST_COLUMNS: usize = 5;

/// One model and mode at every length.
struct Row<'a> {
    rows: &'a [ThroughputRow],
    scaling: Option<&'a Scaling>,
}

impl Row<'_> {
    fn first(&self) -> &ThroughputRow {
        &self.rows[0]
    }
}

pub(super) fn table(summary: &Summary) -> Table {
    let rows: Vec<Row<'_>> = summary
        .throughput
        .chunk_by(ThroughputRow::is_on_curve_of)
        .map(|rows| Row { scaling: scaling_of(summary, &rows[0]), rows })
        .collect();
    let mut lengths = distinct(summary.throughput.iter().map(|row| row.length));
    lengths.sort_unstable();
    let shown = thinned(&lengths);

    let settings: Vec<&Setting> = rows.iter().map(|row| &row.first().setting).collect();
    let mut columns = build::setting_columns(&settings, |row: &Row<'_>| &row.first().setting);
    columns.extend([
        column("mode", Align::Left, Show::Always, &["mode"], |row: &Row<'_>| word(&row.first().mode)),
        column("batch", Align::Right, Show::Common, &["batch"], |row: &Row<'_>| integer(row.first().batch)),
        column("threads", Align::Right, Show::Common, &["threads"], |row: &Row<'_>| {
            integer(row.first().threads.into())
        }),
    ]);
    for &length in &shown {
        let field = format!("median_ns_{length}");
        columns.push(column(
            &format!("length {length}"),
            Align::Right,
            Show::Always,
            &[field.as_str()],
            move |row: &Row<'_>| {
                let at = row.rows.iter().find(|own| own.length == length);
                number_cell(at.and_then(|own| own.median_ns), number::duration)
            },
        ));
    }
    columns.extend([
        column(
            "exponent",
            Align::Right,
            Show::Always,
            &[&EXPONENT_NAMES[..], &["exponent_points"]].concat(),
            |row: &Row<'_>| {
                let mut cell = exponent_of(row.scaling.map(|own| &own.growth));
                cell.values
                    .push(row.scaling.map_or(Value::Missing, |own| Value::Integer(own.growth.points as u64)));
                cell
            },
        ),
        column("state", Align::Right, Show::Filled, &["state_bytes", "state_length"], state),
    ]);
    let title = format!("Time of one pass against length{}", build::on_task(&settings));
    build::table("throughput", title, notes(summary, &rows, lengths.len() - shown.len()), &rows, columns)
}

fn scaling_of<'a>(summary: &'a Summary, row: &ThroughputRow) -> Option<&'a Scaling> {
    summary.scalings.iter().find(|own| own.is_of(row))
}

/// At most [`MOST_COLUMNS`] lengths, evenly spaced, both ends among them.
fn thinned(lengths: &[u64]) -> Vec<u64> {
    if lengths.len() <= MOST_COLUMNS {
        return lengths.to_vec();
    }
    (0..MOST_COLUMNS).map(|i| lengths[i * (lengths.len() - 1) / (MOST_COLUMNS - 1)]).collect()
}

/// What is carried from one token to the next, at the largest length of the row.
fn state(row: &Row<'_>) -> Cell {
    let Some(largest) = row.rows.iter().max_by_key(|own| own.length) else {
        return Cell { text: "–".into(), values: vec![Value::Missing; 2] };
    };
    let mut cell = number_cell(largest.state_bytes, number::bytes);
    cell.values.push(largest.state_bytes.map_or(Value::Missing, |_| Value::Integer(largest.length)));
    cell
}

fn notes(summary: &Summary, rows: &[Row<'_>], hidden: usize) -> Vec<String> {
    let counts = summary.throughput.iter().filter(|row| row.rounds > 0).map(|row| row.rounds as f64);
    let rounds = build::distinct(counts).unwrap_or_else(|| "no".into());
    let mut note = format!("Median of {rounds} rounds");
    let spread =
        |row: &ThroughputRow| Some((row.q90_ns? - row.q10_ns?) / row.median_ns.filter(|ns| *ns > 0.0)?);
    if let Some(widest) = summary.throughput.iter().filter_map(spread).max_by(f64::total_cmp) {
        note.push_str(&format!(", 10–90 % range up to {:.0} % of it", 100.0 * widest));
    }
    let mut notes = vec![format!("{note}; decode: one token after that context.")];
    if let Some(points) =
        build::distinct(rows.iter().filter_map(|row| row.scaling).map(|own| own.growth.points as f64))
    {
        let error = rows.iter().filter_map(|row| row.scaling).any(|own| own.growth.exponent_error.is_some());
        let error = if error { ", ± half the 95 % t interval" } else { "" };
        notes.push(format!(
            "Time ∝ length^exponent, fitted to {points} lengths{error}; state at the largest length."
        ));
    }
    let bending =
        |row: &&Row<'_>| row.scaling.is_some_and(|own| own.growth.straightness == Straightness::Bending);
    let names: Vec<String> = rows
        .iter()
        .filter(bending)
        .map(|row| format!("{} {}", row.first().setting.model, row.first().mode))
        .collect();
    if !names.is_empty() {
        notes.push(format!("Still bending where measured: {}.", names.join(", ")));
    }
    let few = summary.throughput.iter().filter(|row| row.rounds < FEWEST_ROUNDS).count();
    if few > 0 {
        notes.push(format!("{few} times are of fewer than {FEWEST_ROUNDS} rounds and enter no fit."));
    }
    notes.extend(noisy_note(&summary.throughput));
    let errors: usize = summary.throughput.iter().map(|row| row.errors).sum();
    if errors > 0 {
        notes.push(format!("{errors} rounds with wrong outputs are left out."));
    }
    if hidden > 0 {
        notes.push(format!("{hidden} more lengths are in the full table."));
    }
    notes
}
