//! Attention of one head in one batch row, forward and backward: queries across lanes, keys one after another.
//!
//! A block of queries stands transposed, `[head_dim, LANES]`, and meets its tiles of keys in order, so that
//! maxima, sums and outputs are kept lane by lane and any head_dim fills the registers. Backward follows Dao
//! et al. 2022, alg. 4.

use super::softmax::{CHAINS, KEYS, Normalizer, biased, combine, exp2, finish};
use super::{PANEL, padded};
use crate::isa::{Arith, Kernel};
use crate::product::{Matrix, Start, panel};
use crate::real::Real;

/// Queries of a block.
const LANES: usize = 16;

/// One value for each query of a block.
type Lane<T> = [T; LANES];

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
    /// In units of ln 2, like the slope.
    pub(super) factor: T,
    pub(super) slope: T,
}

/// A tile of keys against a block of queries.
#[derive(Clone, Copy)]
struct Tile {
    /// First key and number of keys that any query sees.
    key: usize,
    keys: usize,
    /// How many of them the first query sees; each further query sees one more.
    common: usize,
    /// Position of the first query less that of the first key.
    distance: isize,
}

impl<'a, T: Real> Head<'a, T> {
    /// First query and number of queries of every block.
    #[inline(always)]
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> + use<T> {
        let time = self.time;
        (0..time).step_by(LANES).map(move |query| (query, LANES.min(time - query)))
    }

    /// The tiles that a block sees.
    #[inline(always)]
    fn tiles(&self, (query, rows): (usize, usize)) -> impl Iterator<Item = Tile> + use<T> {
        let first = self.past + query;
        (0..first + rows).step_by(KEYS).map(move |key| {
            let keys = KEYS.min(first + rows - key);
            let common = keys.min((first + 1).saturating_sub(key));
            Tile { key, keys, common, distance: first as isize - key as isize }
        })
    }

    #[inline(always)]
    fn rows(&self, values: &'a [T], first: usize) -> Matrix<'a, T> {
        Matrix::new(&values[first * self.stride..], self.stride)
    }

    /// A block of `values`, every one times `scale` of its query, as `[head_dim, LANES]`; absent queries are 0.
    #[inline(always)]
    fn across(&self, values: &[T], (query, rows): (usize, usize), scale: &Lane<T>, out: &mut [Lane<T>]) {
        out.fill([T::ZERO; LANES]);
        for x in 0..rows {
            let token = &values[(query + x) * self.stride..][..self.head_dim];
            for (out, value) in out.iter_mut().zip(token) {
                out[x] = *value * scale[x];
            }
        }
    }

    /// [`Self::across`] as `[LANES, head_dim]`, every row padded.
    #[inline(always)]
    fn along(&self, values: &[T], (query, rows): (usize, usize), scale: &Lane<T>, out: &mut [T]) {
        for (x, out) in out.chunks_exact_mut(padded(self.head_dim)).enumerate().take(rows) {
            let token = &values[(query + x) * self.stride..][..self.head_dim];
            for (out, value) in out.iter_mut().zip(token) {
                *out = *value * scale[x];
            }
        }
    }

    /// The scores of a tile, −∞ where a query does not see a key.
    #[inline(always)]
    fn scores<A: Arith>(&self, tile: Tile, queries: &[Lane<T>], scores: &mut [Lane<T>; KEYS]) {
        let shape = [tile.keys, LANES, self.head_dim];
        let keys = self.rows(self.k, tile.key);
        let into = scores.as_flattened_mut();
        panel::<A, T>(into, LANES, shape, keys, queries.as_flattened(), LANES, Start::Zero);
        if self.slope != T::ZERO {
            for (key, scores) in scores.iter_mut().enumerate().take(tile.keys) {
                for (x, score) in scores.iter_mut().enumerate() {
                    let distance = tile.distance + x as isize - key as isize;
                    *score = biased::<A, T>(*score, T::of(distance as f64), self.slope);
                }
            }
        }
        hide(tile, scores, T::NEG_INFINITY);
        for scores in &mut scores[tile.keys..] {
            *scores = [T::NEG_INFINITY; LANES];
        }
    }

    /// `sums[d] += Σ_key weights[key] · values[key, d]` over the keys each query sees and no other, which a
    /// weight of zero would not ensure: a later key may be infinite.
    #[inline(always)]
    fn gather<A: Arith>(&self, tile: Tile, weights: &[Lane<T>; KEYS], values: &'a [T], sums: &mut [Lane<T>]) {
        let hidden = tile.common..tile.keys;
        let tame = hidden.clone().all(|key| {
            let value = &values[(tile.key + key) * self.stride..][..self.head_dim];
            value.iter().fold(T::ZERO, |sum, value| sum + *value * T::ZERO) == T::ZERO
        });
        let depth = if tame { tile.keys } else { tile.common };
        let shape = [self.head_dim, LANES, depth];
        let across = self.rows(values, tile.key).transposed();
        let into = sums.as_flattened_mut();
        panel::<A, T>(into, LANES, shape, across, weights.as_flattened(), LANES, Start::Existing);
        if tame {
            return;
        }
        for key in hidden {
            let value = &values[(tile.key + key) * self.stride..][..self.head_dim];
            for (sums, value) in sums.iter_mut().zip(value) {
                for x in blind(tile, key)..LANES {
                    sums[x] = A::fma(weights[key][x], *value, sums[x]);
                }
            }
        }
    }

    /// `sums[key, d] += Σ_query weights[key, query] · rows[query, d]` for the tile's keys.
    #[inline(always)]
    fn spread<A: Arith>(
        &self,
        tile: Tile,
        count: usize,
        weights: &[Lane<T>; KEYS],
        rows: &[T],
        sums: &mut [T],
    ) {
        let (size, stride) = (self.head_dim, padded(self.head_dim));
        let weights = Matrix::new(weights.as_flattened(), LANES);
        for first in (0..size).step_by(PANEL) {
            let shape = [tile.keys, PANEL.min(size - first), count];
            let sums = &mut sums[tile.key * size + first..];
            panel::<A, T>(sums, size, shape, weights, &rows[first..], stride, Start::Existing);
        }
    }
}

/// How many of the block's queries do not see a key.
#[inline(always)]
fn blind(tile: Tile, key: usize) -> usize {
    (key as isize - tile.distance).clamp(0, LANES as isize) as usize
}

/// Writes `value` wherever a query does not see a key of the tile.
#[inline(always)]
fn hide<T: Real>(tile: Tile, lanes: &mut [Lane<T>; KEYS], value: T) {
    for key in tile.common..tile.keys {
        let blind = blind(tile, key);
        for (x, lane) in lanes[key].iter_mut().enumerate() {
            *lane = if x < blind { value } else { *lane };
        }
    }
}

/// Combines the rows of a tile lane by lane, in the chains of [`CHAINS`].
#[inline(always)]
fn reduce<T: Real>(lanes: &[Lane<T>], first: T, both: impl Fn(T, T) -> T + Copy) -> Lane<T> {
    let mut chains = [[first; LANES]; CHAINS];
    for lanes in lanes.chunks_exact(CHAINS) {
        for (chain, lane) in chains.iter_mut().zip(lanes) {
            for x in 0..LANES {
                chain[x] = both(chain[x], lane[x]);
            }
        }
    }
    combine(chains, |a, b| {
        let mut out = a;
        for x in 0..LANES {
            out[x] = both(a[x], b[x]);
        }
        out
    })
}

/// One head forward.
pub(super) struct Forward<'a, 'out, T> {
    pub(super) head: Head<'a, T>,
    /// `[time, head_dim]`.
    pub(super) ys: &'out mut [T],
    /// `[time]`.
    pub(super) normalizers: &'out mut [Normalizer<T>],
}

impl<T: Real> Kernel for Forward<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(self) {
        let Forward { head, ys, normalizers } = self;
        let size = head.head_dim;
        let mut scratch = vec![[T::ZERO; LANES]; 2 * size];
        let (queries, sums) = scratch.split_at_mut(size);
        let mut scores = [[T::ZERO; LANES]; KEYS];
        for block in head.blocks() {
            head.across(head.q, block, &[head.factor; LANES], queries);
            sums.fill([T::ZERO; LANES]);
            let mut states = [Normalizer::EMPTY; LANES];
            for tile in head.tiles(block) {
                head.scores::<A>(tile, queries, &mut scores);
                let used = &mut scores[..tile.keys.next_multiple_of(CHAINS)];
                let most = reduce(used, T::NEG_INFINITY, T::maximum);
                let (mut shrinks, mut maxima) = ([T::ZERO; LANES], [T::ZERO; LANES]);
                for x in 0..LANES {
                    shrinks[x] = states[x].raise::<A>(most[x]);
                    maxima[x] = states[x].maximum;
                }
                for scores in used.iter_mut() {
                    for x in 0..LANES {
                        scores[x] = exp2::<A, T>(scores[x] - maxima[x]);
                    }
                }
                let total = reduce(used, T::ZERO, |a, b| a + b);
                for x in 0..LANES {
                    states[x].add::<A>(shrinks[x], total[x]);
                }
                for sums in sums.iter_mut() {
                    for x in 0..LANES {
                        sums[x] *= shrinks[x];
                    }
                }
                head.gather::<A>(tile, &scores, head.v, sums);
            }
            let (query, rows) = block;
            normalizers[query..query + rows].copy_from_slice(&states[..rows]);
            for x in 0..rows {
                let inverse = T::ONE / states[x].sum;
                for (y, sum) in ys[(query + x) * size..][..size].iter_mut().zip(sums.iter()) {
                    *y = finish(sum[x], inverse);
                }
            }
        }
    }
}

/// One head backward.
pub(super) struct Backward<'a, 'out, T> {
    pub(super) head: Head<'a, T>,
    /// The factor on dot products, in plain units.
    pub(super) scale: T,
    /// As q: from the head's first token, every `stride` values.
    pub(super) ys: &'a [T],
    /// As q.
    pub(super) ys_grad: &'a [T],
    /// `[time]`.
    pub(super) normalizers: &'a [Normalizer<T>],
    /// `[time, head_dim]`.
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
        let Backward { head, scale, ys, ys_grad, normalizers, q_grad, k_grad, v_grad } = self;
        let (size, stride) = (head.head_dim, padded(head.head_dim));
        let mut scratch = vec![[T::ZERO; LANES]; 3 * size + 2 * stride];
        let (queries, rest) = scratch.split_at_mut(size);
        let (upstream, rest) = rest.split_at_mut(size);
        let (sums, rest) = rest.split_at_mut(size);
        let (query_rows, upstream_rows) = rest.as_flattened_mut().split_at_mut(LANES * stride);
        let mut weights = [[T::ZERO; LANES]; KEYS];
        let mut scores_grad = [[T::ZERO; LANES]; KEYS];
        for block in head.blocks() {
            let (query, rows) = block;
            let (mut inverses, mut maxima) = ([T::ONE; LANES], [T::ZERO; LANES]);
            for (x, normalizer) in normalizers[query..query + rows].iter().enumerate() {
                inverses[x] = T::ONE / normalizer.sum;
                maxima[x] = normalizer.maximum;
            }
            // The weights stay undivided: the sum they lack goes with the upstream gradient.
            head.across(head.q, block, &[head.factor; LANES], queries);
            head.along(head.q, block, &[scale; LANES], query_rows);
            head.across(ys_grad, block, &inverses, upstream);
            head.along(ys_grad, block, &inverses, upstream_rows);
            sums.fill([T::ZERO; LANES]);
            // Σ_key P ∂L/∂P, which equals the product of the output with its gradient.
            let mut pulls = [T::ZERO; LANES];
            for x in 0..rows {
                let y = &ys[(query + x) * head.stride..][..size];
                for (y, upstream) in y.iter().zip(upstream.iter()) {
                    pulls[x] = A::fma(*y, upstream[x], pulls[x]);
                }
            }
            for tile in head.tiles(block) {
                head.scores::<A>(tile, queries, &mut weights);
                let shape = [tile.keys, LANES, size];
                let values = head.rows(head.v, tile.key);
                let into = scores_grad.as_flattened_mut();
                panel::<A, T>(into, LANES, shape, values, upstream.as_flattened(), LANES, Start::Zero);
                for (weights, grads) in weights.iter_mut().zip(&mut scores_grad).take(tile.keys) {
                    for x in 0..LANES {
                        let weight = exp2::<A, T>(weights[x] - maxima[x]);
                        weights[x] = weight;
                        grads[x] = weight * (grads[x] - pulls[x]);
                    }
                }
                // Not a number where a hidden value is none, until here.
                hide(tile, &mut scores_grad, T::ZERO);
                head.gather::<A>(tile, &scores_grad, head.k, sums);
                head.spread::<A>(tile, rows, &weights, upstream_rows, v_grad);
                head.spread::<A>(tile, rows, &scores_grad, query_rows, k_grad);
            }
            for x in 0..rows {
                for (grad, sum) in q_grad[(query + x) * size..][..size].iter_mut().zip(sums.iter()) {
                    *grad = sum[x] * scale;
                }
            }
        }
    }
}
