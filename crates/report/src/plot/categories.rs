//! Draws a chart without positions: one row a model, its values from left to right.

use super::canvas::{Anchor, BLACK, Canvas, Font, Frame, Stroke, text_width, wrap};
use super::chart::{Chart, Series};
use super::draw::{draw_header, span_y};
use super::field::{BORDER, DOT, GRID};
use super::layout::{EDGE, LABEL, TICK, WIDTH, header, ticks_across};
use super::legend::{Legend, level_names, level_stroke};
use super::palette::Palette;

/// Height of a model's row, in pixels.
const ROW: f64 = 46.0;
/// Widest label of a row before it is broken.
const WIDEST: f64 = 230.0;

/// A chart as SVG, its `y` values drawn across and its `x` ignored; `None` where it has nothing to show.
pub(crate) fn draw_categories(chart: &Chart, palette: &Palette) -> Option<String> {
    if !chart.has_data() {
        return None;
    }
    let span = span_y(chart)?;
    let (title, subtitle, mut top) = header(chart);
    let legend = Legend::of(chart, palette, false);
    let legend_top = top;
    top += legend.rows_height() + 4.0;
    let labels = chart.series().flat_map(|series| wrap(&series.label, TICK, WIDEST));
    let left = EDGE + labels.map(|line| text_width(&line, TICK)).fold(0.0, f64::max) + 14.0;
    let right = WIDTH - EDGE - 12.0;
    let ticks = ticks_across(&chart.y, span, right - left, &[]);

    let heading = |title: &str| if title.is_empty() { 0.0 } else { TICK * 1.8 };
    let body: f64 =
        chart.panels.iter().map(|panel| heading(&panel.title) + ROW * panel.series.len() as f64 + 14.0).sum();
    let height = top + body + TICK * 2.0 + LABEL * 1.3 + EDGE;
    let mut canvas = Canvas::new(WIDTH, height.round());
    draw_header(&mut canvas, &title, &subtitle);
    legend.draw_rows(&mut canvas, legend_top);

    let names = level_names(chart);
    let across = |value: f64| left + span.share(value) * (right - left);
    let black = |size: f64, bold: bool| Font { size, bold, color: BLACK };
    for panel in &chart.panels {
        if !panel.title.is_empty() {
            canvas.text(&panel.title, (left, top + TICK * 0.8), Anchor::Left, black(TICK, true));
        }
        top += heading(&panel.title);
        let bottom = top + ROW * panel.series.len() as f64;
        for tick in &ticks {
            let x = across(tick.at);
            canvas.path(&[(x, top), (x, bottom)], GRID);
            canvas.path(&[(x, bottom), (x, bottom + 5.0)], BORDER);
        }
        canvas.path(&[(left, top), (left, bottom), (right, bottom)], BORDER);
        for level in &panel.levels {
            let stroke = level_stroke(names.iter().position(|&name| name == level.label).unwrap_or(0));
            let x = level.points.first().map_or(f64::NAN, |&(_, value)| across(value));
            let frame = Frame { left, top, right, bottom };
            canvas.path_within(frame, &[(x, top), (x, bottom)], stroke);
        }
        let mut series: Vec<&Series> = panel.series.iter().collect();
        series
            .sort_by_key(|series| (palette.rank(&series.architecture, &series.label), &series.architecture));
        for (row, series) in series.into_iter().enumerate() {
            let middle = top + ROW * (row as f64 + 0.5);
            draw_row(
                &mut canvas,
                series,
                palette,
                Frame { left, top: middle - ROW / 2.0, right, bottom: middle + ROW / 2.0 },
                &across,
            );
        }
        top = bottom + 14.0;
    }
    let foot = top - 14.0;
    for tick in &ticks {
        canvas.text(&tick.label, (across(tick.at), foot + TICK), Anchor::Center, black(TICK, false));
    }
    let below = height - EDGE - LABEL * 0.5;
    canvas.text(&chart.y.label, ((left + right) / 2.0, below), Anchor::Center, black(LABEL, false));
    Some(canvas.into_svg(&chart.title))
}

/// A model's label, mean with interval, and below it its seeds.
fn draw_row(
    canvas: &mut Canvas,
    series: &Series,
    palette: &Palette,
    frame: Frame,
    across: &impl Fn(f64) -> f64,
) {
    let look = palette.look(&series.architecture, &series.label);
    let middle = (frame.top + frame.bottom) / 2.0;
    let lines = wrap(&series.label, TICK, WIDEST);
    let first = middle - (lines.len() as f64 - 1.0) * TICK * 0.55;
    for (place, line) in lines.iter().enumerate() {
        let font = Font { size: TICK, bold: false, color: BLACK };
        canvas.text(line, (frame.left - 10.0, first + place as f64 * TICK * 1.1), Anchor::Right, font);
    }
    let mean = middle - ROW * 0.14;
    let seeds = middle + ROW * 0.22;
    let spread =
        |number: usize| (number as f64 - (series.seeds.len() as f64 - 1.0) / 2.0).clamp(-2.5, 2.5) * 3.0;
    for (number, seed) in series.seeds.iter().enumerate() {
        for at in seed.iter().map(|&(_, value)| (across(value), seeds + spread(number))) {
            if at.0.is_finite() && frame.contains(at) {
                canvas.disc(at, DOT, look.color, 0.75);
            }
        }
    }
    for point in &series.points {
        if let Some((low, high)) = point.interval {
            let stroke = Stroke::solid(look.color, 1.8);
            canvas.path_within(frame, &[(across(low), mean), (across(high), mean)], stroke);
            for x in [across(low), across(high)] {
                canvas.path_within(frame, &[(x, mean - 4.0), (x, mean + 4.0)], stroke);
            }
        }
        let at = (across(point.y), mean);
        if at.0.is_finite() && frame.contains(at) {
            canvas.marker(at, 5.5, look.marker);
        }
    }
}
