//! The keeper over both sources: what it hands out is whole, its own and zero where promised, and what it keeps is
//! bounded.

use super::super::source::{Heap, Native};
use super::*;

/// A source that counts what is out.
struct Counted<S> {
    source: S,
    bytes: AtomicUsize,
    calls: AtomicUsize,
}

fn counted<S: Source>(source: S) -> Keeper<Counted<S>> {
    Keeper::new(Counted { source, bytes: AtomicUsize::new(0), calls: AtomicUsize::new(0) })
}

// SAFETY: the blocks are those of another source.
#[allow(unsafe_code)]
unsafe impl<S: Source> Source for Counted<S> {
    fn fresh(&self, size: usize, zeroed: bool) -> *mut u8 {
        assert!(size.is_multiple_of(PAGE));
        self.bytes.fetch_add(size - PAGE, Relaxed);
        self.calls.fetch_add(1, Relaxed);
        self.source.fresh(size, zeroed)
    }
    unsafe fn back(&self, block: *mut u8, size: usize) {
        self.bytes.fetch_sub(size - PAGE, Relaxed);
        // SAFETY: the keeper's promise is passed on.
        unsafe { self.source.back(block, size) };
    }
}

/// A block whose every byte is written and looked at.
struct Block<'a, S: Source> {
    keeper: &'a Keeper<Counted<S>>,
    start: *mut u8,
    size: usize,
    mark: u8,
}

#[allow(unsafe_code)]
impl<'a, S: Source> Block<'a, S> {
    fn new(keeper: &'a Keeper<Counted<S>>, size: usize, zeroed: bool, mark: u8) -> Self {
        let start = keeper.take(size, zeroed);
        assert!(!start.is_null() && (start as usize).is_multiple_of(ALIGNMENT));
        let block = Block { keeper, start, size, mark };
        // SAFETY: the keeper promises `size` bytes that are this block's alone.
        let all = unsafe { std::slice::from_raw_parts_mut(start, size) };
        // Reading is allowed only where zeros were asked for.
        assert!(!zeroed || all.iter().all(|byte| *byte == 0), "{size} bytes are not all zero");
        all.fill(mark);
        block
    }
}

#[allow(unsafe_code)]
impl<S: Source> Drop for Block<'_, S> {
    fn drop(&mut self) {
        // SAFETY: as in `new`; every byte was written there.
        let all = unsafe { std::slice::from_raw_parts(self.start, self.size) };
        assert!(all.iter().all(|byte| *byte == self.mark), "{} bytes were somebody else's too", self.size);
        // SAFETY: the block came from this keeper with this size and ends here.
        unsafe { self.keeper.give(self.start, self.size) };
    }
}

#[test]
fn classes_hold_their_sizes_and_waste_at_most_a_ninth() {
    let mut sizes: Vec<usize> = (0..LARGEST.ilog2()).map(|shift| 1 << shift).collect();
    sizes
        .extend(sizes.clone().into_iter().flat_map(|size| [size - 1, size + 1, size / 4 * 5, size / 8 * 11]));
    sizes.push(LARGEST);
    for size in sizes.into_iter().filter(|size| (SMALLEST..=LARGEST).contains(size)) {
        let bytes = bytes(class(size));
        assert!(class(size) < CLASSES && bytes >= size && 8 * bytes <= 9 * size + 8, "{size}: {bytes}");
        assert!(bytes.is_multiple_of(PAGE) && same_class(size, bytes));
        assert!(bytes == LARGEST || !same_class(size, bytes + 1));
    }
    assert_eq!((bytes(0), bytes(CLASSES - 1)), (SMALLEST, LARGEST));
}

#[test]
fn a_step_that_repeats_asks_the_source_for_nothing() {
    let keeper = counted(Native);
    let step = || {
        let sizes = [5 << 20, 70_000, 5 << 20, 1 << 20, 300_000, 9 << 20];
        drop(sizes.map(|size| Block::new(&keeper, size, size % 3 == 0, 7)));
        drop(Block::new(&keeper, 6 << 20, true, 8));
    };
    step();
    let calls = keeper.source.calls.load(Relaxed);
    (0..5).for_each(|_| step());
    assert_eq!(keeper.source.calls.load(Relaxed), calls);
    assert_eq!(keeper.usage().used, 0);
    keeper.release();
    assert_eq!(keeper.usage(), Usage { used: 0, kept: 0, peak: 0 });
    assert_eq!(keeper.source.bytes.load(Relaxed), 0);
}

#[test]
fn what_is_held_stays_near_the_peak_of_what_was_used() {
    let keeper = counted(Heap);
    // Every size once and never again: all would be kept without a bound.
    for round in 0..120usize {
        let size = SMALLEST << (round % 8);
        drop(Block::new(&keeper, size + size / 4 * (round % 4), false, 3));
        let Usage { used, kept, peak } = keeper.usage();
        assert_eq!(used + kept, keeper.source.bytes.load(Relaxed));
        assert!(used + kept <= peak + peak / 8 + (16 << 20), "{used} + {kept} with a peak of {peak}");
    }
    keeper.release();
}

#[test]
fn what_nobody_wants_any_more_goes_back() {
    let keeper = counted(Heap);
    drop(Block::new(&keeper, 4 << 20, false, 3));
    for _ in 0..FORGOTTEN + LOOK {
        let small = keeper.take(SMALLEST, false);
        // SAFETY: the block is the keeper's own and unused.
        #[allow(unsafe_code)]
        unsafe {
            keeper.give(small, SMALLEST);
        }
    }
    assert_eq!(keeper.usage().kept, SMALLEST);
    keeper.release();
}

#[test]
fn without_the_lock_blocks_come_from_the_source_and_return_to_it() {
    let keeper = counted(Native);
    let block = Block::new(&keeper, SMALLEST, true, 1);
    let held = keeper.lists.lock().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| drop(Block::new(&keeper, SMALLEST, true, 2)));
    });
    drop(block);
    drop(held);
    assert_eq!(keeper.usage(), Usage { used: 0, kept: 0, peak: 2 * SMALLEST });
    assert_eq!(keeper.source.bytes.load(Relaxed), 0);
}

fn stress<S: Source + Sync>(source: S) {
    let keeper = counted(source);
    // Blocks are freed by another thread than the one they were made by.
    let shelf: [Mutex<Option<Block<'_, S>>>; 8] = std::array::from_fn(|_| Mutex::new(None));
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (keeper, shelf) = (&keeper, &shelf);
            scope.spawn(move || {
                let mut state = thread + 1;
                for turn in 0..300 {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let size = SMALLEST + (state >> 40) as usize % (SMALLEST << ((state >> 32) % 5));
                    let block = Block::new(keeper, size, turn % 2 == 0, state.to_be_bytes()[0]);
                    let place = &shelf[(state >> 20) as usize % shelf.len()];
                    let before = place.lock().unwrap().replace(block);
                    drop(before);
                }
            });
        }
    });
    shelf.into_iter().for_each(|place| drop(place.into_inner().unwrap()));
    let Usage { used, kept, .. } = keeper.usage();
    assert_eq!((used, kept), (0, keeper.source.bytes.load(Relaxed)));
    keeper.release();
    assert_eq!(keeper.source.bytes.load(Relaxed), 0);
}

// SAFETY: a block belongs to whoever holds it, on any thread; the keeper is shared.
#[allow(unsafe_code)]
unsafe impl<S: Source + Sync> Send for Block<'_, S> {}

#[test]
fn threads_never_share_a_block_of_pages() {
    stress(Native);
}

#[test]
fn threads_never_share_a_block_of_the_heap() {
    stress(Heap);
}

/// Blocks of many sizes one after another: by the usual bound the one wanted next is always the one that just went.
#[test]
fn what_is_allowed_beyond_the_peak_is_kept() {
    let keeper = counted(Native);
    let turn = || (0..12).for_each(|step| drop(Block::new(&keeper, (4 << 20) + (step << 19), false, 3)));
    turn();
    let first = keeper.source.calls.load(Relaxed);
    turn();
    let thrashed = keeper.source.calls.load(Relaxed) - first;
    assert!(thrashed > 6, "{thrashed} new blocks");
    keeper.allow(256 << 20);
    // Less changes nothing.
    keeper.allow(1);
    turn();
    let before = keeper.source.calls.load(Relaxed);
    turn();
    assert_eq!(keeper.source.calls.load(Relaxed), before);
    keeper.release();
    assert_eq!((keeper.usage().kept, keeper.source.bytes.load(Relaxed)), (0, 0));
}
