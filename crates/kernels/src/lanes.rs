//! Sixteen neighbouring values at a time.
//!
//! The compiler turns a loop over local arrays of a fixed length into vector instructions; of a loop over many
//! slices it cannot tell that they do not overlap, and often makes scalar code.

use crate::real::Real;

/// Values computed together: one register of `f32` with AVX-512. A fixed number, so that nothing depends on the
/// instruction set.
pub(crate) const LANES: usize = 16;

/// One value for each of [`LANES`] neighbours.
pub(crate) type Lane<T> = [T; LANES];

/// Runs `work` over equally long slices, [`LANES`] neighbours of each at a time: it is given those of `reads` and
/// of `writes`, and what it returns is written. The last few of a length that is no multiple are padded with
/// zeros, apart from the loop: a lane whose address a call might see would live in memory.
#[inline(always)]
pub(crate) fn each_lane<T: Real, const M: usize, const N: usize>(
    reads: [&[T]; M],
    writes: [&mut [T]; N],
    work: impl Fn([Lane<T>; M], [Lane<T>; N]) -> [Lane<T>; N],
) {
    let len = writes[0].len();
    let whole = len - len % LANES;
    let mut at = 0;
    while at < whole {
        let (mut given, mut present) = ([[T::ZERO; LANES]; M], [[T::ZERO; LANES]; N]);
        for m in 0..M {
            given[m] = lane(reads[m], at);
        }
        for n in 0..N {
            present[n] = lane(writes[n], at);
        }
        let found = work(given, present);
        for n in 0..N {
            writes[n][at..at + LANES].copy_from_slice(&found[n]);
        }
        at += LANES;
    }
    if whole < len {
        let (mut given, mut present) = ([[T::ZERO; LANES]; M], [[T::ZERO; LANES]; N]);
        for x in 0..len - whole {
            for m in 0..M {
                given[m][x] = reads[m][whole + x];
            }
            for n in 0..N {
                present[n][x] = writes[n][whole + x];
            }
        }
        let found = work(given, present);
        for x in 0..len - whole {
            for n in 0..N {
                writes[n][whole + x] = found[n][x];
            }
        }
    }
}

#[inline(always)]
fn lane<T: Real>(values: &[T], at: usize) -> Lane<T> {
    let mut lane = [T::ZERO; LANES];
    lane.copy_from_slice(&values[at..at + LANES]);
    lane
}

/// `sums[i] += terms[i]`.
#[inline(always)]
pub(crate) fn add<T: Real>(sums: &mut [T], terms: &[T]) {
    each_lane([terms], [sums], |[term], [mut sum]| {
        for x in 0..LANES {
            sum[x] += term[x];
        }
        [sum]
    });
}

/// A copy of a short row, for which a call of memcpy costs more than its values.
#[inline(always)]
pub(crate) fn copy<T: Real>(from: &[T], into: &mut [T]) {
    each_lane([from], [into], |[from], _| [from]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_reached_once_whatever_the_length() {
        for len in [0, 1, 15, 16, 17, 33] {
            let values: Vec<f64> = (0..len).map(f64::from).collect();
            let mut sums = vec![0.5; len as usize];
            add(&mut sums, &values);
            assert!(sums.iter().zip(&values).all(|(sum, value)| *sum == value + 0.5));
        }
        let mut into = [0.0; 3];
        copy(&[1.0, 2.0, 3.0], &mut into);
        assert_eq!(into, [1.0, 2.0, 3.0]);
    }
}
