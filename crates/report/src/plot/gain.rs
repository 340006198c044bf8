//! Gain per step against what was swept, beside the gain that theory predicts: one figure for what thirty profiles show one
//! by one.

use super::Figure;
use super::axis::Scale;
use super::chart::{Axis, Chart, Point, Seeds, TickRule};
use super::gradients::{Variable, stage_title, variable, variables};
use super::names::{
    MOST_PANELS, Panels, add_seeds, axis_label, distinct, file_name, first_of, panel_title, seeds_text,
};
use super::palette::Palette;
use crate::statistics::{Estimate, SeedValue};
use crate::summary::{Decay, GradientProfile, Setting, Summary, TheoryProfile};

/// Fewest values of what was swept that make a figure.
const FEWEST_VALUES: usize = 3;

/// One figure for each variable differentiated by, and for each task where there are several.
pub(crate) fn figures(summary: &Summary) -> Vec<Figure> {
    let mut figures = Vec::new();
    for Variable { wrt, task, name, profiles } in variables(summary) {
        let Some(layer) = profiles.iter().map(|profile| profile.layer).min() else { continue };
        let profiles: Vec<_> = profiles.into_iter().filter(|profile| profile.layer == layer).collect();
        let Some(key) = swept(&profiles) else { continue };
        let Some((chart, palette)) = chart(task, wrt, layer, &key, &profiles, summary) else { continue };
        figures.extend(Figure::of_chart(file_name("gain", &name), &chart, &palette));
    }
    figures
}

/// The numeric key of most values, whether it is a coordinate or stands in the models' names as `radius=0.5`.
fn swept(profiles: &[&GradientProfile]) -> Option<String> {
    let all: Vec<(String, f64)> = profiles.iter().flat_map(|profile| numbers(&profile.setting)).collect();
    let values = |key: &str| distinct(all.iter().filter(|own| own.0 == key).map(|own| own.1)).len();
    let keys = distinct(all.iter().map(|(key, _)| key.clone()));
    // The first of those with most values.
    let most = keys.iter().map(|key| values(key)).max().filter(|most| *most >= FEWEST_VALUES)?;
    keys.into_iter().find(|key| values(key) == most)
}

fn numbers(setting: &Setting) -> Vec<(String, f64)> {
    let coordinates = setting.coordinates.iter().filter_map(|own| Some((own.key.clone(), own.number()?)));
    let words = setting.model.split_whitespace().filter_map(|word| {
        let (key, value) = word.split_once('=')?;
        Some((key.to_owned(), value.parse().ok()?))
    });
    coordinates.chain(words).collect()
}

/// Where a setting stands on the axis of `key`, and what it is beside that.
fn place(setting: &Setting, key: &str) -> Option<(f64, Setting)> {
    let (_, value) = numbers(setting).into_iter().find(|(own, _)| own == key)?;
    let is_other = |word: &&str| word.split_once('=').is_none_or(|(own, _)| own != key);
    let model = setting.model.split_whitespace().filter(is_other).collect::<Vec<_>>().join(" ");
    Some((value, Setting { model, ..setting.without(key) }))
}

/// Gain per step of every seed.
fn gain(decay: Option<&Decay>) -> Estimate {
    let slopes = decay.map_or(&[][..], |decay| &decay.decades_per_step.values);
    let gains = slopes.iter().map(|own| SeedValue { seed: own.seed, value: 10f64.powf(own.value) });
    Estimate::new(gains.collect())
}

fn chart(
    task: &str,
    wrt: &str,
    layer: u32,
    key: &str,
    profiles: &[&GradientProfile],
    summary: &Summary,
) -> Option<(Chart, Palette)> {
    let beside = |profile: &GradientProfile| -> Vec<&TheoryProfile> {
        let of_profile = |own: &&TheoryProfile| {
            own.setting == profile.setting
                && own.stage == profile.stage
                && own.layer == profile.layer
                && own.wrt == wrt
        };
        summary.theories.iter().filter(of_profile).collect()
    };
    let has_theory = profiles.iter().any(|profile| !beside(profile).is_empty());
    let mut panels = Panels::default();
    let mut settings: Vec<Setting> = Vec::new();
    let mut seeds: Vec<(String, Setting, Vec<(u64, Vec<(f64, f64)>)>)> = Vec::new();
    let mut counts = Vec::new();
    for profile in profiles {
        let Some((x, rest)) = place(&profile.setting, key) else { continue };
        let estimate = gain(profile.decay.as_ref());
        let mut words = vec![stage_title(&profile.stage)];
        if has_theory {
            words.insert(0, rest.model.clone());
        }
        words.extend(Some(panel_title(&rest, false)).filter(|text| !text.is_empty()));
        let title = words.join(", ");
        let series = panels.series(&title, &rest);
        series.points.extend(estimate.mean.map(|y| Point { x, y, interval: None, doubtful: false }));
        counts.push(estimate.n);
        let known = seeds.iter().position(|(own, setting, _)| *own == title && *setting == rest);
        let at = known.unwrap_or_else(|| {
            seeds.push((title.clone(), rest.clone(), Vec::new()));
            seeds.len() - 1
        });
        add_seeds(&mut seeds[at].2, x, &estimate);
        for theory in beside(profile) {
            if let Some(y) = gain(theory.predicted.as_ref()).mean {
                panels.level(&title, &theory.theory, x, y);
            }
        }
        if !settings.contains(&rest) {
            settings.push(rest);
        }
    }
    for (title, rest, seeds) in seeds {
        panels.series(&title, &rest).seeds.extend(seeds.into_iter().map(|(_, values)| values));
    }
    let mut panels = panels.finish();
    panels.retain(|panel| panel.series.iter().any(|series| series.points.len() >= FEWEST_VALUES));
    let more = first_of(panels.len(), "panels");
    panels.truncate(MOST_PANELS);
    let mut context = vec![task.to_owned()];
    if summary.profiles.iter().any(|profile| profile.wrt == wrt && profile.layer != layer) {
        context.push(format!("layer {layer} (the lowest)"));
    }
    let theory = if has_theory { "; theory in grey" } else { "" };
    let name = axis_label(key);
    let chart = Chart {
        title: format!("Gradient gain per step at {}, by {name}", variable(wrt)),
        subtitle: format!(
            "{}; {} (thin lines), mean (thick){theory}; above 1 it explodes{more}",
            context.join(", "),
            seeds_text(counts)
        ),
        x: Axis { label: name, scale: Scale::Linear, range: None, rule: TickRule::Points },
        y: Axis { label: "gain per step".into(), scale: Scale::Linear, range: None, rule: TickRule::Round },
        seeds: Seeds::Lines,
        panels,
    };
    let models = settings.iter().map(|rest| (rest.architecture.as_str(), rest.model.as_str()));
    let palette = Palette::new(models);
    (!chart.panels.is_empty()).then_some((chart, palette))
}

#[cfg(test)]
mod tests {
    use super::super::cells::{cell, profile};
    use super::*;
    use crate::summary::summarise;
    use seqbench_record::{CellFiles, ProfileRow};
    use serde_json::json;

    fn rows(wrt: &str, slope: f64) -> Vec<ProfileRow> {
        [1, 2, 4].map(|d| ProfileRow { wrt: wrt.into(), ..profile(d, slope * d as f64, true) }).into()
    }

    /// Of a gain of ten to `slope`, predicted as ten to 2 `slope`.
    fn swept_by_name(radius: f64, seed: u64, slope: f64) -> CellFiles {
        let mut files = cell(&format!("rnn init=gaussian radius={radius}"), seed, &[]);
        files.profiles = rows("state", slope);
        files.profiles.extend(rows("theory:h:mean field", 2.0 * slope));
        files
    }

    #[test]
    fn what_stands_in_names_is_swept_as_what_stands_in_coordinates_is() {
        let cells: Vec<CellFiles> = [(0.5, -0.2), (1.0, 0.0), (1.5, 0.1)]
            .iter()
            .flat_map(|(radius, slope)| [0, 1].map(|seed| swept_by_name(*radius, seed, *slope)))
            .collect();
        let summary = summarise(&cells);
        let profiles: Vec<_> = summary.profiles.iter().collect();
        let key = swept(&profiles).unwrap();
        assert_eq!(key, "radius");
        let (chart, _) = chart("copying", "state", 0, &key, &profiles, &summary).unwrap();
        let [panel] = &chart.panels[..] else { panic!("{:?}", chart.panels) };
        assert_eq!(panel.title, "rnn init=gaussian, at initialisation");
        let [series] = &panel.series[..] else { panic!("{:?}", panel.series) };
        assert_eq!(series.label, "rnn init=gaussian");
        assert_eq!(series.seeds.len(), 2);
        let gains: Vec<(f64, f64)> = series.points.iter().map(|point| (point.x, point.y)).collect();
        for ((x, y), (radius, slope)) in gains.into_iter().zip([(0.5, -0.2), (1.0, 0.0), (1.5, 0.1)]) {
            assert_eq!(x, radius);
            assert!((y - 10f64.powf(slope)).abs() < 1e-12, "{radius}: {y}");
        }
        let [level] = &panel.levels[..] else { panic!("{:?}", panel.levels) };
        assert!((level.points[0].1 - 10f64.powf(-0.4)).abs() < 1e-12, "{:?}", level.points);
    }

    #[test]
    fn two_values_make_no_figure_and_models_without_theory_share_a_panel() {
        let of = |model: &str, layers: u64| {
            let mut files = cell(model, 0, &[("model.layers", json!(layers))]);
            files.profiles = rows("input", -0.1);
            files
        };
        let two: Vec<CellFiles> = [1, 2].map(|layers| of("rnn", layers)).into();
        assert!(figures(&summarise(&two)).is_empty());
        let three: Vec<CellFiles> =
            [1, 2, 4].iter().flat_map(|layers| [of("rnn", *layers), of("lstm", *layers)]).collect();
        let summary = summarise(&three);
        let profiles: Vec<_> = summary.profiles.iter().collect();
        let (chart, _) = chart("copying", "input", 0, "model.layers", &profiles, &summary).unwrap();
        let [panel] = &chart.panels[..] else { panic!("{:?}", chart.panels) };
        assert_eq!(panel.series.len(), 2);
        assert_eq!(figures(&summary)[0].file_name, "gain-input.svg");
    }
}
