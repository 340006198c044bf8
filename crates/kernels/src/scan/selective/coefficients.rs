//! What a selective scan has beside its inputs: A and the skip as planes over channels, and the order of what is
//! packed.

use crate::real::Real;
use crate::vector::{Aligned, MOST};
use std::ops::Range;

/// Channels of a task: B and C, whose gradients are sums over channels, are summed within these first. A fixed
/// number, so that the order of additions depends neither on the processor nor on the number of threads.
pub(super) const GROUP: usize = 64;

/// Steps between two states kept for the backward pass.
pub(super) const CHUNK: usize = 32;

/// Sizes of one selective scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    pub(crate) time: usize,
    pub(crate) dim: usize,
    pub(crate) n: usize,
    /// Numbers in a state: 1 real, 2 complex.
    pub(crate) parts: usize,
}

impl Sizes {
    /// Values of a row of inputs or of outputs.
    pub(super) fn steps(&self) -> usize {
        self.time * self.dim
    }

    /// Values of a row of B or C.
    pub(super) fn mixes(&self) -> usize {
        self.time * self.n * self.parts
    }

    /// Values of a row's state, and of A.
    pub(super) fn states(&self) -> usize {
        self.dim * self.n * self.parts
    }

    /// `dim` rounded up to the widest register.
    pub(super) fn width(&self) -> usize {
        self.dim.next_multiple_of(MOST)
    }

    /// Values of a row's states in planes over channels, `[n, parts, width]`.
    pub(super) fn planes(&self) -> usize {
        self.n * self.parts * self.width()
    }

    pub(super) fn chunks(&self) -> usize {
        self.time.div_ceil(CHUNK)
    }

    /// How many groups of channels there are.
    pub(super) fn groups(&self) -> usize {
        self.dim.div_ceil(GROUP)
    }

    /// The channels of a group.
    pub(super) fn group(&self, at: usize) -> Range<usize> {
        at * GROUP..self.dim.min((at + 1) * GROUP)
    }

    /// Some channels of `[dim, n, parts]` into planes.
    pub(super) fn load<T: Real>(&self, from: &[T], channels: Range<usize>, planes: &mut [T]) {
        let inner = self.n * self.parts;
        for channel in channels {
            for (at, value) in from[channel * inner..][..inner].iter().enumerate() {
                planes[at * self.width() + channel] = *value;
            }
        }
    }

    /// Some channels of planes into `[channels, n, parts]`.
    pub(super) fn store<T: Real>(&self, planes: &[T], channels: Range<usize>, to: &mut [T]) {
        for (channel, to) in channels.zip(to.chunks_exact_mut(self.n * self.parts)) {
            for (at, value) in to.iter_mut().enumerate() {
                *value = planes[at * self.width() + channel];
            }
        }
    }
}

/// A, `[n, parts, width]`, and d, `[width]`.
#[derive(Clone, Debug)]
pub(super) struct Coefficients<T> {
    pub(super) sizes: Sizes,
    pub(super) a: Aligned<T>,
    pub(super) d: Aligned<T>,
}

impl<T: Real> Coefficients<T> {
    /// From A `[dim, n, parts]` and d `[dim]` in one vector.
    pub(super) fn new(packed: &[T], sizes: Sizes) -> Self {
        let mut a = Aligned::zeros(sizes.planes());
        sizes.load(packed, 0..sizes.dim, &mut a);
        let mut d = Aligned::zeros(sizes.width());
        d[..sizes.dim].copy_from_slice(&packed[sizes.states()..]);
        Coefficients { sizes, a, d }
    }
}
