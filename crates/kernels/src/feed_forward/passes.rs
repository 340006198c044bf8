//! The two passes over rows, a block of rows at a time.

use crate::isa::{Arith, Kernel, dispatch};
use crate::lanes::{Ahead, add, copy};
use crate::linear::{Share, begin, over_shares, some_rows, tiles};
use crate::norm::Parameters;
use crate::parallel;
use crate::plumbing::room;
use crate::product::{Matrix, PAD, Packed, Start, accumulate_outer, accumulate_outer_beside, padded};
use crate::real::Real;
use crate::rows::combine;
use crate::vector::{Vector, load, store};

#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) rows: usize,
    pub(super) dim: usize,
    pub(super) hidden: usize,
}

/// What both passes know.
#[derive(Clone, Copy)]
pub(super) struct Network<'a, T> {
    /// `[rows, dim]`
    pub(super) xs: &'a [T],
    pub(super) norm: Parameters<'a, T>,
    /// Forward as `[dim, hidden]`, backward as `[hidden, dim]`.
    pub(super) up: &'a Packed<T>,
    /// Forward as `[hidden, dim]`, backward as `[dim, hidden]`.
    pub(super) down: &'a Packed<T>,
    /// `[hidden]` and `[dim]`.
    pub(super) biases: [&'a [T]; 2],
    pub(super) sizes: Sizes,
}

/// Rows of a forward block: inner rows before and after GELU and both weights share the second-level cache.
const FORWARD: usize = 64;
/// Rows of a backward block: the depth of the weight-gradient products.
const BACKWARD: usize = 128;

/// Results `[rows, dim]`, and what GELU was taken of, `[rows, hidden]`, where it is to be kept.
pub(super) fn forward<T: Real>(network: &Network<'_, T>, keep: bool) -> (Vec<T>, Vec<T>) {
    let Sizes { rows, dim, hidden } = network.sizes;
    let (mut ys, mut inner) = (room(rows * dim), room(if keep { rows * hidden } else { 0 }));
    let parts = parallel::parts(rows, 2 * rows * dim * hidden);
    let (mut ys_rest, mut inner_rest) = (&mut ys[..], &mut inner[..]);
    let mut items = Vec::with_capacity(parts);
    for (first, count) in parallel::split(rows, parts) {
        let (ys, others) = std::mem::take(&mut ys_rest).split_at_mut(count * dim);
        ys_rest = others;
        let kept = if keep { count * hidden } else { 0 };
        let (inner, others) = std::mem::take(&mut inner_rest).split_at_mut(kept);
        inner_rest = others;
        let xs = &network.xs[first * dim..][..count * dim];
        items.push(Forward { network: Network { xs, ..*network }, ys, inner, keep });
    }
    parallel::each(items, dispatch);
    (ys, inner)
}

struct Forward<'a, T> {
    network: Network<'a, T>,
    ys: &'a mut [T],
    inner: &'a mut [T],
    keep: bool,
}

impl<T: Real> Kernel for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        let Forward { network, ys, inner, keep } = self;
        let Network { xs, norm, up, down, biases, sizes: Sizes { dim, hidden, .. } } = network;
        let most = FORWARD.min(xs.len() / dim);
        let (mut normal, mut active) = (room(most * dim), room(most * hidden));
        for (index, (xs, ys)) in xs.chunks(FORWARD * dim).zip(ys.chunks_mut(FORWARD * dim)).enumerate() {
            let rows = xs.len() / dim;
            norm.apply::<A>(xs, &mut normal[..rows * dim], dim);
            let active = &mut active[..rows * hidden];
            let normal = Matrix::new(&normal, dim);
            if keep {
                let inner = &mut inner[index * FORWARD * hidden..][..rows * hidden];
                let start = begin::<A, T>(inner, Some(biases[0]));
                up.product::<A>(inner, hidden, rows, normal, start);
                activate::<A, T>(inner, active);
            } else {
                let start = begin::<A, T>(active, Some(biases[0]));
                up.product::<A>(active, hidden, rows, normal, start);
                activate_in_place::<A, T>(active);
            }
            let start = begin::<A, T>(ys, Some(biases[1]));
            down.product::<A>(ys, dim, rows, Matrix::new(active, hidden), start);
            add::<A, T>(ys, xs);
        }
    }
}

/// GELU of some values.
#[inline(always)]
fn activate<A: Arith, T: Real>(from: &[T], into: &mut [T]) {
    let lanes = A::Vector::<T>::LANES;
    let whole = from.len() - from.len() % lanes;
    for at in (0..whole).step_by(lanes) {
        store(T::gelu_each(load::<A::Vector<T>>(from, at)), into, at);
    }
    T::gelu_each(A::Vector::<T>::load_part(&from[whole..])).store_part(&mut into[whole..]);
}

#[inline(always)]
fn activate_in_place<A: Arith, T: Real>(values: &mut [T]) {
    let lanes = A::Vector::<T>::LANES;
    let whole = values.len() - values.len() % lanes;
    for at in (0..whole).step_by(lanes) {
        store(T::gelu_each(load::<A::Vector<T>>(values, at)), values, at);
    }
    T::gelu_each(A::Vector::<T>::load_part(&values[whole..])).store_part(&mut values[whole..]);
}

/// Multiplies gradients by GELU's slope and adds them to the sums of their columns.
#[inline(always)]
fn pull<A: Arith, T: Real>(from: &[T], grads: &mut [T], sums: &mut [T]) {
    let lanes = A::Vector::<T>::LANES;
    let whole = from.len() - from.len() % lanes;
    for at in (0..whole).step_by(lanes) {
        let grad = load::<A::Vector<T>>(grads, at) * T::gelu_slope_each(load::<A::Vector<T>>(from, at));
        store(grad, grads, at);
        store(load::<A::Vector<T>>(sums, at) + grad, sums, at);
    }
    let slope = T::gelu_slope_each(A::Vector::<T>::load_part(&from[whole..]));
    let grad = A::Vector::<T>::load_part(&grads[whole..]) * slope;
    grad.store_part(&mut grads[whole..]);
    (A::Vector::<T>::load_part(&sums[whole..]) + grad).store_part(&mut sums[whole..]);
}

/// Gradients of xs `[rows, dim]`, and those of W₁, b₁, W₂, b₂ and the norm's parameters one after the other.
pub(super) fn backward<T: Real>(network: &Network<'_, T>, inner: &[T], upstream: &[T]) -> (Vec<T>, Vec<T>) {
    let Sizes { rows, dim, hidden } = network.sizes;
    let mut dxs = room(rows * dim);
    let each = 2 * dim * hidden + hidden + 3 * dim;
    let partial = over_shares(&mut dxs, [rows, dim, each], 4 * rows * dim * hidden, |share| {
        let Share { first, count, dxs, sums } = share;
        let network = Network { xs: &network.xs[first * dim..][..count * dim], ..*network };
        let inner = &inner[first * hidden..][..count * hidden];
        let upstream = &upstream[first * dim..][..count * dim];
        dispatch(Backward { network, inner, upstream, dxs, sums });
    });
    (dxs, combine(&partial, each))
}

struct Backward<'a, T> {
    network: Network<'a, T>,
    inner: &'a [T],
    upstream: &'a [T],
    dxs: &'a mut [T],
    sums: &'a mut [T],
}

impl<T: Real> Kernel for Backward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        let Backward { network, inner, upstream, dxs, sums } = self;
        let Network { xs, norm, up, down, sizes: Sizes { dim, hidden, .. }, .. } = network;
        sums.fill(T::ZERO);
        let (dw_up, rest) = sums.split_at_mut(hidden * dim);
        let (db_up, rest) = rest.split_at_mut(hidden);
        let (dw_down, rest) = rest.split_at_mut(dim * hidden);
        let (db_down, dnorm) = rest.split_at_mut(dim);
        let (wide, wide_inner) = (dim + PAD, hidden + PAD);
        let most = BACKWARD.min(xs.len() / dim);
        let (mut normal, mut g) = (padded(most, dim), padded(most, dim));
        let (mut middle, mut through) = (padded(most, hidden), room(most * dim));
        let all = (xs, upstream, inner);
        let blocks = xs.chunks(BACKWARD * dim).zip(dxs.chunks_mut(BACKWARD * dim));
        let gradients = upstream.chunks(BACKWARD * dim).zip(inner.chunks(BACKWARD * hidden));
        for (index, ((xs, dxs), (upstream, inner))) in blocks.zip(gradients).enumerate() {
            let rows = xs.len() / dim;
            let next = (index + 1) * BACKWARD..(index + 2) * BACKWARD;
            let coming = [
                some_rows(all.2, next.clone(), hidden),
                some_rows(all.1, next.clone(), dim),
                some_rows(all.0, next, dim),
            ];
            let mut ahead = Ahead::new(coming, tiles(hidden, dim) + tiles(rows, dim));
            let mut beside = || ahead.some();
            for (g, upstream) in g.chunks_exact_mut(wide).zip(upstream.chunks_exact(dim)) {
                copy::<A, T>(upstream, &mut g[..dim]);
                add::<A, T>(db_down, upstream);
            }
            for (middle, inner) in middle.chunks_exact_mut(wide_inner).zip(inner.chunks_exact(hidden)) {
                activate::<A, T>(inner, &mut middle[..hidden]);
            }
            accumulate_outer::<A, T>(dw_down, [dim, hidden, rows], &g, wide, &middle);
            down.product::<A>(&mut middle, wide_inner, rows, Matrix::new(&g, wide), Start::Zero);
            for (middle, inner) in middle.chunks_exact_mut(wide_inner).zip(inner.chunks_exact(hidden)) {
                pull::<A, T>(inner, &mut middle[..hidden], db_up);
            }
            norm.apply::<A>(xs, &mut normal, wide);
            accumulate_outer_beside::<A, T>(
                dw_up,
                [hidden, dim, rows],
                &middle,
                wide_inner,
                &normal,
                &mut beside,
            );
            let through = &mut through[..rows * dim];
            let middle = Matrix::new(&middle, wide_inner);
            up.product_beside::<A>(through, dim, rows, middle, Start::Zero, &mut beside);
            norm.pull::<A>(xs, through, Some(upstream), dxs, dnorm);
        }
    }
}
