//! Free blocks by size, bounded, each list with the newest first.
//!
//! The links stand in the free blocks themselves, so that keeping one needs no memory. Lists are guarded by
//! a lock that is never waited for long: who does not get it goes to the source, which is slow and right. So
//! nothing can stand still here, not even in a child that was forked while another thread held the lock.

use super::Usage;
use super::source::{PAGE, Source};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

/// Bytes from which on a block is big.
pub(super) const SMALLEST: usize = STEPS << FIRST_SHIFT;
/// The largest block that is kept.
pub(super) const LARGEST: usize = (2 * STEPS - 1) << (FIRST_SHIFT + CLASSES / STEPS - 1);
/// Alignment of every block: a cache line, and a vector register.
pub(super) const ALIGNMENT: usize = 64;

/// Sizes a doubling.
const STEPS: usize = 8;
const FIRST_SHIFT: usize = 13;
// Up to a thousand gigabytes, or what addresses allow.
const CLASSES: usize = STEPS * if usize::BITS < 64 { 14 } else { 24 };
/// How often the lock is asked for.
const PATIENCE: usize = 100;
/// Blocks taken and given after which one that nobody wanted goes back.
const FORGOTTEN: u64 = 1 << 14;
/// How often, in blocks given, it is looked for such blocks.
const LOOK: u64 = 1 << 8;
/// Bytes kept beyond the peak, unless more are allowed.
const SPARE: usize = 16 << 20;

/// The class of a size in `SMALLEST..=LARGEST`: sizes of a class lie in one eighth of a doubling.
fn class(size: usize) -> usize {
    let shift = size.ilog2() as usize - STEPS.ilog2() as usize;
    STEPS * (shift - FIRST_SHIFT) + size.div_ceil(1 << shift) - STEPS
}

/// Bytes of every block of a class.
fn bytes(class: usize) -> usize {
    (STEPS + class % STEPS) << (FIRST_SHIFT + class / STEPS)
}

/// Whether a block of one size serves the other.
pub(super) fn same_class(one: usize, other: usize) -> bool {
    class(one) == class(other)
}

/// A free block.
struct Free {
    newer: *mut Free,
    older: *mut Free,
    given: u64,
}

struct Lists {
    newest: [*mut Free; CLASSES],
    oldest: [*mut Free; CLASSES],
    clock: u64,
}

// SAFETY: the blocks behind the pointers belong to the lists alone, whoever holds those.
#[allow(unsafe_code)]
unsafe impl Send for Lists {}

#[allow(unsafe_code)]
impl Lists {
    /// # Safety
    /// The block is free, its own, of this class, and aligned for [`Free`].
    unsafe fn push(&mut self, class: usize, block: *mut u8) {
        let block: *mut Free = block.cast();
        let older = self.newest[class];
        // SAFETY: the caller's promise; `older` is null or a block of the list.
        unsafe {
            block.write(Free { newer: null_mut(), older, given: self.clock });
            match older.as_mut() {
                Some(older) => older.newer = block,
                None => self.oldest[class] = block,
            }
        }
        self.newest[class] = block;
    }

    /// The newest block of the class.
    fn pop(&mut self, class: usize) -> Option<*mut u8> {
        let block = self.newest[class];
        // SAFETY: a block on a list is a live `Free` of the lists' own.
        let older = unsafe { block.as_ref()? }.older;
        self.newest[class] = older;
        // SAFETY: as above.
        match unsafe { older.as_mut() } {
            Some(older) => older.newer = null_mut(),
            None => self.oldest[class] = null_mut(),
        }
        Some(block.cast())
    }

    /// Class and time of the block that has been free longest.
    fn eldest(&self) -> Option<(usize, u64)> {
        // SAFETY: a block on a list is a live `Free` of the lists' own.
        let given = |class: usize| unsafe { self.oldest[class].as_ref() }.map(|free| (class, free.given));
        (0..CLASSES).filter_map(given).min_by_key(|(_, given)| *given)
    }

    /// Removes the oldest block of a class.
    fn pop_oldest(&mut self, class: usize) -> Option<*mut u8> {
        let block = self.oldest[class];
        // SAFETY: a block on a list is a live `Free` of the lists' own.
        let newer = unsafe { block.as_ref()? }.newer;
        self.oldest[class] = newer;
        // SAFETY: as above.
        match unsafe { newer.as_mut() } {
            Some(newer) => newer.older = null_mut(),
            None => self.newest[class] = null_mut(),
        }
        Some(block.cast())
    }
}

/// The lists, their bounds, and where blocks come from.
pub(super) struct Keeper<S> {
    lists: Mutex<Lists>,
    used: AtomicUsize,
    kept: AtomicUsize,
    peak: AtomicUsize,
    made: AtomicUsize,
    spare: AtomicUsize,
    source: S,
}

#[allow(unsafe_code)]
impl<S: Source> Keeper<S> {
    pub(super) const fn new(source: S) -> Self {
        let lists = Lists { newest: [null_mut(); CLASSES], oldest: [null_mut(); CLASSES], clock: 0 };
        Keeper {
            lists: Mutex::new(lists),
            used: AtomicUsize::new(0),
            kept: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            made: AtomicUsize::new(0),
            spare: AtomicUsize::new(SPARE),
            source,
        }
    }

    /// A new block. Blocks begin at different lines of their first page: were they all at its start, a kernel
    /// that reads nine of them side by side would use one set of an eight-way cache.
    fn fresh(&self, bytes: usize, zeroed: bool) -> *mut u8 {
        let page = self.source.fresh(bytes + PAGE, zeroed);
        let line = self.made.fetch_add(1, Relaxed).wrapping_mul(5) % (PAGE / ALIGNMENT);
        if page.is_null() { page } else { page.wrapping_add(line * ALIGNMENT) }
    }

    /// # Safety
    /// The block came from [`Keeper::fresh`] with this size, and nobody uses it any more.
    unsafe fn back(&self, block: *mut u8, bytes: usize) {
        let page = block.map_addr(|address| address - address % PAGE);
        // SAFETY: the source made this page, to which `fresh` added less than a page; the caller's promise.
        unsafe { self.source.back(page, bytes + PAGE) };
    }

    fn lists(&self) -> Option<MutexGuard<'_, Lists>> {
        for _ in 0..PATIENCE {
            match self.lists.try_lock() {
                Ok(lists) => return Some(lists),
                // Nothing between lock and unlock can panic.
                Err(std::sync::TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(std::sync::TryLockError::WouldBlock) => std::thread::yield_now(),
            }
        }
        None
    }

    /// A block for `size` bytes, `SMALLEST..=LARGEST`, aligned to a cache line; null where there is no memory.
    pub(super) fn take(&self, size: usize, zeroed: bool) -> *mut u8 {
        let class = class(size);
        let bytes = bytes(class);
        let used = self.used.fetch_add(bytes, Relaxed) + bytes;
        self.peak.fetch_max(used, Relaxed);
        if let Some(mut lists) = self.lists() {
            lists.clock += 1;
            if let Some(block) = lists.pop(class) {
                self.kept.fetch_sub(bytes, Relaxed);
                drop(lists);
                if zeroed {
                    // SAFETY: the block has at least `size` bytes and nobody else has it.
                    unsafe { block.write_bytes(0, size) };
                }
                return block;
            }
            // A new block must fit beside what is kept.
            while used + self.kept.load(Relaxed) > self.bound() {
                let Some((eldest, _)) = lists.eldest() else { break };
                self.put_back(&mut lists, eldest);
            }
        }
        let block = self.fresh(bytes, zeroed);
        if block.is_null() {
            self.used.fetch_sub(bytes, Relaxed);
        }
        block
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// The block came from [`Keeper::take`] with a size of the same class, and nobody uses it any more.
    pub(super) unsafe fn give(&self, block: *mut u8, size: usize) {
        let class = class(size);
        let bytes = bytes(class);
        self.used.fetch_sub(bytes, Relaxed);
        let Some(mut lists) = self.lists() else {
            // SAFETY: blocks of this class are made with this size; the caller's promise.
            return unsafe { self.back(block, bytes) };
        };
        lists.clock += 1;
        // SAFETY: the block is the caller's to give, and lines are aligned for `Free`.
        unsafe { lists.push(class, block) };
        self.kept.fetch_add(bytes, Relaxed);
        if lists.clock.is_multiple_of(LOOK) {
            while let Some((eldest, given)) = lists.eldest()
                && given + FORGOTTEN < lists.clock
            {
                self.put_back(&mut lists, eldest);
            }
        }
    }

    /// Most bytes used and kept together. The eighth is for sizes whose own peaks are at other times than the
    /// whole's.
    fn bound(&self) -> usize {
        let peak = self.peak.load(Relaxed);
        peak + peak / 8 + self.spare.load(Relaxed)
    }

    pub(super) fn allow(&self, spare: usize) {
        self.spare.fetch_max(spare, Relaxed);
    }

    fn put_back(&self, lists: &mut Lists, class: usize) {
        if let Some(block) = lists.pop_oldest(class) {
            self.kept.fetch_sub(bytes(class), Relaxed);
            // SAFETY: the block was on the list of its class, so it is free and of this size.
            unsafe { self.back(block, bytes(class)) };
        }
    }

    pub(super) fn release(&self) {
        if let Some(mut lists) = self.lists() {
            while let Some((eldest, _)) = lists.eldest() {
                self.put_back(&mut lists, eldest);
            }
        }
        self.peak.store(self.used.load(Relaxed), Relaxed);
    }

    pub(super) fn usage(&self) -> Usage {
        Usage { used: self.used.load(Relaxed), kept: self.kept.load(Relaxed), peak: self.peak.load(Relaxed) }
    }
}

#[cfg(test)]
mod tests;
