//! Rows of a matrix: sums along one in a fixed order, and work split over many.

use crate::real::Real;
use rayon::prelude::*;

/// Interleaved chains of every sum along a row. A fixed number, wide enough for the widest registers, so
/// that the order of additions belongs to the sum and not to the instruction set.
pub(crate) const LANES: usize = 16;

/// Rows a parameter gradient sums over before the partial sums are combined in order. A fixed number, so
/// that the order of additions does not depend on the number of threads.
pub(crate) const ROW_BLOCK: usize = 64;

/// Elements below which handing work to other threads costs more than it saves.
const WORTH_SPLITTING: usize = 1 << 15;

/// Folds rows of equal length from the left in [`LANES`] interleaved chains, then joins the chains pairwise.
#[inline(always)]
pub(crate) fn fold<T: Copy, S: Copy, const N: usize>(
    start: S,
    rows: [&[T]; N],
    step: impl Fn(S, [T; N]) -> S,
    join: impl Fn(S, S) -> S,
) -> S {
    let len = rows[0].len();
    let whole = len - len % LANES;
    let mut lanes = [start; LANES];
    let mut at = 0;
    while at < whole {
        let cut = rows.map(|row| &row[at..at + LANES]);
        for lane in 0..LANES {
            lanes[lane] = step(lanes[lane], cut.map(|row| row[lane]));
        }
        at += LANES;
    }
    for lane in 0..len - whole {
        lanes[lane] = step(lanes[lane], rows.map(|row| row[whole + lane]));
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] = join(lanes[lane], lanes[lane + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// Sum of `term` over rows of equal length.
#[inline(always)]
pub(crate) fn sum<T: Real, const N: usize>(rows: [&[T]; N], term: impl Fn([T; N]) -> T) -> T {
    fold(T::ZERO, rows, |sum, values| sum + term(values), |a, b| a + b)
}

/// The largest element; −∞ of an empty row.
#[inline(always)]
pub(crate) fn largest<T: Real>(row: &[T]) -> T {
    fold(T::NEG_INFINITY, [row], |best, [x]| x.maximum(best), |a, b| a.maximum(b))
}

fn split(elements: usize) -> bool {
    elements >= WORTH_SPLITTING && rayon::current_num_threads() > 1
}

/// Calls `work(index, block)` on every block of `block` elements of `out`, on several threads where
/// `elements`, the size of the whole work, is worth it.
pub(crate) fn each_block<T: Send>(
    out: &mut [T],
    block: usize,
    elements: usize,
    work: impl Fn(usize, &mut [T]) + Send + Sync,
) {
    let block = block.max(1);
    if split(elements) {
        out.par_chunks_mut(block).enumerate().for_each(|(index, part)| work(index, part));
    } else {
        out.chunks_mut(block).enumerate().for_each(|(index, part)| work(index, part));
    }
}

/// [`each_block`] over two outputs cut into equally many blocks.
pub(crate) fn each_block_of_two<T: Send>(
    (first, first_block): (&mut [T], usize),
    (second, second_block): (&mut [T], usize),
    elements: usize,
    work: impl Fn(usize, &mut [T], &mut [T]) + Send + Sync,
) {
    let (first_block, second_block) = (first_block.max(1), second_block.max(1));
    if split(elements) {
        let pairs = first.par_chunks_mut(first_block).zip(second.par_chunks_mut(second_block));
        pairs.enumerate().for_each(|(index, (a, b))| work(index, a, b));
    } else {
        let pairs = first.chunks_mut(first_block).zip(second.chunks_mut(second_block));
        pairs.enumerate().for_each(|(index, (a, b))| work(index, a, b));
    }
}

/// Sums `parts`, `[blocks, width]`, over the blocks in order.
pub(crate) fn combine<T: Real>(parts: &[T], width: usize) -> Vec<T> {
    const BLOCK: usize = 1 << 12;
    let mut total = vec![T::ZERO; width];
    each_block(&mut total, BLOCK, parts.len(), |index, total| {
        for part in parts.chunks(width.max(1)) {
            for (sum, value) in total.iter_mut().zip(&part[index * BLOCK..]) {
                *sum += *value;
            }
        }
    });
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_maxima_agree_with_plain_ones_at_every_length() {
        for len in 0..53 {
            let row: Vec<f64> = (0..len).map(|i| f64::from(i * 37 % 53) - 11.5).collect();
            assert_eq!(sum([&row, &row], |[a, b]| a * b), row.iter().map(|x| x * x).sum::<f64>());
            assert_eq!(largest(&row), row.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        }
    }

    #[test]
    fn blocks_are_visited_once_with_their_index() {
        for elements in [0, WORTH_SPLITTING] {
            let mut out = vec![0usize; 101];
            each_block(&mut out, 7, elements, |index, part| part.iter_mut().for_each(|x| *x += index + 1));
            assert!(out.iter().enumerate().all(|(i, x)| *x == i / 7 + 1));
            let mut other = vec![0usize; 30];
            each_block_of_two((&mut out, 7), (&mut other, 2), elements, |index, a, b| {
                a.fill(index);
                b.fill(index);
            });
            assert!(out.iter().enumerate().all(|(i, x)| *x == i / 7));
            assert!(other.iter().enumerate().all(|(i, x)| *x == i / 2));
        }
    }
}
