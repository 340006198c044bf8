//! The legend: which line is which model or level, beside a lone panel or above several.

use super::axis::Scale;
use super::canvas::{Anchor, BLACK, Canvas, Dash, Font, Place, Stroke, text_width, wrap};
use super::chart::{Chart, Level};
use super::layout::{EDGE, WIDTH};
use super::palette::{Look, Palette};
use std::collections::BTreeMap;

const SIZE: f64 = 18.0;
const NOTE: f64 = 15.0;
const SWATCH: f64 = 44.0;
const SPACE: f64 = 9.0;
/// Widest text of an entry beside a panel.
const WIDEST: f64 = 190.0;
/// Grey that keeps a contrast above 5:1 on white.
pub(crate) const GREY: (u8, u8, u8) = (85, 85, 85);

/// Stroke of the n-th level of a chart.
pub(crate) fn level_stroke(place: usize) -> Stroke {
    let dash = [Dash::Medium, Dash::Dotted, Dash::Long][place % 3];
    Stroke { color: GREY, opacity: 1.0, width: 1.8, dash }
}

/// Stroke of a marked position.
pub(crate) const MARK: Stroke = Stroke { color: GREY, opacity: 1.0, width: 1.8, dash: Dash::Dotted };

/// Stroke of a guide; a series' own has its colour.
pub(crate) const GUIDE: Stroke = Stroke { color: GREY, opacity: 1.0, width: 1.1, dash: Dash::Medium };

/// Names of the levels of a chart, in the order in which they get their strokes.
pub(crate) fn level_names(chart: &Chart) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for level in chart.panels.iter().flat_map(|panel| &panel.levels) {
        if !names.contains(&level.label.as_str()) {
            names.push(&level.label);
        }
    }
    names
}

enum Swatch {
    Model(Look),
    Level(Stroke),
}

struct Entry {
    swatch: Swatch,
    lines: Vec<String>,
    notes: Vec<String>,
}

impl Entry {
    fn width(&self) -> f64 {
        let text = self.lines.iter().map(|line| text_width(line, SIZE));
        let notes = self.notes.iter().map(|line| text_width(line, NOTE));
        SWATCH + SPACE + text.chain(notes).fold(0.0, f64::max)
    }

    fn height(&self) -> f64 {
        self.lines.len() as f64 * SIZE * 1.25 + self.notes.len() as f64 * NOTE * 1.3
    }
}

/// A legend that is not yet placed.
pub(crate) struct Legend {
    entries: Vec<Entry>,
}

impl Legend {
    /// Entries in the palette's order, levels last; without the models where rows of their own name them.
    pub(crate) fn of(chart: &Chart, palette: &Palette, models: bool) -> Self {
        let mut found = BTreeMap::new();
        for series in chart.series().filter(|_| models) {
            let rank = palette.rank(&series.architecture, &series.label);
            found.entry((rank, &series.architecture)).or_insert(series);
        }
        let models = found.into_values().map(|series| Entry {
            swatch: Swatch::Model(palette.look(&series.architecture, &series.label)),
            lines: wrap(&series.label, SIZE, WIDEST),
            notes: series.note.iter().flat_map(|note| wrap(note, NOTE, WIDEST)).collect(),
        });
        let levels = level_names(chart).into_iter().enumerate().map(|(place, name)| Entry {
            swatch: Swatch::Level(level_stroke(place)),
            lines: wrap(&level_label(chart, name), SIZE, WIDEST),
            notes: Vec::new(),
        });
        let mark = mark_label(chart).map(|label| Entry {
            swatch: Swatch::Level(MARK),
            lines: wrap(&label, SIZE, WIDEST),
            notes: Vec::new(),
        });
        let guide = chart.panels.iter().find_map(|panel| panel.guide.as_ref()).map(|name| Entry {
            swatch: Swatch::Level(GUIDE),
            lines: wrap(name, SIZE, WIDEST),
            notes: Vec::new(),
        });
        Self { entries: models.chain(levels).chain(mark).chain(guide).collect() }
    }

    /// Width of the column it takes beside a panel.
    pub(crate) fn column_width(&self) -> f64 {
        self.entries.iter().map(Entry::width).fold(0.0, f64::max)
    }

    /// Height of that column.
    pub(crate) fn column_height(&self) -> f64 {
        self.entries.iter().map(|entry| entry.height() + SIZE * 0.5).sum()
    }

    /// Height of the rows it takes above panels.
    pub(crate) fn rows_height(&self) -> f64 {
        self.rows().iter().map(|(entry, (_, y))| y + entry.height() + 8.0).fold(0.0, f64::max)
    }

    pub(crate) fn draw_column(&self, canvas: &mut Canvas, (left, mut top): Place) {
        for entry in &self.entries {
            draw_entry(canvas, entry, (left, top));
            top += entry.height() + SIZE * 0.5;
        }
    }

    pub(crate) fn draw_rows(&self, canvas: &mut Canvas, top: f64) {
        for (entry, (x, y)) in self.rows() {
            draw_entry(canvas, entry, (EDGE + x, top + y));
        }
    }

    /// Entries from left to right, broken into rows of the page's width.
    fn rows(&self) -> Vec<(&Entry, Place)> {
        let (mut x, mut y, mut tallest) = (0.0, 0.0, 0.0f64);
        let mut placed = Vec::new();
        for entry in &self.entries {
            if x > 0.0 && x + entry.width() > WIDTH - 2.0 * EDGE {
                (x, y, tallest) = (0.0, y + tallest, 0.0);
            }
            placed.push((entry, (x, y)));
            x += entry.width() + 26.0;
            tallest = tallest.max(entry.height());
        }
        placed
    }
}

fn draw_entry(canvas: &mut Canvas, entry: &Entry, (left, top): Place) {
    let middle = top + SIZE * 0.6;
    let ends = [(left, middle), (left + SWATCH, middle)];
    match &entry.swatch {
        Swatch::Model(look) => {
            canvas.path(&ends, Stroke { dash: look.dash, ..Stroke::solid(look.color, 2.8) });
            canvas.marker((left + SWATCH / 2.0, middle), 5.5, look.marker);
        }
        Swatch::Level(stroke) => canvas.path(&ends, *stroke),
    }
    let mut y = middle;
    for line in &entry.lines {
        let font = Font { size: SIZE, bold: false, color: BLACK };
        canvas.text(line, (left + SWATCH + SPACE, y), Anchor::Left, font);
        y += SIZE * 1.25;
    }
    for note in &entry.notes {
        let font = Font { size: NOTE, bold: false, color: GREY };
        canvas.text(note, (left + SWATCH + SPACE, y - 2.0), Anchor::Left, font);
        y += NOTE * 1.3;
    }
}

/// The name of the marked position, with the position where it is the same everywhere.
fn mark_label(chart: &Chart) -> Option<String> {
    let marks: Vec<_> = chart.panels.iter().filter_map(|panel| panel.mark.as_ref()).collect();
    let (name, at) = marks.first()?;
    match marks.iter().all(|(_, other)| other == at) {
        true => Some(format!("{name} ({})", super::axis::number(*at))),
        false => Some(name.clone()),
    }
}

/// The name of a level, with its value where it has one value everywhere.
fn level_label(chart: &Chart, name: &str) -> String {
    let mut values: Vec<f64> = chart
        .panels
        .iter()
        .flat_map(|panel| &panel.levels)
        .filter(|level| level.label == name)
        .flat_map(|level: &Level| level.points.iter().map(|&(_, y)| y))
        .collect();
    values.dedup();
    match values[..] {
        [value] if chart.y.scale == Scale::Exponent => {
            format!("{name} ({})", super::axis::number(10f64.powf(value)))
        }
        [value] => format!("{name} ({})", super::axis::number(value)),
        _ => name.to_string(),
    }
}
