//! How a batch is cut into blocks of rows, each of which walks through time by itself.
//!
//! A block is small enough that one chunk of its steps stays in the second-level cache beside the weights,
//! and large enough that the product of a step fills the vector registers. Blocks depend on the sizes alone,
//! never on the number of threads, because each sums a share of the weight gradient.

use crate::isa::Arith;
use crate::lanes::{copy, fetch};
use crate::real::Real;
use std::ops::Range;

/// Rows of the tallest register tile.
const TILE: usize = 8;
/// Rows times steps of a chunk: the depth of its weight-gradient product, whose operands then stay in the
/// first-level cache.
const CHUNK: usize = 128;
/// Bytes of recurrent weights beyond which a step is limited by reading them, and more rows share the cost.
const LARGE: usize = 512 << 10;

/// Rows of every block but the last.
pub(super) fn rows(batch: usize, weight_bytes: usize) -> usize {
    let most = if weight_bytes > LARGE { 2 * TILE } else { TILE };
    batch.div_ceil(2).min(most)
}

/// Steps of every chunk but the last.
pub(super) fn steps(rows: usize) -> usize {
    (CHUNK / rows).max(1)
}

/// Fetches a chunk of several matrices `[rows, time, width]` that will be gathered next, a row of one step of each at
/// a time: their rows lie too far apart for the processor to see them coming.
pub(super) struct Coming<'a, T, const N: usize> {
    /// Each with its width.
    pub(super) sources: [(&'a [T], usize); N],
    pub(super) rows: usize,
    pub(super) time: usize,
    pub(super) steps: Range<usize>,
    /// The next of the rows of the first of the steps.
    pub(super) row: usize,
}

impl<T: Real, const N: usize> Coming<'_, T, N> {
    /// The next row and step, if there is one.
    #[inline(always)]
    pub(super) fn one(&mut self) {
        if self.steps.is_empty() {
            return;
        }
        let at = self.row * self.time + self.steps.start;
        for (values, width) in self.sources {
            fetch(values.get(at * width..(at + 1) * width).unwrap_or(&[]));
        }
        self.row += 1;
        if self.row == self.rows {
            (self.row, self.steps.start) = (0, self.steps.start + 1);
        }
    }
}

/// Copies one chunk of `values` `[rows, time, width]`, steps `begin..begin + steps`, to `[steps, rows, stride]`.
#[inline(always)]
pub(super) fn gather<A: Arith, T: Real>(
    values: &[T],
    [rows, time, width]: [usize; 3],
    begin: usize,
    steps: usize,
    out: &mut [T],
    stride: usize,
) {
    for b in 0..rows {
        for s in 0..steps {
            let from = &values[(b * time + begin + s) * width..][..width];
            copy::<A, T>(from, &mut out[(s * rows + b) * stride..][..width]);
        }
    }
}

/// The inverse of [`gather`].
#[inline(always)]
pub(super) fn scatter<A: Arith, T: Real>(
    chunk: &[T],
    stride: usize,
    [rows, time, width]: [usize; 3],
    begin: usize,
    steps: usize,
    out: &mut [T],
) {
    for b in 0..rows {
        for s in 0..steps {
            let into = &mut out[(b * time + begin + s) * width..][..width];
            copy::<A, T>(&chunk[(s * rows + b) * stride..][..width], into);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Separate;

    #[test]
    fn blocks_use_both_of_two_threads_and_fill_tiles_where_they_can() {
        assert_eq!([1, 2, 5, 8, 16, 32, 64].map(|batch| rows(batch, 0)), [1, 1, 3, 4, 8, 8, 8]);
        assert_eq!(rows(64, LARGE + 1), 16);
        assert_eq!([1, 4, 8, 16, 200].map(steps), [128, 32, 16, 8, 1]);
    }

    #[test]
    fn chunks_are_gathered_step_by_step_and_put_back() {
        let sizes = [2, 3, 2];
        let values: Vec<f32> = (0..12u8).map(f32::from).collect();
        let mut chunk = [50.0; 12];
        gather::<Separate, f32>(&values, sizes, 1, 2, &mut chunk, 3);
        assert_eq!(chunk, [2.0, 3.0, 50.0, 8.0, 9.0, 50.0, 4.0, 5.0, 50.0, 10.0, 11.0, 50.0]);
        let mut back = vec![99.0; 12];
        scatter::<Separate, f32>(&chunk, 3, sizes, 1, 2, &mut back);
        assert_eq!(back, [99.0, 99.0, 2.0, 3.0, 4.0, 5.0, 99.0, 99.0, 8.0, 9.0, 10.0, 11.0]);
    }
}
