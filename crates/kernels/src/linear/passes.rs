//! The two passes of an affine map over rows, a block of rows at a time, so that everything a block touches
//! stays in the second-level cache and is read from memory once. A norm before the map and a residual after it are
//! computed on the block while it is there.

use crate::isa::{Arith, Kernel, dispatch};
use crate::lanes::{Ahead, add, copy};
use crate::norm::Parameters;
use crate::parallel;
use crate::plumbing::room;
use crate::product::{Matrix, PAD, Packed, Start, accumulate_outer_beside, padded};
use crate::real::Real;
use crate::rows::combine;
use std::ops::Range;

/// Rows of a block: the depth of its weight-gradient product, whose operands stay in the first-level cache.
pub(super) const BLOCK: usize = 128;
/// Most shares of a weight gradient that are summed apart. A fixed number, so that the sum does not depend on
/// how many threads there are.
const SHARES: usize = 16;
/// Blocks that are worth a share of their own.
const SHARE: usize = 4;

/// `y = residual + norm(x) W + b` over rows.
#[derive(Clone, Copy)]
pub(super) struct Map<'a, T> {
    /// `[rows, in]`
    pub(super) xs: &'a [T],
    /// Forward as `[in, out]`, backward as `[out, in]`.
    pub(super) weight: &'a Packed<T>,
    pub(super) bias: Option<&'a [T]>,
    pub(super) norm: Option<Parameters<'a, T>>,
    /// `[rows, out]`
    pub(super) residual: Option<&'a [T]>,
    pub(super) rows: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
}

impl<T: Real> Map<'_, T> {
    /// The same map of some of the rows.
    fn some(&self, first: usize, count: usize) -> Self {
        let xs = &self.xs[first * self.inputs..][..count * self.inputs];
        let residual =
            self.residual.map(|residual| &residual[first * self.outputs..][..count * self.outputs]);
        Map { xs, residual, rows: count, ..*self }
    }
}

/// `[rows, out]`
pub(super) fn forward<T: Real>(map: &Map<'_, T>) -> Vec<T> {
    let (rows, outputs) = (map.rows, map.outputs);
    let mut ys = room(rows * outputs);
    parallel::over_rows(&mut ys, outputs, rows, rows * map.inputs * outputs, |first, count, ys| {
        dispatch(Forward { map: map.some(first, count), ys });
    });
    ys
}

struct Forward<'a, T> {
    map: Map<'a, T>,
    ys: &'a mut [T],
}

impl<T: Real> Kernel for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        let Forward { map: Map { xs: all, weight, bias, norm, residual, inputs, outputs, .. }, ys } = self;
        let mut normal = norm.map(|_| room(all.len().min(BLOCK * inputs)));
        for (index, ys) in ys.chunks_mut((BLOCK * outputs).max(1)).enumerate() {
            let rows = ys.len() / outputs;
            let mut xs = &all[index * BLOCK * inputs..][..rows * inputs];
            if let (Some(norm), Some(normal)) = (norm, &mut normal) {
                norm.apply::<A>(xs, &mut normal[..rows * inputs], inputs);
                xs = normal;
            }
            let start = begin::<A, T>(ys, bias);
            let next = (index + 1) * BLOCK..(index + 2) * BLOCK;
            let mut ahead = Ahead::new(
                [some_rows(all, next.clone(), inputs), some_rows(residual.unwrap_or(&[]), next, outputs)],
                tiles(rows, outputs),
            );
            let xs = Matrix::new(xs, inputs);
            weight.product_beside::<A>(ys, outputs, rows, xs, start, &mut || ahead.some());
            if let Some(residual) = residual {
                add::<A, T>(ys, &residual[index * BLOCK * outputs..][..rows * outputs]);
            }
        }
    }
}

/// Tiles of a product, about.
pub(crate) fn tiles(rows: usize, columns: usize) -> usize {
    rows.div_ceil(8) * columns.div_ceil(32)
}

/// Rows of a matrix, as far as there are.
pub(crate) fn some_rows<T>(values: &[T], rows: Range<usize>, width: usize) -> &[T] {
    &values[(rows.start * width).min(values.len())..(rows.end * width).min(values.len())]
}

/// Writes the bias into every row, if there is one: each chain begins with it.
#[inline(always)]
pub(crate) fn begin<A: Arith, T: Real>(ys: &mut [T], bias: Option<&[T]>) -> Start {
    let Some(bias) = bias else { return Start::Zero };
    for row in ys.chunks_exact_mut(bias.len().max(1)) {
        copy::<A, T>(bias, row);
    }
    Start::Existing
}

/// Gradients of an affine map's operands.
pub(super) struct Gradients<T> {
    pub(super) xs: Vec<T>,
    pub(super) weight: Vec<T>,
    pub(super) bias: Vec<T>,
    /// `[weight ‖ bias]` of the norm, if there is one.
    pub(super) norm: Vec<T>,
}

/// From the upstream gradient `[rows, out]` and what the gradient of xs has already from elsewhere.
pub(super) fn backward<T: Real>(map: &Map<'_, T>, upstream: &[T], onto: Option<&[T]>) -> Gradients<T> {
    let (rows, inputs, outputs) = (map.rows, map.inputs, map.outputs);
    let mut dxs = room(rows * inputs);
    let each = outputs * (inputs + 1) + if map.norm.is_some() { 2 * inputs } else { 0 };
    let partial = over_shares(&mut dxs, [rows, inputs, each], 2 * rows * inputs * outputs, |share| {
        let Share { first, count, dxs, sums } = share;
        let upstream = &upstream[first * outputs..][..count * outputs];
        let onto = onto.map(|onto| &onto[first * inputs..][..count * inputs]);
        dispatch(Backward { map: map.some(first, count), upstream, onto, dxs, sums });
    });
    let mut weight = combine(&partial, each);
    let mut bias = weight.split_off(outputs * inputs);
    let norm = bias.split_off(outputs);
    Gradients { xs: dxs, weight, bias, norm }
}

/// Some rows of a backward pass.
pub(crate) struct Share<'a, T> {
    pub(crate) first: usize,
    pub(crate) count: usize,
    /// `[count, in]`
    pub(crate) dxs: &'a mut [T],
    /// The parameters' gradients over these rows; to be written.
    pub(crate) sums: &'a mut [T],
}

/// Calls `work` on shares of the rows of `dxs` `[rows, in]`, on several threads where `cost` multiply-adds are worth
/// it. Returns the sums of all shares, `each` values of every one, for [`combine`].
pub(crate) fn over_shares<T: Real>(
    dxs: &mut [T],
    [rows, inputs, each]: [usize; 3],
    cost: usize,
    work: impl Fn(Share<'_, T>) + Send + Sync,
) -> Vec<T> {
    let blocks = rows.div_ceil(BLOCK);
    // Every share but the last has the same number of whole blocks.
    let share = blocks.div_ceil(SHARES).max(SHARE) * BLOCK;
    if rows == 0 || each == 0 {
        return vec![T::ZERO; each];
    }
    let mut partial = room(rows.div_ceil(share) * each);
    let shares: Vec<_> = (0..rows)
        .step_by(share)
        .zip(dxs.chunks_mut((share * inputs).max(1)))
        .zip(partial.chunks_mut(each))
        .map(|((first, dxs), sums)| Share { first, count: share.min(rows - first), dxs, sums })
        .collect();
    if parallel::parts(shares.len(), cost) > 1 {
        parallel::each(shares, work);
    } else {
        shares.into_iter().for_each(work);
    }
    partial
}

struct Backward<'a, T> {
    map: Map<'a, T>,
    upstream: &'a [T],
    onto: Option<&'a [T]>,
    dxs: &'a mut [T],
    /// Gradients `[out, in]`, `[out]`, and of the norm `[2 · in]`, one after the other.
    sums: &'a mut [T],
}

impl<T: Real> Kernel for Backward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        let Backward { map: Map { xs, weight, norm, rows, inputs, outputs, .. }, upstream, onto, dxs, sums } =
            self;
        sums.fill(T::ZERO);
        let (dw, rest) = sums.split_at_mut(outputs * inputs);
        let (db, dnorm) = rest.split_at_mut(outputs);
        let (wide_x, wide_g) = (inputs + PAD, outputs + PAD);
        let most = BLOCK.min(rows);
        let (mut x, mut g) = (padded(most, inputs), padded(most, outputs));
        let mut through = norm.map(|_| room(most * inputs));
        for first in (0..rows).step_by(BLOCK) {
            let count = BLOCK.min(rows - first);
            let block = first * inputs..(first + count) * inputs;
            let next = first + BLOCK..first + 2 * BLOCK;
            let coming = [
                some_rows(upstream, next.clone(), outputs),
                some_rows(xs, next.clone(), inputs),
                some_rows(onto.unwrap_or(&[]), next, inputs),
            ];
            let mut ahead = Ahead::new(coming, tiles(outputs, inputs) + tiles(count, inputs));
            let (xs, dxs) = (&xs[block.clone()], &mut dxs[block.clone()]);
            let onto = onto.map(|onto| &onto[block]);
            for row in 0..count {
                let upstream = &upstream[(first + row) * outputs..][..outputs];
                copy::<A, T>(upstream, &mut g[row * wide_g..][..outputs]);
                add::<A, T>(db, upstream);
            }
            if let Some(norm) = norm {
                norm.apply::<A>(xs, &mut x, wide_x);
            } else {
                for (x, xs) in x.chunks_exact_mut(wide_x).zip(xs.chunks_exact(inputs)) {
                    copy::<A, T>(xs, &mut x[..inputs]);
                }
            }
            let mut beside = || ahead.some();
            accumulate_outer_beside::<A, T>(dw, [outputs, inputs, count], &g, wide_g, &x, &mut beside);
            let g = Matrix::new(&g, wide_g);
            if let (Some(norm), Some(through)) = (norm, &mut through) {
                let through = &mut through[..count * inputs];
                weight.product_beside::<A>(through, inputs, count, g, Start::Zero, &mut beside);
                norm.pull::<A>(xs, through, onto, dxs, dnorm);
            } else {
                let start = onto.map_or(Start::Zero, |onto| {
                    dxs.copy_from_slice(onto);
                    Start::Existing
                });
                weight.product_beside::<A>(dxs, inputs, count, g, start, &mut beside);
            }
        }
    }
}
