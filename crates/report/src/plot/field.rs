//! Draws one panel: frame, grid and ticks, then levels, seeds, means with intervals, and markers.

use super::axis::Tick;
use super::canvas::{Anchor, BLACK, Canvas, Dash, Font, Frame, Place, Stroke, WHITE};
use super::chart::{Axis, Panel, Point, Seeds, Series};
use super::layout::{Span, TICK};
use super::legend::{GUIDE, MARK, level_stroke};
use super::palette::{Look, Palette};

pub(crate) const GRID: Stroke =
    Stroke { color: (222, 222, 222), opacity: 1.0, width: 1.0, dash: Dash::Solid };
pub(crate) const BORDER: Stroke =
    Stroke { color: (110, 110, 110), opacity: 1.0, width: 1.2, dash: Dash::Solid };
/// Radius of a seed's dot, in pixels.
pub(crate) const DOT: f64 = 2.8;
/// Radius of a seed that has a single value where others have lines.
const LONE: f64 = 2.4;
/// Radius of the ring around a chosen point, in pixels.
const RING: f64 = 10.5;
/// Widest column of one model at one position, in pixels.
pub(crate) const COLUMN: f64 = 26.0;
/// How far a mean and its seeds stand to the left and right of their common position, in columns of a model.
const ASIDE: f64 = 0.27;

/// A panel's frame with its axes.
pub(crate) struct Field {
    pub(crate) frame: Frame,
    pub(crate) x: (Axis, Span),
    pub(crate) y: (Axis, Span),
}

impl Field {
    fn across(&self, coordinate: f64) -> f64 {
        self.frame.left + self.x.1.share(coordinate) * self.frame.width()
    }

    fn up(&self, coordinate: f64) -> f64 {
        self.frame.bottom - self.y.1.share(coordinate) * self.frame.height()
    }

    /// The place of a value, not finite where it has none.
    pub(crate) fn place(&self, x: f64, y: f64) -> Place {
        let x = self.x.0.scale.coordinate(x).map_or(f64::NAN, |at| self.across(at));
        (x, self.height_of(y))
    }

    fn height_of(&self, y: f64) -> f64 {
        self.y.0.scale.coordinate(y).map_or(f64::NAN, |at| self.up(at))
    }

    pub(crate) fn draw_frame(
        &self,
        canvas: &mut Canvas,
        across: &[Tick],
        upright: &[Tick],
        lowest: bool,
        leftmost: bool,
    ) {
        let Frame { left, top, right, bottom } = self.frame;
        let font = Font { size: TICK, bold: false, color: BLACK };
        for tick in across {
            let x = self.across(tick.at);
            canvas.path(&[(x, top), (x, bottom)], GRID);
            if lowest {
                canvas.path(&[(x, bottom), (x, bottom + 5.0)], BORDER);
                canvas.text(&tick.label, (x, bottom + TICK), Anchor::Center, font);
            }
        }
        for tick in upright {
            let y = self.up(tick.at);
            canvas.path(&[(left, y), (right, y)], GRID);
            if leftmost {
                canvas.path(&[(left - 5.0, y), (left, y)], BORDER);
                canvas.text(&tick.label, (left - 9.0, y), Anchor::Right, font);
            }
        }
        canvas.path(&[(left, top), (left, bottom), (right, bottom)], BORDER);
    }

    pub(crate) fn draw_mark(&self, canvas: &mut Canvas, panel: &Panel) {
        let Some(x) = panel.mark.as_ref().map(|(_, x)| self.place(*x, 0.0).0) else { return };
        canvas.path_within(self.frame, &[(x, self.frame.top), (x, self.frame.bottom)], MARK);
    }

    pub(crate) fn draw_levels(&self, canvas: &mut Canvas, panel: &Panel, names: &[&str]) {
        for level in &panel.levels {
            let stroke = level_stroke(names.iter().position(|&name| name == level.label).unwrap_or(0));
            let Some(&(_, first)) = level.points.first() else { continue };
            let line: Vec<Place> = if level.points.iter().all(|&(_, y)| y == first) {
                let y = self.height_of(first);
                vec![(self.frame.left, y), (self.frame.right, y)]
            } else {
                level.points.iter().map(|&(x, y)| self.place(x, y)).collect()
            };
            canvas.path_within(self.frame, &line, stroke);
        }
    }

    pub(crate) fn draw_models(&self, canvas: &mut Canvas, panel: &Panel, seeds: Seeds, palette: &Palette) {
        let mut series: Vec<&Series> = panel.series.iter().collect();
        series
            .sort_by_key(|series| (palette.rank(&series.architecture, &series.label), &series.architecture));
        let column = match seeds {
            Seeds::Dots => self.column_width(&series),
            Seeds::Lines | Seeds::Scatter => 0.0,
        };
        let shift = |place: usize| (place as f64 - (series.len() as f64 - 1.0) / 2.0) * column;
        let shifted: Vec<(&Series, Look, f64)> = series
            .iter()
            .enumerate()
            .map(|(place, &series)| (series, palette.look(&series.architecture, &series.label), shift(place)))
            .collect();
        // In layers over all models, so that no model's line hides another's seeds.
        let any_seed = panel.series.iter().any(|series| !series.seeds.is_empty());
        let aside = if any_seed { column * ASIDE } else { 0.0 };
        for &(series, look, _) in shifted.iter().filter(|_| seeds == Seeds::Lines) {
            self.draw_seed_lines(canvas, series, look);
        }
        for &(series, look, shift) in &shifted {
            self.draw_mean(canvas, series, look, shift - aside);
        }
        for &(series, look, _) in &shifted {
            self.draw_guide(canvas, series, look);
        }
        for &(series, look, shift) in shifted.iter().filter(|_| seeds != Seeds::Lines) {
            self.draw_dots(canvas, series, look, shift + aside, column * 0.4);
        }
        for &(series, look, shift) in &shifted {
            self.draw_markers(canvas, series, look, shift - aside, seeds);
        }
    }

    /// Pixels each model has for itself at one position, so that models do not hide each other.
    fn column_width(&self, series: &[&Series]) -> f64 {
        let mut places: Vec<f64> = series
            .iter()
            .flat_map(|series| series.points.iter().map(|point| self.place(point.x, 0.5).0))
            .filter(|x| x.is_finite())
            .collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        let nearest = places.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
        (0.75 * nearest / series.len().max(1) as f64).min(COLUMN)
    }

    fn draw_dots(&self, canvas: &mut Canvas, series: &Series, look: Look, shift: f64, spread: f64) {
        let seeds = series.seeds.len();
        let step = (spread / seeds.max(1) as f64).min(3.6);
        for (number, seed) in series.seeds.iter().enumerate() {
            let aside = shift + (number as f64 - (seeds as f64 - 1.0) / 2.0) * step;
            for &(x, y) in seed {
                let (x, y) = self.place(x, y);
                if self.frame.contains((x + aside, y)) {
                    canvas.disc((x + aside, y), DOT + 0.9, WHITE, 1.0);
                    canvas.disc((x + aside, y), DOT, look.color, 1.0);
                }
            }
        }
    }

    fn draw_seed_lines(&self, canvas: &mut Canvas, series: &Series, look: Look) {
        for seed in &series.seeds {
            let line: Vec<Place> = seed.iter().map(|&(x, y)| self.place(x, y)).collect();
            // Of one value there is no line.
            if let [only] = line[..]
                && self.frame.contains(only)
            {
                canvas.disc(only, LONE, look.color, 0.45);
            }
            let stroke = Stroke { opacity: 0.45, ..Stroke::solid(look.color, 1.1) };
            canvas.path_within(self.frame, &line, stroke);
        }
    }

    fn draw_mean(&self, canvas: &mut Canvas, series: &Series, look: Look, shift: f64) {
        let place = |point: &Point| {
            let (x, y) = self.place(point.x, point.y);
            (x + shift, y)
        };
        for point in &series.points {
            if let Some((low, high)) = point.interval {
                self.draw_interval(canvas, place(point).0, low, high, look);
            }
        }
        if series.trail {
            let line: Vec<Place> = series.points.iter().map(place).collect();
            let thin = Stroke { opacity: 0.6, ..Stroke::solid(look.color, 1.1) };
            canvas.path_within(self.frame, &line, thin);
            return;
        }
        let solid = Stroke { dash: look.dash, ..Stroke::solid(look.color, 2.8) };
        let doubtful = Stroke { dash: Dash::Dotted, ..Stroke::solid(look.color, 1.6) };
        // Runs of segments of one kind, so that dashes do not start anew at every point.
        let mut run: Vec<Place> = Vec::new();
        let mut kind = false;
        for pair in series.points.windows(2) {
            let doubt = pair[0].doubtful || pair[1].doubtful;
            if doubt != kind || run.is_empty() {
                canvas.path_within(self.frame, &run, if kind { doubtful } else { solid });
                run = vec![place(&pair[0])];
                kind = doubt;
            }
            run.push(place(&pair[1]));
        }
        canvas.path_within(self.frame, &run, if kind { doubtful } else { solid });
    }

    /// In a darker shade, so that it shows on the line that it follows.
    fn draw_guide(&self, canvas: &mut Canvas, series: &Series, look: Look) {
        let dark = |part: u8| (f64::from(part) * 0.45) as u8;
        let (red, green, blue) = look.color;
        let color = (dark(red), dark(green), dark(blue));
        let line: Vec<Place> = series.guide.iter().map(|&(x, y)| self.place(x, y)).collect();
        canvas.path_within(self.frame, &line, Stroke { color, ..GUIDE });
    }

    fn draw_interval(&self, canvas: &mut Canvas, x: f64, low: f64, high: f64, look: Look) {
        let (low, high) = (self.height_of(low), self.height_of(high));
        let stroke = Stroke::solid(look.color, 1.5);
        canvas.path_within(self.frame, &[(x, low), (x, high)], stroke);
        for y in [low, high] {
            canvas.path_within(self.frame, &[(x - 4.0, y), (x + 4.0, y)], stroke);
        }
    }

    /// Markers far enough apart to be told from each other.
    fn draw_markers(&self, canvas: &mut Canvas, series: &Series, look: Look, shift: f64, seeds: Seeds) {
        let apart = match seeds {
            Seeds::Dots | Seeds::Scatter => 0.0,
            Seeds::Lines if series.trail => 0.0,
            Seeds::Lines if series.points.len() <= 16 => 18.0,
            Seeds::Lines => 60.0,
        };
        let mut last: Option<Place> = None;
        for (number, point) in series.points.iter().enumerate() {
            let (x, y) = self.place(point.x, point.y);
            let at = (x + shift, y);
            let near = last.is_some_and(|last| (at.0 - last.0).hypot(at.1 - last.1) < apart);
            if near || !self.frame.contains(at) {
                continue;
            }
            let mut marker = look.marker;
            marker.hollow |= point.doubtful;
            let small = series.trail && number + 1 < series.points.len();
            canvas.marker(at, if small { 3.4 } else { 5.2 }, marker);
            if series.ring == Some(point.x) {
                canvas.ring(at, RING);
            }
            last = Some(at);
        }
    }
}
