//! The gradient table: the fitted decay of every profile and what it amounts to.

use super::{
    Align, Cell, Table, Value,
    build::{self, Show, column, estimate, integer, number_cell, word},
    number,
};
use crate::{
    statistics::{Estimate, LEVEL},
    summary::{
        EXPLODING_ABOVE, FEWEST_POINTS, GradientProfile, ProfilePoint, Setting, Summary, VANISHING_BELOW,
        Verdict,
    },
};

/// Decay of every gradient profile.
pub fn gradient_table(summary: &Summary) -> Table {
    let rows = &summary.profiles;
    let settings: Vec<&Setting> = rows.iter().map(|row| &row.setting).collect();
    let mut columns = build::setting_columns(&settings, |row: &GradientProfile| &row.setting);
    columns.extend([
        column("stage", Align::Left, Show::Common, &["stage"], |row: &GradientProfile| word(&row.stage)),
        column("layer", Align::Right, Show::Common, &["layer"], |row: &GradientProfile| {
            integer(row.layer.into())
        }),
        column("of", Align::Left, Show::Common, &["wrt"], |row: &GradientProfile| word(&row.wrt)),
        column("n", Align::Right, Show::Common, &["n"], |row: &GradientProfile| integer(seeds(row))),
        column(
            "decades/step",
            Align::Right,
            Show::Always,
            &["decades_per_step", "decades_per_step_low", "decades_per_step_high"],
            |row: &GradientProfile| match &row.decay {
                Some(decay) => decades(&decay.decades_per_step),
                None => Cell { text: "–".into(), values: vec![Value::Missing; 3] },
            },
        ),
        column("half-life", Align::Right, Show::Always, &["half_life_steps"], |row: &GradientProfile| {
            number_cell(row.decay.as_ref().and_then(|decay| decay.half_life_steps), number::short)
        })
        .in_unit("steps"),
        column(
            "log10 at furthest",
            Align::Right,
            Show::Always,
            &["furthest_trusted", "log10_relative", "log10_relative_low", "log10_relative_high"],
            furthest,
        )
        .secondary(),
        column(
            "memory",
            Align::Right,
            Show::Common,
            &["memory_steps", "memory_ends"],
            |row: &GradientProfile| match row.memory_steps {
                Some((steps, ends)) => Cell {
                    text: if ends { steps.to_string() } else { format!("≥ {steps}") },
                    values: vec![Value::Integer(steps), Value::Text(ends.to_string())],
                },
                None => Cell { text: "–".into(), values: vec![Value::Missing; 2] },
            },
        )
        .in_unit("steps"),
        column("gain/step", Align::Right, Show::Always, &["gain_per_step"], |row: &GradientProfile| {
            number_cell(row.decay.as_ref().map(|decay| decay.gain_per_step), |x| format!("{x:.3}"))
        })
        .secondary(),
        column("gradient", Align::Left, Show::Always, &["verdict"], |row: &GradientProfile| {
            word(row.decay.as_ref().map_or("", |decay| verdict(decay.verdict)))
        }),
    ]);
    let notes = vec![
        format!(
            "Norm of one sample's loss gradient, geometric mean over samples; slope of its log10 over distance, \
             relative to distance 0, by least squares over trusted distances from 1 on (at least {FEWEST_POINTS})."
        ),
        format!("n seeds; ± half the {} % t interval of their mean, absent for one seed.", 100.0 * LEVEL),
        format!(
            "Vanishing: gain per step below {VANISHING_BELOW}; exploding: above {EXPLODING_ABOVE}. \
             Furthest: the largest distance at which every seed stands clear of rounding."
        ),
        "Memory: the largest distance before the mean first falls below a tenth of where it starts; ≥ where it does not."
            .into(),
    ];
    let title = format!("Gradient norm against distance{}", build::on_task(&settings));
    build::table("gradients", title, notes, rows, columns)
}

/// Seeds fitted, or measured where there is no fit.
pub(super) fn seeds(row: &GradientProfile) -> u64 {
    let measured = || row.points.iter().map(|point| point.log10_norm.n).max().unwrap_or(0);
    row.decay.as_ref().map_or_else(measured, |decay| decay.decades_per_step.n) as u64
}

/// `-3.21 @ 100`: where the gradient has gone at the largest trusted distance.
fn furthest(row: &GradientProfile) -> Cell {
    let trusted = |point: &&ProfilePoint| point.trusted;
    let Some(point) = row.points.iter().filter(trusted).max_by_key(|point| point.distance) else {
        return Cell { text: "–".into(), values: vec![Value::Missing; 4] };
    };
    let relative = estimate(&point.log10_relative, number::short);
    let text = match point.log10_relative.mean {
        Some(mean) => format!("{} @ {}", number::short(mean), point.distance),
        None => "–".into(),
    };
    let mut values = vec![Value::Integer(point.distance)];
    values.extend(relative.values);
    Cell { text, values }
}

/// Slope with its interval, to the second digit of the interval.
pub(super) fn decades(slope: &Estimate) -> Cell {
    let cell = estimate(slope, number::short);
    match (slope.mean, slope.half_width()) {
        (Some(mean), Some(half)) => Cell { text: number::with_spread(mean, half), ..cell },
        _ => cell,
    }
}

pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Vanishing => "vanishing",
        Verdict::Stable => "stable",
        Verdict::Exploding => "exploding",
    }
}
