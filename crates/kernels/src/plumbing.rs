//! Between candle's tensors and the plain slices kernels work on.

use crate::real::Real;
use crate::reference;
use candle_core::{CpuStorage, DType, Device, Layout, Result, Shape, Tensor};

/// The values of a contiguous CPU operand of a custom operation, in row-major order.
///
/// # Errors
/// The operand is strided (callers make operands contiguous first) or of another type.
pub(crate) fn operand<'a, T: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        return Err(candle_core::Error::RequiresContiguous { op: "seqbench kernel" }.bt());
    };
    Ok(&T::values(storage)?[start..end])
}

/// Lends the values of a CPU tensor in row-major order to `use_them`, copying only if it is strided.
pub(crate) fn with_values<T: Real, R>(
    tensor: &Tensor,
    use_them: impl FnOnce(&[T]) -> Result<R>,
) -> Result<R> {
    with_all([tensor], |[values]| use_them(values))
}

/// [`with_values`] for several tensors at once.
pub(crate) fn with_all<T: Real, R, const N: usize>(
    tensors: [&Tensor; N],
    use_them: impl FnOnce([&[T]; N]) -> Result<R>,
) -> Result<R> {
    with_each(&tensors, |values| {
        let mut each: [&[T]; N] = [&[]; N];
        each.copy_from_slice(values);
        use_them(each)
    })
}

/// [`with_values`] for a number of tensors that is known only when it runs.
pub(crate) fn with_each<T: Real, R>(
    tensors: &[&Tensor],
    use_them: impl FnOnce(&[&[T]]) -> Result<R>,
) -> Result<R> {
    let tensors = tensors.iter().map(|tensor| tensor.contiguous()).collect::<Result<Vec<_>>>()?;
    let guards: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let values = guards.iter().map(|(storage, layout)| match &**storage {
        candle_core::Storage::Cpu(cpu) => operand(cpu, layout),
        _ => candle_core::bail!("a CPU kernel was given a tensor on another device"),
    });
    use_them(&values.collect::<Result<Vec<_>>>()?)
}

/// A CPU tensor from values in row-major order.
pub(crate) fn tensor<T: Real>(values: Vec<T>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(values, shape.into(), &Device::Cpu)
}

/// Whether the fused kernels serve this tensor: on the CPU, in single or double precision, unless
/// [`reference::alone`] asks for the other. Elsewhere the plain formulation of [`reference`] runs in candle's
/// own operations.
pub(crate) fn fused(tensor: &Tensor) -> bool {
    tensor.device().is_cpu() && matches!(tensor.dtype(), DType::F32 | DType::F64) && !reference::is_alone()
}

/// Checks an argument's shape.
///
/// # Errors
/// Names the operation, the argument and both shapes.
pub(crate) fn expect_shape(operation: &str, argument: &str, tensor: &Tensor, shape: &[usize]) -> Result<()> {
    if tensor.dims() != shape {
        candle_core::bail!("{operation}: {argument} is {:?}, expected {shape:?}", tensor.dims());
    }
    Ok(())
}

/// Checks that an argument has the type of the first one.
///
/// # Errors
/// Names the operation, the argument and both types.
pub(crate) fn expect_dtype(operation: &str, argument: &str, tensor: &Tensor, like: &Tensor) -> Result<()> {
    if tensor.dtype() != like.dtype() {
        candle_core::bail!(
            "{operation}: {argument} is {:?}, expected {:?} like the first argument",
            tensor.dtype(),
            like.dtype()
        );
    }
    Ok(())
}

/// Room for `len` values, every one of which the caller writes before anybody reads it: zeroing what a kernel
/// then fills costs as much as a pass over it. With debug assertions it is filled with NaN, so that a value
/// read too early shows.
pub(crate) fn room<T: Real>(len: usize) -> Vec<T> {
    if cfg!(test) || cfg!(debug_assertions) {
        return vec![T::of(f64::NAN); len];
    }
    let mut values = Vec::with_capacity(len);
    // SAFETY: the capacity is `len`, and `Real` is implemented for f32 and f64 alone, of which every bit
    // pattern is a value and nothing is dropped. Callers overwrite all of it before reading, which the tests
    // hold them to by the NaN above (`scripts/sanitize`).
    #[allow(unsafe_code, clippy::uninit_vec)]
    unsafe {
        values.set_len(len);
    }
    values
}
