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

/// The values from `at` on; zeros past the end.
#[inline(always)]
pub(crate) fn load<T: Real>(values: &[T], at: usize) -> Lane<T> {
    let rest = &values[at..];
    if let Some(lane) = rest.first_chunk::<LANES>() {
        return *lane;
    }
    let mut lane = [T::ZERO; LANES];
    lane[..rest.len()].copy_from_slice(rest);
    lane
}

/// The inverse of [`load`].
#[inline(always)]
pub(crate) fn store<T: Real>(lane: &Lane<T>, values: &mut [T], at: usize) {
    let rest = &mut values[at..];
    if let Some(into) = rest.first_chunk_mut::<LANES>() {
        *into = *lane;
        return;
    }
    let len = rest.len();
    rest.copy_from_slice(&lane[..len]);
}

/// `sums[i] += terms[i]`.
#[inline(always)]
pub(crate) fn add<T: Real>(sums: &mut [T], terms: &[T]) {
    for at in (0..sums.len()).step_by(LANES) {
        let (mut lane, term) = (load(sums, at), load(terms, at));
        for x in 0..LANES {
            lane[x] += term[x];
        }
        store(&lane, sums, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_loaded_is_stored_and_nothing_past_the_end_is_touched() {
        for len in [0, 1, 15, 16, 17, 33] {
            let values: Vec<f64> = (0..len).map(f64::from).collect();
            let mut sums = vec![0.5; len as usize];
            add(&mut sums, &values);
            assert!(sums.iter().zip(&values).all(|(sum, value)| *sum == value + 0.5));
        }
        assert_eq!(load(&[1.0, 2.0], 1)[..2], [2.0, 0.0]);
    }
}
