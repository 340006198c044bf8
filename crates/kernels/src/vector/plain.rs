//! Registers made of other things: an array, where the target has no vectors we name, and two registers side by
//! side.

use super::Vector;
use crate::real::Real;
use std::ops::{Add, Div, Mul, Neg, Sub};

const LANES: usize = 4;

/// Four numbers in an array; multiply and add are rounded apart.
#[derive(Clone, Copy, Debug)]
pub struct Plain<T>([T; LANES]);

/// Each lane from the lanes of one to three arrays.
macro_rules! lanes {
    ($x:ident => $value:expr) => {{
        let mut out = [T::ZERO; LANES];
        for $x in 0..LANES {
            out[$x] = $value;
        }
        Plain(out)
    }};
}

impl<T: Real> Add for Plain<T> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        lanes!(x => self.0[x] + other.0[x])
    }
}

impl<T: Real> Sub for Plain<T> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        lanes!(x => self.0[x] - other.0[x])
    }
}

impl<T: Real> Mul for Plain<T> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        lanes!(x => self.0[x] * other.0[x])
    }
}

impl<T: Real> Div for Plain<T> {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        lanes!(x => self.0[x] / other.0[x])
    }
}

impl<T: Real> Neg for Plain<T> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        lanes!(x => -self.0[x])
    }
}

impl<T: Real> Vector for Plain<T> {
    type Number = T;
    type Group = Pair<Pair<Self>>;
    const LANES: usize = LANES;

    #[inline(always)]
    fn splat(value: T) -> Self {
        Plain([value; LANES])
    }
    /// # Safety
    /// The trait's.
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn load(from: *const T) -> Self {
        // SAFETY: the caller promises as many numbers; an array has no stricter alignment than they.
        Plain(unsafe { *from.cast() })
    }
    /// # Safety
    /// The trait's.
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn store(self, to: *mut T) {
        // SAFETY: as in `load`.
        unsafe { *to.cast() = self.0 };
    }
    #[inline(always)]
    fn fma(self, a: Self, b: Self) -> Self {
        self * a + b
    }
    #[inline(always)]
    fn fnma(self, a: Self, b: Self) -> Self {
        b - self * a
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        lanes!(x => if self.0[x] > other.0[x] { self.0[x] } else { other.0[x] })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        lanes!(x => if self.0[x] < other.0[x] { self.0[x] } else { other.0[x] })
    }
    #[inline(always)]
    fn below(self, bound: Self, yes: Self, no: Self) -> Self {
        lanes!(x => if self.0[x] < bound.0[x] { yes.0[x] } else { no.0[x] })
    }
    #[inline(always)]
    fn scaled(self, shifted: Self) -> Self {
        lanes!(x => self.0[x].scaled(shifted.0[x]))
    }
    #[inline(always)]
    fn sum(self) -> T {
        let [a, b, c, d] = self.0;
        (a + c) + (b + d)
    }
    #[inline(always)]
    fn map(self, function: fn(T) -> T) -> Self {
        lanes!(x => function(self.0[x]))
    }
}

/// Two registers as one.
#[derive(Clone, Copy, Debug)]
pub struct Pair<V>(V, V);

impl<V: Vector> Add for Pair<V> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Pair(self.0 + other.0, self.1 + other.1)
    }
}

impl<V: Vector> Sub for Pair<V> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Pair(self.0 - other.0, self.1 - other.1)
    }
}

impl<V: Vector> Mul for Pair<V> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Pair(self.0 * other.0, self.1 * other.1)
    }
}

impl<V: Vector> Div for Pair<V> {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        Pair(self.0 / other.0, self.1 / other.1)
    }
}

impl<V: Vector> Neg for Pair<V> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Pair(-self.0, -self.1)
    }
}

impl<V: Vector> Vector for Pair<V> {
    type Number = V::Number;
    type Group = Self;
    const LANES: usize = 2 * V::LANES;

    #[inline(always)]
    fn splat(value: V::Number) -> Self {
        Pair(V::splat(value), V::splat(value))
    }
    /// # Safety
    /// The trait's.
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn load(from: *const V::Number) -> Self {
        // SAFETY: the caller promises numbers for both.
        unsafe { Pair(V::load(from), V::load(from.add(V::LANES))) }
    }
    /// # Safety
    /// The trait's.
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn store(self, to: *mut V::Number) {
        // SAFETY: as in `load`.
        unsafe {
            self.0.store(to);
            self.1.store(to.add(V::LANES));
        }
    }
    #[inline(always)]
    fn fma(self, a: Self, b: Self) -> Self {
        Pair(self.0.fma(a.0, b.0), self.1.fma(a.1, b.1))
    }
    #[inline(always)]
    fn fnma(self, a: Self, b: Self) -> Self {
        Pair(self.0.fnma(a.0, b.0), self.1.fnma(a.1, b.1))
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Pair(self.0.max(other.0), self.1.max(other.1))
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Pair(self.0.min(other.0), self.1.min(other.1))
    }
    #[inline(always)]
    fn below(self, bound: Self, yes: Self, no: Self) -> Self {
        Pair(self.0.below(bound.0, yes.0, no.0), self.1.below(bound.1, yes.1, no.1))
    }
    #[inline(always)]
    fn scaled(self, shifted: Self) -> Self {
        Pair(self.0.scaled(shifted.0), self.1.scaled(shifted.1))
    }
    #[inline(always)]
    fn sum(self) -> V::Number {
        (self.0 + self.1).sum()
    }
    #[inline(always)]
    fn map(self, function: fn(V::Number) -> V::Number) -> Self {
        Pair(self.0.map(function), self.1.map(function))
    }
}
