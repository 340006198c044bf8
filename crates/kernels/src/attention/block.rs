//! A block of queries against a tile of keys: what forward and backward share.
//!
//! Queries stand across lanes and keys one after another, so that maxima, sums and outputs are kept lane by
//! lane and any head_dim fills the registers.

use super::softmax::{CHAINS, KEYS, biased, combine};
use super::{PANEL, padded};
use crate::isa::Arith;
use crate::product::{Matrix, Start, panel};
use crate::real::Real;
use crate::rope::Turns;

/// Queries of a block.
pub(super) const LANES: usize = 32;

/// One value for each query of a block.
pub(super) type Lane<T> = [T; LANES];

/// One head of one row: q, k and v begin at its first token, and each token stands a stride after the last.
#[derive(Clone, Copy)]
pub(super) struct Head<'a, T> {
    pub(super) q: &'a [T],
    pub(super) k: &'a [T],
    pub(super) v: &'a [T],
    /// Of q, and of k and v.
    pub(super) strides: [usize; 2],
    pub(super) head_dim: usize,
    /// Keys before the first query.
    pub(super) past: usize,
    /// In units of ln 2, like the slope.
    pub(super) factor: T,
    pub(super) slope: T,
    /// Where queries and keys are to be rotated, both from position 0 on.
    pub(super) turns: Option<&'a Turns<T>>,
}

/// A tile of keys against a block of queries.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    /// First key and number of keys that any query sees.
    pub(super) key: usize,
    pub(super) keys: usize,
    /// How many of them the first query sees; each further query sees one more.
    common: usize,
    /// Position of the first query less that of the first key.
    distance: isize,
}

/// The blocks of `count` queries from `first` on: first query and number of queries of each.
#[inline(always)]
pub(super) fn blocks((first, count): (usize, usize)) -> impl Iterator<Item = (usize, usize)> {
    let end = first + count;
    (first..end).step_by(LANES).map(move |query| (query, LANES.min(end - query)))
}

/// `rows[x, d] = values[x, d]` for the tokens `first ..`, `count` of them, turned where asked. Rows of `out` are
/// `out_stride` apart; of `values`, `stride`.
#[inline(always)]
fn load<A: Arith, T: Real>(
    (values, stride): (&[T], usize),
    (first, count): (usize, usize),
    size: usize,
    turns: Option<&Turns<T>>,
    (out, out_stride): (&mut [T], usize),
) {
    for x in 0..count {
        let token = &values[(first + x) * stride..][..size];
        let out = &mut out[x * out_stride..][..size];
        // Short, and a call of memcpy costs more than its values.
        for (out, value) in out.iter_mut().zip(token) {
            *out = *value;
        }
        if let Some(turns) = turns {
            turns.turn::<A>(out, first + x);
        }
    }
}

impl<T: Real> Head<'_, T> {
    /// Copies the keys and values before `end` side by side, `[end, head_dim]` each: at their own stride they
    /// would fall into few sets of the cache.
    #[inline(always)]
    pub(super) fn load_keys<A: Arith>(&self, end: usize, keys: &mut [T], values: &mut [T]) {
        let (size, stride) = (self.head_dim, self.strides[1]);
        load::<A, T>((self.k, stride), (0, end), size, self.turns, (keys, size));
        load::<A, T>((self.v, stride), (0, end), size, None, (values, size));
    }

    /// The queries of a block as padded rows, zeros where there is none.
    #[inline(always)]
    pub(super) fn load_queries<A: Arith>(&self, block: (usize, usize), rows: &mut [T]) {
        let stride = padded(self.head_dim);
        load::<A, T>((self.q, self.strides[0]), block, self.head_dim, self.turns, (rows, stride));
        rows[block.1 * stride..].fill(T::ZERO);
    }

    /// The tiles that a block sees.
    #[inline(always)]
    pub(super) fn tiles(&self, (query, rows): (usize, usize)) -> impl Iterator<Item = Tile> + use<T> {
        let first = self.past + query;
        (0..first + rows).step_by(KEYS).map(move |key| {
            let keys = KEYS.min(first + rows - key);
            let common = keys.min((first + 1).saturating_sub(key));
            Tile { key, keys, common, distance: first as isize - key as isize }
        })
    }

    /// The scores of a tile, −∞ where a query does not see a key. `queries` is `[head_dim, LANES]`.
    #[inline(always)]
    pub(super) fn scores<A: Arith>(
        &self,
        tile: Tile,
        keys: &[T],
        queries: &[Lane<T>],
        scores: &mut [Lane<T>],
    ) {
        dots::<A, T>(tile, self.head_dim, keys, queries, scores);
        if self.slope != T::ZERO {
            for (key, scores) in scores.iter_mut().enumerate().take(tile.keys) {
                for (x, score) in scores.iter_mut().enumerate() {
                    let distance = tile.distance + x as isize - key as isize;
                    *score = biased::<A, T>(*score, T::of(distance as f64), self.slope);
                }
            }
        }
        hide(tile, scores, T::NEG_INFINITY);
    }
}

/// `dots[key, query] = rows[key] · lanes[query]` for the tile's keys; `rows` is `[context, size]`.
#[inline(always)]
pub(super) fn dots<A: Arith, T: Real>(
    tile: Tile,
    size: usize,
    rows: &[T],
    lanes: &[Lane<T>],
    dots: &mut [Lane<T>],
) {
    let shape = [tile.keys, LANES, size];
    let rows = Matrix::new(&rows[tile.key * size..], size);
    panel::<A, T>(dots.as_flattened_mut(), LANES, shape, rows, lanes.as_flattened(), LANES, Start::Zero);
}

/// `sums[d] += Σ_key weights[key] · values[key, d]` over the keys each query sees and no other, which a
/// weight of zero would not ensure: a later key may be infinite. `values` is `[context, size]`.
#[inline(always)]
pub(super) fn gather<A: Arith, T: Real>(
    tile: Tile,
    size: usize,
    weights: &[Lane<T>],
    values: &[T],
    sums: &mut [Lane<T>],
) {
    let hidden = tile.common..tile.keys;
    let behind = &values[(tile.key + hidden.start) * size..(tile.key + hidden.end) * size];
    // Without a branch, so that the compiler compares many at once.
    let mut tame = true;
    for value in behind {
        tame &= *value * T::ZERO == T::ZERO;
    }
    let depth = if tame { tile.keys } else { tile.common };
    let across = Matrix::new(&values[tile.key * size..], size).transposed();
    let into = sums.as_flattened_mut();
    let shape = [size, LANES, depth];
    panel::<A, T>(into, LANES, shape, across, weights.as_flattened(), LANES, Start::Existing);
    if tame {
        return;
    }
    for key in hidden {
        let value = &values[(tile.key + key) * size..][..size];
        for (sums, value) in sums.iter_mut().zip(value) {
            for x in blind(tile, key)..LANES {
                sums[x] = A::fma(weights[key][x], *value, sums[x]);
            }
        }
    }
}

/// `sums[key, d] += Σ_query weights[key, query] · rows[query, d]` for the tile's keys and `count` queries;
/// `rows` and `sums` have padded rows.
#[inline(always)]
pub(super) fn spread<A: Arith, T: Real>(
    tile: Tile,
    count: usize,
    stride: usize,
    weights: &[Lane<T>],
    rows: &[T],
    sums: &mut [T],
) {
    let weights = Matrix::new(weights.as_flattened(), LANES);
    for first in (0..stride).step_by(PANEL) {
        let shape = [tile.keys, PANEL.min(stride - first), count];
        let sums = &mut sums[tile.key * stride + first..];
        panel::<A, T>(sums, stride, shape, weights, &rows[first..], stride, Start::Existing);
    }
}

/// How many of the block's queries do not see a key.
#[inline(always)]
fn blind(tile: Tile, key: usize) -> usize {
    (key as isize - tile.distance).clamp(0, LANES as isize) as usize
}

/// Writes `value` wherever a query does not see a key of the tile.
#[inline(always)]
pub(super) fn hide<T: Real>(tile: Tile, lanes: &mut [Lane<T>], value: T) {
    for key in tile.common..tile.keys {
        let blind = blind(tile, key);
        for (x, lane) in lanes[key].iter_mut().enumerate() {
            *lane = if x < blind { value } else { *lane };
        }
    }
}

/// Combines the rows of a tile lane by lane, in the chains of [`CHAINS`].
#[inline(always)]
pub(super) fn reduce<T: Real>(lanes: &[Lane<T>], first: T, both: impl Fn(T, T) -> T + Copy) -> Lane<T> {
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
