//! Selected rows of a matrix, and where their gradients go.
//!
//! Only the scored positions of a sequence reach the readout, so they are gathered before it. The backward
//! pass adds in the order of the selection: a row taken twice receives both gradients, always in that order.

use crate::plumbing::{fused, operand, tensor, with_values};
use crate::real::Real;
use crate::reference;
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

impl GatherRows {
    fn forward<T: Real>(&self, table: &[T], dim: usize) -> CpuStorage {
        let mut out = Vec::with_capacity(self.rows.len() * dim);
        for &row in &self.rows {
            out.extend_from_slice(&table[row * dim..][..dim]);
        }
        T::to_cpu_storage_owned(out)
    }

    fn backward<T: Real>(&self, table: &Tensor, grads: &Tensor) -> Result<Tensor> {
        let (_, dim) = table.dims2()?;
        let mut out = vec![T::ZERO; table.elem_count()];
        with_values::<T, _>(grads, |grads| {
            for (&row, grad) in self.rows.iter().zip(grads.chunks_exact(dim.max(1))) {
                for (sum, value) in out[row * dim..][..dim].iter_mut().zip(grad) {
                    *sum += *value;
                }
            }
            Ok(())
        })?;
        tensor(out, table.shape())
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
