//! The study at a glance: a matrix of tasks and models, each field with its number, darker where more of the task is
//! mastered. The shade repeats what the number says, and is one hue of falling lightness: it survives print in grey.

use super::Figure;
use super::canvas::{Anchor, BLACK, Canvas, Font, Rgb, Stroke, WHITE, text_width, wrap};
use super::draw::draw_header;
use super::layout::{EDGE, SUBTITLE, TICK, TITLE, WIDTH};
use super::legend::GREY;
use crate::summary::{EXTRAPOLATES, Measure, StudyEntry, StudyRow, Summary};
use crate::table::{entry_words, shown_words, task_words};

/// Lightest and darkest shade, for nothing and for all of a task.
const LIGHT: Rgb = (242, 246, 250);
const DARK: Rgb = (12, 52, 98);
/// Shades in the key.
const SHADES: usize = 60;
/// Width of the column of tasks, in pixels.
const TASKS: f64 = 250.0;
const SMALL: f64 = 13.5;
const NUMBER: f64 = 16.0;
/// Longest line of an upright heading, in pixels.
const LONGEST: f64 = 130.0;
/// Height of a row, in pixels, unless its words need more.
const ROW: f64 = 48.0;
/// White space between neighbouring fields.
const SEAM: f64 = 1.5;

/// One figure, where the summary has a study with something in it.
pub(crate) fn figure(summary: &Summary) -> Option<Figure> {
    let study = &summary.study;
    let drawable =
        |entry: &StudyEntry| entry.reach.is_some() || entry.value.mean.is_some_and(|mean| mean.is_finite());
    if !study.rows.iter().flat_map(|row| &row.entries).any(drawable) {
        return None;
    }
    let title = "Study: tasks against models".to_string();
    let titles = wrap(&title, TITLE * 1.1, WIDTH - 2.0 * EDGE);
    let subtitle = subtitle(summary);
    let subtitles = wrap(&subtitle, SUBTITLE, WIDTH - 2.0 * EDGE);
    let mut top = EDGE + titles.len() as f64 * TITLE * 1.25 + subtitles.len() as f64 * SUBTITLE * 1.3 + 16.0;

    let left = EDGE + TASKS;
    let field = (WIDTH - EDGE - left) / study.models.len().max(1) as f64;
    let headings = Headings::of(study.models.iter().map(|(_, model)| model.as_str()), field);
    top += headings.height();
    let words: Vec<RowWords> = study.rows.iter().map(RowWords::of).collect();
    let height = top + words.iter().map(RowWords::height).sum::<f64>() + 62.0 + EDGE;

    let mut canvas = Canvas::new(WIDTH, height.round());
    draw_header(&mut canvas, &titles, &subtitles);
    headings.draw(&mut canvas, left, top);
    for (row, words) in study.rows.iter().zip(&words) {
        let bottom = top + words.height();
        words.draw(&mut canvas, (top + bottom) / 2.0);
        for (place, (_, model)) in study.models.iter().enumerate() {
            let x = left + field * place as f64;
            let corners = (x + SEAM, top + SEAM, x + field - SEAM, bottom - SEAM);
            let entry = row.entries.iter().find(|entry| entry.model == *model);
            draw_field(&mut canvas, row, entry, corners);
        }
        top = bottom;
    }
    draw_key(&mut canvas, top + 18.0, left);
    let svg = canvas.into_svg(&title);
    Some(Figure { file_name: "study.svg".into(), title, subtitle, svg })
}

/// The models' names above their columns: smaller before they break, and upright where a word of one would not fit.
struct Headings {
    lines: Vec<Vec<String>>,
    size: f64,
    field: f64,
    upright: bool,
}

impl Headings {
    fn of<'a>(models: impl Iterator<Item = &'a str> + Clone, field: f64) -> Self {
        // Bold letters are about a tenth wider.
        let fit = |size: f64| {
            let mut words = models.clone().flat_map(str::split_whitespace);
            words.all(|word| text_width(word, size * 1.1) <= field - 4.0)
        };
        let size = if fit(TICK) { TICK } else { SMALL };
        let upright = !fit(size);
        let room = if upright { LONGEST } else { field - 4.0 };
        Self { lines: models.map(|model| wrap(model, size * 1.1, room)).collect(), size, field, upright }
    }

    fn length(&self) -> f64 {
        let lines = self.lines.iter().flatten();
        lines.map(|line| text_width(line, self.size * 1.1)).fold(0.0, f64::max)
    }

    fn height(&self) -> f64 {
        if self.upright {
            return self.length() + 10.0;
        }
        self.lines.iter().map(Vec::len).max().unwrap_or(1) as f64 * TICK * 1.15 + 4.0
    }

    fn draw(&self, canvas: &mut Canvas, left: f64, top: f64) {
        let font = Font { size: self.size, bold: true, color: BLACK };
        for (place, lines) in self.lines.iter().enumerate() {
            let x = left + self.field * (place as f64 + 0.5);
            for (line, text) in lines.iter().enumerate() {
                if self.upright {
                    // Lines from left to right, each beginning at the field.
                    let x = x + (line as f64 - (lines.len() as f64 - 1.0) / 2.0) * self.size * 1.15;
                    let y = top - 6.0 - text_width(text, self.size * 1.1) / 2.0;
                    canvas.text(text, (x, y), Anchor::Upwards, font);
                } else {
                    let above = (lines.len() - 1 - line) as f64;
                    canvas.text(text, (x, top - 12.0 - above * TICK * 1.15), Anchor::Center, font);
                }
            }
        }
    }
}

/// What stands to the left of a row.
struct RowWords {
    task: Vec<String>,
    shown: Vec<String>,
}

impl RowWords {
    fn of(row: &StudyRow) -> Self {
        let shown = match row.measure {
            // Twenty lengths and more are named by their range already, values of a sweep may be as many.
            Measure::Reach if row.values.len() > 6 => {
                let words = shown_words(row);
                let (name, _) = words.split_once(" (").unwrap_or((&words, ""));
                let ends =
                    [row.values.first(), row.values.last()].map(|end| end.copied().unwrap_or_default());
                let [low, high] = ends.map(super::axis::number);
                format!("{name} ({} values, {low} to {high})", row.values.len())
            }
            _ => shown_words(row),
        };
        let shown = if row.metric == "bits_per_byte" || row.metric == "mse" {
            format!("{shown}, lower is better")
        } else {
            shown
        };
        Self {
            task: wrap(&task_words(row), NUMBER * 1.08, TASKS - 12.0),
            shown: wrap(&shown, SMALL, TASKS - 12.0),
        }
    }

    fn height(&self) -> f64 {
        (self.text_height() + 12.0).max(ROW)
    }

    fn text_height(&self) -> f64 {
        self.task.len() as f64 * NUMBER * 1.25 + self.shown.len() as f64 * SMALL * 1.25
    }

    fn draw(&self, canvas: &mut Canvas, middle: f64) {
        let mut y = middle - self.text_height() / 2.0;
        for line in &self.task {
            let font = Font { size: NUMBER, bold: true, color: BLACK };
            canvas.text(line, (EDGE, y + NUMBER * 0.62), Anchor::Left, font);
            y += NUMBER * 1.25;
        }
        for line in &self.shown {
            let font = Font { size: SMALL, bold: false, color: GREY };
            canvas.text(line, (EDGE, y + SMALL * 0.62), Anchor::Left, font);
            y += SMALL * 1.25;
        }
    }
}

fn draw_field(
    canvas: &mut Canvas,
    row: &StudyRow,
    entry: Option<&StudyEntry>,
    (left, top, right, bottom): (f64, f64, f64, f64),
) {
    let corners = [(left, top), (right, top), (right, bottom), (left, bottom)];
    let middle = ((left + right) / 2.0, (top + bottom) / 2.0);
    let share = entry.and_then(|entry| entry.share);
    match share {
        Some(share) => canvas.polygon(&corners, shade(share), 1.0),
        None => {
            let outline = [corners[0], corners[1], corners[2], corners[3], corners[0]];
            canvas.path(&outline, Stroke::solid((190, 190, 190), 1.0));
        }
    }
    let color = share.map_or(BLACK, |share| ink(shade(share)));
    let Some((number, count)) = entry.map(|entry| entry_words(row, entry)) else {
        canvas.text("–", middle, Anchor::Center, Font { size: NUMBER, bold: false, color: GREY });
        return;
    };
    // The interval stands in the table: here it would leave no room for the number.
    let number = match number.split_once('±') {
        _ if number.contains("NaN") || number.contains("inf") => "–".to_string(),
        Some((mean, _)) => mean.trim().to_string(),
        None => number,
    };
    let room = right - left - 6.0;
    let size = NUMBER.min(NUMBER * room / text_width(&number, NUMBER));
    let above = if count.is_some() { NUMBER * 0.55 } else { 0.0 };
    canvas.text(&number, (middle.0, middle.1 - above), Anchor::Center, Font { size, bold: true, color });
    if let Some(count) = count {
        let font = Font { size: SMALL, bold: false, color };
        canvas.text(&count, (middle.0, middle.1 + NUMBER * 0.7), Anchor::Center, font);
    }
}

/// The key: which shade is which share.
fn draw_key(canvas: &mut Canvas, top: f64, left: f64) {
    let (width, height) = (240.0, 14.0);
    for place in 0..SHADES {
        let x = |place: usize| left + width * place as f64 / SHADES as f64;
        // A hair of overlap, so that no white seam shows between neighbours.
        let (from, to) = (x(place), x(place + 1) + if place + 1 < SHADES { 0.4 } else { 0.0 });
        let share = (place as f64 + 0.5) / SHADES as f64;
        let bottom = top + height;
        canvas.polygon(&[(from, top), (to, top), (to, bottom), (from, bottom)], shade(share), 1.0);
    }
    let font = Font { size: SMALL, bold: false, color: BLACK };
    for (at, label) in [(0.0, "0"), (0.5, "0.5"), (1.0, "1")] {
        let x = left + width * at;
        canvas.path(&[(x, top + height), (x, top + height + 4.0)], Stroke::solid(GREY, 1.0));
        canvas.text(label, (x, top + height + 14.0), Anchor::Center, font);
    }
    canvas.text("shade: share mastered", (left - 12.0, top + height / 2.0), Anchor::Right, font);
    let x = left + width + 16.0;
    canvas.text("reach: share of the values swept", (x, top + 1.0), Anchor::Left, font);
    canvas.text("score: 0 chance or best trivial, 1 perfect", (x, top + 18.0), Anchor::Left, font);
}

pub(super) fn shade(share: f64) -> Rgb {
    let mix =
        |light: u8, dark: u8| (f64::from(light) + share * (f64::from(dark) - f64::from(light))).round() as u8;
    (mix(LIGHT.0, DARK.0), mix(LIGHT.1, DARK.1), mix(LIGHT.2, DARK.2))
}

/// Black or white, whichever stands out more: of any two luminances that is a contrast of 4.5 to 1 or above.
fn ink(color: Rgb) -> Rgb {
    if luminance(color) > 0.179 { BLACK } else { WHITE }
}

/// Relative luminance of sRGB.
fn luminance((red, green, blue): Rgb) -> f64 {
    let linear = |byte: u8| {
        let x = f64::from(byte) / 255.0;
        if x <= 0.04045 { x / 12.92 } else { ((x + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

fn subtitle(summary: &Summary) -> String {
    let rows = &summary.study.rows;
    let counts = rows.iter().flat_map(|row| &row.entries).map(|entry| entry.value.n);
    let mut text = format!("test stream, mean over {}", super::names::seeds_text(counts));
    if rows.iter().any(|row| row.measure == Measure::Reach) {
        text.push_str("; reach: the largest value that 80 % of the seeds solve, as all smaller ones");
    }
    text.push_str("; below: seeds that solve the largest value");
    if rows.iter().any(|row| row.measure == Measure::Extrapolation) {
        text.push_str(&format!(", or extrapolate (≥ {EXTRAPOLATES:.2} over unseen lengths)"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shades_fall_in_lightness_and_their_text_stands_out() {
        let mut last = f64::INFINITY;
        for step in 0..=100 {
            let share = f64::from(step) / 100.0;
            let own = luminance(shade(share));
            assert!(own < last, "{share}");
            last = own;
            let text = luminance(ink(shade(share)));
            let contrast = (own.max(text) + 0.05) / (own.min(text) + 0.05);
            assert!(contrast >= 4.5, "{share}: {contrast}");
        }
    }
}
