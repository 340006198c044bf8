//! The simple recurrent network.
//!
//! Source: J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990). With PyTorch's two biases,
//! `h_t = a(W_ih x_t + b_ih + W_hh h_{t−1} + b_hh)`, where Elman's `a` is the logistic function.

use super::step::Cell;
use super::{Gating, Parameters, check, operation};
use crate::isa::Arith;
use crate::plumbing::fused;
use crate::real::Real;
use crate::reference;
use crate::vector::{Vector, load, store};
use candle_core::{Result, Tensor};

/// The elementwise function `a` of a simple recurrent network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// Hyperbolic tangent.
    Tanh,
    /// `max(x, 0)`.
    Relu,
    /// `x`: a linear recurrence, whose gradients theory gives in closed form.
    Identity,
}

/// `h_t = a(W_ih x_t + b_ih + W_hh h_{t−1} + b_hh)` over a batch of sequences: xs `[batch, time, in]`, w_ih
/// `[hidden, in]`, w_hh `[hidden, hidden]`, biases `[hidden]`, h0 `[batch, hidden]`. Returns every `h_t`,
/// `[batch, time, hidden]`, and the state `[batch, hidden]`.
///
/// `lengths` only chooses the state: row `b`'s is the one after its first `lengths[b]` steps, h0 for 0.
/// Differentiable in all tensors, through the outputs and the state.
///
/// # Errors
/// Shapes do not fit together, types differ, xs is empty, or a length exceeds the time.
pub fn rnn(
    xs: &Tensor,
    w_ih: &Tensor,
    w_hh: &Tensor,
    b_ih: &Tensor,
    b_hh: &Tensor,
    h0: &Tensor,
    lengths: Option<&[usize]>,
    activation: Activation,
) -> Result<(Tensor, Tensor)> {
    let parameters = Parameters { w_ih, w_hh, b_ih, b_hh };
    let sizes = check::<Rnn>(xs, &parameters, &[("h0", h0)], lengths)?;
    if !fused(xs) {
        return reference::rnn(xs, w_ih, w_hh, b_ih, b_hh, h0, lengths, activation);
    }
    // A second state it does not have.
    let none = Tensor::zeros((sizes.batch, 0), xs.dtype(), xs.device())?;
    let [ys, h, _] = operation::apply(Rnn(activation), sizes, xs, &parameters, [h0, &none], lengths)?;
    Ok((ys, h))
}

/// One step of [`rnn`] on plain slices, equal to it bit for bit; allocates nothing a step.
#[derive(Clone, Debug)]
pub struct RnnCell<T>(Cell<Rnn, T>);

impl<T: Real> RnnCell<T> {
    /// Takes over the parameters, shaped as for [`rnn`], for steps of `batch` rows.
    ///
    /// # Errors
    /// Shapes do not fit together, or the tensors are not CPU tensors of type `T`.
    pub fn new(
        w_ih: &Tensor,
        w_hh: &Tensor,
        b_ih: &Tensor,
        b_hh: &Tensor,
        activation: Activation,
        batch: usize,
    ) -> Result<Self> {
        Ok(RnnCell(Cell::new(Rnn(activation), &Parameters { w_ih, w_hh, b_ih, b_hh }, batch)?))
    }

    /// Moves the state `h` `[batch, hidden]` one step on, given `x` `[batch, in]`. The new `h` is also the
    /// output. Panics where a slice is shorter than the batch given to `new`.
    pub fn step(&mut self, x: &[T], h: &mut [T]) {
        self.0.step(x, h, &mut []);
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rnn(Activation);

impl Gating for Rnn {
    const NAME: &'static str = "rnn";
    const GATES: usize = 1;
    const STATES: usize = 1;

    const KEEPS: bool = false;

    #[inline(always)]
    fn forward<A: Arith, T: Real>(self, gates: &mut [T], h: &mut [T], _: &mut [T], _: usize) {
        let lanes = A::Vector::<T>::LANES;
        let whole = h.len() - h.len() % lanes;
        for at in (0..whole).step_by(lanes) {
            let x = self.value(load::<A::Vector<T>>(gates, at));
            store(x, gates, at);
            store(x, h, at);
        }
        let x = self.value(A::Vector::<T>::load_part(&gates[whole..]));
        x.store_part(&mut gates[whole..]);
        x.store_part(&mut h[whole..]);
    }

    #[inline(always)]
    fn backward<A: Arith, T: Real>(
        self,
        gates: &[T],
        _: &[T],
        _: [&[T]; 2],
        dh: &mut [T],
        _: &mut [T],
        dgates: &mut [T],
    ) {
        let lanes = A::Vector::<T>::LANES;
        let whole = dh.len() - dh.len() % lanes;
        for at in (0..whole).step_by(lanes) {
            store(self.slope(load::<A::Vector<T>>(gates, at), load(dh, at)), dgates, at);
        }
        let [h, dh] = [&gates[whole..], &dh[whole..]].map(A::Vector::<T>::load_part);
        self.slope(h, dh).store_part(&mut dgates[whole..]);
    }
}

impl Rnn {
    #[inline(always)]
    fn value<T: Real, V: Vector<Number = T>>(self, x: V) -> V {
        match self.0 {
            Activation::Tanh => T::tanh_each(x),
            // This way round NaN is kept, so that divergence is seen.
            Activation::Relu => x.below(V::zero(), V::zero(), x),
            Activation::Identity => x,
        }
    }

    /// The gradient of the pre-activation, from the activation and its gradient.
    #[inline(always)]
    fn slope<T: Real, V: Vector<Number = T>>(self, h: V, dh: V) -> V {
        let slope = match self.0 {
            Activation::Tanh => dh * (V::splat(T::ONE) - h * h),
            // An activation of 0 stands on the flat side.
            Activation::Relu => V::zero().below(h, dh, V::zero()),
            Activation::Identity => dh,
        };
        slope.without_vanished()
    }
}
