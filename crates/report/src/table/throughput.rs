//! The timed tables, apart from all others since no two runs give the same: throughput and its growth.

use super::{
    Align, Cell, Table, Value,
    build::{self, Show, column, integer, number_cell, word},
    fairness, number,
};
use crate::summary::{
    FEWEST_LENGTHS, FEWEST_ROUNDS, FEWEST_TESTED, Growth, LARGEST_SCATTER, NEGLIGIBLE_BEND, Scaling, Setting,
    Straightness, Summary, ThroughputRow,
};

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
            let few = if row.rounds < FEWEST_ROUNDS { " (few)" } else { "" };
            Cell { text: format!("{}{few}", row.rounds), values: vec![Value::Integer(row.rounds as u64)] }
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
        noisy_column(|row: &ThroughputRow| row),
        column("disturbance", Align::Left, Show::Never, &DISTURBANCE, |row: &ThroughputRow| {
            let own = row.disturbance;
            let values = [own.foreign_cores, own.slowdown, own.spread, own.attempts];
            Cell { text: "–".into(), values: values.map(build::number_value).into() }
        }),
        column("parameters", Align::Right, Show::Never, &["parameters"], |row: &ThroughputRow| {
            build::counted(row.parameters)
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
    if rows.iter().any(|row| row.rounds < FEWEST_ROUNDS) {
        notes.push(format!("Few: below {FEWEST_ROUNDS} rounds, which enter no fit and no figure."));
    }
    notes.extend(fairness::fairness(rows));
    notes.extend(noisy_note(rows));
    notes.extend(untimed(&summary.untimed));
    notes.extend(build::provenance_note(&summary.provenances, true));
    build::table("throughput", "Throughput against length".into(), notes, rows, columns)
}

/// What was not timed: the first of them, with its reason, and how many there are.
fn untimed(skipped: &[(Setting, String)]) -> Option<String> {
    let (setting, reason) = skipped.first()?;
    let name = [setting.model.clone(), setting.coordinates_text()].join(" ");
    let others = match skipped.len() {
        1 => String::new(),
        count => format!("; and {} more", count - 1),
    };
    Some(format!("Not timed: {} ({reason}){others}.", name.trim()))
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
        column("exponent", Align::Right, Show::Always, &EXPONENT_NAMES, |row: &Scaling| {
            exponent_of(Some(&row.growth))
        }),
        column("over lengths", Align::Right, Show::Always, &["from_length", "to_length"], |row: &Scaling| {
            let Growth { from_length, to_length, .. } = row.growth;
            Cell {
                text: format!("{from_length}–{to_length}"),
                values: [from_length, to_length].map(Value::Integer).into(),
            }
        }),
        column("lengths", Align::Right, Show::Always, &["points", "of_points"], |row: &Scaling| Cell {
            text: format!("{} of {}", row.growth.points, row.growth.of_points),
            values: [row.growth.points, row.growth.of_points].map(|n| Value::Integer(n as u64)).into(),
        }),
        column("bend", Align::Left, Show::Filled, &["still_bending"], |row: &Scaling| {
            match row.growth.straightness {
                Straightness::Bending => {
                    Cell { text: "still bending".into(), values: vec![Value::Flag(true)] }
                }
                Straightness::Straight | Straightness::Untested => word(""),
            }
        }),
        column("change of exponent", Align::Right, Show::Never, &BEND, |row: &Scaling| {
            let interval = row.growth.bend_interval;
            let numbers = [row.growth.bend, interval.map(|ends| ends.low), interval.map(|ends| ends.high)];
            Cell { text: "–".into(), values: numbers.map(build::number_value).into() }
        }),
    ]);
    let mut notes = vec![format!(
        "Median time ∝ length^exponent, by least squares on log–log over the longest suffix of {FEWEST_TESTED} lengths or \
         more that is straight (of {FEWEST_LENGTHS} lengths, over all); for decode, the time of one token against its context."
    )];
    let fits = || rows.iter().map(|row| &row.growth);
    if fits().any(|growth| growth.exponent_error.is_some()) {
        notes.push(format!(
            "± half the 95 % t interval of the slope, from the scatter about the line, of {FEWEST_TESTED} lengths or more."
        ));
    }
    if fits().any(|growth| growth.straightness == Straightness::Bending) {
        notes.push(format!(
            "Still bending: not even the last {FEWEST_TESTED} lengths are straight. A parabola's quadratic term differs from 0 \
             (95 % t interval) and changes the local exponent by {NEGLIGIBLE_BEND} a decade or more, or the line is off by \
             more than {:.0} %, root mean square.",
            100.0 * LARGEST_SCATTER
        ));
    }
    build::table("scaling", "Growth of time with length".into(), notes, rows, columns)
}

/// Values of an exponent.
pub(super) const EXPONENT_NAMES: [&str; 4] = ["exponent", "exponent_error", "exponent_low", "exponent_high"];

/// `1.22 ± 0.16`: with half its interval where there is one.
pub(super) fn exponent_of(growth: Option<&Growth>) -> Cell {
    let Some(growth) = growth else {
        return Cell { text: "–".into(), values: vec![Value::Missing; EXPONENT_NAMES.len()] };
    };
    let interval = growth.exponent_interval;
    let text = match interval {
        Some(ends) => {
            format!("{} ± {:.2}", number::hundredths(growth.exponent), (ends.high - ends.low) / 2.0)
        }
        None => number::hundredths(growth.exponent),
    };
    let ends = [interval.map(|ends| ends.low), interval.map(|ends| ends.high)];
    let mut values = vec![Value::Number(growth.exponent), build::number_value(growth.exponent_error)];
    values.extend(ends.map(build::number_value));
    Cell { text, values }
}

/// Values of a bend, a decade of length.
const BEND: [&str; 3] = ["bend", "bend_low", "bend_high"];

/// Values of what disturbed a row.
const DISTURBANCE: [&str; 4] = ["foreign_cores", "slowdown", "spread", "attempts"];

/// Whether a row is noisy.
pub(super) fn noisy_column<'a, R: 'a>(of: fn(&R) -> &ThroughputRow) -> build::Build<'a, R> {
    column("noisy", Align::Left, Show::Filled, &["noisy"], move |row: &R| match of(row).disturbance.noisy {
        true => Cell { text: "noisy".into(), values: vec![Value::Flag(true)] },
        false => word(""),
    })
}

/// What the marks of noisy rows mean; none where no row is.
pub(super) fn noisy_note(rows: &[ThroughputRow]) -> Option<String> {
    let noisy = rows.iter().filter(|row| row.disturbance.noisy).count();
    (noisy > 0).then(|| {
        format!(
            "{noisy} noisy rows: even the best attempt was disturbed, by what others did, by a slower processor or by rounds \
             far apart; the CSV says by how much, figures show them hollow."
        )
    })
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
