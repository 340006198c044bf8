//! Memory that each thread keeps from one head to the next, and outputs that several threads fill.

use crate::real::Real;
use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;

/// Values to which pieces of scratch are aligned: a vector of 64 bytes that crosses cache lines takes two
/// loads.
const ALIGNED: usize = 16;

thread_local! {
    /// One vector for each type of number.
    static KEPT: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Lends this thread's scratch, aligned and of any contents.
pub(super) fn with_scratch<T: Real, R>(values: usize, work: impl FnOnce(&mut [T]) -> R) -> R {
    // Taken out while it is lent: whatever else runs on this thread meanwhile gets its own.
    let kept = KEPT.with_borrow_mut(|kept| {
        let at = kept.iter().position(|any| any.is::<Vec<T>>())?;
        kept.swap_remove(at).downcast::<Vec<T>>().ok()
    });
    let mut held = kept.unwrap_or_default();
    if held.len() < values + ALIGNED {
        held.clear();
        held.resize(values + ALIGNED, T::ZERO);
    }
    let first = held.as_ptr().align_offset(ALIGNED * size_of::<f32>()).min(ALIGNED);
    let result = work(&mut held[first..][..values]);
    KEPT.with_borrow_mut(|kept| kept.push(held));
    result
}

/// Values that a piece takes.
pub(super) const fn room(values: usize) -> usize {
    values.next_multiple_of(ALIGNED)
}

/// Cuts an aligned piece off the front.
#[inline(always)]
pub(super) fn cut<'a, T>(rest: &mut &'a mut [T], values: usize) -> &'a mut [T] {
    let (piece, tail) = std::mem::take(rest).split_at_mut(room(values));
    *rest = tail;
    &mut piece[..values]
}

/// An output whose parts are filled by several threads.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    lent: PhantomData<&'a mut [T]>,
}

// SAFETY: it stands for a `&mut [T]`, which may be sent where T may.
#[allow(unsafe_code)]
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: what it points to is reached only through `rows`, whose callers keep the parts apart.
#[allow(unsafe_code)]
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(super) fn new(values: &'a mut [T]) -> Self {
        Shared { start: values.as_mut_ptr(), len: values.len(), lent: PhantomData }
    }

    /// `count` rows of `width` values of which the first begins at `first` and each `stride` after the last.
    ///
    /// # Safety
    /// No value of these rows is part of other rows while these are in use.
    #[allow(unsafe_code)]
    pub(super) unsafe fn rows(self, first: usize, stride: usize, width: usize, count: usize) -> Rows<'a, T> {
        assert!(width <= stride && (count == 0 || first + (count - 1) * stride + width <= self.len));
        // An address only: nothing is read, and `wrapping_add` asks nothing of it where count is 0.
        Rows { start: self.start.wrapping_add(first), stride, width, count, lent: PhantomData }
    }
}

/// Rows of one head, filled by one thread.
pub(super) struct Rows<'a, T> {
    start: *mut T,
    stride: usize,
    width: usize,
    count: usize,
    lent: PhantomData<&'a mut [T]>,
}

// SAFETY: as `Shared`.
#[allow(unsafe_code)]
unsafe impl<T: Send> Send for Rows<'_, T> {}

impl<T> Rows<'_, T> {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// One row.
    #[inline(always)]
    pub(super) fn row(&mut self, at: usize) -> &mut [T] {
        assert!(at < self.count);
        // SAFETY: `Shared::rows` has checked that all rows lie inside the values it was made of, which are
        // borrowed for the life of `self`; its caller promised that they are nobody else's meanwhile.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts_mut(self.start.add(at * self.stride), self.width)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_aligned_and_outlive_a_second_loan() {
        with_scratch::<f32, _>(100, |mut outer| {
            let (first, second) = (cut(&mut outer, 33), cut(&mut outer, 16));
            assert_eq!((first.len(), second.len()), (33, 16));
            for piece in [&first, &second] {
                assert!((piece.as_ptr() as usize).is_multiple_of(64));
            }
            second.fill(1.0);
            with_scratch::<f32, _>(100, |inner| inner.fill(2.0));
            assert!(second.iter().all(|x| *x == 1.0));
        });
        // Another type is another loan.
        with_scratch::<f64, _>(3, |values| assert_eq!(values.len(), 3));
    }

    #[test]
    fn rows_are_the_columns_they_name() {
        let mut values = [0; 14];
        let shared = Shared::new(&mut values);
        // SAFETY: the two name different columns.
        #[allow(unsafe_code)]
        let (mut a, mut b) = unsafe { (shared.rows(0, 5, 2, 3), shared.rows(2, 5, 2, 3)) };
        for at in 0..3 {
            a.row(at).fill(1);
            b.row(at).fill(2);
        }
        assert_eq!(values, [1, 1, 2, 2, 0, 1, 1, 2, 2, 0, 1, 1, 2, 2]);
    }
}
