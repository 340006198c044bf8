//! Whether one side takes longer than another until a threshold, where some runs end before.

use super::permutation::permutation;
use super::survival::{KaplanMeier, Waited};
use super::tested::{Alternative, Tested};
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal};

/// What the log-rank test says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LogRank {
    /// Times the threshold would have been reached by the first if both were alike, minus the times it was: above 0 where the
    /// first takes longer.
    pub excess: f64,
    /// The same in standard deviations; none where they are 0.
    pub z: Option<f64>,
    /// p by the normal distribution, for many runs; none without z.
    pub normal_p: Option<f64>,
    /// p by permutation, for few runs.
    pub permuted: Tested,
}

/// The log-rank test (Mantel 1966; Peto & Peto 1972, "Asymptotically efficient rank invariant test procedures") that `a` takes
/// longer than `b` ([`Alternative::Greater`]), less long, or either.
///
/// The excess is a sum over the runs of `a` of log-rank scores: the pooled cumulative hazard at a run's time, less 1 if it was
/// reached. So its permutation test is that of a difference of means of scores. It holds at any size if runs of both sides end
/// early for the same reasons, such as a budget that is the same (Heinze, Gnant & Schemper 2003). None without runs on either
/// side, and as for [`KaplanMeier::new`].
pub fn log_rank(a: &[Waited], b: &[Waited], alternative: Alternative) -> Option<LogRank> {
    let pooled = KaplanMeier::new(&[a, b].concat()).filter(|_| !a.is_empty() && !b.is_empty())?;
    let score = |run: &Waited| {
        let hazards = pooled.falls.iter().filter(|fall| fall.time <= run.time);
        let hazard: f64 = hazards.map(|fall| fall.reached as f64 / fall.at_risk as f64).sum();
        hazard - f64::from(u8::from(run.reached))
    };
    let (own, other): (Vec<f64>, Vec<f64>) = (a.iter().map(score).collect(), b.iter().map(score).collect());
    let excess: f64 = own.iter().sum();
    // Hypergeometric at each time: of those at risk, so many reach it.
    let variance = pooled.falls.iter().filter(|fall| fall.at_risk > 1).map(|fall| {
        let (all, reached) = (fall.at_risk as f64, fall.reached as f64);
        let first = a.iter().filter(|run| run.time >= fall.time).count() as f64;
        reached * (first / all) * (1.0 - first / all) * (all - reached) / (all - 1.0)
    });
    let z = Some(variance.sum::<f64>()).filter(|variance| *variance > 0.0).map(|own| excess / own.sqrt());
    let below = |z: f64| Normal::standard().cdf(z);
    Some(LogRank {
        excess,
        z,
        normal_p: z.map(|z| alternative.p(below(-z), below(z))),
        permuted: permutation(&own, &other, 0.0, alternative)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(times: &[(f64, bool)]) -> Vec<Waited> {
        times.iter().map(|(time, reached)| Waited { time: *time, reached: *reached }).collect()
    }

    #[test]
    fn known_by_hand() {
        // At 1 half of two at risk is a's: 1/2 expected, variance 1/4. At 2 only b is left.
        let found = log_rank(&runs(&[(1.0, true)]), &runs(&[(2.0, true)]), Alternative::Less).unwrap();
        assert_eq!((found.excess, found.z, found.permuted.p), (-0.5, Some(-1.0), 0.5));
        // Nobody reaches it: nothing is known.
        let none = log_rank(&runs(&[(1.0, false)]), &runs(&[(2.0, false)]), Alternative::TwoSided).unwrap();
        assert_eq!((none.excess, none.z, none.permuted.p), (0.0, None, 1.0));
        assert_eq!(log_rank(&[], &runs(&[(2.0, true)]), Alternative::Less), None);
    }

    #[test]
    fn complete_separation_is_one_split() {
        let slow = runs(&[(90.0, true), (100.0, false), (100.0, false), (80.0, true), (100.0, false)]);
        let fast = runs(&[(10.0, true), (20.0, true), (30.0, true), (40.0, true), (50.0, true)]);
        let found = log_rank(&slow, &fast, Alternative::Greater).unwrap();
        assert_eq!((found.permuted.p * 252.0, found.permuted.exact), (1.0, true));
        assert!(found.z.unwrap() > 2.0 && found.excess > 0.0);
        let mirrored = log_rank(&fast, &slow, Alternative::Less).unwrap();
        assert!((mirrored.z.unwrap() + found.z.unwrap()).abs() < 1e-12);
        assert_eq!(mirrored.permuted, found.permuted);
    }
}
