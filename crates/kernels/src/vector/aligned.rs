//! Memory that begins on a cache line, so that no register of it lies across two.

use crate::real::Real;
use std::ops::{Deref, DerefMut};

/// Sixteen numbers: one cache line in single precision, two in double.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line<T>([T; 16]);

/// A slice of numbers, all 0 at first.
#[derive(Clone, Debug)]
pub(crate) struct Aligned<T> {
    lines: Vec<Line<T>>,
    len: usize,
}

impl<T: Real> Aligned<T> {
    /// As many zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        Aligned { lines: vec![Line([T::ZERO; 16]); len.div_ceil(16)], len }
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];
    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: a line is an array of numbers without padding, and the lines hold at least `len` of them.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len)
        }
    }
}

impl<T> DerefMut for Aligned<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and the borrow is exclusive.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_and_as_long_as_asked_for() {
        for len in [0, 1, 16, 17, 1000] {
            let mut values = Aligned::<f32>::zeros(len);
            assert_eq!(values.len(), len);
            assert_eq!(values.as_ptr() as usize % 64, 0);
            values.iter_mut().for_each(|value| *value += 1.0);
            assert!(values.clone().iter().all(|value| *value == 1.0));
        }
    }
}
