//! What the cores' inspections share: tensors as plain vectors, gates, and norms of matrices.

use candle_core::{DType, Tensor};
use seqbench_core::error::Result;
use seqbench_core::inspection::{Factors, Matrix, Signal, SignalKind, Theory};

/// A tensor's values in row-major order.
pub(crate) fn values(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(tensor.detach().to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

/// A signal of `units` values a step.
pub(crate) fn signal(name: &'static str, kind: SignalKind, units: usize, values: Vec<f64>) -> Signal {
    Signal { name, kind, units, values }
}

/// `ys` `[batch, time, dim]` one step later, after `first` `[batch, dim]`: what each step finds.
pub(crate) fn before(ys: &Tensor, first: &Tensor) -> Result<Tensor> {
    let first = first.unsqueeze(1)?;
    let time = ys.dim(1)?;
    Ok(if time == 1 { first } else { Tensor::cat(&[&first, &ys.narrow(1, 0, time - 1)?], 1)? })
}

/// 1 / (1 + e^−x).
pub(crate) fn sigmoid(x: f64) -> f64 {
    0.5 * libm::tanh(0.5 * x) + 0.5
}

/// Part `which` of rows of `parts` × `units` values, mapped.
pub(crate) fn part(rows: &[f64], parts: usize, units: usize, which: usize, map: fn(f64) -> f64) -> Vec<f64> {
    rows.chunks_exact(parts * units)
        .flat_map(|row| row[which * units..(which + 1) * units].iter().map(|value| map(*value)))
        .collect()
}

/// Root mean square of each run of `units` values.
pub(crate) fn root_mean_squares(values: &[f64], units: usize) -> Vec<f64> {
    let of = |run: &[f64]| (run.iter().map(|value| value * value).sum::<f64>() / units as f64).sqrt();
    values.chunks_exact(units).map(of).collect()
}

/// ‖W‖_F
pub(crate) fn frobenius(w: &[f64]) -> f64 {
    w.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// The square blocks of a weight `[names · units, units]`, one below the other.
pub(crate) fn blocks(w: &[f64], units: usize, names: &[&'static str]) -> Vec<Matrix> {
    let block =
        |(name, values): (&&'static str, &[f64])| Matrix { name, size: units, values: values.to_vec() };
    names.iter().zip(w.chunks_exact(units * units)).map(block).collect()
}

/// A theory of one factor a component and step.
pub(crate) fn diagonal(name: &'static str, entry: &'static str, units: usize, values: Vec<f64>) -> Theory {
    Theory { name, entry, factors: Factors::Diagonal { units, values } }
}
