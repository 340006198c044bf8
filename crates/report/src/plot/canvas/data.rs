//! Lines as path data, and the part of the page they cover.

/// A place in units of the backend.
pub(super) type Point = (i64, i64);

/// Steps from one absolute place to the next. Cairo keeps places in 256ths of a pixel, so relative steps drift: after
/// these by a sixteenth of a pixel at most.
const STEPS: usize = 32;

/// Lines in one `d` attribute: whole numbers, nearly all relative to the point before, and no blank that can be left
/// out.
#[derive(Debug, Default)]
pub(super) struct Data {
    text: String,
    at: Point,
    /// Since the last absolute place.
    steps: usize,
}

impl Data {
    /// Adds a line. One that never leaves its first point is written as a segment of no length, which draws the dot
    /// that round caps make of it, and otherwise nothing. Lines are left open: a fill closes them itself.
    pub(super) fn push(&mut self, points: &[Point]) {
        let corners = corners(points);
        let Some((&first, rest)) = corners.split_first() else { return };
        // Pairs behind a relative pair are segments without their letter.
        let mut bare = self.step('m', first, false);
        for &to in rest {
            bare = self.step('l', to, bare);
        }
        if rest.is_empty() {
            self.command('h', &[0]);
        }
    }

    /// Goes to a place in the shortest way, and tells whether a segment may follow without its letter.
    fn step(&mut self, letter: char, to: Point, bare: bool) -> bool {
        let (dx, dy) = (to.0 - self.at.0, to.1 - self.at.1);
        self.at = to;
        self.steps += 1;
        if self.steps > STEPS {
            self.steps = 0;
            self.command(letter.to_ascii_uppercase(), &[to.0, to.1]);
            return false;
        }
        match (letter, dx, dy) {
            ('l', _, 0) => self.command('h', &[dx]),
            ('l', 0, _) => self.command('v', &[dy]),
            _ if bare => self.numbers(&[dx, dy]),
            _ => self.command(letter, &[dx, dy]),
        }
        letter == 'm' || dx != 0 && dy != 0
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn command(&mut self, letter: char, numbers: &[i64]) {
        self.text.push(letter);
        self.numbers(numbers);
    }

    /// A sign and a letter part numbers as well as a blank does.
    fn numbers(&mut self, numbers: &[i64]) {
        for &number in numbers {
            if number >= 0 && self.text.ends_with(|last: char| last.is_ascii_digit()) {
                self.text.push(' ');
            }
            self.text.push_str(&number.to_string());
        }
    }
}

/// A line without the points that lie on the way from the one before to the one behind.
fn corners(points: &[Point]) -> Vec<Point> {
    let mut corners: Vec<Point> = Vec::with_capacity(points.len());
    for &point in points {
        match corners[..] {
            [.., last] if last == point => continue,
            [.., before, last] if on_the_way(before, last, point) => {
                corners.pop();
            }
            _ => {}
        }
        corners.push(point);
    }
    corners
}

/// Turning back is not on the way: the line reaches as far as the point where it turns.
fn on_the_way(from: Point, middle: Point, to: Point) -> bool {
    let (a, b) = ((middle.0 - from.0, middle.1 - from.1), (to.0 - middle.0, to.1 - middle.1));
    a.0 * b.1 == a.1 * b.0 && a.0 * b.0 + a.1 * b.1 > 0
}

/// A rectangle of the page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    low: Point,
    high: Point,
}

impl Area {
    pub(super) const NOWHERE: Area = Area { low: (i64::MAX, i64::MAX), high: (i64::MIN, i64::MIN) };
    pub(super) const EVERYWHERE: Area = Area { low: (i64::MIN, i64::MIN), high: (i64::MAX, i64::MAX) };

    /// What holds all points and `reach` about each, across and up.
    pub(super) fn around(points: &[Point], reach: Point) -> Area {
        points.iter().fold(Area::NOWHERE, |area, &(x, y)| {
            let (low, high) = ((x - reach.0, y - reach.1), (x + reach.0, y + reach.1));
            area.with(Area { low, high })
        })
    }

    /// The smallest area that holds both.
    pub(super) fn with(self, other: Area) -> Area {
        Area {
            low: (self.low.0.min(other.low.0), self.low.1.min(other.low.1)),
            high: (self.high.0.max(other.high.0), self.high.1.max(other.high.1)),
        }
    }

    pub(super) fn touches(self, other: Area) -> bool {
        self.low.0 <= other.high.0
            && other.low.0 <= self.high.0
            && self.low.1 <= other.high.1
            && other.low.1 <= self.high.1
    }
}

/// The lines of path data as absolute points, for tests.
#[cfg(test)]
pub(super) fn read(data: &str) -> Vec<Vec<Point>> {
    let mut lines: Vec<Vec<Point>> = Vec::new();
    let mut at = (0, 0);
    let starts: Vec<usize> = data.match_indices(char::is_alphabetic).map(|(start, _)| start).collect();
    for (place, &start) in starts.iter().enumerate() {
        let end = starts.get(place + 1).map_or(data.len(), |&end| end);
        let spaced = data[start + 1..end].replace('-', " -");
        let numbers: Vec<i64> = spaced.split_whitespace().map(|number| number.parse().unwrap()).collect();
        let letter = data.as_bytes()[start];
        if letter.eq_ignore_ascii_case(&b'm') {
            lines.push(Vec::new());
        }
        for pair in numbers.chunks(if b"hv".contains(&letter) { 1 } else { 2 }) {
            at = match letter {
                b'h' => (at.0 + pair[0], at.1),
                b'v' => (at.0, at.1 + pair[0]),
                b'm' | b'l' => (at.0 + pair[0], at.1 + pair[1]),
                b'M' | b'L' => (pair[0], pair[1]),
                _ => panic!("{data}"),
            };
            lines.last_mut().unwrap().push(at);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(lines: &[Vec<Point>]) -> String {
        let mut data = Data::default();
        lines.iter().for_each(|line| data.push(line));
        data.text
    }

    #[test]
    fn data_are_relative_and_without_needless_blanks() {
        let lines = [vec![(180, 878), (620, 878), (625, 870), (630, 875), (630, 5)], vec![(7, 9), (9, 8)]];
        assert_eq!(written(&lines), "m180 878h440l5-8 5 5v-870m-623 4 2-1");
        assert_eq!(written(&[vec![(3, 4), (3, 4)], vec![], vec![(-1, 4)]]), "m3 4h0m-4 0h0");
    }

    #[test]
    fn a_place_is_absolute_now_and_then() {
        let zigzag: Vec<Point> = (0..2 * STEPS as i64).map(|x| (x, x % 2)).collect();
        assert_eq!(written(&[zigzag]).matches('L').count(), 1);
        let dots: Vec<_> = (0..3 * STEPS as i64).map(|x| vec![(x, 7)]).collect();
        assert_eq!(written(&dots).matches('M').count(), 2);
    }

    #[test]
    fn points_on_the_way_are_left_out_and_turning_points_are_not() {
        assert_eq!(corners(&[(0, 0), (1, 2), (1, 2), (2, 4), (3, 6)]), [(0, 0), (3, 6)]);
        let back = [(0, 0), (5, 0), (2, 0)];
        assert_eq!(corners(&back), back);
        let bent = [(0, 0), (1, 2), (2, 3)];
        assert_eq!(corners(&bent), bent);
    }

    #[test]
    fn areas_touch_within_reach() {
        let one = Area::around(&[(0, 0), (10, 4)], (2, 1));
        assert!(one.touches(Area::around(&[(14, 6)], (2, 1))));
        assert!(!one.touches(Area::around(&[(15, 6)], (2, 1))));
        assert!(!one.touches(Area::around(&[(14, 7)], (2, 1))));
        assert!(one.touches(Area::EVERYWHERE) && !one.touches(Area::NOWHERE));
    }

    proptest! {
        #[test]
        fn data_read_back_are_the_lines_that_were_written(
            lines in prop::collection::vec(prop::collection::vec((-9i64..9, -9i64..9), 2..50), 1..6),
        ) {
            let corners: Vec<_> = lines.iter().map(|line| corners(line)).collect();
            let mut read = read(&written(&lines));
            for line in read.iter_mut() {
                line.dedup();
            }
            prop_assert_eq!(read, corners);
        }
    }
}
