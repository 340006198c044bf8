//! Accuracy against the length evaluated, beside the length trained for: one panel a setting of the sweep.

use super::Figure;
use super::axis::Scale;
use super::chart::{Axis, Chart, Seeds, TickRule};
use super::names::{
    Panels, distinct, file_name, metric_label, metric_range, panel_title, point, scale_of, seeds_text,
    several_experiments,
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
        let series = panels.series(&title, &curve.setting);
        series.points.extend(curve.points.iter().filter_map(|at| point(at.length as f64, &at.value)));
        panels.mark(&title, "trained length", curve.primary as f64);
        if let (Some(chance), Some(first)) = (curve.chance, curve.points.first()) {
            panels.level(&title, "chance", first.length as f64, chance);
        }
    }
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let short = if metric == "accuracy" { "accuracy".to_string() } else { metric_label(metric) };
    let mut subtitle = format!("{}, test stream: mean", seeds_text(points().map(|at| at.value.n)));
    if points().any(|at| at.value.interval.is_some()) {
        subtitle.push_str(", 95 % t interval");
    }
    Some(Chart {
        title: format!("{task}: {short} against evaluated length"),
        subtitle,
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
        seeds: Seeds::Dots,
        panels: panels.finish(),
    })
}
