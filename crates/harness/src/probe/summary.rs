//! Norms of many samples as the rows of a profile. Norms are carried as log10, so that what theory predicts may lie
//! below what a double can hold.

use seqbench_record::ProfileRow;

/// log10 below which a double-precision norm may have lost digits to gradual underflow.
const TRUSTED_ABOVE: f64 = -290.0;

/// Distances from `first` to `last`, every one up to ten and then `per_decade` a factor of ten, the last included.
pub fn distances(first: usize, last: usize, per_decade: usize) -> Vec<usize> {
    let mut grid: Vec<usize> = (first..=last.min(10)).collect();
    let step = 1.0 / per_decade.max(1) as f64;
    let mut exponent = 1.0 + step;
    while grid.last().is_none_or(|d| *d < last) && first <= last {
        let next = (libm::round(libm::exp10(exponent)) as usize).clamp(first, last);
        if grid.last().is_none_or(|d| next > *d) {
            grid.push(next);
        }
        exponent += step;
    }
    grid
}

/// log10 of a Euclidean norm, without overflow or avoidable underflow of the squares.
pub(super) fn log_norm(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let peak = values
        .clone()
        .fold(0.0_f64, |peak, value| if value.abs() > peak || value.is_nan() { value.abs() } else { peak });
    if peak == 0.0 || !peak.is_finite() {
        return libm::log10(peak);
    }
    libm::log10(peak * values.map(|value| (value / peak) * (value / peak)).sum::<f64>().sqrt())
}

/// log10 of the Euclidean norm of values given by the log10 of their moduli.
pub(super) fn log_norm_of_logs(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let peak = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    if !peak.is_finite() {
        return peak;
    }
    peak + 0.5 * libm::log10(logs.map(|log| libm::exp10(2.0 * (log - peak))).sum::<f64>())
}

/// Rows of one curve: at each distance log10 of the norms of the samples that reach it.
pub(super) fn summarise(
    stage: &str,
    layer: usize,
    wrt: &str,
    curve: impl Iterator<Item = (usize, Vec<f64>)>,
) -> Vec<ProfileRow> {
    let mut rows = Vec::new();
    let mut origin = None;
    for (distance, mut logs) in curve.filter(|(_, logs)| !logs.is_empty()) {
        let trusted = logs.iter().all(|log| *log > TRUSTED_ABOVE && log.is_finite());
        logs.sort_by(f64::total_cmp);
        let quantile = |share: f64| {
            let at = share * (logs.len() - 1) as f64;
            let (low, high) = (logs[at as usize], logs[at.ceil() as usize]);
            // Between −∞ and anything there is nothing to interpolate.
            if low.is_finite() { low + (high - low) * at.fract() } else { low }
        };
        let mean = logs.iter().sum::<f64>() / logs.len() as f64;
        rows.push(ProfileRow {
            stage: stage.to_owned(),
            layer: layer as u32,
            wrt: wrt.to_owned(),
            distance: distance as u64,
            log10_norm: mean,
            log10_relative: mean - *origin.get_or_insert(mean),
            log10_q10: quantile(0.1),
            log10_median: quantile(0.5),
            log10_q90: quantile(0.9),
            trusted,
        });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_holds_its_ends_and_grows() {
        assert_eq!(distances(0, 4, 8), [0, 1, 2, 3, 4]);
        let grid = distances(1, 1000, 4);
        assert_eq!((grid[0], grid[grid.len() - 1]), (1, 1000));
        assert!(grid.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(grid.iter().filter(|d| (100..1000).contains(*d)).count(), 4);
        assert!(distances(1, 0, 4).is_empty());
        assert_eq!(distances(0, 0, 4), [0]);
    }

    #[test]
    fn norms_survive_tiny_and_huge_values() {
        for exponent in [-200, -300, 0, 200] {
            let scale = libm::exp10(f64::from(exponent));
            let found = log_norm([3.0 * scale, 4.0 * scale].into_iter()) - f64::from(exponent);
            assert!((found - libm::log10(5.0)).abs() < 1e-12, "{exponent}: {found}");
        }
        assert_eq!(log_norm([0.0, 0.0].into_iter()), f64::NEG_INFINITY);
        assert!(log_norm([1.0, f64::NAN].into_iter()).is_nan());
    }

    #[test]
    fn the_norm_of_logarithms_neither_overflows_nor_underflows() {
        let norm = |logs: &[f64]| log_norm_of_logs(logs.iter().copied());
        assert!(
            (norm(&[-400.0 + libm::log10(3.0), -400.0 + libm::log10(4.0)]) - (-400.0 + libm::log10(5.0)))
                .abs()
                < 1e-12
        );
        assert_eq!(norm(&[f64::NEG_INFINITY; 3]), f64::NEG_INFINITY);
        assert!((norm(&[f64::NEG_INFINITY, 900.0]) - 900.0).abs() < 1e-12);
    }

    #[test]
    fn a_summary_is_relative_to_the_nearest_distance_and_marks_underflow() {
        let curve = [(0, vec![0.0, 2.0]), (5, vec![-2.0, 0.0]), (9, vec![-300.0, -300.0])];
        let rows = summarise("init", 0, "input", curve.into_iter());
        assert_eq!((rows[0].log10_norm, rows[0].log10_relative), (1.0, 0.0));
        assert_eq!((rows[0].log10_q10, rows[0].log10_median, rows[0].log10_q90), (0.2, 1.0, 1.8));
        assert!((rows[1].log10_relative + 2.0).abs() < 1e-12);
        assert!(rows[1].trusted && !rows[2].trusted);
    }
}
