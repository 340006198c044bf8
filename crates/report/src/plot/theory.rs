//! Measured gradient profiles with what theory predicts of them, one panel a model and stage, at the longest setting of the
//! sweep.

use super::Figure;
use super::axis::Scale;
use super::chart::{Axis, Chart, Level, Panel, Point, Seeds, Series, TickRule};
use super::gradients::{largest_of, stage_title};
use super::names::{MOST_PANELS, add_seeds, distinct, file_name, first_of, panel_title, seeds_text};
use super::palette::Palette;
use crate::summary::{ProfilePoint, Summary, TheoryProfile};

/// One figure for each entry of a state, or the input, and each task where there are several.
pub(crate) fn figures(summary: &Summary, palette: &Palette) -> Vec<Figure> {
    let tasks = distinct(summary.theories.iter().map(|row| row.setting.task.as_str()));
    let mut figures = Vec::new();
    // The states of all architectures in one figure: each has its own entries.
    for of_input in [false, true] {
        for task in &tasks {
            let rows = summary.theories.iter().filter(|row| row.setting.task == *task);
            let rows: Vec<_> = rows.filter(|row| (row.entry == "input") == of_input).collect();
            let word = if of_input { "input" } else { "state" };
            let Some(chart) = chart(task, word, &rows) else { continue };
            let name = if tasks.len() > 1 { format!("{word}-{task}") } else { word.to_string() };
            figures.extend(Figure::of_chart(file_name("theory", &name), &chart, palette));
        }
    }
    figures
}

fn chart(task: &str, word: &str, rows: &[&TheoryProfile]) -> Option<Chart> {
    let largest = largest_of(rows.iter().map(|row| &row.setting));
    let layer = rows.iter().map(|row| row.layer).max()?;
    let chosen = rows.iter().copied().filter(|row| {
        row.layer == layer && row.setting.sweep().map(|(key, value)| (key.to_string(), value)) == largest
    });
    let mut panels: Vec<Panel> = Vec::new();
    let mut counts = Vec::new();
    for row in chosen {
        let mut setting = row.setting.clone();
        if let Some((key, _)) = &largest {
            setting = setting.without(key);
        }
        let rest = panel_title(&setting, false);
        let mut title = format!("{}, {}", setting.model, stage_title(&row.stage));
        if row.entry != "input" {
            title = format!("{}: {}", title, row.entry);
        }
        if !rest.is_empty() {
            title = format!("{title}, {rest}");
        }
        if panels.last().is_none_or(|panel| panel.title != title) {
            let mut seeds = Vec::new();
            for point in &row.measured_points {
                add_seeds(&mut seeds, point.distance as f64, &point.log10_relative);
                counts.push(point.log10_relative.n);
            }
            panels.push(Panel {
                title: title.clone(),
                series: vec![Series {
                    label: row.setting.model.clone(),
                    architecture: row.setting.architecture.clone(),
                    points: line(&row.measured_points),
                    seeds: seeds.into_iter().map(|(_, values)| values).collect(),
                    ..Series::default()
                }],
                ..Panel::default()
            });
        }
        let points = line(&row.points).iter().map(|point| (point.x, point.y)).collect();
        if let Some(panel) = panels.last_mut() {
            panel.levels.push(Level { label: row.theory.clone(), points });
        }
    }
    let mut context = vec![task.to_string()];
    context.extend(largest.map(|(key, value)| {
        format!("{} {}", key.rsplit('.').next().unwrap_or(&key), super::axis::number(value))
    }));
    if rows.iter().any(|row| row.layer != layer) {
        context.push(format!("layer {layer} (the highest)"));
    }
    let seeds = seeds_text(counts);
    let more = first_of(panels.len(), "panels");
    panels.truncate(MOST_PANELS);
    Some(Chart {
        title: format!(
            "Gradient norm at the {} and what theory predicts",
            if word == "input" { "input" } else { "carried state" }
        ),
        subtitle: format!(
            "{}; {seeds} (thin lines), geometric mean (thick); theory in grey: from weights and activations{more}",
            context.join(", ")
        ),
        x: Axis {
            label: "distance from the scored step (steps)".into(),
            scale: Scale::Linear,
            range: None,
            rule: TickRule::Round,
        },
        y: Axis {
            label: "gradient norm relative to the nearest distance".into(),
            scale: Scale::Exponent,
            range: None,
            rule: TickRule::Round,
        },
        seeds: Seeds::Lines,
        panels,
    })
}

fn line(points: &[ProfilePoint]) -> Vec<Point> {
    let place = |point: &ProfilePoint| {
        let y = point.log10_relative.mean.filter(|mean| mean.is_finite())?;
        Some(Point { x: point.distance as f64, y, interval: None, doubtful: !point.trusted })
    };
    points.iter().filter_map(place).collect()
}
