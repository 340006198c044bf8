//! The table of two runs of the same measurements: whether times repeat.

use super::{
    Align, Cell, Table, Value,
    build::{self, Show, column, integer, number_cell, number_value, word},
    number,
};
use crate::statistics::Interval;
use crate::summary::{Repeat, Setting};

/// One row for every row that both runs have.
pub fn repeat_table(rows: &[Repeat]) -> Table {
    let settings: Vec<&Setting> = rows.iter().map(|row| &row.setting).collect();
    let mut columns = build::setting_columns(&settings, |row: &Repeat| &row.setting);
    columns.extend([
        column("mode", Align::Left, Show::Always, &["mode"], |row: &Repeat| word(&row.mode)),
        column("length", Align::Right, Show::Always, &["length"], |row: &Repeat| integer(row.length)),
        column("batch", Align::Right, Show::Common, &["batch"], |row: &Repeat| integer(row.batch)),
        column("threads", Align::Right, Show::Common, &["threads"], |row: &Repeat| {
            integer(row.threads.into())
        }),
        column("first", Align::Right, Show::Always, &["first_ns"], |row: &Repeat| {
            number_cell(Some(row.first_ns), number::duration)
        }),
        column("second", Align::Right, Show::Always, &["second_ns"], |row: &Repeat| {
            number_cell(Some(row.second_ns), number::duration)
        }),
        column(
            "second over first",
            Align::Right,
            Show::Always,
            &["ratio", "ratio_low", "ratio_high"],
            |row: &Repeat| ratio_cell(Some(row.ratio), row.interval),
        ),
        column(
            "at equal pace",
            Align::Right,
            Show::Filled,
            &["paced_ratio", "paced_ratio_low", "paced_ratio_high"],
            |row: &Repeat| ratio_cell(row.paced_ratio, row.paced_interval),
        ),
        column("holds 1", Align::Left, Show::Filled, &["covers_one"], |row: &Repeat| match row.covers_one {
            Some(covers) => {
                Cell { text: if covers { "yes" } else { "no" }.into(), values: vec![Value::Flag(covers)] }
            }
            None => word(""),
        }),
        column("noisy", Align::Left, Show::Filled, &["noisy"], |row: &Repeat| match row.noisy {
            true => Cell { text: "noisy".into(), values: vec![Value::Flag(true)] },
            false => word(""),
        }),
    ]);
    let mut notes: Vec<String> = Vec::new();
    if rows.iter().any(|row| row.paced_ratio.is_some()) {
        notes.push(
            "Ratios of geometric means over visits; in parentheses where they may lie (95 %, Student's t, a visit one \
             observation, its variance at least that of all rows together). At equal pace: each round in units of a fixed \
             piece of arithmetic just before it, so that a slower clock is no slower model."
                .into(),
        );
    }
    if rows.iter().any(|row| row.paced_ratio.is_none()) {
        notes.push(
            "Without visits: ratio of medians, each within its 95 % order statistics, which tell nothing of what changes \
             between runs."
                .into(),
        );
    }
    let known = rows.iter().filter_map(|row| row.covers_one);
    let (count, hold) = (known.clone().count(), known.filter(|covers| *covers).count());
    if count > 0 {
        notes.push(format!("{hold} of {count} intervals hold 1."));
    }
    build::table("repeats", "Two runs of the same".into(), notes, rows, columns)
}

/// A ratio with its ends.
fn ratio_cell(ratio: Option<f64>, ends: Option<Interval>) -> Cell {
    let text = match (ratio, ends) {
        (Some(ratio), Some(ends)) => format!("{ratio:.3} ({:.3}–{:.3})", ends.low, ends.high),
        (Some(ratio), None) => format!("{ratio:.3}"),
        (None, _) => String::new(),
    };
    Cell {
        text,
        values: [ratio, ends.map(|ends| ends.low), ends.map(|ends| ends.high)].map(number_value).into(),
    }
}
