//! Blocks of queries turned between rows and lanes, eight by eight.

use crate::isa::Arith;
use crate::real::Real;

const SIDE: usize = 8;

/// `to[column, row] = from[row, column]`. Rows and columns are multiples of 8; strides are those of the rows of
/// each.
#[inline(always)]
pub(super) fn transpose<A: Arith, T: Real>(
    from: &[T],
    from_stride: usize,
    [rows, columns]: [usize; 2],
    to: &mut [T],
    to_stride: usize,
) {
    for row in (0..rows).step_by(SIDE) {
        for column in (0..columns).step_by(SIDE) {
            let from = &from[row * from_stride + column..];
            let to = &mut to[column * to_stride + row..];
            block::<A, T>(from, from_stride, to, to_stride);
        }
    }
}

#[inline(always)]
fn block<A: Arith, T: Real>(from: &[T], from_stride: usize, to: &mut [T], to_stride: usize) {
    // What the vector form relies on.
    assert!(from.len() >= (SIDE - 1) * from_stride + SIDE && to.len() >= (SIDE - 1) * to_stride + SIDE);
    #[cfg(target_arch = "x86_64")]
    if A::ISA != crate::isa::Isa::Portable && std::any::TypeId::of::<T>() == std::any::TypeId::of::<f32>() {
        // SAFETY: the lengths were asserted above; T is f32; code generic over `A` runs only inside the
        // variant that `dispatch` has found the processor to support, and AVX-512 includes AVX2.
        #[allow(unsafe_code)]
        unsafe {
            return eight(from.as_ptr().cast(), from_stride, to.as_mut_ptr().cast(), to_stride);
        }
    }
    for row in 0..SIDE {
        for column in 0..SIDE {
            to[column * to_stride + row] = from[row * from_stride + column];
        }
    }
}

/// # Safety
/// The processor has AVX2; both operands hold eight rows of eight at their strides.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[allow(unsafe_code)]
unsafe fn eight(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
    use std::arch::x86_64::*;
    // SAFETY: every address lies inside the lengths the caller promises.
    unsafe {
        let mut rows = [_mm256_setzero_ps(); SIDE];
        for (at, row) in rows.iter_mut().enumerate() {
            *row = _mm256_loadu_ps(from.add(at * from_stride));
        }
        let mut pairs = rows;
        for at in 0..SIDE / 2 {
            pairs[2 * at] = _mm256_unpacklo_ps(rows[2 * at], rows[2 * at + 1]);
            pairs[2 * at + 1] = _mm256_unpackhi_ps(rows[2 * at], rows[2 * at + 1]);
        }
        let mut fours = pairs;
        for half in 0..2 {
            let [a, b, c, d] = [0, 1, 2, 3].map(|at| pairs[4 * half + at]);
            fours[4 * half] = _mm256_shuffle_ps::<0x44>(a, c);
            fours[4 * half + 1] = _mm256_shuffle_ps::<0xEE>(a, c);
            fours[4 * half + 2] = _mm256_shuffle_ps::<0x44>(b, d);
            fours[4 * half + 3] = _mm256_shuffle_ps::<0xEE>(b, d);
        }
        for at in 0..SIDE / 2 {
            let low = _mm256_permute2f128_ps::<0x20>(fours[at], fours[at + 4]);
            let high = _mm256_permute2f128_ps::<0x31>(fours[at], fours[at + 4]);
            _mm256_storeu_ps(to.add(at * to_stride), low);
            _mm256_storeu_ps(to.add((at + 4) * to_stride), high);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Isa, Kernel, dispatch_on};

    struct Transpose<'a, T>(&'a [T], &'a mut [T]);
    impl<T: Real> Kernel for Transpose<'_, T> {
        type Output = ();
        #[inline(always)]
        fn run<A: Arith>(self) {
            transpose::<A, T>(self.0, 19, [8, 16], self.1, 11);
        }
    }

    fn every_element_moves_to_its_place<T: Real>() {
        let from: Vec<T> = (0..8 * 19).map(|at| T::of(f64::from(at))).collect();
        for isa in Isa::available() {
            let mut to = vec![T::ZERO; 16 * 11];
            dispatch_on(isa, Transpose(&from, &mut to));
            for (at, value) in to.iter().enumerate() {
                let (column, row) = (at / 11, at % 11);
                let want = if row < 8 { from[row * 19 + column] } else { T::ZERO };
                assert!(*value == want, "{row} {column} {}", isa.name());
            }
        }
    }

    #[test]
    fn every_element_moves_to_its_place_in_either_precision() {
        every_element_moves_to_its_place::<f32>();
        every_element_moves_to_its_place::<f64>();
    }
}
