//! What a run reaches against what it costs: one point a model.

use super::Figure;
use super::axis::Scale;
use super::chart::{Axis, Chart, Point, Seeds, TickRule};
use super::names::{
    Panels, axis_label, distinct, file_name, metric_label, metric_range, metric_title, panel_title,
    several_experiments,
};
use super::palette::Palette;
use super::passes::log_axis;
use crate::statistics::{SeedValue, mean};
use crate::summary::{AccuracyGroup, Reaches, Setting, Stop, Summary};

/// Room at either end of the cost axis, as a factor.
const ROOM: f64 = 1.3;

/// A model's point before it is drawn; no height where its reach is none.
struct Place<'a> {
    setting: &'a Setting,
    seconds: f64,
    height: Option<f64>,
    interval: Option<(f64, f64)>,
    /// (seconds, height) of every run that has both.
    runs: Vec<(f64, f64)>,
    /// Whether the truth may be higher.
    censored: bool,
}

/// One figure a task with two models or more of known cost.
pub(crate) fn figures(summary: &Summary, palette: &Palette) -> Vec<Figure> {
    let tasks = distinct(summary.accuracy.iter().map(|group| group.setting.task.as_str()));
    tasks.into_iter().filter_map(|task| figure(summary, task, palette)).collect()
}

fn figure(summary: &Summary, task: &str, palette: &Palette) -> Option<Figure> {
    // A sweep of one value has no reach worth a figure.
    let swept = |reach: &&Reaches| reach.setting.task == task && reach.points.len() > 1;
    let reaches: Vec<&Reaches> = summary.reaches.iter().filter(swept).collect();
    let chart = match reaches.first() {
        Some(first) => {
            let own: Vec<&Reaches> = reaches.iter().copied().filter(|reach| reach.key == first.key).collect();
            of_reaches(summary, task, &own)
        }
        None => of_accuracy(summary, task)?,
    };
    let models = distinct(chart.series().map(|series| (&series.architecture, &series.label))).len();
    (models > 1).then(|| Figure::of_chart(file_name("accuracy-cost", task), &chart, palette))?
}

fn of_reaches(summary: &Summary, task: &str, reaches: &[&Reaches]) -> Chart {
    let places: Vec<Place<'_>> = reaches
        .iter()
        .filter_map(|reach| {
            Some(Place {
                setting: &reach.setting,
                seconds: seconds(summary, |setting| setting.without(&reach.key) == reach.setting)?,
                height: reach.eighty.value,
                interval: None,
                runs: Vec::new(),
                censored: reach.eighty.censored,
            })
        })
        .collect();
    let label = reaches.first().map_or(String::new(), |reach| axis_label(&reach.key));
    let word = label.trim_end_matches(" (steps)");
    let mut notes =
        vec![format!("reach in {word}: it and every smaller value is solved by 80 % of the seeds")];
    notes
        .extend(places.iter().any(|own| own.censored).then(|| "ringed: no larger value was measured".into()));
    let none: Vec<&str> =
        places.iter().filter(|own| own.height.is_none()).map(|own| own.setting.model.as_str()).collect();
    notes.extend((!none.is_empty()).then(|| format!("not even the smallest: {}", none.join(", "))));
    // Of what was swept, so that the axis shows how far anybody could have come.
    let swept = || reaches.iter().flat_map(|reach| reach.points.iter().map(|point| point.value));
    let (low, high) = (swept().fold(f64::INFINITY, f64::min), swept().fold(0.0, f64::max));
    let scale = if low > 0.0 { Scale::Log } else { Scale::Linear };
    let y =
        Axis { label: format!("reach in {label}"), scale, range: Some((low, high)), rule: TickRule::Round };
    chart(
        format!("{task}: reach in {word} against the cost of a run"),
        "all runs of the sweep",
        stops_early(summary, task),
        &notes,
        y,
        &places,
    )
}

fn of_accuracy(summary: &Summary, task: &str) -> Option<Chart> {
    let groups = || summary.accuracy.iter().filter(|group| group.setting.task == task && group.value.n > 0);
    let metric = groups().next()?.metric.clone();
    let places: Vec<Place<'_>> = groups()
        .filter(|group| group.metric == metric)
        .filter_map(|group: &AccuracyGroup| {
            Some(Place {
                setting: &group.setting,
                seconds: seconds(summary, |setting| *setting == group.setting)?,
                height: group.value.mean,
                interval: group.value.interval.map(|ends| (ends.low, ends.high)),
                runs: runs(summary, group),
                censored: false,
            })
        })
        .collect();
    let interval = places.iter().any(|own| own.interval.is_some());
    let notes: Vec<String> =
        interval.then(|| "mean and 95 % t interval over seeds (small dots)".into()).into_iter().collect();
    let y = Axis {
        label: metric_label(&metric),
        scale: Scale::Linear,
        range: metric_range(&metric),
        rule: TickRule::Round,
    };
    let title = format!("{task}: {} against the cost of a run", metric_title(&metric));
    Some(chart(title, "runs", stops_early(summary, task), &notes, y, &places))
}

/// Whether runs of a task may end before their budget.
fn stops_early(summary: &Summary, task: &str) -> bool {
    let mut own = summary.accuracy.iter().filter(|group| group.setting.task == task);
    own.any(|group| matches!(group.stop, Some(Stop::Early(_))))
}

/// Cost and value of every run of a group, seed by seed.
fn runs(summary: &Summary, group: &AccuracyGroup) -> Vec<(f64, f64)> {
    let costs = summary.run_costs.iter().filter(|cost| cost.setting == group.setting);
    let seconds: Vec<SeedValue> = costs.flat_map(|cost| cost.cpu_seconds.values.iter().copied()).collect();
    let of = |own: &SeedValue| {
        let cost = seconds.iter().find(|cost| cost.seed == own.seed)?;
        Some((cost.value, own.value))
    };
    group.value.values.iter().filter_map(of).collect()
}

/// Mean CPU seconds of the runs of some settings.
fn seconds(summary: &Summary, is_of: impl Fn(&Setting) -> bool) -> Option<f64> {
    let costs = summary.run_costs.iter().filter(|cost| is_of(&cost.setting));
    let values: Vec<f64> =
        costs.flat_map(|cost| cost.cpu_seconds.values.iter().map(|seed| seed.value)).collect();
    mean(&values)
}

fn chart(title: String, of: &str, early: bool, notes: &[String], y: Axis, places: &[Place<'_>]) -> Chart {
    let several = several_experiments(places.iter().map(|own| own.setting));
    let mut panels = Panels::default();
    let (mut low, mut high) = (f64::INFINITY, 0.0f64);
    for own in places {
        let Some(height) = own.height else { continue };
        let all = own.runs.iter().map(|run| run.0).chain([own.seconds]);
        (low, high) = all.fold((low, high), |(low, high), seconds| (low.min(seconds), high.max(seconds)));
        let point = Point { x: own.seconds, y: height, interval: own.interval, doubtful: false };
        let series = panels.series(&panel_title(own.setting, several), own.setting);
        series.points.push(point);
        series.seeds.extend(own.runs.iter().map(|run| vec![*run]));
        // No hollow marker: settings of one architecture are told apart by those.
        series.ring = own.censored.then_some(own.seconds);
    }
    let mut x = log_axis("CPU time of a run (s)", TickRule::Round);
    x.range = Some((low / ROOM, high * ROOM));
    let mut words = vec![format!(
        "CPU time: wall-clock × threads, training, validation, probes and scoring together, mean over {of}"
    )];
    words.extend(early.then(|| "runs may stop early".into()));
    words.extend_from_slice(notes);
    Chart { title, subtitle: words.join("; "), x, y, seeds: Seeds::Lines, panels: panels.finish() }
}
