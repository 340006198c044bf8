//! The two passes of an affine map over rows, a block of rows at a time, so that everything a block touches
//! stays in the second-level cache and is read from memory once.

use crate::isa::{Arith, Kernel, dispatch};
use crate::lanes::{add, copy};
use crate::parallel;
use crate::plumbing::room;
use crate::product::{Matrix, PAD, Packed, Start, accumulate_outer};
use crate::real::Real;
use crate::rows::combine;

/// Rows of a block: the depth of its weight-gradient product, whose operands stay in the first-level cache.
const BLOCK: usize = 128;
/// Most shares of a weight gradient that are summed apart. A fixed number, so that the sum does not depend on
/// how many threads there are.
const SHARES: usize = 16;
/// Blocks that are worth a share of their own.
const SHARE: usize = 4;

/// `ys[rows, out] = xs[rows, in] · W + b` for W packed as `[in, out]`.
pub(super) fn forward<T: Real>(
    xs: &[T],
    weight: &Packed<T>,
    bias: Option<&[T]>,
    [rows, inputs, outputs]: [usize; 3],
) -> Vec<T> {
    let mut ys = room(rows * outputs);
    parallel::over_rows(&mut ys, outputs, rows, rows * inputs * outputs, |first, count, ys| {
        let xs = &xs[first * inputs..][..count * inputs];
        dispatch(Forward { xs, weight, bias, ys, inputs, outputs });
    });
    ys
}

struct Forward<'a, T> {
    xs: &'a [T],
    weight: &'a Packed<T>,
    bias: Option<&'a [T]>,
    ys: &'a mut [T],
    inputs: usize,
    outputs: usize,
}

impl<T: Real> Kernel for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        let Forward { xs, weight, bias, ys, inputs, outputs } = self;
        for (index, ys) in ys.chunks_mut((BLOCK * outputs).max(1)).enumerate() {
            let start = begin::<A, T>(ys, bias);
            let xs = Matrix::new(&xs[index * BLOCK * inputs..], inputs);
            weight.product::<A>(ys, outputs, ys.len() / outputs, xs, start);
        }
    }
}

/// Writes the bias into every row, if there is one: each chain begins with it.
#[inline(always)]
pub(super) fn begin<A: Arith, T: Real>(ys: &mut [T], bias: Option<&[T]>) -> Start {
    let Some(bias) = bias else { return Start::Zero };
    for row in ys.chunks_exact_mut(bias.len().max(1)) {
        copy::<A, T>(bias, row);
    }
    Start::Existing
}

/// Gradients of xs, weight and bias.
pub(super) struct Gradients<T> {
    pub(super) xs: Vec<T>,
    pub(super) weight: Vec<T>,
    pub(super) bias: Vec<T>,
}

/// From xs `[rows, in]`, the upstream gradient `[rows, out]` and W packed as `[out, in]`.
pub(super) fn backward<T: Real>(
    xs: &[T],
    upstream: &[T],
    weight: &Packed<T>,
    [rows, inputs, outputs]: [usize; 3],
) -> Gradients<T> {
    let mut dxs = room(rows * inputs);
    let blocks = rows.div_ceil(BLOCK);
    let each = outputs * (inputs + 1);
    // Every share but the last has the same number of whole blocks.
    let share = blocks.div_ceil(SHARES).max(SHARE) * BLOCK;
    let mut partial = vec![T::ZERO; rows.div_ceil(share).max(1) * each];
    let shares: Vec<_> = (0..rows)
        .step_by(share)
        .zip(dxs.chunks_mut((share * inputs).max(1)))
        .zip(partial.chunks_mut(each.max(1)))
        .map(|((first, dxs), dweights)| {
            let count = share.min(rows - first);
            let xs = &xs[first * inputs..][..count * inputs];
            let upstream = &upstream[first * outputs..][..count * outputs];
            Backward { xs, upstream, weight, dxs, dweights, inputs, outputs }
        })
        .collect();
    if parallel::parts(shares.len(), 2 * rows * inputs * outputs) > 1 {
        parallel::each(shares, dispatch);
    } else {
        shares.into_iter().for_each(dispatch);
    }
    let mut weight = combine(&partial, each);
    let bias = weight.split_off(outputs * inputs);
    Gradients { xs: dxs, weight, bias }
}

struct Backward<'a, T> {
    xs: &'a [T],
    upstream: &'a [T],
    weight: &'a Packed<T>,
    dxs: &'a mut [T],
    /// This share's, zeros: `[out, in]` and `[out]` one after the other.
    dweights: &'a mut [T],
    inputs: usize,
    outputs: usize,
}

impl<T: Real> Kernel for Backward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        let Backward { xs, upstream, weight, dxs, dweights, inputs, outputs } = self;
        let (dw, db) = dweights.split_at_mut(outputs * inputs);
        let (wide_x, wide_g) = (inputs + PAD, outputs + PAD);
        let rows = upstream.len() / outputs;
        let most = BLOCK.min(rows);
        let (mut x, mut g) = (vec![T::ZERO; most * wide_x], vec![T::ZERO; most * wide_g]);
        for first in (0..rows).step_by(BLOCK) {
            let count = BLOCK.min(rows - first);
            for row in 0..count {
                let upstream = &upstream[(first + row) * outputs..][..outputs];
                copy::<A, T>(upstream, &mut g[row * wide_g..][..outputs]);
                copy::<A, T>(&xs[(first + row) * inputs..][..inputs], &mut x[row * wide_x..][..inputs]);
                add::<A, T>(db, upstream);
            }
            accumulate_outer::<A, T>(dw, [outputs, inputs, count], &g, &x);
            let dxs = &mut dxs[first * inputs..][..count * inputs];
            weight.product::<A>(dxs, inputs, count, Matrix::new(&g, wide_g), Start::Zero);
        }
    }
}
