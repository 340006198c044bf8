//! Short rows, a register at a time.

use crate::isa::Arith;
use crate::real::Real;
use crate::vector::{Vector, load, store};

/// `sums[i] += terms[i]`.
#[inline(always)]
pub(crate) fn add<A: Arith, T: Real>(sums: &mut [T], terms: &[T]) {
    let lanes = A::Vector::<T>::LANES;
    let whole = sums.len() - sums.len() % lanes;
    for at in (0..whole).step_by(lanes) {
        store(load::<A::Vector<T>>(sums, at) + load(terms, at), sums, at);
    }
    for (sum, term) in sums[whole..].iter_mut().zip(&terms[whole..]) {
        *sum += *term;
    }
}

/// A copy of a row so short that a call of memcpy costs more than its values.
#[inline(always)]
pub(crate) fn copy<A: Arith, T: Real>(from: &[T], into: &mut [T]) {
    let lanes = A::Vector::<T>::LANES;
    let whole = from.len() - from.len() % lanes;
    for at in (0..whole).step_by(lanes) {
        store(load::<A::Vector<T>>(from, at), into, at);
    }
    into[whole..].copy_from_slice(&from[whole..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Isa, Kernel, dispatch_on};

    struct Both<'a>(&'a mut [f64], &'a mut [f64], &'a [f64]);
    impl Kernel for Both<'_> {
        type Output = ();
        #[inline(always)]
        fn run<A: Arith>(self) {
            add::<A, f64>(self.0, self.2);
            copy::<A, f64>(self.2, self.1);
        }
    }

    #[test]
    fn every_element_is_reached_once_whatever_the_length() {
        for isa in Isa::available() {
            for len in [0, 1, 15, 16, 17, 33] {
                let values: Vec<f64> = (0..len).map(f64::from).collect();
                let (mut sums, mut copied) = (vec![0.5; values.len()], vec![0.0; values.len()]);
                dispatch_on(isa, Both(&mut sums, &mut copied, &values));
                assert!(sums.iter().zip(&values).all(|(sum, value)| *sum == value + 0.5));
                assert_eq!(copied, values);
            }
        }
    }
}
