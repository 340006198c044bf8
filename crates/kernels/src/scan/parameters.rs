//! The coefficients of a diagonal scan, complex or real.

use crate::reference;
use candle_core::{Result, Tensor, bail};

/// The complex recurrence's coefficients after discretisation: real tensors `[dim, n]`, and `[dim]` for the skip.
#[derive(Clone, Debug)]
pub struct ScanParameters {
    /// Real part of λ, `[dim, n]`.
    pub lambda_re: Tensor,
    /// Imaginary part of λ, `[dim, n]`.
    pub lambda_im: Tensor,
    /// Real part of the input coefficient b, `[dim, n]`.
    pub b_re: Tensor,
    /// Imaginary part of b, `[dim, n]`.
    pub b_im: Tensor,
    /// Real part of the output coefficient c, `[dim, n]`.
    pub c_re: Tensor,
    /// Imaginary part of c, `[dim, n]`.
    pub c_im: Tensor,
    /// Skip from input to output, `[dim]`.
    pub d: Tensor,
}

/// The real recurrence's coefficients after discretisation, `[dim, n]`, and `[dim]` for the skip: [`ScanParameters`]
/// without imaginary parts.
#[derive(Clone, Debug)]
pub struct RealScanParameters {
    /// λ, `[dim, n]`.
    pub lambda: Tensor,
    /// The input coefficient, `[dim, n]`.
    pub b: Tensor,
    /// The output coefficient, `[dim, n]`.
    pub c: Tensor,
    /// Skip from input to output, `[dim]`.
    pub d: Tensor,
}

/// Coefficients a [`diagonal_scan`](crate::diagonal_scan) can run with: [`ScanParameters`] and
/// [`RealScanParameters`].
pub trait ScanCoefficients: sealed::Sealed {
    /// Numbers in one of them, and in a state.
    const PARTS: usize;

    /// All of them with their names: λ, b and c, part by part, then d.
    fn named(&self) -> Vec<(&'static str, &Tensor)>;

    /// The scan in candle's own operations.
    ///
    /// # Errors
    /// Shapes, types or devices disagree.
    fn plain(&self, us: &Tensor, state: &Tensor, lengths: Option<&[usize]>) -> Result<(Tensor, Tensor)>;

    /// `(dim, n)`: channels, and states per channel.
    ///
    /// # Errors
    /// The tensors disagree in shape; the message names the tensor and both shapes.
    fn dims(&self) -> Result<(usize, usize)> {
        let named = self.named();
        let (first, lambda) = named[0];
        let (dim, n) = lambda.dims2()?;
        for (name, tensor) in named {
            let expected: &[usize] = if name == "d" { &[dim] } else { &[dim, n] };
            if tensor.dims() != expected {
                bail!("diagonal_scan: {name} is {:?}, expected {expected:?} as {first}", tensor.dims());
            }
        }
        if dim == 0 || n == 0 {
            bail!("diagonal_scan: {first} is [{dim}, {n}]; a scan needs a channel and a state");
        }
        Ok((dim, n))
    }

    /// All coefficients in one vector, through which gradients reach each tensor.
    ///
    /// # Errors
    /// Types or devices disagree.
    fn pack(&self) -> Result<Tensor> {
        let flat = self.named().iter().map(|(_, tensor)| tensor.flatten_all()).collect::<Result<Vec<_>>>()?;
        Tensor::cat(&flat, 0)
    }
}

impl ScanCoefficients for ScanParameters {
    const PARTS: usize = 2;

    fn named(&self) -> Vec<(&'static str, &Tensor)> {
        vec![
            ("lambda_re", &self.lambda_re),
            ("lambda_im", &self.lambda_im),
            ("b_re", &self.b_re),
            ("b_im", &self.b_im),
            ("c_re", &self.c_re),
            ("c_im", &self.c_im),
            ("d", &self.d),
        ]
    }

    fn plain(&self, us: &Tensor, state: &Tensor, lengths: Option<&[usize]>) -> Result<(Tensor, Tensor)> {
        reference::diagonal_scan(us, self, state, lengths)
    }
}

impl ScanCoefficients for RealScanParameters {
    const PARTS: usize = 1;

    fn named(&self) -> Vec<(&'static str, &Tensor)> {
        vec![("lambda", &self.lambda), ("b", &self.b), ("c", &self.c), ("d", &self.d)]
    }

    fn plain(&self, us: &Tensor, state: &Tensor, lengths: Option<&[usize]>) -> Result<(Tensor, Tensor)> {
        reference::real_diagonal_scan(us, self, state, lengths)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ScanParameters {}
    impl Sealed for super::RealScanParameters {}
}
