//! Checks that every core makes of its arguments, with errors that name both shapes.

use candle_core::{DType, Tensor};
use seqbench_core::error::{Error, Result};
use seqbench_core::state::State;

/// The batch and time of an input `[batch, time, dim]`.
///
/// # Errors
/// Another rank or width, an empty batch or no time step.
pub(crate) fn input(core: &str, xs: &Tensor, dim: usize) -> Result<(usize, usize)> {
    match xs.dims() {
        &[batch, time, width] if width == dim && batch > 0 && time > 0 => Ok((batch, time)),
        got => Err(Error::shape(format!("{core}: xs"), got, format!("[batch, time, {dim}], none of them 0"))),
    }
}

/// Checks `lengths` against the batch and time of the input.
///
/// # Errors
/// Their number is not the batch, or one exceeds the time.
pub(crate) fn lengths(core: &str, lengths: Option<&[usize]>, batch: usize, time: usize) -> Result<()> {
    let Some(lengths) = lengths else { return Ok(()) };
    if lengths.len() != batch {
        return Err(Error::shape(format!("{core}: lengths"), &[lengths.len()], format!("[{batch}]")));
    }
    match lengths.iter().find(|length| **length > time) {
        Some(long) => Err(Error::invalid(format!("{core}: a length is {long}, but xs has {time} steps"))),
        None => Ok(()),
    }
}

/// The entry `name` of a state, which must have that shape.
///
/// # Errors
/// It is missing or has another shape.
pub(crate) fn entry<'a>(core: &str, state: &'a State, name: &str, shape: &[usize]) -> Result<&'a Tensor> {
    let tensor = state.get(name)?;
    if tensor.dims() != shape {
        return Err(Error::shape(format!("{core}: state `{name}`"), tensor.dims(), format!("{shape:?}")));
    }
    Ok(tensor)
}

/// Checks that a decoder can be made of a core with this parameter.
///
/// # Errors
/// It is not a single-precision tensor on the CPU.
pub(crate) fn decodable(core: &str, parameter: &Tensor) -> Result<()> {
    if parameter.dtype() == DType::F32 && parameter.device().is_cpu() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{core}: a decoder needs parameters in single precision on the CPU; these are {:?} on {:?}",
        parameter.dtype(),
        parameter.device().location()
    )))
}

/// Checks the slices of one decoded token, each `[batch, dim]`.
///
/// # Errors
/// One has another size.
pub(crate) fn token(core: &str, x: &[f32], y: &[f32], batch: usize, dim: usize) -> Result<()> {
    for (name, size) in [("x", x.len()), ("y", y.len())] {
        if size != batch * dim {
            let expected = format!("[{batch} · {dim}] values");
            return Err(Error::shape(format!("{core}: decode: {name}"), &[size], expected));
        }
    }
    Ok(())
}

/// Overwrites `values` with those of a single-precision tensor of the same size.
///
/// # Errors
/// The tensor has another type.
pub(crate) fn copy(from: &Tensor, values: &mut [f32]) -> Result<()> {
    values.copy_from_slice(&from.flatten_all()?.to_vec1::<f32>()?);
    Ok(())
}

/// Checks that the setting `key` is a positive number.
///
/// # Errors
/// It is zero, negative or not a number; the message names the key.
pub(crate) fn positive(key: &str, value: f64) -> Result<()> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::invalid(format!("`{key}` is {value}, expected a positive number")))
}

/// Refuses settings that were given and belong to another parameterisation, `owner`.
pub(crate) fn belong(settings: &[(&str, bool)], owner: &str) -> Result<()> {
    match settings.iter().find(|(_, given)| *given) {
        Some((key, _)) => Err(Error::invalid(format!("`{key}` needs `parameterisation = \"{owner}\"`"))),
        None => Ok(()),
    }
}

/// Two positive settings, the first of them no more than the second.
pub(crate) fn ordered([low, high]: [&str; 2], [least, most]: [f64; 2]) -> Result<()> {
    positive(low, least)?;
    positive(high, most)?;
    if least > most {
        return Err(Error::invalid(format!("`{low}` is {least}, more than `{high}`, which is {most}")));
    }
    Ok(())
}
