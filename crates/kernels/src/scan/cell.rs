//! The scan one token at a time, on plain slices, for decoders.

use super::coefficients::{Coefficients, ScanOutput};
use super::columns::Rows;
use super::forward::{Buffers, Piece};
use super::{ScanCoefficients, check};
use crate::plumbing::{tensor, with_values};
use crate::real::Real;
use crate::vector::Aligned;
use candle_core::{Result, Shape, Tensor, bail};

/// The recurrence of [`diagonal_scan`](super::diagonal_scan) with its state inside, advanced in place.
/// Its outputs and states equal the scan's bit for bit; a step allocates nothing.
#[derive(Clone, Debug)]
pub struct ScanCell<T> {
    coefficients: Coefficients<T>,
    output: ScanOutput,
    /// `[batch, n, parts, width]`
    states: Aligned<T>,
    buffers: Buffers<T>,
    /// Of the state's tensor.
    shape: Shape,
}

impl<T: Real> ScanCell<T> {
    /// A cell that continues from `state`, `[batch, dim, n, 2]` or, where coefficients are real, `[batch, dim, n]`.
    ///
    /// # Errors
    /// Shapes disagree, a tensor is not on the CPU or not of type `T`.
    pub fn new<P: ScanCoefficients>(parameters: &P, output: ScanOutput, state: &Tensor) -> Result<Self> {
        let (dim, n) = parameters.dims()?;
        let batch = state.dim(0)?;
        let us = Tensor::zeros((batch, 0, dim), state.dtype(), state.device())?;
        check(&us, parameters, state, None)?;
        let coefficients = with_values::<T, _>(&parameters.pack()?, |packed| {
            Ok(Coefficients::new(packed, dim, n, P::PARTS))
        })?;
        let mut states = Aligned::zeros(batch * coefficients.states());
        with_values::<T, _>(state, |state| {
            let rows = states.chunks_exact_mut(coefficients.states());
            for (states, row) in rows.zip(state.chunks_exact(dim * n * P::PARTS)) {
                coefficients.load_states(row, 0..dim, states);
            }
            Ok(())
        })?;
        let shape = state.shape().clone();
        Ok(ScanCell { coefficients, output, states, buffers: Buffers::new(), shape })
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
        let ScanCell { coefficients: k, output, states, buffers, .. } = self;
        let rows = states.chunks_exact_mut(k.states());
        for ((states, us), ys) in rows.zip(us.chunks_exact(k.dim)).zip(ys.chunks_exact_mut(k.dim)) {
            let us = Rows::of(us, 0, k.dim, 1, k.dim);
            let ys = Rows { start: ys.as_mut_ptr(), stride: k.dim };
            // SAFETY: both are one step of all channels, and the outputs are borrowed for this alone.
            #[allow(unsafe_code)]
            unsafe {
                Piece {
                    k,
                    output: *output,
                    channels: 0..k.dim,
                    us,
                    ys,
                    steps: 1,
                    far: false,
                    states,
                    buffers,
                }
                .run();
            }
        }
        Ok(())
    }

    /// The state after the last step, shaped as the one the cell began with.
    ///
    /// # Errors
    /// candle cannot make the tensor.
    pub fn state(&self) -> Result<Tensor> {
        let k = &self.coefficients;
        let row = k.dim * k.n * k.parts;
        let mut out = vec![T::ZERO; self.batch() * row];
        for (states, out) in self.states.chunks_exact(k.states()).zip(out.chunks_exact_mut(row)) {
            k.store_states(states, 0..k.dim, out);
        }
        tensor(out, &self.shape)
    }
}
