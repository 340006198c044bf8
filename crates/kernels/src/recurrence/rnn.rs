//! The simple recurrent network.
//!
//! Source: J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990). With PyTorch's two biases,
//! `h_t = a(W_ih x_t + b_ih + W_hh h_{t−1} + b_hh)`, where Elman's `a` is the logistic function.

use super::step::Cell;
use super::{Gating, Parameters, check, operation};
use crate::isa::Arith;
use crate::lanes::{LANES, copy, each_lane};
use crate::plumbing::fused;
use crate::real::Real;
use crate::reference;
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
        match self.0 {
            Activation::Tanh => {
                for x in gates.iter_mut() {
                    *x = x.tanh::<A>();
                }
            }
            Activation::Relu => {
                for x in gates.iter_mut() {
                    // This way round NaN is kept, so that divergence is seen.
                    *x = if *x < T::ZERO { T::ZERO } else { *x };
                }
            }
            Activation::Identity => {}
        }
        h.copy_from_slice(gates);
    }

    #[inline(always)]
    fn backward<A: Arith, T: Real>(self, gates: &[T], _: [&[T]; 2], dh: &[T], _: &mut [T], dgates: &mut [T]) {
        match self.0 {
            Activation::Tanh => each_lane([gates, dh], [dgates], |[h, dh], [mut slope]| {
                for x in 0..LANES {
                    slope[x] = dh[x] * (T::ONE - h[x] * h[x]);
                }
                [slope]
            }),
            Activation::Relu => each_lane([gates, dh], [dgates], |[h, dh], [mut slope]| {
                for x in 0..LANES {
                    slope[x] = if h[x] <= T::ZERO { T::ZERO } else { dh[x] };
                }
                [slope]
            }),
            Activation::Identity => copy(dh, dgates),
        }
    }
}
