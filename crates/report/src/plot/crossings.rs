//! Draws where series meet: a ring, and its word where it hides no other.

use super::canvas::{Anchor, BLACK, Canvas, Font, Frame, WHITE, text_width};
use super::chart::Crossing;
use super::field::Field;

/// Radius of the ring, in pixels: larger than a marker, smaller than the ring of a chosen point.
const RADIUS: f64 = 7.5;
const SIZE: f64 = 15.0;
/// Half the height of a word.
const HALF: f64 = SIZE * 0.6;

/// The rings of a panel, and as many of their words as stand clear of each other and of the frame.
pub(crate) fn draw_crossings(canvas: &mut Canvas, field: &Field, crossings: &[Crossing]) {
    let mut taken: Vec<Frame> = Vec::new();
    for crossing in crossings {
        let at = field.place(crossing.x, crossing.y);
        if !field.frame.contains(at) {
            continue;
        }
        canvas.ring(at, RADIUS);
        let Some(label) = &crossing.label else { continue };
        let half = text_width(label, SIZE) / 2.0 + 3.0;
        let away = RADIUS + HALF + 3.0;
        // Above, below, to either side.
        let places = [(0.0, -away), (0.0, away), (half + RADIUS, -HALF), (-half - RADIUS, HALF)];
        let boxes = places.map(|(x, y)| Frame {
            left: at.0 + x - half,
            top: at.1 + y - HALF,
            right: at.0 + x + half,
            bottom: at.1 + y + HALF,
        });
        let clear = |own: &&Frame| {
            field.frame.contains((own.left, own.top))
                && field.frame.contains((own.right, own.bottom))
                && taken.iter().all(|other| !overlap(own, other))
        };
        let Some(&own) = boxes.iter().find(clear) else { continue };
        let corners =
            [(own.left, own.top), (own.right, own.top), (own.right, own.bottom), (own.left, own.bottom)];
        canvas.polygon(&corners, WHITE, 0.85);
        let middle = ((own.left + own.right) / 2.0, (own.top + own.bottom) / 2.0);
        canvas.text(label, middle, Anchor::Center, Font { size: SIZE, bold: false, color: BLACK });
        taken.push(own);
    }
}

fn overlap(a: &Frame, b: &Frame) -> bool {
    a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom
}
