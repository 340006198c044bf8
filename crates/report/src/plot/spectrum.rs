//! Eigenvalues of recurrent matrices and poles in the complex plane, and singular values of Jacobians against distance.

use super::Figure;
use super::axis::Scale;
use super::chart::{Axis, Chart, Level, Panel, Seeds, Series, TickRule};
use super::gradients::stage_title;
use super::names::{MOST_PANELS, distinct, file_name, first_of, panel_title};
use super::palette::Palette;
use crate::summary::{Spectrum, Summary};
use std::collections::BTreeMap;

/// Rows as they are, or without the moments between the first and the last where there are too many to draw.
fn fewer<'a>(rows: &[&'a Spectrum]) -> Vec<&'a Spectrum> {
    let ends = |row: &&&Spectrum| row.stage == "init" || row.stage == "end";
    let drawn = distinct(rows.iter().map(|row| (title_of(row), row.layer))).len();
    rows.iter().filter(|row| drawn <= MOST_PANELS || ends(row)).copied().collect()
}

/// Eigenvalues, then singular values; one figure a task where there are several.
pub(crate) fn figures(summary: &Summary, palette: &Palette) -> Vec<Figure> {
    let tasks = distinct(summary.spectra.iter().map(|row| row.setting.task.as_str()));
    let mut figures = Vec::new();
    for task in &tasks {
        let rows: Vec<&Spectrum> = summary.spectra.iter().filter(|row| row.setting.task == *task).collect();
        let name = |word: &str| if tasks.len() > 1 { format!("{word}-{task}") } else { word.to_string() };
        let complex = |row: &&&Spectrum| row.quantity == "pole" || row.quantity.starts_with("eigenvalue:");
        let eigenvalues: Vec<&Spectrum> = rows.iter().filter(complex).copied().collect();
        let chart = plane(task, &fewer(&eigenvalues));
        figures.extend(chart.and_then(|chart| {
            Figure::of_chart(file_name("spectrum", &name("eigenvalues")), &chart, palette)
        }));
        let singular: Vec<&Spectrum> =
            rows.iter().filter(|row| row.quantity == "singular").copied().collect();
        let chart = against_distance(task, &fewer(&singular));
        figures.extend(
            chart.and_then(|chart| {
                Figure::of_chart(file_name("spectrum", &name("jacobians")), &chart, palette)
            }),
        );
    }
    figures
}

fn title_of(row: &Spectrum) -> String {
    let title = format!("{}, {}", row.setting.model, stage_title(&row.stage));
    match panel_title(&row.setting, false) {
        rest if rest.is_empty() => title,
        rest => format!("{title}, {rest}"),
    }
}

fn plane(task: &str, rows: &[&Spectrum]) -> Option<Chart> {
    let layer = rows.iter().map(|row| row.layer).min()?;
    let rows: Vec<&Spectrum> = rows.iter().copied().filter(|row| row.layer == layer).collect();
    let circle: Vec<(f64, f64)> = (0..=180)
        .map(|at| {
            let (im, re) = (f64::from(at) * std::f64::consts::TAU / 180.0).sin_cos();
            (re, im)
        })
        .collect();
    let mut panels: Vec<Panel> = Vec::new();
    for row in &rows {
        let title = title_of(row);
        let place = panels.iter().position(|panel| panel.title == title).unwrap_or_else(|| {
            panels.push(Panel {
                title,
                series: vec![Series {
                    label: row.setting.model.clone(),
                    architecture: row.setting.architecture.clone(),
                    ..Series::default()
                }],
                levels: vec![Level { label: "unit circle".into(), points: circle.clone() }],
                mark: None,
                ..Panel::default()
            });
            panels.len() - 1
        });
        // Where there are several matrices, as of gates, all of theirs.
        let dots = row.values.iter().map(|value| (value.re, value.im));
        panels[place].series[0].seeds.push(dots.collect());
    }
    let reach = rows.iter().flat_map(|row| &row.values).map(|value| value.re.abs().max(value.im.abs()));
    let reach = reach.filter(|reach| reach.is_finite()).fold(1.0, f64::max) * 1.08;
    let axis = |label: &str| Axis {
        label: label.into(),
        scale: Scale::Linear,
        range: Some((-reach, reach)),
        rule: TickRule::Round,
    };
    Some(Chart {
        title: "Eigenvalues of what the state is multiplied by at every step".into(),
        subtitle: subtitle(
            task,
            layer,
            panels.len(),
            "every seed; of gates: each gate's matrix; of a diagonal recurrence: its poles",
        ),
        x: axis("real part"),
        y: axis("imaginary part"),
        seeds: Seeds::Scatter,
        panels: {
            panels.truncate(MOST_PANELS);
            panels
        },
    })
}

fn against_distance(task: &str, rows: &[&Spectrum]) -> Option<Chart> {
    let layer = rows.iter().map(|row| row.layer).max()?;
    let rows: Vec<&Spectrum> = rows.iter().copied().filter(|row| row.layer == layer).collect();
    let panels = rows.iter().map(|row| {
        // The first seed's values, a line for each index: seeds beside them would hide them.
        let first = row.values.iter().map(|value| value.seed).min();
        let mut lines: BTreeMap<u32, Vec<(f64, f64)>> = BTreeMap::new();
        for value in row.values.iter().filter(|value| Some(value.seed) == first) {
            lines.entry(value.index).or_default().push((value.distance as f64, value.re));
        }
        Panel {
            title: title_of(row),
            series: vec![Series {
                label: row.setting.model.clone(),
                architecture: row.setting.architecture.clone(),
                seeds: lines.into_values().collect(),
                ..Series::default()
            }],
            levels: vec![Level { label: "gain".into(), points: vec![(1.0, 0.0)] }],
            mark: None,
            ..Panel::default()
        }
    });
    Some(Chart {
        title: "Singular values of the Jacobian of the carried state against distance".into(),
        subtitle: subtitle(
            task,
            layer,
            rows.len(),
            "one sample of the first seed; values within rounding of the largest are not drawn",
        ),
        x: Axis {
            label: "distance (steps)".into(),
            scale: Scale::Linear,
            range: None,
            rule: TickRule::Round,
        },
        y: Axis {
            label: "singular values of ∂s_T/∂s_{T−k}".into(),
            scale: Scale::Exponent,
            range: None,
            rule: TickRule::Round,
        },
        seeds: Seeds::Lines,
        panels: panels.take(MOST_PANELS).collect(),
    })
}

fn subtitle(task: &str, layer: u32, panels: usize, what: &str) -> String {
    format!("{task}, layer {layer}; {what}{}", first_of(panels, "panels"))
}
