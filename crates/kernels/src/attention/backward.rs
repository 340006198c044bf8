//! Attention of one head in one batch row, backward: Dao et al. 2022, alg. 4, with queries outside.
//!
//! The sums of a key run over its queries. They are cut at fixed queries into shards, whose partial sums are
//! added in order, so that several threads can share a head and leave the same bits as one.

use super::block::{Head, LANES, blocks, dots, gather, hide, spread};
use super::padded;
use super::scratch::{Rows, cut, room};
use super::softmax::{KEYS, Normalizer, exp2};
use super::transpose::transpose;
use crate::isa::{Arith, Kernel};
use crate::real::Real;
use crate::rows::sum;

/// Most shards of a head, and fewest queries worth one.
const SHARDS: usize = 8;
const SHARD: usize = 256;

/// First query and number of queries of every shard; all see about as many keys together. Depends on nothing but
/// the head's shape.
pub(super) fn shards(past: usize, time: usize) -> Vec<(usize, usize)> {
    let count = (time / SHARD).clamp(1, SHARDS);
    // Queries before q see past · q + q²/2 keys.
    let (whole, past) = (past as f64 * time as f64 + 0.5 * (time as f64).powi(2), past as f64);
    let boundary = |at: usize| {
        if at == count {
            return time;
        }
        let seen = whole * at as f64 / count as f64;
        let query = (past * past + 2.0 * seen).sqrt() - past;
        (query / LANES as f64).round() as usize * LANES
    };
    (0..count).map(|at| (boundary(at), boundary(at + 1) - boundary(at))).collect()
}

/// What the gradients of one head are computed from.
#[derive(Clone, Copy)]
pub(super) struct Upstream<'a, T> {
    /// The factor on dot products, in plain units.
    pub(super) scale: T,
    /// Result and its gradient, from the head's first token, every `stride` values.
    pub(super) ys: &'a [T],
    pub(super) ys_grad: &'a [T],
    pub(super) stride: usize,
    /// `[time]`.
    pub(super) normalizers: &'a [Normalizer<T>],
}

/// Some shards of one head: gradients of their queries, and partial ones of all keys they see.
pub(super) struct Backward<'a, 'out, T> {
    pub(super) head: Head<'a, T>,
    pub(super) upstream: Upstream<'a, T>,
    /// Consecutive ones of [`shards`].
    pub(super) shards: &'a [(usize, usize)],
    /// One row for each query of the shards.
    pub(super) q_grad: Rows<'out, T>,
    /// Gradients of keys and values, `[end, padded head_dim]` each, where `end` is the number of keys the last of the
    /// shards sees.
    pub(super) totals: [&'out mut [T]; 2],
    /// [`Backward::scratch`] values.
    pub(super) scratch: &'out mut [T],
}

impl<T: Real> Backward<'_, '_, T> {
    /// Values of scratch for a head that reads keys up to `end`.
    pub(super) fn scratch(end: usize, size: usize, shards: usize) -> usize {
        let partial = if shards > 1 { 2 * room(end * padded(size)) } else { 0 };
        2 * room(end * size) + partial + (5 * padded(size) + 2 * KEYS) * LANES
    }
}

/// Adds the gradients of a later shard, which sees more keys than those `known`.
fn join<T: Real>(total: &mut [T], later: &[T], known: usize) {
    for (total, later) in total[..known].iter_mut().zip(later) {
        *total += *later;
    }
    total[known..later.len()].copy_from_slice(&later[known..]);
}

impl<T: Real> Kernel for Backward<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(self) {
        let Backward { head, upstream, shards, mut q_grad, totals, scratch: mut rest } = self;
        let (size, stride) = (head.head_dim, padded(head.head_dim));
        let seen = |(first, count): (usize, usize)| head.past + first + count;
        let end = shards.last().map_or(0, |last| seen(*last));
        let (keys, values) = (cut(&mut rest, end * size), cut(&mut rest, end * size));
        head.load_keys::<A>(end, keys, values);
        let [k_total, v_total] = totals;
        let first = shards.first().map_or(0, |shard| shard.0);
        let mut known = 0;
        for shard in shards {
            let end = seen(*shard) * stride;
            let mut rest = &mut *rest;
            if known == 0 {
                let sums = [&mut k_total[..end], &mut v_total[..end]];
                pull::<A, T>(head, upstream, [keys, values], *shard, (first, &mut q_grad), sums, rest);
            } else {
                let (k_part, v_part) = (cut(&mut rest, end), cut(&mut rest, end));
                let sums = [&mut *k_part, &mut *v_part];
                pull::<A, T>(head, upstream, [keys, values], *shard, (first, &mut q_grad), sums, rest);
                join(k_total, k_part, known);
                join(v_total, v_part, known);
            }
            known = end;
        }
    }
}

/// One shard: writes the gradients of its queries and those of the keys and values it sees.
#[inline(always)]
fn pull<A: Arith, T: Real>(
    head: Head<'_, T>,
    upstream: Upstream<'_, T>,
    [keys, values]: [&[T]; 2],
    shard: (usize, usize),
    (first, q_grad): (usize, &mut Rows<'_, T>),
    [k_grad, v_grad]: [&mut [T]; 2],
    mut rest: &mut [T],
) {
    let (size, stride) = (head.head_dim, padded(head.head_dim));
    let query_rows = cut(&mut rest, LANES * stride);
    let upstream_rows = cut(&mut rest, LANES * stride);
    let mut lanes = |count: usize| cut(&mut rest, count * LANES).as_chunks_mut::<LANES>().0;
    let (queries, pulled, sums) = (lanes(stride), lanes(stride), lanes(stride));
    let (weights, scores_grad) = (lanes(KEYS), lanes(KEYS));
    k_grad.fill(T::ZERO);
    v_grad.fill(T::ZERO);
    query_rows.fill(T::ZERO);
    upstream_rows.fill(T::ZERO);
    for block in blocks(shard) {
        let (query, rows) = block;
        let (mut maxima, mut pulls) = ([T::ZERO; LANES], [T::ZERO; LANES]);
        upstream_rows[rows * stride..].fill(T::ZERO);
        for x in 0..rows {
            let normalizer = upstream.normalizers[query + x];
            // The weights stay undivided: the sum they lack goes with the upstream gradient.
            let inverse = T::ONE / normalizer.sum;
            maxima[x] = normalizer.maximum;
            let from = (query + x) * upstream.stride;
            let (y, grad) = (&upstream.ys[from..][..size], &upstream.ys_grad[from..][..size]);
            let row = &mut upstream_rows[x * stride..][..size];
            for (row, grad) in row.iter_mut().zip(grad) {
                *row = *grad * inverse;
            }
            // Σ_key P ∂L/∂P, which equals the product of the output with its gradient.
            pulls[x] = sum([y, row], |[y, row]| y * row);
        }
        head.load_queries::<A>(block, query_rows);
        transpose::<A, T>(query_rows, stride, [LANES, stride], queries.as_flattened_mut(), LANES);
        transpose::<A, T>(upstream_rows, stride, [LANES, stride], pulled.as_flattened_mut(), LANES);
        for query in queries.as_flattened_mut() {
            *query *= head.factor;
        }
        for query in query_rows.iter_mut() {
            *query *= upstream.scale;
        }
        sums.as_flattened_mut().fill(T::ZERO);
        for tile in head.tiles(block) {
            head.scores::<A>(tile, keys, queries, weights);
            dots::<A, T>(tile, size, values, pulled, scores_grad);
            for (weights, grads) in weights.iter_mut().zip(&mut *scores_grad).take(tile.keys) {
                for x in 0..LANES {
                    let weight = exp2::<A, T>(weights[x] - maxima[x]);
                    weights[x] = weight;
                    grads[x] = weight * (grads[x] - pulls[x]);
                }
            }
            // Not a number where a hidden value is none, until here.
            hide(tile, scores_grad, T::ZERO);
            gather::<A, T>(tile, size, scores_grad, keys, sums);
            spread::<A, T>(tile, rows, stride, weights, upstream_rows, v_grad);
            spread::<A, T>(tile, rows, stride, scores_grad, query_rows, k_grad);
        }
        transpose::<A, T>(sums.as_flattened(), LANES, [stride, LANES], query_rows, stride);
        for x in 0..rows {
            let row = &mut query_rows[x * stride..][..size];
            for value in row.iter_mut() {
                *value *= upstream.scale;
            }
            if let Some(turns) = head.turns {
                turns.turn_back::<A>(row, query + x);
            }
            for (grad, value) in q_grad.row(query - first + x).iter_mut().zip(&*row) {
                *grad = *value;
            }
        }
    }
}

/// Writes the gradients of a head's keys and values where they belong, `[end, head_dim]` each; rows beyond `end` get
/// zeros.
pub(super) struct Finish<'a, 'out, T> {
    pub(super) head: Head<'a, T>,
    /// As in [`Backward`].
    pub(super) totals: [&'out mut [T]; 2],
    pub(super) k_grad: Rows<'out, T>,
    pub(super) v_grad: Rows<'out, T>,
}

impl<T: Real> Kernel for Finish<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(self) {
        let Finish { head, totals: [k_total, v_total], mut k_grad, mut v_grad } = self;
        let stride = padded(head.head_dim);
        let end = k_total.len() / stride;
        let totals = k_total.chunks_exact(stride).zip(v_total.chunks_exact(stride));
        for (key, (k, v)) in totals.enumerate() {
            let row = k_grad.row(key);
            for (grad, value) in row.iter_mut().zip(k) {
                *grad = *value;
            }
            if let Some(turns) = head.turns {
                turns.turn_back::<A>(row, key);
            }
            for (grad, value) in v_grad.row(key).iter_mut().zip(v) {
                *grad = *value;
            }
        }
        for key in end..k_grad.count() {
            k_grad.row(key).fill(T::ZERO);
            v_grad.row(key).fill(T::ZERO);
        }
    }
}
