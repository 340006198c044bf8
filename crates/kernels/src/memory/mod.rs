//! The program's allocator: big blocks are kept and handed out again instead of going back to the system.
//!
//! A training step frees and asks for the same big buffers over and over. The system's allocator returns
//! them to the kernel each time, and the page faults of getting them back cost more than the arithmetic.
//! [`KeepBig`] keeps blocks of 64 KiB and more on lists by size (eight sizes a doubling, so that at most a
//! ninth of a block is unused) and leaves smaller ones to the system's allocator, which keeps those itself.
//!
//! What is kept is bounded: blocks in use and blocks kept together never exceed the most that was in use at
//! once by more than an eighth and 16 MiB ([`allow`] makes that more). Beyond that the block that has been kept longest goes back first,
//! and so does every block that nobody has wanted for a long while.
//!
//! A binary switches it on by one line:
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: seqbench_kernels::memory::KeepBig = seqbench_kernels::memory::KeepBig;
//! # fn main() { assert_eq!(vec![0u8; 1 << 20].iter().max(), Some(&0)); }
//! ```

mod counting;
mod keeper;
mod source;

pub use counting::Counting;

use keeper::Keeper;
use source::Native;
use std::alloc::{GlobalAlloc, Layout, System};

static KEEPER: Keeper<Native> = Keeper::new(Native);

/// The allocator; all values of the type are the same one.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeepBig;

/// Bytes in blocks of 64 KiB and more. All are 0 in a program whose allocator is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// In use.
    pub used: usize,
    /// Free, and kept to be used again.
    pub kept: usize,
    /// The most that was in use at once.
    pub peak: usize,
}

/// What the allocator holds at present.
pub fn usage() -> Usage {
    KEEPER.usage()
}

/// Gives everything kept back to the system and forgets the peak: to be called before the memory of something
/// else is measured. Does nothing in a program whose allocator is another.
pub fn release() {
    KEEPER.release();
}

/// Allows this many bytes to be kept beyond the most that was in use, where speed is worth more than memory: where the
/// steps of a training need blocks of more sizes than the bound has room for, the one that has been free longest is the
/// very one wanted next, and every step pays for its page faults. Less than is allowed already changes nothing.
pub fn allow(spare: usize) {
    KEEPER.allow(spare);
}

/// Whether the layout is served by the keeper: a question of the layout alone, so that freeing asks the same.
fn big(layout: Layout) -> bool {
    (keeper::SMALLEST..=keeper::LARGEST).contains(&layout.size()) && layout.align() <= keeper::ALIGNMENT
}

// SAFETY: a layout decides alone who serves it, so every block returns to where it came from: small ones to
// `System`, which keeps the contract, and big ones to the keeper, whose blocks are at least as large and as
// aligned as asked for (`Keeper::take`) and belong to one owner at a time.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for KeepBig {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if big(layout) {
            return KEEPER.take(layout.size(), false);
        }
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if big(layout) {
            return KEEPER.take(layout.size(), true);
        }
        // SAFETY: the caller keeps `alloc_zeroed`'s contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if big(layout) {
            // SAFETY: a block of a big layout came from the keeper, and its owner gives it up.
            return unsafe { KEEPER.give(block, layout.size()) };
        }
        // SAFETY: the caller keeps `dealloc`'s contract, and `System` served this layout.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises a size that is a valid layout with this alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (big(layout), big(new)) {
            // SAFETY: `System` served the block and shall serve it on; the caller keeps the rest.
            (false, false) => unsafe { System.realloc(block, layout, size) },
            (true, true) if keeper::same_class(layout.size(), size) => block,
            // SAFETY: both blocks hold the bytes copied and are distinct, and the old one is given up as it
            // was allocated.
            _ => unsafe {
                let moved = self.alloc(new);
                if !moved.is_null() {
                    std::ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                    self.dealloc(block, layout);
                }
                moved
            },
        }
    }
}
