//! Words of figures: axis labels with units, counts of seeds, file names; and grouping by them.

use super::axis::Scale;
use super::chart::{Crossing, Level, Panel, Point, Series};
use crate::statistics::Estimate;
use crate::summary::{Setting, metric_name};

/// Values in the order of their first appearance, each once.
pub(crate) fn distinct<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for value in values {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}

/// A sweep's key as an axis label: its last word, with the unit where the word has one.
pub(crate) fn axis_label(key: &str) -> String {
    match key.rsplit('.').next().unwrap_or(key) {
        word @ ("lag" | "length" | "delay" | "distance") => format!("{word} (steps)"),
        word => word.replace('_', " "),
    }
}

/// A metric as an axis label.
pub(crate) fn metric_label(metric: &str) -> String {
    match metric {
        "accuracy" => "accuracy on scored positions".into(),
        "loss_nats" => "loss (nats)".into(),
        "train_loss" => "training loss".into(),
        _ if metric.ends_with("bits_per_byte") => format!("{} (lower is better)", metric.replace('_', " ")),
        other => metric_name(other),
    }
}

/// A metric in a title, without what only an axis has to say.
pub(crate) fn metric_title(metric: &str) -> String {
    match metric {
        "accuracy" => "accuracy".into(),
        _ => metric_label(metric).trim_end_matches(" (lower is better)").into(),
    }
}

/// The range of a metric that has one by definition.
pub(crate) fn metric_range(metric: &str) -> Option<(f64, f64)> {
    (metric.ends_with("accuracy") || metric == "exact_match").then_some((0.0, 1.0))
}

/// Logarithmic where positive values span a factor of eight or more.
pub(crate) fn scale_of(values: impl IntoIterator<Item = f64>) -> Scale {
    let (low, high) = values
        .into_iter()
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, 0.0f64), |(low, high), value| (low.min(value), high.max(value)));
    if low > 0.0 && high >= 8.0 * low { Scale::Log } else { Scale::Linear }
}

/// `3 seeds`, `2–3 seeds`.
pub(crate) fn seeds_text(counts: impl IntoIterator<Item = usize>) -> String {
    let (low, high) = counts
        .into_iter()
        .filter(|&count| count > 0)
        .fold((usize::MAX, 0), |(low, high), count| (low.min(count), high.max(count)));
    match (low, high) {
        (_, 0) => "no seed".into(),
        (1, 1) => "1 seed".into(),
        (low, high) if low == high => format!("{high} seeds"),
        (low, high) => format!("{low}–{high} seeds"),
    }
}

/// The title of a setting's panel: its experiment where there are several, and its coordinates.
pub(crate) fn panel_title(setting: &Setting, with_experiment: bool) -> String {
    let experiment = if with_experiment { setting.experiment.as_str() } else { "" };
    let words = [experiment.to_string(), setting.coordinates_text()];
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Whether settings come from more than one experiment.
pub(crate) fn several_experiments<'a>(settings: impl IntoIterator<Item = &'a Setting>) -> bool {
    distinct(settings.into_iter().map(|setting| setting.experiment.as_str())).len() > 1
}

/// The mean at a position, with its interval; `None` without any value.
pub(crate) fn point(x: f64, estimate: &Estimate) -> Option<Point> {
    let interval = estimate.interval.map(|interval| (interval.low, interval.high));
    estimate.mean.map(|y| Point { x, y, interval, doubtful: false })
}

/// A file's name from words that a person may have chosen.
pub(crate) fn file_name(stem: &str, word: &str) -> String {
    let plain = |character: char| {
        if character.is_ascii_alphanumeric() || "-_+".contains(character) { character } else { '-' }
    };
    let word: String = word.chars().map(plain).collect();
    format!("{stem}-{word}.svg")
}

/// Panels of one figure; further ones are left out, and the subtitle says so.
pub(crate) const MOST_PANELS: usize = 12;

/// What a subtitle ends with where there are more than [`MOST_PANELS`].
pub(crate) fn first_of(count: usize, what: &str) -> String {
    if count > MOST_PANELS { format!("; the first {MOST_PANELS} of {count} {what}") } else { String::new() }
}

/// Adds values to the panel of a title and there to the series of a model; both come into being as needed.
#[derive(Debug, Default)]
pub(crate) struct Panels {
    panels: Vec<Panel>,
}

impl Panels {
    pub(crate) fn series(&mut self, title: &str, setting: &Setting) -> &mut Series {
        let panel = self.panel(title);
        let known =
            |series: &Series| series.label == setting.model && series.architecture == setting.architecture;
        let place = panel.series.iter().position(known).unwrap_or_else(|| {
            panel.series.push(Series {
                label: setting.model.clone(),
                architecture: setting.architecture.clone(),
                ..Series::default()
            });
            panel.series.len() - 1
        });
        &mut panel.series[place]
    }

    /// A value of a level at a position.
    pub(crate) fn level(&mut self, title: &str, name: &str, x: f64, y: f64) {
        let panel = self.panel(title);
        let place = panel.levels.iter().position(|level| level.label == name).unwrap_or_else(|| {
            panel.levels.push(Level { label: name.into(), points: Vec::new() });
            panel.levels.len() - 1
        });
        let points = &mut panel.levels[place].points;
        if !points.contains(&(x, y)) {
            points.push((x, y));
        }
    }

    /// A position that all of a panel is compared with.
    pub(crate) fn mark(&mut self, title: &str, name: &str, x: f64) {
        self.panel(title).mark = Some((name.into(), x));
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.panels.len()
    }

    /// Changes every point.
    pub(crate) fn points(&mut self, change: impl Fn(&mut Point)) {
        let series = self.panels.iter_mut().flat_map(|panel| &mut panel.series);
        series.flat_map(|series| &mut series.points).for_each(change);
    }

    /// What the guides of all panels are.
    pub(crate) fn guide(&mut self, name: &str) {
        self.panels.iter_mut().for_each(|panel| panel.guide = Some(name.into()));
    }

    /// A place where two series meet.
    pub(crate) fn crossing(&mut self, title: &str, crossing: Crossing) {
        self.panel(title).crossings.push(crossing);
    }

    fn panel(&mut self, title: &str) -> &mut Panel {
        let place = self.panels.iter().position(|panel| panel.title == title).unwrap_or_else(|| {
            self.panels.push(Panel { title: title.into(), ..Panel::default() });
            self.panels.len() - 1
        });
        &mut self.panels[place]
    }

    /// The panels, everything in them by rising position.
    pub(crate) fn finish(mut self) -> Vec<Panel> {
        for panel in &mut self.panels {
            for series in &mut panel.series {
                if !series.trail {
                    series.points.sort_by(|a, b| a.x.total_cmp(&b.x));
                }
                for seed in &mut series.seeds {
                    seed.sort_by(|a, b| a.0.total_cmp(&b.0));
                }
                series.guide.sort_by(|a, b| a.0.total_cmp(&b.0));
            }
            for level in &mut panel.levels {
                level.points.sort_by(|a, b| a.0.total_cmp(&b.0));
            }
        }
        self.panels
    }
}

/// Adds every seed's value at a position to a series, one list a seed.
pub(crate) fn add_seeds(seeds: &mut Vec<(u64, Vec<(f64, f64)>)>, x: f64, estimate: &Estimate) {
    for value in &estimate.values {
        let place = seeds.iter().position(|(seed, _)| *seed == value.seed).unwrap_or_else(|| {
            seeds.push((value.seed, Vec::new()));
            seeds.len() - 1
        });
        seeds[place].1.push((x, value.value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_carry_units() {
        assert_eq!(axis_label("task.lag"), "lag (steps)");
        assert_eq!(axis_label("task.key_pairs"), "key pairs");
        assert_eq!(metric_label("bits_per_byte"), "bits per byte (lower is better)");
        assert_eq!(metric_title("validation_bits_per_byte"), "validation bits per byte");
    }

    #[test]
    fn a_factor_of_eight_is_logarithmic() {
        assert_eq!(scale_of([10.0, 30.0, 80.0]), Scale::Log);
        assert_eq!(scale_of([10.0, 79.0]), Scale::Linear);
        assert_eq!(scale_of([0.0, 100.0]), Scale::Linear);
        assert_eq!(scale_of([]), Scale::Linear);
    }

    #[test]
    fn seeds_are_counted_as_a_range() {
        assert_eq!(seeds_text([3, 3]), "3 seeds");
        assert_eq!(seeds_text([3, 2, 0]), "2–3 seeds");
        assert_eq!(seeds_text([1]), "1 seed");
    }

    #[test]
    fn file_names_hold_no_path() {
        assert_eq!(file_name("accuracy", "../a b"), "accuracy----a-b.svg");
    }
}
