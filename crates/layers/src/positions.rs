//! Sinusoidal positions: Vaswani et al. 2017, "Attention Is All You Need", section 3.5.

use candle_core::{DType, Device, Tensor};
use seqbench_core::Result;

/// Positions to add to `[batch, time, dim]`, where row `b` begins at position `starts[b]`:
/// `PE(p, 2i) = sin(p / 10000^(2i/dim))` and `PE(p, 2i + 1) = cos(p / 10000^(2i/dim))`.
///
/// Computed in double precision, so that a late start costs no accuracy, and without a gradient.
///
/// # Errors
/// The tensor cannot be made.
pub fn sinusoidal(starts: &[u32], time: usize, dim: usize, dtype: DType, device: &Device) -> Result<Tensor> {
    let waves = Sinusoids::new(dim);
    let size = time * dim;
    let mut values: Vec<f64> = Vec::with_capacity(starts.len() * size);
    for (row, &start) in starts.iter().enumerate() {
        // In training all rows begin together, and sines are dearer than copies.
        if let Some(same) = starts[..row].iter().position(|&other| other == start) {
            values.extend_from_within(same * size..(same + 1) * size);
            continue;
        }
        for step in 0..time {
            let position = f64::from(start) + step as f64;
            values.extend((0..dim).map(|j| waves.at(position, j)));
        }
    }
    Ok(Tensor::from_vec(values, (starts.len(), time, dim), &Device::Cpu)?
        .to_dtype(dtype)?
        .to_device(device)?)
}

/// The elements of [`sinusoidal`] one by one, for decoders.
#[derive(Clone, Debug)]
pub struct Sinusoids {
    frequencies: Vec<f64>,
}

impl Sinusoids {
    /// Positions of this many elements.
    pub fn new(dim: usize) -> Self {
        let frequency = |i: usize| libm::pow(10_000.0, -((2 * i) as f64) / dim as f64);
        Sinusoids { frequencies: (0..dim.div_ceil(2)).map(frequency).collect() }
    }

    /// Element `j` of a position. Panics where `j` is not below `dim`.
    pub fn at(&self, position: f64, j: usize) -> f64 {
        let angle = position * self.frequencies[j / 2];
        if j.is_multiple_of(2) { libm::sin(angle) } else { libm::cos(angle) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::flat;

    fn positions(starts: &[u32], time: usize, dim: usize) -> Tensor {
        sinusoidal(starts, time, dim, DType::F64, &Device::Cpu).unwrap()
    }

    #[test]
    fn the_first_positions_are_those_of_the_paper() {
        let got = flat(&positions(&[0], 2, 4));
        let want = [0.0, 1.0, 0.0, 1.0, 1f64.sin(), 1f64.cos(), 0.01f64.sin(), 0.01f64.cos()];
        assert!(got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-15), "{got:?}");
    }

    #[test]
    fn a_later_start_continues_an_earlier_one_in_every_row() {
        let (time, dim) = (7, 5);
        let whole = flat(&positions(&[0], 2 * time, dim));
        let split = flat(&positions(&[0, time as u32, 3, 0], time, dim));
        let size = time * dim;
        assert_eq!(whole[..size], split[..size]);
        assert_eq!(whole[size..], split[size..2 * size]);
        assert_eq!(whole[3 * dim..][..size], split[2 * size..3 * size]);
        assert_eq!(whole[..size], split[3 * size..]);
    }

    #[test]
    fn every_position_differs_and_every_pair_lies_on_the_circle() {
        let (time, dim) = (101, 6);
        let values = flat(&positions(&[0], time, dim));
        for pair in values.chunks(2) {
            assert!((pair[0] * pair[0] + pair[1] * pair[1] - 1.0).abs() < 1e-12);
        }
        for (a, first) in values.chunks(dim).enumerate() {
            let twin = values.chunks(dim).enumerate().any(|(b, other)| a != b && first == other);
            assert!(!twin, "position {a} has a twin");
        }
    }

    #[test]
    fn single_precision_is_the_rounded_double() {
        let single = sinusoidal(&[1_000_000], 3, 5, DType::F32, &Device::Cpu).unwrap();
        let double = positions(&[1_000_000], 3, 5);
        let rounded = |value: &f64| f64::from(*value as f32);
        assert_eq!(single.dtype(), DType::F32);
        assert_eq!(flat(&single), flat(&double).iter().map(rounded).collect::<Vec<_>>());
    }
}
