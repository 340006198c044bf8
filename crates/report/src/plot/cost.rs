//! What a pass costs against length: time with its fitted power and its crossovers, and tokens per second; all log–log.

use super::Figure;
use super::axis::{fixed, number};
use super::chart::{Chart, Crossing, Seeds, TickRule};
use super::names::{Panels, distinct, file_name};
use super::palette::Palette;
use super::passes::{Titles, context_of, fill, log_axis};
use crate::summary::{Crossover, Growth, Straightness, Summary, ThroughputRow};

/// Crossovers of one panel up to which each has its length written beside it.
const MOST_LABELS: usize = 4;

/// Time of each mode, tokens per second of all.
pub(crate) fn figures(summary: &Summary, palette: &Palette) -> Vec<Figure> {
    let mut figures = Vec::new();
    let modes = distinct(summary.throughput.iter().map(|row| row.mode.as_str()));
    for mode in ["train", "forward", "decode"].into_iter().filter(|mode| modes.contains(mode)) {
        let rows: Vec<_> = summary.throughput.iter().filter(|row| row.mode == mode).collect();
        figures.extend(Figure::of_chart(file_name("time", mode), &time(mode, &rows, summary), palette));
    }
    let all: Vec<_> = summary.throughput.iter().collect();
    figures.extend(Figure::of_chart("tokens-per-second.svg".into(), &tokens(&all), palette));
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
    let titles = Titles::of(rows);
    let mut panels = fill(rows, &titles, |row| {
        let interval = row.q10_ns.zip(row.q90_ns).map(|(low, high)| (low / ns, high / ns));
        row.sound_ns().map(|median| (median / ns, interval))
    });
    let lone = panels.count() == 1;
    let fits = summary.scalings.iter().filter(|scaling| scaling.mode == mode);
    let mut subtitle = context_of(rows);
    for scaling in fits {
        let growth = &scaling.growth;
        let title = titles.title(&scaling.setting, mode, scaling.batch, scaling.threads);
        let series = panels.series(&title, &scaling.setting);
        let ends = [growth.from_length, growth.to_length].map(|length| length as f64);
        series.guide = ends.map(|length| (length, growth.at(length) / ns)).into();
        // One legend serves all panels, whose exponents differ.
        series.note = lone.then(|| exponent(growth));
        panels.guide("fitted power");
    }
    subtitle.push_str(&mark_crossovers(&mut panels, &titles, mode, rows, ns, &summary.crossovers));
    Chart {
        title: format!("{pass} against {}length", if mode == "decode" { "context " } else { "" }),
        subtitle,
        x: log_axis(context, TickRule::Points),
        y: log_axis(&format!("{axis} ({unit})"), TickRule::Points),
        seeds: Seeds::Lines,
        panels: panels.finish(),
    }
}

/// `exponent 1.22 ± 0.16`, and whether it still changes.
pub(crate) fn exponent(growth: &Growth) -> String {
    let half = growth.exponent_interval.map(|ends| format!(" ± {}", fixed((ends.high - ends.low) / 2.0, 2)));
    let bends = if growth.straightness == Straightness::Bending { ", still bending" } else { "" };
    format!("exponent {}{}{bends}", fixed(growth.exponent, 2), half.unwrap_or_default())
}

/// Rings where two models take the same time, as surely as an interval says; and what the subtitle says of them.
fn mark_crossovers(
    panels: &mut Panels,
    titles: &Titles,
    mode: &str,
    rows: &[&ThroughputRow],
    ns: f64,
    crossovers: &[Crossover],
) -> String {
    let mut found: Vec<(String, f64, f64)> = Vec::new();
    for own in crossovers.iter().filter(|own| own.mode == mode) {
        let (Some(length), Some(_), Some(_)) = (own.length, own.low, own.high) else { continue };
        // Panels part settings by their coordinates: two of different panels meet in neither.
        let title = |setting| titles.title(setting, mode, own.batch, own.threads);
        if title(&own.first) != title(&own.second) {
            continue;
        }
        found.extend(time_at(rows, own, length).map(|time| (title(&own.first), length, time / ns)));
    }
    let many = |title: &str| found.iter().filter(|(own, ..)| own == title).count() > MOST_LABELS;
    let crowded = found.iter().any(|(title, ..)| many(title));
    for (title, x, y) in &found {
        let label = (!many(title)).then(|| number(x.round()));
        panels.crossing(title, Crossing { x: *x, y: *y, label });
    }
    match (found.is_empty(), crowded) {
        (true, _) => String::new(),
        (false, false) => "; rings: two models take the same time".into(),
        (false, true) => {
            "; rings: two models take the same time, at the lengths in the table of crossovers".into()
        }
    }
}

/// The time of the first model at a crossing, on a straight line of log–log between its neighbours.
fn time_at(rows: &[&ThroughputRow], crossover: &Crossover, length: f64) -> Option<f64> {
    let own = rows.iter().filter(|row| {
        (row.batch, row.threads) == (crossover.batch, crossover.threads) && row.setting == crossover.first
    });
    let points: Vec<(f64, f64)> =
        own.filter_map(|row| Some(((row.length as f64).ln(), row.sound_ns()?.ln()))).collect();
    let pair = points.windows(2).find(|pair| (pair[0].0..=pair[1].0).contains(&length.ln()))?;
    let share = (length.ln() - pair[0].0) / (pair[1].0 - pair[0].0);
    Some((pair[0].1 + share * (pair[1].1 - pair[0].1)).exp())
}

fn tokens(rows: &[&ThroughputRow]) -> Chart {
    let panels = fill(rows, &Titles::of(rows), |row| {
        let rate = |ns: f64| row.tokens as f64 * 1e9 / ns;
        let interval = row.q10_ns.zip(row.q90_ns).map(|(low, high)| (rate(high), rate(low)));
        row.tokens_per_second.filter(|_| row.sound_ns().is_some()).map(|tokens| (tokens, interval))
    });
    Chart {
        title: "Tokens per second against length".into(),
        subtitle: context_of(rows),
        x: log_axis("length (steps)", TickRule::Points),
        y: log_axis("tokens per second", TickRule::Points),
        seeds: Seeds::Lines,
        panels: panels.finish(),
    }
}

/// The unit in which the middle of the times is a readable number, and its nanoseconds.
fn unit_of(rows: &[&ThroughputRow]) -> (&'static str, f64) {
    let mut medians: Vec<f64> = rows.iter().filter_map(|row| row.sound_ns()).collect();
    medians.sort_by(f64::total_cmp);
    match medians.get(medians.len() / 2) {
        Some(&middle) if middle >= 3e9 => ("s", 1e9),
        Some(&middle) if middle < 3e5 => ("µs", 1e3),
        _ => ("ms", 1e6),
    }
}
