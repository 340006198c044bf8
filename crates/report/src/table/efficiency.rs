//! The efficiency table: the work of a pass, and how near the machine's limits it ran.

use super::{
    Align, Cell, Table,
    build::{self, Show, column, integer, number_cell, number_value, word},
    fairness, number,
    throughput::{noisy_column, noisy_note},
};
use crate::summary::{FEWEST_ROUNDS, Setting, Summary, ThroughputRow};
use seqbench_record::Provenance;

/// Work, intensity and share of the machine of every row whose operations are known.
pub fn efficiency_table(summary: &Summary) -> Table {
    let known = summary.throughput.iter().filter(|row| row.operations.is_some());
    of(known.cloned().collect(), "", &summary.provenances)
}

/// The same of the longest length of every curve: what a person sees when a run ends.
pub(super) fn at_longest(summary: &Summary) -> Table {
    let curves = summary.throughput.chunk_by(ThroughputRow::is_on_curve_of);
    let longest = |rows: &[ThroughputRow]| {
        rows.iter().rev().find(|row| row.operations.is_some() && row.gflops.is_some()).cloned()
    };
    of(curves.filter_map(longest).collect(), " at the longest length", &[])
}

fn of(rows: Vec<ThroughputRow>, at: &str, provenances: &[Provenance]) -> Table {
    let settings: Vec<&Setting> = rows.iter().map(|row| &row.setting).collect();
    let mut columns = build::setting_columns(&settings, |row: &ThroughputRow| &row.setting);
    columns.extend([
        column("mode", Align::Left, Show::Always, &["mode"], |row: &ThroughputRow| word(&row.mode)),
        column("length", Align::Right, Show::Always, &["length"], |row: &ThroughputRow| integer(row.length)),
        column("batch", Align::Right, Show::Common, &["batch"], |row: &ThroughputRow| integer(row.batch)),
        column("threads", Align::Right, Show::Common, &["threads"], |row: &ThroughputRow| {
            integer(row.threads.into())
        }),
        column(
            "FLOP",
            Align::Right,
            Show::Always,
            &["operations", "traffic_bytes"],
            |row: &ThroughputRow| {
                let values = [row.operations, row.traffic_bytes].map(number_value).into();
                Cell { text: row.operations.map_or("–".into(), number::count), values }
            },
        )
        .secondary(),
        column("FLOP/byte", Align::Right, Show::Filled, &["intensity"], |row: &ThroughputRow| {
            number_cell(row.intensity(), number::short)
        }),
        column("GFLOP/s", Align::Right, Show::Always, &["gflops"], |row: &ThroughputRow| {
            number_cell(row.gflops, number::short)
        }),
        column("of peak", Align::Right, Show::Filled, &["share_of_peak"], |row: &ThroughputRow| {
            number_cell(row.share_of_peak, per_cent)
        })
        .secondary(),
        column("of roof", Align::Right, Show::Filled, &["share_of_roof"], |row: &ThroughputRow| {
            number_cell(row.share_of_roof, per_cent)
        }),
        column("peak", Align::Right, Show::Never, &["peak_gflops"], |row: &ThroughputRow| {
            number_cell(row.peak_gflops, number::short)
        }),
        column("bandwidth", Align::Right, Show::Never, &["bandwidth_gb"], |row: &ThroughputRow| {
            number_cell(row.bandwidth_gb, number::short)
        }),
        noisy_column(|row: &ThroughputRow| row),
    ]);
    let mut notes = vec![
        "FLOP: floating-point operations of one pass, counted by formulas, a multiply-add as two; FLOP/byte: over the bytes a \
         pass must move at the least."
            .into(),
    ];
    notes.extend(limits(&rows));
    if rows.iter().filter_map(|row| row.share_of_roof).any(|share| share > 1.0) {
        notes.push(
            "Above the roof: what moves is in caches, and not in memory, from one pass to the next.".into(),
        );
    }
    if rows.iter().any(|row| row.rounds < FEWEST_ROUNDS) {
        notes.push(format!("Rates of fewer than {FEWEST_ROUNDS} rounds are in no figure."));
    }
    notes.extend(fairness::fairness(&rows));
    notes.extend(noisy_note(&rows));
    notes.extend(build::provenance_note(provenances, true));
    let title = format!("Work of a pass and share of the machine{at}{}", build::on_task(&settings));
    build::table("efficiency", title, notes, &rows, columns)
}

/// `Peak 88.1 GFLOP/s and 12.5 GB/s of 1 thread`, with its range where cells differ.
fn limits(rows: &[ThroughputRow]) -> Option<String> {
    let mut threads: Vec<u32> = rows.iter().map(|row| row.threads).collect();
    threads.sort_unstable();
    threads.dedup();
    let of = |count: u32| {
        let own = || rows.iter().filter(move |row| row.threads == count);
        let peak = range(own().filter_map(|row| row.peak_gflops))?;
        let bandwidth = range(own().filter_map(|row| row.bandwidth_gb))?;
        let noun = if count == 1 { "thread" } else { "threads" };
        Some(format!("{peak} GFLOP/s and {bandwidth} GB/s of {count} {noun}"))
    };
    let words: Vec<String> = threads.into_iter().filter_map(of).collect();
    (!words.is_empty()).then(|| {
        format!(
            "Measured peak and bandwidth: {}. Roof: the lesser of peak and FLOP/byte times bandwidth.",
            words.join("; ")
        )
    })
}

/// `88.1`, or `86.0–88.1` where values differ in their third digit.
fn range(values: impl Iterator<Item = f64>) -> Option<String> {
    let ends = values.fold(None, |ends: Option<(f64, f64)>, value| {
        Some(ends.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
    })?;
    let (low, high) = (number::short(ends.0), number::short(ends.1));
    Some(if low == high { low } else { format!("{low}–{high}") })
}

/// A share: `0.42 %`, `12.3 %`.
pub(super) fn per_cent(share: f64) -> String {
    format!("{} %", number::short(100.0 * share))
}
