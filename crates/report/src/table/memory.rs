//! The memory table: how memory grows with length, how well it was predicted, and what fits in how much.

use super::{
    Align, Cell, Table, Value,
    build::{self, Show, column, integer, number_value, word},
    number,
    throughput::{EXPONENT_NAMES, exponent_of},
};
use crate::summary::{BUDGETS, MemoryGrowth, Setting, Straightness, Summary};

/// Memory of every curve over length.
pub fn memory_table(summary: &Summary) -> Table {
    let rows = &summary.memory;
    let settings: Vec<&Setting> = rows.iter().map(|row| &row.setting).collect();
    let mut columns = build::setting_columns(&settings, |row: &MemoryGrowth| &row.setting);
    columns.extend([
        column("mode", Align::Left, Show::Always, &["mode"], |row: &MemoryGrowth| word(&row.mode)),
        column("batch", Align::Right, Show::Common, &["batch"], |row: &MemoryGrowth| integer(row.batch)),
        column("threads", Align::Right, Show::Common, &["threads"], |row: &MemoryGrowth| {
            integer(row.threads.into())
        }),
        column("growth", Align::Right, Show::Always, &["bytes_a_step_and_sequence"], |row: &MemoryGrowth| {
            let text = match (row.step_bytes, row.growth) {
                (Some(_), Some(growth)) if row.is_power => {
                    let bends = growth.straightness == Straightness::Bending;
                    format!("{}^{:.2}", if bends { "bends, " } else { "∝ length" }, growth.exponent)
                }
                (Some(bytes), _) => number::bytes(bytes.round()),
                (None, _) => "–".into(),
            };
            Cell { text, values: vec![number_value(row.step_bytes)] }
        })
        .in_unit("a step"),
        column("fixed", Align::Right, Show::Always, &["fixed_bytes"], |row: &MemoryGrowth| {
            let shown = row.fixed_bytes.filter(|_| !row.is_power);
            Cell {
                text: shown.map_or("–".into(), |bytes| number::bytes(bytes.round())),
                values: vec![number_value(row.fixed_bytes)],
            }
        }),
        column("by power", Align::Left, Show::Never, &["is_power"], |row: &MemoryGrowth| Cell {
            text: "–".into(),
            values: vec![Value::Flag(row.is_power)],
        }),
        column("exponent", Align::Right, Show::Filled, &EXPONENT_NAMES, |row: &MemoryGrowth| {
            let mut cell = exponent_of(row.growth.as_ref());
            if row.growth.is_some_and(|growth| growth.straightness == Straightness::Bending) {
                cell.text.push_str(" (bends)");
            }
            cell
        })
        .secondary(),
        column(
            "predicted",
            Align::Right,
            Show::Filled,
            &["predicted_over_measured", "predicted_length"],
            |row: &MemoryGrowth| Cell {
                text: row.predicted_over_measured.map_or("–".into(), |ratio| format!("× {ratio:.2}")),
                values: vec![
                    number_value(row.predicted_over_measured),
                    row.predicted_length.map_or(Value::Missing, Value::Integer),
                ],
            },
        ),
        column("measured to", Align::Right, Show::Never, &["to_length"], |row: &MemoryGrowth| {
            integer(row.to_length)
        }),
    ]);
    for (place, budget) in BUDGETS.into_iter().enumerate() {
        let gib = budget >> 30;
        let fields = [format!("longest_in_{gib}_gib"), format!("longest_in_{gib}_gib_extrapolated")];
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        columns.push(column(
            &format!("in {gib} GiB"),
            Align::Right,
            Show::Filled,
            &fields,
            move |row: &MemoryGrowth| longest(row, place),
        ));
    }
    let notes = vec![
        "Training and forward passes: resident memory above that before the pass; decoding: state, counted. Growth is a step \
         and sequence, fixed that of the whole batch at length 0, by least squares; a power of the length where that is \
         twice as near; bends: not even over the last lengths."
            .into(),
        "In so many GiB: the longest length whose memory, with that of the process before the pass (of decoding, whose state \
         alone), fits by that fit (beyond a bend by the last two lengths); ~ outside the lengths measured, any where it does not \
         grow. Predicted: over measured, at the longest length."
            .into(),
    ];
    build::table(
        "memory",
        format!("Memory against length{}", build::on_task(&settings)),
        notes,
        rows,
        columns,
    )
}

fn longest(row: &MemoryGrowth, place: usize) -> Cell {
    let Some(own) = row.longest.get(place) else {
        return Cell { text: "–".into(), values: vec![Value::Missing; 2] };
    };
    let text = match own.length {
        None => "none".into(),
        Some(length) if length.is_infinite() => "any".into(),
        Some(length) if own.extrapolated => format!("~ {}", number::count(length)),
        Some(length) => number::count(length),
    };
    Cell { text, values: vec![Value::Number(own.length.unwrap_or(0.0)), Value::Flag(own.extrapolated)] }
}
