//! Attention one token at a time against a growing cache, on plain slices, for decoders.

use super::scratch::with_scratch;
use super::softmax::{CHAINS, KEYS, Normalizer, biased, combine, exp2, factor, finish};
use super::{AttentionOptions, PANEL, Plan, padded};
use crate::isa::{Arith, Kernel, dispatch};
use crate::plumbing::with_all;
use crate::product::{Matrix, Start, panel};
use crate::real::Real;
use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

/// Multiply-adds from which other threads take part of a step: what they read comes from beyond their caches.
const WORTH_SPLITTING: usize = 1 << 19;

/// The keys and values of every row so far. Outputs equal those of [`attention`](super::attention()) bit for
/// bit; a step allocates nothing, but for what handing work to threads takes where contexts are long.
#[derive(Clone, Debug)]
pub struct AttentionCell<T> {
    heads: usize,
    head_dim: usize,
    /// Keys each row has room for: a multiple of a tile.
    room: usize,
    capacity: usize,
    scale: T,
    slopes: Vec<T>,
    lengths: Vec<usize>,
    /// `[batch, heads, panel, head_dim, key of the panel]`, so that lanes are keys and reading is in order.
    keys: Vec<T>,
    /// `[batch, heads, room, head_dim]`, the last padded.
    values: Vec<T>,
}

impl<T: Real> AttentionCell<T> {
    /// A cell with room for `capacity` keys a row that begins with `keys` and `values` `[batch, context,
    /// heads, head_dim]` (context may be 0), of which row b holds the first `options.past[b]`, all where absent.
    ///
    /// # Errors
    /// Shapes or options disagree, the capacity is exceeded, or the tensors are not CPU tensors of type `T`.
    pub fn new(
        keys: &Tensor,
        values: &Tensor,
        capacity: usize,
        options: &AttentionOptions<'_>,
    ) -> Result<Self> {
        let (batch, _, heads, head_dim) = keys.dims4()?;
        let no_query = Tensor::zeros((batch, 0, heads, head_dim), keys.dtype(), keys.device())?;
        let plan = Plan::new(&no_query, keys, values, options)?;
        if let Some(long) = plan.past.iter().find(|length| **length > capacity) {
            bail!("AttentionCell: {long} keys exceed the capacity of {capacity}");
        }
        let room = capacity.div_ceil(KEYS) * KEYS;
        let mut cell = AttentionCell {
            heads,
            head_dim,
            room,
            capacity,
            scale: factor(plan.scale),
            slopes: plan.slopes.iter().map(|slope| factor(*slope)).collect(),
            lengths: vec![0; batch],
            keys: vec![T::ZERO; batch * heads * room * head_dim],
            values: vec![T::ZERO; batch * heads * room * padded(head_dim)],
        };
        let width = heads * head_dim;
        with_all::<T, _, 2>([keys, values], |[keys, values]| {
            for (row, past) in plan.past.iter().enumerate() {
                for at in 0..*past {
                    let from = (row * plan.context + at) * width;
                    cell.append(row, &keys[from..][..width], &values[from..][..width]);
                }
            }
            Ok(())
        })?;
        Ok(cell)
    }

    /// Number of keys each row holds, which is the position of its next token.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Bytes of the keys and values held (not of the room reserved).
    pub fn bytes(&self) -> usize {
        self.lengths.iter().sum::<usize>() * 2 * self.heads * self.head_dim * size_of::<T>()
    }

    /// Appends one key and value to every row and writes what its query sees: all slices are `[batch, heads,
    /// head_dim]`.
    ///
    /// # Errors
    /// A slice has another size, or a row is full; then no row has changed.
    pub fn step(&mut self, q: &[T], k: &[T], v: &[T], ys: &mut [T]) -> Result<()> {
        let width = self.heads * self.head_dim;
        let expected = self.lengths.len() * width;
        for (name, size) in [("q", q.len()), ("k", k.len()), ("v", v.len()), ("ys", ys.len())] {
            if size != expected {
                bail!("AttentionCell::step: {name} has {size} values, expected {expected}");
            }
        }
        if self.lengths.iter().any(|length| *length >= self.capacity) {
            bail!("AttentionCell::step: a row already holds all {} keys it has room for", self.capacity);
        }
        for row in 0..self.lengths.len() {
            self.append(row, &k[row * width..][..width], &v[row * width..][..width]);
        }
        let size = self.head_dim;
        let cost = self.lengths.iter().sum::<usize>() * 2 * width;
        let threads = if cost < WORTH_SPLITTING { 1 } else { rayon::current_num_threads() };
        let share = (ys.len() / size).div_ceil(threads);
        let work = |part: usize, ys: &mut [T]| {
            let first = part * share;
            let q = &q[first * size..][..ys.len()];
            with_scratch(size, |query| dispatch(Step { cell: self, first, q, query, ys }));
        };
        if threads == 1 {
            work(0, ys);
        } else {
            ys.par_chunks_mut((share * size).max(1)).enumerate().for_each(|(part, ys)| work(part, ys));
        }
        Ok(())
    }

    fn padded(&self) -> usize {
        padded(self.head_dim)
    }

    fn append(&mut self, row: usize, key: &[T], value: &[T]) {
        let (size, at) = (self.head_dim, self.lengths[row]);
        for head in 0..self.heads {
            let room = (row * self.heads + head) * self.room;
            let into = (room + at) * self.padded();
            self.values[into..][..size].copy_from_slice(&value[head * size..][..size]);
            let panel = &mut self.keys[(room + at / PANEL * PANEL) * size..][..PANEL * size];
            for (d, key) in key[head * size..][..size].iter().enumerate() {
                panel[d * PANEL + at % PANEL] = *key;
            }
        }
        self.lengths[row] += 1;
    }
}

/// Some of the heads of all rows, from number `first` on.
struct Step<'a, T> {
    cell: &'a AttentionCell<T>,
    first: usize,
    q: &'a [T],
    /// `[head_dim]`, for the scaled query of the head at hand.
    query: &'a mut [T],
    ys: &'a mut [T],
}

impl<T: Real> Kernel for Step<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(self) {
        let Step { cell, first, q, query, ys } = self;
        let (size, padded) = (cell.head_dim, cell.padded());
        let (key_share, value_share) = (cell.room * size, cell.room * padded);
        for (at, (q, y)) in q.chunks_exact(size).zip(ys.chunks_exact_mut(size)).enumerate() {
            let task = first + at;
            let (length, slope) = (cell.lengths[task / cell.heads], cell.slopes[task % cell.heads]);
            let keys = cell.keys[task * key_share..][..key_share].chunks_exact(KEYS * size);
            let values = cell.values[task * value_share..][..value_share].chunks_exact(KEYS * padded);
            for (scaled, q) in query.iter_mut().zip(q) {
                *scaled = *q * cell.scale;
            }
            let q = Matrix::new(query, size);
            let mut normalizer = Normalizer::EMPTY;
            y.fill(T::ZERO);
            for (tile, (keys, values)) in keys.zip(values).enumerate().take(length.div_ceil(KEYS)) {
                let visible = KEYS.min(length - tile * KEYS);
                let mut scores = [T::ZERO; KEYS];
                for (scores, keys) in scores.chunks_exact_mut(PANEL).zip(keys.chunks_exact(PANEL * size)) {
                    panel::<A, T>(scores, PANEL, [1, PANEL, size], q, keys, PANEL, Start::Zero);
                }
                let distance = T::of((length - 1 - tile * KEYS) as f64);
                for (x, score) in scores.iter_mut().enumerate() {
                    let seen = biased::<A, T>(*score, distance - T::of(x as f64), slope);
                    *score = if x < visible { seen } else { T::NEG_INFINITY };
                }
                let mut most = [T::NEG_INFINITY; CHAINS];
                for scores in scores.chunks_exact(CHAINS) {
                    for x in 0..CHAINS {
                        most[x] = most[x].maximum(scores[x]);
                    }
                }
                let shrink = normalizer.raise::<A>(combine(most, T::maximum));
                for score in &mut scores {
                    *score = exp2::<A, T>(*score - normalizer.maximum);
                }
                let mut sums = [T::ZERO; CHAINS];
                for weights in scores.chunks_exact(CHAINS) {
                    for x in 0..CHAINS {
                        sums[x] += weights[x];
                    }
                }
                normalizer.add::<A>(shrink, combine(sums, |a, b| a + b));
                for y in y.iter_mut() {
                    *y *= shrink;
                }
                let weights = Matrix::new(&scores, KEYS);
                for first in (0..size).step_by(PANEL) {
                    let shape = [1, PANEL.min(size - first), visible];
                    let values = &values[first..];
                    panel::<A, T>(&mut y[first..], size, shape, weights, values, padded, Start::Existing);
                }
            }
            let inverse = T::ONE / normalizer.sum;
            for y in y {
                *y = finish(*y, inverse);
            }
        }
    }
}
