//! The running softmax over tiles of keys: shared by all forms of attention, so that their bits agree.
//!
//! Scores are kept in units of ln 2, so that a weight is a power of two; queries bring the factor with them.

use crate::isa::Arith;
use crate::real::Real;

/// Keys of a tile. Tiles begin at multiples of it, whatever the queries.
pub(super) const KEYS: usize = 64;
/// Chains in which the weights of a tile are summed: key x belongs to chain x modulo 8.
pub(super) const CHAINS: usize = 8;

/// By how much a score may exceed the maximum before the maximum is raised: weights up to 2^8 lose nothing, and
/// nothing that was summed needs shrinking.
const SLACK: f64 = 8.0;

/// A score which all scores of a query so far exceed by at most [`SLACK`], and the sum of `2^(score − maximum)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Normalizer<T> {
    pub(super) maximum: T,
    pub(super) sum: T,
}

impl<T: Real> Normalizer<T> {
    pub(super) const EMPTY: Self = Normalizer { maximum: T::NEG_INFINITY, sum: T::ZERO };

    /// Takes a tile's maximum in; returns the factor that brings what was summed so far to the new maximum.
    #[inline(always)]
    pub(super) fn raise<A: Arith>(&mut self, tile: T) -> T {
        let maximum = if tile > self.maximum + T::of(SLACK) { tile } else { self.maximum };
        let shrink = exp2::<A, T>(self.maximum - maximum);
        self.maximum = maximum;
        shrink
    }

    /// Takes the sum of a tile's weights in.
    #[inline(always)]
    pub(super) fn add<A: Arith>(&mut self, shrink: T, tile: T) {
        self.sum = A::fma(self.sum, shrink, tile);
    }
}

/// A weighted value divided by the sum of the weights, given its inverse. Adding zero turns −0 into 0: which
/// of the two a sum is may depend on hidden keys, whose weight is zero.
#[inline(always)]
pub(super) fn finish<T: Real>(y: T, inverse: T) -> T {
    y * inverse + T::ZERO
}

/// A score from a dot product whose query was multiplied by [`factor`]; `distance` is between query and key.
#[inline(always)]
pub(super) fn biased<A: Arith, T: Real>(dot: T, distance: T, slope: T) -> T {
    A::fma(-slope, distance, dot)
}

/// A scale or slope in units of ln 2.
#[inline(always)]
pub(super) fn factor<T: Real>(value: f64) -> T {
    T::of(value * std::f64::consts::LOG2_E)
}

/// Combines the chains.
#[inline(always)]
pub(super) fn combine<T: Copy>(chains: [T; CHAINS], both: impl Fn(T, T) -> T) -> T {
    let [a, b, c, d, e, f, g, h] = chains;
    both(both(both(a, e), both(c, g)), both(both(b, f), both(d, h)))
}

/// 2 to the power of `x` for x < 127, −∞ or NaN; exactly 1 at 0. In single precision a polynomial on
/// [−1/2, 1/2] that is fitted to a relative error of 9.2e−8, and 0 below −126.5.
#[inline(always)]
pub(super) fn exp2<A: Arith, T: Real>(x: T) -> T {
    if size_of::<T>() != size_of::<f32>() {
        return T::of(libm::exp2(x.wide()));
    }
    #[allow(clippy::approx_constant, reason = "fitted with the other coefficients, and not quite ln 2")]
    const LINEAR: f32 = 6.931_47e-1;
    // 1.5 · 2^23 rounds to the nearest integer; 127 more leaves the exponent of the result in the low bits.
    const MAGIC: f32 = 12_582_912.0 + 127.0;
    // At −127 those bits are zero, and so is the result. In this order NaN passes; in T, because the compiler
    // compares in double precision once the conversion stands before it.
    let x = T::of(-127.0).maximum(x);
    // Exact, and no instruction: T is f32.
    let x = x.wide() as f32;
    let shifted = x + MAGIC;
    let r = x - (shifted - MAGIC);
    let mut p = 1.326_472_2e-3;
    p = A::fma(p, r, 9.671_513e-3);
    p = A::fma(p, r, 5.550_734e-2);
    p = A::fma(p, r, 2.402_224_2e-1);
    p = A::fma(p, r, LINEAR);
    p = A::fma(p, r, 1.0);
    T::of(f64::from(p * f32::from_bits(shifted.to_bits() << 23)))
}
