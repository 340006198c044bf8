//! The allocator in a program of its own: layouts of every size and alignment, growth, and use by many threads.

#![allow(clippy::unwrap_used, clippy::expect_used, unsafe_code)]

use seqbench_kernels::memory::{KeepBig, release, usage};
use std::alloc::{GlobalAlloc, Layout};

#[global_allocator]
static ALLOCATOR: KeepBig = KeepBig;

#[test]
fn every_layout_is_served_aligned_and_whole() {
    for size in [1, 100, 65_535, 65_536, 65_537, 100_000, 4 << 20, (8 << 20) + 1] {
        for align in [1, 16, 64, 4096, 8192, 2 << 20] {
            let layout = Layout::from_size_align(size, align).unwrap();
            for _ in 0..3 {
                // SAFETY: the size is not 0; the block is written and read inside its size, and freed as it was made.
                unsafe {
                    let dirty = ALLOCATOR.alloc(layout);
                    assert!(!dirty.is_null() && (dirty as usize).is_multiple_of(align));
                    dirty.write_bytes(0xA5, size);
                    ALLOCATOR.dealloc(dirty, layout);
                    let clean = ALLOCATOR.alloc_zeroed(layout);
                    assert!((clean as usize).is_multiple_of(align));
                    assert!(std::slice::from_raw_parts(clean, size).iter().all(|byte| *byte == 0));
                    clean.write_bytes(0x5A, size);
                    ALLOCATOR.dealloc(clean, layout);
                }
            }
        }
    }
}

#[test]
fn growing_and_shrinking_keep_the_contents() {
    let mut values: Vec<u32> = Vec::new();
    for value in 0..3_000_000 {
        values.push(value);
    }
    for len in [2_000_000, 20_000, 16_384, 16_383, 100] {
        values.truncate(len);
        values.shrink_to_fit();
        assert!(values.iter().enumerate().all(|(at, value)| at == *value as usize));
    }
    values.reserve_exact(5_000_000);
    assert!(values.iter().enumerate().all(|(at, value)| at == *value as usize));
}

#[test]
fn buffers_pass_between_threads() {
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let (sender, receiver) = std::sync::mpsc::channel::<Vec<u8>>();
            scope.spawn(move || {
                for turn in 0..200usize {
                    let mut block = vec![0u8; 60_000 + 4_099 * (turn % 37)];
                    assert!(block.iter().all(|byte| *byte == 0));
                    block.fill(thread + 1);
                    sender.send(block).unwrap();
                }
            });
            scope.spawn(move || {
                for block in receiver {
                    assert!(block.iter().all(|byte| *byte == thread + 1));
                }
            });
        }
    });
}

#[test]
fn usage_counts_what_is_big() {
    let block = std::hint::black_box(vec![1u8; 40 << 20]);
    assert!(usage().used >= block.len() && usage().peak >= usage().used);
    drop(block);
    release();
}
