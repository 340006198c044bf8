//! How time and memory grow with length: a power, fitted where the curve is straight on log–log.

use super::{Setting, ThroughputRow};
use crate::statistics::{Interval, LEVEL, curvature, least_squares, slope_error, student_quantile};
use serde::Serialize;

/// Fewest lengths a growth is fitted to: two always fit.
pub const FEWEST_LENGTHS: usize = 3;

/// Fewest lengths of which it can be said whether they lie on a straight line.
pub const FEWEST_TESTED: usize = 4;

/// Change of the local exponent over one decade of length below which a curve counts as straight, however surely it is not
/// quite: over the two decades usually measured it moves an exponent by less than its second digit is worth.
pub const NEGLIGIBLE_BEND: f64 = 0.05;

/// Scatter about the line, root mean square of relative residuals, beyond which it does not fit: medians scatter by a few
/// per cent, and a misfit of a parabola widens the interval of its own quadratic term.
pub const LARGEST_SCATTER: f64 = 0.1;

/// Whether the lengths fitted lie on a straight line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Straightness {
    /// As far as can be told: the line fits, and no curvature stands clear of the scatter, or it is negligible.
    Straight,
    /// Not even the last [`FEWEST_TESTED`] do: the exponent is a mean over them and still changes.
    Bending,
    /// Fewer than [`FEWEST_TESTED`] lengths cannot tell.
    Untested,
}

/// A power that a quantity follows: quantity ∝ length^exponent, by least squares on log–log over the longest suffix of the
/// lengths that is straight.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Growth {
    /// Smallest length fitted.
    pub from_length: u64,
    /// Largest length fitted.
    pub to_length: u64,
    /// Lengths fitted.
    pub points: usize,
    /// Lengths there are.
    pub of_points: usize,
    /// The exponent: 1 is linear, 2 quadratic.
    pub exponent: f64,
    /// Its standard error, from the scatter about the line; none below [`FEWEST_TESTED`] lengths.
    pub exponent_error: Option<f64>,
    /// Its [`LEVEL`] t interval, of two degrees of freedom less than lengths; none where there is no error.
    pub exponent_interval: Option<Interval>,
    /// The local exponent between the last two lengths.
    pub last_exponent: f64,
    /// log10 of the fitted quantity at length 1.
    pub log10_factor: f64,
    /// Change of the local exponent over one decade of length, by a parabola; none below [`FEWEST_TESTED`] lengths.
    pub bend: Option<f64>,
    /// Its [`LEVEL`] t interval.
    pub bend_interval: Option<Interval>,
    /// Whether the fitted lengths lie on a straight line.
    pub straightness: Straightness,
}

impl Growth {
    /// The exponent by which to go beyond the last length: that of the fit, or of a curve that still bends the last local one,
    /// since the fit's lies behind it.
    pub fn onward(&self) -> f64 {
        match self.straightness {
            Straightness::Bending => self.last_exponent,
            Straightness::Straight | Straightness::Untested => self.exponent,
        }
    }

    /// The fitted quantity at a length.
    pub fn at(&self, length: f64) -> f64 {
        10f64.powf(self.log10_factor + self.exponent * length.log10())
    }
}

/// The growth of one curve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scaling {
    /// The setting, without the coordinates that rows carry and without group.
    pub setting: Setting,
    /// `train`, `forward` or `decode`.
    pub mode: String,
    /// Sequences at once.
    pub batch: u64,
    /// Threads.
    pub threads: u32,
    /// The fit.
    pub growth: Growth,
}

impl Scaling {
    /// Whether a row is a point of its curve.
    pub fn is_of(&self, row: &ThroughputRow) -> bool {
        (&self.mode, self.batch, self.threads) == (&row.mode, row.batch, row.threads)
            && self.setting == row.setting
    }
}

/// Growth of the median time of every setting, mode, batch and number of threads.
pub(crate) fn scalings(rows: &[ThroughputRow]) -> Vec<Scaling> {
    of(rows, ThroughputRow::sound_ns)
}

/// Growth of the memory above the baseline, of training and forward passes.
pub(crate) fn memory_scalings(rows: &[ThroughputRow]) -> Vec<Scaling> {
    of(rows, |row| row.above_bytes().filter(|_| row.mode != "decode"))
}

fn of(rows: &[ThroughputRow], quantity: fn(&ThroughputRow) -> Option<f64>) -> Vec<Scaling> {
    let scaling = |rows: &[ThroughputRow]| {
        let points: Vec<_> = rows.iter().filter_map(|row| Some((row.length, quantity(row)?))).collect();
        let first = rows.first()?;
        Some(Scaling {
            growth: growth(&points)?,
            setting: first.setting.clone(),
            mode: first.mode.clone(),
            batch: first.batch,
            threads: first.threads,
        })
    };
    rows.chunk_by(ThroughputRow::is_on_curve_of).filter_map(scaling).collect()
}

/// The growth of (length, quantity) by rising length; none below [`FEWEST_LENGTHS`], or where a quantity is not positive.
pub(crate) fn growth(points: &[(u64, f64)]) -> Option<Growth> {
    let logs: Vec<(f64, f64)> =
        points.iter().map(|(length, value)| ((*length as f64).log10(), value.log10())).collect();
    if logs.len() < FEWEST_LENGTHS {
        return None;
    }
    // The longest first: short suffixes always pass, since few points leave the curvature's interval wide.
    let last = logs.len().saturating_sub(FEWEST_TESTED);
    let straight = (0..=last).find(|from| is_straight(&logs[*from..]));
    let from = straight.unwrap_or(last);
    let fitted = &logs[from..];
    let line = least_squares(fitted)?;
    let bent = curvature(fitted);
    let last_exponent = least_squares(&logs[logs.len() - 2..])?.slope;
    let error = slope_error(fitted).filter(|_| fitted.len() >= FEWEST_TESTED);
    Some(Growth {
        from_length: points[from].0,
        to_length: points.last()?.0,
        points: fitted.len(),
        of_points: logs.len(),
        exponent: line.slope,
        exponent_error: error,
        exponent_interval: error.and_then(|error| {
            let half = student_quantile(0.5 + LEVEL / 2.0, fitted.len() as f64 - 2.0)? * error;
            Some(Interval { low: line.slope - half, high: line.slope + half })
        }),
        last_exponent,
        log10_factor: line.intercept,
        bend: bent.map(|bent| 2.0 * bent.value),
        bend_interval: bent
            .map(|bent| Interval { low: 2.0 * bent.interval.low, high: 2.0 * bent.interval.high }),
        straightness: match (straight, bent) {
            (Some(_), _) => Straightness::Straight,
            (None, Some(_)) => Straightness::Bending,
            (None, None) => Straightness::Untested,
        },
    })
}

/// Whether a line fits and no curvature both stands clear of the scatter and matters: the local slope changes by twice the
/// quadratic term.
fn is_straight(logs: &[(f64, f64)]) -> bool {
    let (Some(found), Some(line)) = (curvature(logs), least_squares(logs)) else { return false };
    let clear = found.interval.low > 0.0 || found.interval.high < 0.0;
    let bends = clear && (2.0 * found.value).abs() >= NEGLIGIBLE_BEND;
    let left: f64 = logs.iter().map(|(x, y)| (y - line.intercept - line.slope * x).powi(2)).sum();
    !bends && (left / logs.len() as f64).sqrt() <= LARGEST_SCATTER.ln_1p() / std::f64::consts::LN_10
}

#[cfg(test)]
mod tests {
    use super::*;

    const OCTAVES: [u64; 9] = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096];

    fn of_curve(lengths: &[u64], value: impl Fn(f64) -> f64) -> Growth {
        let points: Vec<_> = lengths.iter().map(|length| (*length, value(*length as f64))).collect();
        growth(&points).unwrap()
    }

    /// Numbers in (−1, 1) that differ between draws, of a standard deviation of 1/√3.
    fn noise(draw: u64) -> impl FnMut() -> f64 {
        let mut state = draw.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        }
    }

    #[test]
    fn a_power_is_straight_over_all_lengths() {
        let found = of_curve(&OCTAVES, |n| 3.0 * n.powf(1.5));
        assert_eq!((found.points, found.straightness), (9, Straightness::Straight));
        assert!((found.exponent - 1.5).abs() < 1e-9 && (found.at(100.0) - 3000.0).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn a_constant_start_is_left_behind() {
        let found = of_curve(&OCTAVES, |n| 300.0 + n);
        assert!(found.from_length > 64 && found.points >= FEWEST_TESTED, "{found:?}");
        assert!(found.exponent > 0.8 && found.exponent < 1.0, "{found:?}");
        // Where the start weighs nothing there is nothing to leave.
        assert_eq!(of_curve(&OCTAVES, |n| 0.1 + n).points, 9);
        // Farther out the line is reached and nothing bends any more.
        let far: Vec<u64> = (4..=18).map(|bits| 1 << bits).collect();
        let found = of_curve(&far, |n| 300.0 + n);
        assert_eq!(found.straightness, Straightness::Straight);
        assert!((found.exponent - 1.0).abs() < 0.03, "{found:?}");
    }

    #[test]
    fn a_square_beneath_a_line_is_bending_when_short_and_two_when_long() {
        let square = |n: f64| 512.0 * n + n * n;
        let short = of_curve(&OCTAVES, square);
        assert_eq!((short.straightness, short.points), (Straightness::Bending, FEWEST_TESTED), "{short:?}");
        assert!(short.exponent > 1.3 && short.exponent < 1.9, "{short:?}");
        assert!(short.bend.unwrap() > NEGLIGIBLE_BEND);
        assert!(short.onward() > short.exponent && short.onward() < 2.0, "{short:?}");
        let exponents: Vec<f64> = [12, 15, 18, 21]
            .map(|last| of_curve(&(4..=last).map(|bits| 1 << bits).collect::<Vec<u64>>(), square).exponent)
            .into();
        assert!(exponents.windows(2).all(|pair| pair[0] < pair[1]), "{exponents:?}");
        // What is left is what a bend too small to count adds up to.
        assert!((exponents[3] - 2.0).abs() < NEGLIGIBLE_BEND, "{exponents:?}");
    }

    #[test]
    fn noise_of_two_per_cent_neither_hides_a_long_line_nor_bends_a_straight_one() {
        let (mut covered, mut whole, mut left) = (0, 0, 0);
        for draw in 0..200 {
            let mut own = noise(draw + 1);
            let mut near = |value: f64| value * (1.0 + 0.02 * 3f64.sqrt() * own());
            let points: Vec<_> = OCTAVES.map(|length| (length, near(length as f64))).into();
            let line = growth(&points).unwrap();
            assert_ne!(line.straightness, Straightness::Untested);
            whole += usize::from(line.points == OCTAVES.len());
            let interval = line.exponent_interval.unwrap();
            covered += usize::from(interval.low <= 1.0 && 1.0 <= interval.high);
            let points: Vec<_> = OCTAVES.map(|length| (length, near(1000.0 + length as f64))).into();
            left += usize::from(growth(&points).unwrap().points < OCTAVES.len());
        }
        // 95 % by construction, less what the search for a suffix costs.
        assert!(covered >= 180 && whole >= 180, "{covered} {whole}");
        assert_eq!(left, 200, "a start of 1000 is seen through the noise");
    }

    #[test]
    fn what_no_parabola_fits_is_no_line_either() {
        // Level, then quadratic: the corner leaves the quadratic term of the last five an interval that holds 0.
        let found = of_curve(&OCTAVES, |n| n.max(512.0).powi(2));
        assert_eq!((found.from_length, found.straightness), (512, Straightness::Straight), "{found:?}");
        assert!((found.exponent - 2.0).abs() < 1e-9);
    }

    #[test]
    fn three_lengths_are_fitted_and_not_tested_and_what_is_not_positive_has_no_power() {
        let three = of_curve(&[10, 100, 1000], |n| n * n);
        assert_eq!((three.points, three.straightness), (3, Straightness::Untested));
        assert_eq!((three.exponent_error, three.bend), (None, None));
        assert_eq!(growth(&[(10, 1.0), (100, 2.0)]), None);
        assert_eq!(growth(&[(10, 1.0), (100, 0.0), (1000, 2.0)]), None);
    }
}
