//! Learned vectors of tokens.

use crate::gather::gather_rows;
use crate::tape;
use candle_core::{Result, Tensor, bail};

/// Looks tokens up: `table` is `[vocab, dim]`, `ids` are the tokens of `[batch, time]` in row-major order;
/// returns `[batch, time, dim]`. The gradient of a token's vector is the sum over its occurrences, in the
/// order of `ids`.
///
/// # Errors
/// The table is not of rank 2, there are not `batch · time` tokens, or a token is not below `vocab`.
pub fn embedding(table: &Tensor, ids: &[u32], shape: (usize, usize)) -> Result<Tensor> {
    let (batch, time) = shape;
    let Ok((vocab, dim)) = table.dims2() else {
        bail!("embedding: the table must be [vocab, dim], got {:?}", table.shape());
    };
    if ids.len() != batch * time {
        bail!("embedding: {} tokens do not fill [batch {batch}, time {time}]", ids.len());
    }
    if let Some(at) = ids.iter().position(|&id| id as usize >= vocab) {
        bail!("embedding: token {} at position {at} is outside the vocabulary of {vocab}", ids[at]);
    }
    let rows = gather_rows(table, ids.iter().map(|&id| id as usize).collect())?;
    tape::reshape(&rows, (batch, time, dim))
}
