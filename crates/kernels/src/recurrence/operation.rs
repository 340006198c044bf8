//! A recurrence as one operation: operands xs, the four parameters and the states, results the outputs and the
//! states after each row's own last step.

use super::{Gating, Parameters, Sizes, backward, block, forward, widths};
use crate::isa::dispatch;
use crate::parallel;
use crate::plumbing::{operand, room, tensor, with_all};
use crate::real::Real;
use crate::rows::combine;
use crate::tape::{self, Reverse};
use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};
use std::sync::OnceLock;

/// Runs a recurrence whose arguments have been checked. Returns the outputs `[batch, time, hidden]` and the
/// states `h` and `c`; a recurrence of one state is given, and returns, a `c` of no width.
pub(super) fn apply<G: Gating>(
    gating: G,
    sizes: Sizes,
    xs: &Tensor,
    parameters: &Parameters<'_>,
    states: [&Tensor; 2],
    lengths: Option<&[usize]>,
) -> Result<[Tensor; 3]> {
    match xs.dtype() {
        DType::F32 => run::<G, f32>(gating, sizes, xs, parameters, states, lengths),
        _ => run::<G, f64>(gating, sizes, xs, parameters, states, lengths),
    }
}

fn run<G: Gating, T: Real>(
    gating: G,
    sizes: Sizes,
    xs: &Tensor,
    parameters: &Parameters<'_>,
    [h0, c0]: [&Tensor; 2],
    lengths: Option<&[usize]>,
) -> Result<[Tensor; 3]> {
    let Parameters { w_ih, w_hh, b_ih, b_hh } = *parameters;
    let operands = [xs, w_ih, w_hh, b_ih, b_hh, h0, c0];
    let operation = Operation {
        gating,
        sizes,
        lengths: lengths.map(<[usize]>::to_vec),
        needs_xs: xs.track_op(),
        kept: OnceLock::new(),
    };
    let shapes = operation.shapes();
    if tape::records(&operands) {
        let operands = contiguous(operands)?;
        let found = with_all::<T, _, 7>(operands.each_ref(), |values| Ok(operation.forward(values, true)))?;
        let [ys, h, c] = [found.ys, found.h, found.c].map(T::to_cpu_storage_owned);
        let results = [
            tape::result(ys, shapes[0].clone())?,
            tape::result(h, shapes[1].clone())?,
            tape::result(c, shapes[2].clone())?,
        ];
        let _ = operation.kept.set(found.kept);
        tape::note(operation, &operands.each_ref(), &results.each_ref());
        return Ok(results);
    }
    if operands.iter().any(|operand| operand.track_op()) {
        return in_graph(operation, operands);
    }
    let found = with_all::<T, _, 7>(operands, |values| Ok(operation.forward(values, false)))?;
    let [ys, h, c] = shapes;
    Ok([tensor(found.ys, ys)?, tensor(found.h, h)?, tensor(found.c, c)?])
}

fn contiguous(operands: [&Tensor; 7]) -> Result<[Tensor; 7]> {
    let mut found = operands.map(Clone::clone);
    for operand in &mut found {
        *operand = operand.contiguous()?;
    }
    Ok(found)
}

/// An operation of candle's has three operands and one result: parameters and states go in packed, and the
/// result is cut.
fn in_graph<G: Gating, T: Real>(operation: Operation<G, T>, operands: [&Tensor; 7]) -> Result<[Tensor; 3]> {
    let pack = |tensors: &[&Tensor]| {
        let flat = tensors.iter().map(|tensor| tensor.flatten_all()).collect::<Result<Vec<_>>>()?;
        Tensor::cat(&flat, 0)
    };
    let [xs, w_ih, w_hh, b_ih, b_hh, h0, c0] = operands;
    let shapes = operation.shapes();
    let (parameters, states) = (pack(&[w_ih, w_hh, b_ih, b_hh])?, pack(&[h0, c0])?);
    let out = xs.contiguous()?.apply_op3(&parameters, &states, operation)?;
    let mut first = 0;
    let mut cut = |shape: Shape| {
        let part = out.narrow(0, first, shape.elem_count())?;
        first += shape.elem_count();
        part.reshape(shape)
    };
    let [ys, h, c] = shapes;
    Ok([cut(ys)?, cut(h)?, cut(c)?])
}

struct Operation<G, T> {
    gating: G,
    sizes: Sizes,
    lengths: Option<Vec<usize>>,
    /// Whether the gradient of xs is asked for.
    needs_xs: bool,
    /// Filled by the forward pass and kept as long as the graph, so that backward can run more than once.
    kept: OnceLock<Kept<T>>,
}

/// What backward needs besides operands and outputs, block by block: see [`forward::Kept`].
struct Kept<T> {
    gates: Vec<T>,
    cells: Vec<T>,
}

struct Found<T> {
    ys: Vec<T>,
    h: Vec<T>,
    c: Vec<T>,
    kept: Kept<T>,
}

/// Gradients of xs (where asked for), w_ih, w_hh, either bias, h0 and c0.
struct Gradients<T> {
    xs: Option<Vec<T>>,
    w_ih: Vec<T>,
    w_hh: Vec<T>,
    b_ih: Vec<T>,
    b_hh: Vec<T>,
    h0: Vec<T>,
    c0: Vec<T>,
}

impl<G: Gating, T: Real> Operation<G, T> {
    /// Of outputs, `h` and `c`.
    fn shapes(&self) -> [Shape; 3] {
        let Sizes { batch, time, hidden, .. } = self.sizes;
        let cell = (G::STATES - 1) * hidden;
        [(batch, time, hidden).into(), (batch, hidden).into(), (batch, cell).into()]
    }

    /// Blocks as `(first row, rows)`, and in how many parts they run.
    fn blocks(&self, threads_worth: usize) -> (usize, bool) {
        let Sizes { batch, hidden, .. } = self.sizes;
        let rows = block::rows(batch, G::GATES * hidden * hidden * size_of::<T>());
        (rows, parallel::parts(batch.div_ceil(rows), threads_worth) > 1)
    }

    fn forward(&self, [xs, w_ih, w_hh, b_ih, b_hh, h0, c0]: [&[T]; 7], keep: bool) -> Found<T> {
        let Sizes { batch, time, input, hidden } = self.sizes;
        let (width, cell) = (G::GATES * hidden, (G::STATES - 1) * hidden);
        let weights = forward::Weights::new::<G>([w_ih, w_hh, b_ih, b_hh], input, hidden);
        let (rows, parallel) = self.blocks(batch * time * width * (input + hidden));
        let kept_gates = if keep && G::KEEPS { time * width } else { 0 };
        let kept_cells = if keep { time * cell } else { 0 };
        let mut found = Found {
            ys: room(batch * time * hidden),
            h: room(batch * hidden),
            c: room(batch * cell),
            kept: Kept { gates: room(batch * kept_gates), cells: room(batch * kept_cells) },
        };
        let mut ys = found.ys.chunks_mut(rows * time * hidden);
        let mut h = found.h.chunks_mut(rows * hidden);
        let mut c = cut(&mut found.c, rows * cell);
        let mut gates = cut(&mut found.kept.gates, rows * kept_gates);
        let mut cells = cut(&mut found.kept.cells, rows * kept_cells);
        let mut blocks = Vec::new();
        for first in (0..batch).step_by(rows) {
            let count = rows.min(batch - first);
            let (Some(ys), Some(h)) = (ys.next(), h.next()) else { break };
            blocks.push(forward::Block {
                gating: self.gating,
                sizes: Sizes { batch: count, ..self.sizes },
                weights: &weights,
                xs: &xs[first * time * input..][..count * time * input],
                h0: &h0[first * hidden..][..count * hidden],
                c0: &c0[first * cell..][..count * cell],
                lengths: self.lengths.as_deref().map(|lengths| &lengths[first..first + count]),
                ys,
                h,
                c: c.next().unwrap_or_default(),
                kept: keep.then(|| forward::Kept {
                    gates: gates.next().unwrap_or_default(),
                    cells: cells.next().unwrap_or_default(),
                }),
            });
        }
        drop((ys, h, c, gates, cells));
        run_all(blocks, parallel);
        found
    }

    /// `upstream` holds the gradients of outputs, `h` and `c`, where there are any.
    fn backward(
        &self,
        [xs, w_ih, w_hh, h0, c0]: [&[T]; 5],
        ys: &[T],
        kept: &Kept<T>,
        upstream: [Option<&[T]>; 3],
    ) -> Gradients<T> {
        let Sizes { batch, time, input, hidden } = self.sizes;
        let ([width, from_input, from_state], cell) = (widths::<G>(hidden), (G::STATES - 1) * hidden);
        let weights = backward::Weights::new::<G>(w_ih, w_hh, input, hidden);
        let (rows, parallel) = self.blocks(2 * batch * time * width * (input + hidden));
        let given = |which: usize, len: usize| match upstream[which] {
            Some(values) => values.to_vec(),
            None => vec![T::ZERO; len],
        };
        let (mut dh, mut dc) = (given(1, batch * hidden), given(2, batch * cell));
        let mut dxs = self.needs_xs.then(|| room(batch * time * input));
        let each = from_input * input + from_state * hidden + width;
        let mut partial = vec![T::ZERO; batch.div_ceil(rows) * each];
        let mut dh_parts = dh.chunks_mut(rows * hidden);
        let mut dc_parts = cut(&mut dc, rows * cell);
        let mut dxs_parts = dxs.as_mut().map(|dxs| cut(dxs, rows * time * input));
        let mut partials = partial.chunks_mut(each.max(1));
        let (kept_gates, kept_cells) = (if G::KEEPS { time * width } else { 0 }, time * cell);
        let mut blocks = Vec::new();
        for first in (0..batch).step_by(rows) {
            let count = rows.min(batch - first);
            let (Some(dh), Some(dweights)) = (dh_parts.next(), partials.next()) else { break };
            blocks.push(backward::Block {
                gating: self.gating,
                sizes: Sizes { batch: count, ..self.sizes },
                weights: &weights,
                xs: &xs[first * time * input..][..count * time * input],
                h0: &h0[first * hidden..][..count * hidden],
                c0: &c0[first * cell..][..count * cell],
                lengths: self.lengths.as_deref().map(|lengths| &lengths[first..first + count]),
                ys: &ys[first * time * hidden..][..count * time * hidden],
                gates: &kept.gates[first * kept_gates..][..count * kept_gates],
                cells: &kept.cells[first * kept_cells..][..count * kept_cells],
                ys_gradient: upstream[0].map(|g| &g[first * time * hidden..][..count * time * hidden]),
                dh,
                dc: dc_parts.next().unwrap_or_default(),
                dxs: dxs_parts.as_mut().and_then(Iterator::next),
                dweights,
            });
        }
        drop((dh_parts, dc_parts, dxs_parts, partials));
        run_all(blocks, parallel);
        let mut w_ih = combine(&partial, each);
        let mut w_hh = w_ih.split_off(from_input * input);
        let mut b_ih = w_hh.split_off(from_state * hidden);
        let alone = G::RECURRENT * hidden;
        let b_hh = b_ih[alone..].to_vec();
        b_ih.truncate(from_input);
        // Back to the order of the parameters.
        w_ih.rotate_left(alone * input);
        b_ih.rotate_left(alone);
        Gradients { xs: dxs, w_ih, w_hh, b_ih, b_hh, h0: dh, c0: dc }
    }
}

/// Pieces of `len`; of an empty slice none.
fn cut<T>(values: &mut [T], len: usize) -> std::slice::ChunksMut<'_, T> {
    values.chunks_mut(len.max(1))
}

fn run_all<K: crate::isa::Kernel<Output = ()> + Send>(blocks: Vec<K>, parallel: bool) {
    if parallel {
        parallel::each(blocks, dispatch);
    } else {
        blocks.into_iter().for_each(dispatch);
    }
}

impl<G: Gating, T: Real> Reverse for Operation<G, T> {
    fn reverse(
        &self,
        operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>> {
        let Some(kept) = self.kept.get() else { bail!("{}: backward without a forward", G::NAME) };
        let [xs, w_ih, w_hh, b_ih, b_hh, h0, c0] = operands else {
            bail!("{}: {} operands", G::NAME, operands.len());
        };
        // An absent gradient lends nothing; something must stand in its place.
        let lent = |which: usize| gradients[which].as_ref().unwrap_or(b_ih);
        let tensors = [xs, w_ih, w_hh, h0, c0, &results[0], lent(0), lent(1), lent(2)];
        let found = with_all::<T, _, 9>(tensors, |[xs, w_ih, w_hh, h0, c0, ys, g0, g1, g2]| {
            let upstream = [(0, g0), (1, g1), (2, g2)].map(|(which, g)| gradients[which].as_ref().map(|_| g));
            Ok(self.backward([xs, w_ih, w_hh, h0, c0], ys, kept, upstream))
        })?;
        Ok(vec![
            found.xs.map(|values| tensor(values, xs.shape())).transpose()?,
            Some(tensor(found.w_ih, w_ih.shape())?),
            Some(tensor(found.w_hh, w_hh.shape())?),
            Some(tensor(found.b_ih, b_ih.shape())?),
            Some(tensor(found.b_hh, b_hh.shape())?),
            Some(tensor(found.h0, h0.shape())?),
            Some(tensor(found.c0, c0.shape())?),
        ])
    }
}

impl<G: Gating, T: Real> Operation<G, T> {
    /// The packed parameters, cut.
    fn unpack<'a>(&self, parameters: &'a [T], states: &'a [T]) -> [&'a [T]; 6] {
        let Sizes { batch, input, hidden, .. } = self.sizes;
        let [_, from_input, from_state] = widths::<G>(hidden);
        let (w_ih, rest) = parameters.split_at(from_input * input);
        let (w_hh, biases) = rest.split_at(from_state * hidden);
        let (b_ih, b_hh) = biases.split_at(from_input);
        let (h0, c0) = states.split_at(batch * hidden);
        [w_ih, w_hh, b_ih, b_hh, h0, c0]
    }
}

impl<G: Gating, T: Real> CustomOp3 for Operation<G, T> {
    fn name(&self) -> &'static str {
        G::NAME
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        parameters: &CpuStorage,
        parameters_layout: &Layout,
        states: &CpuStorage,
        states_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let xs = operand(xs, xs_layout)?;
        let (parameters, states) = (operand(parameters, parameters_layout)?, operand(states, states_layout)?);
        let [w_ih, w_hh, b_ih, b_hh, h0, c0] = self.unpack(parameters, states);
        let Found { mut ys, h, c, kept } = self.forward([xs, w_ih, w_hh, b_ih, b_hh, h0, c0], true);
        if self.kept.set(kept).is_err() {
            bail!("{}: one operation was run forward twice", G::NAME);
        }
        ys.extend(h);
        ys.extend(c);
        let shape = Shape::from(ys.len());
        Ok((T::to_cpu_storage_owned(ys), shape))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        parameters: &Tensor,
        states: &Tensor,
        out: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Some(kept) = self.kept.get() else { bail!("{}: backward without a tracked forward", G::NAME) };
        let operands = [xs, parameters, states, out, upstream];
        let found = with_all::<T, _, 5>(operands, |[xs, parameters, states, out, upstream]| {
            let [w_ih, w_hh, _, _, h0, c0] = self.unpack(parameters, states);
            let [ys, h, _] = self.shapes().map(|shape| shape.elem_count());
            let (ys_gradient, rest) = upstream.split_at(ys);
            let (dh, dc) = rest.split_at(h);
            let upstream = [Some(ys_gradient), Some(dh), Some(dc)];
            Ok(self.backward([xs, w_ih, w_hh, h0, c0], &out[..ys], kept, upstream))
        })?;
        let packed = [found.w_ih, found.w_hh, found.b_ih, found.b_hh].concat();
        let dstates = [found.h0, found.c0].concat();
        Ok((
            found.xs.map(|values| tensor(values, xs.shape())).transpose()?,
            Some(tensor(packed, parameters.shape())?),
            Some(tensor(dstates, states.shape())?),
        ))
    }
}
