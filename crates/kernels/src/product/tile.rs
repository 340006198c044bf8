//! The innermost block of a product: `R` rows by `P` panels of `W` columns, accumulated in vector registers.
//!
//! Written with the processor's own instructions, because the compiler keeps an array of accumulators in
//! memory: five to ten times slower. The plain form computes the same chain and serves every other target.

use super::Matrix;
use crate::isa::{Arith, Isa};
use crate::real::Real;
use std::any::TypeId;

/// `C[R, P · W] (+)= A · B`: `a` is `[R, depth]` where it stands, `b` is `P` panels `[depth, W]` of rows every
/// `b_stride` values, and W is 8, 16 or 32. `existing` says whether the chains continue from the values in `c`
/// or begin at zero.
#[inline(always)]
pub(super) fn tile<A: Arith, T: Real, const R: usize, const P: usize, const W: usize>(
    c: &mut [T],
    c_stride: usize,
    a: Matrix<'_, T>,
    b: &[T],
    b_stride: usize,
    depth: usize,
    existing: bool,
) {
    // The vector forms rely on these three.
    assert!(c.len() >= (R - 1) * c_stride + P * W);
    assert!(depth > 0 && a.values.len() > (R - 1) * a.row + (depth - 1) * a.column);
    assert!(b.len() >= (P * depth - 1) * b_stride + W);
    #[cfg(target_arch = "x86_64")]
    if A::ISA != Isa::Portable {
        let single = TypeId::of::<T>() == TypeId::of::<f32>();
        let double = TypeId::of::<T>() == TypeId::of::<f64>();
        let c = c.as_mut_ptr();
        let strides = Strides { c: c_stride, a: [a.row, a.column], b: b_stride };
        let (a, b) = (a.values.as_ptr(), b.as_ptr());
        macro_rules! call {
            ($form:ident, $registers:literal) => {
                return $form::<R, P, $registers>(c.cast(), a.cast(), b.cast(), strides, depth, existing)
            };
        }
        // SAFETY: the lengths were asserted above; a cast is taken only where `T` is that very type; code
        // generic over `A` runs only inside the variant that `dispatch` has found the processor to support,
        // and AVX-512 includes AVX2.
        #[allow(unsafe_code)]
        unsafe {
            match (A::ISA, single, double, W) {
                (_, true, _, 8) => call!(narrow_f32, 1),
                (Isa::Avx512, true, _, 16) => call!(wide_f32, 1),
                (Isa::Avx512, true, _, 32) => call!(wide_f32, 2),
                (Isa::Avx2, true, _, 16) => call!(narrow_f32, 2),
                (Isa::Avx2, true, _, 32) => call!(narrow_f32, 4),
                (Isa::Avx512, _, true, 8) => call!(wide_f64, 1),
                (Isa::Avx512, _, true, 16) => call!(wide_f64, 2),
                (Isa::Avx512, _, true, 32) => call!(wide_f64, 4),
                (Isa::Avx2, _, true, 8) => call!(narrow_f64, 2),
                (Isa::Avx2, _, true, 16) => call!(narrow_f64, 4),
                (Isa::Avx2, _, true, 32) => call!(narrow_f64, 8),
                _ => {}
            }
        }
    }
    plain::<A, T, R, P, W>(c, c_stride, a, b, b_stride, depth, existing);
}

#[inline(always)]
fn plain<A: Arith, T: Real, const R: usize, const P: usize, const W: usize>(
    c: &mut [T],
    c_stride: usize,
    a: Matrix<'_, T>,
    b: &[T],
    b_stride: usize,
    depth: usize,
    existing: bool,
) {
    for panel in 0..P {
        let b = &b[panel * depth * b_stride..];
        let mut sums = [[T::ZERO; W]; R];
        if existing {
            for i in 0..R {
                sums[i].copy_from_slice(&c[i * c_stride + panel * W..][..W]);
            }
        }
        for p in 0..depth {
            let b = &b[p * b_stride..][..W];
            for i in 0..R {
                let a = a.values[i * a.row + p * a.column];
                for j in 0..W {
                    sums[i][j] = A::fma(a, b[j], sums[i][j]);
                }
            }
        }
        for i in 0..R {
            c[i * c_stride + panel * W..][..W].copy_from_slice(&sums[i]);
        }
    }
}

/// Values between a row and the next of each operand; of `A` also between columns.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct Strides {
    c: usize,
    a: [usize; 2],
    b: usize,
}

/// One vector form: number, values in a register, features, and the five instructions.
#[cfg(target_arch = "x86_64")]
macro_rules! vector_tile {
    ($name:ident, $number:ty, $lanes:literal, $features:literal,
     $zero:ident, $load:ident, $store:ident, $splat:ident, $fma:ident) => {
        /// `V` is the number of registers in a panel's row.
        ///
        /// # Safety
        /// The processor has the features; each operand holds every element that `R`, `P`, `V`, the depth
        /// and its strides reach.
        #[target_feature(enable = $features)]
        #[allow(unsafe_code)]
        unsafe fn $name<const R: usize, const P: usize, const V: usize>(
            c: *mut $number,
            a: *const $number,
            b: *const $number,
            strides: Strides,
            depth: usize,
            existing: bool,
        ) {
            use std::arch::x86_64::*;
            let Strides { c: c_stride, a: [row, column], b: b_stride } = strides;
            // SAFETY: every address lies inside the lengths the caller promises.
            unsafe {
                let at = |i: usize, panel: usize, v: usize| i * c_stride + (panel * V + v) * $lanes;
                let mut sums = [[[$zero(); V]; P]; R];
                if existing {
                    for i in 0..R {
                        for panel in 0..P {
                            for v in 0..V {
                                sums[i][panel][v] = $load(c.add(at(i, panel, v)));
                            }
                        }
                    }
                }
                for p in 0..depth {
                    for panel in 0..P {
                        let b = b.add((panel * depth + p) * b_stride);
                        let mut across = [$zero(); V];
                        for v in 0..V {
                            across[v] = $load(b.add(v * $lanes));
                        }
                        for i in 0..R {
                            let a = $splat(*a.add(i * row + p * column));
                            for v in 0..V {
                                sums[i][panel][v] = $fma(a, across[v], sums[i][panel][v]);
                            }
                        }
                    }
                }
                for i in 0..R {
                    for panel in 0..P {
                        for v in 0..V {
                            $store(c.add(at(i, panel, v)), sums[i][panel][v]);
                        }
                    }
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
vector_tile!(
    wide_f32,
    f32,
    16,
    "avx512f",
    _mm512_setzero_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_set1_ps,
    _mm512_fmadd_ps
);
#[cfg(target_arch = "x86_64")]
vector_tile!(
    wide_f64,
    f64,
    8,
    "avx512f",
    _mm512_setzero_pd,
    _mm512_loadu_pd,
    _mm512_storeu_pd,
    _mm512_set1_pd,
    _mm512_fmadd_pd
);
#[cfg(target_arch = "x86_64")]
vector_tile!(
    narrow_f32,
    f32,
    8,
    "avx2,fma",
    _mm256_setzero_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_set1_ps,
    _mm256_fmadd_ps
);
#[cfg(target_arch = "x86_64")]
vector_tile!(
    narrow_f64,
    f64,
    4,
    "avx2,fma",
    _mm256_setzero_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_set1_pd,
    _mm256_fmadd_pd
);
