//! An allocator that counts, for tests of what allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Of one thread: others may start, and allocate for it, at any moment.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counted. All values of the type are the same one. Bytes are the whole program's:
/// a test that asks for their peak must be the only one in its program.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counting;

impl Counting {
    /// Blocks that this thread asks for during `work`.
    pub fn allocations(work: impl FnOnce()) -> usize {
        let before = CALLS.get();
        work();
        CALLS.get() - before
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
        // A thread that ends may free and ask after its own counter is gone.
        let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
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
