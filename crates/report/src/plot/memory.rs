//! Memory against length beside what was predicted, and state against context; log–log.

use super::Figure;
use super::chart::{Chart, Point, Seeds, TickRule};
use super::cost::exponent;
use super::names::{Panels, file_name, panel_title, several_experiments};
use super::palette::Palette;
use super::passes::{Titles, conditions, fill, log_axis};
use crate::summary::{Summary, ThroughputRow};

/// Bytes of the unit of memory.
const MEGABYTE: f64 = 1e6;

/// Memory of training and of forward passes, state of decoding.
pub(crate) fn figures(summary: &Summary, palette: &Palette) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (mode, pass) in [("train", "training"), ("forward", "a forward pass")] {
        let rows: Vec<_> =
            summary.throughput.iter().filter(|row| row.mode == mode && row.above_bytes().is_some()).collect();
        let chart = memory(mode, pass, &rows, summary);
        figures.extend(Figure::of_chart(file_name("memory", mode), &chart, palette));
    }
    figures.extend(Figure::of_chart("state-vs-context.svg".into(), &state(summary), palette));
    figures
}

fn memory(mode: &str, pass: &str, rows: &[&ThroughputRow], summary: &Summary) -> Chart {
    let titles = Titles::of(rows);
    let mut panels = fill(rows, &titles, |row| Some((row.above_bytes()? / MEGABYTE, None)));
    // What disturbs times leaves memory as it is.
    panels.points(|point| point.doubtful = false);
    let lone = panels.count() == 1;
    for scaling in summary.memory_scalings.iter().filter(|own| own.mode == mode && lone) {
        let title = titles.title(&scaling.setting, mode, scaling.batch, scaling.threads);
        panels.series(&title, &scaling.setting).note = Some(exponent(&scaling.growth));
    }
    for row in rows {
        let Some(predicted) = row.predicted_bytes else { continue };
        let series = panels.series(&titles.title_of(row), &row.setting);
        series.guide.push((row.length as f64, predicted / MEGABYTE));
        panels.guide("predicted");
    }
    let mut words = conditions(rows);
    words.push("highest resident memory less that before the pass".into());
    Chart {
        title: format!("Memory of {pass} above the baseline against length"),
        subtitle: words.join(", "),
        x: log_axis("length (steps)", TickRule::Points),
        y: log_axis("memory above the baseline (MB)", TickRule::Points),
        seeds: Seeds::Lines,
        panels: panels.finish(),
    }
}

fn state(summary: &Summary) -> Chart {
    let rows = summary.throughput.iter().filter(|row| row.mode == "decode");
    let rows: Vec<&ThroughputRow> = rows.filter(|row| row.state_bytes.is_some()).collect();
    let several = several_experiments(rows.iter().map(|row| &row.setting));
    let mut panels = Panels::default();
    for row in &rows {
        let Some(y) = row.state_bytes else { continue };
        // One sequence's own, whatever the batch and the threads.
        let series = panels.series(&panel_title(&row.setting, several), &row.setting);
        let x = row.length as f64;
        if series.points.iter().all(|point| point.x != x) {
            series.points.push(Point { x, y, interval: None, doubtful: false });
        }
    }
    Chart {
        title: "State of a sequence against context length".into(),
        subtitle: "what a model carries from one token to the next, counted from its tensors".into(),
        x: log_axis("context length (steps)", TickRule::Points),
        y: log_axis("state of a sequence (bytes)", TickRule::Points),
        seeds: Seeds::Lines,
        panels: panels.finish(),
    }
}
