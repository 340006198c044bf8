//! The timed tables, apart from all others since no two runs give the same: throughput and its growth.

use super::{
    Align, Cell, Table, Value,
    build::{self, Show, column, integer, number_cell, word},
    number,
};
use crate::summary::{ENOUGH_TO_HALVE, FEWEST_LENGTHS, Scaling, Setting, Summary, ThroughputRow};

/// Time and memory of every mode and length.
pub fn throughput_table(summary: &Summary) -> Table {
    let rows = &summary.throughput;
    let settings: Vec<&Setting> = rows.iter().map(|row| &row.setting).collect();
    let mut columns = build::setting_columns(&settings, |row: &ThroughputRow| &row.setting);
    columns.extend([
        column("mode", Align::Left, Show::Always, &["mode"], |row: &ThroughputRow| word(&row.mode)),
        column("length", Align::Right, Show::Always, &["length"], |row: &ThroughputRow| integer(row.length)),
        column("batch", Align::Right, Show::Common, &["batch"], |row: &ThroughputRow| integer(row.batch)),
        column("threads", Align::Right, Show::Common, &["threads"], |row: &ThroughputRow| {
            integer(row.threads.into())
        }),
        column("rounds", Align::Right, Show::Common, &["rounds"], |row: &ThroughputRow| {
            integer(row.rounds as u64)
        }),
        column("median", Align::Right, Show::Always, &["median_ns"], |row: &ThroughputRow| {
            number_cell(row.median_ns, number::duration)
        }),
        column("q10–q90", Align::Right, Show::Always, &["q10_ns", "q90_ns"], quantiles),
        column("tokens/s", Align::Right, Show::Always, &["tokens_per_second"], |row: &ThroughputRow| {
            build::counted(row.tokens_per_second)
        }),
        column("tokens", Align::Right, Show::Never, &["tokens"], |row: &ThroughputRow| integer(row.tokens)),
        column("peak", Align::Right, Show::Filled, &["peak_bytes"], |row: &ThroughputRow| {
            bytes(row.peak_bytes)
        }),
        column("baseline", Align::Right, Show::Never, &["baseline_bytes"], |row: &ThroughputRow| {
            bytes(row.baseline_bytes)
        }),
        column("state", Align::Right, Show::Filled, &["state_bytes"], |row: &ThroughputRow| {
            number_cell(row.state_bytes, number::bytes)
        }),
        column("wrong", Align::Right, Show::Filled, &["errors"], |row: &ThroughputRow| {
            if row.errors == 0 { word("") } else { integer(row.errors as u64) }
        }),
        column("why", Align::Left, Show::Never, &["reasons"], |row: &ThroughputRow| {
            word(&row.reasons.join("; "))
        }),
    ]);
    let mut notes = vec![
        "One pass: a training step, a forward pass, or one decoded token; median and quantiles over interleaved \
         rounds; tokens/s at the median."
            .into(),
        "Peak: highest resident memory of the process; state: what is carried from one token to the next.".into(),
    ];
    let errors: usize = rows.iter().map(|row| row.errors).sum();
    if errors > 0 {
        notes.push(format!(
            "{errors} rounds are left out: their outputs differ from those of the untimed run (column wrong)."
        ));
    }
    notes.extend(build::provenance_note(&summary.provenances, true));
    build::table("throughput", "Throughput against length".into(), notes, rows, columns)
}

/// Growth of time with length.
pub fn scaling_table(summary: &Summary) -> Table {
    let rows = &summary.scalings;
    let settings: Vec<&Setting> = rows.iter().map(|row| &row.setting).collect();
    let mut columns = build::setting_columns(&settings, |row: &Scaling| &row.setting);
    columns.extend([
        column("mode", Align::Left, Show::Always, &["mode"], |row: &Scaling| word(&row.mode)),
        column("batch", Align::Right, Show::Varied, &["batch"], |row: &Scaling| integer(row.batch)),
        column("threads", Align::Right, Show::Varied, &["threads"], |row: &Scaling| {
            integer(row.threads.into())
        }),
        column("exponent", Align::Right, Show::Always, &EXPONENT, |row: &Scaling| exponent(Some(row))),
        column("over lengths", Align::Right, Show::Always, &["from_length", "to_length"], |row: &Scaling| {
            Cell {
                text: format!("{}–{}", row.from_length, row.to_length),
                values: vec![Value::Integer(row.from_length), Value::Integer(row.to_length)],
            }
        }),
        column("lengths", Align::Right, Show::Always, &["points"], |row: &Scaling| {
            integer(row.points as u64)
        }),
    ]);
    let mut notes = vec![format!(
        "Median time ∝ length^exponent, by least squares on log–log over {FEWEST_LENGTHS} lengths or more: all, \
         or of {ENOUGH_TO_HALVE} and more their upper half; for decode, the time of one token against its context."
    )];
    if rows.iter().any(|row| row.exponent_error.is_some()) {
        notes.push(
            "± half the 95 % t interval of the slope, from the scatter about the line, of four lengths or more."
                .into(),
        );
    }
    build::table("scaling", "Growth of time with length".into(), notes, rows, columns)
}

/// Values of an exponent.
pub(super) const EXPONENT: [&str; 4] = ["exponent", "exponent_error", "exponent_low", "exponent_high"];

/// `1.22 ± 0.16`: with half its interval where there is one.
pub(super) fn exponent(scaling: Option<&Scaling>) -> Cell {
    let Some(scaling) = scaling else {
        return Cell { text: "–".into(), values: vec![Value::Missing; EXPONENT.len()] };
    };
    let interval = scaling.exponent_interval;
    let text = match interval {
        Some(ends) => format!("{:.2} ± {:.2}", scaling.exponent, (ends.high - ends.low) / 2.0),
        None => format!("{:.2}", scaling.exponent),
    };
    let ends = [interval.map(|ends| ends.low), interval.map(|ends| ends.high)];
    let mut values = vec![Value::Number(scaling.exponent), build::number_value(scaling.exponent_error)];
    values.extend(ends.map(build::number_value));
    Cell { text, values }
}

fn quantiles(row: &ThroughputRow) -> Cell {
    let text = match (row.q10_ns, row.q90_ns) {
        (Some(low), Some(high)) => number::duration_range(low, high),
        _ => "–".into(),
    };
    Cell { text, values: vec![build::number_value(row.q10_ns), build::number_value(row.q90_ns)] }
}

fn bytes(x: Option<u64>) -> Cell {
    let text = x.map_or("–".into(), |bytes| number::bytes(bytes as f64));
    Cell { text, values: vec![x.map_or(Value::Missing, Value::Integer)] }
}
