//! Vector registers as values: what a kernel is written with where the compiler would keep its running sums in
//! memory.
//!
//! A kernel generic over [`Arith`](crate::isa::Arith) takes its registers from `A::Vector<T>`: 64 bytes wide
//! under AVX-512, 32 under AVX2, an array elsewhere. Every operation but [`Vector::sum`] is one operation in
//! each lane, so that bits do not depend on the width; a sum along a row is one of [`Group`](Vector::Group)s,
//! which are 16 lanes wide everywhere.

mod aligned;
mod functions;
mod plain;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use aligned::Aligned;
pub use functions::Elementary;
pub use plain::{Pair, Plain};
#[cfg(target_arch = "x86_64")]
pub use x86::{F32x8, F32x16, F64x4, F64x8};

use crate::real::Real;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// The registers of a number, by instruction set.
pub trait Registers: Sized {
    /// Under AVX-512.
    type Wide: Vector<Number = Self>;
    /// Under AVX2.
    type Narrow: Vector<Number = Self>;
    /// Everywhere else.
    type Portable: Vector<Number = Self>;
}

#[cfg(target_arch = "x86_64")]
impl Registers for f32 {
    type Wide = F32x16;
    type Narrow = F32x8;
    type Portable = Plain<f32>;
}

#[cfg(target_arch = "x86_64")]
impl Registers for f64 {
    type Wide = F64x8;
    type Narrow = F64x4;
    type Portable = Plain<f64>;
}

#[cfg(not(target_arch = "x86_64"))]
impl<T: Real> Registers for T {
    type Wide = Plain<T>;
    type Narrow = Plain<T>;
    type Portable = Plain<T>;
}

/// A register full of numbers. Code generic over it runs only inside [`dispatch`](crate::isa::dispatch), which
/// has found the processor to have the instructions of the register it hands out; everything is inlined there.
pub trait Vector:
    Copy
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// What stands in each lane.
    type Number: Real;
    /// 16 lanes made of these registers.
    type Group: Vector<Number = Self::Number>;
    /// Numbers in a register.
    const LANES: usize;

    /// The same number in every lane.
    fn splat(value: Self::Number) -> Self;
    /// Reads [`Self::LANES`] numbers.
    ///
    /// # Safety
    /// They lie within one allocation, initialised.
    #[allow(unsafe_code)]
    unsafe fn load(from: *const Self::Number) -> Self;
    /// Writes [`Self::LANES`] numbers.
    ///
    /// # Safety
    /// They lie within one allocation that is the caller's to write.
    #[allow(unsafe_code)]
    unsafe fn store(self, to: *mut Self::Number);
    /// `self · a + b`, rounded as the variant's [`Arith`](crate::isa::Arith) does.
    fn fma(self, a: Self, b: Self) -> Self;
    /// `b − self · a`, rounded likewise.
    fn fnma(self, a: Self, b: Self) -> Self;
    /// The larger; `other` where either is not a number.
    fn max(self, other: Self) -> Self;
    /// The smaller; `other` where either is not a number.
    fn min(self, other: Self) -> Self;
    /// `yes` where `self < bound`, else `no`.
    fn below(self, bound: Self, yes: Self, no: Self) -> Self;
    /// `self · 2^n` for a single-precision `self` and n in −126..=127, where `shifted` is 1.5 · 2^23 + n and no
    /// result leaves the range of normal numbers.
    fn scaled(self, shifted: Self) -> Self;
    /// The sum over lanes: halves are added until one is left.
    fn sum(self) -> Self::Number;
    /// A function of each lane, one by one.
    fn map(self, function: fn(Self::Number) -> Self::Number) -> Self;

    /// The same, and 0 in lanes that are smaller than [`Real::VANISHED`]; what is no number stays so.
    #[inline(always)]
    fn without_vanished(self) -> Self {
        self.max(-self).below(Self::splat(Self::Number::VANISHED), Self::zero(), self)
    }

    /// 0 in every lane.
    #[inline(always)]
    fn zero() -> Self {
        Self::splat(Self::Number::ZERO)
    }

    /// The first numbers of a slice, at most [`Self::LANES`], and 0 in the lanes beyond.
    #[inline(always)]
    fn load_part(from: &[Self::Number]) -> Self {
        Self::load_part_or(from, Self::Number::ZERO)
    }

    /// [`Self::load_part`] with another number in the lanes beyond.
    #[inline(always)]
    fn load_part_or(from: &[Self::Number], beyond: Self::Number) -> Self {
        let mut whole = [beyond; MOST];
        let count = from.len().min(Self::LANES);
        whole[..count].copy_from_slice(&from[..count]);
        // SAFETY: no register has more than MOST lanes.
        #[allow(unsafe_code)]
        unsafe {
            Self::load(whole.as_ptr())
        }
    }

    /// Writes the first lanes into a slice of at most [`Self::LANES`] numbers.
    #[inline(always)]
    fn store_part(self, to: &mut [Self::Number]) {
        let mut whole = [Self::Number::ZERO; MOST];
        // SAFETY: no register has more than MOST lanes.
        #[allow(unsafe_code)]
        unsafe {
            self.store(whole.as_mut_ptr());
        }
        let count = to.len().min(Self::LANES);
        to[..count].copy_from_slice(&whole[..count]);
    }
}

/// Lanes of the widest register.
pub(crate) const MOST: usize = 16;

/// A register of a slice.
#[inline(always)]
pub(crate) fn load<V: Vector>(from: &[V::Number], at: usize) -> V {
    let from = &from[at..][..V::LANES];
    // SAFETY: the slice has a register's worth.
    #[allow(unsafe_code)]
    unsafe {
        V::load(from.as_ptr())
    }
}

/// A register into a slice.
#[inline(always)]
pub(crate) fn store<V: Vector>(value: V, to: &mut [V::Number], at: usize) {
    let to = &mut to[at..][..V::LANES];
    // SAFETY: the slice has a register's worth.
    #[allow(unsafe_code)]
    unsafe {
        value.store(to.as_mut_ptr());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Arith, Isa, Kernel, dispatch_on};

    struct All<'a, T>(&'a [T; 16], &'a [T; 16]);

    impl<T: Real> Kernel for All<'_, T> {
        type Output = Vec<f64>;
        #[inline(always)]
        fn run<A: Arith>(self) -> Vec<f64> {
            type Group<A, T> = <<A as Arith>::Vector<T> as Vector>::Group;
            assert_eq!(Group::<A, T>::LANES, 16);
            let (a, b) = (Group::<A, T>::load_part(self.0), Group::<A, T>::load_part(self.1));
            let mut found = vec![a.sum().wide()];
            for value in [
                a + b,
                a - b,
                a * b,
                a / Vector::splat(T::of(2.0)),
                -a,
                a.fma(b, b),
                a.fnma(b, b),
                a.max(b),
                a.min(b),
                a.below(b, a, Vector::zero()),
                a.map(|x| x + x),
            ] {
                let mut out = [T::ZERO; 16];
                value.store_part(&mut out);
                found.extend(out.map(Real::wide));
            }
            found
        }
    }

    fn agree<T: Real>() {
        // Small integers, with which every operation is exact.
        let a = std::array::from_fn(|i| T::of((i * 7 % 16) as f64 - 5.0));
        let b = std::array::from_fn(|i| T::of((i * 11 % 16) as f64 - 9.0));
        let pairs: Vec<(f64, f64)> = a.iter().zip(&b).map(|(a, b): (&T, &T)| (a.wide(), b.wide())).collect();
        let mut want = vec![pairs.iter().map(|(a, _)| a).sum::<f64>()];
        let functions: [fn(f64, f64) -> f64; 11] = [
            |a, b| a + b,
            |a, b| a - b,
            |a, b| a * b,
            |a, _| a / 2.0,
            |a, _| -a,
            |a, b| a * b + b,
            |a, b| b - a * b,
            f64::max,
            f64::min,
            |a, b| if a < b { a } else { 0.0 },
            |a, _| a + a,
        ];
        for function in functions {
            want.extend(pairs.iter().map(|(a, b)| function(*a, *b)));
        }
        for isa in Isa::available() {
            assert_eq!(dispatch_on(isa, All(&a, &b)), want, "{}", isa.name());
        }
    }

    #[test]
    fn every_operation_does_in_each_lane_what_it_says() {
        agree::<f32>();
        agree::<f64>();
    }

    /// What `without_vanished` makes of numbers.
    struct Vanishing<'a>(&'a [f32]);

    impl Kernel for Vanishing<'_> {
        type Output = Vec<f32>;
        #[inline(always)]
        fn run<A: Arith>(self) -> Vec<f32> {
            let mut out = vec![0.0; self.0.len()];
            for (from, to) in
                self.0.chunks(A::Vector::<f32>::LANES).zip(out.chunks_mut(A::Vector::<f32>::LANES))
            {
                A::Vector::<f32>::load_part(from).without_vanished().store_part(to);
            }
            out
        }
    }

    #[test]
    fn what_has_vanished_becomes_nothing_and_what_is_no_number_stays() {
        let numbers = [1e-31, -1e-31, 1e-40, 2e-30, -2e-30, -3.0, f32::INFINITY, f32::NAN];
        for isa in Isa::available() {
            let found = dispatch_on(isa, Vanishing(&numbers));
            assert_eq!(found[..7], [0.0, 0.0, 0.0, 2e-30, -2e-30, -3.0, f32::INFINITY], "{}", isa.name());
            assert!(found[7].is_nan());
        }
    }
}
