//! Columns of matrices `[time, dim]`: what one task of a scan reads and writes of memory that others share.

use crate::real::Real;
use crate::vector::{Aligned, MOST, Vector, load, store};
use std::marker::PhantomData;
use std::ops::Range;

/// Steps of a buffer, at most.
pub(super) const CHUNK: usize = 64;

/// Steps between two states kept for the backward pass. With one state a channel so few that a chunk of all that is
/// read and written stays in the first cache, whose lines are gone through column by column; with more, memory for
/// the states counts for more, and the arithmetic is longer than the way to the second cache.
pub(super) fn chunk(n: usize) -> usize {
    if n == 1 { 16 } else { CHUNK }
}

/// How many chunks cover `time` steps of `n` states a channel.
pub(super) fn chunks(time: usize, n: usize) -> usize {
    time.div_ceil(chunk(n))
}

/// Memory of which every task writes elements of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    memory: PhantomData<&'a mut [T]>,
}

// SAFETY: only `slice` and `at` reach the memory, and their callers promise that no two tasks touch one element.
#[allow(unsafe_code)]
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(super) fn new(memory: &'a mut [T]) -> Self {
        Shared { start: memory.as_mut_ptr(), len: memory.len(), memory: PhantomData }
    }

    /// Part of the memory.
    ///
    /// # Safety
    /// No other task touches it while the slice lives.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(super) unsafe fn slice(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: the range was checked, and the caller promises that it is this task's alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// Where rows of `count` values each, `stride` apart, begin; `None` where there are none.
    #[inline(always)]
    pub(super) fn rows(&self, first: usize, stride: usize, rows: usize, count: usize) -> *mut T {
        assert!(rows == 0 || first + (rows - 1) * stride + count <= self.len);
        // Rows beyond the last may begin outside the memory, so this only computes an address.
        self.start.wrapping_add(first)
    }
}

/// Steps of some channels, `stride` values apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<P> {
    pub(super) start: P,
    pub(super) stride: usize,
}

impl<T> Rows<*const T> {
    /// `rows` steps of `count` channels from `first` on.
    #[inline(always)]
    pub(super) fn of(from: &[T], first: usize, stride: usize, rows: usize, count: usize) -> Self {
        assert!(rows == 0 || first + (rows - 1) * stride + count <= from.len());
        Rows { start: from.as_ptr().wrapping_add(first), stride }
    }

    /// A register of a step.
    ///
    /// # Safety
    /// It lies inside what the rows were made of, which is initialised.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(super) unsafe fn load<V: Vector<Number = T>>(&self, step: usize) -> V {
        // SAFETY: the caller's promise.
        unsafe { V::load(self.start.add(step * self.stride)) }
    }
}

impl<T> Rows<*mut T> {
    /// The same rows, to be read.
    #[inline(always)]
    pub(super) fn read(&self) -> Rows<*const T> {
        Rows { start: self.start, stride: self.stride }
    }

    /// A register into a step.
    ///
    /// # Safety
    /// As for reading, and the elements are this task's alone.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(super) unsafe fn store<V: Vector<Number = T>>(&self, step: usize, value: V) {
        // SAFETY: the caller's promise.
        unsafe { value.store(self.start.add(step * self.stride)) };
    }
}

/// A share of the chunk that comes next: which of its steps are asked for while one block of this chunk is worked
/// on, so that they are in the second cache when their turn comes. The processor itself sees no order in columns.
#[derive(Clone, Debug)]
pub(super) struct Ahead {
    /// Where the next chunk's first step begins in `[time, dim]`.
    pub(super) first: usize,
    pub(super) steps: Range<usize>,
    /// Values between steps, and of a step.
    pub(super) stride: usize,
    pub(super) count: usize,
}

impl Ahead {
    /// Asks for the share of a matrix that begins at `start`. Any address may be asked for; nothing is read.
    #[inline(always)]
    pub(super) fn of<T>(&self, start: *const T) {
        let line = 64 / size_of::<T>();
        for step in self.steps.clone() {
            let from = start.wrapping_add(self.first + step * self.stride);
            for at in (0..self.count).step_by(line) {
                prefetch(from.wrapping_add(at));
            }
        }
    }
}

#[inline(always)]
fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing and faults nowhere; every x86-64 processor has it.
    #[allow(unsafe_code)]
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Channels a buffer is wide: the widest register's.
pub(super) const SPAN: usize = MOST;

/// A chunk of steps of a few channels, side by side: where a block does not fill its registers, or is gone over
/// more than once.
#[derive(Clone, Debug)]
pub(super) struct Buffer<T, const WIDE: usize = SPAN>(Aligned<T>);

impl<T: Real, const WIDE: usize> Buffer<T, WIDE> {
    pub(super) fn new() -> Self {
        // Some more, so that buffers made one after the other do not agree in the last twelve bits of their
        // addresses, by which the processor first tells a load from an earlier store.
        Buffer(Aligned::zeros(CHUNK * WIDE + 192))
    }

    /// All of it.
    #[inline(always)]
    pub(super) fn rows(&mut self) -> Rows<*mut T> {
        Rows { start: self.0.as_mut_ptr(), stride: WIDE }
    }

    /// One step.
    #[inline(always)]
    pub(super) fn row(&self, step: usize) -> &[T] {
        &self.0[step * WIDE..][..WIDE]
    }

    /// One step, to be written.
    #[inline(always)]
    pub(super) fn row_mut(&mut self, step: usize) -> &mut [T] {
        &mut self.0[step * WIDE..][..WIDE]
    }

    /// Copies steps of `count` channels in, with zeros in the lanes up to a whole number of registers.
    ///
    /// # Safety
    /// The rows hold `steps` steps of `count` channels.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(super) unsafe fn fill<V: Vector<Number = T>>(
        &mut self,
        from: Rows<*const T>,
        steps: usize,
        count: usize,
    ) {
        let whole = count - count % V::LANES;
        for step in 0..steps {
            let to = self.row_mut(step);
            // SAFETY: the caller's promise.
            let from = unsafe { std::slice::from_raw_parts(from.start.add(step * from.stride), count) };
            for at in (0..whole).step_by(V::LANES) {
                store(load::<V>(from, at), to, at);
            }
            if whole < count {
                store(V::load_part(&from[whole..]), to, whole);
            }
        }
    }

    /// Copies `count` channels of the first steps out.
    ///
    /// # Safety
    /// The rows hold `steps` steps of `count` channels, and those are this task's alone.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(super) unsafe fn spill<V: Vector<Number = T>>(&self, to: Rows<*mut T>, steps: usize, count: usize) {
        let whole = count - count % V::LANES;
        for step in 0..steps {
            let from = self.row(step);
            // SAFETY: the caller's promise.
            let to = unsafe { std::slice::from_raw_parts_mut(to.start.add(step * to.stride), count) };
            for at in (0..whole).step_by(V::LANES) {
                store(load::<V>(from, at), to, at);
            }
            if whole < count {
                load::<V>(from, whole).store_part(&mut to[whole..]);
            }
        }
    }
}
