//! The gated recurrent unit.
//!
//! Source: K. Cho et al., "Learning phrase representations using RNN encoder–decoder for statistical machine
//! translation", EMNLP 2014, eq. 5–8, in the form of cuDNN and PyTorch, where the reset gate acts on the product instead
//! of the state: `r, z = σ(W x_t + b + U h_{t−1} + b′)`, `n = tanh(W_n x_t + b_n + r (U_n h_{t−1} + b′_n))`,
//! `h_t = (1 − z) n + z h_{t−1}`, gates in the order r, z, n.

use super::step::Cell;
use super::{Gating, Parameters, check, operation};
use crate::isa::Arith;
use crate::plumbing::fused;
use crate::real::Real;
use crate::reference;
use crate::vector::{Vector, load, store};
use candle_core::{Result, Tensor};

/// Gated recurrent units over a batch of sequences: xs `[batch, time, in]`, w_ih `[3 · hidden, in]`, w_hh
/// `[3 · hidden, hidden]`, biases `[3 · hidden]` (gates in the order r, z, n), h0 `[batch, hidden]`. Returns every `h_t`,
/// `[batch, time, hidden]`, and the state `[batch, hidden]`.
///
/// `lengths` only chooses the state: row `b`'s is the one after its first `lengths[b]` steps, h0 for 0. Differentiable in
/// all tensors, through the outputs and the state.
///
/// # Errors
/// Shapes do not fit together, types differ, xs is empty, or a length exceeds the time.
pub fn gru(
    xs: &Tensor,
    w_ih: &Tensor,
    w_hh: &Tensor,
    b_ih: &Tensor,
    b_hh: &Tensor,
    h0: &Tensor,
    lengths: Option<&[usize]>,
) -> Result<(Tensor, Tensor)> {
    let parameters = Parameters { w_ih, w_hh, b_ih, b_hh };
    let sizes = check::<Gru>(xs, &parameters, &[("h0", h0)], lengths)?;
    if !fused(xs) {
        return reference::gru(xs, w_ih, w_hh, b_ih, b_hh, h0, lengths);
    }
    // A second state it does not have.
    let none = Tensor::zeros((sizes.batch, 0), xs.dtype(), xs.device())?;
    let [ys, h, _] = operation::apply(Gru, sizes, xs, &parameters, [h0, &none], lengths)?;
    Ok((ys, h))
}

/// One step of [`gru`] on plain slices, equal to it bit for bit; allocates nothing a step.
#[derive(Clone, Debug)]
pub struct GruCell<T>(Cell<Gru, T>);

impl<T: Real> GruCell<T> {
    /// Takes over the parameters, shaped as for [`gru`], for steps of `batch` rows.
    ///
    /// # Errors
    /// Shapes do not fit together, or the tensors are not CPU tensors of type `T`.
    pub fn new(w_ih: &Tensor, w_hh: &Tensor, b_ih: &Tensor, b_hh: &Tensor, batch: usize) -> Result<Self> {
        Ok(GruCell(Cell::new(Gru, &Parameters { w_ih, w_hh, b_ih, b_hh }, batch)?))
    }

    /// Moves the state `h` `[batch, hidden]` one step on, given `x` `[batch, in]`. The new `h` is also the output. Panics
    /// where a slice is shorter than the batch given to `new`.
    pub fn step(&mut self, x: &[T], h: &mut [T]) {
        self.0.step(x, h, &mut []);
    }
}

/// Blocks of pre-activations: n from the input, r, z, and n from the state, which r multiplies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gru;

/// The four blocks of a row.
#[inline(always)]
fn blocks<T>(gates: &[T], hidden: usize) -> [&[T]; 4] {
    [0, 1, 2, 3].map(|block| &gates[block * hidden..][..hidden])
}

impl Gating for Gru {
    const NAME: &'static str = "gru";
    const GATES: usize = 4;
    const INPUT: usize = 3;
    const RECURRENT: usize = 1;
    const STATES: usize = 1;
    const KEEPS: bool = true;
    const PASSES: bool = true;

    /// Leaves n, r, z, and the product with the state that r multiplied.
    #[inline(always)]
    fn forward<A: Arith, T: Real>(self, gates: &mut [T], h: &mut [T], _: &mut [T], hidden: usize) {
        let lanes = A::Vector::<T>::LANES;
        let whole = hidden - hidden % lanes;
        for (gates, h) in gates.chunks_exact_mut(4 * hidden).zip(h.chunks_exact_mut(hidden)) {
            for at in (0..whole).step_by(lanes) {
                let [n, r, z, product] = blocks(gates, hidden).map(|block| load::<A::Vector<T>>(block, at));
                let [n, r, z, out] = step([n, r, z, product], load(h, at));
                store(n, gates, at);
                store(r, gates, hidden + at);
                store(z, gates, 2 * hidden + at);
                store(out, h, at);
            }
            if whole < hidden {
                let parts = blocks(gates, hidden).map(|block| A::Vector::<T>::load_part(&block[whole..]));
                let [n, r, z, out] = step(parts, A::Vector::<T>::load_part(&h[whole..]));
                for (block, part) in [n, r, z].into_iter().enumerate() {
                    part.store_part(&mut gates[block * hidden + whole..(block + 1) * hidden]);
                }
                out.store_part(&mut h[whole..]);
            }
        }
    }

    #[inline(always)]
    fn backward<A: Arith, T: Real>(
        self,
        gates: &[T],
        before: &[T],
        _: [&[T]; 2],
        dh: &mut [T],
        _: &mut [T],
        dgates: &mut [T],
    ) {
        let hidden = dh.len();
        let lanes = A::Vector::<T>::LANES;
        let whole = hidden - hidden % lanes;
        for at in (0..whole).step_by(lanes) {
            let kept = blocks(gates, hidden).map(|block| load::<A::Vector<T>>(block, at));
            let (found, passed) = step_back(kept, load(before, at), load(dh, at));
            for (block, gradient) in found.into_iter().enumerate() {
                store(gradient, dgates, block * hidden + at);
            }
            store(passed, dh, at);
        }
        if whole < hidden {
            let kept = blocks(gates, hidden).map(|block| A::Vector::<T>::load_part(&block[whole..]));
            let [before, upstream] = [&before[whole..], &dh[whole..]].map(A::Vector::<T>::load_part);
            let (found, passed) = step_back(kept, before, upstream);
            for (block, gradient) in found.into_iter().enumerate() {
                gradient.store_part(&mut dgates[block * hidden + whole..(block + 1) * hidden]);
            }
            passed.store_part(&mut dh[whole..]);
        }
    }
}

/// From pre-activations n, r, z and the product that r multiplies, and the state: n, r, z and the new state.
#[inline(always)]
fn step<T: Real, V: Vector<Number = T>>([n, r, z, product]: [V; 4], h: V) -> [V; 4] {
    let (r, z) = (T::logistic_each(r), T::logistic_each(z));
    let n = T::tanh_each(r.fma(product, n));
    // (1 − z) n + z h
    [n, r, z, z.fma(h - n, n)]
}

/// Gradients of the pre-activations, and what passes to the previous state beside them.
#[inline(always)]
fn step_back<T: Real, V: Vector<Number = T>>([n, r, z, product]: [V; 4], h: V, dh: V) -> ([V; 4], V) {
    let one = V::splat(T::ONE);
    let dn = dh * (one - z) * (one - n * n);
    let dz = dh * (h - n) * z * (one - z);
    let dr = dn * product * r * (one - r);
    ([dn, dr, dz, dn * r].map(V::without_vanished), (dh * z).without_vanished())
}
