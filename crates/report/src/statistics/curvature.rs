//! Whether points lie on a straight line: the quadratic term of a parabola through them.

use super::{Interval, LEVEL, least_squares, student_quantile};

/// The quadratic term of a least-squares parabola, with its [`LEVEL`] t interval of three degrees of freedom less than
/// points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Curvature {
    /// The factor of x². The local slope changes by twice as much for one unit of x.
    pub value: f64,
    /// Its interval.
    pub interval: Interval,
}

/// The curvature of points (x, y); none below four points or three distinct x, or where a point is not finite.
pub fn curvature(points: &[(f64, f64)]) -> Option<Curvature> {
    let freedom = points.len().checked_sub(3).filter(|freedom| *freedom > 0)? as f64;
    let line = least_squares(points)?;
    // What of x² no straight line in x explains is orthogonal to 1 and x, so that the term is a quotient of two sums. About
    // the centre, where squares cancel least.
    let centre = points.iter().map(|point| point.0).sum::<f64>() / points.len() as f64;
    let squares: Vec<(f64, f64)> = points.iter().map(|(x, _)| (x - centre, (x - centre).powi(2))).collect();
    let straight = least_squares(&squares)?;
    let bent: Vec<f64> =
        squares.iter().map(|(x, square)| square - straight.intercept - straight.slope * x).collect();
    let spread: f64 = bent.iter().map(|own| own * own).sum();
    let scale: f64 = squares.iter().map(|(_, square)| square * square).sum();
    if spread <= 1e-12 * scale {
        return None;
    }
    let left: Vec<f64> = points.iter().map(|(x, y)| y - line.intercept - line.slope * x).collect();
    let value = left.iter().zip(&bent).map(|(left, bent)| left * bent).sum::<f64>() / spread;
    let residual: f64 = left.iter().zip(&bent).map(|(left, bent)| (left - value * bent).powi(2)).sum();
    let half = student_quantile(0.5 + LEVEL / 2.0, freedom)? * (residual / freedom / spread).sqrt();
    let interval = Interval { low: value - half, high: value + half };
    (value.is_finite() && half.is_finite()).then_some(Curvature { value, interval })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parabola_is_found_and_a_line_has_none() {
        let parabola: Vec<_> = (0..6).map(f64::from).map(|x| (x, 1.0 - 2.0 * x + 0.5 * x * x)).collect();
        let found = curvature(&parabola).unwrap();
        assert!((found.value - 0.5).abs() < 1e-12, "{found:?}");
        assert!(found.interval.low > 0.49 && found.interval.high < 0.51);
        let line: Vec<_> = (0..6).map(f64::from).map(|x| (x, 3.0 * x)).collect();
        assert!(curvature(&line).unwrap().value.abs() < 1e-12);
    }

    // x −1.5, −0.5, 0.5, 1.5: x² less its mean is 1, −1, −1, 1 and what is left of y is 0.5, −0.5, −0.5, 0.5 by the parabola
    // and 0.1·(−1, 3, −3, 1) beside it, which is orthogonal to 1, x and x². One degree of freedom: t is 12.7062.
    #[test]
    fn the_interval_is_that_of_the_residuals() {
        let beside = [-0.1, 0.3, -0.3, 0.1];
        let points: Vec<_> =
            [-1.5, -0.5, 0.5, 1.5].iter().zip(beside).map(|(x, own)| (*x, 0.5 * x * x + own)).collect();
        let found = curvature(&points).unwrap();
        let half = 12.706_204_736_2 * (0.2f64 / 4.0).sqrt();
        assert!((found.value - 0.5).abs() < 1e-12);
        assert!((found.interval.high - 0.5 - half).abs() < 1e-9, "{found:?} {half}");
    }

    #[test]
    fn three_points_and_two_places_have_no_curvature() {
        assert_eq!(curvature(&[(0.0, 0.0), (1.0, 1.0), (2.0, 4.0)]), None);
        assert_eq!(curvature(&[(0.0, 0.0), (0.0, 1.0), (1.0, 2.0), (1.0, 4.0)]), None);
        assert_eq!(curvature(&[(0.0, 0.0), (1.0, 1.0), (2.0, f64::NAN), (3.0, 1.0)]), None);
    }
}
