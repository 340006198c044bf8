//! Accuracy against the coordinate swept; by model where nothing numeric is swept.

use super::Figure;
use super::categories::draw_categories;
use super::chart::{Axis, Chart, Seeds, TickRule};
use super::draw::draw;
use super::names::{
    Panels, axis_label, distinct, file_name, metric_label, metric_range, metric_title, panel_title, point,
    scale_of, seeds_text, several_experiments,
};
use super::palette::Palette;
use crate::summary::{AccuracyGroup, Summary};

/// One figure a task.
pub(crate) fn figures(summary: &Summary, palette: &Palette) -> Vec<Figure> {
    distinct(summary.accuracy.iter().map(|group| group.setting.task.as_str()))
        .into_iter()
        .filter_map(|task| {
            let groups: Vec<_> = summary.accuracy.iter().filter(|group| group.setting.task == task).collect();
            figure(task, &groups, palette)
        })
        .collect()
}

fn figure(task: &str, groups: &[&AccuracyGroup], palette: &Palette) -> Option<Figure> {
    // A group without a single value, all its runs diverged, names a metric it does not have.
    let metric = groups.iter().find(|group| group.value.n > 0).map(|group| group.metric.as_str())?;
    let groups: Vec<_> = groups.iter().copied().filter(|group| group.metric == metric).collect();
    let swept = swept(&groups);
    let chart = chart(task, metric, swept.as_deref(), &groups);
    let svg = match swept {
        Some(_) => draw(&chart, palette),
        None => draw_categories(&chart, palette),
    };
    Figure::of(file_name("accuracy", task), &chart, svg)
}

/// The coordinate that takes several values, of which a line can be made.
fn swept(groups: &[&AccuracyGroup]) -> Option<String> {
    let (key, _) = groups.iter().find_map(|group| group.setting.sweep())?;
    let of_key = groups.iter().filter_map(|group| group.setting.sweep().filter(|(own, _)| *own == key));
    (distinct(of_key.map(|(_, value)| value)).len() > 1).then(|| key.to_string())
}

fn chart(task: &str, metric: &str, swept: Option<&str>, groups: &[&AccuracyGroup]) -> Chart {
    let several = several_experiments(groups.iter().map(|group| &group.setting));
    let position = |group: &AccuracyGroup| match swept {
        Some(key) => group.setting.sweep().filter(|(own, _)| *own == key).map(|(_, value)| value),
        None => Some(0.0),
    };
    let mut panels = Panels::default();
    for group in groups {
        let Some(x) = position(group) else { continue };
        let title = panel_title(&group.setting.without(swept.unwrap_or("")), several);
        let series = panels.series(&title, &group.setting);
        series.points.extend(point(x, &group.value));
        for (place, value) in group.value.values.iter().enumerate() {
            if series.seeds.len() <= place {
                series.seeds.push(Vec::new());
            }
            series.seeds[place].push((x, value.value));
        }
        let trivial = group.trivial().map(|reference| (reference.name.as_str(), reference.value));
        let chance = group.chance().map(|value| ("chance", value));
        for (name, value) in chance.into_iter().chain(trivial) {
            panels.level(&title, name, x, value);
        }
    }
    let (name, short) = (metric_label(metric), metric_title(metric));
    let against = swept.map_or("by model".to_string(), |key| {
        format!("against {}", axis_label(key).trim_end_matches(" (steps)"))
    });
    Chart {
        title: format!("{task}: {short} {against}"),
        subtitle: subtitle(groups),
        x: Axis {
            label: swept.map(axis_label).unwrap_or_default(),
            scale: scale_of(groups.iter().filter_map(|group| position(group))),
            range: None,
            rule: TickRule::Points,
        },
        y: Axis {
            label: name,
            scale: super::axis::Scale::Linear,
            range: metric_range(metric),
            rule: TickRule::Round,
        },
        seeds: Seeds::Dots,
        panels: panels.finish(),
    }
}

fn subtitle(groups: &[&AccuracyGroup]) -> String {
    let mut text = seeds_text(groups.iter().map(|group| group.value.n));
    text.push_str(" (small dots), test stream: mean");
    if groups.iter().any(|group| group.value.interval.is_some()) {
        text.push_str(", 95 % t interval");
    }
    let lost = |count: fn(&AccuracyGroup) -> usize| groups.iter().map(|group| count(group)).sum::<usize>();
    for (count, what) in [
        (lost(|group| group.counts.diverged), "diverged"),
        (lost(|group| group.counts.failed), "failed"),
        (lost(|group| group.counts.skipped), "skipped"),
    ] {
        match count {
            0 => {}
            1 => text.push_str(&format!("; 1 run {what}, not shown")),
            count => text.push_str(&format!("; {count} runs {what}, not shown")),
        }
    }
    text
}
