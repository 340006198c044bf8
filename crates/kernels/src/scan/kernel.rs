//! The scan over one batch row, forward and adjoint, a block of channels at a time.
//!
//! Channels are independent, so a block of them fills the vector lanes while time runs inside; padding
//! lanes of the last block have zero coefficients and are never written back.

use crate::isa::{Arith, Kernel};
use crate::real::Real;

/// Channels computed together.
pub(super) const LANES: usize = 32;
/// Steps between two states kept for the backward pass.
const CHUNK: usize = 64;

pub(super) type Lane<T> = [T; LANES];

/// How many chunks cover `time` steps.
pub(super) fn chunks(time: usize) -> usize {
    time.div_ceil(CHUNK)
}

/// One complex number per channel of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Complex<T> {
    pub(super) re: Lane<T>,
    pub(super) im: Lane<T>,
}

impl<T: Real> Complex<T> {
    pub(super) const ZERO: Self = Complex { re: [T::ZERO; LANES], im: [T::ZERO; LANES] };
}

/// λ, b and c of one state in each channel of a block; also their gradients.
#[derive(Clone, Copy, Debug)]
struct Mode<T> {
    lambda: Complex<T>,
    b: Complex<T>,
    c: Complex<T>,
}

impl<T: Real> Mode<T> {
    const ZERO: Self = Mode { lambda: Complex::ZERO, b: Complex::ZERO, c: Complex::ZERO };

    /// The six planes in the order of the packed vector.
    fn planes(&mut self) -> [&mut Lane<T>; 6] {
        [
            &mut self.lambda.re,
            &mut self.lambda.im,
            &mut self.b.re,
            &mut self.b.im,
            &mut self.c.re,
            &mut self.c.im,
        ]
    }

    /// One step in every lane: the new state into `h`, its contribution onto `y`.
    #[inline(always)]
    fn advance<A: Arith>(&self, h: &mut Complex<T>, u: &Lane<T>, y: &mut Lane<T>) {
        for x in 0..LANES {
            let re =
                A::fma(self.lambda.re[x], h.re[x], A::fma(-self.lambda.im[x], h.im[x], self.b.re[x] * u[x]));
            let im =
                A::fma(self.lambda.re[x], h.im[x], A::fma(self.lambda.im[x], h.re[x], self.b.im[x] * u[x]));
            h.re[x] = re;
            h.im[x] = im;
            y[x] = A::fma(-self.c.im[x], im, A::fma(self.c.re[x], re, y[x]));
        }
    }
}

/// All coefficients, rearranged for blocks of channels.
#[derive(Clone, Debug)]
pub(super) struct Coefficients<T> {
    pub(super) dim: usize,
    pub(super) n: usize,
    /// `[block, n]`.
    modes: Vec<Mode<T>>,
    /// `[block]`.
    skip: Vec<Lane<T>>,
}

impl<T: Real> Coefficients<T> {
    /// From the packed vector `[6·dim·n + dim]`.
    pub(super) fn new(packed: &[T], dim: usize, n: usize) -> Self {
        let blocks = dim.div_ceil(LANES);
        let mut modes = vec![Mode::ZERO; blocks * n];
        let mut skip = vec![[T::ZERO; LANES]; blocks];
        for channel in 0..dim {
            let (block, lane) = (channel / LANES, channel % LANES);
            for state in 0..n {
                for (plane, values) in modes[block * n + state].planes().into_iter().enumerate() {
                    values[lane] = packed[(plane * dim + channel) * n + state];
                }
            }
            skip[block][lane] = packed[6 * dim * n + channel];
        }
        Coefficients { dim, n, modes, skip }
    }

    /// Number of [`Complex`] blocks in one row's state: `blocks · n`.
    pub(super) fn states(&self) -> usize {
        self.modes.len()
    }

    /// One row's state `[dim, n, 2]` as blocks `[block, n]`.
    pub(super) fn load_state(&self, state: &[T]) -> Vec<Complex<T>> {
        let mut blocks = vec![Complex::ZERO; self.states()];
        for (at, pair) in state.chunks_exact(2).enumerate() {
            let (channel, state) = (at / self.n, at % self.n);
            let block = &mut blocks[channel / LANES * self.n + state];
            block.re[channel % LANES] = pair[0];
            block.im[channel % LANES] = pair[1];
        }
        blocks
    }

    /// The inverse of [`Self::load_state`] for one block of channels.
    #[inline(always)]
    fn store_block(&self, block: usize, states: &[Complex<T>], out: &mut [T]) {
        for lane in 0..self.width(block) {
            for (state, value) in states.iter().enumerate() {
                let at = ((block * LANES + lane) * self.n + state) * 2;
                out[at] = value.re[lane];
                out[at + 1] = value.im[lane];
            }
        }
    }

    /// The inverse of [`Self::load_state`].
    pub(super) fn store_state(&self, states: &[Complex<T>], out: &mut [T]) {
        for (block, states) in states.chunks_exact(self.n).enumerate() {
            self.store_block(block, states, out);
        }
    }

    /// Channels in a block: [`LANES`], or fewer in the last one.
    #[inline(always)]
    fn width(&self, block: usize) -> usize {
        LANES.min(self.dim - block * LANES)
    }

    /// A block's lanes at one step of `[time, dim]`.
    #[inline(always)]
    fn gather(&self, values: &[T], step: usize, block: usize) -> Lane<T> {
        let from = &values[step * self.dim + block * LANES..][..self.width(block)];
        if let Ok(lane) = from.try_into() {
            return lane;
        }
        let mut lane = [T::ZERO; LANES];
        lane[..from.len()].copy_from_slice(from);
        lane
    }

    #[inline(always)]
    fn scatter(&self, lane: &Lane<T>, values: &mut [T], step: usize, block: usize) {
        let width = self.width(block);
        values[step * self.dim + block * LANES..][..width].copy_from_slice(&lane[..width]);
    }

    #[inline(always)]
    fn skip_term(&self, block: usize, u: &Lane<T>) -> Lane<T> {
        std::array::from_fn(|x| self.skip[block][x] * u[x])
    }

    /// One step of one row, in the arithmetic and order of [`Forward`].
    #[inline(always)]
    pub(super) fn step<A: Arith>(&self, us: &[T], states: &mut [Complex<T>], ys: &mut [T]) {
        for block in 0..self.skip.len() {
            let u = self.gather(us, 0, block);
            let mut y = self.skip_term(block, &u);
            for at in block * self.n..(block + 1) * self.n {
                self.modes[at].advance::<A>(&mut states[at], &u, &mut y);
            }
            self.scatter(&y, ys, 0, block);
        }
    }
}

/// One batch row forward.
pub(super) struct Forward<'a, T> {
    pub(super) coefficients: &'a Coefficients<T>,
    pub(super) length: usize,
    /// `[time, dim]`.
    pub(super) us: &'a [T],
    /// `[dim, n, 2]`.
    pub(super) state: &'a [T],
    /// `[time, dim]`.
    pub(super) ys: &'a mut [T],
    /// `[dim, n, 2]`.
    pub(super) last: &'a mut [T],
    /// `[block, chunk, n]`, or empty where no backward pass will follow.
    pub(super) boundaries: &'a mut [Complex<T>],
}

impl<T: Real> Kernel for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(self) {
        let Forward { coefficients: k, length, us, state, ys, last, boundaries } = self;
        let (n, time) = (k.n, us.len() / k.dim);
        let mut states = k.load_state(state);
        let mut u = [[T::ZERO; LANES]; CHUNK];
        let mut y = [[T::ZERO; LANES]; CHUNK];
        for (block, states) in states.chunks_exact_mut(n).enumerate() {
            if length == 0 {
                k.store_block(block, states, last);
            }
            let mut start = 0;
            while start < time {
                if start % CHUNK == 0 && !boundaries.is_empty() {
                    let at = (block * chunks(time) + start / CHUNK) * n;
                    boundaries[at..at + n].copy_from_slice(states);
                }
                let mut end = time.min((start / CHUNK + 1) * CHUNK);
                // A piece also ends where the row does, so that the state there can be taken.
                if start < length {
                    end = end.min(length);
                }
                for step in 0..end - start {
                    u[step] = k.gather(us, start + step, block);
                    y[step] = k.skip_term(block, &u[step]);
                }
                for (state, mode) in states.iter_mut().zip(&k.modes[block * n..]) {
                    let mut h = *state;
                    for (u, y) in u.iter().zip(&mut y).take(end - start) {
                        mode.advance::<A>(&mut h, u, y);
                    }
                    *state = h;
                }
                for (step, y) in y.iter().enumerate().take(end - start) {
                    k.scatter(y, ys, start + step, block);
                }
                if end == length {
                    k.store_block(block, states, last);
                }
                start = end;
            }
        }
    }
}

/// One batch row backward.
pub(super) struct Adjoint<'a, T> {
    pub(super) coefficients: &'a Coefficients<T>,
    pub(super) length: usize,
    /// `[time, dim]`.
    pub(super) us: &'a [T],
    /// `[time, dim]`.
    pub(super) ys_grad: &'a [T],
    /// `[dim, n, 2]`.
    pub(super) last_grad: &'a [T],
    /// `[block, chunk, n]`.
    pub(super) boundaries: &'a [Complex<T>],
    /// `[time, dim]`.
    pub(super) us_grad: &'a mut [T],
    /// `[dim, n, 2]`.
    pub(super) state_grad: &'a mut [T],
    /// This row's share, `[6·dim·n + dim]`.
    pub(super) weights_grad: &'a mut [T],
}

impl<T: Real> Kernel for Adjoint<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(self) {
        let k = self.coefficients;
        let (n, time) = (k.n, self.us.len() / k.dim);
        let last_grad = k.load_state(self.last_grad);
        let mut modes_grad = vec![Mode::ZERO; n];
        let mut hs = [Complex::ZERO; CHUNK + 1];
        let (mut u, mut dy, mut du) =
            ([[T::ZERO; LANES]; CHUNK], [[T::ZERO; LANES]; CHUNK], [[T::ZERO; LANES]; CHUNK]);
        for block in 0..k.skip.len() {
            modes_grad.fill(Mode::ZERO);
            let mut skip_grad = [T::ZERO; LANES];
            let last_grad = &last_grad[block * n..][..n];
            let mut carried = vec![Complex::ZERO; n];
            for chunk in (0..chunks(time)).rev() {
                let start = chunk * CHUNK;
                let steps = CHUNK.min(time - start);
                let mut skip_chunk = [T::ZERO; LANES];
                for step in 0..steps {
                    u[step] = k.gather(self.us, start + step, block);
                    dy[step] = k.gather(self.ys_grad, start + step, block);
                    du[step] = k.skip_term(block, &dy[step]);
                    add_product::<A, T>(&mut skip_chunk, &dy[step], &u[step]);
                }
                add(&mut skip_grad, &skip_chunk);
                // The step after which the returned state was taken, if it lies in this chunk.
                let taken = self.length.checked_sub(start + 1).unwrap_or(usize::MAX);
                for state in 0..n {
                    let mode = &k.modes[block * n + state];
                    hs[0] = self.boundaries[(block * chunks(time) + chunk) * n + state];
                    let mut unused = [T::ZERO; LANES];
                    for step in 0..steps {
                        hs[step + 1] = hs[step];
                        mode.advance::<A>(&mut hs[step + 1], &u[step], &mut unused);
                    }
                    let mut g = carried[state];
                    let mut sums = Mode::ZERO;
                    for step in (0..steps).rev() {
                        if step == taken {
                            add(&mut g.re, &last_grad[state].re);
                            add(&mut g.im, &last_grad[state].im);
                        }
                        retreat::<A, T>(
                            mode,
                            &mut g,
                            &mut sums,
                            &hs[step],
                            &hs[step + 1],
                            &u[step],
                            &dy[step],
                            &mut du[step],
                        );
                    }
                    carried[state] = g;
                    for (sum, chunk) in modes_grad[state].planes().into_iter().zip(sums.planes()) {
                        add(sum, chunk);
                    }
                }
                for (step, du) in du.iter().enumerate().take(steps) {
                    k.scatter(du, self.us_grad, start + step, block);
                }
            }
            if self.length == 0 {
                // The returned state is the incoming one.
                for (carried, last) in carried.iter_mut().zip(last_grad) {
                    add(&mut carried.re, &last.re);
                    add(&mut carried.im, &last.im);
                }
            }
            k.store_block(block, &carried, self.state_grad);
            for lane in 0..k.width(block) {
                let channel = block * LANES + lane;
                for (state, mode) in modes_grad.iter_mut().enumerate() {
                    for (plane, values) in mode.planes().into_iter().enumerate() {
                        self.weights_grad[(plane * k.dim + channel) * n + state] = values[lane];
                    }
                }
                self.weights_grad[6 * k.dim * n + channel] = skip_grad[lane];
            }
        }
    }
}

/// One step of the adjoint recurrence: `g` holds ∂L/∂h_t without this step's output when it comes in, and
/// λ̄-weighted, ∂L/∂h_{t−1}, when it leaves.
#[inline(always)]
fn retreat<A: Arith, T: Real>(
    mode: &Mode<T>,
    g: &mut Complex<T>,
    sums: &mut Mode<T>,
    before: &Complex<T>,
    after: &Complex<T>,
    u: &Lane<T>,
    dy: &Lane<T>,
    du: &mut Lane<T>,
) {
    let Mode { lambda, b, c } = mode;
    for x in 0..LANES {
        let re = A::fma(dy[x], c.re[x], g.re[x]);
        let im = A::fma(-dy[x], c.im[x], g.im[x]);
        du[x] = A::fma(b.im[x], im, A::fma(b.re[x], re, du[x]));
        sums.lambda.re[x] = A::fma(re, before.re[x], A::fma(im, before.im[x], sums.lambda.re[x]));
        sums.lambda.im[x] = A::fma(im, before.re[x], A::fma(-re, before.im[x], sums.lambda.im[x]));
        sums.b.re[x] = A::fma(re, u[x], sums.b.re[x]);
        sums.b.im[x] = A::fma(im, u[x], sums.b.im[x]);
        sums.c.re[x] = A::fma(dy[x], after.re[x], sums.c.re[x]);
        sums.c.im[x] = A::fma(-dy[x], after.im[x], sums.c.im[x]);
        g.re[x] = A::fma(lambda.re[x], re, lambda.im[x] * im);
        g.im[x] = A::fma(lambda.re[x], im, -lambda.im[x] * re);
    }
}

#[inline(always)]
fn add<T: Real>(sum: &mut Lane<T>, values: &Lane<T>) {
    for x in 0..LANES {
        sum[x] += values[x];
    }
}

#[inline(always)]
fn add_product<A: Arith, T: Real>(sum: &mut Lane<T>, a: &Lane<T>, b: &Lane<T>) {
    for x in 0..LANES {
        sum[x] = A::fma(a[x], b[x], sum[x]);
    }
}
