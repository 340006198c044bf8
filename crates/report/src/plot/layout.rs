//! Where things stand on a page: header, legend, a grid of panels and the labels around it.

use super::axis::{Scale, Tick, binary_ticks, ticks, ticks_at};
use super::canvas::{Frame, text_width, wrap};
use super::chart::{Axis, Chart, Point, Seeds, TickRule};

/// Width of every figure, in pixels.
pub(crate) const WIDTH: f64 = 900.0;
/// Blank edge of the page.
pub(crate) const EDGE: f64 = 18.0;
pub(crate) const TITLE: f64 = 22.0;
pub(crate) const SUBTITLE: f64 = 16.5;
pub(crate) const LABEL: f64 = 19.0;
pub(crate) const TICK: f64 = 17.0;
/// Space between neighbouring panels.
const GAP: f64 = 38.0;

/// The visible range of an axis, in coordinates of its scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Span {
    /// From values in an axis's own units, widened by a share of itself at both ends; of one value, some room
    /// around it. `None` without any that has a place.
    pub(crate) fn of(scale: Scale, values: impl IntoIterator<Item = f64>, widen: f64) -> Option<Self> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for coordinate in values.into_iter().filter_map(|value| scale.coordinate(value)) {
            low = low.min(coordinate);
            high = high.max(coordinate);
        }
        if low > high {
            return None;
        }
        let room = match high - low {
            extent if extent > 0.0 => extent * widen,
            _ if scale == Scale::Linear => (low.abs() * 0.5).max(0.5),
            _ => 0.3,
        };
        Some(Self { low: low - room, high: high + room })
    }

    /// 0 at the low end, 1 at the high one.
    pub(crate) fn share(self, coordinate: f64) -> f64 {
        (coordinate - self.low) / (self.high - self.low)
    }
}

/// The grid of panels on a page.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) frames: Vec<Frame>,
    /// Whether a panel has no neighbour below, and so carries the ticks of x.
    pub(crate) lowest: Vec<bool>,
    /// Whether a panel stands at the left, and so carries the ticks of y.
    pub(crate) leftmost: Vec<bool>,
    /// What encloses all panels.
    pub(crate) grid: Frame,
    pub(crate) height: f64,
}

/// Columns of a grid of panels.
pub(crate) fn columns(panels: usize) -> usize {
    match panels {
        0 | 1 => 1,
        2 | 4 => 2,
        _ => 3,
    }
}

/// Height of one panel, in pixels, by the number of columns.
pub(crate) fn panel_height(columns: usize) -> f64 {
    match columns {
        1 => 380.0,
        2 => 290.0,
        _ => 260.0,
    }
}

/// Places panels below `top`, leaving `left` and `right` beside the grid.
pub(crate) fn arrange(chart: &Chart, top: f64, left: f64, right: f64) -> Layout {
    let panels = chart.panels.len();
    let columns = columns(panels);
    let rows = panels.div_ceil(columns).max(1);
    let width = (WIDTH - left - right - GAP * (columns - 1) as f64) / columns as f64;
    let lines = chart.panels.iter().map(|panel| title_lines(&panel.title, width).len()).max().unwrap_or(0);
    let heading = if lines > 0 { TICK * (0.45 + 1.25 * lines as f64) } else { 0.0 };
    let height = if chart.seeds == Seeds::Scatter { width } else { panel_height(columns) };
    let frame = |place: usize| {
        let (row, column) = (place / columns, place % columns);
        let left = left + column as f64 * (width + GAP);
        // Room for the ticks of a panel whose column ends above the last row.
        let below = if panels.is_multiple_of(columns) { GAP * 0.5 } else { TICK * 2.0 };
        let top = top + row as f64 * (height + heading + below) + heading;
        Frame { left, top, right: left + width, bottom: top + height }
    };
    let frames: Vec<Frame> = (0..panels).map(frame).collect();
    let bottom = frames.last().map_or(top, |last| last.bottom);
    Layout {
        lowest: (0..panels).map(|place| place + columns >= panels).collect(),
        leftmost: (0..panels).map(|place| place % columns == 0).collect(),
        grid: Frame {
            left,
            top: frames.first().map_or(top, |first| first.top),
            right: WIDTH - right,
            bottom: frame((rows - 1) * columns).bottom.max(bottom),
        },
        frames,
        height: bottom + TICK * 2.0 + LABEL * 1.3 + EDGE,
    }
}

/// Lines of a panel's title.
pub(crate) fn title_lines(title: &str, width: f64) -> Vec<String> {
    match title {
        "" => Vec::new(),
        // Bold letters are about a tenth wider.
        title => wrap(title, TICK * 1.1, width + GAP * 0.5),
    }
}

/// Lines of title and subtitle, and where what follows begins.
pub(crate) fn header(chart: &Chart) -> (Vec<String>, Vec<String>, f64) {
    let room = WIDTH - 2.0 * EDGE;
    // Bold letters are about a tenth wider.
    let title = wrap(&chart.title, TITLE * 1.1, room);
    let subtitle = wrap(&chart.subtitle, SUBTITLE, room);
    let bottom = EDGE + title.len() as f64 * TITLE * 1.25 + subtitle.len() as f64 * SUBTITLE * 1.3 + 10.0;
    (title, subtitle, bottom)
}

/// Lines of the label of the upright axis, as many as its height makes of it.
pub(crate) fn upright_label(chart: &Chart) -> Vec<String> {
    let panels = chart.panels.len();
    let rows = panels.div_ceil(columns(panels)).max(1);
    wrap(&chart.y.label, LABEL, panel_height(columns(panels)) * rows as f64)
}

/// Ticks of a horizontal axis `width` pixels long whose labels stand apart.
pub(crate) fn ticks_across(axis: &Axis, span: Span, width: f64, points: &[f64]) -> Vec<Tick> {
    let apart = |ticks: &[Tick]| {
        ticks.windows(2).all(|pair| {
            let half = |tick: &Tick| text_width(&tick.label, TICK) / 2.0;
            let room = (span.share(pair[1].at) - span.share(pair[0].at)) * width;
            room >= half(&pair[0]) + half(&pair[1]) + 10.0
        })
    };
    if axis.rule == TickRule::Points {
        let exact = ticks_at(axis.scale, points);
        if apart(&exact) {
            return exact;
        }
    }
    let binary = axis.scale == Scale::Log
        && points.len() > 2
        && points.iter().all(|&value| value >= 1.0 && value.log2().fract() == 0.0);
    (2..=8)
        .rev()
        .map(|most| match binary {
            true => binary_ticks(span.low, span.high, most),
            false => ticks(axis.scale, span.low, span.high, most),
        })
        .find(|ticks| apart(ticks))
        .unwrap_or_default()
}

/// Ticks of an upright axis `height` pixels long.
pub(crate) fn ticks_up(axis: &Axis, span: Span, height: f64) -> Vec<Tick> {
    let (low, high) = match axis.range {
        // The widened ends of a fixed range are room for markers, not part of it.
        Some((low, high)) => (axis.scale.coordinate(low), axis.scale.coordinate(high)),
        None => (None, None),
    };
    let most = (height / (TICK * 2.3)).floor().max(2.0) as usize;
    ticks(axis.scale, low.unwrap_or(span.low), high.unwrap_or(span.high), most)
}

/// The positions of all points of a chart, ascending and distinct.
pub(crate) fn positions(chart: &Chart) -> Vec<f64> {
    let of_points = chart.series().flat_map(|series| &series.points).map(|point: &Point| point.x);
    let of_seeds = chart.series().flat_map(|series| series.seeds.iter().flatten()).map(|&(x, _)| x);
    let mut found: Vec<f64> = of_points.chain(of_seeds).filter(|x| x.is_finite()).collect();
    found.sort_by(f64::total_cmp);
    found.dedup();
    found
}
