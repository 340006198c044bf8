//! Learning curves: validation accuracy, or a loss where there is none, against training steps.

use super::Figure;
use super::axis::Scale;
use super::chart::{Axis, Chart, Point, Seeds, TickRule};
use super::names::{
    Panels, distinct, file_name, metric_label, metric_range, metric_title, panel_title, seeds_text,
    several_experiments,
};
use super::palette::Palette;
use crate::statistics::{mean, median};
use crate::summary::{CurveSeed, LearningCurve, Summary};
use seqbench_record::Status;

/// What a learning curve shows, the first that a task has.
const METRICS: [&str; 6] = [
    "validation_bits_per_byte",
    "validation_accuracy",
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
    let stopped = curves.iter().flat_map(|curve| &curve.seeds).any(|seed| seed.stopped_early);
    let held = if stopped { "; a run that stopped early keeps its last value in the mean" } else { "" };
    let seeds = seeds_text(curves.iter().map(|curve| curve.seeds.len()));
    Chart {
        title: format!("{task}: {} against training steps", metric_title(metric)),
        subtitle: format!("{seeds} (thin lines), mean (thick){lost}{held}"),
        x: Axis { label: "training steps".into(), scale: Scale::Linear, range: None, rule: TickRule::Round },
        y: Axis {
            label: metric_label(metric),
            scale: Scale::Linear,
            range: metric_range(metric).or_else(|| loss_range(curves)),
            rule: TickRule::Round,
        },
        seeds: Seeds::Lines,
        panels: panels.finish(),
    }
}

/// The mean over the seeds that did not diverge, at the steps that all of them have. One that stopped early keeps its
/// last value: else the mean would end with the first to stop, and show the others' way nowhere.
fn mean_curve(seeds: &[CurveSeed]) -> Vec<Point> {
    let whole: Vec<&CurveSeed> = seeds.iter().filter(|seed| seed.status != Status::Diverged).collect();
    let at = |seed: &CurveSeed, step: u64| {
        let held = || seed.points.last().filter(|last| seed.stopped_early && last.0 < step).copied();
        let place = seed.points.binary_search_by_key(&step, |point| point.0).ok();
        Some(place.map(|place| seed.points[place]).or_else(held)?.1)
    };
    let mean_at = |step: u64| {
        let values: Option<Vec<f64>> = whole.iter().map(|seed| at(seed, step)).collect();
        mean(&values?).map(|y| Point { x: step as f64, y, ..Point::default() })
    };
    // The steps of the seed that went farthest.
    let longest = whole.iter().max_by_key(|seed| seed.points.last().map(|point| point.0));
    longest.into_iter().flat_map(|seed| &seed.points).filter_map(|&(step, _)| mean_at(step)).collect()
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
        CurveSeed { seed: 0, status, stopped_early: false, points: points.to_vec() }
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
    #[test]
    fn a_seed_that_stopped_early_keeps_its_last_value() {
        let early = CurveSeed { stopped_early: true, ..seed(Status::Done, &[(0, 0.0), (10, 1.0)]) };
        let late = seed(Status::Done, &[(0, 0.0), (10, 0.5), (20, 0.5), (30, 1.0)]);
        let points = |seeds: &[CurveSeed]| -> Vec<(f64, f64)> {
            mean_curve(seeds).iter().map(|point| (point.x, point.y)).collect()
        };
        assert_eq!(
            points(&[early.clone(), late.clone()]),
            [(0.0, 0.0), (10.0, 0.75), (20.0, 0.75), (30.0, 1.0)]
        );
        let lost = CurveSeed { stopped_early: false, ..early };
        assert_eq!(points(&[lost, late]), [(0.0, 0.0), (10.0, 0.75)]);
    }
}
