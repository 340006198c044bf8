//! Gradient norm at every layer's input at the scored step, over that of the highest layer: what is left of a gradient that
//! has come through depth alone.

use super::Figure;
use super::axis::{Scale, number};
use super::chart::{Axis, Chart, Point, Seeds, TickRule};
use super::gradients::{largest_of, stage_title};
use super::names::{Panels, add_seeds, axis_label, distinct, file_name, panel_title, seeds_text};
use super::palette::Palette;
use crate::statistics::{Estimate, SeedValue};
use crate::summary::{GradientProfile, Setting, Summary};

/// Fewest layers that make a figure.
const FEWEST_LAYERS: usize = 3;

/// One figure a task.
pub(crate) fn figures(summary: &Summary, palette: &Palette) -> Vec<Figure> {
    let tasks = distinct(summary.profiles.iter().map(|profile| profile.setting.task.as_str()));
    let figure = |task: &str| {
        let of_task = summary.profiles.iter().filter(|profile| profile.setting.task == task);
        let profiles: Vec<_> = of_task.filter(|profile| profile.wrt == "input").collect();
        Figure::of_chart(file_name("gradients-by-layer", task), &chart(task, &profiles)?, palette)
    };
    tasks.into_iter().filter_map(figure).collect()
}

fn chart(task: &str, profiles: &[&GradientProfile]) -> Option<Chart> {
    let largest = largest_of(profiles.iter().map(|profile| &profile.setting));
    let at = |setting: &Setting| setting.sweep().map(|(key, value)| (key.to_string(), value));
    let chosen: Vec<_> = profiles.iter().filter(|profile| at(&profile.setting) == largest).collect();
    let layers = distinct(chosen.iter().map(|profile| profile.layer)).len();
    if layers < FEWEST_LAYERS {
        return None;
    }
    let others = |setting: &Setting| match &largest {
        Some((key, _)) => setting.without(key),
        None => setting.clone(),
    };
    let mut panels = Panels::default();
    let mut counts = Vec::new();
    for stage in distinct(chosen.iter().map(|profile| profile.stage.as_str())) {
        let of_stage = || chosen.iter().filter(|profile| profile.stage == stage);
        for setting in distinct(of_stage().map(|profile| profile.setting.clone())) {
            let title = match panel_title(&others(&setting), false) {
                rest if rest.is_empty() => stage_title(stage),
                rest => format!("{}, {rest}", stage_title(stage)),
            };
            let series = panels.series(&title, &setting);
            let mut seeds = Vec::new();
            let own = || of_stage().filter(|profile| profile.setting == setting);
            let Some(highest) = own().max_by_key(|profile| profile.layer).and_then(|top| top.points.first())
            else {
                continue;
            };
            for profile in own() {
                let Some(nearest) = profile.points.first() else { continue };
                let norm = over(&nearest.log10_norm, &highest.log10_norm);
                let x = f64::from(profile.layer);
                let mean = norm.mean;
                series.points.extend(mean.map(|y| Point {
                    x,
                    y,
                    interval: None,
                    doubtful: !nearest.trusted,
                }));
                add_seeds(&mut seeds, x, &norm);
                counts.push(norm.n);
            }
            series.seeds.extend(seeds.into_iter().map(|(_, values)| values));
        }
    }
    let mut context = vec![task.to_string()];
    context.extend(largest.map(|(key, value)| format!("{} {}", axis_label(&key), number(value))));
    Some(Chart {
        title: "Gradient norm at each layer's input, at the scored step itself".into(),
        subtitle: format!(
            "{}; {} (thin lines), geometric mean (thick)",
            context.join(", "),
            seeds_text(counts)
        ),
        x: Axis {
            label: "layer, from the lowest".into(),
            scale: Scale::Linear,
            range: None,
            rule: TickRule::Points,
        },
        y: Axis {
            label: "gradient norm relative to the highest layer".into(),
            scale: Scale::Exponent,
            range: None,
            rule: TickRule::Round,
        },
        seeds: Seeds::Lines,
        panels: panels.finish(),
    })
}

/// Logarithms of one over those of another, seed by seed.
fn over(above: &Estimate, below: &Estimate) -> Estimate {
    let values = above.values.iter().filter_map(|own| {
        let other = below.values.iter().find(|other| other.seed == own.seed)?;
        Some(SeedValue { seed: own.seed, value: own.value - other.value })
    });
    Estimate::new(values.collect())
}

#[cfg(test)]
mod tests {
    use super::super::cells::{cell, profile};
    use super::*;
    use crate::summary::summarise;
    use seqbench_record::ProfileRow;

    #[test]
    fn layers_stand_relative_to_the_highest_seed_by_seed() {
        let of = |layers: u32, seed: u64| {
            let mut files = cell("rnn", seed, &[]);
            // Half a decade a layer, from a level of the seed's own.
            let row = |layer: u32| ProfileRow {
                layer,
                log10_norm: 3.0 * seed as f64 + 0.5 * f64::from(layer),
                ..profile(0, 0.0, true)
            };
            files.profiles = (0..layers).map(row).collect();
            files
        };
        let summary = summarise(&[of(4, 0), of(4, 1)]);
        let profiles: Vec<_> = summary.profiles.iter().collect();
        let chart = chart("copying", &profiles).unwrap();
        let series = &chart.panels[0].series[0];
        let found: Vec<(f64, f64)> = series.points.iter().map(|point| (point.x, point.y)).collect();
        assert_eq!(found, [(0.0, -1.5), (1.0, -1.0), (2.0, -0.5), (3.0, 0.0)]);
        assert_eq!(series.seeds[0], series.seeds[1]);
        let two = summarise(&[of(2, 0)]);
        assert!(super::chart("copying", &two.profiles.iter().collect::<Vec<_>>()).is_none());
    }
}
