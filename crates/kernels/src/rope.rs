//! Rotary position embedding as one differentiable operation.
//!
//! Source: Su et al. 2021, "RoFormer", eq. 34. Pairs are the paper's: neighbours `(x_0, x_1)`, `(x_2, x_3)`, …
//! (GPT-NeoX pairs the two halves instead, which is the same up to a permutation of the projections' rows).
//! Pair i of a token at position m turns by the angle `m · base^(−2i/head_dim)`. Angles are computed in double
//! precision; at position 10⁶ single precision would be off by a twentieth of a radian.

use crate::isa::{Arith, Isa, Kernel, dispatch};
use crate::parallel;
use crate::plumbing::{fused, operand, tensor, with_values};
use crate::real::Real;
use crate::reference;
use crate::tape;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, WithDType, bail};
use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The angular frequencies of a head, for rotating single tokens.
#[derive(Clone, Debug)]
pub struct Rope {
    /// `[head_dim / 2]`, radians per position.
    frequencies: Vec<f64>,
}

impl Rope {
    /// Frequencies `base^(−2i/head_dim)`; the paper's base is 10,000.
    ///
    /// # Errors
    /// `head_dim` is odd or 0, or `base` is not a positive number.
    pub fn new(head_dim: usize, base: f64) -> Result<Self> {
        if head_dim == 0 || !head_dim.is_multiple_of(2) {
            bail!("rope: head_dim is {head_dim}, expected an even number: dimensions turn in pairs");
        }
        if !(base > 0.0 && base.is_finite()) {
            bail!("rope: base is {base}, expected a positive number");
        }
        let frequency = |pair: usize| libm::pow(base, -((2 * pair) as f64) / head_dim as f64);
        Ok(Rope { frequencies: (0..head_dim / 2).map(frequency).collect() })
    }

    /// Cosine and sine of every pair's angle at a position.
    pub(crate) fn angles(&self, position: u64) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.frequencies.iter().map(move |frequency| {
            let angle = position as f64 * frequency;
            (libm::cos(angle), libm::sin(angle))
        })
    }

    /// Rotates one token in place: `xs` is `[heads, head_dim]`. Equals [`rope()`] bit for bit and allocates
    /// nothing.
    pub fn rotate<T: Real>(&self, xs: &mut [T], position: u32) {
        let head_dim = 2 * self.frequencies.len();
        for (pair, (cos, sin)) in self.angles(u64::from(position)).enumerate() {
            for head in xs.chunks_exact_mut(head_dim) {
                turn(&mut head[2 * pair..2 * pair + 2], (T::of(cos), T::of(sin)));
            }
        }
    }
}

/// Rotates tokens one by one like [`Rope`], keeping the last position's angles for the rows that follow.
#[derive(Clone, Debug)]
pub struct RopeCell<T> {
    rope: Rope,
    position: Option<u32>,
    /// `[head_dim / 2]`
    angles: Vec<(T, T)>,
}

impl<T: Real> RopeCell<T> {
    /// A cell with no angles yet.
    pub fn new(rope: Rope) -> Self {
        let angles = vec![(T::ONE, T::ZERO); rope.frequencies.len()];
        RopeCell { rope, position: None, angles }
    }

    /// Rotates one token in place: `xs` is `[heads, head_dim]`. Equals [`Rope::rotate`] bit for bit and allocates
    /// nothing.
    pub fn rotate(&mut self, xs: &mut [T], position: u32) {
        if self.position != Some(position) {
            for (angle, (cos, sin)) in self.angles.iter_mut().zip(self.rope.angles(u64::from(position))) {
                *angle = (T::of(cos), T::of(sin));
            }
            self.position = Some(position);
        }
        for head in xs.chunks_exact_mut(2 * self.angles.len()) {
            for (pair, angle) in head.chunks_exact_mut(2).zip(&self.angles) {
                turn(pair, *angle);
            }
        }
    }
}

#[inline(always)]
fn turn<T: Real>(pair: &mut [T], (cos, sin): (T, T)) {
    let (x, y) = (pair[0], pair[1]);
    pair[0] = x * cos - y * sin;
    pair[1] = y * cos + x * sin;
}

/// Angles of the positions from 0 on, as the factors of every dimension.
pub(crate) struct Turns<T> {
    rope: Rope,
    /// Cosines `[time, head_dim]`: a pair's stands twice.
    cos: Vec<T>,
    /// Sines `[time, head_dim]`: a pair's stands twice, negated first.
    sin: Vec<T>,
}

/// Tables kept for the calls to come.
const TABLES: usize = 4;

impl<T: Real> Turns<T> {
    /// Angles of at least the positions before `end`. Tables are kept, because the layers and steps of a model
    /// ask for the same ones.
    pub(crate) fn before(end: usize, rope: &Rope) -> Arc<Self> {
        static KEPT: Mutex<Vec<Arc<dyn Any + Send + Sync>>> = Mutex::new(Vec::new());
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |table: &Arc<dyn Any + Send + Sync>| {
            table.downcast_ref::<Self>().is_some_and(|turns| turns.rope.frequencies == rope.frequencies)
        };
        let size = 2 * rope.frequencies.len();
        let found = kept.iter().position(same).map(|at| kept.remove(at));
        let found = found.and_then(|table| table.downcast::<Self>().ok());
        let turns = match found {
            Some(turns) if turns.cos.len() >= end * size => turns,
            // Lengths that grow step by step shall not each compute a table.
            _ => Arc::new(Turns::new(0, end.next_power_of_two(), rope)),
        };
        if kept.len() == TABLES {
            kept.remove(0);
        }
        kept.push(turns.clone());
        turns
    }

    /// Angles of the positions from `start` on; `at` counts from there.
    fn new(start: u64, time: usize, rope: &Rope) -> Self {
        let size = 2 * rope.frequencies.len();
        let (mut cos, mut sin) = (Vec::with_capacity(time * size), Vec::with_capacity(time * size));
        for at in 0..time as u64 {
            for (c, s) in rope.angles(start + at) {
                cos.extend([T::of(c); 2]);
                sin.extend([-T::of(s), T::of(s)]);
            }
        }
        Turns { rope: rope.clone(), cos, sin }
    }

    pub(crate) fn head_dim(&self) -> usize {
        2 * self.rope.frequencies.len()
    }

    /// Turns one head's query or key at a position.
    #[inline(always)]
    pub(crate) fn turn<A: Arith>(&self, xs: &mut [T], at: usize) {
        self.apply::<A, false>(xs, at);
    }

    /// Turns a gradient back.
    #[inline(always)]
    pub(crate) fn turn_back<A: Arith>(&self, xs: &mut [T], at: usize) {
        self.apply::<A, true>(xs, at);
    }

    #[inline(always)]
    fn apply<A: Arith, const BACK: bool>(&self, xs: &mut [T], at: usize) {
        let size = xs.len();
        let (cos, sin) = (&self.cos[at * size..][..size], &self.sin[at * size..][..size]);
        let mut done = 0;
        #[cfg(target_arch = "x86_64")]
        if A::ISA != Isa::Portable && TypeId::of::<T>() == TypeId::of::<f32>() {
            done = size - size % WIDE;
            // SAFETY: all three hold `size` values; T is f32; code generic over `A` runs only inside the variant
            // that `dispatch` has found the processor to support, and AVX-512 includes AVX2.
            #[allow(unsafe_code)]
            unsafe {
                turn_wide::<BACK>(xs.as_mut_ptr().cast(), cos.as_ptr().cast(), sin.as_ptr().cast(), done);
            }
        }
        let turned = |x: T, cos: T, other: T, sin: T| {
            if BACK { x * cos - other * sin } else { x * cos + other * sin }
        };
        let angles = cos[done..].chunks_exact(2).zip(sin[done..].chunks_exact(2));
        for (pair, (cos, sin)) in xs[done..].chunks_exact_mut(2).zip(angles) {
            let (x, y) = (pair[0], pair[1]);
            pair[0] = turned(x, cos[0], y, sin[0]);
            pair[1] = turned(y, cos[1], x, sin[1]);
        }
    }
}

/// Values of a vector.
#[cfg(target_arch = "x86_64")]
const WIDE: usize = 8;

/// Turns `count` values, a multiple of eight. With the processor's own instructions, because the compiler takes the
/// neighbours of a pair one by one.
///
/// # Safety
/// The processor has AVX2; all three hold `count` values.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[allow(unsafe_code)]
unsafe fn turn_wide<const BACK: bool>(xs: *mut f32, cos: *const f32, sin: *const f32, count: usize) {
    use std::arch::x86_64::*;
    for at in (0..count).step_by(WIDE) {
        // SAFETY: `at` and the seven after it lie below the count the caller promises.
        unsafe {
            let x = _mm256_loadu_ps(xs.add(at));
            let other = _mm256_permute_ps::<0b10_11_00_01>(x);
            let a = _mm256_mul_ps(x, _mm256_loadu_ps(cos.add(at)));
            let b = _mm256_mul_ps(other, _mm256_loadu_ps(sin.add(at)));
            _mm256_storeu_ps(xs.add(at), if BACK { _mm256_sub_ps(a, b) } else { _mm256_add_ps(a, b) });
        }
    }
}

/// Rotates xs `[batch, time, heads, head_dim]`; token i of row b stands at position `starts[b] + i`.
/// Differentiable: the gradient turns back by the same angles.
///
/// # Errors
/// `head_dim` is odd, or `starts` has another number of rows; the message names both.
pub fn rope(xs: &Tensor, starts: &[u32], base: f64) -> Result<Tensor> {
    let rope = check(xs, starts, base)?;
    if !fused(xs) {
        return reference::rope(xs, starts, base);
    }
    tape::apply1(&xs.contiguous()?, Rotation { rope, starts: starts.to_vec() })
}

pub(crate) fn check(xs: &Tensor, starts: &[u32], base: f64) -> Result<Rope> {
    let &[batch, _, _, head_dim] = xs.dims() else {
        bail!("rope: xs is {:?}, expected [batch, time, heads, head_dim]", xs.dims());
    };
    if starts.len() != batch {
        bail!("rope: starts has {} entries, but xs is {:?}", starts.len(), xs.dims());
    }
    Rope::new(head_dim, base)
}

/// Positions up to which a table serves all rows; beyond it each start gets its own.
const NEAR: usize = 1 << 16;

struct Rotation {
    rope: Rope,
    starts: Vec<u32>,
}

impl Rotation {
    fn apply<T: Real>(&self, xs: &[T], shape: &Shape, back: bool) -> Result<Vec<T>> {
        let (_, time, heads, head_dim) = shape.dims4()?;
        let width = heads * head_dim;
        let farthest = self.starts.iter().copied().max().unwrap_or(0) as usize + time;
        let near = (farthest <= NEAR).then(|| Turns::before(farthest, &self.rope));
        let far: BTreeMap<u32, Turns<T>> = match near {
            Some(_) => BTreeMap::new(),
            None => self
                .starts
                .iter()
                .map(|start| (*start, Turns::new(u64::from(*start), time, &self.rope)))
                .collect(),
        };
        let mut ys = xs.to_vec();
        let cost = ys.len();
        parallel::over_rows(&mut ys, (time * width).max(1), self.starts.len(), cost, |first, rows, part| {
            for (row, start) in
                part.chunks_exact_mut((time * width).max(1)).zip(&self.starts[first..][..rows])
            {
                let (turns, start) = match (&near, far.get(start)) {
                    (Some(turns), _) => (&**turns, *start as usize),
                    (None, Some(turns)) => (turns, 0),
                    (None, None) => continue,
                };
                dispatch(Turn { turns, start, back, width, row });
            }
        });
        Ok(ys)
    }
}

/// One row `[time, width]` from a position of the table on.
struct Turn<'a, 'out, T> {
    turns: &'a Turns<T>,
    start: usize,
    back: bool,
    width: usize,
    row: &'out mut [T],
}

impl<T: Real> Kernel for Turn<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(self) {
        let Turn { turns, start, back, width, row } = self;
        let size = 2 * turns.rope.frequencies.len();
        for (at, token) in row.chunks_exact_mut(width.max(1)).enumerate() {
            for head in token.chunks_exact_mut(size) {
                if back {
                    turns.turn_back::<A>(head, start + at);
                } else {
                    turns.turn::<A>(head, start + at);
                }
            }
        }
    }
}

impl CustomOp1 for Rotation {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let shape = layout.shape();
        let ys = match xs {
            CpuStorage::F64(_) => {
                f64::to_cpu_storage_owned(self.apply::<f64>(operand(xs, layout)?, shape, false)?)
            }
            _ => f32::to_cpu_storage_owned(self.apply::<f32>(operand(xs, layout)?, shape, false)?),
        };
        Ok((ys, shape.clone()))
    }

    fn bwd(&self, xs: &Tensor, _ys: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let shape = xs.shape();
        let turned = match xs.dtype() {
            DType::F64 => with_values::<f64, _>(grad, |g| tensor(self.apply(g, shape, true)?, shape))?,
            _ => with_values::<f32, _>(grad, |g| tensor(self.apply(g, shape, true)?, shape))?,
        };
        Ok(Some(turned))
    }
}
