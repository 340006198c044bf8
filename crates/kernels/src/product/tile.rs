//! The innermost block of a product: `R` rows by `P` panels of 32 columns, accumulated in vector registers.
//!
//! Written with the processor's own instructions, because the compiler keeps an array of accumulators in
//! memory: five to ten times slower. The plain form computes the same chain and serves every other target.

use crate::isa::{Arith, Isa};
use crate::real::Real;
use std::any::TypeId;

/// Columns of a panel: four registers of `f32` with AVX2, two with AVX-512.
pub(super) const COLUMNS: usize = 32;

/// `C[R, P · 32] (+)= A · B`: `a` is `[depth, R]`, `b` is `P` panels `[depth, 32]`. `existing` says whether
/// the chains continue from the values in `c` or begin at zero.
#[inline(always)]
pub(super) fn tile<A: Arith, T: Real, const R: usize, const P: usize>(
    c: &mut [T],
    c_stride: usize,
    a: &[T],
    b: &[T],
    existing: bool,
) {
    let depth = a.len() / R;
    // The vector forms rely on these three.
    assert!(c.len() >= (R - 1) * c_stride + P * COLUMNS);
    assert!(a.len() == depth * R);
    assert!(b.len() == depth * P * COLUMNS);
    #[cfg(target_arch = "x86_64")]
    if A::ISA != Isa::Portable {
        let (single, double) =
            (TypeId::of::<T>() == TypeId::of::<f32>(), TypeId::of::<T>() == TypeId::of::<f64>());
        let (c, a, b) = (c.as_mut_ptr(), a.as_ptr(), b.as_ptr());
        // SAFETY: the lengths were asserted above; a cast is taken only where `T` is that very type; code
        // generic over `A` runs only inside the variant that `dispatch` has found the processor to support.
        #[allow(unsafe_code)]
        unsafe {
            match (A::ISA, single, double) {
                (Isa::Avx512, true, _) => {
                    return wide_f32::<R, P>(c.cast(), c_stride, a.cast(), b.cast(), depth, existing);
                }
                (Isa::Avx512, _, true) => {
                    return wide_f64::<R, P>(c.cast(), c_stride, a.cast(), b.cast(), depth, existing);
                }
                (Isa::Avx2, true, _) => {
                    return narrow_f32::<R, P>(c.cast(), c_stride, a.cast(), b.cast(), depth, existing);
                }
                (Isa::Avx2, _, true) => {
                    return narrow_f64::<R, P>(c.cast(), c_stride, a.cast(), b.cast(), depth, existing);
                }
                _ => {}
            }
        }
    }
    plain::<A, T, R, P>(c, c_stride, a, b, existing);
}

#[inline(always)]
fn plain<A: Arith, T: Real, const R: usize, const P: usize>(
    c: &mut [T],
    c_stride: usize,
    a: &[T],
    b: &[T],
    existing: bool,
) {
    let depth = a.len() / R;
    for panel in 0..P {
        let b = &b[panel * depth * COLUMNS..][..depth * COLUMNS];
        let mut sums = [[T::ZERO; COLUMNS]; R];
        if existing {
            for i in 0..R {
                sums[i].copy_from_slice(&c[i * c_stride + panel * COLUMNS..][..COLUMNS]);
            }
        }
        for (a, b) in a.chunks_exact(R).zip(b.chunks_exact(COLUMNS)) {
            for i in 0..R {
                for j in 0..COLUMNS {
                    sums[i][j] = A::fma(a[i], b[j], sums[i][j]);
                }
            }
        }
        for i in 0..R {
            c[i * c_stride + panel * COLUMNS..][..COLUMNS].copy_from_slice(&sums[i]);
        }
    }
}

/// One vector form: number, registers per panel row, features, and the five instructions.
#[cfg(target_arch = "x86_64")]
macro_rules! vector_tile {
    ($name:ident, $number:ty, $registers:expr, $features:literal,
     $zero:ident, $load:ident, $store:ident, $splat:ident, $fma:ident) => {
        /// # Safety
        /// The processor has the features; `c` holds `R` rows of `P · 32` values every `c_stride`, `a`
        /// `depth · R` values and `b` `depth · P · 32`.
        #[target_feature(enable = $features)]
        #[allow(unsafe_code)]
        unsafe fn $name<const R: usize, const P: usize>(
            c: *mut $number,
            c_stride: usize,
            a: *const $number,
            b: *const $number,
            depth: usize,
            existing: bool,
        ) {
            use std::arch::x86_64::*;
            const REGISTERS: usize = $registers;
            const LANES: usize = COLUMNS / REGISTERS;
            // SAFETY: every address lies inside the lengths the caller promises.
            unsafe {
                let mut sums = [[[$zero(); REGISTERS]; P]; R];
                if existing {
                    for i in 0..R {
                        for panel in 0..P {
                            for v in 0..REGISTERS {
                                sums[i][panel][v] = $load(c.add(i * c_stride + panel * COLUMNS + v * LANES));
                            }
                        }
                    }
                }
                for p in 0..depth {
                    for panel in 0..P {
                        let b = b.add((panel * depth + p) * COLUMNS);
                        let mut row = [$zero(); REGISTERS];
                        for v in 0..REGISTERS {
                            row[v] = $load(b.add(v * LANES));
                        }
                        for i in 0..R {
                            let a = $splat(*a.add(p * R + i));
                            for v in 0..REGISTERS {
                                sums[i][panel][v] = $fma(a, row[v], sums[i][panel][v]);
                            }
                        }
                    }
                }
                for i in 0..R {
                    for panel in 0..P {
                        for v in 0..REGISTERS {
                            $store(c.add(i * c_stride + panel * COLUMNS + v * LANES), sums[i][panel][v]);
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
    2,
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
    4,
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
    4,
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
    8,
    "avx2,fma",
    _mm256_setzero_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_set1_pd,
    _mm256_fmadd_pd
);
