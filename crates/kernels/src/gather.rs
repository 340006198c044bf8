//! Selected rows of a matrix, and where their gradients go.
//!
//! Only the scored positions of a sequence reach the readout, so they are gathered before it. The backward
//! pass adds in the order of the selection: a row taken twice receives both gradients, always in that order.

use crate::isa::{Arith, Kernel, dispatch};
use crate::parallel::{each, over_rows, parts, split};
use crate::plumbing::{fused, operand, tensor, with_values};
use crate::real::Real;
use crate::reference;
use crate::rows::each_block;
use crate::tape;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};

/// The vectors at `(row, step)` of `ys`: `[batch, time, dim] -> [n, dim]`, in the order of `at`.
///
/// # Errors
/// `ys` is not of rank 3, `at` is empty, or a position lies outside `[batch, time]`.
pub fn gather_steps(ys: &Tensor, at: &[(usize, usize)]) -> Result<Tensor> {
    let Ok((batch, time, dim)) = ys.dims3() else {
        bail!("gather_steps: ys must be [batch, time, dim], got {:?}", ys.shape());
    };
    if at.is_empty() {
        bail!("gather_steps: no positions to gather");
    }
    if let Some((row, step)) = at.iter().find(|(row, step)| *row >= batch || *step >= time) {
        bail!("gather_steps: position ({row}, {step}) lies outside [batch {batch}, time {time}]");
    }
    let rows = at.iter().map(|(row, step)| row * time + step).collect();
    gather_rows(&tape::reshape(ys, (batch * time, dim))?, rows)
}

/// Rows of a matrix: `[rows, dim] -> [n, dim]`. The caller has checked the indices.
pub(crate) fn gather_rows(table: &Tensor, rows: Vec<usize>) -> Result<Tensor> {
    if !fused(table) {
        return reference::gather::gather_rows(table, &rows);
    }
    tape::apply1(&table.contiguous()?, GatherRows { rows })
}

struct GatherRows {
    rows: Vec<usize>,
}

/// Rows copied at a time.
const ROWS: usize = 256;
/// Columns a thread owns at least: a cache line, so that no two write to one.
const COLUMNS: usize = 16;

impl GatherRows {
    fn forward<T: Real>(&self, table: &[T], dim: usize) -> CpuStorage {
        let size = self.rows.len() * dim;
        let mut out = Vec::with_capacity(size);
        each_block(&mut out.spare_capacity_mut()[..size], ROWS * dim, size, |index, out| {
            let rows = &self.rows[index * ROWS..];
            for (row, out) in rows.iter().zip(out.chunks_exact_mut(dim.max(1))) {
                for (out, value) in out.iter_mut().zip(&table[row * dim..][..dim]) {
                    out.write(*value);
                }
            }
        });
        // SAFETY: blocks of `ROWS` rows cover all `size` elements, there is an index for each row, and each
        // row's `dim` elements were written.
        #[allow(unsafe_code)]
        unsafe {
            out.set_len(size);
        }
        T::to_cpu_storage_owned(out)
    }

    fn backward<T: Real>(&self, table: &Tensor, grads: &Tensor) -> Result<Tensor> {
        let (count, dim) = table.dims2()?;
        let out = with_values::<T, _>(grads, |grads| Ok(scatter(&self.rows, grads, count, dim)))?;
        tensor(out, table.shape())
    }
}

/// Adds each row of `grads` `[n, dim]` to the row of the result `[count, dim]` it was taken from. Each element
/// is one chain in the order of `rows`, however the work is split: few rows taken often are split by columns,
/// so that threads share the work whatever the rows are; otherwise by rows of the result.
fn scatter<T: Real>(rows: &[usize], grads: &[T], count: usize, dim: usize) -> Vec<T> {
    let mut out = vec![T::ZERO; count * dim];
    if grads.len() < 4 * out.len() {
        over_rows(&mut out, dim, count, grads.len(), |first, owned, out| {
            dispatch(AddRows { rows, grads, dim, columns: (0, dim), owned: (first, owned), out });
        });
        return out;
    }
    let lines = dim.div_ceil(COLUMNS);
    let owned = |(first, lines): (usize, usize)| {
        let first = first * COLUMNS;
        (first, (lines * COLUMNS).min(dim - first))
    };
    let mut parts: Vec<((usize, usize), Vec<T>)> = split(lines, parts(lines, grads.len()))
        .map(owned)
        .map(|columns| (columns, vec![T::ZERO; count * columns.1]))
        .collect();
    each(parts.iter_mut().collect(), |(columns, out)| {
        dispatch(AddRows { rows, grads, dim, columns: *columns, owned: (0, count), out });
    });
    for ((first, width), part) in parts {
        for (out, part) in out.chunks_exact_mut(dim).zip(part.chunks_exact(width)) {
            out[first..first + width].copy_from_slice(part);
        }
    }
    out
}

/// Adds some columns of the gradients whose rows lie in a range.
struct AddRows<'a, T> {
    rows: &'a [usize],
    grads: &'a [T],
    dim: usize,
    // First, and how many.
    columns: (usize, usize),
    owned: (usize, usize),
    // [owned rows, columns]
    out: &'a mut [T],
}

impl<T: Real> Kernel for AddRows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        let ((column, width), (first, count)) = (self.columns, self.owned);
        for (row, grad) in self.rows.iter().zip(self.grads.chunks_exact(self.dim.max(1))) {
            let Some(row) = row.checked_sub(first).filter(|row| *row < count) else { continue };
            for (sum, value) in self.out[row * width..][..width].iter_mut().zip(&grad[column..][..width]) {
                *sum += *value;
            }
        }
    }
}

impl CustomOp1 for GatherRows {
    fn name(&self) -> &'static str {
        "gather_rows"
    }

    fn cpu_fwd(&self, table: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, dim) = layout.shape().dims2()?;
        let out = match table {
            CpuStorage::F32(_) => self.forward::<f32>(operand(table, layout)?, dim),
            _ => self.forward::<f64>(operand(table, layout)?, dim),
        };
        Ok((out, Shape::from((self.rows.len(), dim))))
    }

    fn bwd(&self, table: &Tensor, _out: &Tensor, grads: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(match table.dtype() {
            DType::F32 => self.backward::<f32>(table, grads)?,
            _ => self.backward::<f64>(table, grads)?,
        }))
    }
}
