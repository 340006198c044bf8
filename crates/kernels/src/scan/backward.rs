//! The scan's adjoint over one batch row: backward through chunks of time, each of which is run forward once more
//! from the state kept at its start.

use super::coefficients::{B, C, Coefficients, D, LAMBDA, Mode, ScanOutput};
use super::columns::{Ahead, Buffer, CHUNK, Rows, SPAN, Shared, chunk, chunks};
use crate::isa::{Arith, Kernel};
use crate::real::Real;
use crate::vector::{Aligned, Vector, load, store};
use std::ops::Range;

/// Some channels of one batch row.
pub(super) struct Adjoint<'a, T> {
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
    /// This row's `[time, dim]`.
    pub(super) ys_grad: &'a [T],
    /// This row's `[dim, n, parts]`, or empty for zeros.
    pub(super) last_grad: &'a [T],
    /// This row's `[chunk, n, parts, width]`.
    pub(super) boundaries: &'a [T],
    /// `[batch, time, dim]`
    pub(super) us_grad: Shared<'a, T>,
    /// `[batch, dim, n, parts]`
    pub(super) state_grad: Shared<'a, T>,
    /// The sums that this row adds to, in the order of the coefficients' planes.
    pub(super) weights_grad: Shared<'a, T>,
    /// Offset of this row's sums there.
    pub(super) sums: usize,
    pub(super) workspace: &'a mut Workspace<T>,
}

/// What a task uses again for each row.
pub(super) struct Workspace<T> {
    u: Buffer<T>,
    dy: Buffer<T>,
    du: Buffer<T>,
    z: Buffer<T>,
    /// States of a block before the chunk and after each step, `[n, 1 + step, parts, SPAN]`.
    hs: Aligned<T>,
    /// `[n, parts, width]`: ∂L/∂h after the chunk that comes next, and at the row's end.
    carried: Aligned<T>,
    last: Aligned<T>,
}

impl<T: Real> Workspace<T> {
    pub(super) fn new(k: &Coefficients<T>) -> Self {
        let buffer = Buffer::new;
        Workspace {
            u: buffer(),
            dy: buffer(),
            du: buffer(),
            z: buffer(),
            hs: Aligned::zeros(k.n * (CHUNK + 1) * k.parts * SPAN),
            carried: Aligned::zeros(k.states()),
            last: Aligned::zeros(k.states()),
        }
    }
}

impl<T: Real> Kernel for Adjoint<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(self) {
        match (self.coefficients.parts, self.output) {
            (1, ScanOutput::Linear) => self.rows::<A::Vector<T>, 1, false>(),
            (1, ScanOutput::Gelu) => self.rows::<A::Vector<T>, 1, true>(),
            (_, ScanOutput::Linear) => self.rows::<A::Vector<T>, 2, false>(),
            (_, ScanOutput::Gelu) => self.rows::<A::Vector<T>, 2, true>(),
        }
    }
}

/// A chunk of a block.
#[derive(Clone, Copy)]
struct Here {
    at: usize,
    count: usize,
    chunk: usize,
    steps: usize,
}

impl<T: Real> Adjoint<'_, T> {
    #[inline(always)]
    fn rows<V: Vector<Number = T>, const P: usize, const GELU: bool>(mut self) {
        let k = self.coefficients;
        let time = self.us.len() / k.dim;
        self.workspace.carried.fill(T::ZERO);
        self.workspace.last.fill(T::ZERO);
        if !self.last_grad.is_empty() {
            k.load_states(self.last_grad, self.channels.clone(), &mut self.workspace.last);
        }
        for chunk in (0..chunks(time, k.n)).rev() {
            let steps = self::chunk(k.n).min(time - chunk * self::chunk(k.n));
            let mut at = self.channels.start;
            while at < self.channels.end {
                let count = V::LANES.min(self.channels.end - at);
                self.block::<V, P, GELU>(Here { at, count, chunk, steps });
                at += count;
            }
        }
        let Workspace { carried, last, .. } = &mut *self.workspace;
        if self.length == 0 {
            // The returned state is the incoming one.
            carried.iter_mut().zip(last.iter()).for_each(|(carried, last)| *carried += *last);
        }
        let inner = k.n * k.parts;
        let first = self.row * k.dim * inner;
        let here = first + self.channels.start * inner..first + self.channels.end * inner;
        // SAFETY: a row's channels are one task's.
        #[allow(unsafe_code)]
        let state_grad = unsafe { self.state_grad.slice(here) };
        k.store_states(carried, self.channels.clone(), state_grad);
    }

    #[inline(always)]
    fn block<V: Vector<Number = T>, const P: usize, const GELU: bool>(&mut self, here: Here) {
        let k = self.coefficients;
        let Here { at, count, chunk, steps } = here;
        let first = chunk * self::chunk(k.n) * k.dim + at;
        let us = Rows::of(self.us, first, k.dim, steps, count);
        let dys = Rows::of(self.ys_grad, first, k.dim, steps, count);
        let dus = self.us_grad.rows(self.row * self.us.len() + first, k.dim, steps, count);
        let dus = Rows { start: dus, stride: k.dim };
        let direct = k.n == 1 && count == V::LANES;
        if let (true, Some(before)) = (self.far && k.n == 1, chunk.checked_sub(1)) {
            let each = self::chunk(k.n);
            let share = |channel: usize| (channel - self.channels.start) * each / self.channels.len();
            let ahead = Ahead {
                first: before * each * k.dim + self.channels.start,
                steps: share(at)..share(at + count),
                stride: k.dim,
                count: self.channels.len(),
            };
            ahead.of(self.us.as_ptr());
            ahead.of(self.ys_grad.as_ptr());
            ahead.of(self.us_grad.rows(self.row * self.us.len(), 0, 0, 0));
        }
        // SAFETY: all rows hold `steps` steps of the block, or, where they are buffers, of any; a row's channels
        // are one task's.
        #[allow(unsafe_code)]
        unsafe {
            let (mut u, mut dy, mut du) = (us, dys, dus);
            if !direct {
                let workspace = &mut *self.workspace;
                workspace.u.fill::<V>(us, steps, count);
                workspace.dy.fill::<V>(dys, steps, count);
                (u, dy, du) = (workspace.u.rows().read(), workspace.dy.rows().read(), workspace.du.rows());
            }
            if GELU {
                self.outputs::<V, P>(here, u, dy);
                dy = self.workspace.z.rows().read();
            } else {
                for state in 0..k.n {
                    self.again::<V, P, NOTHING>(here, state, u);
                }
            }
            self.retreat::<V, P, true>(here, 0, u, dy, du);
            for state in 1..k.n {
                self.retreat::<V, P, false>(here, state, u, dy, du);
            }
            if !direct {
                self.workspace.du.spill::<V>(dus, steps, count);
            }
        }
    }

    /// Runs all states over the chunk again and leaves the outputs' gradient before the activation in `z`. The
    /// activation has a loop of its own: its constants would drive the states out of their registers.
    ///
    /// # Safety
    /// The rows hold a register of every step.
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn outputs<V: Vector<Number = T>, const P: usize>(
        &mut self,
        here: Here,
        us: Rows<*const T>,
        dys: Rows<*const T>,
    ) {
        let zs = self.workspace.z.rows();
        // SAFETY: the caller's promise; a buffer has room for every step.
        unsafe {
            if self.coefficients.n == 1 {
                self.again::<V, P, WHOLE>(here, 0, us);
            } else {
                let d = Mode::<V, P>::load(self.coefficients, 0, here.at).d;
                for step in 0..here.steps {
                    zs.store(step, d * us.load::<V>(step));
                }
                for state in 0..self.coefficients.n {
                    self.again::<V, P, SUM>(here, state, us);
                }
            }
            for step in 0..here.steps {
                let z = zs.read().load::<V>(step);
                zs.store(step, dys.load::<V>(step) * T::gelu_slope_each(z));
            }
        }
    }

    /// Runs one state over the chunk again and keeps it after every step; `OUTPUTS` says what is done with the
    /// outputs before the activation.
    ///
    /// # Safety
    /// The rows hold a register of every step.
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn again<V: Vector<Number = T>, const P: usize, const OUTPUTS: u8>(
        &mut self,
        here: Here,
        state: usize,
        us: Rows<*const T>,
    ) {
        let k = self.coefficients;
        let mode = Mode::<V, P>::load(k, state, here.at);
        let kept = |part: usize| (here.chunk * k.n + state) * P * k.width + part * k.width;
        let zs = self.workspace.z.rows();
        let hs = kept_states::<T, P>(&mut self.workspace.hs, state, here.steps);
        let mut h = [V::zero(); P];
        for part in 0..P {
            h[part] = load(self.boundaries, kept(part) + here.at);
            // SAFETY: the first of the states that `hs` has room for.
            unsafe { hs[part].store(0, h[part]) };
        }
        for step in 0..here.steps {
            // SAFETY: the caller's promise; buffers have room for every step, and `hs` for one more.
            unsafe {
                let u = us.load::<V>(step);
                mode.advance(&mut h, u);
                for part in 0..P {
                    hs[part].store(step + 1, h[part]);
                }
                if OUTPUTS == SUM {
                    zs.store(step, mode.read(&h, zs.read().load(step)));
                }
                if OUTPUTS == WHOLE {
                    zs.store(step, mode.read(&h, mode.d * u));
                }
            }
        }
    }

    /// One state's adjoint over the chunk. The first one begins the inputs' gradient, and has the skip's.
    ///
    /// # Safety
    /// The rows hold a register of every step; those of `dus` are this task's alone.
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn retreat<V: Vector<Number = T>, const P: usize, const FIRST: bool>(
        &mut self,
        here: Here,
        state: usize,
        us: Rows<*const T>,
        dys: Rows<*const T>,
        dus: Rows<*mut T>,
    ) {
        let k = self.coefficients;
        let mode = Mode::<V, P>::load(k, state, here.at);
        let place = |part: usize| (state * P + part) * k.width + here.at;
        let Workspace { hs, carried, last, .. } = &mut *self.workspace;
        let hs = kept_states::<T, P>(hs, state, here.steps).map(|rows| rows.read());
        let mut g = [V::zero(); P];
        for part in 0..P {
            g[part] = load::<V>(carried, place(part));
        }
        let mut sums = Mode::<V, P>::zero();
        // The step after which the returned state was taken, if it lies in this chunk, divides it.
        let taken = self.length.wrapping_sub(here.chunk * chunk(k.n));
        let taken = if taken <= here.steps { taken } else { 0 };
        for piece in [taken..here.steps, 0..taken] {
            if piece.start == 0 && taken > 0 {
                for part in 0..P {
                    g[part] = g[part] + load::<V>(last, place(part));
                }
            }
            let mut after = [V::zero(); P];
            for part in 0..P {
                // SAFETY: `hs` has one state more than the chunk has steps.
                after[part] = unsafe { hs[part].load(piece.end) };
            }
            for step in piece.rev() {
                // SAFETY: the caller's promise.
                unsafe {
                    let (u, dy) = (us.load::<V>(step), dys.load::<V>(step));
                    let du = if FIRST {
                        sums.d = dy.fma(u, sums.d);
                        mode.d * dy
                    } else {
                        dus.read().load::<V>(step)
                    };
                    let mut before = [V::zero(); P];
                    for part in 0..P {
                        before[part] = hs[part].load(step);
                    }
                    let du = adjoint(&mode, &mut g, &mut sums, before, after, u, dy, du);
                    after = before;
                    dus.store(step, du);
                }
            }
        }
        for part in 0..P {
            // Once a chunk is often enough: within one, no useful mode fades by so much.
            store(g[part].without_vanished(), carried, place(part));
        }
        self.add::<V, P, FIRST>(here, state, &sums);
    }

    /// Adds a chunk's sums to the row's.
    #[inline(always)]
    fn add<V: Vector<Number = T>, const P: usize, const FIRST: bool>(
        &self,
        here: Here,
        state: usize,
        sums: &Mode<V, P>,
    ) {
        for part in 0..P {
            self.add_one(here, LAMBDA, part, state, sums.lambda[part]);
            self.add_one(here, B, part, state, sums.b[part]);
            self.add_one(here, C, part, state, sums.c[part]);
        }
        if FIRST {
            self.add_one(here, D, 0, 0, sums.d);
        }
    }

    #[inline(always)]
    fn add_one<V: Vector<Number = T>>(&self, here: Here, which: usize, part: usize, state: usize, value: V) {
        let first = self.sums + self.coefficients.plane(which, part, state) + here.at;
        // SAFETY: of these sums, a channel's are one task's, and a plane is as wide as the widest register.
        #[allow(unsafe_code)]
        let sum = unsafe { self.weights_grad.slice(first..first + V::LANES) };
        store(load::<V>(sum, 0) + value, sum, 0);
    }
}

/// What [`Adjoint::again`] does with the outputs: it leaves them, adds one state's share to their sum, or, where it
/// is the only one, writes them.
const NOTHING: u8 = 0;
const SUM: u8 = 1;
const WHOLE: u8 = 2;

/// One state's parts, each `[1 + step]` registers, in the workspace's `[n, 1 + step, parts, SPAN]`.
#[inline(always)]
fn kept_states<T, const P: usize>(hs: &mut [T], state: usize, steps: usize) -> [Rows<*mut T>; P] {
    assert!(steps <= CHUNK);
    let each = (CHUNK + 1) * P * SPAN;
    let start = hs[state * each..][..each].as_mut_ptr();
    let mut rows = [Rows { start, stride: P * SPAN }; P];
    for (part, rows) in rows.iter_mut().enumerate() {
        rows.start = start.wrapping_add(part * SPAN);
    }
    rows
}

/// One step of the adjoint recurrence: `g` holds ∂L/∂h_t without this step's output when it comes in, and
/// λ̄-weighted, ∂L/∂h_{t−1}, when it leaves. The states are those before and after the step.
#[inline(always)]
fn adjoint<V: Vector, const P: usize>(
    mode: &Mode<V, P>,
    g: &mut [V; P],
    sums: &mut Mode<V, P>,
    before: [V; P],
    after: [V; P],
    u: V,
    dy: V,
    du: V,
) -> V {
    let Mode { lambda, b, c, .. } = mode;
    let g_re = dy.fma(c[0], g[0]);
    sums.b[0] = g_re.fma(u, sums.b[0]);
    sums.c[0] = dy.fma(after[0], sums.c[0]);
    let du = b[0].fma(g_re, du);
    if P == 1 {
        sums.lambda[0] = g_re.fma(before[0], sums.lambda[0]);
        g[0] = lambda[0] * g_re;
        return du;
    }
    let g_im = dy.fnma(c[1], g[1]);
    sums.b[1] = g_im.fma(u, sums.b[1]);
    sums.c[1] = dy.fnma(after[1], sums.c[1]);
    sums.lambda[0] = g_re.fma(before[0], g_im.fma(before[1], sums.lambda[0]));
    sums.lambda[1] = g_im.fma(before[0], g_re.fnma(before[1], sums.lambda[1]));
    g[0] = lambda[0].fma(g_re, lambda[1] * g_im);
    g[1] = lambda[1].fnma(g_re, lambda[0] * g_im);
    b[1].fma(g_im, du)
}
