//! The spectrum table: spectral radii of recurrent matrices and poles, and the largest Lyapunov exponents.

use super::{
    Align, Cell, Table,
    build::{self, Show, column, estimate, integer, word},
    number,
};
use crate::{
    statistics::{Estimate, LEVEL, SeedValue},
    summary::{Setting, Spectrum, Summary},
};

/// One row for every spectrum that one number says much of.
pub fn spectrum_table(summary: &Summary) -> Table {
    let rows: Vec<&Spectrum> = summary.spectra.iter().filter(|row| row.quantity != "singular").collect();
    let settings: Vec<&Setting> = rows.iter().map(|row| &row.setting).collect();
    let mut columns = build::setting_columns(&settings, |row: &&Spectrum| &row.setting);
    columns.extend([
        column("stage", Align::Left, Show::Common, &["stage"], |row: &&Spectrum| word(&row.stage)),
        column("layer", Align::Right, Show::Common, &["layer"], |row: &&Spectrum| integer(row.layer.into())),
        column("of", Align::Left, Show::Always, &["quantity"], |row: &&Spectrum| word(&row.quantity)),
        column("n", Align::Right, Show::Common, &["n"], |row: &&Spectrum| integer(row.radius().n as u64)),
        column(
            "largest",
            Align::Right,
            Show::Always,
            &["largest", "largest_low", "largest_high"],
            |row: &&Spectrum| largest(row),
        ),
    ]);
    let notes = vec![
        "Largest: the modulus of the largest eigenvalue, the spectral radius; of Lyapunov exponents the largest, in nats a \
         step of the carried state."
            .into(),
        format!("n seeds; ± half the {} % t interval of their mean, absent for one seed.", 100.0 * LEVEL),
    ];
    build::table("spectrum", format!("Spectra{}", build::on_task(&settings)), notes, &rows, columns)
}

fn largest(row: &Spectrum) -> Cell {
    let value = if row.quantity == "lyapunov" { exponents(row) } else { row.radius() };
    let cell = estimate(&value, number::short);
    match (value.mean, value.half_width()) {
        (Some(mean), Some(half)) => Cell { text: number::with_spread(mean, half), ..cell },
        _ => cell,
    }
}

/// The first exponent of every seed.
fn exponents(row: &Spectrum) -> Estimate {
    let first = row.values.iter().filter(|value| value.index == 0);
    Estimate::new(first.map(|value| SeedValue { seed: value.seed, value: value.re }).collect())
}
