//! Global gradient norms over training, before clipping and after, where clipping did something.

use super::Figure;
use super::axis::Scale;
use super::chart::{Axis, Chart, Level, Panel, Point, Seeds, Series, TickRule};
use super::names::{MOST_PANELS, distinct, file_name, first_of, panel_title, seeds_text};
use super::palette::Palette;
use crate::statistics::mean;
use crate::summary::{CurveSeed, LearningCurve, Summary};

const BEFORE: &str = "gradient_norm_before";
const AFTER: &str = "gradient_norm_after";

/// One figure a task.
pub(crate) fn figures(summary: &Summary, palette: &Palette) -> Vec<Figure> {
    distinct(summary.learning_curves.iter().map(|curve| curve.setting.task.as_str()))
        .into_iter()
        .filter_map(|task| {
            let of = |metric: &str| -> Vec<&LearningCurve> {
                let curves = summary.learning_curves.iter().filter(|curve| curve.setting.task == task);
                curves.filter(|curve| curve.metric == metric).collect()
            };
            let chart = chart(task, &of(BEFORE), &of(AFTER))?;
            Figure::of_chart(file_name("norms", task), &chart, palette)
        })
        .collect()
}

fn chart(task: &str, before: &[&LearningCurve], after: &[&LearningCurve]) -> Option<Chart> {
    let clipped: Vec<(&LearningCurve, &LearningCurve)> = before
        .iter()
        .filter_map(|own| Some((*own, *after.iter().find(|other| other.setting == own.setting)?)))
        .collect();
    if clipped.iter().all(|(before, after)| before.seeds == after.seeds) {
        return None;
    }
    let several = distinct(clipped.iter().map(|(own, _)| own.setting.model.as_str())).len() > 1;
    let panels = clipped.iter().map(|(before, after)| {
        let mut title = panel_title(&before.setting, false);
        if several {
            title = if title.is_empty() {
                before.setting.model.clone()
            } else {
                format!("{}, {title}", before.setting.model)
            };
        }
        let values =
            |seed: &CurveSeed| seed.points.iter().map(|&(step, value)| (step as f64, value)).collect();
        Panel {
            title,
            series: vec![Series {
                label: before.setting.model.clone(),
                architecture: before.setting.architecture.clone(),
                points: geometric_mean(&before.seeds),
                seeds: before.seeds.iter().map(values).collect(),
                ..Series::default()
            }],
            levels: level(&after.seeds),
            mark: None,
            ..Panel::default()
        }
    });
    let seeds = seeds_text(clipped.iter().map(|(own, _)| own.seeds.len()));
    let mut subtitle = format!(
        "{task}; {seeds} (thin lines), geometric mean (thick); each point: mean since the one before"
    );
    subtitle.push_str(&first_of(clipped.len(), "settings"));
    Some(Chart {
        title: "Global gradient norm over training, before clipping and after".into(),
        subtitle,
        x: Axis { label: "training steps".into(), scale: Scale::Linear, range: None, rule: TickRule::Round },
        y: Axis { label: "gradient norm".into(), scale: Scale::Log, range: None, rule: TickRule::Round },
        seeds: Seeds::Lines,
        panels: panels.take(MOST_PANELS).collect(),
    })
}

/// The norms as applied; none of a single point, which would be drawn across.
fn level(seeds: &[CurveSeed]) -> Vec<Level> {
    let points: Vec<(f64, f64)> = geometric_mean(seeds).iter().map(|point| (point.x, point.y)).collect();
    match points.len() {
        0 | 1 => Vec::new(),
        _ => vec![Level { label: "after clipping".into(), points }],
    }
}

/// Over the seeds that have a finite value there, at the steps of the seed that went farthest.
fn geometric_mean(seeds: &[CurveSeed]) -> Vec<Point> {
    let longest = seeds.iter().max_by_key(|seed| seed.points.last().map(|point| point.0));
    let at = |step: u64| {
        let own =
            |seed: &CurveSeed| seed.points.iter().find(|point| point.0 == step).map(|point| point.1.ln());
        let logs: Vec<f64> = seeds.iter().filter_map(own).filter(|log| log.is_finite()).collect();
        mean(&logs).map(|log| Point { x: step as f64, y: log.exp(), ..Point::default() })
    };
    longest.into_iter().flat_map(|seed| &seed.points).filter_map(|point| at(point.0)).collect()
}
