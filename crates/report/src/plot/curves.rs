//! Learning curves: validation accuracy, or a loss where there is none, against training steps.

use super::Figure;
use super::axis::Scale;
use super::chart::{Axis, Chart, Point, Seeds, TickRule};
use super::names::{
    Panels, distinct, file_name, metric_label, metric_range, panel_title, seeds_text, several_experiments,
};
use super::palette::Palette;
use crate::statistics::{mean, median};
use crate::summary::{CurveSeed, LearningCurve, Summary};
use seqbench_record::Status;

/// What a learning curve shows, the first that a task has.
const METRICS: [&str; 6] = [
    "validation_accuracy",
    "validation_bits_per_byte",
    "validation_mse",
    "validation_loss_nats",
    "validation_loss",
    "train_loss",
];

/// One figure a task.
pub(crate) fn figures(summary: &Summary, palette: &Palette) -> Vec<Figure> {
    distinct(summary.learning_curves.iter().map(|curve| curve.setting.task.as_str()))
        .into_iter()
        .filter_map(|task| {
            let of_task: Vec<_> =
                summary.learning_curves.iter().filter(|curve| curve.setting.task == task).collect();
            let has = |metric: &&str| of_task.iter().any(|curve| curve.metric == *metric);
            let metric = METRICS.into_iter().find(has)?;
            let curves: Vec<_> = of_task.iter().copied().filter(|curve| curve.metric == metric).collect();
            let chart = chart(task, metric, &curves, summary);
            Figure::of_chart(file_name("curves", task), &chart, palette)
        })
        .collect()
}

fn chart(task: &str, metric: &str, curves: &[&LearningCurve], summary: &Summary) -> Chart {
    let several = several_experiments(curves.iter().map(|curve| &curve.setting));
    let mut panels = Panels::default();
    for curve in curves {
        let title = panel_title(&curve.setting, several);
        let series = panels.series(&title, &curve.setting);
        series.points.extend(mean_curve(&curve.seeds));
        let values =
            |seed: &CurveSeed| seed.points.iter().map(|&(step, value)| (step as f64, value)).collect();
        series.seeds.extend(curve.seeds.iter().map(values));
        let chance = summary
            .accuracy
            .iter()
            .filter(|group| group.setting == curve.setting)
            .flat_map(|group| &group.references)
            .find(|reference| {
                reference.name == "chance" && metric == format!("validation_{}", reference.metric)
            });
        if let Some(chance) = chance {
            panels.level(&title, "chance", 0.0, chance.value);
        }
    }
    let diverged =
        curves.iter().flat_map(|curve| &curve.seeds).filter(|seed| seed.status == Status::Diverged).count();
    let lost = match diverged {
        0 => String::new(),
        count => format!("; {count} diverged, in no mean"),
    };
    let seeds = seeds_text(curves.iter().map(|curve| curve.seeds.len()));
    let name = metric_label(metric);
    Chart {
        title: format!("{task}: {name} against training steps"),
        subtitle: format!("{seeds} (thin lines), mean (thick){lost}"),
        x: Axis { label: "training steps".into(), scale: Scale::Linear, range: None, rule: TickRule::Round },
        y: Axis {
            label: name,
            scale: Scale::Linear,
            range: metric_range(metric).or_else(|| loss_range(curves)),
            rule: TickRule::Round,
        },
        seeds: Seeds::Lines,
        panels: panels.finish(),
    }
}

/// The mean over the seeds that did not diverge, at the steps that all of them have.
fn mean_curve(seeds: &[CurveSeed]) -> Vec<Point> {
    let whole: Vec<&CurveSeed> = seeds.iter().filter(|seed| seed.status != Status::Diverged).collect();
    let Some(first) = whole.first() else { return Vec::new() };
    let at = |seed: &CurveSeed, step: u64| {
        let place = seed.points.binary_search_by_key(&step, |point| point.0).ok()?;
        Some(seed.points[place].1)
    };
    let mean_at = |step: u64| {
        let values: Option<Vec<f64>> = whole.iter().map(|seed| at(seed, step)).collect();
        mean(&values?).map(|y| Point { x: step as f64, y, ..Point::default() })
    };
    first.points.iter().filter_map(|&(step, _)| mean_at(step)).collect()
}

/// From zero to a little above where the losses start: what rises beyond leaves the picture, so that one
/// exploding run does not flatten all others.
fn loss_range(curves: &[&LearningCurve]) -> Option<(f64, f64)> {
    let seeds = || curves.iter().flat_map(|curve| &curve.seeds);
    let starts: Vec<f64> = seeds()
        .filter_map(|seed| seed.points.iter().map(|point| point.1).find(|value| value.is_finite()))
        .collect();
    let start = median(&starts)?;
    let values =
        || seeds().flat_map(|seed| &seed.points).map(|point| point.1).filter(|value| value.is_finite());
    let low = values().fold(0.0, f64::min);
    let high = values().fold(f64::NEG_INFINITY, f64::max).min(2.0 * start.abs());
    (high > low).then_some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(status: Status, points: &[(u64, f64)]) -> CurveSeed {
        CurveSeed { seed: 0, status, points: points.to_vec() }
    }

    #[test]
    fn a_diverged_seed_is_in_no_mean_and_a_missing_step_in_no_curve() {
        let seeds = [
            seed(Status::Done, &[(0, 0.0), (10, 0.5), (20, 1.0)]),
            seed(Status::Diverged, &[(0, 9.0), (10, f64::NAN)]),
            seed(Status::Done, &[(0, 0.5), (20, 0.5)]),
        ];
        let points: Vec<_> = mean_curve(&seeds).iter().map(|point| (point.x, point.y)).collect();
        assert_eq!(points, [(0.0, 0.25), (20.0, 0.75)]);
        assert!(mean_curve(&seeds[1..2]).is_empty());
    }
}
