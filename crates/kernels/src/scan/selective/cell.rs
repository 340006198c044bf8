//! The selective scan one token at a time, on plain slices, for decoders.

use super::coefficients::{Coefficients, Sizes};
use super::forward::{Buffers, Inputs, Piece};
use super::{SelectiveInputs, SelectiveParameters, check};
use crate::plumbing::{tensor, with_all};
use crate::real::Real;
use crate::scan::columns::Rows;
use crate::vector::Aligned;
use candle_core::{Result, Shape, Tensor, bail};

/// The recurrence of [`selective_scan`](super::selective_scan) with its state inside, advanced in place.
/// Its outputs and states equal the scan's bit for bit; a step allocates nothing.
#[derive(Clone, Debug)]
pub struct SelectiveScanCell<T> {
    k: Coefficients<T>,
    /// `[batch, n, parts, width]`
    states: Aligned<T>,
    buffers: Buffers<T>,
    /// Of the state's tensor.
    shape: Shape,
}

impl<T: Real> SelectiveScanCell<T> {
    /// A cell that continues from `state`, `[batch, dim, n]` or, where A is complex, `[batch, dim, n, 2]`.
    ///
    /// # Errors
    /// Shapes disagree, a tensor is not on the CPU or not of type `T`.
    pub fn new(parameters: &SelectiveParameters, state: &Tensor) -> Result<Self> {
        let batch = state.dim(0)?;
        let (dim, n) = (parameters.a.dim(0)?, parameters.a.dim(1)?);
        let parts: &[usize] = if parameters.a.rank() == 3 { &[2] } else { &[] };
        let nothing = |shape: &[usize]| Tensor::zeros(shape, state.dtype(), state.device());
        let us = nothing(&[batch, 0, dim])?;
        let mix = nothing(&[&[batch, 0, n], parts].concat())?;
        let inputs = SelectiveInputs { delta: us.clone(), b: mix.clone(), c: mix };
        let sizes = check(&us, &inputs, parameters, state, None)?;
        let weights = Tensor::cat(&[&parameters.a.flatten_all()?, &parameters.d], 0)?;
        let mut states = Aligned::zeros(batch * sizes.planes());
        let k = with_all([&weights, state], |[weights, state]| {
            let rows = states.chunks_exact_mut(sizes.planes());
            for (states, row) in rows.zip(state.chunks_exact(sizes.states())) {
                sizes.load(row, 0..dim, states);
            }
            Ok(Coefficients::new(weights, sizes))
        })?;
        Ok(SelectiveScanCell { k, states, buffers: Buffers::new(), shape: state.shape().clone() })
    }

    /// Number of rows.
    pub fn batch(&self) -> usize {
        self.k.sizes.batch
    }

    /// Advances every row by one token: `us`, `deltas` and `ys` are `[batch, dim]`, `b` and `c` `[batch, n]` or
    /// `[batch, n, 2]`.
    ///
    /// # Errors
    /// A slice has another size.
    pub fn step(&mut self, us: &[T], deltas: &[T], b: &[T], c: &[T], ys: &mut [T]) -> Result<()> {
        let SelectiveScanCell { k, states, buffers, .. } = self;
        let sizes @ Sizes { batch, dim, .. } = k.sizes;
        let mixes = sizes.n * sizes.parts;
        for (name, found, each) in [
            ("us", us.len(), dim),
            ("deltas", deltas.len(), dim),
            ("b", b.len(), mixes),
            ("c", c.len(), mixes),
            ("ys", ys.len(), dim),
        ] {
            if found != batch * each {
                bail!("SelectiveScanCell::step: {name} has {found} values, expected {batch} x {each}");
            }
        }
        for (row, states) in states.chunks_exact_mut(sizes.planes()).enumerate() {
            let (wide, narrow) = (row * dim..(row + 1) * dim, row * mixes..(row + 1) * mixes);
            let inputs = Inputs {
                us: &us[wide.clone()],
                deltas: &deltas[wide.clone()],
                b: &b[narrow.clone()],
                c: &c[narrow],
            };
            for group in 0..sizes.groups() {
                let channels = sizes.group(group);
                let to = &mut ys[wide.clone()][channels.clone()];
                let ys = Rows { start: to.as_mut_ptr(), stride: dim };
                // SAFETY: the slice has one step of the group's channels and is borrowed for this alone.
                #[allow(unsafe_code)]
                unsafe {
                    Piece { k, channels, steps: 1, inputs, ys, states, buffers }.run();
                }
            }
        }
        Ok(())
    }

    /// The state after the last step, shaped as the one the cell began with.
    ///
    /// # Errors
    /// candle cannot make the tensor.
    pub fn state(&self) -> Result<Tensor> {
        let sizes = self.k.sizes;
        let mut out = vec![T::ZERO; sizes.batch * sizes.states()];
        let rows = self.states.chunks_exact(sizes.planes());
        for (states, out) in rows.zip(out.chunks_exact_mut(sizes.states())) {
            sizes.store(states, 0..sizes.dim, out);
        }
        tensor(out, &self.shape)
    }
}
