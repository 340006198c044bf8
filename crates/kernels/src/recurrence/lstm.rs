//! Long short-term memory.
//!
//! Source: S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997), with the
//! forget gate of F. Gers, J. Schmidhuber and F. Cummins, "Learning to forget" (2000); no peepholes.
//! `i, f, o = σ(…)`, `g = tanh(…)`, `c_t = f c_{t−1} + i g`, `h_t = o tanh(c_t)`, gates in the order
//! i, f, g, o.

use super::step::Cell;
use super::{Gating, Parameters, check, operation};
use crate::isa::Arith;
use crate::plumbing::fused;
use crate::real::Real;
use crate::reference;
use crate::vector::{Vector, load, store};
use candle_core::{Result, Tensor};

/// Long short-term memory over a batch of sequences: xs `[batch, time, in]`, w_ih `[4 · hidden, in]`, w_hh
/// `[4 · hidden, hidden]`, biases `[4 · hidden]` (gates in the order i, f, g, o), h0 and c0
/// `[batch, hidden]`. Returns every `h_t`, `[batch, time, hidden]`, and the state `h`, `c`, each
/// `[batch, hidden]`.
///
/// `lengths` only chooses the state: row `b`'s is the one after its first `lengths[b]` steps, h0 and c0 for
/// 0. Differentiable in all tensors, through the outputs and the state.
///
/// # Errors
/// Shapes do not fit together, types differ, xs is empty, or a length exceeds the time.
pub fn lstm(
    xs: &Tensor,
    w_ih: &Tensor,
    w_hh: &Tensor,
    b_ih: &Tensor,
    b_hh: &Tensor,
    h0: &Tensor,
    c0: &Tensor,
    lengths: Option<&[usize]>,
) -> Result<(Tensor, Tensor, Tensor)> {
    let parameters = Parameters { w_ih, w_hh, b_ih, b_hh };
    let sizes = check::<Lstm>(xs, &parameters, &[("h0", h0), ("c0", c0)], lengths)?;
    if !fused(xs) {
        return reference::lstm(xs, w_ih, w_hh, b_ih, b_hh, h0, c0, lengths);
    }
    let [ys, h, c] = operation::apply(Lstm, sizes, xs, &parameters, [h0, c0], lengths)?;
    Ok((ys, h, c))
}

/// One step of [`lstm`] on plain slices, equal to it bit for bit; allocates nothing a step.
#[derive(Clone, Debug)]
pub struct LstmCell<T>(Cell<Lstm, T>);

impl<T: Real> LstmCell<T> {
    /// Takes over the parameters, shaped as for [`lstm`], for steps of `batch` rows.
    ///
    /// # Errors
    /// Shapes do not fit together, or the tensors are not CPU tensors of type `T`.
    pub fn new(w_ih: &Tensor, w_hh: &Tensor, b_ih: &Tensor, b_hh: &Tensor, batch: usize) -> Result<Self> {
        Ok(LstmCell(Cell::new(Lstm, &Parameters { w_ih, w_hh, b_ih, b_hh }, batch)?))
    }

    /// Moves the state `h`, `c`, each `[batch, hidden]`, one step on, given `x` `[batch, in]`. The new `h`
    /// is also the output. Panics where a slice is shorter than the batch given to `new`.
    pub fn step(&mut self, x: &[T], h: &mut [T], c: &mut [T]) {
        self.0.step(x, h, c);
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Lstm;

impl Gating for Lstm {
    const NAME: &'static str = "lstm";
    const GATES: usize = 4;
    const STATES: usize = 2;

    const KEEPS: bool = true;

    #[inline(always)]
    fn forward<A: Arith, T: Real>(self, gates: &mut [T], h: &mut [T], c: &mut [T], hidden: usize) {
        let lanes = A::Vector::<T>::LANES;
        let whole = hidden - hidden % lanes;
        let rows = h.chunks_exact_mut(hidden).zip(c.chunks_exact_mut(hidden));
        for (gates, (h, c)) in gates.chunks_exact_mut(4 * hidden).zip(rows) {
            let (i, rest) = gates.split_at_mut(hidden);
            let (f, rest) = rest.split_at_mut(hidden);
            let (g, o) = rest.split_at_mut(hidden);
            let o = &mut o[..hidden];
            for at in (0..whole).step_by(lanes) {
                let gates = [load::<A::Vector<T>>(i, at), load(f, at), load(g, at), load(o, at)];
                let [input, forget, new, output, cell, out] = step(gates, load(c, at));
                store(input, i, at);
                store(forget, f, at);
                store(new, g, at);
                store(output, o, at);
                store(cell, c, at);
                store(out, h, at);
            }
            if whole < hidden {
                let gates = [&i[whole..], &f[whole..], &g[whole..], &o[whole..]];
                let [input, forget, new, output, cell, out] =
                    step(gates.map(A::Vector::<T>::load_part), A::Vector::<T>::load_part(&c[whole..]));
                input.store_part(&mut i[whole..]);
                forget.store_part(&mut f[whole..]);
                new.store_part(&mut g[whole..]);
                output.store_part(&mut o[whole..]);
                cell.store_part(&mut c[whole..]);
                out.store_part(&mut h[whole..]);
            }
        }
    }

    #[inline(always)]
    fn backward<A: Arith, T: Real>(
        self,
        gates: &[T],
        _: &[T],
        [before, after]: [&[T]; 2],
        dh: &mut [T],
        dc: &mut [T],
        dgates: &mut [T],
    ) {
        let hidden = dh.len();
        let (i, rest) = gates.split_at(hidden);
        let (f, rest) = rest.split_at(hidden);
        let (g, o) = rest.split_at(hidden);
        let (di, rest) = dgates.split_at_mut(hidden);
        let (df, rest) = rest.split_at_mut(hidden);
        let (dg, d_o) = rest.split_at_mut(hidden);
        let lanes = A::Vector::<T>::LANES;
        let whole = hidden - hidden % lanes;
        for at in (0..whole).step_by(lanes) {
            let gates = [load::<A::Vector<T>>(i, at), load(f, at), load(g, at), load(o, at)];
            let (cells, upstream) = ([load(before, at), load(after, at)], [load(dh, at), load(dc, at)]);
            let ([input, forget, new, output], carried) = step_back(gates, cells, upstream);
            store(input, di, at);
            store(forget, df, at);
            store(new, dg, at);
            store(output, d_o, at);
            store(carried, dc, at);
        }
        if whole < hidden {
            let part = |values: &[T]| A::Vector::<T>::load_part(&values[whole..]);
            let gates = [part(i), part(f), part(g), part(o)];
            let (cells, upstream) = ([part(before), part(after)], [part(dh), part(dc)]);
            let ([input, forget, new, output], carried) = step_back(gates, cells, upstream);
            input.store_part(&mut di[whole..]);
            forget.store_part(&mut df[whole..]);
            new.store_part(&mut dg[whole..]);
            output.store_part(&mut d_o[whole..]);
            carried.store_part(&mut dc[whole..]);
        }
    }
}

/// From pre-activations and the cell: the activations i, f, g and o, the new cell and the output.
#[inline(always)]
fn step<T: Real, V: Vector<Number = T>>([i, f, g, o]: [V; 4], c: V) -> [V; 6] {
    let (i, f, g, o) = (T::logistic_each(i), T::logistic_each(f), T::tanh_each(g), T::logistic_each(o));
    let c = f.fma(c, i * g);
    [i, f, g, o, c, o * T::tanh_each(c)]
}

/// Gradients of the pre-activations and of the previous cell.
#[inline(always)]
fn step_back<T: Real, V: Vector<Number = T>>(
    [i, f, g, o]: [V; 4],
    [before, after]: [V; 2],
    [dh, dc]: [V; 2],
) -> ([V; 4], V) {
    let one = V::splat(T::ONE);
    let squashed = T::tanh_each(after);
    let dcell = (dh * o).fma(one - squashed * squashed, dc);
    let di = dcell * g * i * (one - i);
    let df = dcell * before * f * (one - f);
    let dg = dcell * i * (one - g * g);
    let d_o = dh * squashed * o * (one - o);
    ([di, df, dg, d_o].map(V::without_vanished), (dcell * f).without_vanished())
}
