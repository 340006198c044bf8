//! Attention one token at a time against a growing cache, on plain slices, for decoders.

use super::softmax::{KEYS, Normalizer, add_weighted, score};
use super::{AttentionOptions, Plan};
use crate::isa::{Arith, Kernel, dispatch};
use crate::plumbing::with_all;
use crate::real::Real;
use candle_core::{Result, Tensor, bail};

/// The keys and values of every row so far. Outputs equal those of [`attention`](super::attention()) bit for
/// bit; a step allocates nothing.
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
    /// `[batch, heads, tile, head_dim, key of the tile]`, so that lanes are keys.
    keys: Vec<T>,
    /// `[batch, heads, room, head_dim]`.
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
        let size = batch * heads * room * head_dim;
        let mut cell = AttentionCell {
            heads,
            head_dim,
            room,
            capacity,
            scale: T::of(plan.scale),
            slopes: plan.slopes.iter().map(|slope| T::of(*slope)).collect(),
            lengths: vec![0; batch],
            keys: vec![T::ZERO; size],
            values: vec![T::ZERO; size],
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
        dispatch(Step { cell: self, q, ys });
        Ok(())
    }

    fn append(&mut self, row: usize, key: &[T], value: &[T]) {
        let (size, at) = (self.head_dim, self.lengths[row]);
        for head in 0..self.heads {
            let from = (row * self.heads + head) * self.room * size;
            self.values[from + at * size..][..size].copy_from_slice(&value[head * size..][..size]);
            let tile = &mut self.keys[from + at / KEYS * KEYS * size..][..KEYS * size];
            for (d, key) in key[head * size..][..size].iter().enumerate() {
                tile[d * KEYS + at % KEYS] = *key;
            }
        }
        self.lengths[row] += 1;
    }
}

struct Step<'a, T> {
    cell: &'a AttentionCell<T>,
    q: &'a [T],
    ys: &'a mut [T],
}

impl<T: Real> Kernel for Step<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(self) {
        let cell = self.cell;
        let (size, share) = (cell.head_dim, cell.room * cell.head_dim);
        let heads = self.q.chunks_exact(size).zip(self.ys.chunks_exact_mut(size)).enumerate();
        for (task, (q, y)) in heads {
            let (length, slope) = (cell.lengths[task / cell.heads], cell.slopes[task % cell.heads]);
            let keys = cell.keys[task * share..][..share].chunks_exact(KEYS * size);
            let values = cell.values[task * share..][..share].chunks_exact(KEYS * size);
            let mut normalizer = Normalizer::EMPTY;
            y.fill(T::ZERO);
            for (tile, (keys, values)) in keys.zip(values).enumerate().take(length.div_ceil(KEYS)) {
                let visible = KEYS.min(length - tile * KEYS);
                let mut scores = [T::ZERO; KEYS];
                for (q, keys) in q.iter().zip(keys.chunks_exact(KEYS)) {
                    for x in 0..KEYS {
                        scores[x] = A::fma(*q, keys[x], scores[x]);
                    }
                }
                score::<A, T>(&mut scores, visible, length - 1 - tile * KEYS, cell.scale, slope);
                normalizer.absorb::<A>(&mut scores, y);
                for (weight, value) in scores.iter().zip(values.chunks_exact(size)).take(visible) {
                    add_weighted::<A, T>(y, *weight, value);
                }
            }
            normalizer.finish(y);
        }
    }
}
