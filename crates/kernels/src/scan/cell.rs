//! The scan one token at a time, on plain slices, for decoders.

use super::kernel::{Coefficients, Complex};
use super::{ScanParameters, check};
use crate::isa::{Arith, Kernel, dispatch};
use crate::plumbing::{tensor, with_values};
use crate::real::Real;
use candle_core::{Result, Tensor, bail};

/// The recurrence of [`diagonal_scan`](super::diagonal_scan) with its state inside, advanced in place.
/// Its outputs and states equal the scan's bit for bit; a step allocates nothing.
#[derive(Clone, Debug)]
pub struct ScanCell<T> {
    coefficients: Coefficients<T>,
    /// `[batch, block, n]`.
    states: Vec<Complex<T>>,
}

impl<T: Real> ScanCell<T> {
    /// A cell that continues from `state` `[batch, dim, n, 2]`.
    ///
    /// # Errors
    /// Shapes disagree, a tensor is not on the CPU or not of type `T`.
    pub fn new(parameters: &ScanParameters, state: &Tensor) -> Result<Self> {
        let (dim, n) = parameters.dims()?;
        let batch = state.dim(0)?;
        let us = Tensor::zeros((batch, 0, dim), state.dtype(), state.device())?;
        check(&us, parameters, state, None)?;
        let coefficients =
            with_values::<T, _>(&parameters.pack()?, |packed| Ok(Coefficients::new(packed, dim, n)))?;
        let states = with_values::<T, _>(state, |state| {
            Ok(state.chunks_exact(dim * n * 2).flat_map(|row| coefficients.load_state(row)).collect())
        })?;
        Ok(ScanCell { coefficients, states })
    }

    /// Number of rows.
    pub fn batch(&self) -> usize {
        self.states.len() / self.coefficients.states()
    }

    /// Advances every row by one token: `us` and `ys` are `[batch, dim]`.
    ///
    /// # Errors
    /// A slice has another size.
    pub fn step(&mut self, us: &[T], ys: &mut [T]) -> Result<()> {
        let expected = self.batch() * self.coefficients.dim;
        if us.len() != expected || ys.len() != expected {
            bail!(
                "ScanCell::step: us has {} values and ys {}, expected {} x {}",
                us.len(),
                ys.len(),
                self.batch(),
                self.coefficients.dim
            );
        }
        dispatch(Step { cell: self, us, ys });
        Ok(())
    }

    /// The state after the last step, `[batch, dim, n, 2]`.
    ///
    /// # Errors
    /// candle cannot make the tensor.
    pub fn state(&self) -> Result<Tensor> {
        let Coefficients { dim, n, .. } = self.coefficients;
        let row = dim * n * 2;
        let mut out = vec![T::ZERO; self.batch() * row];
        let rows = self.states.chunks_exact(self.coefficients.states());
        for (states, out) in rows.zip(out.chunks_exact_mut(row)) {
            self.coefficients.store_state(states, out);
        }
        tensor(out, (self.batch(), dim, n, 2))
    }
}

struct Step<'a, T> {
    cell: &'a mut ScanCell<T>,
    us: &'a [T],
    ys: &'a mut [T],
}

impl<T: Real> Kernel for Step<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(self) {
        let ScanCell { coefficients, states } = self.cell;
        let rows = states.chunks_exact_mut(coefficients.states());
        let steps = self.us.chunks_exact(coefficients.dim).zip(self.ys.chunks_exact_mut(coefficients.dim));
        for (states, (us, ys)) in rows.zip(steps) {
            coefficients.step::<A>(us, states, ys);
        }
    }
}
