//! The selective scan forward: some steps of a group of channels, a register of channels and one state at a time.

use super::coefficients::{CHUNK, Coefficients, GROUP, Sizes};
use crate::isa::{Arith, Kernel, dispatch};
use crate::real::Real;
use crate::scan::columns::{Buffer, Rows, Shared};
use crate::vector::{Vector, load, store};
use std::ops::Range;

/// One row's inputs of some steps, from the first of them on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inputs<'a, T> {
    /// `[time, dim]`
    pub(super) us: &'a [T],
    /// Δ, `[time, dim]`
    pub(super) deltas: &'a [T],
    /// `[time, n, parts]`
    pub(super) b: &'a [T],
    /// `[time, n, parts]`
    pub(super) c: &'a [T],
}

impl<'a, T> Inputs<'a, T> {
    /// From a step on.
    pub(super) fn from(&self, step: usize, sizes: Sizes) -> Inputs<'a, T> {
        let (wide, narrow) = (step * sizes.dim, step * sizes.n * sizes.parts);
        Inputs {
            us: &self.us[wide..],
            deltas: &self.deltas[wide..],
            b: &self.b[narrow..],
            c: &self.c[narrow..],
        }
    }
}

/// A group's Δ, Δ u and outputs over a chunk.
#[derive(Clone, Debug)]
pub(super) struct Buffers<T> {
    pub(super) delta: Buffer<T, GROUP>,
    pub(super) v: Buffer<T, GROUP>,
    pub(super) y: Buffer<T, GROUP>,
}

impl<T: Real> Buffers<T> {
    pub(super) fn new() -> Self {
        Buffers { delta: Buffer::new(), v: Buffer::new(), y: Buffer::new() }
    }
}

/// At most [`CHUNK`] steps of one group.
pub(super) struct Piece<'a, T> {
    pub(super) k: &'a Coefficients<T>,
    pub(super) channels: Range<usize>,
    pub(super) steps: usize,
    pub(super) inputs: Inputs<'a, T>,
    /// Where the outputs go.
    pub(super) ys: Rows<*mut T>,
    /// `[n, parts, width]`
    pub(super) states: &'a mut [T],
    pub(super) buffers: &'a mut Buffers<T>,
}

impl<T: Real> Piece<'_, T> {
    /// Runs it.
    ///
    /// # Safety
    /// `ys` holds the steps of the group's channels, which are this task's alone.
    #[allow(unsafe_code)]
    pub(super) unsafe fn run(self) {
        dispatch(Promised(self));
    }
}

/// A piece of which [`Piece::run`]'s promise was given.
struct Promised<'a, T>(Piece<'a, T>);

impl<T: Real> Kernel for Promised<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(self) {
        let mut piece = self.0;
        let Sizes { dim, parts, .. } = piece.k.sizes;
        let (at, count, steps) = (piece.channels.start, piece.channels.len(), piece.steps);
        let us = Rows::of(piece.inputs.us, at, dim, steps, count);
        let deltas = Rows::of(piece.inputs.deltas, at, dim, steps, count);
        // SAFETY: the rows hold the steps and channels; for the outputs it was promised.
        #[allow(unsafe_code)]
        unsafe {
            piece.buffers.v.fill::<A::Vector<T>>(us, steps, count);
            piece.buffers.delta.fill::<A::Vector<T>>(deltas, steps, count);
            for at in (0..count).step_by(A::Vector::<T>::LANES) {
                if parts == 1 {
                    piece.block::<A::Vector<T>, 1>(at);
                } else {
                    piece.block::<A::Vector<T>, 2>(at);
                }
            }
            piece.buffers.y.spill::<A::Vector<T>>(piece.ys, steps, count);
        }
    }
}

impl<T: Real> Piece<'_, T> {
    /// A register of channels from the group's channel `at` on.
    #[inline(always)]
    fn block<V: Vector<Number = T>, const P: usize>(&mut self, at: usize) {
        let Sizes { n, .. } = self.k.sizes;
        let width = self.k.sizes.width();
        let channel = self.channels.start + at;
        let Buffers { delta, v, y } = &mut *self.buffers;
        let d = load::<V>(&self.k.d, channel);
        for step in 0..self.steps {
            let u = load::<V>(v.row(step), at);
            store(d * u, y.row_mut(step), at);
            store(load::<V>(delta.row(step), at) * u, v.row_mut(step), at);
        }
        for state in 0..n {
            let (mut a, mut h) = ([V::zero(); P], [V::zero(); P]);
            for part in 0..P {
                let place = (state * P + part) * width + channel;
                (a[part], h[part]) = (load(&self.k.a, place), load(self.states, place));
            }
            for step in 0..self.steps {
                let b = &self.inputs.b[(step * n + state) * P..][..P];
                let c = &self.inputs.c[(step * n + state) * P..][..P];
                let delta = load::<V>(delta.row(step), at);
                let v = load::<V>(v.row(step), at);
                let decay = decay::<T, V, P>(&a, delta);
                advance(&decay, &mut h, v, b);
                let to = y.row_mut(step);
                store(read(&h, c, load::<V>(to, at)), to, at);
            }
            for part in 0..P {
                store(h[part], self.states, (state * P + part) * width + channel);
            }
        }
    }
}

/// `exp(Δ A)`.
#[inline(always)]
pub(super) fn decay<T: Real, V: Vector<Number = T>, const P: usize>(a: &[V; P], delta: V) -> [V; P] {
    let mut out = [T::exp_each(delta * a[0]); P];
    if P == 2 {
        let (sine, cosine) = T::sin_cos_each(delta * a[1]);
        out[1] = out[0] * sine;
        out[0] = out[0] * cosine;
    }
    out
}

/// `h ← decay · h + v B`.
#[inline(always)]
pub(super) fn advance<V: Vector, const P: usize>(decay: &[V; P], h: &mut [V; P], v: V, b: &[V::Number]) {
    let re = h[0];
    if P == 1 {
        h[0] = re.fma(decay[0], v * V::splat(b[0]));
    } else {
        let im = h[1];
        h[0] = re.fma(decay[0], im.fnma(decay[1], v * V::splat(b[0])));
        h[1] = im.fma(decay[0], re.fma(decay[1], v * V::splat(b[1])));
    }
}

/// `y + Re(C h)`.
#[inline(always)]
fn read<V: Vector, const P: usize>(h: &[V; P], c: &[V::Number], y: V) -> V {
    let y = h[0].fma(V::splat(c[0]), y);
    if P == 1 { y } else { h[1].fnma(V::splat(c[1]), y) }
}

/// One group of channels of one row, through the whole time.
pub(super) struct Forward<'a, T> {
    pub(super) k: &'a Coefficients<T>,
    pub(super) row: usize,
    pub(super) group: usize,
    pub(super) length: usize,
    pub(super) inputs: Inputs<'a, T>,
    /// This row's `[dim, n, parts]`.
    pub(super) state: &'a [T],
    /// `[batch, time, dim]`
    pub(super) ys: Shared<'a, T>,
    /// `[batch, dim, n, parts]`
    pub(super) last: Shared<'a, T>,
    /// `[batch, chunk, n, parts, width]`, or nothing where no backward pass will follow.
    pub(super) boundaries: Option<Shared<'a, T>>,
    /// `[n, parts, width]`
    pub(super) states: &'a mut [T],
    pub(super) buffers: &'a mut Buffers<T>,
}

impl<T: Real> Forward<'_, T> {
    /// Runs it.
    pub(super) fn run(mut self) {
        let sizes = self.k.sizes;
        let channels = sizes.group(self.group);
        sizes.load(self.state, channels.clone(), self.states);
        self.finish_at(0, &channels);
        let mut start = 0;
        while start < sizes.time {
            if let Some(boundaries) = self.boundaries.filter(|_| start % CHUNK == 0) {
                let first = (self.row * sizes.chunks() + start / CHUNK) * sizes.planes();
                for plane in (0..sizes.planes()).step_by(sizes.width()) {
                    let here = plane + channels.start..plane + channels.end;
                    // SAFETY: a row's group is one task's.
                    #[allow(unsafe_code)]
                    let kept = unsafe { boundaries.slice(first + here.start..first + here.end) };
                    kept.copy_from_slice(&self.states[here]);
                }
            }
            let mut end = sizes.time.min((start / CHUNK + 1) * CHUNK);
            // A piece also ends where the row does, so that the state there can be taken.
            if start < self.length {
                end = end.min(self.length);
            }
            let first = self.row * sizes.steps() + start * sizes.dim + channels.start;
            let ys = self.ys.rows(first, sizes.dim, end - start, channels.len());
            // SAFETY: the rows were checked, and a row's group is one task's.
            #[allow(unsafe_code)]
            unsafe {
                Piece {
                    k: self.k,
                    channels: channels.clone(),
                    steps: end - start,
                    inputs: self.inputs.from(start, sizes),
                    ys: Rows { start: ys, stride: sizes.dim },
                    states: self.states,
                    buffers: self.buffers,
                }
                .run();
            }
            self.finish_at(end, &channels);
            start = end;
        }
    }

    /// Hands out the states if this is the row's end.
    fn finish_at(&mut self, step: usize, channels: &Range<usize>) {
        let sizes = self.k.sizes;
        if step != self.length {
            return;
        }
        let inner = sizes.n * sizes.parts;
        let first = self.row * sizes.states();
        // SAFETY: a row's group is one task's.
        #[allow(unsafe_code)]
        let last = unsafe { self.last.slice(first + channels.start * inner..first + channels.end * inner) };
        sizes.store(self.states, channels.clone(), last);
    }
}
