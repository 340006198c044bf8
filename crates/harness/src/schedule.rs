//! The learning rate at every step: linear warm-up, then half a cosine (Loshchilov and Hutter 2017, without restarts)
//! or the peak throughout.

use crate::spec::{Schedule, TrainSpec};

/// The rate of optimizer step `step`, from 0. The first step of a warm-up already moves: it takes `peak / warmup`.
/// A cosine reaches `final_share · peak` exactly at the last step.
pub fn learning_rate(spec: &TrainSpec, peak: f64, step: u64) -> f64 {
    if step < spec.warmup {
        return peak * (step + 1) as f64 / spec.warmup as f64;
    }
    match spec.schedule {
        Schedule::Constant => peak,
        Schedule::Cosine => {
            let span = spec.steps.saturating_sub(spec.warmup + 1).max(1) as f64;
            let progress = ((step - spec.warmup) as f64 / span).min(1.0);
            let cosine = 0.5 * (1.0 + libm::cos(std::f64::consts::PI * progress));
            peak * (spec.final_share + (1.0 - spec.final_share) * cosine)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Answers, ClipSpec, OptimizerSpec, Rate};

    fn spec(schedule: Schedule) -> TrainSpec {
        TrainSpec {
            steps: 101,
            batch: 1,
            optimizer: OptimizerSpec::Sgd { momentum: 0.0, weight_decay: 0.0 },
            lr: Rate::Fixed(1.0),
            schedule,
            warmup: 10,
            final_share: 0.05,
            clip: ClipSpec::None,
            tbptt: None,
            stop_at: None,
            curriculum: None,
            answers: Answers::True,
        }
    }

    #[test]
    fn first_end_of_warm_up_middle_and_last_equal_the_closed_form() {
        let spec = spec(Schedule::Cosine);
        assert_eq!(learning_rate(&spec, 2.0, 0), 0.2);
        assert_eq!(learning_rate(&spec, 2.0, 9), 2.0);
        assert_eq!(learning_rate(&spec, 2.0, 10), 2.0);
        assert!((learning_rate(&spec, 2.0, 55) - 2.0 * (0.05 + 0.95 * 0.5)).abs() < 1e-12);
        assert!((learning_rate(&spec, 2.0, 100) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn a_constant_rate_stays_at_its_peak() {
        assert_eq!(learning_rate(&spec(Schedule::Constant), 2.0, 100), 2.0);
    }
}
