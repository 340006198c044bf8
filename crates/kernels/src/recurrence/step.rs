//! One step of a recurrence on plain slices, for decoders: weights laid out once, nothing allocated a step.

use super::forward::Weights;
use super::{Gating, Parameters};
use crate::isa::{Arith, Kernel, dispatch};
use crate::plumbing::with_all;
use crate::product::Matrix;
use crate::real::Real;
use candle_core::Result;

/// The weights and the room for one step of a fixed batch.
#[derive(Clone, Debug)]
pub(super) struct Cell<G, T> {
    gating: G,
    weights: Weights<T>,
    input: usize,
    hidden: usize,
    batch: usize,
    /// `[batch, gates]`
    gates: Vec<T>,
}

impl<G: Gating, T: Real> Cell<G, T> {
    pub(super) fn new(gating: G, parameters: &Parameters<'_>, batch: usize) -> Result<Self> {
        let (input, hidden) = parameters.check::<G>()?;
        let width = G::GATES * hidden;
        let Parameters { w_ih, w_hh, b_ih, b_hh } = parameters;
        let weights = with_all::<T, _, 4>([w_ih, w_hh, b_ih, b_hh], |parts| {
            Ok(Weights::new::<G>(parts, input, hidden))
        })?;
        Ok(Cell { gating, weights, input, hidden, batch, gates: vec![T::ZERO; batch * width] })
    }

    /// `x` is `[batch, input]`, `h` `[batch, hidden]` and `c` `[batch, (S − 1) · hidden]`.
    pub(super) fn step(&mut self, x: &[T], h: &mut [T], c: &mut [T]) {
        dispatch(Step { cell: self, x, h, c });
    }
}

struct Step<'a, G, T> {
    cell: &'a mut Cell<G, T>,
    x: &'a [T],
    h: &'a mut [T],
    c: &'a mut [T],
}

impl<G: Gating, T: Real> Kernel for Step<'_, G, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(self) {
        let Step { cell: Cell { gating, weights, input, hidden, batch, gates }, x, h, c } = self;
        let (batch, hidden, rest) = (*batch, *hidden, (G::STATES - 1) * *hidden);
        weights.project::<A>(gates, batch, Matrix::new(x, *input));
        weights.recur::<A>(gates, batch, Matrix::new(h, hidden), &mut || ());
        gating.forward::<A, T>(gates, &mut h[..batch * hidden], &mut c[..batch * rest], hidden);
    }
}
