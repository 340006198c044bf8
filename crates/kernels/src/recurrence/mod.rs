//! Recurrences over time as one operation each, forward and backward written by hand: an unrolled graph
//! would need memory quadratic in time and would overflow the stack.
//!
//! A [`Gating`] says what one step does with its pre-activations; everything else is shared. The batch is
//! cut into blocks of rows ([`block`]), which threads share and which need each other for nothing: each keeps
//! its own sum of the weight gradient, and the sums are joined in order.

mod backward;
mod block;
mod forward;
mod lstm;
mod operation;
mod rnn;
mod step;

pub use lstm::{LstmCell, lstm};
pub use rnn::{Activation, RnnCell, rnn};

pub(crate) use lstm::Lstm;
pub(crate) use rnn::Rnn;

use crate::isa::Arith;
use crate::plumbing::{expect_dtype, expect_shape};
use crate::real::Real;
use candle_core::{Result, Tensor};

/// The elementwise part of a recurrent layer, for some rows of the batch: `gates` is `[rows, GATES · hidden]`,
/// `h` `[rows, hidden]`, and `c`, the rest of the state, `[rows, (STATES − 1) · hidden]`.
pub(crate) trait Gating: Copy + Send + Sync + 'static {
    /// The operation's name in errors.
    const NAME: &'static str;
    /// Blocks of `hidden` pre-activations.
    const GATES: usize;
    /// Blocks of `hidden` in the carried state.
    const STATES: usize;
    /// Whether activations are kept for backward; otherwise there is one gate, and the outputs are it.
    const KEEPS: bool;

    /// Turns pre-activations into activations in place and moves the state one step on.
    fn forward<A: Arith, T: Real>(self, gates: &mut [T], h: &mut [T], c: &mut [T], hidden: usize);

    /// For one row, from the activations, the state's `c` before and after the step, and the gradients with
    /// respect to the new `h` and `c`: writes the gradients of the pre-activations and turns `dc` into the
    /// gradient with respect to the previous `c`.
    fn backward<A: Arith, T: Real>(
        self,
        gates: &[T],
        cells: [&[T]; 2],
        dh: &[T],
        dc: &mut [T],
        dgates: &mut [T],
    );
}

/// Sizes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    pub(crate) time: usize,
    pub(crate) input: usize,
    pub(crate) hidden: usize,
}

/// The parameters in PyTorch's layouts: `[gates · hidden, input]`, `[gates · hidden, hidden]` and twice
/// `[gates · hidden]`.
#[derive(Clone, Copy)]
pub(crate) struct Parameters<'a> {
    pub(crate) w_ih: &'a Tensor,
    pub(crate) w_hh: &'a Tensor,
    pub(crate) b_ih: &'a Tensor,
    pub(crate) b_hh: &'a Tensor,
}

impl Parameters<'_> {
    /// Checks the shapes for `gates` blocks and returns (input, hidden).
    pub(crate) fn check(&self, name: &str, gates: usize) -> Result<(usize, usize)> {
        let (Ok((rows, hidden)), Ok((_, input))) = (self.w_hh.dims2(), self.w_ih.dims2()) else {
            candle_core::bail!(
                "{name}: w_ih is {:?} and w_hh is {:?}, expected two matrices",
                self.w_ih.dims(),
                self.w_hh.dims()
            );
        };
        // Whichever of the two dimensions is wrong, the first one says what hidden was meant to be.
        let hidden = if rows % gates == 0 && self.w_ih.dims()[0] == rows { rows / gates } else { hidden };
        expect_shape(name, "w_hh", self.w_hh, &[gates * hidden, hidden])?;
        expect_shape(name, "w_ih", self.w_ih, &[gates * hidden, input])?;
        expect_shape(name, "b_ih", self.b_ih, &[gates * hidden])?;
        expect_shape(name, "b_hh", self.b_hh, &[gates * hidden])?;
        Ok((input, hidden))
    }
}

/// Checks everything a recurrence is called with. `states` are `h0` and, where there is one, `c0`.
pub(crate) fn check<G: Gating>(
    xs: &Tensor,
    parameters: &Parameters<'_>,
    states: &[(&str, &Tensor)],
    lengths: Option<&[usize]>,
) -> Result<Sizes> {
    let name = G::NAME;
    let Ok((batch, time, width)) = xs.dims3() else {
        candle_core::bail!("{name}: xs is {:?}, expected [batch, time, dim]", xs.dims());
    };
    let (input, hidden) = parameters.check(name, G::GATES)?;
    if width != input || time == 0 || batch == 0 {
        candle_core::bail!(
            "{name}: xs is [{batch}, {time}, {width}], expected [batch, time, {input}], neither empty, for w_ih {:?}",
            parameters.w_ih.dims()
        );
    }
    for (argument, state) in states {
        expect_shape(name, argument, state, &[batch, hidden])?;
        expect_dtype(name, argument, state, xs)?;
    }
    let Parameters { w_ih, w_hh, b_ih, b_hh } = parameters;
    for (argument, tensor) in [("w_ih", w_ih), ("w_hh", w_hh), ("b_ih", b_ih), ("b_hh", b_hh)] {
        expect_dtype(name, argument, tensor, xs)?;
    }
    if let Some(lengths) = lengths {
        if lengths.len() != batch {
            candle_core::bail!("{name}: {} lengths for a batch of {batch}", lengths.len());
        }
        if let Some(longest) = lengths.iter().find(|length| **length > time) {
            candle_core::bail!("{name}: a length is {longest}, expected at most the {time} steps of xs");
        }
    }
    Ok(Sizes { batch, time, input, hidden })
}
