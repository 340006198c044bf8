//! Initial values that more than one architecture uses, as numbers in row-major order from a seeded stream.
//!
//! Everything is computed in double precision and rounded once, when the parameter is made.

use seqbench_core::seed::Stream;

/// Uniform on [−bound, bound): PyTorch's choice for recurrent layers (bound 1/√hidden) and linear ones (bound
/// 1/√in).
pub(crate) fn uniform(stream: &mut Stream, count: usize, bound: f64) -> Vec<f64> {
    (0..count).map(|_| stream.uniform_in(-bound, bound)).collect()
}

/// Normal with mean 0.
pub(crate) fn gaussian(stream: &mut Stream, count: usize, deviation: f64) -> Vec<f64> {
    (0..count).map(|_| deviation * stream.normal()).collect()
}

/// A uniformly distributed matrix `[rows, columns]` with orthonormal columns, or rows where those are fewer.
///
/// Source: Saxe, McClelland & Ganguli 2014, "Exact solutions to the nonlinear dynamics of learning in deep
/// linear neural networks", section 3. Gram–Schmidt with positive lengths applied to a Gaussian matrix is
/// uniform over orthogonal matrices (Mezzadri 2007, "How to generate random matrices from the classical compact
/// groups", section 4).
pub(crate) fn orthogonal(stream: &mut Stream, rows: usize, columns: usize) -> Vec<f64> {
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(count);
    while vectors.len() < count {
        let mut vector = gaussian(stream, length, 1.0);
        // Once removes most of what is not orthogonal; twice leaves rounding only.
        for _ in 0..2 {
            for earlier in &vectors {
                let share = dot(&vector, earlier);
                vector.iter_mut().zip(earlier).for_each(|(value, other)| *value -= share * other);
            }
        }
        let norm = libm::sqrt(dot(&vector, &vector));
        // A vector inside the span of the earlier ones has probability 0 and no direction of its own.
        if norm > 1e-8 {
            vectors.push(vector.iter().map(|value| value / norm).collect());
        }
    }
    let mut out = vec![0.0; rows * columns];
    for (which, vector) in vectors.iter().enumerate() {
        for (at, value) in vector.iter().enumerate() {
            let index = if rows < columns { which * columns + at } else { at * columns + which };
            out[index] = *value;
        }
    }
    out
}

/// The identity matrix, flattened.
pub(crate) fn identity(n: usize) -> Vec<f64> {
    (0..n * n).map(|index| if index / n == index % n { 1.0 } else { 0.0 }).collect()
}

/// The same numbers times `factor`.
pub(crate) fn scaled(mut values: Vec<f64>, factor: f64) -> Vec<f64> {
    values.iter_mut().for_each(|value| *value *= factor);
    values
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use seqbench_core::seed::Purpose;

    fn stream() -> Stream {
        Stream::new(3, Purpose::Init, 0)
    }

    /// Largest |(WᵀW − I)_ij|, or of WWᵀ where there are fewer rows than columns.
    fn defect(w: &[f64], rows: usize, columns: usize) -> f64 {
        let (count, length) = (rows.min(columns), rows.max(columns));
        let element = |which: usize, at: usize| {
            if rows < columns { w[which * columns + at] } else { w[at * columns + which] }
        };
        let mut worst = 0.0f64;
        for i in 0..count {
            for j in 0..count {
                let product: f64 = (0..length).map(|at| element(i, at) * element(j, at)).sum();
                worst = worst.max((product - if i == j { 1.0 } else { 0.0 }).abs());
            }
        }
        worst
    }

    #[test]
    fn orthogonal_matrices_are_orthogonal() {
        for (rows, columns) in [(1, 1), (13, 13), (17, 5), (5, 17), (64, 64)] {
            let w = orthogonal(&mut stream(), rows, columns);
            assert!(defect(&w, rows, columns) < 1e-14, "{rows} {columns}");
        }
    }

    #[test]
    fn orthogonal_matrices_are_uniform_so_entries_have_mean_0_and_variance_1_over_n() {
        let mut stream = stream();
        let values: Vec<f64> = (0..400).flat_map(|_| orthogonal(&mut stream, 5, 5)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 0.02 && (variance - 0.2).abs() < 1e-12, "{mean} {variance}");
        let positive = values.iter().step_by(25).filter(|value| **value > 0.0).count();
        assert!((160..240).contains(&positive), "{positive} of 400 first entries are positive");
    }

    #[test]
    fn gaussian_values_have_the_deviation_asked_for() {
        let values = gaussian(&mut stream(), 40_000, 0.25);
        let mean = values.iter().sum::<f64>() / 40_000.0;
        let deviation = (values.iter().map(|value| value * value).sum::<f64>() / 40_000.0).sqrt();
        let beyond = values.iter().filter(|value| value.abs() > 0.5).count() as f64 / 40_000.0;
        assert!(mean.abs() < 0.005 && (deviation - 0.25).abs() < 0.004, "{mean} {deviation}");
        assert!((beyond - 0.0455).abs() < 0.006, "{beyond} beyond two deviations");
    }

    #[test]
    fn uniform_values_fill_their_interval() {
        let values = uniform(&mut stream(), 10_000, 0.5);
        assert!(values.iter().all(|value| (-0.5..0.5).contains(value)));
        let variance = values.iter().map(|value| value * value).sum::<f64>() / 10_000.0;
        assert!((variance - 1.0 / 12.0).abs() < 0.003, "{variance}");
    }

    #[test]
    fn the_identity_is_the_identity() {
        assert_eq!(identity(2), [1.0, 0.0, 0.0, 1.0]);
        assert_eq!(scaled(identity(2), 0.5), [0.5, 0.0, 0.0, 0.5]);
    }
}
