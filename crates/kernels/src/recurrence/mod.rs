//! Recurrences over time as one operation each, forward and backward written by hand: an unrolled graph
//! would need memory quadratic in time and would overflow the stack.
//!
//! A [`Gating`] says what one step does with its pre-activations; everything else is shared. The batch is
//! cut into blocks of rows ([`block`]), which threads share and which need each other for nothing: each keeps
//! its own sum of the weight gradient, and the sums are joined in order.

mod backward;
mod block;
mod forward;
mod gru;
mod lstm;
mod operation;
mod rnn;
mod step;

pub use gru::{GruCell, gru};
pub use lstm::{LstmCell, lstm};
pub use rnn::{Activation, RnnCell, rnn};

pub(crate) use gru::Gru;
pub(crate) use lstm::Lstm;
pub(crate) use rnn::Rnn;

use crate::isa::Arith;
use crate::plumbing::{expect_dtype, expect_shape};
use crate::real::Real;
use candle_core::{Result, Tensor};

/// The elementwise part of a recurrent layer, for some rows of the batch: `gates` is `[rows, GATES · hidden]`,
/// `h` `[rows, hidden]`, and `c`, the rest of the state, `[rows, (STATES − 1) · hidden]`.
///
/// The input reaches the first [`Gating::INPUT`] blocks of pre-activations, the hidden state those from
/// [`Gating::RECURRENT`] on: each a product of its own with rows of their own in `w_ih` and `w_hh`.
pub(crate) trait Gating: Copy + Send + Sync + 'static {
    /// The operation's name in errors.
    const NAME: &'static str;
    /// Blocks of `hidden` pre-activations.
    const GATES: usize;
    /// How many blocks the input reaches: all, unless some see the hidden state alone. The rows of `w_ih` that belong
    /// to the blocks which see the input alone are its last ones.
    const INPUT: usize = Self::GATES;
    /// The first block that the hidden state reaches.
    const RECURRENT: usize = 0;
    /// Whether the hidden state also passes to the next one beside the pre-activations.
    const PASSES: bool = false;
    /// Blocks of `hidden` in the carried state.
    const STATES: usize;
    /// Whether activations are kept for backward; otherwise there is one gate, and the outputs are it.
    const KEEPS: bool;

    /// Turns pre-activations into activations in place and moves the state one step on.
    fn forward<A: Arith, T: Real>(self, gates: &mut [T], h: &mut [T], c: &mut [T], hidden: usize);

    /// For one row, from the activations, the state's `h` before the step and its `c` before and after, and the
    /// gradients with respect to the new `h` and `c`: writes the gradients of the pre-activations and turns `dc` into
    /// the gradient with respect to the previous `c`; where the hidden state passes beside them, `dh` into what passes
    /// to the previous one.
    fn backward<A: Arith, T: Real>(
        self,
        gates: &[T],
        before: &[T],
        cells: [&[T]; 2],
        dh: &mut [T],
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

/// Widths of the pre-activations of a recurrence: of all blocks, of those the input reaches, and of those the hidden
/// state reaches, in values.
pub(crate) fn widths<G: Gating>(hidden: usize) -> [usize; 3] {
    [G::GATES, G::INPUT, G::GATES - G::RECURRENT].map(|blocks| blocks * hidden)
}

/// The parameters in PyTorch's layouts: `[input gates · hidden, input]`, `[recurrent gates · hidden, hidden]` and one
/// bias of each.
#[derive(Clone, Copy)]
pub(crate) struct Parameters<'a> {
    pub(crate) w_ih: &'a Tensor,
    pub(crate) w_hh: &'a Tensor,
    pub(crate) b_ih: &'a Tensor,
    pub(crate) b_hh: &'a Tensor,
}

impl Parameters<'_> {
    /// Checks the shapes and returns (input, hidden).
    pub(crate) fn check<G: Gating>(&self) -> Result<(usize, usize)> {
        let name = G::NAME;
        let [_, from_input, gates] = widths::<G>(1);
        let (Ok((rows, hidden)), Ok((_, input))) = (self.w_hh.dims2(), self.w_ih.dims2()) else {
            candle_core::bail!(
                "{name}: w_ih is {:?} and w_hh is {:?}, expected two matrices",
                self.w_ih.dims(),
                self.w_hh.dims()
            );
        };
        // Whichever of the two dimensions is wrong, the first one says what hidden was meant to be.
        let agree = rows % gates == 0 && self.w_ih.dims()[0] == rows / gates * from_input;
        let hidden = if agree { rows / gates } else { hidden };
        expect_shape(name, "w_hh", self.w_hh, &[gates * hidden, hidden])?;
        expect_shape(name, "w_ih", self.w_ih, &[from_input * hidden, input])?;
        expect_shape(name, "b_ih", self.b_ih, &[from_input * hidden])?;
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
    let (input, hidden) = parameters.check::<G>()?;
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
