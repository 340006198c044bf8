//! The roofline: rate against operational intensity, beneath the lesser of peak and intensity times bandwidth (Williams,
//! Waterman & Patterson 2009); log–log.

use super::Figure;
use super::chart::{Chart, Point, Seeds, TickRule};
use super::names::{Panels, distinct};
use super::palette::Palette;
use super::passes::{Titles, conditions, in_order, log_axis};
use crate::statistics::median;
use crate::summary::{Summary, ThroughputRow};
use crate::table::short;

/// Room to the left and right of points and ridge, as a factor.
const ROOM: f64 = 1.4;

/// One panel a mode, batch and number of threads.
pub(crate) fn figures(summary: &Summary, palette: &Palette) -> Option<Figure> {
    let known = |row: &&ThroughputRow| {
        row.sound_ns().is_some()
            && row.gflops.is_some()
            && row.intensity().is_some()
            && row.roof_gflops().is_some()
    };
    let rows: Vec<&ThroughputRow> = summary.throughput.iter().filter(known).collect();
    Figure::of_chart("roofline.svg".into(), &chart(&rows), palette)
}

fn chart(rows: &[&ThroughputRow]) -> Chart {
    let titles = Titles::of(rows);
    let rows = in_order(rows);
    let mut panels = Panels::default();
    let (mut low, mut high) = (f64::INFINITY, 0.0f64);
    let mut longest: Vec<(String, &ThroughputRow)> = Vec::new();
    for row in &rows {
        let (Some(x), Some(y)) = (row.intensity(), row.gflops) else { continue };
        (low, high) = (low.min(x), high.max(x));
        let title = titles.title_of(row);
        let series = panels.series(&title, &row.setting);
        series.trail = true;
        series.points.push(Point { x, y, interval: None, doubtful: row.disturbance.noisy });
        longest.push((title, row));
    }
    let roofs: Vec<(String, f64, f64)> = distinct(longest.iter().map(|(title, _)| title.clone()))
        .into_iter()
        .filter_map(|title| {
            let own = || longest.iter().filter(|(other, _)| *other == title).map(|(_, row)| *row);
            let of = |value: fn(&ThroughputRow) -> Option<f64>| {
                median(&own().filter_map(value).collect::<Vec<_>>())
            };
            Some((title.clone(), of(|row| row.peak_gflops)?, of(|row| row.bandwidth_gb)?))
        })
        .collect();
    for (_, peak, bandwidth) in &roofs {
        (low, high) = (low.min(peak / bandwidth), high.max(peak / bandwidth));
    }
    (low, high) = (low / ROOM, high * ROOM);
    for (title, peak, bandwidth) in &roofs {
        let name = format!("roof: {} GFLOP/s, {} GB/s", short(*peak), short(*bandwidth));
        for x in [low, peak / bandwidth, high] {
            panels.level(title, &name, x, peak.min(x * bandwidth));
        }
    }
    let noisy = if rows.iter().any(|row| row.disturbance.noisy) { "; hollow: noisy" } else { "" };
    let mut words = conditions(&rows);
    let above = rows.iter().filter_map(|row| row.share_of_roof).any(|share| share > 1.0);
    let cached = if above { "; above the roof: from caches" } else { "" };
    words.push(format!("one point a length, the longest the largest{noisy}{cached}"));
    let mut x = log_axis("operational intensity (FLOP/byte)", TickRule::Round);
    x.range = Some((low, high));
    Chart {
        title: "Rate against operational intensity, and the machine's roof".into(),
        subtitle: words.join(", "),
        x,
        y: log_axis("rate (GFLOP/s)", TickRule::Round),
        seeds: Seeds::Lines,
        panels: panels.finish(),
    }
}
