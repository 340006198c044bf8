//! How long until a threshold is reached, where some runs end before: the curve of those still waiting, and its median.

use super::interval::within;
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal};

/// How long one run waited.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Waited {
    /// Steps, or any unit of time; what is known of it.
    pub time: f64,
    /// Whether the threshold was reached then; otherwise the run ended, and would have taken longer.
    pub reached: bool,
}

/// One time at which the threshold was reached.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fall {
    /// The time.
    pub time: f64,
    /// Runs that had neither reached it nor ended before.
    pub at_risk: usize,
    /// Of those, runs that reached it then.
    pub reached: usize,
    /// Share still waiting just after.
    pub waiting: f64,
    /// Greenwood's sum Σ d/(n(n − d)) up to here: the variance of the share over its square. Infinite once none wait.
    pub greenwood: f64,
}

/// The product-limit estimate of the share still waiting (Kaplan & Meier 1958, "Nonparametric estimation from incomplete
/// observations").
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct KaplanMeier {
    /// Where it falls, rising in time.
    pub falls: Vec<Fall>,
}

/// Where a median time may lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MedianInterval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end; none where so many runs ended early that there is no bound.
    pub high: Option<f64>,
}

/// The median time until a threshold, or what it is known to be no less than.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct MedianTime {
    /// [`KaplanMeier::median`]; none where more than half still wait to the end.
    pub median: Option<f64>,
    /// Where there is no median: what it is no less than, however soon after their end those would have reached the threshold
    /// that ended before. Infinite where more than half never reach it.
    pub at_least: Option<f64>,
}

impl MedianTime {
    /// Of runs that waited, each with the soonest that it could have reached the threshold: its time, or when it ended. Neither
    /// of no runs, and as for [`KaplanMeier::new`].
    ///
    /// A run that ended for a reason that has to do with how long it would have waited waits for ever: an infinite time. One that
    /// diverged could not have reached the threshold any sooner.
    pub fn new(runs: &[(Waited, f64)]) -> Self {
        let curve = |of: &dyn Fn(&(Waited, f64)) -> Waited| {
            KaplanMeier::new(&runs.iter().map(of).collect::<Vec<Waited>>())
        };
        let Some(waiting) = curve(&|run| run.0) else { return Self::default() };
        let soonest = curve(&|run| Waited { time: run.1, reached: run.1.is_finite() });
        let bound = || soonest?.median().or(Some(f64::INFINITY));
        let median = waiting.median();
        Self { median, at_least: if median.is_none() { bound() } else { None } }
    }
}

/// The share is a product of fractions, and one half may come out a bit beside it.
const ROUNDING: f64 = 1e-12;

impl KaplanMeier {
    /// The estimate. A run that ends at a time at which others reach the threshold was still at risk. None without runs, or
    /// where a time is NaN, or one that was reached is not finite.
    pub fn new(runs: &[Waited]) -> Option<Self> {
        let is_unsound = |run: &Waited| run.time.is_nan() || (run.reached && !run.time.is_finite());
        if runs.is_empty() || runs.iter().any(is_unsound) {
            return None;
        }
        let mut times: Vec<f64> = runs.iter().filter(|run| run.reached).map(|run| run.time).collect();
        times.sort_by(f64::total_cmp);
        times.dedup();
        let (mut waiting, mut greenwood) = (1.0, 0.0);
        let fall = |time: f64| {
            let at_risk = runs.iter().filter(|run| run.time >= time).count();
            let reached = runs.iter().filter(|run| run.reached && run.time == time).count();
            let left = at_risk - reached;
            waiting *= left as f64 / at_risk as f64;
            greenwood += reached as f64 / (at_risk as f64 * left as f64);
            Fall { time, at_risk, reached, waiting, greenwood }
        };
        Some(Self { falls: times.into_iter().map(fall).collect() })
    }

    /// The first time at which no more than half still wait; none where more do to the end.
    pub fn median(&self) -> Option<f64> {
        self.falls.iter().find(|fall| fall.waiting <= 0.5 + ROUNDING).map(|fall| fall.time)
    }

    /// Interval of the median: from the first time at which the share waiting is not shown to differ from one half to the time
    /// after the last such (Brookmeyer & Crowley 1982, "A confidence interval for the median survival time"), on the scale
    /// log(−log share), on which few runs are closest to normal (Klein & Moeschberger 2003, *Survival Analysis*, equation
    /// 4.5.3). None where there is no such time: of one run, or where all reach it at once.
    pub fn median_interval(&self, level: f64) -> Option<MedianInterval> {
        let z = within(level).then(|| Normal::standard().inverse_cdf(0.5 + level / 2.0))?;
        let holds = |fall: &Fall| {
            let share = fall.waiting;
            let distance = (-share.ln()).ln() - std::f64::consts::LN_2.ln();
            // The deviation of log(−log share) is √greenwood/|log share|.
            share > 0.0 && share < 1.0 && distance.abs() * -share.ln() <= z * fall.greenwood.sqrt()
        };
        let first = self.falls.iter().position(holds)?;
        let last = self.falls.iter().rposition(holds)?;
        let high = self.falls.get(last + 1).map(|fall| fall.time);
        Some(MedianInterval { low: self.falls[first].time, high })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(reached: &[f64], ended: &[f64]) -> Vec<Waited> {
        let of = |reached| move |time: &f64| Waited { time: *time, reached };
        reached.iter().map(of(true)).chain(ended.iter().map(of(false))).collect()
    }

    fn estimate(reached: &[f64], ended: &[f64]) -> KaplanMeier {
        KaplanMeier::new(&runs(reached, ended)).unwrap()
    }

    // 6-mercaptopurine in leukaemia (Gehan 1965): the example of most textbooks, median 23.
    #[test]
    fn the_textbook_example() {
        let found = estimate(
            &[6.0, 6.0, 6.0, 7.0, 10.0, 13.0, 16.0, 22.0, 23.0],
            &[6.0, 9.0, 10.0, 11.0, 17.0, 19.0, 20.0, 25.0, 32.0, 32.0, 34.0, 35.0],
        );
        let shares = [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448];
        let waiting: Vec<f64> = found.falls.iter().map(|fall| fall.waiting).collect();
        assert!(waiting.iter().zip(shares).all(|(a, b)| (a - b).abs() < 5e-4), "{waiting:?}");
        assert_eq!(found.median(), Some(23.0));
        assert_eq!(found.falls[0].at_risk, 21);
        // Freireich et al.: the standard error at 6 weeks is 0.0764.
        assert!((found.falls[0].waiting * found.falls[0].greenwood.sqrt() - 0.0764).abs() < 5e-5);
    }

    #[test]
    fn medians_of_few() {
        assert_eq!(estimate(&[10.0, 30.0, 20.0], &[]).median(), Some(20.0));
        // Exactly half, by products that do not round to it.
        assert_eq!(estimate(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[]).median(), Some(3.0));
        assert_eq!(estimate(&[10.0, 20.0], &[100.0, 100.0, 100.0]).median(), None);
        assert_eq!(estimate(&[], &[f64::INFINITY]).median(), None);
        assert_eq!(KaplanMeier::new(&[]), None);
        assert_eq!(KaplanMeier::new(&runs(&[f64::INFINITY], &[])), None);
    }

    #[test]
    fn a_median_or_what_it_is_no_less_than() {
        let of = |reached: &[f64], ended: &[f64]| {
            let with_end: Vec<_> = runs(reached, ended).into_iter().map(|run| (run, run.time)).collect();
            let found = MedianTime::new(&with_end);
            (found.median, found.at_least)
        };
        const NEVER: f64 = f64::INFINITY;
        // All: the middle one, the lower of two.
        assert_eq!(of(&[10.0, 30.0, 20.0], &[]), (Some(20.0), None));
        assert_eq!(of(&[10.0, 30.0, 20.0, 40.0], &[]), (Some(20.0), None));
        // All that did not ended at one budget: half of all suffice.
        assert_eq!(of(&[10.0, 20.0], &[100.0]), (Some(20.0), None));
        assert_eq!(of(&[10.0, 20.0], &[100.0, 100.0]), (Some(20.0), None));
        assert_eq!(of(&[10.0, 20.0], &[100.0, 100.0, 100.0]), (None, Some(100.0)));
        assert_eq!(of(&[], &[100.0, 100.0]), (None, Some(100.0)));
        // By hand: 2/3 wait after 10; the one that ended at 15 is not at risk at 30, of which one of one reaches it.
        assert_eq!(of(&[10.0, 30.0], &[15.0]), (Some(30.0), None));
        // 6/7, then 5/7 of seven; at 50 one of three: 10/21. Were the one that ended at 25 still at risk, it were 15/28.
        assert_eq!(of(&[10.0, 20.0, 50.0], &[25.0, 25.0, 60.0, 60.0]), (Some(50.0), None));
        assert_eq!(of(&[10.0, 20.0, 50.0], &[25.0, 60.0, 60.0, 60.0]), (None, Some(50.0)));
        // Those that ended at 10 and 20 may have needed no more: 20 is all that is sure.
        assert_eq!(of(&[], &[10.0, 20.0, 30.0]), (None, Some(20.0)));
        // Those that never will stay at risk: 4/5, 3/5. Had they ended at 5, it were 1/2 at 10.
        assert_eq!(of(&[10.0, 20.0], &[NEVER, NEVER, NEVER]), (None, Some(NEVER)));
        assert_eq!(of(&[10.0, 20.0], &[5.0, 5.0, 5.0]), (Some(10.0), None));
        assert_eq!(of(&[10.0, 20.0], &[NEVER, NEVER]), (Some(20.0), None));
        assert_eq!(of(&[10.0], &[NEVER, NEVER]), (None, Some(NEVER)));
        assert_eq!(of(&[], &[]), (None, None));
        assert_eq!(of(&[NEVER], &[]), (None, None));
    }

    #[test]
    fn intervals_of_few() {
        let five = estimate(&[1.0, 2.0, 3.0, 4.0, 5.0], &[]);
        assert_eq!(five.median_interval(0.95), Some(MedianInterval { low: 1.0, high: Some(5.0) }));
        let censored = estimate(&[1.0, 2.0, 3.0], &[9.0, 9.0]);
        assert_eq!(censored.median_interval(0.95).unwrap().high, None);
        assert_eq!(estimate(&[7.0; 5], &[]).median_interval(0.95), None, "all at once");
        assert_eq!(five.median_interval(1.0), None);
    }
}
