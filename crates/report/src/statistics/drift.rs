//! The ratio of two runs whose values come in visits: what changes between visits (clock states, neighbours) bounds what two
//! runs can tell apart, however well the rounds within a visit agree.

use super::{Alternative, Interval, LEVEL, mean, standard_deviation, student_quantile, student_tail};
use serde::Serialize;

/// Logarithms of one quantity's positive values, one a visit, in the first and in the second run.
#[derive(Clone, Debug, PartialEq)]
pub struct Visited {
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Visited {
    /// From values; none unless both runs have at least two, all above 0 and finite.
    pub fn new(first: &[f64], second: &[f64]) -> Option<Self> {
        let logs = |values: &[f64]| {
            let is_sound = |value: &f64| *value > 0.0 && value.is_finite();
            (values.len() > 1 && values.iter().all(is_sound))
                .then(|| values.iter().map(|value| value.ln()).collect())
        };
        Some(Visited { first: logs(first)?, second: logs(second)? })
    }

    /// Geometric mean over visits of the second run over that of the first.
    pub fn ratio(&self) -> f64 {
        self.log_ratio().exp()
    }

    /// The ratio with its errors: on the logarithms, Student's t of visits as the unit of observation, both runs of one
    /// variance. Three visits may agree by luck, so that variance is at least `pooled`, that of all quantities of both runs (see
    /// [`pool`]). None where `pooled` is of nothing.
    pub fn shift(&self, pooled: Pooled) -> Option<Shift> {
        let weight = 1.0 / self.first.len() as f64 + 1.0 / self.second.len() as f64;
        let error = |of: Pooled| Error { deviation: (of.variance * weight).sqrt(), freedom: of.freedom };
        let errors = [pool([self]), pooled].map(error);
        errors.iter().all(|error| error.freedom > 0.0).then(|| Shift { log: self.log_ratio(), errors })
    }

    /// Where the ratio may lie: see [`Visited::shift`].
    pub fn interval(&self, pooled: Pooled) -> Option<Interval> {
        self.shift(pooled)?.interval()
    }

    fn log_ratio(&self) -> f64 {
        mean(&self.second).unwrap_or(0.0) - mean(&self.first).unwrap_or(0.0)
    }
}

/// The logarithm of a ratio with the errors it is judged by: the larger one holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Shift {
    log: f64,
    errors: [Error; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Error {
    deviation: f64,
    freedom: f64,
}

impl Shift {
    /// Whether the second is more than the first.
    pub fn rises(&self) -> bool {
        self.log > 0.0
    }

    /// Where the ratio may lie at [`LEVEL`].
    pub fn interval(&self) -> Option<Interval> {
        let half =
            |error: &Error| Some(student_quantile(0.5 + LEVEL / 2.0, error.freedom)? * error.deviation);
        let [own, pooled] = &self.errors;
        let half = half(own)?.max(half(pooled)?);
        Some(Interval { low: (self.log - half).exp(), high: (self.log + half).exp() })
    }

    /// p of the ratio being within 1 and 1 + `tolerance`, either over the other: two-sided, of the test whose interval
    /// [`Shift::interval`] is, so that it is below 1 − [`LEVEL`] just where that interval lies beyond the tolerance.
    pub fn p_beyond(&self, tolerance: f64) -> Option<f64> {
        let beyond = self.log.abs() - tolerance.ln_1p();
        if beyond <= 0.0 {
            return Some(1.0);
        }
        let tail = |error: &Error| student_tail(beyond / error.deviation, error.freedom);
        let [own, pooled] = &self.errors;
        Some((Alternative::TwoSided.sides() * tail(own)?.max(tail(pooled)?)).min(1.0))
    }
}

/// A variance between visits and its degrees of freedom.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pooled {
    variance: f64,
    freedom: f64,
}

impl Pooled {
    /// Standard deviation between visits, of the logarithms: about a relative one.
    pub fn deviation(&self) -> f64 {
        self.variance.sqrt()
    }
}

/// The variance between visits of one run, of all these together.
pub fn pool<'a>(all: impl IntoIterator<Item = &'a Visited>) -> Pooled {
    let (mut squares, mut freedom) = (0.0, 0.0);
    for values in all.into_iter().flat_map(|visited| [&visited.first, &visited.second]) {
        let own = values.len() as f64 - 1.0;
        squares += own * standard_deviation(values).unwrap_or(0.0).powi(2);
        freedom += own;
    }
    if freedom > 0.0 { Pooled { variance: squares / freedom, freedom } } else { Pooled::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_by_hand() {
        let e = std::f64::consts::E;
        // Logarithms 0, 1, 2 and 2, 3, 4: shift 2, variance 1 with 4 degrees of freedom, t of 97.5 % is 2.776.
        let visited = Visited::new(&[1.0, e, e * e], &[e.powi(2), e.powi(3), e.powi(4)]).unwrap();
        assert!((visited.ratio() - e * e).abs() < 1e-12);
        let own = pool([&visited]);
        assert!((own.deviation() - 1.0).abs() < 1e-12);
        let ends = visited.interval(own).unwrap();
        let half = 2.776_445 * (2.0f64 / 3.0).sqrt();
        assert!((ends.low.ln() - (2.0 - half)).abs() < 1e-5 && (ends.high.ln() - (2.0 + half)).abs() < 1e-5);
        // Others that vary more widen it; others that vary less do not narrow it.
        let wide = Pooled { variance: 9.0, freedom: 100.0 };
        assert!(visited.interval(wide).unwrap().high > ends.high);
        assert_eq!(visited.interval(Pooled { variance: 1e-6, freedom: 100.0 }), Some(ends));
    }

    #[test]
    fn p_is_that_of_the_interval() {
        let shift = |log: f64, own: (f64, f64), pooled: (f64, f64)| Shift {
            log,
            errors: [own, pooled].map(|(deviation, freedom)| Error { deviation, freedom }),
        };
        let p = |of: Shift, tolerance: f64| of.p_beyond(tolerance).unwrap();
        // t of 97.5 % with 4 degrees of freedom is 2.776.
        let edge = 2.776_445 * 0.1;
        assert!((p(shift(edge, (0.1, 4.0), (0.01, 100.0)), 0.0) - 0.05).abs() < 1e-6);
        assert!((p(shift(-edge - 1.05f64.ln(), (0.1, 4.0), (0.01, 100.0)), 0.05) - 0.05).abs() < 1e-6);
        // The larger error holds, whichever it is.
        assert!((p(shift(edge, (0.0, 4.0), (0.1, 4.0)), 0.0) - 0.05).abs() < 1e-6);
        assert_eq!(p(shift(0.04, (1e-6, 4.0), (1e-6, 4.0)), 0.05), 1.0, "within the tolerance");
        assert_eq!(
            (p(shift(0.0, (0.0, 4.0), (0.0, 4.0)), 0.0), p(shift(1.0, (0.0, 4.0), (0.0, 4.0)), 0.0)),
            (1.0, 0.0)
        );
        for log in [-0.5, -0.2, 0.1, 0.25, 0.3, 0.34, 0.6] {
            let own = shift(log, (0.1, 4.0), (0.12, 60.0));
            let ends = own.interval().unwrap();
            let beyond = ends.low > 1.05 || ends.high < 1.0 / 1.05;
            assert_eq!(p(own, 0.05) < 0.05, beyond, "{log}");
        }
    }

    #[test]
    fn one_visit_or_no_time_tells_nothing() {
        assert_eq!(Visited::new(&[1.0], &[1.0, 2.0]), None);
        assert_eq!(Visited::new(&[1.0, 0.0], &[1.0, 2.0]), None);
        assert_eq!(Visited::new(&[1.0, f64::INFINITY], &[1.0, 2.0]), None);
        assert_eq!(pool([]), Pooled::default());
        let visited = Visited::new(&[1.0, 1.0], &[2.0, 2.0]).unwrap();
        assert_eq!(visited.interval(Pooled::default()), None, "nothing to pool");
    }
}
