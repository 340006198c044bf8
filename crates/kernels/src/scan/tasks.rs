//! How a scan is divided among threads: by batch rows, and by channels where there are few rows.

use crate::parallel::{each, parts, split};
use std::ops::Range;

/// Rows and channels of one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) rows: Range<usize>,
    pub(super) channels: Range<usize>,
}

/// Runs `work` on tasks that cover `rows` rows of `channels` channels, on several threads where about `cost`
/// multiply-adds are worth it. Channels are cut after every `block` of them.
pub(super) fn over_tasks(
    rows: usize,
    channels: usize,
    block: usize,
    cost: usize,
    work: impl Fn(Task) + Sync + Send,
) {
    let threads = parts(rows * channels.div_ceil(block), cost);
    each(tasks(rows, channels, block, threads), work);
}

/// At least as many tasks as threads where there is as much to divide, and several for each if they come out
/// uneven.
fn tasks(rows: usize, dim: usize, size: usize, threads: usize) -> Vec<Task> {
    let blocks = dim.div_ceil(size);
    let even = |tasks: usize| tasks.is_multiple_of(threads) || tasks >= 8 * threads;
    let across = if threads == 1 { 1 } else { (1..blocks).find(|cut| even(rows * cut)).unwrap_or(blocks) };
    let down = if threads == 1 { rows.min(1) } else { rows.min(8 * threads) };
    let mut found = Vec::with_capacity(down * across);
    for (row, count) in split(rows, down) {
        for (block, wide) in split(blocks, across) {
            let channels = block * size..dim.min((block + wide) * size);
            found.push(Task { rows: row..row + count, channels });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_cover_everything_once_and_feed_every_thread() {
        for (rows, dim, threads) in
            [(0, 5, 2), (1, 128, 2), (1, 17, 2), (5, 128, 2), (32, 128, 2), (3, 100, 7), (300, 1, 4)]
        {
            let found = tasks(rows, dim, 16, threads);
            let mut seen = vec![0; rows * dim];
            for task in &found {
                assert!(task.channels.start.is_multiple_of(16));
                for row in task.rows.clone() {
                    task.channels.clone().for_each(|channel| seen[row * dim + channel] += 1);
                }
            }
            assert!(seen.iter().all(|count| *count == 1), "{rows} {dim} {threads}");
            assert!(found.len() >= threads.min(rows * dim.div_ceil(16)));
        }
        assert_eq!(tasks(1, 128, 16, 2).len(), 2);
        assert_eq!(tasks(5, 128, 16, 2).len(), 10);
    }
}
