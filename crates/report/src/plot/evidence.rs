//! Gradient at the evidence over that at the scored step, through training, and the step at which the loss has fallen by a
//! tenth: whether the gradient gets there before the loss falls.

use super::Figure;
use super::axis::Scale;
use super::chart::{Axis, Chart, Panel, Point, Seeds, Series, TickRule};
use super::names::{MOST_PANELS, distinct, file_name, first_of, panel_title, seeds_text};
use super::palette::Palette;
use crate::statistics::{mean, median};
use crate::summary::{CurveSeed, LearningCurve, Summary};

/// Of the lowest layer, whose gradient has come the whole way.
const EVIDENCE: &str = "evidence_log10_relative:layers.0";
const LOSS: &str = "train_loss";
/// Share of the first loss below which it has fallen.
const FALLEN: f64 = 0.9;
/// Fewest moments that make a curve.
const FEWEST_MOMENTS: usize = 3;

/// One figure a task.
pub(crate) fn figures(summary: &Summary, palette: &Palette) -> Vec<Figure> {
    distinct(summary.learning_curves.iter().map(|curve| curve.setting.task.as_str()))
        .into_iter()
        .filter_map(|task| {
            let of_task = summary.learning_curves.iter().filter(|curve| curve.setting.task == task);
            let chart = chart(task, &of_task.collect::<Vec<_>>())?;
            Figure::of_chart(file_name("evidence", task), &chart, palette)
        })
        .collect()
}

fn chart(task: &str, curves: &[&LearningCurve]) -> Option<Chart> {
    let moments = |curve: &LearningCurve| curve.seeds.iter().map(|seed| seed.points.len()).max().unwrap_or(0);
    let evidence: Vec<_> =
        curves.iter().filter(|curve| curve.metric == EVIDENCE && moments(curve) >= FEWEST_MOMENTS).collect();
    let panel = |curve: &&&LearningCurve| {
        let setting = &curve.setting;
        let mut title = setting.model.clone();
        let rest = panel_title(setting, false);
        if !rest.is_empty() {
            title = format!("{title}, {rest}");
        }
        let finite = |seed: &CurveSeed| {
            let points = seed.points.iter().filter(|point| point.1.is_finite());
            points.map(|&(step, value)| (step as f64, value)).collect::<Vec<_>>()
        };
        let loss = curves.iter().find(|own| own.metric == LOSS && own.setting == *setting);
        Panel {
            title,
            series: vec![Series {
                label: setting.model.clone(),
                architecture: setting.architecture.clone(),
                points: means(&curve.seeds),
                seeds: curve.seeds.iter().map(finite).collect(),
                ..Series::default()
            }],
            levels: Vec::new(),
            mark: loss
                .and_then(|loss| first_fall(&loss.seeds))
                .map(|step| ("loss down 10 %".to_owned(), step)),
            ..Panel::default()
        }
    };
    let panels: Vec<Panel> = evidence.iter().take(MOST_PANELS).map(panel).collect();
    let mut subtitle = format!(
        "{task}; {} (thin lines), geometric mean (thick), input of the lowest layer; dotted: median step",
        seeds_text(evidence.iter().map(|curve| curve.seeds.len()))
    );
    subtitle.push_str(&first_of(evidence.len(), "settings"));
    (!panels.is_empty()).then_some(Chart {
        title: "Gradient at the evidence, through training".into(),
        subtitle,
        x: Axis { label: "training steps".into(), scale: Scale::Linear, range: None, rule: TickRule::Round },
        y: Axis {
            label: "gradient norm over that at the scored step".into(),
            scale: Scale::Exponent,
            range: None,
            rule: TickRule::Round,
        },
        seeds: Seeds::Lines,
        panels,
    })
}

/// Means over the seeds that have a finite value there, at the moments of the seed that went farthest.
fn means(seeds: &[CurveSeed]) -> Vec<Point> {
    let longest = seeds.iter().max_by_key(|seed| seed.points.last().map(|point| point.0));
    let at = |step: u64| {
        let own = |seed: &CurveSeed| seed.points.iter().find(|point| point.0 == step).map(|point| point.1);
        let values: Vec<f64> = seeds.iter().filter_map(own).filter(|value| value.is_finite()).collect();
        mean(&values).map(|y| Point { x: step as f64, y, ..Point::default() })
    };
    longest.into_iter().flat_map(|seed| &seed.points).filter_map(|point| at(point.0)).collect()
}

/// Median over seeds of the first point of the loss below [`FALLEN`] of its first; none where half of them never get there.
fn first_fall(seeds: &[CurveSeed]) -> Option<f64> {
    let step = |seed: &CurveSeed| {
        let first = seed.points.first()?.1;
        seed.points.iter().find(|point| point.1 < FALLEN * first).map(|point| point.0 as f64)
    };
    let steps: Vec<f64> = seeds.iter().map(|seed| step(seed).unwrap_or(f64::INFINITY)).collect();
    median(&steps).filter(|step| step.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use seqbench_record::Status;

    fn seed(seed: u64, points: &[(u64, f64)]) -> CurveSeed {
        CurveSeed { seed, status: Status::Done, stopped_early: false, points: points.to_vec() }
    }

    #[test]
    fn the_loss_has_fallen_where_most_seeds_lost_a_tenth() {
        let falls = |at: u64| seed(at, &[(10, 2.0), (20, 1.85), (at, 1.7), (90, 0.1)]);
        assert_eq!(first_fall(&[falls(30), falls(40), falls(50)]), Some(40.0));
        let never = seed(0, &[(10, 2.0), (90, 1.9)]);
        assert_eq!(first_fall(&[falls(30), never.clone(), never]), None);
        assert_eq!(first_fall(&[]), None);
    }

    #[test]
    fn a_moment_is_the_mean_of_the_finite_seeds_that_reached_it() {
        let seeds =
            [seed(0, &[(0, -4.0), (10, f64::NEG_INFINITY), (20, -1.0)]), seed(1, &[(0, -2.0), (10, -2.0)])];
        let found: Vec<(f64, f64)> = means(&seeds).iter().map(|point| (point.x, point.y)).collect();
        assert_eq!(found, [(0.0, -3.0), (10.0, -2.0), (20.0, -1.0)]);
    }
}
