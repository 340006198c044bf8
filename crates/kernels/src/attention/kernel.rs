//! Attention of one head in one batch row, forward and backward, tile by tile.
//!
//! Keys are the outer loop and queries the inner one: a tile of keys is laid out once for all queries, and
//! each query still meets its tiles in order. Backward follows Dao et al. 2022, alg. 4.

use super::softmax::{KEYS, Normalizer, add_weighted, score};
use crate::isa::{Arith, Kernel};
use crate::product::{Matrix, Packed, Start, product};
use crate::real::Real;

/// Queries computed together.
const QUERIES: usize = 32;
/// Queries whose visible keys are cut to the same number on the diagonal.
const GROUP: usize = 8;

/// One head of one row: q, k and v begin at its first token and continue every `stride` values.
#[derive(Clone, Copy)]
pub(super) struct Head<'a, T> {
    pub(super) q: &'a [T],
    pub(super) k: &'a [T],
    pub(super) v: &'a [T],
    pub(super) stride: usize,
    pub(super) time: usize,
    pub(super) head_dim: usize,
    pub(super) past: usize,
    pub(super) scale: T,
    pub(super) slope: T,
}

/// A tile of keys against a block of queries.
#[derive(Clone, Copy)]
struct Block {
    /// First query and number of queries.
    query: usize,
    rows: usize,
    /// First key and number of keys.
    key: usize,
    keys: usize,
    /// Keys that the first query sees, counted from the tile's first; may exceed `keys`.
    sight: usize,
}

impl Block {
    /// How many of the tile's keys a query of the block sees.
    #[inline(always)]
    fn visible(&self, row: usize) -> usize {
        self.keys.min(self.sight + row)
    }
}

impl<'a, T: Real> Head<'a, T> {
    /// First key and number of keys of every tile that any query sees.
    #[inline(always)]
    fn tiles(&self) -> impl Iterator<Item = (usize, usize)> + use<T> {
        let end = self.past + self.time;
        (0..end).step_by(KEYS).map(move |key| (key, KEYS.min(end - key)))
    }

    /// The blocks of queries that see a tile.
    #[inline(always)]
    fn blocks(&self, (key, keys): (usize, usize)) -> impl Iterator<Item = Block> + use<T> {
        let (past, time) = (self.past, self.time);
        (key.saturating_sub(past)..time).step_by(QUERIES).map(move |query| Block {
            query,
            rows: QUERIES.min(time - query),
            key,
            keys,
            sight: past + query + 1 - key,
        })
    }

    #[inline(always)]
    fn rows(&self, values: &'a [T], first: usize) -> Matrix<'a, T> {
        Matrix::new(&values[first * self.stride..], self.stride)
    }

    /// The scores of a block, `[rows, KEYS]`.
    #[inline(always)]
    fn scores<A: Arith>(&self, block: Block, keys: &Packed<T>, scores: &mut [[T; KEYS]; QUERIES]) {
        let q = self.rows(self.q, block.query);
        keys.product::<A>(scores.as_flattened_mut(), KEYS, block.rows, q, Start::Zero);
        for (row, scores) in scores.iter_mut().enumerate().take(block.rows) {
            let distance = block.sight + row - 1;
            score::<A, T>(scores, block.visible(row), distance, self.scale, self.slope);
        }
    }

    /// `sums[row] += Σ_key weights[row, key] · values[key]` over the keys each row sees and no other, which
    /// a weight of zero would not ensure: a later key may be infinite. `packed` holds the tile of `values`.
    #[inline(always)]
    fn gather<A: Arith>(
        &self,
        block: Block,
        weights: &[[T; KEYS]; QUERIES],
        values: &'a [T],
        packed: &Packed<T>,
        sums: &mut [T],
        scratch: &mut Vec<T>,
    ) {
        let size = self.head_dim;
        let weights = weights.as_flattened();
        let mut first = 0;
        while first < block.rows && block.visible(first) < block.keys {
            let rows = GROUP.min(block.rows - first);
            let common = block.visible(first);
            let sums = &mut sums[first * size..(first + rows) * size];
            let group = Matrix::new(&weights[first * KEYS..], KEYS);
            let tile = self.rows(values, block.key);
            product::<A, T>(sums, size, [rows, size, common], group, tile, Start::Existing, scratch);
            for (row, sums) in sums.chunks_exact_mut(size).enumerate() {
                for key in common..block.visible(first + row) {
                    let value = &values[(block.key + key) * self.stride..][..size];
                    add_weighted::<A, T>(sums, weights[(first + row) * KEYS + key], value);
                }
            }
            first += rows;
        }
        if first < block.rows {
            let rest = Matrix::new(&weights[first * KEYS..], KEYS);
            packed.product::<A>(&mut sums[first * size..], size, block.rows - first, rest, Start::Existing);
        }
    }
}

/// One head forward.
pub(super) struct Forward<'a, 'out, T> {
    pub(super) head: Head<'a, T>,
    /// `[time, head_dim]`, zeros.
    pub(super) ys: &'out mut [T],
    /// `[time]`, empty.
    pub(super) normalizers: &'out mut [Normalizer<T>],
}

impl<T: Real> Kernel for Forward<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(self) {
        let Forward { head, ys, normalizers } = self;
        let size = head.head_dim;
        let mut scores = [[T::ZERO; KEYS]; QUERIES];
        let mut scratch = Vec::new();
        for tile in head.tiles() {
            let keys = Packed::new(head.rows(head.k, tile.0).transposed(), size, tile.1);
            let values = Packed::new(head.rows(head.v, tile.0), tile.1, size);
            for block in head.blocks(tile) {
                head.scores::<A>(block, &keys, &mut scores);
                let ys = &mut ys[block.query * size..(block.query + block.rows) * size];
                let normalizers = &mut normalizers[block.query..block.query + block.rows];
                for ((scores, ys), normalizer) in
                    scores.iter_mut().zip(ys.chunks_exact_mut(size)).zip(normalizers)
                {
                    normalizer.absorb::<A>(scores, ys);
                }
                head.gather::<A>(block, &scores, head.v, &values, ys, &mut scratch);
            }
        }
        for (ys, normalizer) in ys.chunks_exact_mut(size).zip(normalizers) {
            normalizer.finish(ys);
        }
    }
}

/// One head backward.
pub(super) struct Backward<'a, 'out, T> {
    pub(super) head: Head<'a, T>,
    /// As q: from the head's first token, every `stride` values.
    pub(super) ys: &'a [T],
    /// As q.
    pub(super) ys_grad: &'a [T],
    /// `[time]`.
    pub(super) normalizers: &'a [Normalizer<T>],
    /// `[time, head_dim]`, zeros.
    pub(super) q_grad: &'out mut [T],
    /// `[context, head_dim]`, zeros.
    pub(super) k_grad: &'out mut [T],
    /// `[context, head_dim]`, zeros.
    pub(super) v_grad: &'out mut [T],
}

impl<T: Real> Kernel for Backward<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(self) {
        let Backward { head, ys, ys_grad, normalizers, q_grad, k_grad, v_grad } = self;
        let (size, stride) = (head.head_dim, head.stride);
        // Σ_key P ∂L/∂P, which equals the product of the output with its gradient.
        let pulls: Vec<T> = (0..head.time)
            .map(|query| {
                let (y, dy) = (&ys[query * stride..][..size], &ys_grad[query * stride..][..size]);
                y.iter().zip(dy).fold(T::ZERO, |sum, (y, dy)| A::fma(*y, *dy, sum))
            })
            .collect();
        let mut weights = [[T::ZERO; KEYS]; QUERIES];
        let mut scores_grad = [[T::ZERO; KEYS]; QUERIES];
        let mut scratch = Vec::new();
        for (key, keys) in head.tiles() {
            let (k, v) = (head.rows(head.k, key), head.rows(head.v, key));
            let across = Packed::new(k.transposed(), size, keys);
            let values_across = Packed::new(v.transposed(), size, keys);
            let along = Packed::new(k, keys, size);
            let k_grad = &mut k_grad[key * size..(key + keys) * size];
            let v_grad = &mut v_grad[key * size..(key + keys) * size];
            for block in head.blocks((key, keys)) {
                head.scores::<A>(block, &across, &mut weights);
                let dy = head.rows(ys_grad, block.query);
                let into = scores_grad.as_flattened_mut();
                values_across.product::<A>(into, KEYS, block.rows, dy, Start::Zero);
                for row in 0..block.rows {
                    normalizers[block.query + row].weights::<A>(&mut weights[row]);
                    let (pull, visible) = (pulls[block.query + row], block.visible(row));
                    for (x, (grad, weight)) in scores_grad[row].iter_mut().zip(&weights[row]).enumerate() {
                        let full = *weight * (*grad - pull) * head.scale;
                        *grad = if x < visible { full } else { T::ZERO };
                    }
                }
                let q_grad = &mut q_grad[block.query * size..(block.query + block.rows) * size];
                head.gather::<A>(block, &scores_grad, head.k, &along, q_grad, &mut scratch);
                let shape = [keys, size, block.rows];
                let across = Matrix::new(weights.as_flattened(), KEYS).transposed();
                product::<A, T>(v_grad, size, shape, across, dy, Start::Existing, &mut scratch);
                let across = Matrix::new(scores_grad.as_flattened(), KEYS).transposed();
                let q = head.rows(head.q, block.query);
                product::<A, T>(k_grad, size, shape, across, q, Start::Existing, &mut scratch);
            }
        }
    }
}
