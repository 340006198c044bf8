//! Gradient norm against distance, one panel a stage of training, at the longest setting of the sweep.

use super::Figure;
use super::axis::Scale;
use super::chart::{Axis, Chart, Point, Seeds, TickRule};
use super::names::{Panels, add_seeds, distinct, file_name, panel_title, seeds_text};
use super::palette::Palette;
use crate::summary::{GradientProfile, Setting, Summary};

/// One figure for each variable differentiated by, and for each task where there are several.
pub(crate) fn figures(summary: &Summary, palette: &Palette) -> Vec<Figure> {
    let figure = |own: Variable<'_>| {
        let chart = chart(own.task, own.wrt, &own.profiles)?;
        Figure::of_chart(file_name("gradients", &own.name), &chart, palette)
    };
    variables(summary).into_iter().filter_map(figure).collect()
}

/// The profiles of one variable on one task.
pub(super) struct Variable<'a> {
    pub(super) wrt: &'a str,
    pub(super) task: &'a str,
    /// For file names: the variable, and the task where there are several.
    pub(super) name: String,
    pub(super) profiles: Vec<&'a GradientProfile>,
}

/// Every variable differentiated by, on every task.
pub(super) fn variables(summary: &Summary) -> Vec<Variable<'_>> {
    let tasks = distinct(summary.profiles.iter().map(|profile| profile.setting.task.as_str()));
    let mut found = Vec::new();
    for wrt in distinct(summary.profiles.iter().map(|profile| profile.wrt.as_str())) {
        for task in &tasks {
            let of_task = summary.profiles.iter().filter(|profile| profile.setting.task == *task);
            let profiles = of_task.filter(|profile| profile.wrt == wrt).collect();
            let name = if tasks.len() > 1 { format!("{wrt}-{task}") } else { wrt.to_string() };
            found.push(Variable { wrt, task, name, profiles });
        }
    }
    found
}

fn chart(task: &str, wrt: &str, profiles: &[&GradientProfile]) -> Option<Chart> {
    let largest = largest_of(profiles.iter().map(|profile| &profile.setting));
    let layers = distinct(profiles.iter().map(|profile| profile.layer));
    // The lowest layer's gradient has come the whole way.
    let layer = layers.iter().copied().min()?;
    let chosen = profiles.iter().copied().filter(|profile| {
        let at = profile.setting.sweep().map(|(key, value)| (key.to_string(), value));
        profile.layer == layer && at == largest
    });
    let chosen: Vec<&GradientProfile> = chosen.collect();
    let others = |setting: &Setting| match &largest {
        Some((key, _)) => setting.without(key),
        None => setting.clone(),
    };
    let mut panels = Panels::default();
    let mut zeros = 0;
    for stage in distinct(chosen.iter().map(|profile| profile.stage.as_str())) {
        for profile in chosen.iter().filter(|profile| profile.stage == stage) {
            let title = match panel_title(&others(&profile.setting), false) {
                rest if rest.is_empty() => stage_title(stage),
                rest => format!("{}, {rest}", stage_title(stage)),
            };
            let series = panels.series(&title, &profile.setting);
            let mut seeds = Vec::new();
            for at in &profile.points {
                let x = at.distance as f64;
                let mean = at.log10_relative.mean;
                series.points.extend(mean.map(|y| Point { x, y, interval: None, doubtful: !at.trusted }));
                add_seeds(&mut seeds, x, &at.log10_relative);
                zeros +=
                    at.log10_relative.values.iter().filter(|seed| seed.value == f64::NEG_INFINITY).count();
            }
            series.seeds.extend(seeds.into_iter().map(|(_, values)| values));
        }
    }
    let mut context = vec![task.to_string()];
    context.extend(largest.map(|(key, value)| {
        format!("{} {}", key.rsplit('.').next().unwrap_or(&key), super::axis::number(value))
    }));
    if layers.len() > 1 {
        context.push(format!("layer {layer} (the lowest)"));
    }
    let counts = chosen.iter().flat_map(|profile| &profile.points).map(|at| at.log10_relative.n);
    let mut subtitle =
        format!("{}; {} (thin lines), geometric mean (thick)", context.join(", "), seeds_text(counts));
    if chosen.iter().flat_map(|profile| &profile.points).any(|at| !at.trusted) {
        subtitle.push_str("; hollow: within rounding");
    }
    if zeros > 0 {
        subtitle.push_str(&format!("; {zeros} exact zeros not drawn"));
    }
    Some(Chart {
        title: format!("Gradient norm at {} against distance", variable(wrt)),
        subtitle,
        x: Axis {
            label: "distance from the scored step (steps)".into(),
            scale: Scale::Linear,
            range: None,
            rule: TickRule::Round,
        },
        y: Axis {
            label: "gradient norm relative to distance 0".into(),
            scale: Scale::Exponent,
            range: None,
            rule: TickRule::Round,
        },
        seeds: Seeds::Lines,
        panels: panels.finish(),
    })
}

/// The largest value of the coordinate swept, `None` where nothing numeric is.
pub(super) fn largest_of<'a>(settings: impl Iterator<Item = &'a Setting> + Clone) -> Option<(String, f64)> {
    let (key, _) = settings.clone().find_map(Setting::sweep)?;
    let values = settings.filter_map(|setting| setting.sweep().filter(|(own, _)| *own == key));
    values.map(|(_, value)| value).max_by(f64::total_cmp).map(|value| (key.to_string(), value))
}

/// What a gradient is taken at, in words.
pub(super) fn variable(wrt: &str) -> String {
    match wrt {
        "input" => "the input".to_owned(),
        "state" => "the carried state".to_owned(),
        other => format!("`{}` of the carried state", other.trim_start_matches("state:")),
    }
}

pub(super) fn stage_title(stage: &str) -> String {
    match stage {
        "init" => "at initialisation".into(),
        "end" => "after training".into(),
        other => match other.strip_prefix("step-") {
            Some(step) => format!("after {step} steps"),
            None => other.into(),
        },
    }
}
