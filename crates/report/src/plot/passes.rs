//! What figures of timed passes have in common: panels, axes, and what their subtitles say.

use super::axis::Scale;
use super::chart::{Axis, Point, TickRule};
use super::names::{Panels, distinct, panel_title, several_experiments};
use crate::summary::{Setting, ThroughputRow};

/// How many panels the rows of a figure take: one for each combination of what is neither a model nor a length.
pub(crate) struct Titles {
    experiments: bool,
    modes: bool,
    batches: bool,
    threads: bool,
}

impl Titles {
    /// For rows that stand in one figure.
    pub(crate) fn of(rows: &[&ThroughputRow]) -> Self {
        Self {
            experiments: several_experiments(rows.iter().map(|row| &row.setting)),
            modes: distinct(rows.iter().map(|row| row.mode.as_str())).len() > 1,
            batches: distinct(rows.iter().map(|row| row.batch)).len() > 1,
            threads: distinct(rows.iter().map(|row| row.threads)).len() > 1,
        }
    }

    /// The title of a panel; empty for a lone one.
    pub(crate) fn title(&self, setting: &Setting, mode: &str, batch: u64, threads: u32) -> String {
        let mut words = Vec::new();
        words.extend(self.modes.then(|| mode_title(mode).to_string()));
        words.extend(self.batches.then(|| format!("batch {batch}")));
        words.extend(self.threads.then(|| threads_text(threads)));
        words.push(panel_title(setting, self.experiments));
        words.retain(|word| !word.is_empty());
        words.join(", ")
    }

    /// That of a row.
    pub(crate) fn title_of(&self, row: &ThroughputRow) -> String {
        self.title(&row.setting, &row.mode, row.batch, row.threads)
    }
}

/// A value against the length of every row that has one; noisy rows hollow.
pub(crate) fn fill(
    rows: &[&ThroughputRow],
    titles: &Titles,
    value: impl Fn(&ThroughputRow) -> Option<(f64, Option<(f64, f64)>)>,
) -> Panels {
    let mut panels = Panels::default();
    for row in in_order(rows) {
        let Some((y, interval)) = value(row) else { continue };
        let point = Point { x: row.length as f64, y, interval, doubtful: row.disturbance.noisy };
        panels.series(&titles.title_of(row), &row.setting).points.push(point);
    }
    panels
}

/// Rows mode after mode.
pub(crate) fn in_order<'a>(rows: &[&'a ThroughputRow]) -> Vec<&'a ThroughputRow> {
    let of = |mode| rows.iter().copied().filter(move |row| row.mode == mode);
    ["train", "forward", "decode"].into_iter().flat_map(of).collect()
}

/// A logarithmic axis.
pub(crate) fn log_axis(label: &str, rule: TickRule) -> Axis {
    Axis { label: label.into(), scale: Scale::Log, range: None, rule }
}

fn mode_title(mode: &str) -> &str {
    match mode {
        "train" => "training",
        "decode" => "decoding",
        other => other,
    }
}

/// `1 thread`, `2 threads`.
pub(crate) fn threads_text(threads: u32) -> String {
    format!("{threads} {}", if threads == 1 { "thread" } else { "threads" })
}

/// What holds for all rows: the task, batch and threads that do not vary.
pub(crate) fn conditions(rows: &[&ThroughputRow]) -> Vec<String> {
    let mut words = Vec::new();
    if let [task] = distinct(rows.iter().map(|row| row.setting.task.as_str()))[..] {
        words.extend((!task.is_empty()).then(|| task.to_string()));
    }
    if let [batch] = distinct(rows.iter().map(|row| row.batch))[..] {
        words.push(format!("batch {batch}"));
    }
    if let [threads] = distinct(rows.iter().map(|row| row.threads))[..] {
        words.push(threads_text(threads));
    }
    words
}

/// The same with the rounds behind every median, and what is left out or doubtful.
pub(crate) fn context_of(rows: &[&ThroughputRow]) -> String {
    let drawn = || rows.iter().filter(|row| row.sound_ns().is_some());
    let rounds = match (drawn().map(|row| row.rounds).min(), drawn().map(|row| row.rounds).max()) {
        (Some(low), Some(high)) if low == high => format!("{low} rounds"),
        (Some(low), Some(high)) => format!("{low}–{high} rounds"),
        _ => "no round".into(),
    };
    let mut words = conditions(rows).join(", ");
    words.push_str(if words.is_empty() { "" } else { "; " });
    let mut text = format!("{words}median and 10–90 % range of {rounds}");
    let errors: usize = rows.iter().map(|row| row.errors).sum();
    if errors > 0 {
        text.push_str(&format!("; {errors} rounds with wrong outputs left out"));
    }
    if drawn().any(|row| row.disturbance.noisy) {
        text.push_str("; hollow: noisy");
    }
    text
}
