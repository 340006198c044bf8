//! Selected rows of a matrix, in candle's own operations.

use candle_core::{Result, Tensor};

/// Rows of a matrix by index: `[rows, dim] -> [n, dim]`. What [`crate::gather_steps`] and
/// [`crate::embedding`] come down to.
///
/// # Errors
/// An index is not below the number of rows.
pub fn gather_rows(table: &Tensor, rows: &[usize]) -> Result<Tensor> {
    let rows: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
    let count = rows.len();
    table.index_select(&Tensor::from_vec(rows, count, table.device())?, 0)
}
