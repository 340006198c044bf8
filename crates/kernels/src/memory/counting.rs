//! An allocator that counts, for tests of what allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static CALLS: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counted. All values of the type are the same one, and the count is the whole
/// program's: a test that asks for it must be the only one in its program.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counting;

impl Counting {
    /// Blocks asked for during `work`.
    pub fn allocations(work: impl FnOnce()) -> usize {
        let before = CALLS.load(SeqCst);
        work();
        CALLS.load(SeqCst) - before
    }

    /// The most bytes held at once during `work`, beyond those held before it.
    pub fn peak(work: impl FnOnce()) -> usize {
        let before = HELD.load(SeqCst);
        PEAK.store(before, SeqCst);
        work();
        PEAK.load(SeqCst) - before
    }
}

// SAFETY: every call is passed on to the system's allocator unchanged; the counters allocate nothing.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, SeqCst);
        PEAK.fetch_max(HELD.fetch_add(layout.size(), SeqCst) + layout.size(), SeqCst);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), SeqCst);
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(block, layout) }
    }
}
