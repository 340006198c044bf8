//! The selective scan's adjoint over one group of channels of one row: backward through chunks, each of which is
//! run forward once more from the state kept at its start.

use super::coefficients::{CHUNK, Coefficients, GROUP, Sizes};
use super::forward::{Inputs, advance, decay};
use crate::isa::{Arith, Kernel};
use crate::real::Real;
use crate::scan::columns::{Buffer, Rows, Shared};
use crate::vector::{Aligned, MOST, Vector, load, store};

/// Where the gradients go; every array is shared by all tasks.
#[derive(Clone, Copy)]
pub(super) struct Gradients<'a, T> {
    /// `[batch, time, dim]`
    pub(super) us: Shared<'a, T>,
    /// `[batch, time, dim]`
    pub(super) deltas: Shared<'a, T>,
    /// `[batch, group, time, n, parts]`
    pub(super) b: Shared<'a, T>,
    /// `[batch, group, time, n, parts]`
    pub(super) c: Shared<'a, T>,
    /// `[batch, dim, n, parts]`
    pub(super) state: Shared<'a, T>,
    /// Sums over some rows: A `[n, parts, width]` and d `[width]`, from `sums` on.
    pub(super) weights: Shared<'a, T>,
}

/// What a task uses again for each row.
pub(super) struct Workspace<T> {
    u: Buffer<T, GROUP>,
    delta: Buffer<T, GROUP>,
    v: Buffer<T, GROUP>,
    dy: Buffer<T, GROUP>,
    dv: Buffer<T, GROUP>,
    ddelta: Buffer<T, GROUP>,
    /// Decay and state of each step, `[step, (decay, state), parts, MOST]`.
    again: Aligned<T>,
    /// Gradients of B and C in lanes, `[step, (B, C), parts, MOST]`.
    mixes: Aligned<T>,
    /// `[n, parts, width]`: ∂L/∂h after the chunk that comes next, and at the row's end.
    carried: Aligned<T>,
    last: Aligned<T>,
}

impl<T: Real> Workspace<T> {
    pub(super) fn new(sizes: Sizes) -> Self {
        let lanes = Aligned::zeros(CHUNK * 2 * sizes.parts * MOST);
        let planes = Aligned::zeros(sizes.planes());
        Workspace {
            u: Buffer::new(),
            delta: Buffer::new(),
            v: Buffer::new(),
            dy: Buffer::new(),
            dv: Buffer::new(),
            ddelta: Buffer::new(),
            again: lanes.clone(),
            mixes: lanes,
            carried: planes.clone(),
            last: planes,
        }
    }
}

/// One group of channels of one row.
pub(super) struct Adjoint<'a, T> {
    pub(super) k: &'a Coefficients<T>,
    pub(super) row: usize,
    pub(super) group: usize,
    pub(super) length: usize,
    pub(super) inputs: Inputs<'a, T>,
    /// This row's `[time, dim]`.
    pub(super) ys_grad: &'a [T],
    /// This row's `[dim, n, parts]`, or empty for zeros.
    pub(super) last_grad: &'a [T],
    /// This row's `[chunk, n, parts, width]`.
    pub(super) boundaries: &'a [T],
    pub(super) gradients: Gradients<'a, T>,
    /// Offset of this row's sums among those of the weights.
    pub(super) sums: usize,
    pub(super) workspace: &'a mut Workspace<T>,
}

impl<T: Real> Kernel for Adjoint<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(mut self) {
        let sizes = self.k.sizes;
        let channels = sizes.group(self.group);
        self.workspace.carried.fill(T::ZERO);
        self.workspace.last.fill(T::ZERO);
        if !self.last_grad.is_empty() {
            sizes.load(self.last_grad, channels.clone(), &mut self.workspace.last);
        }
        for chunk in (0..sizes.chunks()).rev() {
            let steps = CHUNK.min(sizes.time - chunk * CHUNK);
            if sizes.parts == 1 {
                self.chunk::<A::Vector<T>, 1>(chunk, steps);
            } else {
                self.chunk::<A::Vector<T>, 2>(chunk, steps);
            }
        }
        let Workspace { carried, last, .. } = &mut *self.workspace;
        if self.length == 0 {
            // The returned state is the incoming one.
            carried.iter_mut().zip(last.iter()).for_each(|(carried, last)| *carried += *last);
        }
        let inner = sizes.n * sizes.parts;
        let first = self.row * sizes.states();
        let here = first + channels.start * inner..first + channels.end * inner;
        // SAFETY: a row's group is one task's.
        #[allow(unsafe_code)]
        let state_grad = unsafe { self.gradients.state.slice(here) };
        sizes.store(carried, channels, state_grad);
    }
}

impl<T: Real> Adjoint<'_, T> {
    #[inline(always)]
    fn chunk<V: Vector<Number = T>, const P: usize>(&mut self, chunk: usize, steps: usize) {
        let sizes = self.k.sizes;
        let channels = sizes.group(self.group);
        let (count, dim) = (channels.len(), sizes.dim);
        let first = chunk * CHUNK * dim + channels.start;
        let out = self.row * sizes.steps() + first;
        let rows = |from| Rows::of(from, first, dim, steps, count);
        let (us, deltas, dys) = (rows(self.inputs.us), rows(self.inputs.deltas), rows(self.ys_grad));
        let w = &mut *self.workspace;
        // SAFETY: the rows hold the steps and channels.
        #[allow(unsafe_code)]
        unsafe {
            w.u.fill::<V>(us, steps, count);
            w.delta.fill::<V>(deltas, steps, count);
            w.dy.fill::<V>(dys, steps, count);
        }
        for step in 0..steps {
            for at in (0..count).step_by(V::LANES) {
                let v = load::<V>(w.u.row(step), at) * load(w.delta.row(step), at);
                store(v, w.v.row_mut(step), at);
                let dy = load::<V>(w.dy.row(step), at).without_vanished();
                store(dy, w.dy.row_mut(step), at);
                store(V::zero(), w.dv.row_mut(step), at);
                store(V::zero(), w.ddelta.row_mut(step), at);
            }
        }
        for state in 0..sizes.n {
            self.workspace.mixes.fill(T::ZERO);
            for at in (0..count).step_by(V::LANES) {
                self.state::<V, P>(chunk, steps, state, at);
            }
            self.mixes::<V, P>(chunk, steps, state);
        }
        for at in (0..count).step_by(V::LANES) {
            self.finish::<V>(steps, at);
        }
        let gradients = self.gradients;
        let (us, deltas) =
            (gradients.us.rows(out, dim, steps, count), gradients.deltas.rows(out, dim, steps, count));
        // SAFETY: the rows were checked, and a row's group is one task's. The buffers of Δ u and Δ hold the two
        // gradients by now.
        #[allow(unsafe_code)]
        unsafe {
            self.workspace.dv.spill::<V>(Rows { start: us, stride: dim }, steps, count);
            self.workspace.ddelta.spill::<V>(Rows { start: deltas, stride: dim }, steps, count);
        }
    }

    /// One state of a register of channels, forward and back.
    #[inline(always)]
    fn state<V: Vector<Number = T>, const P: usize>(
        &mut self,
        chunk: usize,
        steps: usize,
        state: usize,
        at: usize,
    ) {
        let sizes = self.k.sizes;
        let (n, width) = (sizes.n, sizes.width());
        let channel = sizes.group(self.group).start + at;
        let inputs = self.inputs.from(chunk * CHUNK, sizes);
        let place = (state * P) * width + channel;
        let (mut a, mut h, mut g) = ([V::zero(); P], [V::zero(); P], [V::zero(); P]);
        let Workspace { u: _, delta, v, dy, dv, ddelta, again, mixes, carried, last } = &mut *self.workspace;
        let last = &*last;
        for part in 0..P {
            a[part] = load(&self.k.a, place + part * width);
            h[part] = load(self.boundaries, chunk * sizes.planes() + place + part * width);
            g[part] = load(carried, place + part * width);
        }
        for step in 0..steps {
            let decay = decay::<T, V, P>(&a, load(delta.row(step), at));
            let b = &inputs.b[(step * n + state) * P..][..P];
            advance(&decay, &mut h, load(v.row(step), at), b);
            let kept = &mut again[step * 2 * P * MOST..][..2 * P * MOST];
            for part in 0..P {
                store(decay[part], kept, part * MOST);
                store(h[part], kept, (P + part) * MOST);
            }
        }
        // The step after which the returned state was taken, if it lies in this chunk, divides it.
        let taken = self.length.wrapping_sub(chunk * CHUNK);
        let taken = if taken <= steps { taken } else { 0 };
        let mut sums = [V::zero(); P];
        for piece in [taken..steps, 0..taken] {
            if piece.start == 0 && taken > 0 {
                for part in 0..P {
                    g[part] = g[part] + load(last, place + part * width);
                }
            }
            for step in piece.rev() {
                let kept = &again[step * 2 * P * MOST..][..2 * P * MOST];
                let (mut decay, mut h) = ([V::zero(); P], [V::zero(); P]);
                for part in 0..P {
                    decay[part] = load(kept, part * MOST);
                    h[part] = load(kept, (P + part) * MOST);
                }
                let b = &inputs.b[(step * n + state) * P..][..P];
                let c = &inputs.c[(step * n + state) * P..][..P];
                let here = Here { v: load(v.row(step), at), dy: load(dy.row(step), at) };
                let found = adjoint(&mut g, &decay, &h, here, b, c);
                let mix = &mut mixes[step * 2 * P * MOST..][..2 * P * MOST];
                for part in 0..P {
                    let (of_b, of_c) = (part * MOST + at % MOST, (P + part) * MOST + at % MOST);
                    store(load::<V>(mix, of_b) + found.b[part], mix, of_b);
                    store(load::<V>(mix, of_c) + found.c[part], mix, of_c);
                }
                store(load::<V>(dv.row(step), at) + found.v, dv.row_mut(step), at);
                let delta = load::<V>(delta.row(step), at);
                let mut slope = load::<V>(ddelta.row(step), at);
                for part in 0..P {
                    slope = a[part].fma(found.exponent[part], slope);
                    sums[part] = delta.fma(found.exponent[part], sums[part]);
                }
                store(slope, ddelta.row_mut(step), at);
            }
        }
        for part in 0..P {
            store(g[part], carried, place + part * width);
        }
        for part in 0..P {
            self.add(place + part * width, sums[part]);
        }
    }

    /// Sums the lanes of one state's gradients of B and C.
    #[inline(always)]
    fn mixes<V: Vector<Number = T>, const P: usize>(&mut self, chunk: usize, steps: usize, state: usize) {
        let sizes = self.k.sizes;
        let stride = sizes.n * P;
        let first = ((self.row * sizes.groups() + self.group) * sizes.time + chunk * CHUNK) * stride;
        // SAFETY: a row's group is one task's.
        #[allow(unsafe_code)]
        let (b, c) = unsafe {
            let here = first..first + steps * stride;
            (self.gradients.b.slice(here.clone()), self.gradients.c.slice(here))
        };
        for step in 0..steps {
            let mix = &self.workspace.mixes[step * 2 * P * MOST..][..2 * P * MOST];
            for part in 0..P {
                let to = step * stride + state * P + part;
                b[to] = load::<V::Group>(mix, part * MOST).sum().without_vanished();
                c[to] = load::<V::Group>(mix, (P + part) * MOST).sum().without_vanished();
            }
        }
    }

    /// From the gradients of Δ u and of the exponent to those of u and Δ, in their place.
    #[inline(always)]
    fn finish<V: Vector<Number = T>>(&mut self, steps: usize, at: usize) {
        let channel = self.k.sizes.group(self.group).start + at;
        let d = load::<V>(&self.k.d, channel);
        let mut skip = V::zero();
        let Workspace { u, delta, dy, dv, ddelta, .. } = &mut *self.workspace;
        for step in 0..steps {
            let (u, dy) = (load::<V>(u.row(step), at), load::<V>(dy.row(step), at));
            let along = load::<V>(dv.row(step), at);
            skip = dy.fma(u, skip);
            let slope = along.fma(u, load(ddelta.row(step), at));
            let along = along.fma(load(delta.row(step), at), d * dy);
            store(slope.without_vanished(), ddelta.row_mut(step), at);
            store(along.without_vanished(), dv.row_mut(step), at);
        }
        self.add(self.k.sizes.planes() + channel, skip);
    }

    /// Adds to the weights' sums.
    #[inline(always)]
    fn add<V: Vector<Number = T>>(&self, place: usize, value: V) {
        let first = self.sums + place;
        // SAFETY: of these sums, a group's are one task's; planes are as wide as the widest register.
        #[allow(unsafe_code)]
        let sum = unsafe { self.gradients.weights.slice(first..first + V::LANES) };
        store(load::<V>(sum, 0) + value, sum, 0);
    }
}

/// Δ u and the output's gradient of one step.
struct Here<V> {
    v: V,
    dy: V,
}

/// What one state adds to a step's gradients. `exponent` is that of Δ A.
struct Found<V, const P: usize> {
    b: [V; P],
    c: [V; P],
    v: V,
    exponent: [V; P],
}

/// One step of the adjoint recurrence: `g` holds ∂L/∂h_t without this step's output when it comes in, and
/// ∂L/∂h_{t−1} when it leaves.
#[inline(always)]
fn adjoint<V: Vector, const P: usize>(
    g: &mut [V; P],
    decay: &[V; P],
    h: &[V; P],
    here: Here<V>,
    b: &[V::Number],
    c: &[V::Number],
) -> Found<V, P> {
    let Here { v, dy } = here;
    let zero = [V::zero(); P];
    let mut found = Found { b: zero, c: zero, v: V::zero(), exponent: zero };
    let b_re = V::splat(b[0]);
    let re = dy.fma(V::splat(c[0]), g[0]);
    found.b[0] = re * v;
    found.c[0] = dy * h[0];
    found.v = re * b_re;
    // The state before this step's input, which is the last one decayed.
    let old_re = v.fnma(b_re, h[0]);
    if P == 1 {
        found.exponent[0] = re * old_re;
        g[0] = (decay[0] * re).without_vanished();
        return found;
    }
    let b_im = V::splat(b[1]);
    let im = dy.fnma(V::splat(c[1]), g[1]);
    found.b[1] = im * v;
    found.c[1] = -(dy * h[1]);
    found.v = im.fma(b_im, found.v);
    let old_im = v.fnma(b_im, h[1]);
    found.exponent[0] = re.fma(old_re, im * old_im);
    found.exponent[1] = im.fma(old_re, -(re * old_im));
    g[0] = decay[0].fma(re, decay[1] * im).without_vanished();
    g[1] = decay[1].fnma(re, decay[0] * im).without_vanished();
    found
}
