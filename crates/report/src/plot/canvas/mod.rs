//! A page to draw on: strokes, fills and text in pixels, written as SVG at the end.
//!
//! The only module that knows `plotters`. Its SVG backend counts in whole units and has no dashes, so the page
//! is drawn in tenths of a pixel and shown through a view box, dashes are cut beforehand (`stroke`), and what the
//! backend wrote of them is joined again (`compact`).

mod compact;
mod data;
mod marker;
mod stroke;
mod text;

pub(crate) use marker::{Marker, Shape};
pub(crate) use stroke::{Dash, Frame};
pub(crate) use text::{text_width, wrap};

use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontDesc, FontFamily, FontStyle, FontTransform, RGBColor, TextStyle};

/// A place on the page, in pixels from the top left corner.
pub(crate) type Place = (f64, f64);

/// Units of the backend in a pixel.
const UNITS: f64 = 10.0;

/// Red, green, blue.
pub(crate) type Rgb = (u8, u8, u8);

pub(crate) const BLACK: Rgb = (0, 0, 0);
pub(crate) const WHITE: Rgb = (255, 255, 255);

/// Colour and width of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stroke {
    pub(crate) color: Rgb,
    /// From 0, invisible, to 1.
    pub(crate) opacity: f64,
    /// Pixels.
    pub(crate) width: f64,
    pub(crate) dash: Dash,
}

impl Stroke {
    /// An unbroken opaque line.
    pub(crate) fn solid(color: Rgb, width: f64) -> Self {
        Self { color, opacity: 1.0, width, dash: Dash::Solid }
    }
}

/// Which point of a text stands at the place it is given.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Anchor {
    /// Middle of the left edge.
    Left,
    /// Middle.
    Center,
    /// Middle of the right edge.
    Right,
    /// Middle, read upwards.
    Upwards,
}

/// Size and colour of a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Font {
    /// Pixels.
    pub(crate) size: f64,
    pub(crate) bold: bool,
    pub(crate) color: Rgb,
}

enum Element {
    Path { points: Vec<Place>, stroke: Stroke },
    Polygon { points: Vec<Place>, color: Rgb, opacity: f64 },
    Disc { at: Place, radius: f64, color: Rgb, opacity: f64 },
    Text { content: String, at: Place, anchor: Anchor, font: Font },
}

/// A white page of a fixed size, in pixels.
pub(crate) struct Canvas {
    width: f64,
    height: f64,
    elements: Vec<Element>,
}

impl Canvas {
    pub(crate) fn new(width: f64, height: f64) -> Self {
        Self { width, height, elements: Vec::new() }
    }

    /// A line through points, with its dashes. Nothing is drawn of fewer than two points.
    pub(crate) fn path(&mut self, points: &[Place], stroke: Stroke) {
        for points in stroke::dashes(points, stroke.dash) {
            self.elements.push(Element::Path { points, stroke });
        }
    }

    /// The part of a line that lies inside a frame.
    pub(crate) fn path_within(&mut self, frame: Frame, points: &[Place], stroke: Stroke) {
        for piece in frame.clip(points) {
            self.path(&piece, stroke);
        }
    }

    pub(crate) fn polygon(&mut self, points: &[Place], color: Rgb, opacity: f64) {
        self.elements.push(Element::Polygon { points: points.to_vec(), color, opacity });
    }

    pub(crate) fn disc(&mut self, at: Place, radius: f64, color: Rgb, opacity: f64) {
        self.elements.push(Element::Disc { at, radius, color, opacity });
    }

    pub(crate) fn text(&mut self, content: &str, at: Place, anchor: Anchor, font: Font) {
        self.elements.push(Element::Text { content: content.to_string(), at, anchor, font });
    }

    /// The page as an SVG document, named for screen readers by `title`.
    pub(crate) fn into_svg(self, title: &str) -> String {
        let mut body = String::new();
        let drawn = self.draw(&mut body);
        debug_assert!(drawn.is_ok(), "the backend writes to a string, which cannot fail");
        // Without the backend's own root.
        let drawing = body.split_once('>').map_or("", |(_, content)| content);
        let drawing = compact::compact(drawing.trim_end().trim_end_matches("</svg>"));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {} {}\" \
             role=\"img\">\n<title>{}</title>\n{drawing}</svg>\n",
            self.width,
            self.height,
            units(self.width),
            units(self.height),
            text::escape(title),
        )
    }

    fn draw(&self, body: &mut String) -> Result<(), String> {
        let size = (units(self.width).unsigned_abs(), units(self.height).unsigned_abs());
        let mut backend = SVGBackend::with_string(body, size);
        let page = [(0.0, 0.0), (self.width, 0.0), (self.width, self.height), (0.0, self.height)];
        let page = Element::Polygon { points: page.to_vec(), color: WHITE, opacity: 1.0 };
        for element in std::iter::once(&page).chain(&self.elements) {
            draw_element(&mut backend, element)?;
        }
        backend.present().map_err(|error| error.to_string())
    }
}

fn draw_element<B: DrawingBackend>(backend: &mut B, element: &Element) -> Result<(), String> {
    let drawn = match element {
        Element::Path { points, stroke } => {
            let style =
                rgb(stroke.color).mix(stroke.opacity).stroke_width(units(stroke.width).unsigned_abs());
            backend.draw_path(points.iter().map(whole), &style)
        }
        Element::Polygon { points, color, opacity } => {
            backend.fill_polygon(points.iter().map(whole), &rgb(*color).mix(*opacity))
        }
        Element::Disc { at, radius, color, opacity } => {
            let radius = units(*radius).unsigned_abs();
            backend.draw_circle(whole(at), radius, &rgb(*color).mix(*opacity), true)
        }
        Element::Text { content, at, anchor, font } => {
            let (h_pos, transform) = match anchor {
                Anchor::Left => (HPos::Left, FontTransform::None),
                Anchor::Center => (HPos::Center, FontTransform::None),
                Anchor::Right => (HPos::Right, FontTransform::None),
                Anchor::Upwards => (HPos::Center, FontTransform::Rotate270),
            };
            let style = if font.bold { FontStyle::Bold } else { FontStyle::Normal };
            // The backend writes 1/1.24 of the size it is given.
            let size = font.size * UNITS * 1.24;
            let style = TextStyle {
                font: FontDesc::new(FontFamily::SansSerif, size, style).transform(transform),
                color: rgb(font.color).to_backend_color(),
                pos: Pos::new(h_pos, VPos::Center),
            };
            backend.draw_text(content, &style, whole(at))
        }
    };
    drawn.map_err(|error| error.to_string())
}

fn rgb((red, green, blue): Rgb) -> RGBColor {
    RGBColor(red, green, blue)
}

fn units(pixels: f64) -> i32 {
    (pixels * UNITS).round() as i32
}

fn whole(&(x, y): &Place) -> (i32, i32) {
    (units(x), units(y))
}

/// Strokes, fills and dots whose paths have this in their attributes, however many share one path.
#[cfg(test)]
pub(crate) fn parts(svg: &str, look: &str) -> usize {
    let data = svg.lines().filter_map(|line| line.strip_prefix("<path ")?.split_once(" d=\""));
    data.filter(|(own, _)| own.contains(look)).map(|(_, data)| data.matches(['m', 'M']).count()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_keeps_tenths_of_a_pixel_and_escapes_text() {
        let mut canvas = Canvas::new(100.0, 50.0);
        canvas.disc((10.04, 20.06), 2.5, BLACK, 1.0);
        canvas.text("a < b & c", (1.0, 2.0), Anchor::Left, Font { size: 12.0, bold: false, color: BLACK });
        let svg = canvas.into_svg("x > y");
        assert!(svg.starts_with("<svg xmlns="));
        assert!(svg.contains("viewBox=\"0 0 1000 500\""));
        assert!(svg.contains("stroke-width=\"50\" stroke-linecap=\"round\" d=\"m100 201h0\""));
        assert!(svg.contains(">a &lt; b &amp; c</text>"));
        assert!(svg.contains("<title>x &gt; y</title>"));
        assert!(svg.contains("font-family=\"sans-serif\"") && svg.contains("font-size=\"120"));
        assert!(svg.ends_with("</g>\n</svg>\n"));
    }
}
