//! The scan over one batch row, forward: chunk by chunk of time, and within one by blocks of channels that fill
//! vector registers, in which the state and the coefficients stay.

use super::coefficients::{Coefficients, Mode, ScanOutput};
use super::columns::{Ahead, Buffer, Rows, Shared, chunk, chunks};
use crate::isa::{Arith, Kernel, dispatch};
use crate::real::Real;
use crate::vector::{Aligned, Vector, load, store};
use std::ops::Range;

/// Some channels of one batch row.
pub(super) struct Forward<'a, T> {
    pub(super) coefficients: &'a Coefficients<T>,
    pub(super) output: ScanOutput,
    /// Which row; what is shared has all of them.
    pub(super) row: usize,
    pub(super) channels: Range<usize>,
    pub(super) length: usize,
    /// Whether all rows together are far from fitting the caches.
    pub(super) far: bool,
    /// This row's `[time, dim]`.
    pub(super) us: &'a [T],
    /// This row's `[dim, n, parts]`.
    pub(super) state: &'a [T],
    /// `[batch, time, dim]`
    pub(super) ys: Shared<'a, T>,
    /// `[batch, dim, n, parts]`
    pub(super) last: Shared<'a, T>,
    /// `[batch, chunk, n, parts, width]`, or empty where no backward pass will follow.
    pub(super) boundaries: Option<Shared<'a, T>>,
    pub(super) workspace: &'a mut Workspace<T>,
}

/// What a task uses again for each row.
pub(super) struct Workspace<T> {
    /// `[n, parts, width]`
    states: Aligned<T>,
    buffers: Buffers<T>,
}

impl<T: Real> Workspace<T> {
    pub(super) fn new(k: &Coefficients<T>) -> Self {
        Workspace { states: Aligned::zeros(k.states()), buffers: Buffers::new() }
    }
}

impl<T: Real> Forward<'_, T> {
    /// Runs them through the whole time.
    pub(super) fn run(self) {
        let k = self.coefficients;
        let (time, chunk) = (self.us.len() / k.dim, chunk(k.n));
        k.load_states(self.state, self.channels.clone(), &mut self.workspace.states);
        if self.length == 0 {
            self.finish();
        }
        let mut start = 0;
        while start < time {
            if let Some(boundaries) = self.boundaries.filter(|_| start % chunk == 0) {
                let first = (self.row * chunks(time, k.n) + start / chunk) * k.states();
                for plane in (0..k.states()).step_by(k.width) {
                    let here = plane + self.channels.start..plane + self.channels.end;
                    // SAFETY: a row's channels are one task's.
                    #[allow(unsafe_code)]
                    let kept = unsafe { boundaries.slice(first + here.start..first + here.end) };
                    kept.copy_from_slice(&self.workspace.states[here]);
                }
            }
            let mut end = time.min((start / chunk + 1) * chunk);
            // A piece also ends where the row does, so that the state there can be taken.
            if start < self.length {
                end = end.min(self.length);
            }
            let steps = end - start;
            let (at, count) = (start * k.dim + self.channels.start, self.channels.len());
            let us = Rows::of(self.us, at, k.dim, steps, count);
            let ys = self.ys.rows(self.row * self.us.len() + at, k.dim, steps, count);
            let ys = Rows { start: ys, stride: k.dim };
            let Workspace { states, buffers } = &mut *self.workspace;
            // SAFETY: both have as many steps and channels, and a row's channels are one task's.
            #[allow(unsafe_code)]
            unsafe {
                let (output, channels, far) = (self.output, self.channels.clone(), self.far);
                Piece { k, output, channels, us, ys, steps, far, states, buffers }.run();
            }
            if end == self.length {
                self.finish();
            }
            start = end;
        }
    }

    /// Hands out the states at the row's end.
    fn finish(&self) {
        let k = self.coefficients;
        let inner = k.n * k.parts;
        let first = self.row * k.dim * inner;
        let here = first + self.channels.start * inner..first + self.channels.end * inner;
        // SAFETY: a row's channels are one task's.
        #[allow(unsafe_code)]
        let last = unsafe { self.last.slice(here) };
        k.store_states(&self.workspace.states, self.channels.clone(), last);
    }
}

/// What blocks that are copied are copied to.
#[derive(Clone, Debug)]
pub(super) struct Buffers<T> {
    u: Buffer<T>,
    y: Buffer<T>,
}

impl<T: Real> Buffers<T> {
    pub(super) fn new() -> Self {
        Buffers { u: Buffer::new(), y: Buffer::new() }
    }
}

/// At most a chunk of some channels, from `states` on, which end as the last step's.
pub(super) struct Piece<'a, T> {
    pub(super) k: &'a Coefficients<T>,
    pub(super) output: ScanOutput,
    pub(super) channels: Range<usize>,
    pub(super) us: Rows<*const T>,
    pub(super) ys: Rows<*mut T>,
    pub(super) steps: usize,
    /// Whether to ask for the steps that come next.
    pub(super) far: bool,
    /// `[n, parts, width]`
    pub(super) states: &'a mut [T],
    pub(super) buffers: &'a mut Buffers<T>,
}

impl<T: Real> Piece<'_, T> {
    /// Runs it.
    ///
    /// # Safety
    /// `us` and `ys` hold `steps` steps of the channels; those of `ys` are this task's alone.
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
        // SAFETY: of this piece it was promised.
        #[allow(unsafe_code)]
        unsafe {
            match (piece.k.parts, piece.output) {
                (1, ScanOutput::Linear) => piece.blocks::<A::Vector<T>, 1, false>(),
                (1, ScanOutput::Gelu) => piece.blocks::<A::Vector<T>, 1, true>(),
                (_, ScanOutput::Linear) => piece.blocks::<A::Vector<T>, 2, false>(),
                (_, ScanOutput::Gelu) => piece.blocks::<A::Vector<T>, 2, true>(),
            }
        }
    }
}

impl<T: Real> Piece<'_, T> {
    /// # Safety
    /// As for [`Self::run`].
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn blocks<V: Vector<Number = T>, const P: usize, const GELU: bool>(&mut self) {
        let mut at = self.channels.start;
        while at < self.channels.end {
            let count = V::LANES.min(self.channels.end - at);
            let offset = at - self.channels.start;
            let us = Rows { start: self.us.start.wrapping_add(offset), ..self.us };
            let ys = Rows { start: self.ys.start.wrapping_add(offset), ..self.ys };
            let direct = self.k.n == 1 && count == V::LANES;
            if direct && self.far {
                // The chunk that comes next; beyond the last one there is nothing, which may be asked for.
                let share = |offset: usize| offset * self.steps / self.channels.len();
                let ahead = Ahead {
                    first: self.steps * self.us.stride,
                    steps: share(offset)..share(offset + count),
                    stride: self.us.stride,
                    count: self.channels.len(),
                };
                ahead.of(self.us.start);
                ahead.of(self.ys.start);
            }
            let (mut u, mut y) = (us, ys);
            // SAFETY: the rows hold the block, which lies within the channels, or are buffers, which hold any.
            unsafe {
                if !direct {
                    self.buffers.u.fill::<V>(us, self.steps, count);
                    (u, y) = (self.buffers.u.rows().read(), self.buffers.y.rows());
                }
                if self.k.n == 1 {
                    self.state::<V, P, true, GELU>(at, 0, u, y);
                } else {
                    self.state::<V, P, true, false>(at, 0, u, y);
                    for state in 1..self.k.n {
                        self.state::<V, P, false, false>(at, state, u, y);
                    }
                    if GELU {
                        for step in 0..self.steps {
                            y.store(step, T::gelu_each(y.read().load::<V>(step)));
                        }
                    }
                }
                if !direct {
                    self.buffers.y.spill::<V>(ys, self.steps, count);
                }
            }
            at += count;
        }
    }

    /// One state of each channel over all steps. The first begins the outputs with `d u`; where there is no other,
    /// it may finish them.
    ///
    /// # Safety
    /// The rows hold a register of every step.
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn state<V: Vector<Number = T>, const P: usize, const FIRST: bool, const GELU: bool>(
        &mut self,
        at: usize,
        state: usize,
        us: Rows<*const T>,
        ys: Rows<*mut T>,
    ) {
        let mode = Mode::<V, P>::load(self.k, state, at);
        let place = |part: usize| (state * P + part) * self.k.width + at;
        let mut h = [V::zero(); P];
        for part in 0..P {
            h[part] = load(self.states, place(part));
        }
        for step in 0..self.steps {
            // SAFETY: the caller's promise.
            unsafe {
                let u = us.load::<V>(step);
                let y = if FIRST { mode.d * u } else { ys.read().load(step) };
                mode.advance(&mut h, u);
                let y = mode.read(&h, y);
                ys.store(step, if GELU { T::gelu_each(y) } else { y });
            }
        }
        for part in 0..P {
            store(h[part], self.states, place(part));
        }
    }
}
