//! The two passes of a norm over rows on one thread, for the operations that normalise rows among other things.

use crate::isa::{Arith, Kernel, dispatch};
use crate::real::Real;
use crate::vector::{Vector, load, store};

/// A register of 16 lanes: as many interleaved chains as every sum along a row has, whatever the processor.
type Group<A, T> = <<A as Arith>::Vector<T> as Vector>::Group;

const LANES: usize = 16;

/// A group of a row, or what is left of it, with zeros behind.
#[inline(always)]
fn group<V: Vector>(row: &[V::Number], at: usize, whole: bool) -> V {
    if whole { load(row, at) } else { V::load_part(&row[at..]) }
}

#[inline(always)]
fn put<V: Vector>(value: V, row: &mut [V::Number], at: usize, whole: bool) {
    if whole { store(value, row, at) } else { value.store_part(&mut row[at..]) }
}

/// Runs a body for every group of a row: where it begins, and whether it is whole, which is a constant.
macro_rules! groups {
    ($dim:expr, |$at:ident, $whole:ident| $body:expr) => {{
        let rest = $dim - $dim % LANES;
        let mut first = 0;
        while first < rest {
            let ($at, $whole) = (first, true);
            $body;
            first += LANES;
        }
        if rest < $dim {
            let ($at, $whole) = (rest, false);
            $body;
        }
    }};
}

/// Rows that are gone through side by side: a sum along one has to wait for every addition, those of several do
/// not wait for each other.
const TOGETHER: usize = 4;

/// Mean (0 where the norm does not centre) and reciprocal deviation of a row.
#[inline(always)]
fn statistics<V: Vector, const CENTRED: bool>(row: &[V::Number], eps: V::Number) -> (V::Number, V::Number) {
    let (dim, one) = (row.len(), V::Number::ONE / V::Number::of(row.len() as f64));
    let mut mean = V::Number::ZERO;
    if CENTRED {
        let mut sum = V::zero();
        groups!(dim, |at, whole| sum = sum + group(row, at, whole));
        mean = sum.sum() * one;
    }
    let about = V::splat(mean);
    let mut squares = V::zero();
    groups!(dim, |at, whole| {
        // Lanes beyond the end stand at the mean, so that their deviation is 0.
        let x = if whole { load::<V>(row, at) } else { V::load_part_or(&row[at..], mean) };
        squares = (x - about).fma(x - about, squares);
    });
    (mean, V::Number::ONE / (squares.sum() * one + eps).sqrt())
}

/// A norm's parameters beside another operation: layer norm with a bias, root-mean-square norm without.
#[derive(Clone, Copy)]
pub(crate) struct Parameters<'a, T> {
    /// `[dim]`
    pub(crate) weight: &'a [T],
    /// `[dim]`
    pub(crate) bias: Option<&'a [T]>,
    pub(crate) eps: T,
}

impl<T: Real> Parameters<'_, T> {
    /// Normalises `xs` `[rows, dim]` into rows that begin every `stride` values of `ys`.
    #[inline(always)]
    pub(crate) fn apply<A: Arith>(self, xs: &[T], ys: &mut [T], stride: usize) {
        let Parameters { weight, bias, eps } = self;
        match bias {
            Some(bias) => Forward::<T, true> { xs, weight, bias, eps, ys, stride }.run::<A>(),
            None => Forward::<T, false> { xs, weight, bias: &[], eps, ys, stride }.run::<A>(),
        }
    }

    /// Writes the gradient of `xs` `[rows, dim]` from that of the normalised rows and `onto`, and adds the
    /// parameters', `[weight ‖ bias]`.
    #[inline(always)]
    pub(crate) fn pull<A: Arith>(
        self,
        xs: &[T],
        grads: &[T],
        onto: Option<&[T]>,
        grad_xs: &mut [T],
        grad_parameters: &mut [T],
    ) {
        let Parameters { weight, bias, eps } = self;
        if bias.is_some() {
            Backward::<T, true> { xs, weight, grads, eps, onto, grad_xs, grad_parameters }.run::<A>();
        } else {
            Backward::<T, false> { xs, weight, grads, eps, onto, grad_xs, grad_parameters }.run::<A>();
        }
    }
}

/// Normalises rows.
pub(crate) struct Forward<'a, T, const CENTRED: bool> {
    /// `[rows, dim]`
    pub(crate) xs: &'a [T],
    /// `[dim]`
    pub(crate) weight: &'a [T],
    /// `[dim]`; not looked at where the norm does not centre.
    pub(crate) bias: &'a [T],
    pub(crate) eps: T,
    /// `[rows, dim]`, the rows beginning every `stride` values.
    pub(crate) ys: &'a mut [T],
    pub(crate) stride: usize,
}

impl<T: Real, const CENTRED: bool> Kernel for Forward<'_, T, CENTRED> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        let dim = self.weight.len();
        let together = self.xs.chunks(TOGETHER * dim).zip(self.ys.chunks_mut(TOGETHER * self.stride));
        for (xs, ys) in together {
            let mut found = [(T::ZERO, T::ZERO); TOGETHER];
            for (found, xs) in found.iter_mut().zip(xs.chunks_exact(dim)) {
                *found = statistics::<Group<A, T>, CENTRED>(xs, self.eps);
            }
            for ((xs, ys), found) in xs.chunks_exact(dim).zip(ys.chunks_mut(self.stride)).zip(found) {
                let (mean, scale) = (Group::<A, T>::splat(found.0), Group::<A, T>::splat(found.1));
                groups!(dim, |at, whole| {
                    let normal = (group::<Group<A, T>>(xs, at, whole) - mean) * scale;
                    let weight = group(self.weight, at, whole);
                    let y = if CENTRED {
                        normal.fma(weight, group(self.bias, at, whole))
                    } else {
                        normal * weight
                    };
                    put(y, ys, at, whole);
                });
            }
        }
    }
}

/// Normalises rows on this thread: what [`layer_norm`] (centred) and [`rms_norm`] compute, without allocating.
pub(crate) fn normalise<T: Real, const CENTRED: bool>(
    xs: &[T],
    weight: &[T],
    bias: &[T],
    eps: f64,
    ys: &mut [T],
) {
    let stride = weight.len();
    dispatch(Forward::<T, CENTRED> { xs, weight, bias, eps: T::of(eps), ys, stride });
}

/// Gradients of rows and parameters.
pub(crate) struct Backward<'a, T, const CENTRED: bool> {
    /// `[rows, dim]`
    pub(crate) xs: &'a [T],
    /// `[dim]`
    pub(crate) weight: &'a [T],
    /// Of the normalised rows, `[rows, dim]`.
    pub(crate) grads: &'a [T],
    pub(crate) eps: T,
    /// What the rows' gradient has from elsewhere, `[rows, dim]`.
    pub(crate) onto: Option<&'a [T]>,
    /// `[rows, dim]`
    pub(crate) grad_xs: &'a mut [T],
    /// `[weight ‖ bias]`, `2 · dim`: these rows' are added.
    pub(crate) grad_parameters: &'a mut [T],
}

/// Of a row: mean, reciprocal deviation, and the means of the weighted gradient and of it times the normalised
/// row.
#[inline(always)]
fn moments<V: Vector, const CENTRED: bool>(
    xs: &[V::Number],
    weight: &[V::Number],
    grads: &[V::Number],
    eps: V::Number,
) -> [V::Number; 4] {
    let (dim, one) = (xs.len(), V::Number::ONE / V::Number::of(xs.len() as f64));
    let (mean, scale) = statistics::<V, CENTRED>(xs, eps);
    let about = V::splat(mean);
    // The weight's group is 0 beyond the end of the row, and with it both terms.
    let (mut shift, mut slant) = (V::zero(), V::zero());
    groups!(dim, |at, whole| {
        let g = group::<V>(grads, at, whole) * group(weight, at, whole);
        shift = shift + g;
        slant = g.fma(group::<V>(xs, at, whole) - about, slant);
    });
    let shift = if CENTRED { shift.sum() * one } else { V::Number::ZERO };
    [mean, scale, shift, slant.sum() * scale * one]
}

impl<T: Real, const CENTRED: bool> Kernel for Backward<'_, T, CENTRED> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        let dim = self.weight.len();
        let (grad_weight, grad_bias) = self.grad_parameters.split_at_mut(dim);
        let together = self.xs.chunks(TOGETHER * dim).zip(self.grads.chunks(TOGETHER * dim));
        for (index, ((xs, grads), out)) in together.zip(self.grad_xs.chunks_mut(TOGETHER * dim)).enumerate() {
            let rows = xs.chunks_exact(dim).zip(grads.chunks_exact(dim));
            let mut found = [[T::ZERO; 4]; TOGETHER];
            for (found, (xs, grads)) in found.iter_mut().zip(rows.clone()) {
                *found = moments::<Group<A, T>, CENTRED>(xs, self.weight, grads, self.eps);
            }
            let each = rows.zip(out.chunks_exact_mut(dim)).zip(found);
            for (row, (((xs, grads), out), found)) in each.enumerate() {
                let onto = self.onto.map(|onto| &onto[(index * TOGETHER + row) * dim..][..dim]);
                let mean = Group::<A, T>::splat(found[0]);
                let scale = Group::<A, T>::splat(found[1]);
                let shift = Group::<A, T>::splat(-found[2]);
                let slant = Group::<A, T>::splat(found[3]);
                groups!(dim, |at, whole| {
                    let g = group::<Group<A, T>>(grads, at, whole);
                    let normal = (group::<Group<A, T>>(xs, at, whole) - mean) * scale;
                    let along = normal.fnma(slant, g.fma(group(self.weight, at, whole), shift));
                    let mut along = along * scale;
                    if let Some(onto) = onto {
                        along = along + group(onto, at, whole);
                    }
                    put(along, out, at, whole);
                    put(g.fma(normal, group(grad_weight, at, whole)), grad_weight, at, whole);
                    if CENTRED {
                        put(group::<Group<A, T>>(grad_bias, at, whole) + g, grad_bias, at, whole);
                    }
                });
            }
        }
    }
}
