//! A short causal convolution of each channel by itself, with SiLU on its output: what stands before the selective scan.
//!
//! Source: Gu and Dao 2023, "Mamba: Linear-time sequence modeling with selective state spaces", section 3.4, after the
//! shift of Fu et al. 2023, "Hungry Hungry Hippos": `y_t = silu(Σ_j w_j ⊙ x_{t−K+1+j} + b)`. The backward pass computes the sums
//! again, so that nothing is kept but the inputs.

use crate::isa::{Arith, Kernel, dispatch};
use crate::parallel;
use crate::plumbing::{expect_dtype, expect_shape, fused, room, tensor, with_all, with_values};
use crate::real::Real;
use crate::reference;
use crate::rows::combine;
use crate::tape::{self, Reverse};
use crate::vector::{Vector, load, store};
use candle_core::{DType, Result, Tensor, bail};

/// Convolves `xs` `[batch, time, dim]` with `weight` `[dim, K]` and `bias` `[dim]`, where `past` `[batch, K − 1, dim]` are
/// the inputs before the first, and applies SiLU. The weight's last column meets the present input.
///
/// Returns the outputs `[batch, time, dim]` and the last K − 1 inputs before each row's own end, shaped like `past`: after
/// `lengths[row]` steps, or the whole time where `lengths` is absent. Differentiable in all tensors.
///
/// # Errors
/// Shapes or types disagree, or a length exceeds the time; the message names the argument.
pub fn short_convolution(
    xs: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    past: &Tensor,
    lengths: Option<&[usize]>,
) -> Result<(Tensor, Tensor)> {
    let sizes = check(xs, weight, bias, past, lengths)?;
    let lengths = lengths.map_or_else(|| vec![sizes.time; sizes.batch], <[usize]>::to_vec);
    let mut operands = [xs, weight, bias, past].map(Clone::clone);
    for operand in &mut operands {
        *operand = operand.contiguous()?;
    }
    if !fused(xs) || tape::wants_graph(&operands) {
        return reference::short_convolution(xs, weight, bias, past, Some(&lengths));
    }
    match xs.dtype() {
        DType::F64 => run::<f64>(&operands, sizes, lengths),
        _ => run::<f32>(&operands, sizes, lengths),
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    pub(crate) time: usize,
    pub(crate) dim: usize,
    /// K
    pub(crate) taps: usize,
}

pub(crate) fn check(
    xs: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    past: &Tensor,
    lengths: Option<&[usize]>,
) -> Result<Sizes> {
    const NAME: &str = "short_convolution";
    let (dim, taps) = match *weight.dims() {
        [dim, taps] if taps > 0 => (dim, taps),
        _ => bail!("{NAME}: weight is {:?}, expected [dim, K] with K > 0", weight.dims()),
    };
    let &[batch, time, width] = xs.dims() else {
        bail!("{NAME}: xs is {:?}, expected [batch, time, {dim}]", xs.dims());
    };
    if width != dim {
        bail!("{NAME}: xs is {:?}, but weight is {:?}", xs.dims(), weight.dims());
    }
    expect_shape(NAME, "bias", bias, &[dim])?;
    expect_shape(NAME, "past", past, &[batch, taps - 1, dim])?;
    for (argument, tensor) in [("weight", weight), ("bias", bias), ("past", past)] {
        expect_dtype(NAME, argument, tensor, xs)?;
    }
    match lengths {
        Some(lengths) if lengths.len() != batch => {
            bail!("{NAME}: {} lengths for a batch of {batch}", lengths.len());
        }
        Some(lengths) if lengths.iter().any(|length| *length > time) => {
            bail!("{NAME}: a length exceeds the {time} steps of xs");
        }
        _ => Ok(Sizes { batch, time, dim, taps }),
    }
}

fn run<T: Real>(operands: &[Tensor; 4], sizes: Sizes, lengths: Vec<usize>) -> Result<(Tensor, Tensor)> {
    let [xs, weight, bias, past] = operands;
    let (mut ys, mut last) = (room(xs.elem_count()), room(past.elem_count()));
    with_all::<T, _, 4>([xs, weight, bias, past], |[xs, weight, bias, past]| {
        let weight = &transposed(weight, sizes);
        let row = sizes.time * sizes.dim;
        parallel::over_rows(&mut ys, row, sizes.batch, 8 * xs.len(), |first, count, ys| {
            for (index, ys) in ys.chunks_exact_mut(row.max(1)).enumerate().take(count) {
                let line = Line::of(xs, past, first + index, sizes);
                dispatch(Forward { line, weight, bias, ys, activated: true });
            }
        });
        for (row, length) in lengths.iter().enumerate() {
            let line = Line::of(xs, past, row, sizes);
            let kept = sizes.taps - 1;
            for (at, to) in last[row * kept * sizes.dim..].chunks_exact_mut(sizes.dim).enumerate().take(kept)
            {
                to.copy_from_slice(line.input(length + at));
            }
        }
        Ok(())
    })?;
    if !tape::records(&operands.each_ref()) {
        return Ok((tensor(ys, xs.shape())?, tensor(last, past.shape())?));
    }
    let ys = tape::result(T::to_cpu_storage_owned(ys), xs.shape())?;
    let last = tape::result(T::to_cpu_storage_owned(last), past.shape())?;
    tape::note(
        Convolution::<T> { sizes, lengths, number: std::marker::PhantomData },
        &operands.each_ref(),
        &[&ys, &last],
    );
    Ok((ys, last))
}

/// The weight as `[K, dim]`, so that a tap's weights stand side by side.
fn transposed<T: Real>(weight: &[T], Sizes { dim, taps, .. }: Sizes) -> Vec<T> {
    (0..taps).flat_map(|tap| weight[tap..].iter().step_by(taps).take(dim).copied()).collect()
}

/// One sequence with what came before it.
#[derive(Clone, Copy)]
struct Line<'a, T> {
    /// `[time, dim]`
    xs: &'a [T],
    /// `[K − 1, dim]`
    past: &'a [T],
    dim: usize,
    taps: usize,
}

impl<'a, T> Line<'a, T> {
    fn of(xs: &'a [T], past: &'a [T], row: usize, sizes: Sizes) -> Self {
        let Sizes { time, dim, taps, .. } = sizes;
        let kept = (taps - 1) * dim;
        Line { xs: &xs[row * time * dim..][..time * dim], past: &past[row * kept..][..kept], dim, taps }
    }

    /// Input number `at`, counted from the first of the past.
    #[inline(always)]
    fn input(self, at: usize) -> &'a [T] {
        match at.checked_sub(self.taps - 1) {
            Some(step) => &self.xs[step * self.dim..][..self.dim],
            None => &self.past[at * self.dim..][..self.dim],
        }
    }
}

struct Forward<'a, T> {
    line: Line<'a, T>,
    /// `[K, dim]`
    weight: &'a [T],
    bias: &'a [T],
    /// `[time, dim]`
    ys: &'a mut [T],
    /// Whether SiLU is applied.
    activated: bool,
}

impl<T: Real> Kernel for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(self) {
        let Forward { line, weight, bias, ys, activated } = self;
        let lanes = A::Vector::<T>::LANES;
        let whole = line.dim - line.dim % lanes;
        for (step, y) in ys.chunks_exact_mut(line.dim.max(1)).enumerate() {
            for at in (0..whole).step_by(lanes) {
                let mut sum = load::<A::Vector<T>>(bias, at);
                for tap in 0..line.taps {
                    sum = load::<A::Vector<T>>(line.input(step + tap), at)
                        .fma(load(weight, tap * line.dim + at), sum);
                }
                store(if activated { silu::<T, A::Vector<T>>(sum) } else { sum }, y, at);
            }
            if whole < line.dim {
                let part = |values: &[T]| A::Vector::<T>::load_part(&values[whole..]);
                let mut sum = part(bias);
                for tap in 0..line.taps {
                    sum = part(line.input(step + tap)).fma(part(&weight[tap * line.dim..][..line.dim]), sum);
                }
                let value = if activated { silu::<T, A::Vector<T>>(sum) } else { sum };
                value.store_part(&mut y[whole..]);
            }
        }
    }
}

#[inline(always)]
fn silu<T: Real, V: Vector<Number = T>>(x: V) -> V {
    x * T::logistic_each(x)
}

struct Convolution<T> {
    sizes: Sizes,
    lengths: Vec<usize>,
    number: std::marker::PhantomData<T>,
}

/// Gradients of one sequence.
struct Backward<'a, T> {
    line: Line<'a, T>,
    weight: &'a [T],
    /// `[time, dim]`: the sums before SiLU; they become their gradients.
    sums: &'a mut [T],
    ys_grad: &'a [T],
    /// Of all inputs, the past's first, `[K − 1 + time, dim]`, zeros or what they have already.
    inputs: &'a mut [T],
    /// `[K + 1, dim]`: the weight's, tap by tap, and the bias's are added.
    parameters: &'a mut [T],
}

impl<T: Real> Kernel for Backward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(self) {
        let Backward { line, weight, sums, ys_grad, inputs, parameters } = self;
        let Line { dim, taps, .. } = line;
        let one = A::Vector::<T>::splat(T::ONE);
        let lanes = A::Vector::<T>::LANES;
        let time = sums.len() / dim.max(1);
        let mut at = 0;
        while at < dim {
            let count = lanes.min(dim - at);
            let part = |row: &[T]| -> A::Vector<T> {
                if count == lanes { load(row, at) } else { A::Vector::<T>::load_part(&row[at..]) }
            };
            for step in 0..time {
                let here = step * dim..(step + 1) * dim;
                let sum = part(&sums[here.clone()]);
                let gate = T::logistic_each(sum);
                let slope = gate * sum.fma(one - gate, one);
                let grad = part(&ys_grad[here.clone()]) * slope;
                put(grad, &mut sums[here], at, count);
                for tap in 0..taps {
                    let of_input = &mut inputs[(step + tap) * dim..][..dim];
                    let through = grad.fma(part(&weight[tap * dim..][..dim]), part(of_input));
                    put(through, of_input, at, count);
                    let of_weight = &mut parameters[tap * dim..][..dim];
                    let weighed = grad.fma(part(line.input(step + tap)), part(of_weight));
                    put(weighed, of_weight, at, count);
                }
                let of_bias = &mut parameters[taps * dim..][..dim];
                let total = part(of_bias) + grad;
                put(total, of_bias, at, count);
            }
            at += count;
        }
    }
}

#[inline(always)]
fn put<V: Vector>(value: V, row: &mut [V::Number], at: usize, count: usize) {
    if count == V::LANES { store(value, row, at) } else { value.store_part(&mut row[at..]) }
}

impl<T: Real> Convolution<T> {
    /// Of xs, weight, bias and past.
    fn backward(
        &self,
        [xs, weight, bias, past]: [&[T]; 4],
        ys_grad: Option<&[T]>,
        last_grad: Option<&[T]>,
    ) -> [Vec<T>; 4] {
        let Sizes { batch, time, dim, taps } = self.sizes;
        let (kept, row) = ((taps - 1) * dim, time * dim);
        let weight = &transposed(weight, self.sizes);
        let each = (taps + 1) * dim;
        let mut all = vec![T::ZERO; batch * (kept + row)];
        let mut partial = vec![T::ZERO; batch * each];
        let items: Vec<_> =
            all.chunks_exact_mut((kept + row).max(1)).zip(partial.chunks_exact_mut(each)).collect();
        let work = |(index, (inputs, parameters)): (usize, (&mut [T], &mut [T]))| {
            // The last inputs were handed out as they are.
            if let Some(last) = last_grad {
                let from = self.lengths[index] * dim;
                let sums = inputs[from..from + kept].iter_mut().zip(&last[index * kept..]);
                sums.for_each(|(sum, grad)| *sum += *grad);
            }
            let Some(ys_grad) = ys_grad else { return };
            let line = Line::of(xs, past, index, self.sizes);
            let mut sums = room(row);
            dispatch(Forward { line, weight, bias, ys: &mut sums, activated: false });
            let ys_grad = &ys_grad[index * row..][..row];
            dispatch(Backward { line, weight, sums: &mut sums, ys_grad, inputs, parameters });
        };
        let items: Vec<_> = items.into_iter().enumerate().collect();
        if parallel::parts(batch, 16 * xs.len()) > 1 {
            parallel::each(items, work);
        } else {
            items.into_iter().for_each(work);
        }
        let mut parameters = combine(&partial, each);
        let of_bias = parameters.split_off(taps * dim);
        let by_tap = parameters;
        let of_weight = (0..dim).flat_map(|channel| by_tap[channel..].iter().step_by(dim).copied()).collect();
        let (mut of_xs, mut of_past) = (Vec::with_capacity(batch * row), Vec::with_capacity(batch * kept));
        for all in all.chunks_exact((kept + row).max(1)) {
            of_past.extend_from_slice(&all[..kept]);
            of_xs.extend_from_slice(&all[kept..]);
        }
        [of_xs, of_weight, of_bias, of_past]
    }
}

impl<T: Real> Reverse for Convolution<T> {
    fn reverse(
        &self,
        operands: &[Tensor],
        _: &[Tensor],
        gradients: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>> {
        let [xs, weight, bias, past] = operands else {
            bail!("short_convolution: {} operands", operands.len());
        };
        // An absent gradient lends nothing; something must stand in its place.
        let lent = [0, 1].map(|which| gradients[which].as_ref().unwrap_or(bias));
        let found = with_all::<T, _, 6>([xs, weight, bias, past, lent[0], lent[1]], |values| {
            let [xs, weight, bias, past, ys_grad, last_grad] = values;
            let given = |which: usize, values| gradients[which].as_ref().map(|_| values);
            Ok(self.backward([xs, weight, bias, past], given(0, ys_grad), given(1, last_grad)))
        })?;
        let shapes = [xs, weight, bias, past];
        found.into_iter().zip(shapes).map(|(values, of)| tensor(values, of.shape()).map(Some)).collect()
    }
}

/// [`short_convolution`] one token at a time, on plain slices: equal to it bit for bit; allocates nothing a step.
#[derive(Clone, Debug)]
pub struct ConvolutionCell<T> {
    /// `[K, dim]`
    weight: Vec<T>,
    bias: Vec<T>,
    /// `[batch, K − 1, dim]`, the oldest first.
    past: Vec<T>,
    batch: usize,
    dim: usize,
    taps: usize,
}

impl<T: Real> ConvolutionCell<T> {
    /// Takes over weight `[dim, K]` and bias `[dim]`, and continues from `past` `[batch, K − 1, dim]`.
    ///
    /// # Errors
    /// Shapes do not fit together, or the tensors are not CPU tensors of type `T`.
    pub fn new(weight: &Tensor, bias: &Tensor, past: &Tensor) -> Result<Self> {
        let (batch, dim) = (past.dim(0)?, weight.dim(0)?);
        let nothing = Tensor::zeros((batch, 0, dim), past.dtype(), past.device())?;
        let sizes = check(&nothing, weight, bias, past, None)?;
        Ok(ConvolutionCell {
            weight: with_values(weight, |weight| Ok(transposed(weight, sizes)))?,
            bias: with_values(bias, |bias| Ok(bias.to_vec()))?,
            past: with_values(past, |past| Ok(past.to_vec()))?,
            batch,
            dim,
            taps: sizes.taps,
        })
    }

    /// Reads `x` `[batch, dim]` and writes `y` `[batch, dim]`. Panics where a slice is shorter.
    pub fn step(&mut self, x: &[T], y: &mut [T]) {
        let (dim, taps) = (self.dim, self.taps);
        let kept = (taps - 1) * dim;
        for row in 0..self.batch {
            let (xs, ys) = (&x[row * dim..][..dim], &mut y[row * dim..][..dim]);
            let past = &mut self.past[row * kept..][..kept];
            let line = Line { xs, past, dim, taps };
            dispatch(Forward { line, weight: &self.weight, bias: &self.bias, ys, activated: true });
            if kept > 0 {
                past.copy_within(dim.., 0);
                past[kept - dim..].copy_from_slice(xs);
            }
        }
    }

    /// The last K − 1 inputs, `[batch, K − 1, dim]`.
    pub fn past(&self) -> &[T] {
        &self.past
    }
}
