//! The two numbers kernels compute with, and the elementary functions they need.
//!
//! `f32` functions are polynomials written so that the compiler vectorises them; `f64` ones call `libm`,
//! because only probes and tests use them. Neither asks the system's library, so bits do not depend on it.

use crate::isa::Arith;
use crate::vector::{Elementary, Registers};
use candle_core::{CpuStorage, Result, WithDType};

/// `f32` for training, `f64` for probes and tests.
pub trait Real:
    WithDType
    + Copy
    + Send
    + Sync
    + PartialOrd
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::Neg<Output = Self>
    + std::ops::AddAssign
    + std::ops::SubAssign
    + std::ops::MulAssign
    + std::iter::Sum
    + Registers
    + Elementary
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// −∞.
    const NEG_INFINITY: Self;
    /// Rounds from double precision.
    fn of(value: f64) -> Self;
    /// Widens to double precision.
    fn wide(self) -> f64;
    /// `self · a + b`, rounded once. Only for [`Arith`]: slow where the instruction is missing.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Absolute value.
    fn abs(self) -> Self;
    /// The larger; `other` where `self` is not a number.
    fn maximum(self, other: Self) -> Self;
    /// e to the power of `self`, to about 2 ulp.
    fn exp<A: Arith>(self) -> Self;
    /// Hyperbolic tangent, to a few ulp, also near 0.
    fn tanh<A: Arith>(self) -> Self;
    /// `1 / (1 + exp(−x))`.
    #[inline(always)]
    fn sigmoid<A: Arith>(self) -> Self {
        Self::ONE / (Self::ONE + (-self).exp::<A>())
    }
    /// Natural logarithm (scalar: used once a row, never in an inner loop).
    fn ln(self) -> Self;
    /// The error function (scalar quality in `f64`, a vectorised polynomial in `f32`).
    fn erf<A: Arith>(self) -> Self;
    /// The values inside a CPU storage.
    ///
    /// # Errors
    /// The storage holds another type.
    fn values(storage: &CpuStorage) -> Result<&[Self]>;
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const NEG_INFINITY: Self = f64::NEG_INFINITY;
    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        f64::mul_add(self, a, b)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f64::abs(self)
    }
    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        if self > other { self } else { other }
    }
    #[inline(always)]
    fn exp<A: Arith>(self) -> Self {
        libm::exp(self)
    }
    #[inline(always)]
    fn tanh<A: Arith>(self) -> Self {
        libm::tanh(self)
    }
    #[inline(always)]
    fn ln(self) -> Self {
        libm::log(self)
    }
    #[inline(always)]
    fn erf<A: Arith>(self) -> Self {
        libm::erf(self)
    }
    fn values(storage: &CpuStorage) -> Result<&[Self]> {
        storage.as_slice::<f64>()
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const NEG_INFINITY: Self = f32::NEG_INFINITY;
    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        f32::mul_add(self, a, b)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f32::abs(self)
    }
    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        if self > other { self } else { other }
    }

    /// Cody–Waite reduction by ln 2 and a degree-6 polynomial on [−ln 2/2, ln 2/2].
    #[inline(always)]
    fn exp<A: Arith>(self) -> Self {
        const MAGIC: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to the nearest integer
        // Written as a negated comparison, so that NaN passes through instead of being clamped.
        let x = if self > 89.0 { 89.0 } else { self };
        let low = x < -87.3;
        let x = if low { -87.3 } else { x };
        let shifted = A::fma(x, std::f32::consts::LOG2_E, MAGIC);
        let n = shifted - MAGIC;
        let r = A::fma(n, -0.693_359_4, x);
        let r = A::fma(n, 2.121_944_4e-4, r);
        let mut p = 1.0 / 720.0;
        p = A::fma(p, r, 1.0 / 120.0);
        p = A::fma(p, r, 1.0 / 24.0);
        p = A::fma(p, r, 1.0 / 6.0);
        p = A::fma(p, r, 0.5);
        p = A::fma(p, r, 1.0);
        p = A::fma(p, r, 1.0);
        // n reaches 128 just before overflow; two factors keep each exponent in range.
        // Wrapping, because a check for overflow would keep the loop from being vectorised.
        let bits = shifted.to_bits().wrapping_sub(MAGIC.to_bits()) as i32;
        let half = bits >> 1;
        let first = f32::from_bits((half.wrapping_add(127) << 23) as u32);
        let second = f32::from_bits((bits.wrapping_sub(half).wrapping_add(127) << 23) as u32);
        let value = p * first * second;
        if low { 0.0 } else { value }
    }

    /// A rational-free odd polynomial below 0.625, `1 − 2/(e^{2x} + 1)` above: the latter alone loses all
    /// relative accuracy near zero.
    #[inline(always)]
    fn tanh<A: Arith>(self) -> Self {
        let magnitude = self.abs();
        let square = self * self;
        let mut p = -5.704_988_7e-3;
        p = A::fma(p, square, 2.063_909e-2);
        p = A::fma(p, square, -5.373_971_6e-2);
        p = A::fma(p, square, 1.333_144_2e-1);
        p = A::fma(p, square, -3.333_328e-1);
        let small = A::fma(p * square, self, self);
        let capped = if magnitude > 10.0 { 10.0 } else { magnitude };
        let large = 1.0 - 2.0 / (Real::exp::<A>(capped + capped) + 1.0);
        let large = if self < 0.0 { -large } else { large };
        if magnitude < 0.625 {
            small
        } else if magnitude >= 0.625 {
            large
        } else {
            self
        }
    }

    #[inline(always)]
    fn ln(self) -> Self {
        libm::logf(self)
    }

    /// Abramowitz and Stegun 7.1.26 is too coarse for gradients; this is a Taylor polynomial below 1 and
    /// `1 − e^{−x²}·P(1/(1 + x/2))` (Numerical Recipes' erfc, fractional error below 1.2e−7) above.
    #[inline(always)]
    fn erf<A: Arith>(self) -> Self {
        let x = self.abs();
        let square = self * self;
        let mut p = -1.0 / 685_440.0 / 0.886_226_9;
        p = A::fma(p, square, 1.0 / 75_600.0 / 0.886_226_9);
        p = A::fma(p, square, -1.0 / 9_360.0 / 0.886_226_9);
        p = A::fma(p, square, 1.0 / 1_320.0 / 0.886_226_9);
        p = A::fma(p, square, -1.0 / 216.0 / 0.886_226_9);
        p = A::fma(p, square, 1.0 / 42.0 / 0.886_226_9);
        p = A::fma(p, square, -0.1 / 0.886_226_9);
        p = A::fma(p, square, 1.0 / 3.0 / 0.886_226_9);
        let small = self * (std::f32::consts::FRAC_2_SQRT_PI - square * p);
        let t = 1.0 / (1.0 + 0.5 * x);
        let mut q = 0.170_872_77;
        q = A::fma(q, t, -0.822_152_23);
        q = A::fma(q, t, 1.488_515_9);
        q = A::fma(q, t, -1.135_204);
        q = A::fma(q, t, 0.278_868_07);
        q = A::fma(q, t, -0.186_288_06);
        q = A::fma(q, t, 0.096_784_18);
        q = A::fma(q, t, 0.374_091_96);
        q = A::fma(q, t, 1.000_023_7);
        q = A::fma(q, t, -1.265_512_2);
        let large = 1.0 - t * Real::exp::<A>(q - square);
        let large = if self < 0.0 { -large } else { large };
        if x < 0.75 {
            small
        } else if x >= 0.75 {
            large
        } else {
            self
        }
    }

    fn values(storage: &CpuStorage) -> Result<&[Self]> {
        storage.as_slice::<f32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Isa, Kernel, dispatch_on};

    enum Function {
        Exp,
        Tanh,
        Sigmoid,
        Erf,
    }
    struct Map<'a>(&'a [f32], &'a Function);
    impl Kernel for Map<'_> {
        type Output = Vec<f32>;
        #[inline(always)]
        fn run<A: Arith>(self) -> Vec<f32> {
            let apply = |x: f32| match self.1 {
                Function::Exp => Real::exp::<A>(x),
                Function::Tanh => Real::tanh::<A>(x),
                Function::Sigmoid => Real::sigmoid::<A>(x),
                Function::Erf => Real::erf::<A>(x),
            };
            self.0.iter().map(|x| apply(*x)).collect()
        }
    }

    fn worst(function: &Function, exact: fn(f64) -> f64, range: f64) -> f64 {
        let xs: Vec<f32> = (-20_000..=20_000).map(|i| (f64::from(i) / 20_000.0 * range) as f32).collect();
        let mut worst: f64 = 0.0;
        for isa in Isa::available() {
            let got = dispatch_on(isa, Map(&xs, function));
            for (x, y) in xs.iter().zip(got) {
                let want = exact(f64::from(*x));
                if want != 0.0 {
                    worst = worst.max((f64::from(y) - want).abs() / want.abs());
                }
            }
        }
        worst
    }

    #[test]
    fn exp_is_accurate_to_a_few_ulp() {
        assert!(worst(&Function::Exp, libm::exp, 87.0) < 4e-7);
    }

    #[test]
    fn tanh_is_accurate_also_near_zero() {
        assert!(worst(&Function::Tanh, libm::tanh, 12.0) < 4e-7);
        assert!(worst(&Function::Tanh, libm::tanh, 1e-3) < 4e-7);
    }

    #[test]
    fn sigmoid_is_accurate() {
        assert!(worst(&Function::Sigmoid, |x| 1.0 / (1.0 + libm::exp(-x)), 80.0) < 6e-7);
    }

    #[test]
    fn erf_is_accurate_also_near_zero() {
        assert!(worst(&Function::Erf, libm::erf, 6.0) < 5e-7);
        assert!(worst(&Function::Erf, libm::erf, 1e-3) < 5e-7);
    }

    #[test]
    fn extremes_and_nan_are_kept() {
        let xs = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30];
        for isa in Isa::available() {
            let exp = dispatch_on(isa, Map(&xs, &Function::Exp));
            assert!(exp[0].is_nan() && exp[1] > 1e38 && exp[2] == 0.0);
            let tanh = dispatch_on(isa, Map(&xs, &Function::Tanh));
            assert!(tanh[0].is_nan() && tanh[1] == 1.0 && tanh[2] == -1.0 && tanh[3] == 1.0);
            let erf = dispatch_on(isa, Map(&xs, &Function::Erf));
            assert!(erf[0].is_nan() && erf[1] == 1.0 && erf[4] == -1.0);
        }
    }
}
