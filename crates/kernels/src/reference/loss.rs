//! Losses of each row, in candle's own operations. Their means are candle's `mean_all`.

use candle_core::{D, Result, Tensor};

/// [`crate::cross_entropy_rows`], plainly: `[n, classes] -> [n]`, in nats.
///
/// # Errors
/// Shapes do not fit, or a target is not below `classes`.
pub fn cross_entropy_rows(logits: &Tensor, targets: &[u32]) -> Result<Tensor> {
    let top = logits.max_keepdim(D::Minus1)?.detach();
    let shifted = logits.broadcast_sub(&top)?;
    let log_total = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let targets = Tensor::new(targets, logits.device())?.unsqueeze(1)?;
    (log_total - shifted.gather(&targets, 1)?)?.squeeze(1)
}

/// [`crate::mean_squared_error_rows`], plainly: `[n, d] -> [n]`.
///
/// # Errors
/// Shapes do not fit.
pub fn mean_squared_error_rows(predictions: &Tensor, targets: &[f32]) -> Result<Tensor> {
    let targets = Tensor::new(targets, predictions.device())?
        .reshape(predictions.shape())?
        .to_dtype(predictions.dtype())?;
    (predictions - targets)?.sqr()?.mean(D::Minus1)
}
