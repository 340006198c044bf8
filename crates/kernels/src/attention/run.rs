//! All heads of all rows: how the work of a call is shared by threads.

use super::Plan;
use super::backward::{Backward, Finish, Upstream, shards};
use super::block::{Head, LANES};
use super::forward::Forward;
use super::padded;
use super::scratch::{Shared, cut, room, with_scratch};
use super::softmax::{Normalizer, factor};
use crate::isa::dispatch;
use crate::parallel;
use crate::plumbing;
use crate::real::Real;
use crate::rope::Turns;
use rayon::prelude::*;

/// Tensors of a call: `[batch, length, stride]`, each beginning at the first token's first head.
#[derive(Clone, Copy)]
pub(super) struct Operands<'a, T> {
    pub(super) q: &'a [T],
    pub(super) k: &'a [T],
    pub(super) v: &'a [T],
    /// Of q, and of k and v.
    pub(super) strides: [usize; 2],
    /// Where queries and keys are to be rotated.
    pub(super) turns: Option<&'a Turns<T>>,
}

/// Where a gradient goes: values laid out as the operand's, whose first is number `first`.
#[derive(Clone, Copy)]
pub(super) struct Target<'a, T> {
    pub(super) values: Shared<'a, T>,
    pub(super) first: usize,
}

impl Plan {
    /// Values between a token and the next in `[time, heads, head_dim]`.
    pub(super) fn width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Number of heads of all rows.
    fn tasks(&self) -> usize {
        self.batch * self.heads
    }

    /// Threads worth their while.
    fn threads(&self) -> usize {
        let cost = self.tasks() * self.time * self.context * self.head_dim;
        parallel::parts(usize::MAX, cost)
    }

    fn head<'a, T: Real>(&self, task: usize, operands: &Operands<'a, T>) -> Head<'a, T> {
        let (row, head) = (task / self.heads, task % self.heads);
        let [q, kv] = operands.strides;
        let offset = head * self.head_dim;
        Head {
            q: &operands.q[row * self.time * q + offset..],
            k: &operands.k[row * self.context * kv + offset..],
            v: &operands.v[row * self.context * kv + offset..],
            strides: operands.strides,
            head_dim: self.head_dim,
            past: self.past[row],
            factor: factor(self.scale),
            slope: factor(self.slopes[head]),
            turns: operands.turns,
        }
    }

    /// The index of the first value of a head in `[batch, length, stride]`.
    fn first(&self, task: usize, length: usize, stride: usize) -> usize {
        task / self.heads * length * stride + task % self.heads * self.head_dim
    }
}

/// Results `[batch, time, heads · head_dim]` and normalizers `[batch, heads, time]`.
pub(super) fn forward<T: Real>(plan: &Plan, operands: &Operands<'_, T>) -> (Vec<T>, Vec<Normalizer<T>>) {
    let (time, size, width) = (plan.time, plan.head_dim, plan.width());
    let mut ys = plumbing::room(plan.batch * time * width);
    let mut normalizers = vec![Normalizer::EMPTY; plan.tasks() * time];
    let (ys_out, normalizers_out) = (Shared::new(&mut ys), Shared::new(&mut normalizers));
    // Enough pieces that threads end together; queries know nothing of each other.
    let threads = plan.threads();
    let blocks = time.div_ceil(LANES);
    let pieces = if threads == 1 { 1 } else { (8 * threads).div_ceil(plan.tasks()).clamp(1, blocks) };
    let work = |item: usize| {
        let (task, piece) = (item / pieces, item % pieces);
        let (from, to) = (blocks * piece / pieces * LANES, blocks * (piece + 1) / pieces * LANES);
        let (first, count) = (from, to.min(time) - from);
        let head = plan.head(task, operands);
        let from = plan.first(task, time, width) + first * width;
        // SAFETY: these queries of this head belong to this item alone.
        #[allow(unsafe_code)]
        let (ys, normalizers) = unsafe {
            (ys_out.rows(from, width, size, count), normalizers_out.rows(task * time + first, 1, 1, count))
        };
        let scratch = Forward::<T>::scratch(head.past + first + count, size);
        with_scratch(scratch, |scratch| {
            dispatch(Forward { head, queries: (first, count), ys, normalizers, scratch });
        });
    };
    each(plan.tasks() * pieces, threads, work);
    (ys, normalizers)
}

/// Writes the gradients of q, k and v.
pub(super) fn backward<T: Real>(
    plan: &Plan,
    operands: &Operands<'_, T>,
    normalizers: &[Normalizer<T>],
    [ys, ys_grad]: [&[T]; 2],
    [q_grad, k_grad, v_grad]: [Target<'_, T>; 3],
) {
    let Plan { time, context, head_dim: size, .. } = *plan;
    let (width, padded) = (plan.width(), padded(size));
    let [q_stride, kv_stride] = operands.strides;
    let upstream = |task: usize| {
        let from = plan.first(task, time, width);
        Upstream {
            scale: T::of(plan.scale),
            ys: &ys[from..],
            ys_grad: &ys_grad[from..],
            stride: width,
            normalizers: &normalizers[task * time..][..time],
        }
    };
    let pull = |task: usize, shards: &[(usize, usize)], totals: [&mut [T]; 2], scratch: &mut [T]| {
        let first = shards.first().map_or(0, |shard| shard.0);
        let count = shards.iter().map(|shard| shard.1).sum();
        let from = q_grad.first + plan.first(task, time, q_stride) + first * q_stride;
        // SAFETY: each query of a head is pulled by one item.
        #[allow(unsafe_code)]
        let q_grad = unsafe { q_grad.values.rows(from, q_stride, size, count) };
        let (head, upstream) = (plan.head(task, operands), upstream(task));
        dispatch(Backward { head, upstream, shards, q_grad, totals, scratch });
    };
    let finish = |task: usize, totals: [&mut [T]; 2]| {
        let from = plan.first(task, context, kv_stride);
        // SAFETY: each head is finished by one item.
        #[allow(unsafe_code)]
        let [k_grad, v_grad] = [k_grad, v_grad]
            .map(|target| unsafe { target.values.rows(target.first + from, kv_stride, size, context) });
        dispatch(Finish { head: plan.head(task, operands), totals, k_grad, v_grad });
    };
    let end = |task: usize, shard: &(usize, usize)| plan.past[task / plan.heads] + shard.0 + shard.1;
    let shards = |task: usize| shards(plan.past[task / plan.heads], time);
    let (tasks, threads) = (plan.tasks(), plan.threads());
    if threads == 1 || tasks >= 2 * threads || tasks.is_multiple_of(threads) {
        return each(tasks, threads, |task| {
            let shards = shards(task);
            let end = plan.past[task / plan.heads] + time;
            let scratch = Backward::<T>::scratch(end, size, shards.len());
            with_scratch(2 * room(end * padded) + scratch, |mut rest| {
                let (k, v) = (cut(&mut rest, end * padded), cut(&mut rest, end * padded));
                pull(task, &shards, [&mut *k, &mut *v], rest);
                finish(task, [k, v]);
            });
        });
    }
    let mut items: Vec<_> = (0..tasks)
        .flat_map(|task| shards(task).into_iter().map(move |shard| (task, shard)))
        .map(|(task, shard)| (task, shard, [(); 2].map(|()| vec![T::ZERO; end(task, &shard) * padded])))
        .collect();
    items.par_iter_mut().with_max_len(1).for_each(|(task, shard, totals)| {
        let scratch = Backward::<T>::scratch(end(*task, shard), size, 1);
        let totals = totals.each_mut().map(|total| &mut total[..]);
        with_scratch(scratch, |scratch| pull(*task, &[*shard], totals, scratch));
    });
    items.par_chunk_by_mut(|a, b| a.0 == b.0).for_each(|parts| {
        let parts = parts.iter_mut().map(|(task, _, totals)| (*task, totals));
        let joined = parts.reduce(|(_, known), (task, later)| {
            for (later, known) in later.iter_mut().zip(known) {
                for (later, known) in later.iter_mut().zip(known) {
                    *later += *known;
                }
            }
            (task, later)
        });
        if let Some((task, totals)) = joined {
            finish(task, totals.each_mut().map(|total| &mut total[..]));
        }
    });
}

/// Calls `work` with every number below `count`, on several threads where there are.
fn each(count: usize, threads: usize, work: impl Fn(usize) + Sync + Send) {
    if threads == 1 {
        (0..count).for_each(work);
    } else {
        (0..count).into_par_iter().with_max_len(1).for_each(work);
    }
}
