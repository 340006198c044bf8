//! Inside a model over one sequence: gates and states as units against steps, attention as queries against keys, below what
//! the model reads.

use super::Figure;
use super::canvas::{Anchor, BLACK, Canvas, Font, Frame, Stroke, wrap};
use super::draw::draw_header;
use super::gradients::stage_title;
use super::layout::{EDGE, SUBTITLE, TICK, TITLE, WIDTH};
use super::legend::GREY;
use super::names::{distinct, file_name};
use super::study::shade;
use seqbench_record::{CellFiles, Purpose, TraceRow};

/// Units of a signal that are drawn.
const MOST_UNITS: u32 = 12;
/// Heads that are drawn, side by side.
const MOST_HEADS: usize = 4;
/// Height of a unit's row, in pixels.
const ROW: f64 = 8.0;
const SMALL: f64 = 13.5;
/// Room for the names to the left.
const NAMES: f64 = 165.0;
/// Share of the scale below which nothing is drawn of an attention weight: most are next to nothing.
const FAINT: f64 = 0.02;

/// One figure a model and layer, of the first seed, at the last moment traced.
pub(crate) fn figures(cells: &[CellFiles]) -> Vec<Figure> {
    let traced =
        cells.iter().filter(|files| files.cell.purpose == Purpose::Final && !files.traces.is_empty());
    let mut traced: Vec<&CellFiles> = traced.collect();
    traced.sort_by(|a, b| {
        (&a.cell.labels.model, a.cell.labels.seed).cmp(&(&b.cell.labels.model, b.cell.labels.seed))
    });
    let mut figures = Vec::new();
    for model in distinct(traced.iter().map(|files| files.cell.labels.model.as_str())) {
        let Some(files) = traced.iter().find(|files| files.cell.labels.model == model) else { continue };
        let layers = distinct(files.traces.iter().map(|row| row.layer));
        for layer in &layers {
            let name = if layers.len() > 1 { format!("{model}-layer-{layer}") } else { model.to_owned() };
            figures.extend(figure(files, model, *layer, &name));
        }
    }
    figures
}

/// A signal's rows with its least and greatest value.
struct Field<'a> {
    name: &'a str,
    rows: Vec<&'a TraceRow>,
    low: f64,
    high: f64,
    units: u32,
}

impl<'a> Field<'a> {
    fn new(name: &'a str, rows: Vec<&'a TraceRow>) -> Self {
        let finite = || rows.iter().map(|row| row.value).filter(|value| value.is_finite());
        let (low, high) =
            (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
        let units = rows.iter().map(|row| row.unit + 1).max().unwrap_or(0);
        Field { name, rows, low, high, units }
    }

    fn share(&self, value: f64) -> f64 {
        if self.high > self.low { ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0) } else { 0.5 }
    }
}

fn figure(files: &CellFiles, model: &str, layer: u32, name: &str) -> Option<Figure> {
    let stage = &files.traces.last()?.stage;
    let rows = |signal: &str| -> Vec<&TraceRow> {
        let of_layer = |row: &&TraceRow| row.layer == layer || signal == "tokens" || signal == "features";
        files
            .traces
            .iter()
            .filter(|row| row.stage == *stage && row.signal == signal)
            .filter(of_layer)
            .collect()
    };
    let names = distinct(files.traces.iter().filter(|row| row.layer == layer).map(|row| row.signal.as_str()));
    let of_heads = |name: &&str| name.starts_with("attention:");
    let inputs = ["tokens", "features"].into_iter().find(|name| !rows(name).is_empty())?;
    let signals: Vec<Field<'_>> = std::iter::once(inputs)
        .chain(names.iter().copied().filter(|name| !of_heads(name) && *name != inputs))
        .map(|name| Field::new(name, rows(name)))
        .collect();
    let heads: Vec<Field<'_>> = names
        .iter()
        .copied()
        .filter(of_heads)
        .take(MOST_HEADS)
        .map(|name| Field::new(name, rows(name)))
        .collect();
    if signals.len() + heads.len() < 2 {
        return None;
    }
    let steps = signals.first()?.rows.iter().map(|row| row.step + 1).max()?;
    let title = format!("Inside {model} over one sequence");
    let subtitle = format!(
        "{}, layer {layer}, {}; each field from its least value (light) to its greatest (dark)",
        files.cell.labels.task,
        stage_title(stage)
    );
    let titles = wrap(&title, TITLE * 1.1, WIDTH - 2.0 * EDGE);
    let subtitles = wrap(&subtitle, SUBTITLE, WIDTH - 2.0 * EDGE);
    let mut top = EDGE + titles.len() as f64 * TITLE * 1.25 + subtitles.len() as f64 * SUBTITLE * 1.3 + 14.0;
    let height_of = |field: &Field<'_>| f64::from(field.units.min(MOST_UNITS)).max(2.5) * ROW;
    let below: f64 = signals.iter().map(|field| height_of(field) + 12.0).sum::<f64>() + 46.0;
    let side = if heads.is_empty() {
        0.0
    } else {
        ((WIDTH - 2.0 * EDGE) / heads.len().max(2) as f64 - 26.0).min(360.0)
    };
    let squares = if heads.is_empty() { 0.0 } else { side + 64.0 };

    let mut canvas = Canvas::new(WIDTH, (top + below + squares + EDGE).round());
    draw_header(&mut canvas, &titles, &subtitles);
    let font = Font { size: SMALL, bold: false, color: BLACK };
    let frame =
        |top: f64, height: f64| Frame { left: EDGE + NAMES, top, right: WIDTH - EDGE, bottom: top + height };
    for field in &signals {
        let frame = frame(top, height_of(field));
        draw_signal(&mut canvas, field, frame, steps);
        top = frame.bottom + 12.0;
    }
    let across = |step: u64| EDGE + NAMES + (WIDTH - 2.0 * EDGE - NAMES) * (step as f64 + 0.5) / steps as f64;
    for step in [0, (steps - 1) / 2, steps - 1] {
        canvas.text(&step.to_string(), (across(step), top), Anchor::Center, font);
    }
    canvas.text("step", (across(steps / 4), top), Anchor::Center, font);
    top += 40.0;
    for (place, field) in heads.iter().enumerate() {
        let left = EDGE + place as f64 * (side + 26.0);
        let heading = Font { size: TICK, bold: true, color: BLACK };
        canvas.text(&field.name.replace(':', ", head "), (left, top - TICK * 0.6), Anchor::Left, heading);
        draw_attention(
            &mut canvas,
            field,
            Frame { left, top: top + 4.0, right: left + side, bottom: top + 4.0 + side },
            steps,
        );
        canvas.text("key (steps), query downwards", (left, top + side + 18.0), Anchor::Left, font);
    }
    let svg = canvas.into_svg(&title);
    Some(Figure { file_name: file_name("trace", name), title, subtitle, svg })
}

fn draw_signal(canvas: &mut Canvas, field: &Field<'_>, frame: Frame, steps: u64) {
    let units = field.units.min(MOST_UNITS);
    let (width, height) = (frame.width() / steps as f64, frame.height() / f64::from(units.max(1)));
    for row in field.rows.iter().filter(|row| row.unit < units && row.value.is_finite()) {
        let (x, y) = (frame.left + width * row.step as f64, frame.top + height * f64::from(row.unit));
        fill(canvas, (x, y, x + width, y + height), field.share(row.value));
    }
    outline(canvas, frame);
    let middle = (frame.top + frame.bottom) / 2.0;
    let name = Font { size: SMALL, bold: true, color: BLACK };
    canvas.text(field.name, (EDGE, middle - SMALL * 0.6), Anchor::Left, name);
    let more = if field.units > units { format!(", {units} of {}", field.units) } else { String::new() };
    let range = format!("{:.2} … {:.2}{more}", field.low, field.high);
    canvas.text(
        &range,
        (EDGE, middle + SMALL * 0.6),
        Anchor::Left,
        Font { size: 11.0, bold: false, color: GREY },
    );
}

fn draw_attention(canvas: &mut Canvas, field: &Field<'_>, frame: Frame, steps: u64) {
    let each = frame.width() / steps as f64;
    for row in field.rows.iter().filter(|row| field.share(row.value) > FAINT) {
        let (x, y) = (frame.left + each * f64::from(row.unit), frame.top + each * row.step as f64);
        fill(canvas, (x, y, x + each, y + each), field.share(row.value));
    }
    outline(canvas, frame);
}

fn fill(canvas: &mut Canvas, (left, top, right, bottom): (f64, f64, f64, f64), share: f64) {
    canvas.polygon(&[(left, top), (right, top), (right, bottom), (left, bottom)], shade(share), 1.0);
}

fn outline(canvas: &mut Canvas, Frame { left, top, right, bottom }: Frame) {
    let corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
    canvas.path(&corners, Stroke::solid((150, 150, 150), 1.0));
}
