//! The table of two runs of the same measurements: whether times repeat.

use super::{
    Align, Cell, Table, Value,
    build::{self, Show, column, integer, number_cell, number_value, word},
    number,
};
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
            |row: &Repeat| {
                let ends = [row.interval.map(|ends| ends.low), row.interval.map(|ends| ends.high)];
                let text = match row.interval {
                    Some(ends) => format!("{:.3} ({:.3}–{:.3})", row.ratio, ends.low, ends.high),
                    None => format!("{:.3}", row.ratio),
                };
                let mut values = vec![Value::Number(row.ratio)];
                values.extend(ends.map(number_value));
                Cell { text, values }
            },
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
    let mut notes = vec![
        "Ratio of medians; in parentheses where it may lie, each median within its 95 % order statistics (wider than 95 % for \
         the ratio)."
            .into(),
    ];
    let known = rows.iter().filter_map(|row| row.covers_one);
    let (count, hold) = (known.clone().count(), known.filter(|covers| *covers).count());
    if count > 0 {
        notes.push(format!("{hold} of {count} intervals hold 1."));
    }
    build::table("repeats", "Two runs of the same".into(), notes, rows, columns)
}
