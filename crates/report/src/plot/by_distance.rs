//! Accuracy against the lag of the scored position, inside one model: one panel a setting of the sweep.

use super::Figure;
use super::axis::Scale;
use super::chart::{Axis, Chart, Seeds, TickRule};
use super::names::{
    Panels, add_seeds, distinct, file_name, metric_label, metric_range, metric_title, panel_title, point,
    scale_of, seeds_text, several_experiments,
};
use super::palette::Palette;
use crate::summary::{LagCurve, Summary};

/// One figure a task in which some model has two lags or more.
pub(crate) fn figures(summary: &Summary, palette: &Palette) -> Vec<Figure> {
    distinct(summary.lag_curves.iter().map(|curve| curve.setting.task.as_str()))
        .into_iter()
        .filter_map(|task| {
            let of_task = summary.lag_curves.iter().filter(|curve| curve.setting.task == task);
            let curves: Vec<_> = of_task.filter(|curve| curve.points.len() > 1).collect();
            let chart = chart(task, &curves)?;
            Figure::of_chart(file_name("accuracy-by-distance", task), &chart, palette)
        })
        .collect()
}

fn chart(task: &str, curves: &[&LagCurve]) -> Option<Chart> {
    let metric = curves.first()?.metric.as_str();
    let curves: Vec<_> = curves.iter().copied().filter(|curve| curve.metric == metric).collect();
    let several = several_experiments(curves.iter().map(|curve| &curve.setting));
    let mut panels = Panels::default();
    for curve in &curves {
        let title = panel_title(&curve.setting, several);
        let mut seeds = Vec::new();
        let series = panels.series(&title, &curve.setting);
        for at in &curve.points {
            let mean =
                point(at.lag as f64, &at.value).map(|mean| super::chart::Point { interval: None, ..mean });
            series.points.extend(mean);
            add_seeds(&mut seeds, at.lag as f64, &at.value);
        }
        series.seeds.extend(seeds.into_iter().map(|(_, values)| values));
        if let (Some(chance), Some(first)) = (curve.chance, curve.points.first()) {
            panels.level(&title, "chance", first.lag as f64, chance);
        }
    }
    let points = || curves.iter().flat_map(|curve| &curve.points);
    Some(Chart {
        title: format!("{task}: {} against distance to the evidence", metric_title(metric)),
        subtitle: format!(
            "inside one model; {} (thin lines), test stream: mean (thick)",
            seeds_text(points().map(|at| at.value.n))
        ),
        x: Axis {
            label: "distance to the evidence (steps)".into(),
            scale: scale_of(points().map(|at| at.lag as f64)),
            range: None,
            rule: TickRule::Round,
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
