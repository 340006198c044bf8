//! How a batch is cut into blocks of rows, each of which walks through time by itself.
//!
//! A block is small enough that one chunk of its steps stays in the second-level cache beside the weights,
//! and large enough that the product of a step fills the vector registers. Blocks depend on the sizes alone,
//! never on the number of threads, because each sums a share of the weight gradient.

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

/// Copies one chunk of `values` `[rows, time, width]`, steps `begin..begin + steps`, to `[steps, rows, width]`.
#[inline(always)]
pub(super) fn gather<T: Copy>(
    values: &[T],
    [rows, time, width]: [usize; 3],
    begin: usize,
    steps: usize,
    out: &mut [T],
) {
    for b in 0..rows {
        for s in 0..steps {
            let from = &values[(b * time + begin + s) * width..][..width];
            out[(s * rows + b) * width..][..width].copy_from_slice(from);
        }
    }
}

/// The inverse of [`gather`].
#[inline(always)]
pub(super) fn scatter<T: Copy>(
    chunk: &[T],
    [rows, time, width]: [usize; 3],
    begin: usize,
    steps: usize,
    out: &mut [T],
) {
    for b in 0..rows {
        for s in 0..steps {
            let into = &mut out[(b * time + begin + s) * width..][..width];
            into.copy_from_slice(&chunk[(s * rows + b) * width..][..width]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_use_both_of_two_threads_and_fill_tiles_where_they_can() {
        assert_eq!([1, 2, 5, 8, 16, 32, 64].map(|batch| rows(batch, 0)), [1, 1, 3, 4, 8, 8, 8]);
        assert_eq!(rows(64, LARGE + 1), 16);
        assert_eq!([1, 4, 8, 16, 200].map(steps), [128, 32, 16, 8, 1]);
    }

    #[test]
    fn chunks_are_gathered_step_by_step_and_put_back() {
        let sizes = [2, 3, 2];
        let values: Vec<usize> = (0..12).collect();
        let mut chunk = [0; 8];
        gather(&values, sizes, 1, 2, &mut chunk);
        assert_eq!(chunk, [2, 3, 8, 9, 4, 5, 10, 11]);
        let mut back = vec![99; 12];
        scatter(&chunk, sizes, 1, 2, &mut back);
        assert_eq!(back, [99, 99, 2, 3, 4, 5, 99, 99, 8, 9, 10, 11]);
    }
}
