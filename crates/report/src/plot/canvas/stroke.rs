//! Lines cut into what is drawn of them: the part inside a frame, and dashes.

use super::Place;

/// How a line is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dash {
    Solid,
    Long,
    Medium,
    Dotted,
    OneDot,
    TwoDots,
}

impl Dash {
    /// Lengths of strokes and gaps in turn, in pixels; empty for an unbroken line.
    fn pattern(self) -> &'static [f64] {
        match self {
            Dash::Solid => &[],
            Dash::Long => &[13.0, 5.0],
            Dash::Medium => &[6.0, 4.0],
            Dash::Dotted => &[2.5, 3.5],
            Dash::OneDot => &[11.0, 4.0, 2.5, 4.0],
            Dash::TwoDots => &[9.0, 4.0, 2.5, 3.5, 2.5, 4.0],
        }
    }
}

/// The strokes of a line: one for an unbroken line, none of fewer than two points.
pub(crate) fn dashes(points: &[Place], dash: Dash) -> Vec<Vec<Place>> {
    let pattern = dash.pattern();
    let (Some(&first), true) = (points.first(), points.len() > 1) else { return Vec::new() };
    if pattern.is_empty() {
        return vec![points.to_vec()];
    }
    let mut strokes = Vec::new();
    let mut current = vec![first];
    let (mut phase, mut left) = (0, pattern[0]);
    for pair in points.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let at = between(from, to, done / length);
            if phase % 2 == 0 {
                current.push(at);
                strokes.push(std::mem::take(&mut current));
            } else {
                current = vec![at];
            }
            phase = (phase + 1) % pattern.len();
            left = pattern[phase];
        }
        left -= length - done;
        if phase % 2 == 0 {
            current.push(to);
        }
    }
    if current.len() > 1 {
        strokes.push(current);
    }
    strokes
}

fn between(from: Place, to: Place, share: f64) -> Place {
    (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share)
}

/// A rectangle, in pixels; `top < bottom`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

impl Frame {
    pub(crate) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(crate) fn height(&self) -> f64 {
        self.bottom - self.top
    }

    pub(crate) fn contains(&self, (x, y): Place) -> bool {
        // A tenth of a pixel, so that a mark on the very edge survives rounding.
        let slack = 0.1;
        (self.left - slack..=self.right + slack).contains(&x)
            && (self.top - slack..=self.bottom + slack).contains(&y)
    }

    /// The pieces of a line inside the frame. A line breaks where a point is not finite.
    pub(crate) fn clip(&self, points: &[Place]) -> Vec<Vec<Place>> {
        let mut pieces: Vec<Vec<Place>> = Vec::new();
        let mut joined = false;
        for pair in points.windows(2) {
            let Some((from, to)) = self.clip_segment(pair[0], pair[1]) else {
                joined = false;
                continue;
            };
            match pieces.last_mut() {
                Some(piece) if joined && piece.last() == Some(&from) => piece.push(to),
                _ => pieces.push(vec![from, to]),
            }
            joined = true;
        }
        pieces
    }

    /// Liang and Barsky's clipping of one segment.
    fn clip_segment(&self, from: Place, to: Place) -> Option<(Place, Place)> {
        if ![from.0, from.1, to.0, to.1].iter().all(|value| value.is_finite()) {
            return None;
        }
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let (mut enter, mut leave) = (0.0f64, 1.0f64);
        let edges = [
            (-dx, from.0 - self.left),
            (dx, self.right - from.0),
            (-dy, from.1 - self.top),
            (dy, self.bottom - from.1),
        ];
        for (slope, room) in edges {
            if slope == 0.0 {
                if room < 0.0 {
                    return None;
                }
            } else if slope < 0.0 {
                enter = enter.max(room / slope);
            } else {
                leave = leave.min(room / slope);
            }
        }
        if enter > leave {
            return None;
        }
        let start = if enter > 0.0 { between(from, to, enter) } else { from };
        let end = if leave < 1.0 { between(from, to, leave) } else { to };
        Some((start, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame = Frame { left: 0.0, top: 0.0, right: 10.0, bottom: 10.0 };

    #[test]
    fn dashes_cover_their_share_of_the_line_and_turn_with_it() {
        let line = [(0.0, 0.0), (93.0, 0.0), (93.0, 83.0)];
        let strokes = dashes(&line, Dash::Medium);
        let drawn: f64 = strokes
            .iter()
            .flat_map(|stroke| stroke.windows(2))
            .map(|pair| (pair[1].0 - pair[0].0).hypot(pair[1].1 - pair[0].1))
            .sum();
        assert_eq!(strokes.len(), 18);
        assert!((drawn - 108.0).abs() < 1e-9, "{drawn}");
        assert!(strokes.iter().any(|stroke| stroke.contains(&(93.0, 0.0))));
        assert_eq!(dashes(&line, Dash::Solid), vec![line.to_vec()]);
        assert!(dashes(&line[..1], Dash::Dotted).is_empty());
    }

    #[test]
    fn clipping_keeps_the_inside_and_joins_it() {
        let line = [(-5.0, 5.0), (5.0, 5.0), (5.0, 8.0), (5.0, 40.0), (20.0, 40.0)];
        assert_eq!(FRAME.clip(&line), vec![vec![(0.0, 5.0), (5.0, 5.0), (5.0, 8.0), (5.0, 10.0)]]);
        assert!(FRAME.clip(&[(20.0, 0.0), (20.0, 10.0)]).is_empty());
        assert!(FRAME.clip(&[(20.0, -1.0), (-20.0, -1.0)]).is_empty());
    }

    #[test]
    fn a_point_that_is_not_finite_breaks_the_line() {
        let line = [(1.0, 1.0), (2.0, 2.0), (3.0, f64::NAN), (4.0, 4.0), (5.0, 5.0)];
        assert_eq!(FRAME.clip(&line), vec![vec![(1.0, 1.0), (2.0, 2.0)], vec![(4.0, 4.0), (5.0, 5.0)]]);
    }
}
