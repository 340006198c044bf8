//! Validation score against learning rate: every trial of a selection, and a ring around the rate it chose.

use super::Figure;
use super::axis::Scale;
use super::chart::{Axis, Chart, Point, Seeds, TickRule};
use super::names::{
    Panels, add_seeds, distinct, file_name, metric_label, metric_range, metric_title, panel_title, point,
    several_experiments,
};
use super::palette::Palette;
use crate::summary::{Selection, Summary};

/// One figure a task.
pub(crate) fn figures(summary: &Summary, palette: &Palette) -> Vec<Figure> {
    distinct(summary.selections.iter().map(|own| own.setting.task.as_str()))
        .into_iter()
        .filter_map(|task| {
            let of_task = summary.selections.iter().filter(|own| own.setting.task == task);
            let chart = chart(task, &of_task.collect::<Vec<_>>())?;
            Figure::of_chart(file_name("selection", task), &chart, palette)
        })
        .collect()
}

fn chart(task: &str, selections: &[&Selection]) -> Option<Chart> {
    let scored = |own: &&Selection| own.candidates.iter().any(|candidate| candidate.value.n > 0);
    let metric = selections.iter().copied().find(scored)?.metric.as_str();
    let selections: Vec<_> = selections.iter().copied().filter(|own| own.metric == metric).collect();
    let several = several_experiments(selections.iter().map(|own| &own.setting));
    let mut panels = Panels::default();
    for own in &selections {
        let title = panel_title(&own.setting, several);
        let mut seeds = Vec::new();
        let series = panels.series(&title, &own.setting);
        for candidate in &own.candidates {
            // Of two or three trials an interval would fill the picture and say nothing.
            let mean = point(candidate.rate, &candidate.value).map(|mean| Point { interval: None, ..mean });
            series.points.extend(mean);
            add_seeds(&mut seeds, candidate.rate, &candidate.value);
        }
        series.seeds.extend(seeds.into_iter().map(|(_, values)| values));
        series.ring = own.chosen;
    }
    let name = format!("validation_{metric}");
    Some(Chart {
        title: format!("{task}: {} against learning rate", metric_title(&name)),
        subtitle: subtitle(&selections),
        x: Axis { label: "learning rate".into(), scale: Scale::Log, range: None, rule: TickRule::Points },
        y: Axis {
            label: metric_label(&name),
            scale: Scale::Linear,
            range: metric_range(&name),
            rule: TickRule::Round,
        },
        seeds: Seeds::Dots,
        panels: panels.finish(),
    })
}

fn subtitle(selections: &[&Selection]) -> String {
    let candidates = || selections.iter().flat_map(|own| &own.candidates);
    let (low, high) = candidates()
        .map(|candidate| candidate.trials)
        .fold((usize::MAX, 0), |(low, high), trials| (low.min(trials), high.max(trials)));
    let trials = match (low, high) {
        (1, 1) => "1 trial".into(),
        (low, high) if low == high => format!("{high} trials"),
        (low, high) => format!("{low}–{high} trials"),
    };
    let mut text =
        format!("{trials} of each rate on tuning seeds (small dots), models side by side; line: the mean");
    if selections.iter().any(|own| own.chosen.is_some()) {
        text.push_str("; ring: the rate chosen");
    }
    match candidates().map(|candidate| candidate.diverged).sum::<usize>() {
        0 => {}
        1 => text.push_str("; 1 trial diverged, not shown"),
        count => text.push_str(&format!("; {count} trials diverged, not shown")),
    }
    text
}
