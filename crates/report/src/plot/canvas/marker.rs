//! Marks at data points, told apart by shape as well as colour.

use super::{BLACK, Canvas, Dash, Place, Rgb, Stroke, WHITE};

/// Outline of a marker. All have about the same area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
    TriangleDown,
    Pentagon,
}

impl Shape {
    /// Every shape, in the order in which they are given out.
    pub(crate) const ALL: [Shape; 6] =
        [Shape::Circle, Shape::Square, Shape::Triangle, Shape::Diamond, Shape::TriangleDown, Shape::Pentagon];

    /// Corners, the first angle in turns from twelve o'clock, and radius against a circle's.
    fn corners(self) -> (usize, f64, f64) {
        match self {
            Shape::Circle => (24, 0.0, 1.0),
            Shape::Square => (4, 0.125, 1.25),
            Shape::Triangle => (3, 0.0, 1.4),
            Shape::Diamond => (4, 0.0, 1.3),
            Shape::TriangleDown => (3, 0.5, 1.4),
            Shape::Pentagon => (5, 0.0, 1.15),
        }
    }
}

/// A marker: its shape, colour, and whether only its outline is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Marker {
    pub(crate) shape: Shape,
    pub(crate) color: Rgb,
    pub(crate) hollow: bool,
}

impl Canvas {
    /// A marker with a white rim, so that it stands clear of lines; `radius` in pixels.
    pub(crate) fn marker(&mut self, at: Place, radius: f64, marker: Marker) {
        let (corners, first, stretch) = marker.shape.corners();
        let outline = |radius: f64| -> Vec<Place> {
            (0..=corners)
                .map(|corner| {
                    let turn = std::f64::consts::TAU * (first + (corner % corners) as f64 / corners as f64);
                    (at.0 + radius * stretch * turn.sin(), at.1 - radius * stretch * turn.cos())
                })
                .collect()
        };
        let fill = |canvas: &mut Canvas, radius: f64, color: Rgb| match marker.shape {
            Shape::Circle => canvas.disc(at, radius, color, 1.0),
            _ => canvas.polygon(&outline(radius), color, 1.0),
        };
        fill(self, radius + 1.3, WHITE);
        if marker.hollow {
            let stroke = Stroke { color: marker.color, opacity: 1.0, width: 1.8, dash: Dash::Solid };
            self.path(&outline(radius - 0.6), stroke);
        } else {
            fill(self, radius, marker.color);
        }
    }

    /// A black circle around a place, on a white rim.
    pub(crate) fn ring(&mut self, at: Place, radius: f64) {
        let outline: Vec<Place> = (0..=36)
            .map(|part| {
                let turn = std::f64::consts::TAU * f64::from(part % 36) / 36.0;
                (at.0 + radius * turn.sin(), at.1 - radius * turn.cos())
            })
            .collect();
        self.path(&outline, Stroke::solid(WHITE, 4.5));
        self.path(&outline, Stroke::solid(BLACK, 2.2));
    }
}
