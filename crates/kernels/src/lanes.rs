//! Short rows, a register at a time.

use crate::isa::Arith;
use crate::real::Real;
use crate::vector::{Vector, load, store};

/// `sums[i] += terms[i]`.
#[inline(always)]
pub(crate) fn add<A: Arith, T: Real>(sums: &mut [T], terms: &[T]) {
    let lanes = A::Vector::<T>::LANES;
    let whole = sums.len() - sums.len() % lanes;
    for at in (0..whole).step_by(lanes) {
        store(load::<A::Vector<T>>(sums, at) + load(terms, at), sums, at);
    }
    for (sum, term) in sums[whole..].iter_mut().zip(&terms[whole..]) {
        *sum += *term;
    }
}

/// A copy of a row so short that a call of memcpy costs more than its values.
#[inline(always)]
pub(crate) fn copy<A: Arith, T: Real>(from: &[T], into: &mut [T]) {
    let lanes = A::Vector::<T>::LANES;
    let whole = from.len() - from.len() % lanes;
    for at in (0..whole).step_by(lanes) {
        store(load::<A::Vector<T>>(from, at), into, at);
    }
    into[whole..].copy_from_slice(&from[whole..]);
}

/// Asks for values that will be needed later, a cache line at a time, where the processor can be asked.
#[inline(always)]
pub(crate) fn fetch<T: Real>(values: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks(64 / size_of::<T>()) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: every x86-64 processor has the instruction, which changes nothing but what the caches hold.
        #[allow(unsafe_code)]
        unsafe {
            _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

/// Values to [`fetch`] piece by piece, from one slice after another.
pub(crate) struct Ahead<'a, T, const N: usize> {
    values: [&'a [T]; N],
    each: usize,
}

impl<'a, T: Real, const N: usize> Ahead<'a, T, N> {
    /// All of `values` in about so many pieces.
    #[inline(always)]
    pub(crate) fn new(values: [&'a [T]; N], pieces: usize) -> Self {
        const LINE: usize = 64;
        let total: usize = values.iter().map(|values| values.len()).sum();
        Ahead { values, each: total.div_ceil(pieces.max(1)).next_multiple_of(LINE / size_of::<T>()) }
    }

    /// The next piece.
    #[inline(always)]
    pub(crate) fn some(&mut self) {
        for values in &mut self.values {
            if !values.is_empty() {
                let (now, later) = values.split_at(self.each.min(values.len()));
                fetch(now);
                *values = later;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Isa, Kernel, dispatch_on};

    struct Both<'a>(&'a mut [f64], &'a mut [f64], &'a [f64]);
    impl Kernel for Both<'_> {
        type Output = ();
        #[inline(always)]
        fn run<A: Arith>(self) {
            add::<A, f64>(self.0, self.2);
            copy::<A, f64>(self.2, self.1);
        }
    }

    #[test]
    fn what_lies_ahead_is_gone_through_once() {
        let (first, second) = ([0f32; 70], [0f32; 20]);
        let mut ahead = Ahead::new([&first[..], &[], &second[..]], 6);
        let mut left = Vec::new();
        for _ in 0..8 {
            ahead.some();
            left.push(ahead.values.map(<[f32]>::len));
        }
        // Whole lines of 16 values at a time.
        assert_eq!(left[0], [54, 0, 20]);
        assert_eq!(left[4..], [[0, 0, 20], [0, 0, 4], [0, 0, 0], [0, 0, 0]]);
    }

    #[test]
    fn every_element_is_reached_once_whatever_the_length() {
        for isa in Isa::available() {
            for len in [0, 1, 15, 16, 17, 33] {
                let values: Vec<f64> = (0..len).map(f64::from).collect();
                let (mut sums, mut copied) = (vec![0.5; values.len()], vec![0.0; values.len()]);
                dispatch_on(isa, Both(&mut sums, &mut copied, &values));
                assert!(sums.iter().zip(&values).all(|(sum, value)| *sum == value + 0.5));
                assert_eq!(copied, values);
            }
        }
    }
}
