//! Cross entropy in nats and mean squared error, each averaged and row by row.
//!
//! Cross entropy is computed from logits as `log Σ exp(x − max x) + max x − x[target]`, so that no logit
//! overflows. The average over rows is accumulated in double precision in the order of the rows. The
//! backward pass recomputes from the input, so nothing is stored.

use crate::isa::{Arith, Kernel, dispatch};
use crate::plumbing::{fused, operand, tensor, with_values};
use crate::real::Real;
use crate::reference;
use crate::rows::{LANES, ROW_BLOCK, each_block, largest, sum};
use crate::tape;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};

/// Mean cross entropy in nats: `logits` `[n, classes]`, one target class a row; returns a scalar.
///
/// # Errors
/// The logits are not of rank 2 or empty, or the targets are not `n` classes below `classes`.
pub fn cross_entropy(logits: &Tensor, targets: &[u32]) -> Result<Tensor> {
    check_classes(logits, targets)?;
    if !fused(logits) {
        return reference::loss::cross_entropy_rows(logits, targets)?.mean_all();
    }
    averaged(logits, CrossEntropy { targets: targets.to_vec() })
}

/// Cross entropy of each row in nats: `logits` `[n, classes]`; returns `[n]`.
///
/// # Errors
/// As for [`cross_entropy`].
pub fn cross_entropy_rows(logits: &Tensor, targets: &[u32]) -> Result<Tensor> {
    check_classes(logits, targets)?;
    if !fused(logits) {
        return reference::loss::cross_entropy_rows(logits, targets);
    }
    by_row(logits, CrossEntropy { targets: targets.to_vec() })
}

/// Mean squared error: `predictions` `[n, d]`, `targets` of `n · d` values in row-major order; the mean over
/// both, a scalar.
///
/// # Errors
/// The predictions are not of rank 2 or empty, or there are not `n · d` targets.
pub fn mean_squared_error(predictions: &Tensor, targets: &[f32]) -> Result<Tensor> {
    check_values(predictions, targets)?;
    if !fused(predictions) {
        return reference::loss::mean_squared_error_rows(predictions, targets)?.mean_all();
    }
    averaged(predictions, SquaredError { targets: targets.to_vec() })
}

/// Squared error of each row, the mean over its `d` values: `predictions` `[n, d]`; returns `[n]`.
///
/// # Errors
/// As for [`mean_squared_error`].
pub fn mean_squared_error_rows(predictions: &Tensor, targets: &[f32]) -> Result<Tensor> {
    check_values(predictions, targets)?;
    if !fused(predictions) {
        return reference::loss::mean_squared_error_rows(predictions, targets);
    }
    by_row(predictions, SquaredError { targets: targets.to_vec() })
}

fn matrix(name: &str, what: &str, xs: &Tensor) -> Result<(usize, usize)> {
    match xs.dims() {
        &[n, width] if n > 0 && width > 0 => Ok((n, width)),
        _ => bail!("{name}: {what} must be a matrix that is not empty, got {:?}", xs.shape()),
    }
}

fn check_classes(logits: &Tensor, targets: &[u32]) -> Result<()> {
    let (n, classes) = matrix("cross_entropy", "logits", logits)?;
    if targets.len() != n {
        bail!("cross_entropy: {} targets for logits {:?}", targets.len(), logits.shape());
    }
    if let Some(row) = targets.iter().position(|&target| target as usize >= classes) {
        bail!("cross_entropy: target {} of row {row} is not one of {classes} classes", targets[row]);
    }
    Ok(())
}

fn check_values(predictions: &Tensor, targets: &[f32]) -> Result<()> {
    let (n, width) = matrix("mean_squared_error", "predictions", predictions)?;
    if targets.len() != n * width {
        bail!("mean_squared_error: {} targets for predictions {:?}", targets.len(), predictions.shape());
    }
    Ok(())
}

/// A loss that is a sum over rows, each depending on that row only.
trait RowLoss: Send + Sync + 'static {
    const NAME: &'static str;
    /// The loss of row `row`, whose values are `xs`.
    fn value<T: Real, A: Arith>(&self, row: usize, xs: &[T]) -> T;
    /// Writes `scale` times the gradient of that loss.
    fn gradient<T: Real, A: Arith>(&self, row: usize, xs: &[T], scale: T, out: &mut [T]);
}

struct CrossEntropy {
    targets: Vec<u32>,
}

impl RowLoss for CrossEntropy {
    const NAME: &'static str = "cross_entropy";

    #[inline(always)]
    fn value<T: Real, A: Arith>(&self, row: usize, xs: &[T]) -> T {
        let padded;
        let xs = if xs.len() < LANES {
            padded = filled_up(xs);
            &padded
        } else {
            xs
        };
        let top = largest(xs);
        let total = exponentials::<T, A>(xs, top, |_, _| {});
        total.ln() + (top - xs[self.targets[row] as usize])
    }

    #[inline(always)]
    fn gradient<T: Real, A: Arith>(&self, row: usize, xs: &[T], scale: T, out: &mut [T]) {
        let padded;
        let xs = if xs.len() < LANES {
            padded = filled_up(xs);
            &padded
        } else {
            xs
        };
        let top = largest(xs);
        let width = out.len();
        let total = exponentials::<T, A>(xs, top, |at, found| {
            let count = found.len().min(width - at);
            out[at..at + count].copy_from_slice(&found[..count]);
        });
        let factor = scale / total;
        for out in out.iter_mut() {
            *out *= factor;
        }
        out[self.targets[row] as usize] -= scale;
    }
}

/// Fewer than [`LANES`] logits, filled up with −∞, whose exponential is 0: many rows are a few classes wide,
/// and one vector is cheaper than a loop over them.
#[inline(always)]
fn filled_up<T: Real>(xs: &[T]) -> [T; LANES] {
    let mut lanes = [T::NEG_INFINITY; LANES];
    for (lane, x) in lanes.iter_mut().zip(xs) {
        *lane = *x;
    }
    lanes
}

/// The sum of `exp(x − top)` over a row, in the chains of [`sum`](crate::rows::sum); `keep` gets the terms with the
/// place of the first. The end of a row is filled up with −∞.
#[inline(always)]
fn exponentials<T: Real, A: Arith>(xs: &[T], top: T, mut keep: impl FnMut(usize, &[T])) -> T {
    let mut chains = [T::ZERO; LANES];
    let mut add = |lanes: &mut [T; LANES]| {
        for (lane, chain) in lanes.iter_mut().zip(&mut chains) {
            *lane = (*lane - top).exp::<A>();
            *chain += *lane;
        }
    };
    let mut at = 0;
    while at + LANES <= xs.len() {
        let mut lanes = [T::ZERO; LANES];
        lanes.copy_from_slice(&xs[at..at + LANES]);
        add(&mut lanes);
        keep(at, &lanes);
        at += LANES;
    }
    if at < xs.len() {
        let mut lanes = filled_up(&xs[at..]);
        add(&mut lanes);
        keep(at, &lanes[..xs.len() - at]);
    }
    sum([&chains], |[chain]| chain)
}

struct SquaredError {
    targets: Vec<f32>,
}

impl RowLoss for SquaredError {
    const NAME: &'static str = "mean_squared_error";

    #[inline(always)]
    fn value<T: Real, A: Arith>(&self, row: usize, xs: &[T]) -> T {
        let targets = &self.targets[row * xs.len()..][..xs.len()];
        let mut total = T::ZERO;
        for (x, target) in xs.iter().zip(targets) {
            let error = *x - T::of(f64::from(*target));
            total = A::fma(error, error, total);
        }
        total / T::of(xs.len() as f64)
    }

    #[inline(always)]
    fn gradient<T: Real, A: Arith>(&self, row: usize, xs: &[T], scale: T, out: &mut [T]) {
        let targets = &self.targets[row * xs.len()..][..xs.len()];
        let factor = scale * T::of(2.0 / xs.len() as f64);
        for ((out, x), target) in out.iter_mut().zip(xs).zip(targets) {
            *out = factor * (*x - T::of(f64::from(*target)));
        }
    }
}

struct Values<'a, T, L> {
    loss: &'a L,
    first: usize,
    width: usize,
    xs: &'a [T],
    out: &'a mut [T],
}

impl<T: Real, L: RowLoss> Kernel for Values<'_, T, L> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        for (row, (out, xs)) in self.out.iter_mut().zip(self.xs.chunks_exact(self.width)).enumerate() {
            *out = self.loss.value::<T, A>(self.first + row, xs);
        }
    }
}

struct Gradients<'a, T, L> {
    loss: &'a L,
    first: usize,
    width: usize,
    xs: &'a [T],
    // One for each row, or one for all.
    scales: &'a [T],
    out: &'a mut [T],
}

impl<T: Real, L: RowLoss> Kernel for Gradients<'_, T, L> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        let rows = self.out.chunks_exact_mut(self.width).zip(self.xs.chunks_exact(self.width));
        for (row, (out, xs)) in rows.enumerate() {
            let row = self.first + row;
            self.loss.gradient::<T, A>(row, xs, self.scales[row.min(self.scales.len() - 1)], out);
        }
    }
}

fn values<T: Real, L: RowLoss>(loss: &L, xs: &[T], width: usize) -> Vec<T> {
    let mut out = vec![T::ZERO; xs.len() / width];
    each_block(&mut out, ROW_BLOCK, xs.len(), |index, out| {
        let first = index * ROW_BLOCK;
        dispatch(Values { loss, first, width, xs: &xs[first * width..][..out.len() * width], out });
    });
    out
}

fn gradients<T: Real, L: RowLoss>(loss: &L, xs: &Tensor, scales: &[T]) -> Result<Tensor> {
    let (_, width) = xs.dims2()?;
    let mut out = vec![T::ZERO; xs.elem_count()];
    with_values::<T, _>(xs, |xs| {
        each_block(&mut out, ROW_BLOCK * width, xs.len(), |index, out| {
            let first = index * ROW_BLOCK;
            let xs = &xs[first * width..][..out.len()];
            dispatch(Gradients { loss, first, width, xs, scales, out });
        });
        Ok(())
    })?;
    tensor(out, xs.shape())
}

fn averaged(xs: &Tensor, loss: impl RowLoss) -> Result<Tensor> {
    tape::apply1(&xs.contiguous()?, Averaged(loss))
}

fn by_row(xs: &Tensor, loss: impl RowLoss) -> Result<Tensor> {
    tape::apply1(&xs.contiguous()?, ByRow(loss))
}

struct Averaged<L>(L);

impl<L: RowLoss> Averaged<L> {
    fn forward<T: Real>(&self, xs: &CpuStorage, layout: &Layout) -> Result<CpuStorage> {
        let (n, width) = layout.shape().dims2()?;
        let total: f64 = values::<T, L>(&self.0, operand(xs, layout)?, width).into_iter().map(T::wide).sum();
        Ok(T::to_cpu_storage_owned(vec![T::of(total / n as f64)]))
    }

    fn backward<T: Real>(&self, xs: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let (n, _) = xs.dims2()?;
        with_values::<T, _>(grad, |grad| gradients(&self.0, xs, &[grad[0] / T::of(n as f64)]))
    }
}

impl<L: RowLoss> CustomOp1 for Averaged<L> {
    fn name(&self) -> &'static str {
        L::NAME
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mean = match xs {
            CpuStorage::F32(_) => self.forward::<f32>(xs, layout)?,
            _ => self.forward::<f64>(xs, layout)?,
        };
        Ok((mean, Shape::from(())))
    }

    fn bwd(&self, xs: &Tensor, _mean: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(match xs.dtype() {
            DType::F32 => self.backward::<f32>(xs, grad)?,
            _ => self.backward::<f64>(xs, grad)?,
        }))
    }
}

struct ByRow<L>(L);

impl<L: RowLoss> ByRow<L> {
    fn forward<T: Real>(&self, xs: &CpuStorage, layout: &Layout) -> Result<CpuStorage> {
        let (_, width) = layout.shape().dims2()?;
        Ok(T::to_cpu_storage_owned(values::<T, L>(&self.0, operand(xs, layout)?, width)))
    }

    fn backward<T: Real>(&self, xs: &Tensor, grads: &Tensor) -> Result<Tensor> {
        with_values::<T, _>(grads, |grads| gradients(&self.0, xs, grads))
    }
}

impl<L: RowLoss> CustomOp1 for ByRow<L> {
    fn name(&self) -> &'static str {
        L::NAME
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, _) = layout.shape().dims2()?;
        let losses = match xs {
            CpuStorage::F32(_) => self.forward::<f32>(xs, layout)?,
            _ => self.forward::<f64>(xs, layout)?,
        };
        Ok((losses, Shape::from(n)))
    }

    fn bwd(&self, xs: &Tensor, _losses: &Tensor, grads: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(match xs.dtype() {
            DType::F32 => self.backward::<f32>(xs, grads)?,
            _ => self.backward::<f64>(xs, grads)?,
        }))
    }
}
