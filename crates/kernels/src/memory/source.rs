//! Where big blocks come from and return to: the kernel's pages on Linux, the system's allocator elsewhere.

/// Every block begins at a multiple of this: a page, on most machines.
pub(super) const PAGE: usize = 4096;

/// Pages for the keeper.
///
/// # Safety
/// A block that [`Source::fresh`] returns has the size and alignment asked for, is zero where that was asked,
/// and belongs to nobody else until it is given back.
#[allow(unsafe_code)]
pub(super) unsafe trait Source {
    /// A new block of `size` bytes, a multiple of [`PAGE`] and not 0, that begins at a multiple of
    /// [`PAGE`]; all zeros if `zeroed`. Null where there is no memory.
    fn fresh(&self, size: usize, zeroed: bool) -> *mut u8;

    /// Takes a block back.
    ///
    /// # Safety
    /// The block came from [`Source::fresh`] with this size, and nobody uses it any more.
    unsafe fn back(&self, block: *mut u8, size: usize);
}

#[cfg(target_os = "linux")]
pub(super) type Native = Pages;
#[cfg(not(target_os = "linux"))]
pub(super) type Native = Heap;
#[cfg(target_os = "linux")]
#[allow(non_upper_case_globals)]
pub(super) const Native: Pages = Pages;
#[cfg(not(target_os = "linux"))]
#[allow(non_upper_case_globals)]
pub(super) const Native: Heap = Heap;

/// Pages of the Linux kernel, mapped for each block, so that a block given back is gone from the process at
/// once. Blocks of several huge pages' size begin on one and ask for them: fewer faults, fewer misses of the
/// translation buffer.
#[cfg(target_os = "linux")]
pub(super) struct Pages;

// SAFETY: the kernel's mappings are whole zeroed pages of this process alone until they are unmapped, and a
// part of one that begins at a huge page begins at a page.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
unsafe impl Source for Pages {
    fn fresh(&self, size: usize, _zeroed: bool) -> *mut u8 {
        const HUGE: usize = 2 << 20;
        let spare = if size >= 2 * HUGE { HUGE } else { 0 };
        let Some(whole) = size.checked_add(spare) else { return std::ptr::null_mut() };
        let Some(start) = map(whole) else { return std::ptr::null_mut() };
        if spare == 0 {
            return start;
        }
        let before = start.align_offset(HUGE);
        // SAFETY: `before` is below `HUGE`, so both ends lie in the mapping of `size + HUGE` bytes that this
        // function owns; they are whole pages, and unmapped only once. The advice changes no content.
        unsafe {
            let block = start.add(before);
            unmap(start, before);
            unmap(block.add(size), spare - before);
            // Refused where the kernel has no huge pages, which costs speed alone.
            let _ = rustix::mm::madvise(block.cast(), size, rustix::mm::Advice::LinuxHugepage);
            block
        }
    }

    unsafe fn back(&self, block: *mut u8, size: usize) {
        // SAFETY: the caller gives up a block of whole pages that `fresh` mapped.
        unsafe { unmap(block, size) };
    }
}

/// New zeroed pages, or none.
#[cfg(target_os = "linux")]
fn map(size: usize) -> Option<*mut u8> {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a private mapping at an address of the kernel's choice touches no memory of anybody.
    #[allow(unsafe_code)]
    let start = unsafe { mmap_anonymous(std::ptr::null_mut(), size, access, MapFlags::PRIVATE) };
    start.ok().map(<*mut std::ffi::c_void>::cast)
}

/// # Safety
/// The pages are the caller's own mapping, and nobody uses them any more.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
unsafe fn unmap(start: *mut u8, size: usize) {
    if size > 0 {
        // SAFETY: the caller's promise. A refusal can only leave the pages mapped.
        let _ = unsafe { rustix::mm::munmap(start.cast(), size) };
    }
}

/// The system's allocator, where pages cannot be had as on Linux.
#[cfg(any(test, not(target_os = "linux")))]
pub(super) struct Heap;

// SAFETY: the layout asks the system's allocator for the size and a page's alignment.
#[cfg(any(test, not(target_os = "linux")))]
#[allow(unsafe_code)]
unsafe impl Source for Heap {
    fn fresh(&self, size: usize, zeroed: bool) -> *mut u8 {
        use std::alloc::{GlobalAlloc, Layout, System};
        let Ok(layout) = Layout::from_size_align(size, PAGE) else { return std::ptr::null_mut() };
        // SAFETY: the layout's size is not 0.
        unsafe { if zeroed { System.alloc_zeroed(layout) } else { System.alloc(layout) } }
    }

    unsafe fn back(&self, block: *mut u8, size: usize) {
        use std::alloc::{GlobalAlloc, Layout, System};
        if let Ok(layout) = Layout::from_size_align(size, PAGE) {
            // SAFETY: the caller gives up a block that `fresh` allocated with this layout.
            unsafe { System.dealloc(block, layout) };
        }
    }
}
