//! What a pass costs against length: time, tokens per second, memory; all log–log.

use super::Figure;
use super::axis::{Scale, fixed};
use super::chart::{Axis, Chart, Point, Seeds, TickRule};
use super::names::{Panels, distinct, file_name, panel_title, several_experiments};
use super::palette::Palette;
use crate::summary::{Summary, ThroughputRow};

/// Time of each mode, tokens per second of all, memory of training.
pub(crate) fn figures(summary: &Summary, palette: &Palette) -> Vec<Figure> {
    let mut figures = Vec::new();
    let modes = distinct(summary.throughput.iter().map(|row| row.mode.as_str()));
    for mode in ["train", "forward", "decode"].into_iter().filter(|mode| modes.contains(mode)) {
        let rows: Vec<_> = summary.throughput.iter().filter(|row| row.mode == mode).collect();
        figures.extend(Figure::of_chart(file_name("time", mode), &time(mode, &rows, summary), palette));
    }
    let all: Vec<_> = summary.throughput.iter().collect();
    figures.extend(Figure::of_chart("tokens-per-second.svg".into(), &tokens(&all), palette));
    let train: Vec<_> = summary.throughput.iter().filter(|row| row.mode == "train").collect();
    figures.extend(Figure::of_chart("memory-train.svg".into(), &memory(&train), palette));
    figures
}

fn time(mode: &str, rows: &[&ThroughputRow], summary: &Summary) -> Chart {
    let (pass, axis) = match mode {
        "train" => ("Time of a training step", "time per training step"),
        "forward" => ("Time of a forward pass", "time per forward pass"),
        _ => ("Time of one decoded token", "time per decoded token"),
    };
    let (unit, ns) = unit_of(rows);
    let context = if mode == "decode" { "context length (steps)" } else { "length (steps)" };
    let mut panels = fill(rows, false, |row| {
        let interval = row.q10_ns.zip(row.q90_ns).map(|(low, high)| (low / ns, high / ns));
        row.median_ns.map(|median| (median / ns, interval))
    });
    if let [panel] = &mut panels[..] {
        for series in &mut panel.series {
            let fitted = summary.scalings.iter().find(|scaling| {
                scaling.mode == mode
                    && scaling.setting.model == series.label
                    && scaling.setting.architecture == series.architecture
            });
            series.note = fitted.map(|scaling| format!("exponent {}", fixed(scaling.growth.exponent, 2)));
        }
    }
    let noted = panels.iter().flat_map(|panel| &panel.series).any(|series| series.note.is_some());
    let fit = if noted { "; exponents fitted" } else { "" };
    Chart {
        title: format!("{pass} against {}length", if mode == "decode" { "context " } else { "" }),
        subtitle: format!("{}{fit}", context_of(rows)),
        x: log_axis(context),
        y: log_axis(&format!("{axis} ({unit})")),
        seeds: Seeds::Lines,
        panels,
    }
}

fn tokens(rows: &[&ThroughputRow]) -> Chart {
    let panels = fill(rows, true, |row| {
        let rate = |ns: f64| row.tokens as f64 * 1e9 / ns;
        let interval = row.q10_ns.zip(row.q90_ns).map(|(low, high)| (rate(high), rate(low)));
        row.tokens_per_second.map(|tokens| (tokens, interval))
    });
    Chart {
        title: "Tokens per second against length".into(),
        subtitle: context_of(rows),
        x: log_axis("length (steps)"),
        y: log_axis("tokens per second"),
        seeds: Seeds::Lines,
        panels,
    }
}

fn memory(rows: &[&ThroughputRow]) -> Chart {
    let panels = fill(rows, false, |row| row.peak_bytes.map(|bytes| (bytes as f64 / 1e6, None)));
    let rows: Vec<_> = rows.iter().copied().filter(|row| row.peak_bytes.is_some()).collect();
    Chart {
        title: "Peak memory of training against length".into(),
        subtitle: format!("{}; highest resident memory of the whole process", conditions(&rows).join(", ")),
        x: log_axis("length (steps)"),
        y: log_axis("peak memory (MB)"),
        seeds: Seeds::Lines,
        panels,
    }
}

fn log_axis(label: &str) -> Axis {
    Axis { label: label.into(), scale: Scale::Log, range: None, rule: TickRule::Points }
}

/// One panel for each combination of what is not a model or a length.
fn fill(
    rows: &[&ThroughputRow],
    by_mode: bool,
    value: impl Fn(&ThroughputRow) -> Option<(f64, Option<(f64, f64)>)>,
) -> Vec<super::chart::Panel> {
    let several = several_experiments(rows.iter().map(|row| &row.setting));
    let batches = distinct(rows.iter().map(|row| row.batch)).len() > 1;
    let threads = distinct(rows.iter().map(|row| row.threads)).len() > 1;
    let mut panels = Panels::default();
    let modes = distinct(rows.iter().map(|row| row.mode.as_str()));
    let ordered = ["train", "forward", "decode"].into_iter().filter(|mode| modes.contains(mode));
    for mode in ordered {
        for row in rows.iter().filter(|row| row.mode == mode) {
            let Some((y, interval)) = value(row) else { continue };
            let mut words = Vec::new();
            words.extend(by_mode.then(|| mode_title(mode).to_string()));
            words.extend(batches.then(|| format!("batch {}", row.batch)));
            words.extend(threads.then(|| format!("threads {}", row.threads)));
            words.push(panel_title(&row.setting, several));
            words.retain(|word| !word.is_empty());
            let series = panels.series(&words.join(", "), &row.setting);
            series.points.push(Point { x: row.length as f64, y, interval, doubtful: false });
        }
    }
    panels.finish()
}

fn mode_title(mode: &str) -> &str {
    match mode {
        "train" => "training",
        "decode" => "decoding",
        other => other,
    }
}

/// What holds for all rows: the task, batch and threads that do not vary.
fn conditions(rows: &[&ThroughputRow]) -> Vec<String> {
    let mut words = Vec::new();
    if let [task] = distinct(rows.iter().map(|row| row.setting.task.as_str()))[..] {
        words.extend((!task.is_empty()).then(|| task.to_string()));
    }
    if let [batch] = distinct(rows.iter().map(|row| row.batch))[..] {
        words.push(format!("batch {batch}"));
    }
    match distinct(rows.iter().map(|row| row.threads))[..] {
        [1] => words.push("1 thread".into()),
        [threads] => words.push(format!("{threads} threads")),
        _ => {}
    }
    words
}

fn context_of(rows: &[&ThroughputRow]) -> String {
    let rounds = rows.iter().filter(|row| row.rounds > 0).map(|row| row.rounds);
    let rounds = match (rounds.clone().min(), rounds.max()) {
        (Some(low), Some(high)) if low == high => format!("{low} rounds"),
        (Some(low), Some(high)) => format!("{low}–{high} rounds"),
        _ => "no round".into(),
    };
    let mut text = format!("{}; median and 10–90 % range of {rounds}", conditions(rows).join(", "));
    let errors: usize = rows.iter().map(|row| row.errors).sum();
    if errors > 0 {
        text.push_str(&format!("; {errors} rounds with wrong outputs left out"));
    }
    text
}

/// The unit in which the middle of the times is a readable number, and its nanoseconds.
fn unit_of(rows: &[&ThroughputRow]) -> (&'static str, f64) {
    let mut medians: Vec<f64> = rows.iter().filter_map(|row| row.median_ns).collect();
    medians.sort_by(f64::total_cmp);
    match medians.get(medians.len() / 2) {
        Some(&middle) if middle >= 3e9 => ("s", 1e9),
        Some(&middle) if middle < 3e5 => ("µs", 1e3),
        _ => ("ms", 1e6),
    }
}
