//! A straight line through points.

/// `y = intercept + slope · x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Change of y for one unit of x.
    pub slope: f64,
    /// y at x = 0.
    pub intercept: f64,
}

/// Ordinary least squares through (x, y); none below two distinct x, or where a point is not finite.
pub fn least_squares(points: &[(f64, f64)]) -> Option<Line> {
    let n = points.len() as f64;
    let centre_x = points.iter().map(|point| point.0).sum::<f64>() / n;
    let centre_y = points.iter().map(|point| point.1).sum::<f64>() / n;
    let spread: f64 = points.iter().map(|(x, _)| (x - centre_x).powi(2)).sum();
    let shared: f64 = points.iter().map(|(x, y)| (x - centre_x) * (y - centre_y)).sum();
    let slope = shared / spread;
    let line = Line { slope, intercept: centre_y - slope * centre_x };
    (spread > 0.0 && line.slope.is_finite() && line.intercept.is_finite()).then_some(line)
}

/// Standard error of the slope of a [`least_squares`] line: √(Σ residual² / (n − 2) / Σ (x − x̄)²); none below
/// three points.
pub fn slope_error(points: &[(f64, f64)]) -> Option<f64> {
    let line = least_squares(points).filter(|_| points.len() > 2)?;
    let n = points.len() as f64;
    let centre = points.iter().map(|point| point.0).sum::<f64>() / n;
    let spread: f64 = points.iter().map(|(x, _)| (x - centre).powi(2)).sum();
    let left: f64 = points.iter().map(|(x, y)| (y - line.intercept - line.slope * x).powi(2)).sum();
    Some((left / (n - 2.0) / spread).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_by_hand() {
        // Centre (2, 3); shared −1·−2 + 0·0 + 1·2 = 4, spread 2.
        assert_eq!(
            least_squares(&[(1.0, 1.0), (2.0, 3.0), (3.0, 5.0)]),
            Some(Line { slope: 2.0, intercept: -1.0 })
        );
        // Residuals 1, −2, 1 about a line of slope 3: they are orthogonal to 1 and to x.
        let line = least_squares(&[(0.0, 1.0), (1.0, 1.0), (2.0, 7.0)]).unwrap();
        assert_eq!(line, Line { slope: 3.0, intercept: 0.0 });
    }

    #[test]
    fn the_error_of_a_slope_is_that_of_its_residuals() {
        // Residuals 1, −2, 1 with one degree of freedom, spread 2: √(6/1/2).
        assert_eq!(slope_error(&[(0.0, 1.0), (1.0, 1.0), (2.0, 7.0)]), Some(3f64.sqrt()));
        assert_eq!(slope_error(&[(0.0, 0.0), (1.0, 2.0), (2.0, 4.0), (3.0, 6.0)]), Some(0.0));
        assert_eq!(slope_error(&[(0.0, 1.0), (1.0, 1.0)]), None);
    }

    #[test]
    fn no_line_without_two_places() {
        assert_eq!(least_squares(&[]), None);
        assert_eq!(least_squares(&[(1.0, 1.0)]), None);
        assert_eq!(least_squares(&[(1.0, 1.0), (1.0, 2.0)]), None);
        assert_eq!(least_squares(&[(1.0, 1.0), (2.0, f64::NEG_INFINITY)]), None);
    }
}
