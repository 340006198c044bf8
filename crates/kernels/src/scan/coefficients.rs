//! The recurrence's coefficients and states as planes over channels, which is how registers read them.

use crate::real::Real;
use crate::vector::{Aligned, MOST, Vector, load};

/// What is done with a step's output before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanOutput {
    /// Nothing.
    Linear,
    /// [`gelu`](crate::gelu).
    Gelu,
}

/// λ, b, c and d, one plane of channels for each part (real, imaginary) of each state's.
#[derive(Clone, Debug)]
pub(super) struct Coefficients<T> {
    pub(super) dim: usize,
    pub(super) n: usize,
    /// Numbers in a coefficient: 1 real, 2 complex.
    pub(super) parts: usize,
    /// `dim` rounded up to the widest register; the lanes beyond hold 0.
    pub(super) width: usize,
    /// λ, b, c, each `[parts, n, width]`, and d `[width]`.
    planes: Aligned<T>,
}

/// Which coefficient.
pub(super) const LAMBDA: usize = 0;
pub(super) const B: usize = 1;
pub(super) const C: usize = 2;
pub(super) const D: usize = 3;

impl<T: Real> Coefficients<T> {
    /// From the packed vector: λ, b, c, each `[parts, dim, n]`, and d `[dim]`.
    pub(super) fn new(packed: &[T], dim: usize, n: usize, parts: usize) -> Self {
        let width = dim.next_multiple_of(MOST);
        let mut planes = Aligned::zeros((3 * parts * n + 1) * width);
        for (at, plane) in planes.chunks_exact_mut(width).enumerate() {
            // The last plane, d, lies behind all others as if it had one state.
            let (each, state) = (at / n, at % n);
            let stride = if each == 3 * parts { 1 } else { n };
            let values = packed[each * dim * n + state..].iter().step_by(stride);
            plane[..dim].iter_mut().zip(values).for_each(|(lane, value)| *lane = *value);
        }
        Coefficients { dim, n, parts, width, planes }
    }

    /// Adds gradients in the order of the planes to gradients in the order of the packed vector.
    pub(super) fn add_packed(&self, planes: &[T], packed: &mut [T]) {
        for (at, plane) in planes.chunks_exact(self.width).enumerate() {
            let (each, state) = (at / self.n, at % self.n);
            let stride = if each == 3 * self.parts { 1 } else { self.n };
            let values = packed[each * self.dim * self.n + state..].iter_mut().step_by(stride);
            values.zip(&plane[..self.dim]).for_each(|(sum, value)| *sum += *value);
        }
    }

    /// Length of all planes.
    pub(super) fn len(&self) -> usize {
        self.planes.len()
    }

    /// Where a coefficient's plane of one part of one state begins among the planes.
    #[inline(always)]
    pub(super) fn plane(&self, which: usize, part: usize, state: usize) -> usize {
        ((which * self.parts + part) * self.n + state) * self.width
    }

    /// Length of a row's states, `[n, parts, width]`.
    pub(super) fn states(&self) -> usize {
        self.n * self.parts * self.width
    }

    /// Reads a row's states `[dim, n, parts]` of some channels.
    pub(super) fn load_states(&self, from: &[T], channels: std::ops::Range<usize>, states: &mut [T]) {
        let inner = self.n * self.parts;
        for channel in channels {
            for (at, value) in from[channel * inner..][..inner].iter().enumerate() {
                states[at * self.width + channel] = *value;
            }
        }
    }

    /// Writes the states of some channels to `[channels, n, parts]`.
    pub(super) fn store_states(&self, states: &[T], channels: std::ops::Range<usize>, to: &mut [T]) {
        for (channel, to) in channels.zip(to.chunks_exact_mut(self.n * self.parts)) {
            for (at, value) in to.iter_mut().enumerate() {
                // [parts] is innermost here and inside [n] there alike.
                *value = states[at * self.width + channel];
            }
        }
    }

    /// A register of a plane from channel `at` on.
    #[inline(always)]
    fn load<V: Vector<Number = T>>(&self, which: usize, part: usize, state: usize, at: usize) -> V {
        load(&self.planes, self.plane(which, part, state) + at)
    }
}

/// λ, b, c of one state in a register of channels, and d; also their gradients.
#[derive(Clone, Copy)]
pub(super) struct Mode<V, const P: usize> {
    pub(super) lambda: [V; P],
    pub(super) b: [V; P],
    pub(super) c: [V; P],
    pub(super) d: V,
}

impl<V: Vector, const P: usize> Mode<V, P> {
    #[inline(always)]
    pub(super) fn zero() -> Self {
        let zero = [V::zero(); P];
        Mode { lambda: zero, b: zero, c: zero, d: V::zero() }
    }

    #[inline(always)]
    pub(super) fn load(k: &Coefficients<V::Number>, state: usize, at: usize) -> Self {
        let mut mode = Self::zero();
        for part in 0..P {
            mode.lambda[part] = k.load(LAMBDA, part, state, at);
            mode.b[part] = k.load(B, part, state, at);
            mode.c[part] = k.load(C, part, state, at);
        }
        mode.d = k.load(D, 0, 0, at);
        mode
    }

    /// One step of the state: `h ← λ h + b u`.
    #[inline(always)]
    pub(super) fn advance(&self, h: &mut [V; P], u: V) {
        let re = h[0];
        if P == 1 {
            h[0] = re.fma(self.lambda[0], self.b[0] * u);
        } else {
            let im = h[1];
            h[0] = re.fma(self.lambda[0], im.fnma(self.lambda[1], self.b[0] * u));
            h[1] = im.fma(self.lambda[0], re.fma(self.lambda[1], self.b[1] * u));
        }
    }

    /// `y + Re(c h)`.
    #[inline(always)]
    pub(super) fn read(&self, h: &[V; P], y: V) -> V {
        let y = self.c[0].fma(h[0], y);
        if P == 1 { y } else { self.c[1].fnma(h[1], y) }
    }
}
