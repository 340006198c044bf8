//! Long short-term memory.
//!
//! Source: S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997), with the
//! forget gate of F. Gers, J. Schmidhuber and F. Cummins, "Learning to forget" (2000); no peepholes.
//! `i, f, o = σ(…)`, `g = tanh(…)`, `c_t = f c_{t−1} + i g`, `h_t = o tanh(c_t)`, gates in the order
//! i, f, g, o.

use super::step::Cell;
use super::{Gating, Parameters, check, operation};
use crate::isa::Arith;
use crate::lanes::{LANES, each_lane};
use crate::plumbing::fused;
use crate::real::Real;
use crate::reference;
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
        let rows = h.chunks_exact_mut(hidden).zip(c.chunks_exact_mut(hidden));
        for (gates, (h, c)) in gates.chunks_exact_mut(4 * hidden).zip(rows) {
            let (i, rest) = gates.split_at_mut(hidden);
            let (f, rest) = rest.split_at_mut(hidden);
            let (g, o) = rest.split_at_mut(hidden);
            each_lane([], [i, f, g, o, c, h], |[], [mut i, mut f, mut g, mut o, mut c, mut h]| {
                // One function a loop, so that its constants stay in registers.
                for x in 0..LANES {
                    i[x] = i[x].sigmoid::<A>();
                }
                for x in 0..LANES {
                    f[x] = f[x].sigmoid::<A>();
                }
                for x in 0..LANES {
                    o[x] = o[x].sigmoid::<A>();
                }
                for x in 0..LANES {
                    g[x] = g[x].tanh::<A>();
                }
                for x in 0..LANES {
                    c[x] = A::fma(f[x], c[x], i[x] * g[x]);
                }
                for x in 0..LANES {
                    h[x] = o[x] * c[x].tanh::<A>();
                }
                [i, f, g, o, c, h]
            });
        }
    }

    #[inline(always)]
    fn backward<A: Arith, T: Real>(
        self,
        gates: &[T],
        [before, after]: [&[T]; 2],
        dh: &[T],
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
        let reads = [i, f, g, o, before, after, dh];
        each_lane(reads, [di, df, dg, d_o, dc], |[i, f, g, o, before, after, dh], [.., dc]| {
            let [mut squashed, mut dcell, mut carried] = [[T::ZERO; LANES]; 3];
            let [mut di, mut df, mut dg, mut d_o] = [[T::ZERO; LANES]; 4];
            for x in 0..LANES {
                squashed[x] = after[x].tanh::<A>();
            }
            for x in 0..LANES {
                dcell[x] = A::fma(dh[x] * o[x], T::ONE - squashed[x] * squashed[x], dc[x]);
            }
            for x in 0..LANES {
                carried[x] = dcell[x] * f[x];
            }
            for x in 0..LANES {
                di[x] = dcell[x] * g[x] * i[x] * (T::ONE - i[x]);
            }
            for x in 0..LANES {
                df[x] = dcell[x] * before[x] * f[x] * (T::ONE - f[x]);
            }
            for x in 0..LANES {
                dg[x] = dcell[x] * i[x] * (T::ONE - g[x] * g[x]);
            }
            for x in 0..LANES {
                d_o[x] = dh[x] * squashed[x] * o[x] * (T::ONE - o[x]);
            }
            [di, df, dg, d_o, carried]
        });
    }
}
