//! Splitting work over rayon's threads by output rows, so that the bits do not depend on how many there are.
//!
//! The number of parts is the number of threads of the pool the caller runs in; with one thread, or little
//! work, everything runs inline.

use rayon::prelude::*;

/// Multiply-adds below which a second thread costs more than it brings.
const SMALL: usize = 1 << 14;

/// In how many parts to split work of about `cost` multiply-adds over `items` rows; at least 1.
pub(crate) fn parts(items: usize, cost: usize) -> usize {
    if cost < SMALL { 1 } else { rayon::current_num_threads().min(items).max(1) }
}

/// Contiguous ranges `(first, count)` that cover `items`, as even as possible.
pub(crate) fn split(items: usize, parts: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..parts).map(move |part| {
        let first = items * part / parts;
        (first, items * (part + 1) / parts - first)
    })
}

/// Runs `work` on every item, each on its own thread where there is more than one. Items carry the disjoint
/// parts of the outputs.
pub(crate) fn each<I: Send>(items: Vec<I>, work: impl Fn(I) + Sync + Send) {
    if items.len() <= 1 {
        items.into_iter().for_each(work);
    } else {
        items.into_par_iter().with_max_len(1).for_each(work);
    }
}

/// Splits the `rows` rows of `values`, which begin every `stride` elements (the last may be cut short), and
/// calls `work(first row, number of rows, values from the first row on)` for each part. `cost` is the
/// number of multiply-adds of the whole.
pub(crate) fn over_rows<T: Send>(
    values: &mut [T],
    stride: usize,
    rows: usize,
    cost: usize,
    work: impl Fn(usize, usize, &mut [T]) + Sync + Send,
) {
    let parts = parts(rows, cost);
    if parts == 1 {
        return work(0, rows, values);
    }
    let mut rest = values;
    let mut items = Vec::with_capacity(parts);
    for (first, count) in split(rows, parts) {
        let end = if first + count == rows { rest.len() } else { count * stride };
        let (part, tail) = std::mem::take(&mut rest).split_at_mut(end);
        items.push((first, count, part));
        rest = tail;
    }
    each(items, |(first, count, part)| work(first, count, part));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_everything_once_and_evenly() {
        for (items, parts) in [(0, 1), (1, 1), (7, 3), (8, 3), (9, 3), (5, 5)] {
            let ranges: Vec<_> = split(items, parts).collect();
            let mut next = 0;
            for (first, count) in &ranges {
                assert_eq!(*first, next);
                assert!(*count <= items.div_ceil(parts));
                next += count;
            }
            assert_eq!(next, items);
        }
    }

    #[test]
    fn every_row_is_visited_once_on_any_number_of_threads() {
        for threads in 1..=4 {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            // 7 rows of 3, every 5 elements, the last one without its gap.
            let mut values = vec![0; 6 * 5 + 3];
            pool.install(|| {
                over_rows(&mut values, 5, 7, usize::MAX, |first, rows, part| {
                    for i in 0..rows {
                        for value in &mut part[i * 5..i * 5 + 3] {
                            *value += first + i + 1;
                        }
                    }
                });
            });
            for (at, value) in values.iter().enumerate() {
                assert_eq!(*value, if at % 5 < 3 { at / 5 + 1 } else { 0 });
            }
        }
    }
}
