//! The registers of AVX2 and AVX-512.

use super::{Pair, Vector};
use std::arch::x86_64::*;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// One register type: its name, number, lanes, wider group, and its instructions.
macro_rules! register {
    ($(#[$about:meta])* $name:ident($register:ty), $number:ty, $lanes:literal, $group:ty, $splat:ident, $load:ident, $store:ident,
     $add:ident, $sub:ident, $mul:ident, $div:ident, $fma:ident, $fnma:ident, $max:ident, $min:ident,
     $below:expr, $scaled:expr, $sum:expr) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug)]
        #[repr(transparent)]
        pub struct $name($register);

        register!(@operator $name, Add, add, $add);
        register!(@operator $name, Sub, sub, $sub);
        register!(@operator $name, Mul, mul, $mul);
        register!(@operator $name, Div, div, $div);

        impl Neg for $name {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                Self::splat(-0.0) - self
            }
        }

        // SAFETY: of all blocks within: only code that `dispatch` has entered for this register's instructions
        // handles it, see `Vector`; loads and stores need no alignment and keep the trait's contract.
        #[allow(unsafe_code)]
        impl Vector for $name {
            type Number = $number;
            type Group = $group;
            const LANES: usize = $lanes;

            #[inline(always)]
            fn splat(value: $number) -> Self {
                // SAFETY: see above the `impl`.
                unsafe { $name($splat(value)) }
            }
            /// # Safety
            /// The trait's.
            #[inline(always)]
            unsafe fn load(from: *const $number) -> Self {
                // SAFETY: see above the `impl`.
                unsafe { $name($load(from)) }
            }
            /// # Safety
            /// The trait's.
            #[inline(always)]
            unsafe fn store(self, to: *mut $number) {
                // SAFETY: see above the `impl`.
                unsafe { $store(to, self.0) }
            }
            #[inline(always)]
            fn fma(self, a: Self, b: Self) -> Self {
                // SAFETY: see above the `impl`.
                unsafe { $name($fma(self.0, a.0, b.0)) }
            }
            #[inline(always)]
            fn fnma(self, a: Self, b: Self) -> Self {
                // SAFETY: see above the `impl`.
                unsafe { $name($fnma(self.0, a.0, b.0)) }
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                // SAFETY: see above the `impl`.
                unsafe { $name($max(self.0, other.0)) }
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                // SAFETY: see above the `impl`.
                unsafe { $name($min(self.0, other.0)) }
            }
            #[inline(always)]
            fn below(self, bound: Self, yes: Self, no: Self) -> Self {
                // SAFETY: see above the `impl`.
                unsafe { $name($below(self.0, bound.0, yes.0, no.0)) }
            }
            #[inline(always)]
            fn scaled(self, shifted: Self) -> Self {
                // SAFETY: see above the `impl`.
                unsafe { $name($scaled(self.0, shifted.0)) }
            }
            #[inline(always)]
            fn sum(self) -> $number {
                // SAFETY: see above the `impl`.
                unsafe { $sum(self.0) }
            }
            #[inline(always)]
            fn map(self, function: fn($number) -> $number) -> Self {
                let mut lanes = [0.0; $lanes];
                // SAFETY: the array has as many numbers as the register; otherwise see above the `impl`.
                unsafe {
                    self.store(lanes.as_mut_ptr());
                    for lane in &mut lanes {
                        *lane = function(*lane);
                    }
                    Self::load(lanes.as_ptr())
                }
            }
        }
    };
    (@operator $name:ident, $operator:ident, $method:ident, $instruction:ident) => {
        impl $operator for $name {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: see above `impl Vector`.
                #[allow(unsafe_code)]
                unsafe {
                    $name($instruction(self.0, other.0))
                }
            }
        }
    };
}

register!(
    /// Sixteen single-precision numbers of AVX-512.
    F32x16(__m512), f32, 16, F32x16, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps,
    _mm512_add_ps, _mm512_sub_ps, _mm512_mul_ps, _mm512_div_ps, _mm512_fmadd_ps, _mm512_fnmadd_ps, _mm512_max_ps, _mm512_min_ps,
    below_f32x16, scaled_f32x16, sum_f32x16
);
register!(
    /// Eight double-precision numbers of AVX-512.
    F64x8(__m512d), f64, 8, Pair<F64x8>, _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd,
    _mm512_add_pd, _mm512_sub_pd, _mm512_mul_pd, _mm512_div_pd, _mm512_fmadd_pd, _mm512_fnmadd_pd, _mm512_max_pd, _mm512_min_pd,
    below_f64x8, unscaled, sum_f64x8
);
register!(
    /// Eight single-precision numbers of AVX2.
    F32x8(__m256), f32, 8, Pair<F32x8>, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps,
    _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_div_ps, _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_max_ps, _mm256_min_ps,
    below_f32x8, scaled_f32x8, sum_f32x8
);
register!(
    /// Four double-precision numbers of AVX2.
    F64x4(__m256d), f64, 4, Pair<Pair<F64x4>>, _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd,
    _mm256_add_pd, _mm256_sub_pd, _mm256_mul_pd, _mm256_div_pd, _mm256_fmadd_pd, _mm256_fnmadd_pd, _mm256_max_pd, _mm256_min_pd,
    below_f64x4, unscaled, sum_f64x4
);

/// Double precision has no use for [`Vector::scaled`]: its functions are the library's.
///
/// # Safety
/// Always: it is called like an instruction.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn unscaled<T>(value: T, _: T) -> T {
    value
}

#[target_feature(enable = "avx512f")]
#[inline]
fn below_f32x16(a: __m512, b: __m512, yes: __m512, no: __m512) -> __m512 {
    _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), no, yes)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn below_f64x8(a: __m512d, b: __m512d, yes: __m512d, no: __m512d) -> __m512d {
    _mm512_mask_blend_pd(_mm512_cmp_pd_mask::<_CMP_LT_OQ>(a, b), no, yes)
}

#[target_feature(enable = "avx2")]
#[inline]
fn below_f32x8(a: __m256, b: __m256, yes: __m256, no: __m256) -> __m256 {
    _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_LT_OQ>(a, b))
}

#[target_feature(enable = "avx2")]
#[inline]
fn below_f64x4(a: __m256d, b: __m256d, yes: __m256d, no: __m256d) -> __m256d {
    _mm256_blendv_pd(no, yes, _mm256_cmp_pd::<_CMP_LT_OQ>(a, b))
}

// The low bits of a number 1.5 · 2^23 + n are n's: added to the exponent, they multiply by 2^n.

#[target_feature(enable = "avx512f")]
#[inline]
fn scaled_f32x16(value: __m512, shifted: __m512) -> __m512 {
    let exponent = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted));
    _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(value), exponent))
}

#[target_feature(enable = "avx2")]
#[inline]
fn scaled_f32x8(value: __m256, shifted: __m256) -> __m256 {
    let exponent = _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted));
    _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(value), exponent))
}

#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn sum_f32x16(a: __m512) -> f32 {
    sum_f32x8(_mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a)))
}

#[target_feature(enable = "avx2")]
#[inline]
fn sum_f32x8(a: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn sum_f64x8(a: __m512d) -> f64 {
    sum_f64x4(_mm256_add_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd::<1>(a)))
}

#[target_feature(enable = "avx2")]
#[inline]
fn sum_f64x4(a: __m256d) -> f64 {
    let two = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd::<1>(a));
    _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
}
