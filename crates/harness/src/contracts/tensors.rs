//! Values the contracts are checked on, and how far two results lie apart.

use super::{Fault, Found, ensure};
use candle_core::{DType, Device, Tensor, Var};
use seqbench_core::{Purpose, Result, State, Stream};

/// Standard normal values from a stream of their own.
pub(crate) fn normal(shape: &[usize], seed: u64, dtype: DType) -> Result<Tensor> {
    let mut stream = Stream::new(seed, Purpose::Probe, shape.len() as u64);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| stream.normal()).collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?)
}

/// The same values as a leaf of a new graph.
pub(crate) fn leaf(tensor: &Tensor) -> Result<Var> {
    Ok(Var::from_tensor(&tensor.copy()?)?)
}

pub(crate) fn values(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

/// The bits of single-precision values.
pub(crate) fn bits(tensor: &Tensor) -> Result<Vec<u32>> {
    Ok(tensor.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f32::to_bits).collect())
}

/// Largest difference, relative to the largest value or 1; not a number where either holds one.
pub(crate) fn difference(a: &Tensor, b: &Tensor) -> std::result::Result<f64, Fault> {
    ensure!(a.dims() == b.dims(), "the shapes {:?} and {:?} differ", a.dims(), b.dims());
    let (a, b) = (values(a)?, values(b)?);
    if a.iter().chain(&b).any(|value| value.is_nan()) {
        return Ok(f64::NAN);
    }
    let scale = a.iter().fold(1.0f64, |scale, value| scale.max(value.abs()));
    Ok(a.iter().zip(&b).fold(0.0f64, |worst, (a, b)| worst.max((a - b).abs() / scale)))
}

/// Requires that two results agree up to `tolerance`.
pub(crate) fn agree(what: &str, a: &Tensor, b: &Tensor, tolerance: f64) -> Found {
    let apart = difference(a, b).map_err(|Fault(message)| Fault(format!("{what}: {message}")))?;
    ensure!(apart <= tolerance, "{what}: they differ by {apart:.1e} of the largest value");
    Ok(())
}

/// Requires that two states have the same entries, shapes and, up to `tolerance`, values.
pub(crate) fn states_agree(what: &str, a: &State, b: &State, tolerance: f64) -> Found {
    let names = |state: &State| state.iter().map(|(name, _)| name).collect::<Vec<_>>();
    ensure!(names(a) == names(b), "{what}: the states have the entries {:?} and {:?}", names(a), names(b));
    for ((name, a), (_, b)) in a.iter().zip(b.iter()) {
        agree(&format!("{what}: state `{name}`"), a, b, tolerance)?;
    }
    Ok(())
}

/// The floating-point entries of a state, by name.
pub(crate) fn floats(state: &State) -> Vec<(&'static str, Tensor)> {
    let float = |tensor: &Tensor| matches!(tensor.dtype(), DType::F32 | DType::F64);
    state.iter().filter(|(_, tensor)| float(tensor)).map(|(name, tensor)| (name, tensor.clone())).collect()
}

/// Sum of all outputs and float states, each element with a weight of its own, so that no gradient cancels.
pub(crate) fn loss(ys: &Tensor, state: &State) -> Result<Tensor> {
    let weigh = |tensor: &Tensor, seed| -> Result<Tensor> {
        Ok((tensor * normal(tensor.dims(), seed, tensor.dtype())?)?.sum_all()?)
    };
    let mut total = weigh(ys, 101)?;
    for (index, (_, tensor)) in floats(state).iter().enumerate() {
        if tensor.elem_count() > 0 {
            total = (total + weigh(tensor, 102 + index as u64)?)?;
        }
    }
    Ok(total)
}

/// The last step of `[batch, time, dim]`, `[batch, 1, dim]`.
pub(crate) fn last(ys: &Tensor) -> Result<Tensor> {
    Ok(ys.narrow(1, ys.dim(1)? - 1, 1)?)
}
