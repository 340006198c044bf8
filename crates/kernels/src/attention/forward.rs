//! Attention of one head in one batch row, forward.

use super::block::{Head, LANES, Lane, blocks, gather, reduce};
use super::padded;
use super::scratch::{Rows, cut, room};
use super::softmax::{CHAINS, KEYS, Normalizer, exp2, finish};
use super::transpose::transpose;
use crate::isa::{Arith, Kernel};
use crate::real::Real;

/// Some queries of one head.
pub(super) struct Forward<'a, 'out, T> {
    pub(super) head: Head<'a, T>,
    /// First query, a multiple of a block, and number of queries.
    pub(super) queries: (usize, usize),
    /// As many rows as queries.
    pub(super) ys: Rows<'out, T>,
    /// As many as queries, each one a row.
    pub(super) normalizers: Rows<'out, Normalizer<T>>,
    /// [`Forward::scratch`] values.
    pub(super) scratch: &'out mut [T],
}

impl<T: Real> Forward<'_, '_, T> {
    /// Values of scratch for a head that reads keys up to `end`.
    pub(super) fn scratch(end: usize, size: usize) -> usize {
        2 * room(end * size) + (3 * padded(size) + KEYS) * LANES
    }
}

impl<T: Real> Kernel for Forward<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(self) {
        let Forward { head, queries: range, mut ys, mut normalizers, scratch: mut rest } = self;
        let (size, stride) = (head.head_dim, padded(head.head_dim));
        let end = head.past + range.0 + range.1;
        let (keys, values) = (cut(&mut rest, end * size), cut(&mut rest, end * size));
        let rows = cut(&mut rest, LANES * stride);
        let queries = cut(&mut rest, stride * LANES).as_chunks_mut::<LANES>().0;
        let sums = cut(&mut rest, stride * LANES).as_chunks_mut::<LANES>().0;
        let scores = cut(&mut rest, KEYS * LANES).as_chunks_mut::<LANES>().0;
        rows.fill(T::ZERO);
        head.load_keys::<A>(end, keys, values);
        for block in blocks(range) {
            head.load_queries::<A>(block, rows);
            transpose::<A, T>(rows, stride, [LANES, stride], queries.as_flattened_mut(), LANES);
            for query in queries.as_flattened_mut() {
                *query *= head.factor;
            }
            sums.as_flattened_mut().fill(T::ZERO);
            let (mut maxima, mut totals) = ([T::NEG_INFINITY; LANES], [T::ZERO; LANES]);
            for tile in head.tiles(block) {
                head.scores::<A>(tile, keys, queries, scores);
                let used = tile.keys.next_multiple_of(CHAINS);
                scores[tile.keys..used].as_flattened_mut().fill(T::NEG_INFINITY);
                let shrinks = weigh::<A, T>(&mut scores[..used], &mut maxima, &mut totals);
                // Seldom: without a branch in the loop, because the compiler then compares all at once.
                let mut kept = true;
                for shrink in &shrinks {
                    kept &= *shrink == T::ONE;
                }
                if !kept {
                    for sums in sums.iter_mut() {
                        for x in 0..LANES {
                            sums[x] *= shrinks[x];
                        }
                    }
                }
                gather::<A, T>(tile, size, scores, values, sums);
            }
            let inverses = totals.map(|total| T::ONE / total);
            for sums in sums.iter_mut() {
                for x in 0..LANES {
                    sums[x] = finish(sums[x], inverses[x]);
                }
            }
            transpose::<A, T>(sums.as_flattened(), LANES, [stride, LANES], rows, stride);
            let first = block.0 - range.0;
            for (x, row) in rows.chunks_exact(stride).enumerate().take(block.1) {
                for (y, value) in ys.row(first + x).iter_mut().zip(row) {
                    *y = *value;
                }
                normalizers.row(first + x)[0] = Normalizer { maximum: maxima[x], sum: totals[x] };
            }
        }
    }
}

/// Turns scores into weights and takes them into each query's maximum and sum; returns what their earlier sums
/// shrink by.
#[inline(always)]
fn weigh<A: Arith, T: Real>(scores: &mut [Lane<T>], maxima: &mut Lane<T>, totals: &mut Lane<T>) -> Lane<T> {
    let most = reduce(scores, T::NEG_INFINITY, T::maximum);
    let mut shrinks = [T::ZERO; LANES];
    let mut states = [Normalizer::EMPTY; LANES];
    for x in 0..LANES {
        states[x] = Normalizer { maximum: maxima[x], sum: totals[x] };
        shrinks[x] = states[x].raise::<A>(most[x]);
        maxima[x] = states[x].maximum;
    }
    let maxima = *maxima;
    for scores in scores.iter_mut() {
        for x in 0..LANES {
            scores[x] = exp2::<A, T>(scores[x] - maxima[x]);
        }
    }
    let sums = reduce(scores, T::ZERO, |a, b| a + b);
    for x in 0..LANES {
        states[x].add::<A>(shrinks[x], sums[x]);
        totals[x] = states[x].sum;
    }
    shrinks
}
