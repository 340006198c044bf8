//! Accuracy against the length evaluated, within and beyond the longest trained: one panel a setting of the sweep.

use super::Figure;
use super::axis::Scale;
use super::chart::{Axis, Chart, Point, Seeds, TickRule};
use super::names::{
    Panels, add_seeds, distinct, file_name, metric_label, metric_range, metric_title, panel_title, point,
    scale_of, seeds_text, several_experiments,
};
use super::palette::Palette;
use crate::summary::{LengthCurve, Summary};

/// One figure a task that was evaluated at several lengths.
pub(crate) fn figures(summary: &Summary, palette: &Palette) -> Vec<Figure> {
    distinct(summary.length_curves.iter().map(|curve| curve.setting.task.as_str()))
        .into_iter()
        .filter_map(|task| {
            let of_task = summary.length_curves.iter().filter(|curve| curve.setting.task == task);
            let chart = chart(task, &of_task.collect::<Vec<_>>())?;
            Figure::of_chart(file_name("accuracy-by-length", task), &chart, palette)
        })
        .collect()
}

fn chart(task: &str, curves: &[&LengthCurve]) -> Option<Chart> {
    let metric = curves.first()?.metric.as_str();
    let curves: Vec<_> = curves.iter().copied().filter(|curve| curve.metric == metric).collect();
    let several = several_experiments(curves.iter().map(|curve| &curve.setting));
    let mut panels = Panels::default();
    for curve in &curves {
        let title = panel_title(&curve.setting, several);
        let mut seeds = Vec::new();
        let series = panels.series(&title, &curve.setting);
        for at in &curve.points {
            let mean = point(at.length as f64, &at.value).map(|mean| Point { interval: None, ..mean });
            series.points.extend(mean);
            add_seeds(&mut seeds, at.length as f64, &at.value);
        }
        series.seeds.extend(seeds.into_iter().map(|(_, values)| values));
        panels.mark(&title, "longest trained length", curve.primary as f64);
        if let (Some(chance), Some(first)) = (curve.chance, curve.points.first()) {
            panels.level(&title, "chance", first.length as f64, chance);
        }
    }
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let seeds = seeds_text(points().map(|at| at.value.n));
    Some(Chart {
        title: format!("{task}: {} against evaluated length", metric_title(metric)),
        subtitle: format!("{seeds} (thin lines), test stream: mean (thick)"),
        x: Axis {
            label: "evaluated length (steps)".into(),
            scale: scale_of(points().map(|at| at.length as f64)),
            range: None,
            rule: TickRule::Points,
        },
        y: Axis {
            label: metric_label(metric),
            scale: Scale::Linear,
            range: metric_range(metric),
            rule: TickRule::Round,
        },
        seeds: Seeds::Lines,
        panels: panels.finish(),
    })
}
