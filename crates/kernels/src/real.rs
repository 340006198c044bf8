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
    /// A gradient smaller than this is as good as 0 where it is carried back through time. In single precision it lies
    /// so far above the smallest normal number that products with weights stay normal: processors multiply what is
    /// subnormal at a hundredth of their speed, and gradients that vanish are mostly that. In double precision,
    /// which is for measuring gradients, it is 0.
    const VANISHED: Self;
    /// Rounds from double precision.
    fn of(value: f64) -> Self;
    /// Widens to double precision.
    fn wide(self) -> f64;
    /// `self · a + b`, rounded once. Only for [`Arith`]: slow where the instruction is missing.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// The same, and 0 where it is smaller than [`Self::VANISHED`]; what is no number stays so.
    fn without_vanished(self) -> Self {
        if self.abs() < Self::VANISHED { Self::ZERO } else { self }
    }
    /// Square root.
    fn sqrt(self) -> Self;
    /// Absolute value.
    fn abs(self) -> Self;
    /// The larger; `other` where `self` is not a number.
    fn maximum(self, other: Self) -> Self;
    /// e to the power of `self`, to about 2 ulp.
    fn exp<A: Arith>(self) -> Self;
    /// Natural logarithm (scalar: used once a row, never in an inner loop).
    fn ln(self) -> Self;
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
    const VANISHED: Self = 0.0;
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
    fn ln(self) -> Self {
        libm::log(self)
    }
    fn values(storage: &CpuStorage) -> Result<&[Self]> {
        storage.as_slice::<f64>()
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const NEG_INFINITY: Self = f32::NEG_INFINITY;
    const VANISHED: Self = 1e-30;
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

    #[inline(always)]
    fn exp<A: Arith>(self) -> Self {
        // Written as a negated comparison, so that NaN passes through instead of being clamped.
        let x = if self > 89.0 { 89.0 } else { self };
        let low = x < -87.3;
        let x = if low { -87.3 } else { x };
        let (p, bits) = exp_parts::<A>(x);
        // n reaches 128 just before overflow; two factors keep each exponent in range.
        let half = bits >> 1;
        let value = p * power_of_two(half) * power_of_two(bits.wrapping_sub(half));
        if low { 0.0 } else { value }
    }

    #[inline(always)]
    fn ln(self) -> Self {
        libm::logf(self)
    }

    fn values(storage: &CpuStorage) -> Result<&[Self]> {
        storage.as_slice::<f32>()
    }
}

/// `e^x = p · 2^n` as `(p, n)`: Cody–Waite reduction by ln 2 and a polynomial of degree 6 on
/// [−ln 2/2, ln 2/2].
#[inline(always)]
fn exp_parts<A: Arith>(x: f32) -> (f32, i32) {
    const MAGIC: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to the nearest integer
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
    // Wrapping, because a check for overflow would keep the loop from being vectorised.
    (p, shifted.to_bits().wrapping_sub(MAGIC.to_bits()) as i32)
}

#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) << 23) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Isa, Kernel, dispatch_on};

    struct Map<'a>(&'a [f32]);
    impl Kernel for Map<'_> {
        type Output = Vec<f32>;
        #[inline(always)]
        fn run<A: Arith>(self) -> Vec<f32> {
            self.0.iter().map(|x| Real::exp::<A>(*x)).collect()
        }
    }

    #[test]
    fn exp_is_accurate_to_a_few_ulp() {
        let xs: Vec<f32> = (-20_000..=20_000).map(|i| (f64::from(i) / 20_000.0 * 87.0) as f32).collect();
        for isa in Isa::available() {
            for (x, y) in xs.iter().zip(dispatch_on(isa, Map(&xs))) {
                let want = libm::exp(f64::from(*x));
                assert!(
                    (f64::from(y) - want).abs() < 4e-7 * want,
                    "{}: e^{x} is {want}, got {y}",
                    isa.name()
                );
            }
        }
    }

    #[test]
    fn extremes_and_nan_are_kept() {
        let xs = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        for isa in Isa::available() {
            let exp = dispatch_on(isa, Map(&xs));
            assert!(exp[0].is_nan() && exp[1] > 1e38 && exp[2] == 0.0);
        }
    }
}
