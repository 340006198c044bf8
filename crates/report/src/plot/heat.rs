//! How a gradient profile changes through training: distance across, moments downwards, darker where more of the gradient
//! arrives. One panel a setting, where it was probed at three moments and more.

use super::Figure;
use super::canvas::{Anchor, BLACK, Canvas, Font, Stroke, wrap};
use super::draw::draw_header;
use super::gradients::largest_of;
use super::layout::{EDGE, SUBTITLE, TICK, TITLE, WIDTH};
use super::legend::GREY;
use super::names::{distinct, file_name, panel_title, seeds_text};
use super::study::shade;
use crate::summary::{GradientProfile, Summary};

/// log10 at which the scale ends, where nothing is left.
const LOWEST: f64 = -8.0;
const COLUMNS: usize = 3;
const MOST_PANELS: usize = 12;
const FEWEST_STAGES: usize = 3;
const ROW: f64 = 24.0;
const SMALL: f64 = 13.5;
/// Room for the names of moments, in pixels.
const STAGES: f64 = 58.0;

/// One figure a task, of the gradient with respect to the input of the lowest layer.
pub(crate) fn figures(summary: &Summary) -> Vec<Figure> {
    distinct(summary.profiles.iter().map(|profile| profile.setting.task.as_str()))
        .into_iter()
        .filter_map(|task| {
            let rows = summary.profiles.iter().filter(|profile| profile.setting.task == task);
            let rows: Vec<_> = rows.filter(|profile| profile.wrt == "input" && profile.layer == 0).collect();
            figure(task, &rows)
        })
        .collect()
}

fn figure(task: &str, rows: &[&GradientProfile]) -> Option<Figure> {
    let largest = largest_of(rows.iter().map(|row| &row.setting));
    let at =
        |row: &&&GradientProfile| row.setting.sweep().map(|(key, value)| (key.to_string(), value)) == largest;
    let chosen: Vec<&GradientProfile> = rows.iter().filter(at).copied().collect();
    let settings = distinct(chosen.iter().map(|row| &row.setting));
    let panels: Vec<(String, Vec<&GradientProfile>)> = settings
        .into_iter()
        .map(|setting| {
            let own = chosen.iter().copied().filter(|row| row.setting == *setting).collect();
            let rest = panel_title(setting, false);
            (if rest.is_empty() { setting.model.clone() } else { format!("{}, {rest}", setting.model) }, own)
        })
        .filter(|(_, own): &(String, Vec<&GradientProfile>)| own.len() >= FEWEST_STAGES)
        .take(MOST_PANELS)
        .collect();
    let stages = panels.iter().map(|(_, own)| own.len()).max()?;
    let counts = chosen.iter().flat_map(|row| &row.points).map(|point| point.log10_relative.n);
    let title = "Gradient norm at the input by distance, through training".to_string();
    let subtitle = format!(
        "{task}; geometric mean over {}; relative to distance 0; training steps downwards",
        seeds_text(counts)
    );
    let titles = wrap(&title, TITLE * 1.1, WIDTH - 2.0 * EDGE);
    let subtitles = wrap(&subtitle, SUBTITLE, WIDTH - 2.0 * EDGE);
    let top = EDGE + titles.len() as f64 * TITLE * 1.25 + subtitles.len() as f64 * SUBTITLE * 1.3 + 16.0;
    let columns = panels.len().min(COLUMNS);
    let width = (WIDTH - 2.0 * EDGE) / columns as f64;
    let height = stages as f64 * ROW + TICK * 1.7 + 52.0;
    let bottom = top + panels.len().div_ceil(columns) as f64 * height;

    let mut canvas = Canvas::new(WIDTH, (bottom + 56.0 + EDGE).round());
    draw_header(&mut canvas, &titles, &subtitles);
    for (place, (title, own)) in panels.iter().enumerate() {
        let left = EDGE + (place % columns) as f64 * width;
        draw_panel(&mut canvas, title, own, (left, top + (place / columns) as f64 * height), width);
    }
    draw_key(&mut canvas, bottom + 12.0);
    let svg = canvas.into_svg(&title);
    Some(Figure { file_name: file_name("gradients-through-training", task), title, subtitle, svg })
}

fn draw_panel(
    canvas: &mut Canvas,
    title: &str,
    rows: &[&GradientProfile],
    (left, top): (f64, f64),
    width: f64,
) {
    let heading = Font { size: TICK, bold: true, color: BLACK };
    canvas.text(title, (left + 2.0, top + TICK * 0.75), Anchor::Left, heading);
    let (first, end) = (left + STAGES, left + width - 18.0);
    let farthest =
        rows.iter().flat_map(|row| &row.points).map(|point| point.distance).max().unwrap_or(1).max(1);
    let across = |distance: f64| first + (end - first) * distance / (farthest as f64 + 1.0);
    let font = Font { size: SMALL, bold: false, color: BLACK };
    let mut y = top + TICK * 1.7;
    for row in rows {
        canvas.text(&moment(&row.stage), (first - 6.0, y + ROW / 2.0), Anchor::Right, font);
        for (place, point) in row.points.iter().enumerate() {
            let Some(log) = point.log10_relative.mean.filter(|log| !log.is_nan()) else { continue };
            // Each value fills the room up to the next distance measured.
            let next = row.points.get(place + 1).map_or(farthest + 1, |point| point.distance);
            let (from, to) = (across(point.distance as f64), across(next as f64));
            let corners = [(from, y), (to, y), (to, y + ROW - 1.5), (from, y + ROW - 1.5)];
            canvas.polygon(&corners, shade(share(log)), 1.0);
        }
        y += ROW;
    }
    for distance in [0, farthest / 2, farthest] {
        let x = across(distance as f64 + 0.5);
        canvas.path(&[(x, y), (x, y + 4.0)], Stroke::solid(GREY, 1.0));
        canvas.text(&distance.to_string(), (x, y + 13.0), Anchor::Center, font);
    }
    canvas.text("distance (steps)", ((first + end) / 2.0, y + 30.0), Anchor::Center, font);
}

fn moment(stage: &str) -> String {
    match stage {
        "init" => "0".into(),
        "end" => "end".into(),
        other => other.trim_start_matches("step-").into(),
    }
}

/// 1 at a relative norm of 1 and above, 0 at that of [`LOWEST`] and below.
fn share(log: f64) -> f64 {
    (1.0 - log / LOWEST).clamp(0.0, 1.0)
}

fn draw_key(canvas: &mut Canvas, top: f64) {
    let (left, width, height, shades) = (EDGE + 250.0, 240.0, 14.0, 60);
    for place in 0..shades {
        let x = |place: usize| left + width * place as f64 / shades as f64;
        // A hair of overlap, so that no white seam shows between neighbours.
        let (from, to) = (x(place), x(place + 1) + if place + 1 < shades { 0.4 } else { 0.0 });
        let corners = [(from, top), (to, top), (to, top + height), (from, top + height)];
        canvas.polygon(&corners, shade((place as f64 + 0.5) / shades as f64), 1.0);
    }
    let font = Font { size: SMALL, bold: false, color: BLACK };
    for (at, label) in [(0.0, "1e-8 or less"), (0.5, "1e-4"), (1.0, "1 or more")] {
        let x = left + width * at;
        canvas.path(&[(x, top + height), (x, top + height + 4.0)], Stroke::solid(GREY, 1.0));
        canvas.text(label, (x, top + height + 14.0), Anchor::Center, font);
    }
    canvas.text("shade: relative gradient norm", (left - 12.0, top + height / 2.0), Anchor::Right, font);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shades_span_the_scale_and_end_with_it() {
        assert_eq!(
            [0.0, 3.0, -4.0, LOWEST, -300.0, f64::NEG_INFINITY].map(share),
            [1.0, 1.0, 0.5, 0.0, 0.0, 0.0]
        );
    }
}
